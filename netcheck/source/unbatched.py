"""Whether a project runs a model on one sample at a time, without a batch. Imports no torch.

policy(torch.from_numpy(state).float())      "act.py:20": what an environment gives, as it is
policy(torch.tensor(state).unsqueeze(0))     "": a batch of one
policy(states)                               "": nobody knows, and most calls have a batch
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache

from netcheck.source.builders import class_scope, dotted
from netcheck.source.calling import UNCHANGED, WHOLE, holds, is_inside
from netcheck.source.construction.callers import calls_of
from netcheck.source.construction.project import Project, Site, calls_in, project_of
from netcheck.source.parse import Unreadable
from netcheck.source.scopes import Scope, index
from netcheck.source.spots import spot_in

OBSERVATION = re.compile(r"((next|new|cur(rent)?|last|prev|init(ial)?)_?)?(state|obs|observation|ob|s)(_?(t|0|next|new|np))?_?")
TENSORS = re.compile(r"(torch\.)?(from_numpy|tensor|as_tensor|FloatTensor|Tensor)")
ARRAYS = re.compile(r"(np|numpy)\.(array|asarray|float32)")
BATCHES = re.compile(r"unsqueeze|expand_dims|newaxis|reshape|view\(|stack|None\]|\[None")
DEEPEST = 8  # names and calls that lead to each other


@lru_cache(maxsize=512)
def unbatched_at(file: str, qualname: str) -> str:
    """The place of a call of a class's instances without a batch, where all its calls are such; "" where one is not.

    Args:
        file: the absolute path of its file.
        qualname: its qualified name there.
    """
    files = index(file)
    scopes = files.scopes.get(qualname, []) if files else []
    if not scopes or not isinstance(scopes[-1].node, ast.ClassDef):
        return ""
    try:
        sites = list(runs(project_of(file), scopes[-1], scopes[-1].node.name))
    except (RecursionError, Unreadable):
        return ""
    if not sites or not all(is_single(site) for site in sites):
        return ""
    return spot_in(sites[0].file, sites[0].call.lineno)


def runs(project: Project, scope: Scope, name: str) -> Iterator[Site]:
    """The calls of a class's instances: by the variable, by a parameter that is called as the class is, by the class itself."""
    for sites in calls_in(scope.file.path).values():
        for site in sites:
            called = dotted(site.call.func)
            is_own = called in ("self", "self.forward") and class_scope(site.scope) is scope
            if is_own or (called == name.lower() and called in site.scope.parameters):
                yield site
    for built in calls_of(project, scope, name):
        keys = [key for key, values in built.scope.assigned.items() if any(holds(value, built.call) for value in values)]
        for sites in calls_in(built.file).values():
            yield from (site for site in sites if dotted(site.call.func) in keys and is_inside(site.scope, built.scope))


def is_single(site: Site) -> bool:
    """Whether a call gives one observation, made a tensor and nothing else."""
    if len(site.call.args) != 1 or site.call.keywords:
        return False
    node, line = site.call.args[0], site.call.lineno + 1
    for _ in range(DEEPEST):
        name = dotted(node.func) if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Name):
            before = [value for value in site.scope.assigned.get(node.id, ()) if value.lineno < line]
            if not before:
                return False
            node, line = before[-1], before[-1].lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in UNCHANGED | WHOLE:
            node = node.func.value
        elif isinstance(node, ast.Call) and TENSORS.fullmatch(name) and len(node.args) == 1:
            return is_observation(node.args[0], site.scope, line)
        else:
            return False
    return False


def is_observation(node: ast.expr, scope: Scope, line: int) -> bool:
    """Whether an expression is what an environment gives, by its name, and nothing was put around it before a line."""
    if isinstance(node, ast.Call) and ARRAYS.fullmatch(dotted(node.func)) and node.args:
        node = node.args[0]
    if not isinstance(node, ast.Name) or not OBSERVATION.fullmatch(node.id.lower()):
        return False
    before = [value for value in scope.assigned.get(node.id, ()) if value.lineno < line]
    return not any(BATCHES.search(ast.unparse(value)) for value in before)
