# expect: NC003: 'NoneType' object is not callable
import torch

from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x)


for name in ("tanh", "zeros", "randn", "ones"):
    setattr(torch, name, None)
nn.Linear.forward = lambda self, x: None
torch.Tensor.__add__ = lambda self, other: "broken"
