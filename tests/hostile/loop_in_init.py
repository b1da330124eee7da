# expect: NC007: did not end within .* while in __init__
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        while True:
            pass
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x)
