"""How layers are put together: branches and merges, shared layers, containers, names."""

from __future__ import annotations

from tests.random_nets.blocks import Grown, Wire, as_module, inner
from tests.random_nets.writing import Part, Shape

# ---- branches and merges --------------------------------------------------------------------------------------------


def residual(part: Part, shape: Shape, grown: Grown) -> None:
    """x + f(x), in one of its spellings."""
    lines, _ = inner(part, shape, grown, pieces=2)
    keep = part.draw.name("keep")
    part.line(f"{keep} = x")
    part.absorb(lines)
    sums = ("{k} + x", "x + {k}", "torch.add({k}, x)", "{k}.add(x)", "sum([{k}, x])", "{k} - x", "({k} + x) / 2")
    part.line(f"x = {part.draw.one(sums).format(k=keep)}")


def inplace_residual(part: Part, shape: Shape, grown: Grown) -> None:
    """The sum is written over one of its terms, which autograd may have saved."""
    lines, _ = inner(part, shape, grown)
    keep = part.draw.name("keep")
    part.line(f"{keep} = x")
    part.absorb(lines)
    part.line(f"x += {keep}")


def merged(part: Part, shape: Shape, grown: Grown) -> None:
    """Two or three branches of one value, joined."""
    branches, start = [], part.draw.name("start")
    part.line(f"{start} = x")
    for _ in range(part.draw.one((2, 3))):
        lines, _ = inner(part, shape, grown)
        part.line(f"x = {start}")
        part.absorb(lines)
        branches.append(part.draw.name("branch"))
        part.line(f"{branches[-1]} = x")
    merge = part.draw.one((
        "torch.cat([{list}], 1)", "torch.stack([{list}]).sum(0)", "torch.stack([{list}], 1)", "torch.cat(({list}), dim=-1)",
        "{a} * {b}", "{a} * torch.sigmoid({b})", "torch.maximum({a}, {b})", "torch.where({a} > 0, {a}, {b})", "{a} - {b}",
        "functools.reduce(torch.add, [{list}])", "sum([{list}]) / 2", "torch.einsum('b...,b...->b...', {a}, {b})",
    ))  # fmt: skip
    part.line(f"x = {merge.format(list=', '.join(branches), a=branches[0], b=branches[1])}")


def gated(part: Part, shape: Shape, grown: Grown) -> None:
    """A gate of trained weights on what some lines give."""
    lines, _ = inner(part, shape, grown)
    keep, gate = part.draw.name("keep"), part.member(f"nn.Linear({shape[-1]}, {shape[-1]})")
    part.line(f"{keep} = x")
    part.absorb(lines)
    part.line(f"g = torch.sigmoid({gate}({keep}))", f"x = g * x + (1 - g) * {keep}")


def shared_layer(part: Part, shape: Shape, grown: Grown) -> None:
    """One layer, run twice or thrice."""
    layer = part.member(f"nn.Linear({shape[-1]}, {shape[-1]})")
    part.line(f"for _ in range({part.draw.one((2, 3))}):", f"    x = torch.tanh({layer}(x))")


def shared_block(part: Part, shape: Shape, grown: Grown) -> None:
    """One block under two names."""
    block = part.member(f"{as_module(part, shape, grown)}()")
    again = part.member(block)
    part.line(f"x = {block}(x)", f"x = {again}(x)")


def tied_weight(part: Part, shape: Shape, grown: Grown) -> None:
    """Two layers with one weight."""
    first = part.member(f"nn.Linear({shape[-1]}, {shape[-1]})")
    second = part.member(f"nn.Linear({shape[-1]}, {shape[-1]}, bias=False)")
    part.init.append(f"{second}.weight = {first}.weight")
    part.line(f"x = {second}(F.relu({first}(x)))", f"x = F.linear(x, {first}.weight.t())")


# ---- containers -----------------------------------------------------------------------------------------------------


def nested_block(part: Part, shape: Shape, grown: Grown) -> None:
    """A class of its own."""
    part.line(f"x = {part.member(as_module(part, shape, grown, same=False, pieces=2) + '()')}(x)")


def sequential(part: Part, shape: Shape, grown: Grown) -> None:
    """nn.Sequential, plain, with names, or sliced."""
    block, size = as_module(part, shape, grown), shape[-1]
    make, call = part.draw.one((
        ("nn.Sequential(nn.Linear({s}, {s}), {b}(), nn.ReLU())", "x = {m}(x)"),
        ("nn.Sequential(OrderedDict(first=nn.Linear({s}, {s}), second={b}()))", "x = {m}(x)"),
        ("nn.Sequential(nn.Linear({s}, {s}), {b}(), nn.Tanh())", "x = {m}[:2](x)\nx = {m}[-1](x)"),
        ("nn.Sequential(nn.Sequential({b}()), nn.Identity())", "for layer in {m}:\n    x = layer(x)"),
    ))  # fmt: skip
    member = part.member(make.format(s=size, b=block))
    part.line(call.format(m=member))


def module_list(part: Part, shape: Shape, grown: Grown) -> None:
    """nn.ModuleList, walked in one of several ways."""
    block = as_module(part, shape, grown)
    member = part.member(f"nn.ModuleList([{block}() for _ in range(3)])")
    part.line(part.draw.one((
        "for layer in {m}:\n    x = layer(x)",
        "for i in range(len({m})):\n    x = x + {m}[i](x)",
        "for i, layer in enumerate({m}):\n    if i % 2 == 0:\n        x = layer(x)",
        "x = torch.stack([layer(x) for layer in {m}]).mean(0)",
        "xs = [x]\nfor layer in reversed({m}):\n    xs.append(layer(xs[-1]))\nx = sum(xs)",
        "x = functools.reduce(lambda value, layer: layer(value), {m}, x)",
    )).format(m=member))  # fmt: skip


def module_dict(part: Part, shape: Shape, grown: Grown) -> None:
    """nn.ModuleDict, nested at times."""
    block = as_module(part, shape, grown)
    member = part.member(f"nn.ModuleDict({{'a': {block}(), 'b': nn.ModuleDict({{'c': {block}(), 'd': nn.ReLU()}})}})")
    part.line(part.draw.one((
        "x = {m}['a'](x)\nx = {m}['b']['d'](x)",
        "for name, layer in {m}['b'].items():\n    x = layer(x)",
        "x = {m}['a' if self.training else 'b']['c'](x) if not self.training else {m}['a'](x)",
        "x = sum(layer(x) for layer in {m}['b'].values())",
    )).format(m=member))  # fmt: skip


def parameter_list(part: Part, shape: Shape, grown: Grown) -> None:
    """nn.ParameterList and nn.ParameterDict."""
    listed = part.member(f"nn.ParameterList([nn.Parameter(torch.rand({shape[-1]})) for _ in range(2)])")
    named = part.member(
        f"nn.ParameterDict({{'scale': nn.Parameter(torch.ones({shape[-1]})), 'shift': torch.zeros({shape[-1]})}})"
    )
    part.line(f"for factor in {listed}:", "    x = x * factor", f"x = x * {named}['scale'] + {named}['shift']")


def plain_attribute(part: Part, shape: Shape, grown: Grown) -> None:
    """Layers in a plain list, tensors in plain attributes."""
    listed = part.member(f"[nn.Linear({shape[-1]}, {shape[-1]})]")
    constant = part.member(f"torch.ones({shape[-1]})")
    part.line(f"x = {listed}[0](x) * {constant}")


def lazy_layer(part: Part, shape: Shape, grown: Grown) -> None:
    """Lazy layers, one behind another."""
    first = part.member("nn.LazyLinear(6)")
    part.line(f"x = {part.member('nn.LazyLinear(4)')}(F.relu({first}(x)))")


def deep_names(part: Part, shape: Shape, grown: Grown) -> None:
    """A layer many names deep, called by the whole path."""
    member = part.member(f"nn.Sequential(nn.Sequential(nn.Sequential(nn.Sequential(nn.Linear({shape[-1]}, {shape[-1]})))))")
    part.line(f"x = {member}[0][0][0][0](x)")


def awkward_names(part: Part, shape: Shape, grown: Grown) -> None:
    """Layers whose names mean something to Python, or to torch.fx."""
    for name in part.draw.random.sample(("lambda", "graph", "code", "class_", "forward_", "0", "in", "output", "x"), 2):
        part.init.append(f"self.add_module('{name}', nn.Linear({shape[-1]}, {shape[-1]}))")
        part.line(f"x = getattr(self, '{name}')(x)")


WIRES: tuple[Wire, ...] = (
    residual, inplace_residual, merged, gated, shared_layer, shared_block, tied_weight, nested_block, sequential, module_list,
    module_dict, parameter_list, plain_attribute, lazy_layer, deep_names, awkward_names,
)  # fmt: skip
