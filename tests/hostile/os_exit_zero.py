# expect: NC007: the process ended itself with exit code 0
import os

from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        os._exit(0)
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x)
