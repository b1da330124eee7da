# expect: checked
import os
import tempfile

from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x)


handle, path = tempfile.mkstemp(prefix="hostile-")
os.write(handle, b"x" * 2**20)
open(os.path.join(os.environ["TMPDIR"], "hostile-too"), "w").write("x")
