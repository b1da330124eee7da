"""What stands around a call: checkpoints, autocast, hooks, parametrizations; functions of the user's own, scripts, transforms."""

from __future__ import annotations

import textwrap

from tests.random_nets.blocks import Grown, Wire, as_module, inner
from tests.random_nets.writing import Part, Shape

# ---- around a call --------------------------------------------------------------------------------------------------


def checkpointed(part: Part, shape: Shape, grown: Grown) -> None:
    """torch.utils.checkpoint."""
    block = part.member(f"{as_module(part, shape, grown)}()")
    part.line(part.draw.one((
        "x = checkpoint({m}, x, use_reentrant=False)", "x = checkpoint({m}, x, use_reentrant=True)",
        "x = checkpoint(lambda value: {m}(value).tanh(), x, use_reentrant=False)",
        "x = checkpoint_sequential(nn.Sequential({m}, nn.ReLU()), 2, x, use_reentrant=False)",
    )).format(m=block))  # fmt: skip


def without_gradients(part: Part, shape: Shape, grown: Grown) -> None:
    """A block under no_grad, inference_mode, or with gradients switched by hand."""
    lines, _ = inner(part, shape, grown)
    keep = part.draw.name("keep")
    part.line(f"{keep} = x")
    context = part.draw.one(
        ("torch.no_grad()", "torch.set_grad_enabled(False)", "torch.enable_grad()", "torch.set_grad_enabled(self.training)")
    )
    part.line(f"with {context}:")
    part.absorb(lines, indent="    ")
    part.line(f"x = {keep} + x")


def under_autocast(part: Part, shape: Shape, grown: Grown) -> None:
    """A block under autocast."""
    lines, _ = inner(part, shape, grown)
    dtype, enabled = part.draw.one(("torch.bfloat16", "torch.float16")), part.draw.one((True, True, False))
    layer = part.member(f"nn.Linear({shape[-1]}, {shape[-1]})")
    part.line(f"with torch.autocast('cpu', dtype={dtype}, enabled={enabled}):", f"    x = {layer}(x)", "    x = x.float()")
    part.absorb(lines, indent="    ")
    part.line("x = x.float()")


def hooked(part: Part, shape: Shape, grown: Grown) -> None:
    """Hooks on a block: before and after forward, and on backward."""
    block = part.member(f"{as_module(part, shape, grown)}()")
    part.init.append(part.draw.one((
        "{m}.register_forward_hook(lambda module, args, result: result * 2)",
        "{m}.register_forward_hook(lambda module, args, result: None)",
        "{m}.register_forward_pre_hook(lambda module, args: (args[0].tanh(),))",
        "{m}.register_forward_pre_hook(lambda module, args, kwargs: ((args[0] + 1,), kwargs), with_kwargs=True)",
        "{m}.register_forward_hook(lambda module, args, kwargs, result: result + 0, with_kwargs=True)",
        "{m}.register_full_backward_hook(lambda module, inward, outward: None)",
        "{m}.register_full_backward_hook(lambda module, inward, outward: tuple(g if g is None else g * 2 for g in inward))",
        "{m}.register_full_backward_pre_hook(lambda module, outward: tuple(g for g in outward))",
    )).format(m=block))  # fmt: skip
    part.line(f"x = {block}(x)")


def hooked_layer(part: Part, shape: Shape, grown: Grown) -> None:
    """Hooks on a layer of torch's own, one of which keeps what it saw."""
    layer = part.member(f"nn.Linear({shape[-1]}, {shape[-1]})")
    part.init.append(part.draw.one((
        "self.seen = []; {m}.register_forward_hook(lambda module, args, result: self.seen.append(result))",
        "self.seen = dict(); {m}.register_forward_hook(lambda module, args, result: self.seen.update(last=result))",
        "{m}.register_forward_hook(lambda module, args, result: F.relu(result))",
        "{m}.register_forward_pre_hook(lambda module, args: F.normalize(args[0]))",
        "{m}.weight.register_hook(lambda gradient: gradient * 0.5)",
        "{m}.register_full_backward_hook(lambda module, inward, outward: None)",
    )).format(m=layer))  # fmt: skip
    part.line(f"x = {layer}(x)")


def tensor_hook(part: Part, shape: Shape, grown: Grown) -> None:
    """A hook on a value."""
    part.line("x = x * 1", "if x.requires_grad:", "    x.register_hook(lambda gradient: gradient.clamp(-1, 1))")
    if part.draw.chance(0.5):
        part.line("if x.requires_grad:", "    x.retain_grad()")


def parametrized(part: Part, shape: Shape, grown: Grown) -> None:
    """A layer whose weight is computed."""
    size = shape[-1]
    form = part.draw.one((
        "parametrizations.weight_norm({l})", "parametrizations.spectral_norm({l})", "parametrizations.orthogonal({l})",
        "nn.utils.weight_norm({l})", "nn.utils.spectral_norm({l})", "nn.utils.prune.l1_unstructured({l}, 'weight', amount=0.3)",
        "symmetric({l})",
    ))  # fmt: skip
    if form.startswith("symmetric"):
        part.helper("""
            class Symmetric(nn.Module):
                def forward(self, weight):
                    return weight.triu() + weight.triu(1).mT


            def symmetric(layer):
                parametrize.register_parametrization(layer, "weight", Symmetric())
                return layer
        """)
    layer = part.member(form.format(l=f"nn.Linear({size}, {size})"))
    part.line(f"x = {layer}(x)")
    if form.startswith("param") and part.draw.chance(0.4):
        part.line("with parametrize.cached():", f"    x = {layer}({layer}(x))")


# ---- what is no Python ----------------------------------------------------------------------------------------------


def custom_function(part: Part, shape: Shape, grown: Grown) -> None:
    """A function with a backward of its own."""
    name = part.draw.name("Function")
    body = part.draw.one((
        ("ctx.save_for_backward(x)\nreturn x.clamp(min=0)", "x, = ctx.saved_tensors\nreturn gradient * (x > 0)"),
        ("return x.round()", "return gradient"),
        ("ctx.factor = 0.5\nreturn x.clone()", "return -ctx.factor * gradient"),
        ("y = x.exp()\nctx.save_for_backward(y)\nreturn y", "y, = ctx.saved_tensors\nreturn gradient * y"),
        ("ctx.mark_dirty(x)\nreturn x.mul_(2)", "return 2 * gradient"),
    ))  # fmt: skip
    forward, backward = (textwrap.indent(text, "        ") for text in body)
    part.helper(f"class {name}(torch.autograd.Function):\n    @staticmethod\n    def forward(ctx, x):\n{forward}\n\n"
                f"    @staticmethod\n    def backward(ctx, gradient):\n{backward}")  # fmt: skip
    part.line("x = x * 1")
    if part.draw.chance(0.5):
        part.line(f"x = {name}.apply(x)")
    else:
        alias = part.draw.name("apply")
        part.helper(f"{alias} = {name}.apply")
        part.line(f"x = {alias}(x)")


def scripted(part: Part, shape: Shape, grown: Grown) -> None:
    """TorchScript: a traced layer, a compiled function."""
    size = shape[-1]
    form = part.draw.one(("function", "module", "traced"))
    if form == "function":
        name = part.draw.name("scripted")
        part.helper(f"@torch.jit.script\ndef {name}(x: Tensor) -> Tensor:\n    return torch.relu(x) + 1")
        part.line(f"x = {name}(x)")
    elif form == "module":
        part.line(f"x = {part.member(f'torch.jit.script(nn.Sequential(nn.Linear({size}, {size}), nn.ReLU()))')}(x)")
    else:
        part.line(f"x = {part.member(f'torch.jit.trace(nn.Linear({size}, {size}), torch.ones(2, {size}))')}(x)")


def nested_function(part: Part, shape: Shape, grown: Grown) -> None:
    """Forward calls a method, a function, a lambda, a partial."""
    layer = part.member(f"nn.Linear({shape[-1]}, {shape[-1]})")
    name = part.draw.name("helper")
    part.helper(f"def {name}(layer, x, *, scale=2.0):\n    return layer(x) * scale")
    part.line(part.draw.one((
        "x = {f}({m}, x)", "x = functools.partial({f}, {m}, scale=0.5)(x)", "x = (lambda value: {f}({m}, value))(x)",
        "x, = map(lambda value: {f}({m}, value), [x])", "f = {m}.forward\nx = f(x)", "x = {m}.__call__(x)", "x = nn.Linear.forward({m}, x)",
        "x = sum({m}(value) for value in (x, -x)) + x", "x = {m}(input=x)",
    )).format(f=name, m=layer))  # fmt: skip


def copies(part: Part, shape: Shape, grown: Grown) -> None:
    """Copies and subclasses of tensors."""
    part.line(part.draw.one((
        "x = x + copy.copy(x)", "x = x + copy.deepcopy(x.detach())", "x = x.as_subclass(Tensor) * 2", "x = nn.Parameter(x.detach()) + x",
        "x = x + torch.tensor(x.shape[0])", "x = x + torch.tensor(x.detach().tolist())", "x = x + torch.from_numpy(x.detach().numpy())",
        "x = torch.Tensor.add(x, x)", "x = torch.ops.aten.add.Tensor(x, x)", "x = x.__add__(x)", "x = getattr(x, 'relu')()", "x = x.data + x",
        "x, y = x, x\nx = x + y", "x = {'a': x}['a']", "Pair = namedtuple('Pair', 'a b')\nx = Pair(x, x).b", "x = x if True else None",
    )))  # fmt: skip


WIRES: tuple[Wire, ...] = (
    checkpointed, without_gradients, under_autocast, hooked, hooked_layer, tensor_hook, parametrized, custom_function,
    scripted, nested_function, copies,
)  # fmt: skip
