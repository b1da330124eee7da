"""NC914: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example
from netcheck.rules.calls.wrong_backward import net

PRODUCT = """
class Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return x @ weight.t() + bias

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        return {backward}

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 6)

    def forward(self, x):
        return Product.apply(x, self.layer.weight, self.layer.bias).relu()

model = Net()
"""
BAD = (
    Example("a transposition is missing", PRODUCT.format(backward="g @ weight, x.t() @ g, g.sum(0)"), "4x6"),
    Example("the wrong sign of a sine", net("x.cos()", "g * x.sin()"), "4x8"),
    Example("a rounding in the middle (information)", net("(x * 4).round() / 4", "g"), "4x8"),
    Example("through a clamp (information)", net("x.clamp(-1, 1)", "g"), "4x8"),
)
GOOD = (
    Example("a product", PRODUCT.format(backward="g @ weight, g.t() @ x, g.sum(0)"), "4x6"),
    Example("a clipped gradient", net("x.view_as(x)", "g.clamp(-0.1, 0.1)"), "4x8"),
    Example("a rectifier", net("x.clamp(min=0)", "g * (x > 0)"), "4x8"),
    Example("single precision whatever it is given", net("x.float().sin().to(x.dtype)", "g * x.cos()"), "4x8"),
)
