# expect: NC007: did not end within
import ctypes
import os

from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x)


ctypes.CDLL(None).kill(os.getpid(), 19)
