"""What forward takes and returns: tensors, containers and objects of them, by position or by name, given or not.

Each input form is (signature, lines that make `x`, arguments, keyword arguments, source before the class); {shape} is that
of `x`. Each output form is (lines, source before the class); `y` is the head's result, `first` what forward began with.
"""

from __future__ import annotations

from tests.random_nets.writing import Part, Shape

STARTS: tuple[Shape, ...] = ((4, 8), (4, 6, 8), (4, 8, 12), (4, 8, 6, 6), (4, 3, 8, 8), (4, 4, 4, 4, 4), (3, 5))

_DATA = """
@dataclass
class Batch:
    x: Tensor
    scale: float = 1.0
    mask: Tensor | None = None
"""
_NAMED = """
class Sample(NamedTuple):
    x: Tensor
    index: int
"""
_OBJECT = """
class Holder:
    __slots__ = ("x", "note")

    def __init__(self, x, note):
        self.x, self.note = x, note
"""

INPUTS: dict[str, tuple[str, str, str, str, str]] = {
    "tensor": ("self, x", "", "torch.randn({shape}),", "", ""),
    "two": ("self, a, b", "x = a + b", "torch.randn({shape}), torch.randn({shape})", "", ""),
    "optional, not given": ("self, x, mask=None", "if mask is not None:\n    x = x * mask", "torch.randn({shape}),", "", ""),
    "optional, given": ("self, x, mask=None", "if mask is not None:\n    x = x * mask", "torch.randn({shape}), torch.ones({shape})", "", ""),
    "None given": ("self, x, mask, scale=2.0", "x = x * scale if mask is None else x * mask", "torch.randn({shape}), None", "", ""),
    "by name alone": ("self, *, x, scale=1.0", "x = x * scale", "", "'x': torch.randn({shape}), 'scale': 0.5", ""),
    "any positional": ("self, *xs", "x = sum(xs)", "torch.randn({shape}), torch.randn({shape})", "", ""),
    "any named": ("self, **batch", "x = batch['a'] * batch['b']", "", "'a': torch.randn({shape}), 'b': torch.randn({shape})", ""),
    "dict": ("self, batch", "x = batch['x'] * batch['scale']", "{{'x': torch.randn({shape}), 'scale': 2.0}},", "", ""),
    "nested dict": ("self, batch", "x = batch['a']['b'][0] + batch['a']['b'][1]", "{{'a': {{'b': [torch.randn({shape}), torch.ones({shape})]}}}},", "", ""),
    "list": ("self, xs", "x = xs[0]\nfor other in xs[1:]:\n    x = x + other", "[torch.randn({shape}), torch.randn({shape})],", "", ""),
    "pair": ("self, pair", "x, y = pair\nx = x - y", "(torch.randn({shape}), torch.randn({shape})),", "", ""),
    "dataclass": ("self, batch", "x = batch.x * batch.scale", "Batch(torch.randn({shape}), 2.0),", "", _DATA),
    "named tuple": ("self, sample", "x = sample.x + sample.index", "Sample(torch.randn({shape}), 3),", "", _NAMED),
    "object": ("self, holder", "x = holder.x * len(holder.note)", "Holder(torch.randn({shape}), 'note'),", "", _OBJECT),
    "double": ("self, x", "x = x.float()", "torch.randn({shape}, dtype=torch.float64),", "", ""),
    "half": ("self, x", "x = x.float()", "torch.randn({shape}).half(),", "", ""),
    "complex": ("self, z", "x = z.abs() + z.real", "torch.randn({shape}, dtype=torch.cfloat),", "", ""),
    "bytes": ("self, image", "x = image.float() / 255 - 0.5", "torch.randint(0, 256, {shape}, dtype=torch.uint8),", "", ""),
    "whole numbers": ("self, x", "x = x.to(torch.float32)", "torch.randint(-3, 4, {shape}),", "", ""),
    "mask": ("self, x, mask", "x = x.masked_fill(mask, 0.0)", "torch.randn({shape}), torch.zeros({shape}, dtype=torch.bool)", "", ""),
    "learns": ("self, x", "x = x * 2", "torch.randn({shape}, requires_grad=True),", "", ""),
    "scalar beside": ("self, x, t", "x = x * t", "torch.randn({shape}), torch.tensor(0.5)", "", ""),
    "time": ("self, x, t: int", "x = x * t", "torch.randn({shape}), 3", "", ""),
    "sizes": ("self, x, size: tuple", "x = x.reshape(size)", "torch.randn({shape}), {shape}", "", ""),
    "text": ("self, x, mode: str = 'mean'", "x = x - getattr(x, mode)()", "torch.randn({shape}), 'mean'", "", ""),
    "transposed": ("self, x", "x = x * 1", "torch.randn({shape}).transpose(0, -1).contiguous().transpose(0, -1),", "", ""),
    "written to": ("self, x", "x.mul_(2)", "torch.randn({shape}),", "", ""),
}  # fmt: skip
ORDINARY = ("tensor", "two", "optional, not given", "by name alone", "dict", "dataclass")

_RESULT = """
@dataclass
class Result:
    logits: Tensor
    hidden: Tensor | None = None
"""
_OUT = """
class Out(NamedTuple):
    logits: Tensor
    aux: Any
"""
OUTPUTS: dict[str, tuple[str, str]] = {
    "tensor": ("return y", ""),
    "tuple": ("return y, x", ""),
    "with None": ("return y, None", ""),
    "list": ("return [y, y * 2]", ""),
    "dict": ("return {'logits': y, 'hidden': x, 'size': x.shape[0]}", ""),
    "nested": ("return {'a': [y, {'b': (x,)}]}", ""),
    "dataclass": ("return Result(logits=y, hidden=x)", _RESULT),
    "named tuple": ("return Out(y, {'x': x})", _OUT),
    "loss": ("return F.cross_entropy(y, torch.zeros(len(y), dtype=torch.long))", ""),
    "mean": ("return y.mean()", ""),
    "loss and logits": ("loss = F.mse_loss(y, torch.zeros_like(y))\nreturn loss, y", ""),
    "softmax": ("return torch.softmax(y, dim=-1)", ""),
    "classes": ("return y, y.argmax(-1)", ""),
    "probabilities": ("return torch.sigmoid(y).squeeze(-1)", ""),
    "twice": ("return y, y", ""),
    "detached": ("return y, y.detach()", ""),
    "half": ("return y.half()", ""),
    "double": ("return y.double()", ""),
    "complex": ("return torch.complex(y, y)", ""),
    "distribution": ("return torch.distributions.Categorical(logits=y)", ""),
    "not the head": ("return x", ""),
    "steps": ("for factor in (1, 2):\n    yield y * factor", ""),
    "by number": ("return y, 3, 'text', x.shape", ""),
}  # fmt: skip


def head(part: Part, shape: Shape) -> None:
    """From `x` to the net's result `y`."""
    size = 1
    for side in shape[1:]:
        size *= side
    form = part.draw.random.randrange(4)
    if form == 0 and len(shape) == 4:
        part.line(f"y = {part.member(f'nn.Linear({shape[1]}, 3)')}(x.mean((2, 3)))")
    elif form == 1 and len(shape) == 3:
        part.line(f"y = {part.member(f'nn.Linear({shape[-1]}, 3)')}(x[:, -1])")
    elif form == 2:
        part.line("y = torch.flatten(x, 1)", f"y = {part.member(f'nn.Linear({size}, 3)')}(y)")
    else:
        part.line(f"y = {part.member(f'nn.Sequential(nn.Flatten(), nn.Linear({size}, 4), nn.ReLU(), nn.Linear(4, 3))')}(x)")
