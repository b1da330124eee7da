"""The methods by which a model without `forward` is run. Imports no torch.

class ActorCritic(nn.Module):
    def pi(self, x): return self.actor(x)           a way in: gives what it got to a part of the model
    def v(self, x): return self.critic(x)           another one
    def act(self, x): return self.pi(x).sample()    gives it to a way in only
    def train_net(self): ... loss.backward()        trains

class Net(nn.Module):
    def foward(self, x): return self.fc(x)          looks like forward: a slip
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator

from netcheck.source.builders import dotted, family
from netcheck.source.models import TRAINS
from netcheck.source.scopes import FunctionNode, Scope

ALIKE = 0.75  # how alike a name must be to `forward` to be a slip
STEPS = ("training_step", "predict_step", "validation_step", "test_step")  # Lightning's, in the order of what says most
NOT_WAYS = frozenset({*STEPS, "forward", "extra_repr", "state_dict", "load_state_dict", "train", "eval", "apply", "to"})
UPDATES = TRAINS | {"step", "zero_grad", "optimizer_step"}


def looks_like_forward(scope: Scope) -> str:
    """The method that was meant to be `forward`, "" if none is."""
    names = [node.name for node in methods(scope) if node.name != "forward"]
    close = difflib.get_close_matches("forward", [name.strip("_").lower() for name in names], n=1, cutoff=ALIKE)
    return next((name for name in names if close and name.strip("_").lower() == close[0]), "")


def ways_in(scope: Scope) -> list[str]:
    """The methods of a class that run parts of it on what they are given, in the order of the text; no helpers of others."""
    known = {node.name: node for node in reversed(list(methods(scope)))}
    every = {name: node for name, node in known.items() if is_way(node, known)}
    chosen = {name: node for name, node in every.items() if name not in NOT_WAYS}
    public = {name: node for name, node in chosen.items() if not name.startswith("_")}
    chosen = public or chosen or {name: every[name] for name in STEPS if name in every}
    helpers = {call for name, node in chosen.items() for call in own_calls(node) if call != name}
    if len(chosen.keys() - helpers) > 0:
        chosen = {name: node for name, node in chosen.items() if name not in helpers}
    return sorted(chosen, key=lambda name: chosen[name].lineno)


def methods(scope: Scope) -> Iterator[FunctionNode]:
    """The methods of a class and of its bases in the same tree, the nearest first."""
    for one in family(scope):
        assert isinstance(one.node, ast.ClassDef)
        yield from (node for node in one.node.body if isinstance(node, FunctionNode))


def is_way(node: FunctionNode, known: dict[str, FunctionNode]) -> bool:
    """Whether a method gives something to a part of the model, takes something itself, and does not train."""
    if node.name.startswith("__") or node.decorator_list or not takes_tensors(node):
        return False
    calls = [call for call in ast.walk(node) if isinstance(call, ast.Call)]
    if any(isinstance(call.func, ast.Attribute) and call.func.attr in UPDATES for call in calls):
        return False
    return any(is_part(call.func, node, known) and call.args for call in calls)


def takes_tensors(node: FunctionNode) -> bool:
    """Whether a method takes anything that may be a tensor: not only switches, `test(self, on_train=False)`."""
    given = len(node.args.posonlyargs + node.args.args) - 1
    nothing = [one for one in node.args.defaults if isinstance(one, ast.Constant) and one.value is None]
    return given - len(node.args.defaults) + len(nothing) > 0


def is_part(callee: ast.expr, node: FunctionNode, known: dict[str, FunctionNode]) -> bool:
    """Whether a callee is a part of the model: `self.fc`, `self.layers[i]`, a name that runs over `self.layers`."""
    while isinstance(callee, ast.Subscript):
        callee = callee.value
    if isinstance(callee, ast.Name):
        loops = (one for one in ast.walk(node) if isinstance(one, ast.For | ast.comprehension))
        return any(callee.id in ast.unparse(one.target).split(", ") and "self." in ast.unparse(one.iter) for one in loops)
    own, _, name = dotted(callee).partition(".")
    first = (node.args.posonlyargs + node.args.args)[0].arg
    return own == first and bool(name) and name.partition(".")[0] not in known and name.rpartition(".")[2] not in NOT_PARTS


NOT_PARTS = frozenset({"append", "log", "log_dict", "print", "save_hyperparameters", "register_buffer", "extend", "update"})


def own_calls(node: FunctionNode) -> Iterator[str]:
    """The names of the methods of the same object that a method calls."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and dotted(call.func).startswith("self."):
            yield dotted(call.func).split(".")[1]
