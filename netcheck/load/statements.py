"""Running a user's file statement by statement, past those that are not let do what they do.

    model = Net()                        runs
    for batch in loader: ...backward()   is left out: it trains, and the model does not need it
    torch.save(model, "net.pt")          runs; the fence gives it another file to write
    subprocess.run(["make", "plots"])    is left out: the fence refuses it
    while True: env.step()               is left out after two seconds: the model does not need it
    import wandb                         binds a stand-in where that is not installed
    data = open("data.csv").read()       is left out where it fails: the model does not need it
    model.eval()                         runs
    if opt.data == "cifar": nc = 3       binds 3 where no branch was taken, and something needs it

A statement that the model needs may take as long as it likes, and its exception is the file's. The others share two seconds,
and one that fails is left out with all that hangs on it; of a file that another one imports, this holds for all.
"""

from __future__ import annotations
import __future__ as future

import ast
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from types import CodeType, TracebackType
from typing import Any

from netcheck.load import fence, operators
from netcheck.load.absent import faulty_import, stand_ins
from netcheck.load.fence.state import Halted, left_out, state, told
from netcheck.load.omit import is_consequence, omit
from netcheck.load.raised import describe
from netcheck.source.models import is_never_imported, training_line
from netcheck.source.needed import bound, needed_numbers, used
from netcheck.source.scopes import FunctionNode, first_line
from netcheck.source.spots import spot

SPARE_SECONDS = 2.0  # for all statements of a file that its models do not need
AGAIN_SECONDS = 0.2  # until one that does not end is told so again
DEFINITIONS = ast.ClassDef | FunctionNode | ast.Import | ast.ImportFrom


class OverTime(BaseException):
    """A statement that no model needs takes too long. Not an Exception: a loop must not catch it."""


class Statements:
    """The statements at the top of a file, to be run in a namespace.

    Args:
        path: the file.
        tree: what it holds.
        namespace: of its module.
        symbols: what is wanted of it; none: everything.
    """

    def __init__(self, path: str, tree: ast.Module, namespace: dict[str, Any], symbols: Sequence[str] = ()) -> None:
        self.path = path
        self.tree = tree
        self.body = tree.body
        self.namespace = namespace
        self.symbols = symbols
        self.wanted = {symbol.partition(".")[0] for symbol in symbols}
        self.flags = future_flags(tree)
        numbers = needed_numbers(tree, symbols) if symbols else set(range(len(tree.body)))
        self.needed = {id(statement) for number, statement in enumerate(tree.body) if number in numbers}
        self.vital = self.needed if symbols else set()  # those whose exceptions are the file's
        known = ((id(one), training_line(one, tree)) for one in tree.body if state.closed)
        self.training = {statement: line for statement, line in known if line}
        self.missing: set[str] = set()  # names that statements which were left out would have bound
        self.failure: BaseException | None = None  # the first for which a statement was left out
        self.spare = SPARE_SECONDS

    def run(self, code: CodeType | None = None) -> None:
        """Run them in order.

        Args:
            code: all of them compiled, where somebody has that.

        Raises:
            BaseException: whatever one raises that cannot be left out; or that was left out, where a symbol is then nowhere.
        """
        for group in self.groups():
            if self.matters(group[0]):
                self.run_group(group, code=code if len(group) == len(self.body) else None)
            else:
                self.run_spare(group)
        for name in constants_of_branches(self.tree) if state.closed else ():
            self.bind_untaken(name)  # what is built later may read it
        if self.failure is not None and not self.wanted <= self.namespace.keys() | self.missing:
            raise self.failure

    def matters(self, statement: ast.stmt) -> bool:
        """Whether a statement may take its time: the models need it, or it defines something."""
        if isinstance(statement, ast.While):
            return not self.symbols  # one that does not end by itself is a simulation or a server, not a definition
        return id(statement) in self.needed or isinstance(statement, DEFINITIONS)

    def groups(self) -> Iterator[list[ast.stmt]]:
        """Runs of statements that matter, and of those that do not, without those that are known to train."""
        group: list[ast.stmt] = []
        for statement in self.body:
            line = self.training.get(id(statement), 0)
            if line and not self.matters(statement):
                self.leave_out(
                    statement, "trains" if line == statement.lineno else f"trains, at {spot(self.path, line)}", trains=True
                )
                continue
            if group and self.matters(group[0]) is not self.matters(statement):
                yield group
                group = []
            group.append(statement)
        if group:
            yield group

    def run_spare(self, group: list[ast.stmt]) -> None:
        """Run statements that no model needs, for as long as there is time for such."""
        while group and self.spare > 0:
            started = time.monotonic()
            try:
                group = self.run_group(group, seconds=self.spare)
            finally:
                self.spare -= time.monotonic() - started
        if group:
            self.leave_out(group[0], "not run: no model needs it, and lines before it took too long")
            self.missing.update(name for one in group for name in bound(one))

    def run_group(self, group: list[ast.stmt], *, seconds: float = 0.0, code: CodeType | None = None) -> list[ast.stmt]:
        """Run statements, past those that are left out.

        Args:
            group: the statements.
            seconds: what they may take together; 0 for no limit.
            code: the same, compiled.

        Returns:
            Those that are left when the time is over.
        """
        while group:
            before = state.met
            try:
                with limited(seconds):
                    exec(code or self.compiled(group), self.namespace)
                return []
            except BaseException as error:
                place = self.place_of(error, group)
                if place is not None and id(group[place]) in self.needed and is_consequence(error) and omit(error):
                    group, code = group[place:], None  # once more, without what a function was not let do
                    continue
                if place is not None and state.closed and (package := operators.declare(error)):
                    line = line_in(error.__traceback__, self.namespace)
                    fence.note(self.path, line, operators.WITHOUT.format(package))
                    group, code = group[place:], None  # once more, with what its import asked for
                    continue
                if place is not None and state.closed and isinstance(error, NameError) and self.bind_untaken(error.name or ""):
                    group, code = group[place:], None  # once more, with the number of a branch that was not taken
                    continue
                if isinstance(error, OverTime) and place is None and seconds:
                    return group  # it rang between two statements, or after the last one
                line = line_in(error.__traceback__, self.namespace)
                known = place is not None and self.stood_in(group[place], line, error)
                if place is None or not (known or self.excused(group[place], error, met=state.met > before)):
                    raise
                if isinstance(error, OverTime):
                    return group[place + 1 :]
                rest = self.guessed_branch(group[place], line) or rest_of_block(group[place], line)
                for kept in (self.needed, self.vital):
                    kept.update(map(id, rest if id(group[place]) in kept else ()))
                group, code = [*rest, *group[place + 1 :]], None
        return []

    def bind_untaken(self, name: str) -> bool:
        """Bind a name that only branches bind, none of which was taken, to the constant of the first one."""
        found = constants_of_branches(self.tree).get(name)
        if found is None or name in self.namespace:
            return False
        line, self.namespace[name] = found
        fence.note(self.path, line, f"{name} = {self.namespace[name]!r}, of a branch that was not taken")
        return True

    def compiled(self, group: list[ast.stmt]) -> CodeType:
        """Statements as code."""
        code: CodeType = compile(ast.Module(group, []), self.path, "exec", flags=self.flags, dont_inherit=True)
        return code

    def place_of(self, error: BaseException, group: list[ast.stmt]) -> int | None:
        """The number of the statement that raised."""
        line = line_in(error.__traceback__, self.namespace)
        found = [number for number, one in enumerate(group) if first_line(one) <= line <= (one.end_lineno or one.lineno)]
        return found[-1] if found else None

    def stood_in(self, statement: ast.stmt, line: int, error: BaseException) -> bool:
        """Whether a statement that raised imports a package that is not there, or not as it should be; then its names are bound.

        Args:
            statement: the statement at the top.
            line: of it, that raised.
            error: what it raised.
        """
        found = import_at(statement, line)
        fault = faulty_import(found, self.path, error) if found is not None else ""
        if found is None or not fault:
            return False
        self.namespace.update(stand_ins(found, self.tree, fault))
        self.failure = self.failure or error
        fence.note(self.path, found.lineno, fault)
        return True

    def guessed_branch(self, statement: ast.stmt, line: int) -> list[ast.stmt]:
        """The first branch of an `if` that makes what is wanted, and whose condition at a line hangs on what is not there."""
        names = bound(statement)
        if not isinstance(statement, ast.If) or not names or (self.wanted and not names & self.wanted):
            return []
        return statement.body if statement.test.lineno <= line <= (statement.test.end_lineno or line) else []

    def excused(self, statement: ast.stmt, error: BaseException, *, met: bool) -> bool:
        """Whether a statement that raised is left out; then it is noted.

        Args:
            statement: the statement.
            error: what it raised.
            met: whether it had met the fence before.
        """
        reason = self.reason(statement, error, met=met)
        if reason:
            self.failure = self.failure or error
            self.leave_out(statement, reason, trains=isinstance(fence.excuse(error), Halted))
        return bool(reason)

    def reason(self, statement: ast.stmt, error: BaseException, *, met: bool) -> str:
        """Why a statement may be left out, "" if it may not."""
        refusal = fence.excuse(error)
        if isinstance(error, OverTime):
            return f"takes longer than {SPARE_SECONDS:g} s, and no model needs it"
        if refusal is not None:
            return told(self.path, statement.lineno)
        if not isinstance(error, Exception | SystemExit):
            return ""
        lost = error.name if isinstance(error, NameError) else ""
        if lost in self.missing and (id(statement) not in self.vital or bound(statement) & self.wanted):
            return f"needs {lost}, which was left out"
        if met or id(statement) not in self.vital:
            return f"raised {describe(error)}"
        return ""

    def leave_out(self, statement: ast.stmt, reason: str, *, trains: bool = False) -> None:
        """Note that a statement was left out."""
        self.missing |= bound(statement)
        left_out(self.path, statement.lineno, reason, bound(statement), trains=trains)


@lru_cache(maxsize=16)
def constants_of_branches(tree: ast.Module) -> dict[str, tuple[int, Any]]:
    """The names that functions of a file read, and that only branches at its top bind: with the first constant, and its line."""
    found: dict[str, tuple[int, Any]] = {}
    branching = (one for one in tree.body if isinstance(one, ast.If) and not is_never_imported(one.test))
    for node in (node for statement in branching for node in ast.walk(statement)):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=value)) if type(value) in (int, float, str):
                found.setdefault(name, (node.lineno, value))
    defined = [one for one in tree.body if isinstance(one, ast.ClassDef | FunctionNode)] if found else []
    read = {name for one in defined for name in used(one)}
    return {name: constant for name, constant in found.items() if name in read}


def future_flags(tree: ast.Module) -> int:
    """The compiler's flags for the `from __future__` imports of a file."""
    names = (
        alias.name
        for statement in tree.body
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
        for alias in statement.names
    )
    return sum({getattr(future, name).compiler_flag for name in names if hasattr(future, name)})


def line_in(trace: TracebackType | None, namespace: dict[str, Any]) -> int:
    """The line of the module itself at which an exception passed, 0 if it did not."""
    while trace is not None:
        if trace.tb_frame.f_globals is namespace and trace.tb_frame.f_code.co_name == "<module>":
            return trace.tb_lineno
        trace = trace.tb_next
    return 0


def import_at(statement: ast.stmt, line: int) -> ast.Import | ast.ImportFrom | None:
    """The import at a line of a statement."""
    for one in ast.walk(statement):
        if isinstance(one, ast.Import | ast.ImportFrom) and one.lineno <= line <= (one.end_lineno or one.lineno):
            return one
    return None


def rest_of_block(statement: ast.stmt, line: int) -> list[ast.stmt]:
    """What stands behind the statement at a line in the same branch of an `if`: it does not depend on that one."""
    if not isinstance(statement, ast.If):
        return []
    for block in (statement.body, statement.orelse):
        for number, one in enumerate(block):
            if first_line(one) <= line <= (one.end_lineno or one.lineno):
                return [*rest_of_block(one, line), *block[number + 1 :]]
    return []


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """End a block that takes longer, where the system can: in the first thread of a process, by its alarm clock."""
    if seconds <= 0 or not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: object) -> None:
        raise OverTime

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_SECONDS)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before if before is not None else signal.SIG_DFL)
