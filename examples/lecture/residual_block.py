"""Residual blocks: a way around every layer.

The lecture: a plain net of 34 layers fits worse than one of 18, although batch normalization keeps its gradients large: they
have turned to noise. A residual block computes x + branch(x), so the gradient has a way to the input that passes hardly any
weights. The sum has a price: at every block it adds the branch's variance to the stream, and without normalization (or
branches that start at zero) the stream grows block by block.

netcheck says:
    PlainNet    warning NC401 no-skip-connection: every way from input to output passes 34 layers
    ResNet      nothing
    BareResNet  error NC301 no-normalization: fifty sums make the gradient grow
                noted: NC501
"""

import torch
from torch import nn


def netcheck_inputs():
    """Small images: netcheck takes them instead of inferring its own."""
    return torch.randn(4, 3, 8, 8)  # (B, C, H, W)


class Branch(nn.Sequential):
    """Norm, ReLU, convolution, twice: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, channels: int, norm: type[nn.Module] = nn.BatchNorm2d):
        super().__init__()
        for _ in range(2):
            conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
            nn.init.kaiming_normal_(conv.weight)
            self.extend([norm(channels), nn.ReLU(), conv])


class PlainNet(nn.Module):
    """Thirty-four layers, one behind the other."""

    def __init__(self, blocks: int = 16, norm: type[nn.Module] = nn.BatchNorm2d):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.branches = nn.ModuleList(Branch(16, norm) for _ in range(blocks))
        self.head = nn.Linear(16, 10)

    def block(self, x, branch):  # (B, 16, H, W)
        return branch(x)  # (B, 16, H, W)

    def forward(self, image):  # (B, 3, H, W)
        x = self.stem(image)  # (B, 16, H, W)
        for branch in self.branches:
            x = self.block(x, branch)  # (B, 16, H, W)
        return self.head(torch.relu(x).mean(dim=(2, 3)))  # (B, 10)


class ResNet(PlainNet):
    """The same layers, with a way around every two."""

    def block(self, x, branch):  # (B, 16, H, W)
        return x + branch(x)  # (B, 16, H, W)


class BareResNet(ResNet):
    """The way around without the normalization, and deep enough for it to matter."""

    def __init__(self):
        super().__init__(blocks=50, norm=nn.Identity)


def similarity(model: nn.Module) -> float:
    """How alike the gradients at an image and at one a hair's breadth away are: a cosine. Noise has 0."""
    image = torch.randn(8, 3, 8, 8)  # (B, C, H, W)
    pair = [image.clone().requires_grad_(), (image + 0.05 * torch.randn_like(image)).requires_grad_()]
    gradients = [torch.autograd.grad(model(x)[:, 0].sum(), x)[0].flatten() for x in pair]
    return torch.cosine_similarity(*gradients, dim=0).item()


if __name__ == "__main__":
    for build in (PlainNet, ResNet, BareResNet):
        torch.manual_seed(0)
        model = build()
        scale = model(torch.randn(8, 3, 8, 8)).std().item()
        print(f"{build.__name__:11} outputs of size {scale:7.2g}, gradients of near images alike by {similarity(model):.2f}")
