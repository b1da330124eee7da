# expect: (checked|NC007: took more than)
import subprocess
import sys

from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x)


subprocess.run([sys.executable, "-c", "import time; b = bytearray(b'x') * (3 * 2**30); time.sleep(1000)"])
