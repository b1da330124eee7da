"""A first proposal, from forward's parameters: their annotations, their names, the model's first layers.

Names of arguments are conventions of the field (`input_ids`, `mask`, `t`); no model is known by name.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from netcheck.load.inference.proposals import BATCH, HEIGHT, LENGTH, SAMPLES, WIDTH, Argument, Proposal, Slot
from netcheck.source.syntax import syntax_of
from netcheck.torch_versions import forward_of

TIME = r"(t|ts|time|times|time_?steps?|time_?stamps?|diffusion_step|noise_(level|labels?)|sigmas?|log_snr)"
TOKENS = r"(.*_)?(ids?|tokens?|idx|indices|words?|chars?|texts?|sentences?|token_ids|captions?|prompts?|vocab\w*)"
IMAGES = r"(.*_)?(pixel_values|images?|imgs?|photos?|pictures?|frames?|rgb)(_?\d)?"
WAVES = r"(.*_)?(input_values|wave(form)?s?|audios?|wavs?|speech|raw_speech)"
LENGTHS = r"(.*_)?(lengths?|lens?|seq_?lens?)"
LABELS = r"(.*_)?(labels?|targets?|class(es)?|class_labels?|y|categor(y|ies))"
FLAGS = (
    r"(return|use|is|do|with|output|need|apply|compute)_\w*"
    r"|training|train|deterministic|causal|verbose|reverse|inverse|sample"
)
COUNTS = (
    r"(n|num|max|min)_(?!features|classes)\w*|\w*_(steps|iters?|size|dim|level)"
    r"|k|n|epoch|step|depth|stage|level"
)
RATES = (
    r"temperature|temp|alpha|beta|gamma|lambda_?|lambd|lr|eps|epsilon|tau"
    r"|threshold|scale|rate|ratio|p|prob|dropout"
)
SCALARS: dict[str, object] = {FLAGS: False, COUNTS: 1, RATES: 1.0}


def parameters_of(model: nn.Module) -> list[inspect.Parameter]:
    """Forward's parameters, or those of the module that it merely wraps."""
    try:
        found = list(inspect.signature(model.forward).parameters.values())
    except (TypeError, ValueError):  # a scripted or compiled forward does not tell
        found = [inspect.Parameter("x", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    if isinstance(model, torch.jit.ScriptModule) and found and found[0].name == "self":
        found = found[1:]  # a script has it among its arguments
    named = [p for p in found if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    children = list(model.children())
    if not named and len(children) == 1:
        return parameters_of(children[0])
    return found


def propose(model: nn.Module, float_dtype: torch.dtype) -> Proposal:
    """The first guess: every required parameter; if none is required, the first one."""
    parameters = [p for p in parameters_of(model) if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    required = [p for p in parameters if p.default is p.empty] or parameters[:1]
    hints = type_hints(model)
    arguments = [argument(p, hints.get(p.name, p.annotation), model, float_dtype, first=len(required) == 1) for p in required]
    if not parameters:
        if not parameters_of(model):
            return Proposal(())
        gathered = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in names_gathered(model) or ["input"]]
        arguments = [argument(p, p.annotation, model, float_dtype, first=len(gathered) == 1) for p in gathered]
    return with_layer_sizes(Proposal(tuple(arguments)), model)


def names_gathered(model: nn.Module) -> list[str]:
    """What forward calls the parts of its `*inputs`: by `x, y = inputs`, or as many as it reads by `inputs[0]`."""
    gathering = next((p.name for p in parameters_of(model) if p.kind is p.VAR_POSITIONAL), "")
    tree = syntax_of(model.forward)
    if tree is None:
        return []
    read = -1
    for node in ast.walk(tree):
        value = node.value if isinstance(node, ast.Assign | ast.Subscript) else None
        if not isinstance(value, ast.Name) or value.id != gathering:
            continue
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
            return [each.id if isinstance(each, ast.Name) else f"input_{at}" for at, each in enumerate(node.targets[0].elts)]
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int):
            read = max(read, node.slice.value)
    return [f"input_{number}" for number in range(read + 1)]


def type_hints(model: nn.Module) -> dict[str, Any]:
    """Forward's annotations, evaluated if they can be."""
    try:
        return typing.get_type_hints(model.forward)
    except Exception:  # an annotation may name anything, also what is not there
        return {}


def argument(parameter: inspect.Parameter, hint: Any, model: nn.Module, float_dtype: torch.dtype, *, first: bool) -> Argument:
    """What to give for one parameter."""
    keyword = parameter.kind is parameter.KEYWORD_ONLY
    value = by_annotation(parameter.name, hint, model, float_dtype)
    beside = {one.name.lower() for one in parameters_of(model)}
    if value is None and parameter.name.lower() == "k" and "q" in beside:
        value = by_layers(parameter.name, model, float_dtype)  # the keys of an attention, and no count
    if value is None:
        value = by_name(parameter.name, model, float_dtype, first=first) or by_layers(parameter.name, model, float_dtype)
    return Argument(parameter.name, keyword, value)


def optional_argument(name: str, model: nn.Module, float_dtype: torch.dtype) -> Argument | None:
    """What to give for an optional parameter that turns out to be needed."""
    for parameter in parameters_of(model):
        if parameter.name == name:
            hint = type_hints(model).get(name, parameter.annotation)
            return replace(argument(parameter, hint, model, float_dtype, first=False), keyword=True)
    return None


def by_annotation(name: str, hint: Any, model: nn.Module, float_dtype: torch.dtype) -> Any:
    """A value for an annotation that says more than "a tensor"; None if it does not."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        known = [by_annotation(name, option, model, float_dtype) for option in arguments if option is not type(None)]
        return known[0] if known else None
    if hint in (int, float, bool, str):
        return Slot(name, None, value={int: 1, float: 1.0, bool: False, str: ""}[hint], settled=True)
    if hint in (torch.LongTensor, torch.IntTensor):
        guess = by_name(name, model, float_dtype, first=False)
        dims = guess.dims if isinstance(guess, Slot) and guess.dims else (BATCH, LENGTH)
        return Slot(name, dims, dtype=torch.int64, fill=guess.fill if isinstance(guess, Slot) else "random")
    if hint is torch.BoolTensor:
        return Slot(name, (BATCH, LENGTH), dtype=torch.bool, fill="alternate")
    if origin in (tuple, list) or (isinstance(origin, type) and issubclass(origin, typing.Sequence)):
        fixed = origin is tuple and Ellipsis not in arguments
        inner = list(arguments) if fixed else [arguments[0] if arguments else Tensor] * 2
        if all(hint_is_tensor(one) for one in inner) and inner:
            parts = [part_of(name, index, model, float_dtype) for index in range(len(inner))]
            return tuple(parts) if origin is tuple else parts
    if isinstance(hint, type) and hint is not Tensor:
        return by_fields(name, hint, model, float_dtype)
    return None


def hint_is_tensor(hint: Any) -> bool:
    """Whether an annotation is a tensor type."""
    return isinstance(hint, type) and issubclass(hint, Tensor)


def part_of(name: str, part: int | str, model: nn.Module, float_dtype: torch.dtype) -> Slot:
    """The slot for an entry of a sequence or a dict: by the key's name if it has one."""
    full = f"{name}.{part}"
    guess = by_name(part, model, float_dtype, first=False) if isinstance(part, str) else None
    if part == "batch":
        guess = Slot(part, (BATCH,), torch.int64, fill="zeros", settled=True)
    slot = guess or by_layers(full, model, float_dtype)
    renamed = tuple(full + dim.removeprefix(slot.name) if dim.startswith(slot.name + ".") else dim for dim in slot.dims or ())
    return replace(slot, name=full, dims=renamed if slot.dims is not None else None)


def by_fields(name: str, kind: type, model: nn.Module, float_dtype: torch.dtype) -> Any:
    """A NamedTuple, dataclass or TypedDict of tensors, field by field."""
    hints = getattr(kind, "__annotations__", {})
    if dataclasses.is_dataclass(kind):
        required = [f.name for f in dataclasses.fields(kind) if f.init and f.default is f.default_factory is dataclasses.MISSING]
        make: Any = kind
    elif typing.is_typeddict(kind) or (issubclass(kind, tuple) and hasattr(kind, "_fields")):
        required, make = list(hints), dict if typing.is_typeddict(kind) else kind
    else:
        return None
    values = {}
    for field in required:
        value = by_annotation(field, hints.get(field), model, float_dtype)
        values[field] = (
            replace(value, name=f"{name}.{field}") if isinstance(value, Slot) else part_of(name, field, model, float_dtype)
        )
    try:
        return make(**values)
    except Exception:  # a class that checks what it is given
        return None


def by_name(name: str, model: nn.Module, float_dtype: torch.dtype, *, first: bool) -> Slot | None:
    """A slot for a name that the field uses for one thing; None for any other name."""

    def is_(pattern: str) -> bool:
        return re.fullmatch(pattern, name.lower()) is not None

    floats, feature = float_dtype, f"{name}.features"
    if is_(r"(.*_)?(edge_index|edges)"):
        return Slot(name, ("pair", "edges"), torch.int64, settled=True)
    if is_(r"(.*_)?edge_(attrs?|features?|feats?)"):
        return Slot(name, ("edges", feature), floats, settled=True)
    if is_(r"(.*_)?edge_(types?|weights?|norm)"):
        return Slot(name, ("edges",), torch.int64 if is_(r".*types?") else floats, settled=True)
    if is_(r"batch|batch_(index|idx|indices)") and not first and takes_edges(model):
        return Slot(name, (BATCH,), torch.int64, fill="zeros", settled=True)
    if is_(r"(.*_)?adj(acency)?(_matrix|_mat)?"):
        return Slot(name, (BATCH, BATCH), floats, fill="ones")
    if is_(r"(.*_)?(padding_mask|pad_mask)"):
        return Slot(name, (BATCH, LENGTH), torch.bool, fill="zeros")
    if is_(r"attn_mask|src_mask|tgt_mask|memory_mask|causal_mask"):
        return Slot(name, (LENGTH, LENGTH), torch.bool, fill="alternate")
    if is_(r"(.*_)?attention_mask"):
        return Slot(name, (BATCH, LENGTH), torch.int64, fill="ones")
    if is_(r"(.*_)?masks?(_.*)?"):
        return Slot(name, (BATCH, LENGTH), torch.bool, fill="alternate")
    if is_(LENGTHS):
        return Slot(name, (BATCH,), torch.int64, fill="length", settled=True)
    if is_(r"offsets?"):
        return Slot(name, (BATCH,), torch.int64, fill="steps")
    if is_(TIME) and not first:
        return Slot(name, (BATCH,), floats if is_("sigmas?|noise_level|log_snr") else torch.int64, fill="random")
    if is_(IMAGES):
        return Slot(name, (BATCH, feature, HEIGHT, WIDTH), floats)
    if is_(WAVES):
        return Slot(name, (BATCH, SAMPLES), floats)
    if is_(TOKENS) and has_embedding(model):
        return Slot(name, (BATCH, LENGTH), torch.int64)
    if is_(LABELS) and not first:
        return Slot(name, (BATCH,), torch.int64)
    if not first:
        for pattern, value in SCALARS.items():
            if is_(pattern):
                return Slot(name, None, value=value)
    return None


def takes_edges(model: nn.Module) -> bool:
    """Whether forward takes a graph: its nodes are then the samples, and `batch` says of each to which graph it belongs."""
    return "edge_index" in getattr(inspect.unwrap(forward_of(type(model))), "__code__", propose.__code__).co_varnames


def has_embedding(model: nn.Module) -> bool:
    """Whether the model looks anything up."""
    return any(isinstance(module, (nn.Embedding, nn.EmbeddingBag)) for module in model.modules()) or not any(
        isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d)) for module in model.modules()
    )


def first_layer(model: nn.Module) -> nn.Module | None:
    """The first layer with weights, in the order of construction."""
    return next((module for module in model.modules() if isinstance(module, LAYERS)), None)


CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
SEQUENCE = (nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.Transformer)
NORMALIZATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm)
TABLES = (nn.Embedding, nn.EmbeddingBag)
LAYERS = (*CONVOLUTIONS, *SEQUENCE, *NORMALIZATIONS, *TABLES, nn.Linear)


def by_layers(name: str, model: nn.Module, float_dtype: torch.dtype) -> Slot:
    """A slot in the form that the model's first layer takes."""
    layer = first_layer(model)
    feature = f"{name}.features"
    if isinstance(layer, (nn.Embedding, nn.EmbeddingBag)):
        return Slot(name, (BATCH, LENGTH), torch.int64)
    if isinstance(layer, (nn.RNNBase, nn.MultiheadAttention, nn.TransformerEncoderLayer)):
        return Slot(name, (BATCH, LENGTH, feature), float_dtype)
    if isinstance(layer, (nn.Conv1d, nn.ConvTranspose1d)):
        return Slot(name, (BATCH, feature, SAMPLES), float_dtype)
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d)):
        return Slot(name, (BATCH, feature, HEIGHT, WIDTH), float_dtype)
    if isinstance(layer, (nn.Conv3d, nn.ConvTranspose3d, nn.BatchNorm3d)):
        return Slot(name, (BATCH, feature, "depth", HEIGHT, WIDTH), float_dtype)
    return Slot(name, (BATCH, feature), float_dtype)


def with_layer_sizes(proposal: Proposal, model: nn.Module) -> Proposal:
    """Sizes that the first layer suggests: its input channels, a spatial size that is usual for so many."""
    layer = first_layer(model)
    features = first_features(layer)
    sizes: dict[str, int] = {"pair": 2}
    alike = ""
    for slot in proposal.slots().values():
        stem = slot.name.rstrip("0123456789_")
        if slot.dims is not None and slot.features in slot.dims and features and alike in ("", stem):
            sizes[slot.features] = features  # what inputs of other names hold, only forward can tell
            alike = stem
    sizes.update(spatial_sizes(layer, features) if next(model.parameters(), None) is not None else MEASURES)
    return proposal.resized(sizes, pin=False)


def first_channels(model: nn.Module, axes: int) -> int:
    """The channels that the first convolution over so many axes takes; 0 where there is none."""
    kinds = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
    found = (module for module in model.modules() if axes in kinds and isinstance(module, kinds[axes]))
    return next((module.in_channels for module in found), 0)


def first_features(layer: nn.Module | None) -> int:
    """How many channels or features a layer takes; 0 if it does not say."""
    for attribute in (
        "in_channels",
        "in_features",
        "input_size",
        "embed_dim",
        "num_features",
        "num_channels",
        "d_model",
    ):
        value = getattr(layer, attribute, 0)
        if isinstance(value, int) and value > 0:
            return value
    shape = getattr(layer, "normalized_shape", ())
    return int(shape[-1]) if shape else 0


MEASURES = {HEIGHT: 32, WIDTH: 32}  # what compares images without weights of its own takes any


def spatial_sizes(layer: nn.Module | None, channels: int) -> dict[str, int]:
    """A usual spatial size: photographs have three channels, feature maps many, latent codes start at 1x1."""
    if isinstance(layer, (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)) and channels > 4:
        side = 1 if all(stride == 1 for stride in layer.stride) else 8
        return {HEIGHT: side, WIDTH: side, "depth": side, SAMPLES: side}
    if isinstance(layer, nn.Conv3d):
        return {HEIGHT: 112, WIDTH: 112, "depth": 16} if channels == 3 else {HEIGHT: 32, WIDTH: 32, "depth": 32}
    if isinstance(layer, nn.Conv1d):
        reach = layer.kernel_size[0] * layer.stride[0]
        return {SAMPLES: 16000 if channels <= 2 and reach >= 20 else 128}
    if not channels or not isinstance(layer, nn.Conv2d):
        return {}
    return {HEIGHT: usual_side(channels), WIDTH: usual_side(channels)}


def usual_side(channels: int) -> int:
    """The side of a usual image of so many channels."""
    return 224 if channels == 3 else 64 if channels <= 4 else 32


def needs(names: Iterator[str], proposal: Proposal, model: nn.Module) -> Iterator[str]:
    """Of `names`, the optional parameters of forward that are not given yet."""
    given = {argument.name for argument in proposal.arguments}
    optional = [p.name for p in parameters_of(model) if p.default is not p.empty and p.name not in given]
    for name in names:
        if name in optional:
            yield name
