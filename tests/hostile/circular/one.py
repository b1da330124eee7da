# expect: NC001: needs what was left out, line 6 of two.py: needs One
from torch import nn

from .two import Two


class One(nn.Module):
    def forward(self, x):
        return Two()(x)
