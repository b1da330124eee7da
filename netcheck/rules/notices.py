"""NC0: what netcheck says about the check itself. The engine reports these; none has anything to run.

A model with NC001, NC002, NC003, NC004 or NC007 and nothing else was not checked: it is counted as that, by reason, in every
format. The exit code is 2 if fewer models were checked than `--require` asks for; else these are findings like others, by
their severity.
"""

from __future__ import annotations

from netcheck.findings import Severity
from netcheck.rules.base import Fixable, Notice

SPELLING = Fixable(
    "mend what keeps it from running: a misspelt `forward` or `__init__`, a missing `super().__init__()`", safe=False
)


class CannotLoad(Notice):
    """A file could not be imported, or a model could not be built from it.

    ## Why is this bad?
    Nothing of the model was checked. netcheck runs the code that it checks: the file is imported and the
    model is built as your own program would build it. What the model does not need may fail there (a package that is not
    installed, a data file that is not there): it is left out, and named in the report. This is something that it needs.
    A run in which no model could be checked ends with exit code 2; with `--require all`, one in which any could not.

    ## What to do
    Run netcheck in the environment in which the model runs. The message names the exception and the line that raised it,
    or the package that is not installed. Work that belongs to a script (training, downloads, reading files that only one
    machine has) should stand under `if __name__ == "__main__":`.
    """

    code = "NC001"
    name = "cannot-load"
    severity = Severity.ERROR
    plain = "It could not be imported or built, so nothing of it was checked"
    fixable = SPELLING


class NeedsArguments(Notice):
    """A module class cannot be built without arguments, so it was not checked.

    ## Why is this bad?
    netcheck looks for arguments in the calls and configurations of the project, in annotations, defaults and docstrings, and
    in what the class does with them. None that it found builds a model whose forward runs. Where another model builds the
    class, it is checked as a part of that one.

    A class that netcheck came upon by itself is only information, but it is counted as not checked: `--require all` fails the
    run. One that you named is a warning.

    ## What to do
    The help shows the call with the values that were found; `...` stands for what is missing. Complete it as a function
    without arguments that builds the model as you use it, in the same file:

    ```python
    def netcheck_model() -> nn.Module:
        return Block(channels=64, stride=2)
    ```

    Or give the arguments in pyproject.toml, in `[[tool.netcheck.model]]`; `netcheck init` writes there what was assumed.
    """

    code = "NC002"
    name = "needs-arguments"
    severity = Severity.WARNING
    plain = "It cannot be built without arguments that nobody gave, so it was not checked"


class CannotRun(Notice):
    """The model's forward raised on the example inputs, or did something that cannot be recorded.

    ## Why is this bad?
    The model was built but not traced, so no rule could look at it. Either the example inputs do not fit the
    model, or the model does not run at all.

    ## What to do
    The message names the operation, the shapes that it met and the line of forward that ran it. If the shapes
    are not those that you train on, give your own: `--input 8x3x32x32`, once for each argument of forward, or
    `--input ids=long:8x128` by name. From Python: `netcheck.check(model, inputs)`.
    """

    code = "NC003"
    name = "cannot-run"
    severity = Severity.ERROR
    plain = "Its forward does not run on these inputs, so nothing of it was checked"
    fixable = SPELLING


class NoInputs(Notice):
    """No example input was given, and none could be inferred.

    ## Why is this bad?
    netcheck has to run forward once to see what the model does, and it does not know with what. Of a module without parameters
    that nobody named, such as a loss or the decoding of boxes, it is information.

    ## What to do
    Give an input for each argument of forward: its sizes with the batch first (`--input 8x3x32x32`), its type
    where that is not float32 (`--input long:8x128`), its name where it has one (`--input mask=bool:8x128`).
    From Python: `netcheck.check(model, inputs)` with a tensor, a tuple of positional or a dict of keyword
    arguments.
    """

    code = "NC004"
    name = "no-inputs"
    severity = Severity.WARNING
    plain = "It needs an example input that nobody gave, so it was not checked"
    fixable = SPELLING


class ValueDependentPath(Notice):
    """Forward looks at the values of its tensors, so only the way that it took this once was checked.

    ## Why is this bad?
    It need not be. But `if x.sum() > 0:` has two ways, and `for _ in range(int(n)):` has many: what stands on
    the others was not seen. Such a model runs with real tensors instead of fake ones, so the check is also
    slower, and the values of the example inputs matter.

    ## What to do
    Give inputs that take the way that you want checked, or check the branches as models of their own.
    """

    code = "NC005"
    name = "value-dependent-path"
    severity = Severity.INFO
    plain = "Its way depends on the values of its tensors: only the way that it took this once was checked"


class CannotProbe(Notice):
    """The model was traced, but running it forward and backward for real failed.

    ## Why is this bad?
    Its gradients were not measured, so what the static rules found stays a suspicion. What can go wrong: too little
    memory even for two samples, more work than a CPU does in a minute, parameters without values (the meta device),
    an operation that cannot be differentiated, inputs of a form that random numbers do not have.

    Where forward runs on the inputs as they are and PyTorch's own backward raises, no step of training is possible: the
    finding is then a confirmed error, and names the operation that overwrites what another one keeps for its gradient.

    Where somebody asks how a batch splits over devices, and whether samples mix cannot be told (random numbers that forward
    draws by itself, other operations at another batch size), this says so too.

    ## What to do
    The message says what failed. Probe where there is a GPU (`--device cuda`), check a small configuration of the same
    architecture, or give inputs of your own. `--no-probe` leaves the measurement out.
    """

    code = "NC006"
    name = "cannot-probe"
    severity = Severity.INFO
    plain = "Its structure was checked, but running it for real failed, so its gradients are not known"
    explained_by = ("NC907",)


class Crashed(Notice):
    """The process that ran the model died, or took longer than `--timeout`.

    ## Why is this bad?
    Nothing that this target holds was checked. netcheck runs the code that it checks in a process of its own,
    so a crash there ends neither netcheck nor the checks of other targets.

    ## What to do
    Import the file and run the model's forward by hand: what ends netcheck's process will end that one too.
    Raise `--timeout` for a model that only takes long to build. A process that was killed by signal 9 most
    likely ran out of memory: give smaller inputs with `--input`.
    """

    code = "NC007"
    name = "crashed"
    severity = Severity.ERROR
    plain = "Its process died or took too long, so it was not checked"


class UnusedSuppression(Notice):
    """An ignore comment, or a part of one, that suppresses nothing.

    ## Why is this bad?
    It says that something is wrong where nothing is, and it would hide the fault the day there is one.

    ## What it does
    Where the rule was run on the code that the comment is about, and found nothing there in any model of the run. A
    comment in a class that several files use is only judged when the files with these models are checked together:
    `netcheck src/` rather than one file.

    ## What to do
    Remove the comment, or what is named as unused from it. If the finding is still there, the comment is on the wrong
    line: it belongs on the line that the finding points to, on the line of forward that runs the part, on the first line
    of the class, or alone on the line above one of these.
    """

    code = "NC009"
    name = "unused-suppression"
    severity = Severity.INFO
    plain = "A comment asks to ignore what was not found"


class RuleFailed(Notice):
    """A rule raised an exception on this model; what the other rules found stands.

    ## Why is this bad?
    What the rule looks for was not looked for. This is a defect of the rule, not of your model. Where netcheck fails before
    the rules, as it infers inputs or traces, or in a real pass, it says so in the same way; what fails later is among what
    was skipped.

    ## What to do
    Report it together with the model. `--ignore` with the rule's code checks the model without it.
    """

    code = "NC008"
    name = "rule-failed"
    severity = Severity.WARNING
    plain = "A rule of netcheck failed on it: what the others found stands"
