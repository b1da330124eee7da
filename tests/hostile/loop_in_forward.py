# expect: NC007: did not end within .* while in forward
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        while True:
            x = x + 1
        return self.fc(x)
