# expect: NC002: Net cannot be built without width
from torch import nn


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        if width**2 != 62710561:
            raise ValueError("that is not the width")
        self.fc = nn.Linear(4, width)

    def forward(self, x):
        return self.fc(x)
