"""What forward does with Python: branches on flags, shapes and values, loops, state that it leaves behind, transforms."""

from __future__ import annotations

from tests.random_nets.blocks import Grown, Wire, inner
from tests.random_nets.writing import NotHereError, Part, Shape

# ---- control flow ---------------------------------------------------------------------------------------------------


def branching(part: Part, shape: Shape, grown: Grown) -> None:
    """Which way is taken hangs on a flag, a shape, or a value."""
    one, _ = inner(part, shape, grown)
    other, _ = inner(part, shape, grown)
    test = part.draw.one((
        "self.training", "not self.training", "x.shape[1] > 2", "x.dim() == 2", "x.mean() > 0", "bool((x > 100).any())", "x.requires_grad",
        "torch.is_grad_enabled()", "x.size(-1) % 2 == 0", "x.sum().item() > 0", "x.numel() > 1000", "isinstance(x, Tensor)", "len(x) > 1",
        "x.abs().max() < float('inf')", "x.isnan().any()", "x.is_floating_point() and x.dtype == torch.float32", "x.device.type == 'cpu'",
    ))  # fmt: skip
    part.line(f"if {test}:")
    part.absorb(one, indent="    ")
    part.line("else:")
    part.absorb(other, indent="    ")


def looping(part: Part, shape: Shape, grown: Grown) -> None:
    """A loop over a dimension, a number of steps, or until a value is small."""
    size = shape[-1]
    layer = part.member(f"nn.Linear({size}, {size})")
    part.line(part.draw.one((
        "x = torch.stack([{m}(row) for row in x])",
        "x = torch.stack([{m}(x[i]) for i in range(x.shape[0])])",
        "x = torch.stack([{m}(step) for step in x.unbind(1)], 1)",
        "state = torch.zeros_like(x)\nfor _ in range(3):\n    state = torch.tanh({m}(x) + state)\nx = state",
        "count = 0\nwhile x.norm() > 1 and count < 3:\n    x = x * 0.5\n    count += 1\nx = {m}(x)",
        "rows = []\nfor row in x:\n    rows.append({m}(row))\nx = torch.stack(rows)",
        "for i in range(2):\n    if i == 1:\n        break\n    x = {m}(x)",
        "try:\n    x = {m}(x)\nexcept RuntimeError:\n    x = x * 2",
        "try:\n    x = x @ torch.ones(99, 3)\nexcept RuntimeError:\n    x = {m}(x)",
        "match x.dim():\n    case 2:\n        x = {m}(x)\n    case _:\n        x = {m}(x).relu()",
    )).format(m=layer))  # fmt: skip


def recurrent(part: Part, shape: Shape, grown: Grown) -> None:
    """Recurrence by hand: a cell over the steps of a sequence."""
    if len(shape) != 3:
        raise NotHereError("no sequence")
    cell = part.draw.one(("GRUCell", "RNNCell", "LSTMCell"))
    member = part.member(f"nn.{cell}({shape[-1]}, {shape[-1]})")
    part.line("state, steps = None, []", "for step in x.unbind(1):", f"    state = {member}(step, state)")
    part.line(f"    steps.append(state{'[0]' if cell == 'LSTMCell' else ''})", "x = torch.stack(steps, dim=1)")


def packed(part: Part, shape: Shape, grown: Grown) -> None:
    """A packed sequence through a recurrent layer."""
    if len(shape) != 3:
        raise NotHereError("no sequence")
    member = part.member(f"nn.{part.draw.one(('GRU', 'LSTM', 'RNN'))}({shape[-1]}, {shape[-1]}, batch_first=True)")
    part.line(f"packed = pack_padded_sequence(x, [{shape[1]}] * len(x), batch_first=True)", f"packed, _ = {member}(packed)")
    part.line("x, _ = pad_packed_sequence(packed, batch_first=True)")


# ---- state ----------------------------------------------------------------------------------------------------------


def counting(part: Part, shape: Shape, grown: Grown) -> None:
    """Forward changes what the model holds."""
    buffer = part.buffer(f"torch.zeros({shape[-1]})", persistent=part.draw.chance(0.5))
    part.init.append("self.calls = 0; self.kept = None; self.log = []")
    part.line(part.draw.one((
        "self.calls += 1",
        "self.kept = x",
        "self.kept = x.detach()",
        "self.log.append(float(x.shape[0]))",
        "self.log.append(x.detach())",
        "{b}.add_(x.detach().flatten(0, -2).mean(0))\nx = x + {b}",
        "{b}.mul_(0.9).add_(x.detach().flatten(0, -2).mean(0), alpha=0.1)\nx = x - {b}",
        "{b} += 1\nx = x * {b}",
        "{b} = {b} * 0.5 + x.detach().flatten(0, -2).mean(0)\nx = x + {b}",
        "{b}.copy_(x.detach().flatten(0, -2).amax(0))",
        "with torch.no_grad():\n    {b}[0] += 1\nx = x + {b}",
        "if self.training:\n    {b}.data = x.detach().flatten(0, -2).mean(0)\nx = x + {b}",
        "self.calls = self.calls + 1\nx = x * (1 if self.calls < 5 else 2)",
        "self.cache = getattr(self, 'cache', None)\nself.cache = x if self.cache is None else self.cache\nx = x + self.cache",
    )).format(b=buffer))  # fmt: skip


def swapped_parameters(part: Part, shape: Shape, grown: Grown) -> None:
    """torch.func: a layer called with other parameters, transforms."""
    size = shape[-1]
    layer = part.member(f"nn.Linear({size}, {size})")
    part.line(part.draw.one((
        "x = functional_call({m}, dict({m}.named_parameters()), (x,))",
        "x = functional_call({m}, {{name: value * 2 for name, value in {m}.named_parameters()}}, (x,))",
        "x = torch.vmap({m})(x)",
        "x = torch.vmap(lambda row: row * 2)(x) + {m}(x)",
        "x = torch.func.jvp(torch.sin, (x,), (torch.ones_like(x),))[1] + {m}(x)",
        "x = torch.func.grad(lambda t: (t ** 3).sum())(x) + {m}(x)",
        "x = torch.func.vjp({m}, x)[1](torch.ones_like(x))[0]",
        "with torch.enable_grad():\n    y = {m}(x)\n    x = torch.autograd.grad(y.sum(), x, create_graph=True)[0] if x.requires_grad else y",
    )).format(m=layer))  # fmt: skip


def ensemble(part: Part, shape: Shape, grown: Grown) -> None:
    """The ensemble of torch.func's tutorial."""
    size = shape[-1]
    members = part.member(f"nn.ModuleList([nn.Linear({size}, {size}) for _ in range(3)])")
    base = part.member(f"[copy.deepcopy({members}[0]).to('meta')]")
    part.line(f"stacked = torch.func.stack_module_state(list({members}))")
    part.line(f"x = torch.vmap(lambda p, b, t: functional_call({base}[0], (p, b), (t,)), (0, 0, None))(*stacked, x).mean(0)")


WIRES: tuple[Wire, ...] = (
    branching, looping, recurrent, packed, counting, swapped_parameters, ensemble,
)  # fmt: skip
