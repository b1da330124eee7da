"""The exceptions that netcheck raises.

    NetcheckError(Exception)         everything below; its text is one sentence: what, where, what to do
      +-- UsageError                 the request makes no sense: unknown rule, unreadable config (exit code 2)
      +-- LoadError       NC001      a file, class or factory raised, or does not exist
      |     +-- NeedsArguments NC002 a class cannot be built without arguments
      +-- InputError      NC004      no example input was given or could be inferred, or the one given is malformed
      +-- TraceError      NC003      forward raised, or did something that cannot be recorded
      +-- ProbeError      NC006      forward was traced, but could not be run and differentiated for real
      |     +-- AnotherWay           forward went otherwise than when it was traced
      |     +-- BackwardError        PyTorch's backward raises: as the plan of the probe has it, or whatever is done
      +-- Defect          NC008      netcheck itself failed on the model

An error keeps its cause (`raise ... from`), the model's part and the source line where these are known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from netcheck.figures.unchecked import Reason
from netcheck.findings import Location

REPORT_IT = "report this together with the model"


class NetcheckError(Exception):
    """Base of all errors that netcheck raises on purpose.

    Attributes:
        help: what to do about it, one sentence.
        location: the line of user code at fault, if known.
        module: the path of the submodule at fault ("layer1.0.conv1"), "" for the model itself.
        reason: why a model is not checked of which this is raised.
        package: the missing one, where that is the reason.
    """

    code = ""
    name = ""
    reason = Reason.BUILD
    package = ""

    def __init__(self, message: str, *, help: str = "", location: Location | None = None, module: str = "") -> None:
        super().__init__(message)
        self.help = help
        self.location = location
        self.module = module


class UsageError(NetcheckError):
    """netcheck was asked for something that makes no sense."""


class LoadError(NetcheckError):
    """A target could not be turned into a live model."""

    code = "NC001"
    name = "cannot-load"


class NeedsArguments(LoadError):
    """A module class cannot be constructed without arguments that nobody gave.

    Attributes:
        args_wanted: positional arguments that a configuration file could give, as the best try had them.
        kwargs_wanted: the same for arguments by name; both are empty if not all of them are known and plain data.
    """

    code = "NC002"
    name = "needs-arguments"
    reason = Reason.ARGUMENTS
    args_wanted: Sequence[Any] = ()
    kwargs_wanted: Mapping[str, Any] = MappingProxyType({})


class InputError(NetcheckError):
    """No usable example input: none given, none inferable, or a malformed one.

    Attributes:
        best: the inferred inputs with which forward came farthest (`load.inputs.ExampleInputs`), if any got past its
            first weights: then the model itself may be at fault.
        is_fault: whether it certainly is, as where forward uses a name that nothing defines.
    """

    code = "NC004"
    name = "no-inputs"
    reason = Reason.INPUTS
    best: Any = None
    is_fault: bool = False


class TraceError(NetcheckError):
    """The model's forward raised, or did something that cannot be recorded."""

    code = "NC003"
    name = "cannot-run"
    reason = Reason.TRACE


class ProbeError(NetcheckError):
    """The model was traced, but the real pass forward and backward failed; what the static rules found stands."""

    code = "NC006"
    name = "cannot-probe"


class AnotherWay(ProbeError):
    """Forward took another way than when it was traced: what it draws may decide."""


class BackwardError(ProbeError):
    """Forward ran, and PyTorch's backward raised.

    Attributes:
        untrainable: whether it raises for the user too: no step of training is possible.
    """

    untrainable: bool = False


class Defect(NetcheckError):
    """netcheck itself failed while it built, ran, traced or measured a model: no fault of the model."""

    code = "NC008"
    name = "rule-failed"
    reason = Reason.DEFECT
