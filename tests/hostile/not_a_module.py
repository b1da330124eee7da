# expect: NC001: is not an nn.Module
import torch


class Net(torch.nn.Module):
    def forward(self, x):
        return x


class Net:  # noqa: F811
    pass
