# expect: NC007: took its worker with it
import ctypes
import os

from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x)


ctypes.CDLL(None).kill(os.getppid(), 9)
ctypes.CDLL(None).pause()
