"""What no other input would mend: forward uses a name that nothing defines, or a module that is not there."""

from __future__ import annotations

import linecache
import re
from types import ModuleType

from netcheck.load.inference.expressions import frames_of
from netcheck.load.inference.probe import Outcome
from netcheck.load.inference.proposals import BATCH
from netcheck.load.raised import is_installed
from netcheck.load.without_gpu import lacks_gpu

# fmt: off
INDIFFERENT = frozenset((  # to how many axes stand before the last
    "linear", "relu", "relu_", "relu6", "gelu", "elu", "selu", "celu", "silu", "mish", "tanh", "sigmoid", "softplus",
    "leaky_relu", "hardtanh", "dropout", "layer_norm", "rms_norm", "add", "mul", "sub", "__add__", "__mul__",
    "__sub__", "__radd__", "__rmul__", "to", "float", "cat", "concat", "concatenate",
))
# fmt: on


BYTES = re.compile(r"only supports boolean masks, but got mask with dtype unsigned char|predicate to be bool, got torch.uint8")


def is_fault(error: BaseException | None) -> bool:
    """Whether an error is the model's own, whatever comes in."""
    if isinstance(error, ImportError) or BYTES.search(str(error)):  # no guess has bytes: forward made the mask
        return True
    if isinstance(error, AttributeError):  # `nn.Conv2D`
        return isinstance(error.obj, ModuleType) and is_installed(getattr(error.obj, "__file__", None) or "")
    if not isinstance(error, NameError) or isinstance(error, UnboundLocalError) or not error.name:
        return False
    frames = list(frames_of(error.__traceback__))
    text = "".join(linecache.getlines(frames[-1][0].f_code.co_filename)) if frames else ""
    return bool(text) and not may_define(text, error.name)


def is_hopeless(error: BaseException | None) -> bool:
    """Whether no other inputs help: a fault of the model, or a device that is not there."""
    return is_fault(error) or (error is not None and lacks_gpu(str(error)))


def is_of_the_model(outcome: Outcome) -> bool:
    """Whether a failure tells of the model and not of a guess: each input has met a weight that takes it, and let it pass."""
    tensors = [slot for slot in outcome.proposal.slots().values() if slot.dims is not None]
    return not outcome.needs_values and bool(tensors) and all(slot.name in outcome.consumers for slot in tensors)


def is_natural_failure(outcome: Outcome) -> bool:
    """Whether vectors met all weights but one: a linear layer behind them takes another number of features."""
    tensors = [slot for slot in outcome.proposal.slots().values() if slot.dims is not None]
    fails = outcome.call is not None and outcome.call.name == "linear" and any(demand.weight for demand in outcome.demands)
    return fails and is_of_the_model(outcome) and all(slot.dims == (BATCH, slot.features) for slot in tensors)


def is_accident(outcome: Outcome) -> bool:
    """Whether more axes than vectors have are of no use to anything that forward does but a concatenation along them."""
    ranks = [len(slot.dims) for slot in outcome.proposal.slots().values() if slot.dims is not None]
    return outcome.recorder.names <= INDIFFERENT and max(ranks, default=0) > 2


def may_define(text: str, name: str) -> bool:
    """Whether a file binds a name anywhere: perhaps in a part that is left out where it is not run as a script."""
    word = re.escape(name)
    imported = rf"\bimport\s+\*|\bimport\b[^\n#]*\b{word}\b"
    declared = rf"\b(def|class|global|as|for)\s+{word}\b"
    assigned = rf"(^|[\s,(;]){word}\s*(,[\w\s,]*)?(:[^=\n]+)?=(?!=)"
    return re.search("|".join((imported, declared, assigned)), text, re.MULTILINE) is not None
