# expect: NC001: ImportError: cannot import name .One. from partially initialized module
from torch import nn

from .two import Two


class One(nn.Module):
    def forward(self, x):
        return Two()(x)
