# expect: NC001: (can't allocate memory|not enough memory|MemoryError)
import torch

from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.big = nn.Parameter(torch.empty(25 * 10**9))
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x)
