from torch import nn

from .one import One


class Two(nn.Module):
    parts = (One,)

    def forward(self, x):
        return x
