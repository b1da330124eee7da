"""What an argument may be, where nobody says: by its annotation, by what the constructor does with it, by its name.

    in_channels                     3              its name
    c -> nn.Conv2d(c, 8, 3)         3              its role
    widths -> widths[2]             [64, 64, 64]   it is indexed
    mode: Literal["sum", "mean"]    "sum"          its annotation
    act -> if act == "gelu"         "gelu"         what it is compared with
    norm -> norm(64)                nn.BatchNorm2d it is called, and its name
    encoder                         Encoder(...)   a class of the same file has that name

Small sizes, which divide each other: 64 wide, 4 heads, 2 layers.
"""

from __future__ import annotations

import enum
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from netcheck.load.construction.given import ONES, Given, made, plain
from netcheck.source.construction.uses import Uses

WIDTH = 64
NO_MODEL = "nn.Identity()"  # where a module is wanted, and nothing is known of it

# fmt: off
NAMES: tuple[tuple[Any, str], ...] = (  # the first with a pattern that fits the whole name in lower case
    (3, r"""(num_)?input_?nc  in_?ch(an|annel)?s?  (num_)?(input_|image_|img_)?ch(an)?nels?(_in)?  in_?planes?
            n_?colou?rs?  c_in  nc  (img|image|input)_?ch(an|annel)?s?  num_channels  n_?channels  in_c"""),
    (10, r"""(num|n)?_?(out(put)?_)?class(es)?(_num)?  n_?cls  num_?labels?  n_?labels?  n_?class  c_out
             num_?categor(y|ies)  n_?ways?"""),
    (16, r"""out_?ch(an|annel)?s?  (num_)?output_?nc  out_?planes?  out_c  growth_?rate  planes"""),
    (100, r"""(num_)?(n_?)?vocab(ulary)?_?(size|len|length)?  n_?tokens?  num_?tokens?  num_?embeddings?  dict_?size
              n_?words?  (src|trg|tgt|source|target|input|output)_?vocab(_?size)?  n_(src|trg|tgt)_vocab
              alphabet_?size  n_?chars?  num_?chars  num_?(users?|items?|entit(y|ies)|relations?)
              n_?(users?|items?|entities|relations)"""),
    (0, r"""(\w+_)?pad(ding)?(_?(idx|id|token|index))?  (\w+_)?(idx|index)
            (\w+_)?(sos|bos|eos|unk|mask|cls|clf)_?(idx|id|token|index)"""),
    (4, r"""(?!.*drop).*heads?(_num)?  n_?head  num_?head"""),
    (2, r"""
            (num|n)_?(\w+_)?(layers?|blocks?|stages?|levels?|flows?|steps?|stacks?)
            .*depth  e_layers  d_layers  n_?layers?  layers?  .*_layers?  .*num_?blocks?  repeats?  n_?res(blocks?)?
            block_?num"""),
    (0.1, r"""(.*_)?drop(out|_?rate|_?prob|_?path)?s?(_?(rate|prob|p|ratio))?  p  keep_?prob  .*dropout.*"""),
    (3, r"""kernel(_?(size|height|width)s?)?  k(er)?n?_?sizes?  k  filter_?(size|height)  ks  .*kernel_?(size|height)"""),
    (1, r"""strides?  dilation(s)?  groups?  padding  expansion  width_?mult(iplier)?  factor  ratio  multiplier
            batch_?size  num_?groups?"""),
    (4, r"""patch_?(size|len)  window_?size"""),
    (32, r"""(img|image|input|crop)_?(size|res|resolution|height|width|h|w)  resolution  im_?size
             ((img|image)_?width|height)
             (max_?)?(\w+_)?(seq(uence)?|context|block|sentence|position|memory)_?(len|length|size|window)?s?
             .*len(gth)?  max_?(position(s|_embeddings)?|steps?)  n_?positions?  time_?steps?  horizon  seq  n_?ctx
             n_?frames"""),
    (1e-5, r"""eps(ilon)?  .*_eps"""),
    (0.1, r"""momentum  .*_momentum  bn_mom"""),
    (1e-3, r"""learning_?rate  lr  weight_?decay  wd"""),
    (0.5, r"""alpha  beta  gamma  lam(bda)?_?  temperature  temp  tau  scale  sigma  std  margin  max_?action
              .*_?weight  .*_?coef  .*_ratio  slope  negative_slope  lambd  .*_scale"""),
    (16, r"""(state|obs|observation|input)s?_?(dim|shape|size|space)s?  n_?states?  n_?obs  (num_)?inputs?
             in_?(dim|features?|size)  n_?(feat|features|inputs?)  num_?features?  nfeat  n_?in  input_?dims?  d_?in
             dim_?in  feature_?dim  input"""),
    (4, r"""(action|act)s?_?(dim|size|shape|space)s?  n_?actions?  num_?actions?  num_?outputs?  n_?outputs?
            action_?num"""),
    (10, r"""out(put)?_?(dim|features?|size)s?  n_?out  d_?out  dim_?out  output"""),
    (True, r"""bias  affine  batch_?first  track_.*  learn.*"""),
    (False, r"""(use|is|has|with|no|do|apply|add|return|enable|share|tie)_.*  bidirectional  bi  debug  verbose
                pretrained  .*_?only  freeze.*  training  train  residual  causal  .*_?flag  checkpoint.*  deterministic
                distributed"""),
    ("cpu", r"""device  .*_device"""),
    (WIDTH, r"""
                .*(size|dim|width|features?|units?|hidden|channels?|filters?|embed.*|emb|d_?model|latent.*|nhid|ninp|nz)
                n?[gd]f  .*rank  n_?mels  code.*  h  z  dims?"""),
)
COMPILED = tuple((re.compile("|".join(patterns.split())), value) for value, patterns in NAMES)
ROLES: dict[str, Any] = {
    "in_channels": 3, "out_channels": 16, "kernel_size": 3, "stride": 1, "padding": 1, "dilation": 1, "groups": 1,
    "in_features": WIDTH, "out_features": WIDTH, "num_embeddings": 100, "embedding_dim": WIDTH, "padding_idx": 0,
    "num_features": WIDTH, "normalized_shape": WIDTH, "num_groups": 4, "num_channels": WIDTH, "input_size": WIDTH,
    "hidden_size": WIDTH, "num_layers": 2, "embed_dim": WIDTH, "num_heads": 4, "d_model": WIDTH, "nhead": 4,
    "dim_feedforward": 2 * WIDTH, "dropout": 0.1, "p": 0.1, "negative_slope": 0.2, "count": 2, "size": 16,
    "upscale_factor": 2, "dim": 1, "eps": 1e-5, "momentum": 0.1, "bias": True,
}
# fmt: on
MODULE_PARTS = frozenset(
    "parameters named_parameters modules children named_children state_dict forward out_channels in_channels out_features "
    "in_features weight bias embedding_dim fc features layer1 layer2 layer3 layer4 conv1 bn1 eval train to requires_grad_".split()
)
TEXT_PARTS = frozenset("lower upper split startswith strip endswith replace".split())
LINEAR_PARTS = frozenset("weight bias in_features out_features".split())
TENSOR_PARTS = frozenset("shape numel ndim view reshape".split())
ACTIVATIONS = re.compile(r".*(act|nonlin|relu|nl|sigma).*")
SPACES = re.compile(r"(action|act|ac|observation|obs|ob|state)_space")
MODULES = re.compile(
    r"(base_?|inner_?|sub_?)?(model|module|net|network|backbone|encoder|decoder|embedder|layer|block|submodule|head|generator|"
    r"discriminator|actor|critic|trunk|stem|transformer|feature_extractor)"
)
IMAGE_SHAPES = re.compile(r"((input|in|obs|observation|state|image|img|frame)s?_?)?shape")
IMAGE = (3, 64, 64)
WORD = re.compile(r".*(mode|type|kind|name|activation|method|backbone|arch)")
NORMS = re.compile(r".*(norm|bn).*")
SEQUENCES = (list, tuple, Sequence, set)
Nested = Callable[[type], "Given | None"]


def guessed(name: str, annotation: Any, use: Uses, classes: dict[str, type], nested: Nested) -> Given | None:
    """The likeliest value for a parameter or option; None where nothing is likely.

    Args:
        name: of the parameter, or the last part of the option's path.
        annotation: its annotation as an object, `inspect.Parameter.empty` if it has none.
        use: what the constructor does with it.
        classes: the model classes that the class's file knows, by name in lower case.
        nested: gives a model of another class.
    """
    found = by_annotation(name, annotation, use, classes, nested)
    return found if found is not None else by_use(name, use, classes, nested)


def by_annotation(name: str, annotation: Any, use: Uses, classes: dict[str, type], nested: Nested) -> Given | None:
    """What an annotation says."""
    origin, arguments = typing.get_origin(annotation) or annotation, typing.get_args(annotation)
    if annotation is inspect.Parameter.empty or annotation is Any:
        return None
    if origin is typing.Literal:
        return plain(arguments[0])
    if origin in (typing.Union, types.UnionType):
        if type(None) in arguments and not (use.roles or use.items or use.iterated or use.attributes):
            return plain(None)
        inner = next((one for one in arguments if one is not type(None)), Any)
        return by_annotation(name, inner, use, classes, nested)
    if not isinstance(origin, type):
        return None
    if origin is type(None):
        return plain(None)
    if issubclass(origin, enum.Enum):
        member = next(iter(origin))
        return made(lambda: member, str(member))
    if origin is torch.device:
        return made(lambda: torch.device("cpu"), "torch.device('cpu')")
    if issubclass(origin, nn.Module):
        return module(name, origin, use, classes, nested)
    if issubclass(origin, bool):
        return plain(number_by_name(name) is True)
    if issubclass(origin, str):
        return text(name, use)
    if issubclass(origin, float):
        value = number_by_name(name)
        return plain(value if isinstance(value, float) else 0.5)
    if issubclass(origin, int):
        value = number(name, use)
        return plain(value if type(value) is int else 1)
    if origin in SEQUENCES or issubclass(origin, list | tuple):
        return sequence(name, use, tuple if issubclass(origin, tuple) else list, arguments)
    return plain({}) if issubclass(origin, dict) and not use.attributes else None


def by_use(name: str, use: Uses, classes: dict[str, type], nested: Nested) -> Given | None:
    """What the constructor does with a value says, and then its name."""
    if SPACES.fullmatch(name.lower()):
        return space(name)
    if any(role.endswith(".buffer") for role in use.roles):
        return tensor()
    attributes = set(use.attributes) - TEXT_PARTS
    strings = [one for one in (*use.compared, *use.keyed) if isinstance(one, str)]
    if strings and not attributes:
        return plain(strings[0])
    if use.called or use.made:
        return callee(name, use, classes, nested)
    if attributes and attributes <= TENSOR_PARTS:
        return tensor()
    is_named = MODULES.fullmatch(name.lower()) and not (use.roles or use.computed or use.items or use.iterated)
    if (attributes & MODULE_PARTS or is_named) and not attributes & {"get", "items"}:
        return module(name, nn.Module, use, classes, nested)
    if attributes - {"append", "index", "copy", "keys", "items", "values"}:
        return None  # an object of options
    if set(use.attributes) & TEXT_PARTS:
        return text(name, use)
    if use.items or use.iterated or use.measured or use.unpacked:
        return sequence(name, use, list, ())
    if re.fullmatch(r"(\w+_)?mask", name.lower()) and not use.tested:
        return made(lambda: torch.ones(1), "torch.ones(1)")
    if (own := classes.get(name.lower().replace("_", ""))) is not None and not use.roles:
        found = nested(own)
        if found is not None:
            return found
    if use.compared and not use.roles and not use.computed:
        return plain(use.compared[0])
    if WORD.fullmatch(name.lower()) and not use.roles and not use.computed:
        return text(name, use)
    return plain(number(name, use))


def number(name: str, use: Uses) -> Any:
    """A number, or a bool, by the name; by the role where the name says nothing, or no more than that it is a size."""
    value = number_by_name(name)
    roles = [role.rpartition(".")[2] for role in use.roles]
    known = [ROLES[role] for role in roles if role in ROLES]
    handed = [found for role in roles if role not in ROLES and (found := number_by_name(role)) is not None]
    is_number = bool(known) or use.computed
    if value is None or (value in (True, False) and type(value) is bool and is_number):
        value = next(iter([*known, *handed]), None)
    elif known and contradicts(value, known, roles):
        value = known[0]
    if value is None:
        value = False if use.tested and not is_number else WIDTH
    return value


def contradicts(value: Any, known: list[Any], roles: list[str]) -> bool:
    """Whether a value of the name's is none for the roles: a rate for a size, the channels of an image inside a net."""
    if isinstance(value, float):
        return all(type(one) is int for one in known)
    return value == 3 and 3 not in known and not {"in_channels", "num_channels"} & set(roles)


def number_by_name(name: str) -> Any:
    """What a name usually stands for; None if it says nothing."""
    lower = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower().strip("_")
    return next((value for pattern, value in COMPILED if pattern.fullmatch(lower)), None)


def text(name: str, use: Uses) -> Given:
    """A word."""
    words = [one for one in (*use.compared, *use.keyed) if isinstance(one, str)]
    if words:
        return plain(words[0])
    lower = name.lower()
    if "device" in lower:
        return plain("cpu")
    return plain("relu" if ACTIVATIONS.fullmatch(lower) else "batch" if NORMS.fullmatch(lower) else "default")


def sequence(name: str, use: Uses, kind: type, arguments: Sequence[Any]) -> Given:
    """Several numbers: as many as are taken apart, indexed, or annotated."""
    if IMAGE_SHAPES.fullmatch(name.lower()) and use.iterated and not use.unpacked and not use.length and not arguments:
        return plain(kind(IMAGE))  # `torch.zeros(1, *input_shape)`
    indices = [one for one in use.items if isinstance(one, int)]
    fixed = [one for one in arguments if one is not Ellipsis]
    length = use.unpacked or use.length or (max(indices) + 1 if indices and min(indices) >= 0 else 2)
    if kind is tuple and len(fixed) > 1 and len(fixed) == len(arguments):
        length = len(fixed)
    value = number(re.sub(r"s$", "", name), use)
    value = WIDTH if isinstance(value, bool) or (float in fixed and not isinstance(value, float)) else value
    if fixed and fixed[0] is float:
        value = float(value) if value != WIDTH else 0.5
    return plain(kind([value] * max(1, length)))


def callee(name: str, use: Uses, classes: dict[str, type], nested: Nested) -> Given | None:
    """A class or function that is called."""
    lower = name.lower()
    if NORMS.fullmatch(lower):
        return made(lambda: nn.BatchNorm2d, "nn.BatchNorm2d") if use.made else made(nn.Identity, NO_MODEL)
    if ACTIVATIONS.fullmatch(lower):
        return made(lambda: nn.ReLU, "nn.ReLU") if use.called and not use.roles else made(nn.ReLU, "nn.ReLU()")
    own = classes.get(lower.replace("_", ""))
    if own is not None:
        found = nested(own)
        if found is not None:
            return found
    return made(nn.Identity, NO_MODEL)


def module(name: str, kind: type, use: Uses, classes: dict[str, type], nested: Nested) -> Given | None:
    """A module of some class."""
    own = classes.get(name.lower().replace("_", "")) or having(set(use.attributes) - MODULE_PARTS, classes)
    for one in (own, kind):
        if one is not None and one is not nn.Module and not inspect.isabstract(one):
            found = nested(one)
            if found is not None:
                return found
    if ACTIVATIONS.fullmatch(name.lower()):
        return made(nn.ReLU, "nn.ReLU()")
    if LINEAR_PARTS & set(use.attributes):
        return made(lambda: nn.Linear(WIDTH, WIDTH), f"nn.Linear({WIDTH}, {WIDTH})")
    return made(nn.Identity, NO_MODEL)


def having(attributes: set[str], classes: dict[str, type]) -> type | None:
    """The first class whose objects have some attributes, by its methods and by what its constructor names."""
    for kind in classes.values() if attributes else ():
        code = getattr(kind.__init__, "__code__", None)  # type: ignore[misc]
        if attributes <= {*dir(kind), *(code.co_names if code else ())}:
            return kind
    return None


def tensor() -> Given:
    """A tensor: a mask, a table."""
    return made(lambda: torch.ones(WIDTH, WIDTH), f"{ONES}({WIDTH}, {WIDTH})")


def weights(shape: Sequence[int]) -> Given:
    """Weights of a shape, such as a table of vectors: no two rows are alike."""
    return made(lambda: torch.randn(*shape), f"torch.randn({', '.join(map(str, shape))})")


class Discrete:
    """Four actions, as an environment of gym's has them."""

    n, shape = 4, ()


class Box:
    """Observations or actions of numbers, as an environment of gym's has them."""

    shape, low, high = (8,), -1.0, 1.0


def space(name: str) -> Given:
    """A space of an environment: of actions by number, of observations as numbers."""
    return made(Discrete, "Discrete(4)") if name.lower().startswith("ac") else made(Box, "Box(8)")


def alternatives(given: Given, name: str) -> Iterator[Given]:
    """Other values to try in the place of one that did not do, the likeliest first."""
    value = given.value
    if type(value) is int:
        yield from (plain(one) for one in (WIDTH, 16, 1, 2, 4, 3, 8, 32, 128) if one != value)
        yield plain([value, value])
        yield plain([value] * 3)
        yield plain([value] * 4)
    elif type(value) is float:
        yield plain(1)
        yield plain([value, value])
    elif isinstance(value, bool):
        yield plain(not value)
        yield plain(WIDTH)
    elif isinstance(value, list | tuple) and value:
        yield from (plain(type(value)([value[0]] * length)) for length in (1, 3, 4, 5))
        yield plain(value[0])
        yield plain([type(value)(value)] * 2)
    elif isinstance(value, str):
        yield from (plain(one) for one in ("relu", "batch", "sum", "mean"))
