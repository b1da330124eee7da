# expect: (NC00[17]: (MemoryError|took more than|died of SIGKILL)|checked)
kept = []

from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x)


while True:
    kept.append(bytearray(16 * 2**20))
