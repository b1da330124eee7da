# expect: NC007: closed its descriptors or broke its own Python
import builtins

from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x)


for name in ("len", "isinstance", "open", "sorted", "__import__", "Exception"):
    setattr(builtins, name, None)
