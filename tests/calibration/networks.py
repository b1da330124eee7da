"""Small networks of five families, as people write them: well made, badly made, and all between.

    config = draw("mlp", random.Random(0))      a plain dict, to be kept beside what was measured
    model = build(config)                       reproducibly, by its seed

Families: mlp; cnn (plain and VGG-like, with pooling); rescnn (residual, several orders of sum, norm and rectifier);
transformer (encoder, norm before, after or nowhere); recurrent (nn.RNN, GRU, LSTM and cells unrolled by hand).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from netcheck.trace.behaviour import Activation
from tests.calibration.tasks import TASKS

Config = dict[str, Any]
FAMILIES = ("mlp", "cnn", "rescnn", "transformer", "recurrent")
FORMS = {"mlp": "flat", "cnn": "image", "rescnn": "image", "transformer": "steps", "recurrent": "steps"}
ON = {
    "mlp": ("digits", "waves", "friedman"),
    "cnn": ("digits", "gratings"),
    "rescnn": ("digits", "gratings"),
    "transformer": ("digits", "ledger"),
    "recurrent": ("digits", "waves", "ledger"),
}
FEATURES = {"digits": (8, 8), "waves": (24, 1), "friedman": (10, 1), "gratings": (8, 8), "ledger": (24, 2)}  # steps, channels
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "hardtanh": nn.Hardtanh,
}
INITS = ("default", "default", "xavier", "kaiming", "orthogonal", "small", "tiny", "large")


def draw(family: str, choice: random.Random) -> Config:
    """A network of a family."""
    config: Config = {"family": family, "task": choice.choice(ON[family]), "seed": choice.randrange(1000)}
    config |= {"activation": choice.choice(tuple(ACTIVATIONS)), "init": choice.choice(INITS)}
    match family:
        case "mlp":
            config |= {"depth": choice.choice((3, 5, 8, 12, 16, 24, 32)), "width": choice.choice((16, 32, 64, 128))}
            config |= {"norm": choice.choice(("none", "none", "batch", "layer")), "after": choice.random() < 0.3}
            config |= {"skip": choice.choice(("none", "none", "none", "add"))}
        case "cnn":
            config |= {"depth": choice.choice((3, 5, 8, 12, 16, 24)), "width": choice.choice((8, 16, 32))}
            config |= {"norm": choice.choice(("none", "none", "batch", "group")), "after": False, "skip": "none"}
            config |= {"pools": choice.choice((0, 1, 2)), "head": choice.choice(("flatten", "average"))}
        case "rescnn":
            config |= {"depth": choice.choice((3, 6, 10, 15)), "width": choice.choice((8, 16, 32))}
            config |= {"norm": choice.choice(("none", "batch", "batch", "group"))}
            config |= {"skip": choice.choice(("after", "before", "inside", "half", "double")), "head": "average", "pools": 0}
        case "transformer":
            config |= {"depth": choice.choice((1, 2, 4, 8, 16)), "width": choice.choice((16, 32)), "heads": choice.choice((2, 4))}
            config |= {
                "norm": choice.choice(("before", "after", "after", "none")),
                "skip": choice.choice(("add", "add", "add", "none")),
            }
        case "recurrent":
            config |= {"depth": choice.choice((1, 1, 2, 3)), "width": choice.choice((16, 32, 64)), "skip": "none"}
            config |= {
                "cell": choice.choice(("rnn", "rnn", "gru", "lstm", "by hand", "by hand")),
                "norm": choice.choice(("none", "none", "layer")),
            }
            config |= {"read": choice.choice(("last", "last", "mean")), "spread": choice.choice((1, 1, 3))}
            config["activation"] = choice.choice(("tanh", "relu"))
    return config


def build(config: Config) -> nn.Module:
    """The network of a configuration, with its initialization."""
    torch.manual_seed(config["seed"])
    model = {
        "mlp": Mlp,
        "cnn": Cnn,
        "rescnn": ResidualCnn,
        "transformer": Transformer,
        "recurrent": Recurrent,
    }[config["family"]](config)
    for module in model.modules():
        initialize(module, config)
    return model


def initialize(module: nn.Module, config: Config) -> None:
    """Draw the weights of one layer; `default` leaves what PyTorch drew."""
    if isinstance(module, nn.Linear | nn.Conv2d):
        weights, bias = [module.weight], module.bias
    elif isinstance(module, nn.RNNBase):
        weights, bias = [value for name, value in module.named_parameters() if name.startswith("weight")], None
    elif isinstance(module, nn.MultiheadAttention):
        weights, bias = [module.in_proj_weight], None
    else:
        return
    if config["init"] == "default":
        return
    if config["init"] == "advised" and config["family"] == "recurrent":
        steps_as_advised(module)
        return
    for weight in weights:
        INITIALIZERS[config["init"]](weight, config["activation"])
    if bias is not None:
        nn.init.zeros_(bias)


def spread(weight: Tensor, scale: float) -> None:
    """Normal, with a standard deviation of `scale` over the root of the fan-in."""
    nn.init.normal_(weight, std=scale / math.sqrt(weight[0].numel()))


def as_advised(weight: Tensor, activation: str) -> None:
    """As netcheck's reports say that weights in front of an activation are to be drawn."""
    behaviour = Activation(ACTIVATIONS[activation]())
    if behaviour.saturates:
        nn.init.xavier_uniform_(weight, behaviour.gain)
    else:
        spread(weight, behaviour.gain)


def steps_as_advised(module: nn.Module) -> None:
    """As netcheck's reports say for recurrent nets; of a cell by hand the square layers lead from state to state."""
    for name, value in module.named_parameters():
        if value.dim() < 2:
            nn.init.zeros_(value)
            if isinstance(module, nn.LSTM) and "ih" in name:
                nn.init.ones_(value.data[module.hidden_size : 2 * module.hidden_size])
        elif "hh" in name or (isinstance(module, nn.Linear) and value.shape[0] == value.shape[1]):
            for gate in value.data.split(value.shape[1]):
                nn.init.orthogonal_(gate)
        else:
            nn.init.xavier_uniform_(value)


INITIALIZERS: dict[str, Callable[[Tensor, str], Any]] = {
    "xavier": lambda weight, activation: nn.init.xavier_uniform_(weight),
    "kaiming": lambda weight, activation: nn.init.kaiming_normal_(weight),
    "orthogonal": lambda weight, activation: nn.init.orthogonal_(weight, 2**0.5 if activation in ("relu", "leaky relu") else 1.0),
    "small": lambda weight, activation: spread(weight, 0.5),
    "tiny": lambda weight, activation: nn.init.normal_(weight, std=0.01),
    "large": lambda weight, activation: spread(weight, 3.0),
    "advised": as_advised,
}


def normalized(kind: str, width: int, *, image: bool = False) -> list[nn.Module]:
    """A norm over so many features, or none."""
    match kind:
        case "batch":
            return [nn.BatchNorm2d(width) if image else nn.BatchNorm1d(width)]
        case "layer":
            return [nn.LayerNorm(width)]
        case "group":
            return [nn.GroupNorm(4, width)]
    return []


class Mlp(nn.Module):
    """Equal hidden layers between an input and an output layer, with or without skips around pairs of them."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        steps, channels = FEATURES[config["task"]]
        width, act = config["width"], ACTIVATIONS[config["activation"]]
        self.skip = config["skip"] == "add"
        self.stem = nn.Sequential(nn.Linear(steps * channels, width), *self.follow(config), *([] if self.skip else [act()]))
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), *self.order(self.follow(config), act(), config))
            for _ in range(config["depth"] - 2)
        )
        self.head = nn.Linear(width, TASKS[config["task"]].outputs)

    def follow(self, config: Config) -> list[nn.Module]:
        return normalized(config["norm"], config["width"])

    def order(self, norm: list[nn.Module], act: nn.Module, config: Config) -> list[nn.Module]:
        return [act, *norm] if config["after"] else [*norm, act]

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x) if self.skip else block(x)
        return self.head(x)


class Cnn(nn.Module):
    """Convolutions of 3 x 3, with maximum pooling where it is due, and the width doubles after it; with or without skips."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, act, stages, channels, side = config["width"], ACTIVATIONS[config["activation"]], [], 1, 8
        due = [round((number + 1) * config["depth"] / (config["pools"] + 1)) for number in range(config["pools"])]
        for number in range(config["depth"]):
            stage = [nn.Conv2d(channels, width, 3, padding=1), *normalized(config["norm"], width, image=True), act()]
            stages.append(Around(*stage) if config["skip"] == "add" and channels == width else nn.Sequential(*stage))
            channels = width
            if number + 1 in due:
                stages.append(nn.MaxPool2d(2))
                width, side = 2 * width, side // 2
        self.features = nn.Sequential(*stages)
        outputs = TASKS[config["task"]].outputs
        if config["head"] == "flatten":
            self.head = nn.Sequential(nn.Flatten(), nn.Linear(channels * side * side, outputs))
        else:
            self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class Around(nn.Sequential):
    """Layers, and an identity around them."""

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


class Block(nn.Module):
    """Two convolutions and an identity around them.

    The order: the activation "after" the sum (He et al. 2015), norm and activation "before" each layer (2016), the last
    activation "inside" the branch, a sum that is "half" the two, an identity that is "double".
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, self.order, act = config["width"], config["skip"], ACTIVATIONS[config["activation"]]

        def layer(*, last: bool) -> list[nn.Module]:
            conv, norm = nn.Conv2d(width, width, 3, padding=1), normalized(config["norm"], width, image=True)
            if self.order == "before":
                return [*norm, act(), conv]
            return [conv, *norm] if last and self.order != "inside" else [conv, *norm, act()]

        self.branch = nn.Sequential(*layer(last=False), *layer(last=True))
        self.act = act()

    def forward(self, x: Tensor) -> Tensor:
        if self.order in ("before", "inside"):
            return x + self.branch(x)
        return self.act(
            {"after": x + self.branch(x), "half": 0.5 * (x + self.branch(x)), "double": 2 * x + self.branch(x)}[self.order]
        )


class ResidualCnn(nn.Module):
    """A stem, equal residual blocks, and an average."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config["width"]
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        self.blocks = nn.Sequential(*(Block(config) for _ in range(config["depth"])))
        self.norm = nn.Sequential(*normalized(config["norm"], width, image=True)) if config["skip"] == "before" else nn.Identity()
        self.head = nn.Linear(width, TASKS[config["task"]].outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.blocks(self.stem(x))).mean((2, 3)))


class Layer(nn.Module):
    """Attention, then two fully connected layers, each with or without an identity around it and a norm before or after."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config["width"]
        self.place, self.skip = config["norm"], config["skip"] == "add"
        self.attention = nn.MultiheadAttention(width, config["heads"], batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), ACTIVATIONS[config["activation"]](), nn.Linear(4 * width, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) if self.place != "none" else nn.Identity() for _ in range(2))

    def around(self, x: Tensor, branch: Callable[[Tensor], Tensor], norm: nn.Module) -> Tensor:
        y = branch(norm(x) if self.place == "before" else x)
        y = x + y if self.skip else y
        return norm(y) if self.place == "after" else y

    def forward(self, x: Tensor) -> Tensor:
        x = self.around(x, lambda y: self.attention(y, y, y, need_weights=False)[0], self.norms[0])
        return self.around(x, self.mlp, self.norms[1])


class Transformer(nn.Module):
    """An encoder with trained positions, read by its mean."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        steps, channels = FEATURES[config["task"]]
        width = config["width"]
        self.embed = nn.Linear(channels, width)
        self.positions = nn.Parameter(0.5 * torch.randn(steps, width))
        self.layers = nn.Sequential(*(Layer(config) for _ in range(config["depth"])))
        self.norm = nn.LayerNorm(width) if config["norm"] == "before" else nn.Identity()
        self.head = nn.Linear(width, TASKS[config["task"]].outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.layers(self.embed(x) + self.positions)).mean(1))


class Recurrent(nn.Module):
    """Recurrent layers over the steps, each step `spread` times; read at the end or on average."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, cell = config["width"], config["cell"]
        channels = FEATURES[config["task"]][1]
        self.spread, self.read, self.by_hand = config["spread"], config["read"], cell == "by hand"
        depth = config["depth"]
        if self.by_hand:
            self.enter = nn.ModuleList(nn.Linear(width if i else channels, width) for i in range(depth))
            self.carry = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
            each = config["norm"] == "steps"
            self.norms = nn.ModuleList(nn.LayerNorm(width) if each else nn.Identity() for _ in range(depth))
            self.act = ACTIVATIONS[config["activation"]]()
        elif cell == "rnn":
            self.layers = nn.RNN(channels, width, depth, nonlinearity=config["activation"], batch_first=True)
        else:
            self.layers = (nn.GRU if cell == "gru" else nn.LSTM)(channels, width, depth, batch_first=True)
        self.norm = nn.LayerNorm(width) if config["norm"] == "layer" else nn.Identity()
        self.head = nn.Linear(width, TASKS[config["task"]].outputs)

    def unrolled(self, x: Tensor) -> Tensor:
        for enter, carry, norm in zip(self.enter, self.carry, self.norms, strict=True):
            state, states = x.new_zeros(len(x), carry.out_features), []
            for step in enter(x).unbind(1):
                state = self.act(norm(step + carry(state)))
                states.append(state)
            x = torch.stack(states, 1)
        return x

    def forward(self, x: Tensor) -> Tensor:
        x = x.repeat_interleave(self.spread, 1)
        x = self.unrolled(x) if self.by_hand else self.layers(x)[0]
        return self.head(self.norm(x[:, -1] if self.read == "last" else x.mean(1)))
