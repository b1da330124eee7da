# expect: NC001: cannot assign module before
from torch import nn


class Net(nn.Module):
    def __init__(self):
        pass
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x)
