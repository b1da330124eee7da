# expect: NC007: after writing into descriptors
import os

from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x)


for descriptor in os.listdir("/proc/self/fd"):
    try:
        os.set_blocking(int(descriptor), False)
        os.write(int(descriptor), b"\xff" * 4096)
    except OSError:
        pass
