"""Why a model was not checked, by class, and the one thing to do about it. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a model could not be imported, built, given inputs or traced; as words that follow its name."""

    PACKAGE = "missing package"  # what it needs of a package that is not installed
    IMPORT = "cannot be imported"  # its file, or one that this imports
    ARGUMENTS = "needs arguments"
    BUILD = "cannot be built"  # its constructor or factory raises
    FORWARD = "no forward"
    INPUTS = "no inputs"
    TRACE = "not traced"  # forward raises, or does what cannot be recorded
    CRASHED = "crashed"  # its process died
    TIME = "too slow"
    MEMORY = "too large"
    DEFECT = "netcheck failed"
    ENDED = "ended before"  # the run, by Ctrl-C

    @property
    def key(self) -> str:
        """The same for programs: "missing-package"."""
        return self.value.replace(" ", "-")


ADVICE = {
    Reason.PACKAGE: "install {packages} in the environment that netcheck runs in",
    Reason.IMPORT: "correct what the import raises",
    Reason.ARGUMENTS: "write a function without arguments that builds the model, as the help of NC002 shows",
    Reason.BUILD: "correct what the constructor raises, or write a function that builds the model",
    Reason.FORWARD: "define forward, or name the model that contains it",
    Reason.INPUTS: "give inputs, with --input or by a function netcheck_inputs() beside the model",
    Reason.TRACE: "correct what forward raises, or give inputs that fit it with --input",
    Reason.CRASHED: "run the file by itself to see why it ends",
    Reason.TIME: "give it more time with --timeout",
    Reason.MEMORY: "give it more memory with --memory, or build a smaller model",
    Reason.DEFECT: "report it together with the model",
    Reason.ENDED: "run netcheck again: what was checked is not checked twice",
}
ASSUMED = "let `netcheck init` write what was assumed into pyproject.toml, and correct it there"


@dataclass(frozen=True, slots=True)
class Unchecked:
    """That a model was not checked.

    Attributes:
        reason: why, by class.
        package: the missing one, where that is the reason.
        assumed: whether it was built from arguments that netcheck assumed, and those may be what is wrong.
    """

    reason: Reason
    package: str = ""
    assumed: bool = False


def advice(group: list[Unchecked]) -> str:
    """The one thing to do about models that were not checked for one reason; at least one."""
    if all(one.assumed for one in group):
        return ASSUMED
    packages = list(dict.fromkeys(one.package for one in group if one.package))
    return ADVICE[group[0].reason].format(packages=", ".join(packages) or "it")
