"""Going on although a statement in a function is refused: the function is run without that statement.

    def __init__(self):
        super().__init__()
        self.revision = subprocess.check_output(["git", "rev-parse", "HEAD"])     pass
        self.fc = nn.Linear(8, 4)

    def make():
        net = Net()
        train(net)                                                                pass
        return net

Only in processes of netcheck's own, for the function keeps its new code.
"""

from __future__ import annotations

import ast
import gc
import traceback
from collections.abc import Callable, Iterator
from types import CodeType, FrameType, FunctionType
from typing import TypeVar

from torch import nn

from netcheck.errors import TraceError
from netcheck.load import fence, operators
from netcheck.load.fence.state import Halted, chain, state, told
from netcheck.load.guard import WITHOUT
from netcheck.load.raised import is_installed, user_line
from netcheck.source.needed import bound
from netcheck.source.parse import Unreadable, parse, parse_bytes
from netcheck.source.scopes import FunctionNode, first_line

Built = TypeVar("Built")
MOST = 16  # statements that are left out of what builds one model

omitted: dict[str, set[tuple[int, int]]] = {}  # by file: the spans of the statements that are left out
names: set[str] = set()  # that these would have bound


def past_refusals(build: Callable[[], Built]) -> Built:
    """What a function gives, if need be without the statements in what it calls that the fence refuses, and without compiled
    operators.

    Raises:
        BaseException: what `build` raises, where that is not for a refusal or nothing can be left out.
    """
    for _ in range(MOST):
        try:
            return build()
        except BaseException as error:
            if not declared(error) and (not is_consequence(error) or not omit(error)):
                raise
    return build()


def declared(error: BaseException) -> bool:
    """Whether an import in a function failed for a compiled operator that is declared by now."""
    package = operators.declare(error) if state.closed else ""
    place = user_line(error)
    if package and place is not None:
        fence.note(place.file, place.line, operators.WITHOUT.format(package))
    return bool(package)


def is_consequence(error: BaseException) -> bool:
    """Whether an exception comes from a refusal, or from a name that is missing since a statement was left out."""
    if fence.excuse(error) is not None:
        return True
    return any(isinstance(one, NameError | AttributeError) and one.name in names for one in chain(error))


def require_let(error: BaseException) -> None:
    """Say that forward was stopped, if that is why it raised.

    Raises:
        TraceError: it is.
    """
    if is_consequence(error):
        refusal = fence.excuse(error) or error
        raise TraceError(f"forward was stopped: {refusal}", help=WITHOUT, location=user_line(error)) from error


def omit(error: BaseException) -> bool:
    """Take the statement at fault out of the function that it stands in; whether that could be done."""
    if state.thread is not None:
        return False  # this process is the user's
    refusal = fence.excuse(error)
    passed = list(places(error))
    initializers = [place for place in reversed(passed) if is_initializer(place[0])]
    for frame, line in [*initializers, *passed]:
        path = frame.f_code.co_filename
        statement = omit_from(frame.f_code, line, whole=isinstance(refusal, Halted))
        if statement is not None:
            reason = "needs what was left out" if refusal is None else told(path, statement.lineno)
            fence.note(path, statement.lineno, reason)
            names.update(bound(statement) | attributes_set(statement))
            return True
    return False


def places(error: BaseException) -> Iterator[tuple[FrameType, int]]:
    """The functions of the user's that an exception and its causes passed, the outermost first, with the line in each."""
    for one in chain(error):
        for frame, line in traceback.walk_tb(one.__traceback__):
            path = frame.f_code.co_filename
            if frame.f_code.co_name != "<module>" and not path.startswith("<") and not is_installed(path):
                yield frame, line


def is_initializer(frame: FrameType) -> bool:
    """Whether a function is the `__init__` of a module of torch."""
    own = next(iter(frame.f_code.co_varnames), "")
    return frame.f_code.co_name == "__init__" and isinstance(frame.f_locals.get(own), nn.Module)


def omit_from(code: CodeType, line: int, *, whole: bool) -> ast.stmt | None:
    """Give every function that runs `code` the same code without one statement.

    Args:
        code: of the function.
        line: where the statement stands.
        whole: take out the whole statement of the function's body that holds the line: a loop, not a line of it.

    Returns:
        The statement; None where that cannot be done.
    """
    try:
        source = parse(code.co_filename)
    except Unreadable:
        return None
    tree = parse_bytes(source.raw)
    statement = statement_at(tree, code, line, whole=whole)
    spans = omitted.setdefault(code.co_filename, set())
    if statement is None or span(statement) in spans:
        return None
    Without({*spans, span(statement)}).visit(tree)
    new = code_like(compile(ast.fix_missing_locations(tree), code.co_filename, "exec", dont_inherit=True), code)
    functions = [one for one in gc.get_referrers(code) if isinstance(one, FunctionType) and one.__code__ is code]
    if new is None or not functions:
        return None
    spans.add(span(statement))
    for function in functions:
        function.__code__ = new
    return statement


def statement_at(tree: ast.Module, code: CodeType, line: int, *, whole: bool) -> ast.stmt | None:
    """The statement at a line of the function with this code: the smallest that holds it, or all of its body's."""
    owner = next((node for node in ast.walk(tree) if isinstance(node, FunctionNode) and is_code_of(node, code)), None)
    found: ast.stmt | None = None
    pending: list[ast.stmt] = [] if owner is None else owner.body
    while inside := [one for one in pending if one.lineno <= line <= (one.end_lineno or one.lineno)]:
        found = inside[0]
        pending = [] if whole else [one for one in ast.iter_child_nodes(found) if isinstance(one, ast.stmt)]
    return None if isinstance(found, ast.Return) else found


def is_code_of(node: FunctionNode, code: CodeType) -> bool:
    """Whether a function of a file became this code."""
    return node.name == code.co_name and first_line(node) == code.co_firstlineno


def span(statement: ast.stmt) -> tuple[int, int]:
    """Where a statement begins and ends: the line and column, each as one number."""
    return statement.lineno * 10_000 + statement.col_offset, (statement.end_lineno or 0) * 10_000 + (
        statement.end_col_offset or 0
    )


class Without(ast.NodeTransformer):
    """Puts `pass` in the place of some statements."""

    def __init__(self, spans: set[tuple[int, int]]) -> None:
        self.spans = spans

    def visit(self, node: ast.AST) -> ast.AST:
        """The node, or `pass`."""
        if isinstance(node, ast.stmt) and span(node) in self.spans:
            return ast.copy_location(ast.Pass(), node)
        return self.generic_visit(node)


def code_like(module: CodeType, code: CodeType) -> CodeType | None:
    """The code inside a compiled module that stands for the same function and closes over as much."""
    pending = [module]
    while pending:
        one = pending.pop()
        if (one.co_qualname, one.co_firstlineno) == (code.co_qualname, code.co_firstlineno):
            return one if one.co_freevars == code.co_freevars else None
        pending += [part for part in one.co_consts if isinstance(part, CodeType)]
    return None


def attributes_set(statement: ast.stmt) -> set[str]:
    """The attributes that a statement assigns to: "sha" of `self.sha = ...`."""
    return {node.attr for node in ast.walk(statement) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
