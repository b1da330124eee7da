"""Whether a class, an expression or a function makes a model, judged from source text alone. Imports no
torch.

A class is a model if one of its bases is: torch.nn.Module by any alias, another class of torch.nn, a
LightningModule, a transformers PreTrainedModel, or a class of the same tree that is one. A base that cannot
be followed (a package that is not part of the tree) counts if the class has a `forward`: whether it is a
model is then seen when it is loaded.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import lru_cache

from netcheck.source.builders import dotted, family, file_index, returned
from netcheck.source.imports import definitions, imported_as
from netcheck.source.scopes import FunctionNode, Scope, is_super, own_statements

NOT_MODULES = (
    "Parameter",
    "Buffer",
    "Function",
    "Dataset",
    "Sampler",
    "Optimizer",
    "Scheduler",
    "Config",
    "Trainer",
)
BARE_BASES = frozenset({"Module", "LightningModule", "PreTrainedModel", "ModelMixin", "LightningDataModule"})
WHOLE_MODELS = ("Sequential", "Transformer", "Linear", "Conv", "RNN", "LSTM", "GRU", "MultiheadAttention")
SAME_MODEL = frozenset(  # methods that return the module that they are called on
    {"to", "cuda", "cpu", "mps", "eval", "train", "half", "float", "double", "bfloat16", "type"}
    | {"requires_grad_", "apply", "compile", "share_memory"}
)
WRAPPERS = (
    "torch.compile",
    "torch.jit.script",
    "torch.nn.DataParallel",
    "torch.nn.parallel.DistributedDataParallel",
)
ZOOS = (
    "torchvision.models.",
    "timm.create_model",
    "transformers.",
    "torch.hub.load",
    "segmentation_models_pytorch.",
)
TRAINS = frozenset({"backward", "fit", "manual_backward"})  # calls that only training makes


def external_name(expression: ast.expr, scope: Scope) -> str:
    """The full dotted name that an expression means by the imports of its file:
    `nn.Linear` is torch.nn.Linear.
    """
    head, _, tail = dotted(expression).partition(".")
    full = imported_as(file_index(scope), head)
    return f"{full}.{tail}" if tail else full


@lru_cache(maxsize=16384)
def is_model(scope: Scope, depth: int = 12) -> bool:
    """Whether a class is a model class."""
    if not isinstance(scope.node, ast.ClassDef) or depth == 0:
        return False
    for base in scope.node.bases:
        expression = base.value if isinstance(base, ast.Subscript) else base  # Base[Config]
        found = [one for one in definitions(expression, scope.parent or scope) if one is not scope]
        if found:
            if any(is_model(one, depth - 1) for one in found):
                return True
        elif is_model_base(external_name(expression, scope), scope):
            return True
    return False


def is_model_base(name: str, scope: Scope) -> bool:
    """Whether a base from outside the tree makes a class a model."""
    package, _, _ = name.partition(".")
    last = name.rpartition(".")[2]
    if not last[:1].isupper() and "." in name and not last.startswith("_"):
        return False
    if package == "torch":
        is_module = name.startswith("torch.nn.") or last == "ScriptModule"
        return is_module and last not in NOT_MODULES
    if last.endswith(NOT_MODULES) or not package or package in sys.stdlib_module_names or package in vars_of_builtins():
        return False
    return last in BARE_BASES - {"Module", "LightningDataModule"} or defines(scope, "forward")


@lru_cache(maxsize=1)
def vars_of_builtins() -> frozenset[str]:
    """The names that need no import: Exception, object, ..."""
    import builtins

    return frozenset(vars(builtins))


def defines(scope: Scope, method: str) -> bool:
    """Whether the class itself defines a method, or assigns it."""
    assert isinstance(scope.node, ast.ClassDef)
    for statement in scope.node.body:
        if isinstance(statement, FunctionNode) and statement.name == method:
            return not is_unwritten(statement)
        if isinstance(statement, ast.Assign) and any(dotted(t) == method for t in statement.targets):
            return True
    return False


def is_unwritten(function: FunctionNode) -> bool:
    """Whether a function does nothing but say that it is not written."""
    body = [one for one in function.body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]
    raised = body[0].exc if len(body) == 1 and isinstance(body[0], ast.Raise) else None
    return raised is not None and dotted(raised.func if isinstance(raised, ast.Call) else raised) == "NotImplementedError"


def can_run(scope: Scope) -> bool:
    """Whether a model class has a `forward`, its own or from a base, and is not abstract."""
    if is_abstract(scope):
        return False
    for one in family(scope):
        if defines(one, "forward"):
            return True
        assert isinstance(one.node, ast.ClassDef)
        for base in one.node.bases:
            last = external_name(base, one).rpartition(".")[2]
            outside = not definitions(base, one.parent or one) and last[:1].isupper() and last not in BARE_BASES
            if outside and is_model_base(external_name(base, one), one):
                return True  # a subclass of nn.Sequential, or of a model in another package
    return False


def is_abstract(scope: Scope) -> bool:
    """Whether a class leaves one of its own methods abstract."""
    assert isinstance(scope.node, ast.ClassDef)
    return any(
        dotted(decorator).endswith("abstractmethod")
        for statement in scope.node.body
        if isinstance(statement, FunctionNode)
        for decorator in statement.decorator_list
    )


@lru_cache(maxsize=16384)
def makes_model(expression: ast.expr, scope: Scope, depth: int = 6) -> bool:
    """Whether evaluating an expression gives a whole model."""
    if depth == 0:
        return False
    if isinstance(expression, ast.Name):
        values = scope.assigned.get(expression.id, [])
        return any(makes_model(value, scope, depth - 1) for value in values if value is not expression)
    if not isinstance(expression, ast.Call) or is_super(expression):
        return False
    function = expression.func
    name = external_name(function, scope)
    if name.startswith(WRAPPERS) and expression.args:
        return makes_model(expression.args[0], scope, depth - 1)
    if isinstance(function, ast.Attribute) and function.attr in SAME_MODEL:
        return makes_model(function.value, scope, depth - 1)
    found = definitions(function, scope)
    if found:
        return any(is_model(one) if isinstance(one.node, ast.ClassDef) else is_factory(one, depth - 1) for one in found)
    last = name.rpartition(".")[2]
    if name.startswith("torch.nn.") and not name.startswith("torch.nn.functional"):
        return last.startswith(WHOLE_MODELS)
    if name.startswith("transformers."):
        return last in ("from_pretrained", "from_config") or last.endswith("Model") or "For" in last
    return name.startswith(ZOOS) and (last.islower() or "_" in last)


@lru_cache(maxsize=16384)
def is_factory(scope: Scope, depth: int = 4) -> bool:
    """Whether a function makes a model, by its return annotation or by everything that it returns."""
    node = scope.node
    if not isinstance(node, ast.FunctionDef) or depth == 0 or scope.owner is not None:
        return False
    if any("fixture" in dotted(d.func if isinstance(d, ast.Call) else d) for d in node.decorator_list):
        return False
    if node.returns is not None:
        return is_model_annotation(node.returns, scope)
    values = returned(scope)
    return bool(values) and all(makes_model(value, scope, depth) for value in values)


def is_model_annotation(annotation: ast.expr, scope: Scope) -> bool:
    """Whether an annotation names a model class: `nn.Module`, `Net`, `"Net"`."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            annotation = ast.parse(annotation.value, mode="eval").body
        except SyntaxError:
            return False
    around = scope.parent or scope
    found = definitions(annotation, around)
    if found:
        return any(is_model(one) for one in found)
    name = external_name(annotation, scope)
    last = name.rpartition(".")[2]
    if name.startswith("torch.nn."):
        return last == "Module" or last.startswith(WHOLE_MODELS)
    return last in ("LightningModule", "PreTrainedModel") or (name.startswith(ZOOS) and last[:1].isupper())


def is_addressable_factory(scope: Scope) -> bool:
    """Whether a function is a factory that can be called as it is, and that does not train what it makes."""
    node = scope.node
    if not isinstance(node, ast.FunctionDef) or node.name.startswith(("_", "test_")) or node.name == "main":
        return False
    return required_arguments(node) == 0 and is_factory(scope) and not trains(node)


def required_arguments(node: FunctionNode) -> int:
    """The number of parameters without a default, `self` included."""
    spec = node.args
    required = len(spec.posonlyargs) + len(spec.args) - len(spec.defaults)
    return required + sum(default is None for default in spec.kw_defaults)


def trains(node: ast.AST) -> bool:
    """Whether code makes a call that only training makes."""
    return any(
        isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in TRAINS
        for call in ast.walk(node)
    )


def training_line(statement: ast.stmt, module: ast.Module, depth: int = 4) -> int:
    """The line of the first call that trains when a statement at the top of a module runs, 0 if none is seen.

    Functions of the same module that it calls are followed: `main()`.
    """
    functions = {node.name: node for node in module.body if isinstance(node, FunctionNode)}
    pending: list[tuple[ast.AST, int]] = [(node, depth) for node in run_by(statement)]
    followed: set[str] = set()
    while pending:
        node, left = pending.pop(0)
        for call in calls_in(node):
            if isinstance(call.func, ast.Attribute) and call.func.attr in TRAINS:
                return call.lineno
            name = dotted(call.func)
            if left and name in functions and name not in followed:
                followed.add(name)
                pending += [(part, left - 1) for part in functions[name].body]
    return 0


def calls_in(node: ast.AST) -> Iterator[ast.Call]:
    """The calls that code makes when it runs, in the order of the text, without those of functions inside it."""
    if isinstance(node, ast.Call):
        yield node
    for part in ast.iter_child_nodes(node):
        if not isinstance(part, ast.ClassDef | FunctionNode | ast.Lambda):
            yield from calls_in(part)


def run_by(statement: ast.stmt) -> list[ast.AST]:
    """What of a statement runs when the module is imported: not functions and classes, not what is guarded."""
    if isinstance(statement, ast.ClassDef | FunctionNode):
        return []
    if isinstance(statement, ast.If) and is_never_imported(statement.test):
        return [part for inner in statement.orelse for part in run_by(inner)]
    return [statement]


def own_statements_unguarded(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements that run when a module is imported under its own name, blocks opened."""
    found: list[ast.stmt] = []
    for statement in body:
        if isinstance(statement, ast.ClassDef | FunctionNode):
            continue
        if isinstance(statement, ast.If) and is_never_imported(statement.test):
            found += own_statements_unguarded(statement.orelse)
        else:
            found.append(statement)
            found += list(own_statements(statement))
    return found


def is_never_imported(test: ast.expr) -> bool:
    """Whether a condition is false in an imported module: `__name__ == "__main__"`, `TYPE_CHECKING`."""
    if dotted(test).rpartition(".")[2] == "TYPE_CHECKING":
        return True
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
        sides = {ast.unparse(test.left), ast.unparse(test.comparators[0])}
        return sides in ({"__name__", "'__main__'"},)
    return False
