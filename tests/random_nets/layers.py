"""Every layer of torch.nn, with arguments drawn by their names.

    LAYERS["Conv2d"](part, (4, 8, 6, 6))     self.m1 = nn.Conv2d(8, 6, kernel_size=3, stride=2);  x = self.m1(x)

The classes are found by walking torch.nn, so that those of a newer torch come in by themselves: what has no line in CALLS is
called with `x`, and a constructor's arguments mean what their names say. What makes a shape fail is found out by trying.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable

from torch import nn

from tests.random_nets.writing import NotHereError, Part, Shape

Piece = Callable[[Part, Shape], None]

# What is no layer: bases that compute nothing, and containers, which stand in `wiring`.
NO_LAYERS = frozenset((
    "Module", "Container", "RNNBase", "RNNCellBase", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict", "Sequential",
))  # fmt: skip

# What a constructor must be given, by the argument's name; {channels} is the second dimension, {last} the last one.
REQUIRED = {
    "in_features": "{last}", "in1_features": "{last}", "in2_features": "{last}", "input_size": "{last}", "d_model": "{last}",
    "embed_dim": "{last}", "normalized_shape": "{last}", "out_features": "{width}", "hidden_size": "{width}",
    "num_features": "{channels}", "num_channels": "{channels}", "in_channels": "{channels}", "out_channels": "{width}",
    "num_groups": "{divisor}", "groups": "{divisor}", "nhead": "{heads}", "num_heads": "{heads}", "kernel_size": "{small}",
    "padding": "1", "upscale_factor": "2", "downscale_factor": "2", "size": "2", "norm_type": "2", "threshold": "0.1",
    "value": "0.5", "scale_factor": "2", "num_embeddings": "10", "embedding_dim": "{width}", "n_classes": "10",
    "num_classes": "10", "cutoffs": "[3, 6]", "dim": "1", "unflattened_size": "(2, {channels} // 2)", "output_size": "{small}",
    "num_parameters": "{channels}",
}  # fmt: skip

# What a constructor may be given besides, with the values to choose from.
OPTIONS = {
    "stride": ("1", "2"), "dilation": ("1", "2"), "bias": ("False",), "affine": ("True", "False"), "momentum": ("None", "0.5"),
    "track_running_stats": ("True", "False"), "ceil_mode": ("True",), "count_include_pad": ("False",), "inplace": ("True",),
    "elementwise_affine": ("False",), "padding_mode": ("'reflect'", "'circular'"), "p": ("0.2",), "keepdim": ("True",),
    "negative_slope": ("0.2",), "alpha": ("0.7",), "reduction": ("'sum'", "'mean'"), "eps": ("1e-3",), "approximate": ("'tanh'",),
    "head_bias": ("True",), "div_value": ("2.0",), "full": ("True",), "swap": ("True",), "num_parameters": ("{channels}",),
    "padding_idx": ("0",), "max_norm": ("1.0",), "mode": ("'sum'", "'mean'"), "scale_grad_by_freq": ("True",), "beta": ("0.5",),
    "sparse": ("True",), "start_dim": ("1", "2"),
}  # fmt: skip

# Arguments of layers whose signatures tell too little.
SPECIAL = {
    "RNN": ("{last}, {width}, batch_first=True", "{last}, {width}, 2, nonlinearity='relu'", "{last}, {width}, bidirectional=True"),
    "GRU": ("{last}, {width}, batch_first=True", "{last}, {width}, 2, dropout=0.1", "{last}, {width}, bidirectional=True, bias=False"),
    "LSTM": ("{last}, {width}, batch_first=True", "{last}, {width}, 2, bidirectional=True", "{last}, 8, proj_size=3"),
    "MultiheadAttention": (
        "{last}, {heads}, batch_first=True", "{last}, {heads}, dropout=0.1", "{last}, {heads}, add_bias_kv=True, batch_first=True",
        "{last}, {heads}, add_zero_attn=True, bias=False", "{last}, {heads}, kdim={last}, vdim={last}, batch_first=True",
    ),
    "Transformer": ("{last}, {heads}, 1, 1, 8, batch_first=True", "{last}, {heads}, 1, 1, 8, norm_first=True, activation='gelu'"),
    "TransformerEncoder": (
        "nn.TransformerEncoderLayer({last}, {heads}, 8, batch_first=True), 2",
        "nn.TransformerEncoderLayer({last}, {heads}, 8, norm_first=True), 1, norm=nn.LayerNorm({last})",
    ),
    "TransformerDecoder": ("nn.TransformerDecoderLayer({last}, {heads}, 8, batch_first=True), 2",),
    "TransformerEncoderLayer": ("{last}, {heads}, 8", "{last}, {heads}, 8, 0.0, batch_first=True, norm_first=True"),
    "TransformerDecoderLayer": ("{last}, {heads}, 8", "{last}, {heads}, 8, batch_first=True, activation=F.gelu"),
    "Upsample": ("scale_factor=2", "size=7, mode='nearest'", "scale_factor=1.5, mode='nearest-exact'", "scale_factor=2, mode='bilinear'"),
    "UpsamplingBilinear2d": ("scale_factor=2", "size=(3, 5)"),
    "UpsamplingNearest2d": ("scale_factor=2", "5"),
    "Fold": ("(3, 4), kernel_size=(2, 1)", "(4, 4), 2, stride=(2, 1)", "(5, 3), (2, 2)"),
    "Unfold": ("2", "kernel_size=3, padding=1, stride=2"),
    "FractionalMaxPool2d": ("2, output_size=3", "2, output_ratio=0.6"),
    "FractionalMaxPool3d": ("2, output_size=2", "2, output_ratio=0.6"),
    "DataParallel": ("nn.Linear({last}, {width})",),
    "Unflatten": ("1, (2, {channels} // 2)", "-1, (1, {last})"),
    "Softmax": ("-1", "dim=1"),
    "LogSoftmax": ("-1", "dim=1"),
    "Softmin": ("-1",),
    "GLU": ("", "1"),
    "Identity": ("", "3, p=0.1"),
    "ConstantPad1d": ("1, 0.5",), "ConstantPad2d": ("(1, 0, 0, 1), 0.5",), "ConstantPad3d": ("1, 0.5",),
    "TripletMarginWithDistanceLoss": ("", "distance_function=lambda a, b: (a - b).abs().sum(-1)"),
}  # fmt: skip

# How a layer is called where `x = layer(x)` would not do.
_IDS = "(x.detach().abs() * 3).long().clamp(max=9)"
_LABELS = "torch.zeros(x.shape[0], *x.shape[2:], dtype=torch.long)"
CALLS: dict[str, tuple[str, ...]] = {
    "RNN": ("x, _ = {m}(x)", "x = {m}(x)[0]"), "GRU": ("x, h = {m}(x)", "x = {m}(x)[1].transpose(0, 1)"),
    "LSTM": ("x, (h, c) = {m}(x)", "x, _ = {m}(x, None)"),
    "RNNCell": ("x = {m}(x)",), "GRUCell": ("h = None\nfor _ in range(2):\n    h = {m}(x, h)\nx = h",),
    "LSTMCell": ("x, c = {m}(x)", "h = {m}(x)\nx, _ = {m}(x, h)"),
    "Bilinear": ("x = {m}(x, x)", "x = {m}(x, torch.tanh(x))"),
    "CosineSimilarity": ("x = x * {m}(x, torch.tanh(x)).unsqueeze(1)", "x = x * {m}(x, x)[:, None]", "x = x * {m}(x, x.flip(0)).unsqueeze(1)"),
    "PairwiseDistance": ("x = x * {m}(x, x.tanh()).mean()", "x = x / (1 + {m}(x, x.flip(0)).sum())"),
    "MultiheadAttention": (
        "x, _ = {m}(x, x, x)", "x = {m}(x, x, x, need_weights=False)[0]",
        "x, w = {m}(x, x, x, average_attn_weights=False)\nx = x * w.mean()",
        "x, _ = {m}(x, x, x, attn_mask=torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1))",
        "x, _ = {m}(x, x, x, key_padding_mask=torch.zeros(x.shape[:2], dtype=torch.bool))",
    ),
    "Transformer": ("x = {m}(x, x)", "x = {m}(x, x, tgt_mask=nn.Transformer.generate_square_subsequent_mask(x.shape[1]))"),
    "TransformerEncoder": ("x = {m}(x)", "x = {m}(x, mask=nn.Transformer.generate_square_subsequent_mask(x.shape[1]), is_causal=True)"),
    "TransformerDecoder": ("x = {m}(x, x)", "x = {m}(x, memory=x.detach())"),
    "TransformerDecoderLayer": ("x = {m}(x, x)",),
    "Embedding": (f"x = {{m}}({_IDS})",), "EmbeddingBag": (f"x = {{m}}({_IDS})", f"x = {{m}}({_IDS}.flatten(), torch.arange(0, x.numel(), x[0].numel()))"),
    "AdaptiveLogSoftmaxWithLoss": (
        "x = {m}.log_prob(x)", "x = x + {m}(x, torch.zeros(len(x), dtype=torch.long)).output.unsqueeze(1)",
        "x = x * {m}(x, torch.arange(len(x)) % 10)[1]",
    ),
    "LinearCrossEntropyLoss": ("x = x + {m}(x, torch.zeros(x.shape[:-1], dtype=torch.long))",),
    "CrossEntropyLoss": (f"x = x + {{m}}(x, {_LABELS})", "x = x + {m}(x, x.detach().softmax(1))"),
    "NLLLoss": (f"x = x + {{m}}(x.log_softmax(1), {_LABELS})",), "NLLLoss2d": (f"x = x + {{m}}(x.log_softmax(1), {_LABELS})",),
    "KLDivLoss": ("x = x + {m}(x.log_softmax(-1), x.detach().softmax(-1))",),
    "BCELoss": ("x = x + {m}(x.sigmoid(), torch.zeros_like(x))",), "BCEWithLogitsLoss": ("x = x + {m}(x, torch.ones_like(x))",),
    "GaussianNLLLoss": ("x = x + {m}(x, torch.zeros_like(x), torch.ones_like(x))",),
    "CosineEmbeddingLoss": ("x = x + {m}(x, x.tanh(), torch.ones(len(x)))",),
    "MarginRankingLoss": ("x = x + {m}(x, x.flip(0), torch.ones_like(x))",),
    "HingeEmbeddingLoss": ("x = x + {m}(x, torch.ones_like(x))",), "SoftMarginLoss": ("x = x + {m}(x, torch.ones_like(x))",),
    "MultiLabelSoftMarginLoss": ("x = x + {m}(x, torch.ones_like(x))",),
    "MultiLabelMarginLoss": ("x = x + {m}(x, torch.zeros_like(x, dtype=torch.long))",),
    "MultiMarginLoss": ("x = x + {m}(x, torch.zeros(len(x), dtype=torch.long))",),
    "TripletMarginLoss": ("x = x + {m}(x, x.tanh(), x.flip(0))",), "TripletMarginWithDistanceLoss": ("x = x + {m}(x, x.tanh(), x.flip(0))",),
    "CTCLoss": ("x = x + {m}(x.transpose(0, 1).log_softmax(-1), torch.ones(len(x), 2, dtype=torch.long), (x.shape[1],) * len(x), (2,) * len(x))",),
}  # fmt: skip
# Losses that take a prediction and a target, and nothing else.
_PLAIN_LOSSES = ("x = x + {m}(x, torch.zeros_like(x))", "x = x * {m}(x, x.detach().roll(1, 0))")
_UNPOOL = "x, places = {pool}(x)\nx = {m}(x, places)"


def layer_names() -> list[str]:
    """The public layers of torch.nn."""
    found = [name for name in dir(nn) if inspect.isclass(cls := getattr(nn, name)) and issubclass(cls, nn.Module)]
    return [name for name in found if name not in NO_LAYERS]


def words(part: Part, shape: Shape) -> dict[str, object]:
    """What the words in braces mean for a value of this shape."""
    channels, last = shape[1], shape[-1]
    one = part.draw.one
    return {
        "channels": channels,
        "last": last,
        "width": one((4, 6, 8)),
        "small": one((1, 2, 3)),
        "divisor": one([n for n in (1, 2, 4) if channels % n == 0]),
        "heads": one([n for n in (1, 2, 4) if last % n == 0]),
    }


def arguments(name: str, part: Part, meaning: dict[str, object]) -> str:
    """A constructor's arguments, as text."""
    if name in SPECIAL:
        return str(part.draw.one(SPECIAL[name])).format(**meaning)
    written = []
    for parameter in inspect.signature(getattr(nn, name).__init__).parameters.values():
        if parameter.name == "self" or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.default is parameter.empty:
            if parameter.name not in REQUIRED:
                raise NotHereError(f"nn.{name} needs {parameter.name}, and nobody knows what that is")
            text = REQUIRED[parameter.name]
        elif parameter.name in OPTIONS and part.draw.chance(0.3):
            text = part.draw.one(OPTIONS[parameter.name])
        else:
            continue
        written.append(f"{parameter.name}={text}".format(**meaning))
    return ", ".join(written)


def layer(name: str, part: Part, shape: Shape) -> None:
    """`x` through the layer of that name."""
    meaning = words(part, shape)
    member = part.member(f"nn.{name}({arguments(name, part, meaning)})")
    if name.startswith("MaxUnpool"):
        part.init.pop()
        size = meaning["small"]
        member = part.member(f"nn.{name}({size})")
        pool = part.member(f"nn.MaxPool{name[-2:]}({size}, return_indices=True)")
        part.line(_UNPOOL.format(pool=pool, m=member))
        return
    plain = _PLAIN_LOSSES if name.endswith("Loss") else ("x = {m}(x)",)
    part.line(part.draw.one(CALLS.get(name, plain)).format(m=member))


def pieces() -> dict[str, Piece]:
    """One for each layer of this torch."""
    return {f"nn.{name}": functools.partial(layer, name) for name in layer_names()}
