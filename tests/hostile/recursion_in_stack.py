# expect: (NC007: died of SIGSEGV|checked)
import sys

sys.setrecursionlimit(10**8)


class Deep:
    def __repr__(self):
        return repr([self])


from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x)


repr(Deep())
