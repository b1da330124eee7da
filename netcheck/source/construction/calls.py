"""What calls of known functions come to. Imports no torch.

int("3"), len([1, 2]), "a,b".split(",")      done
parser.parse_args()                          Record of the defaults of its options
yaml.safe_load(open("configs/base.yaml"))    Record of the file
EasyDict(d), Namespace(width=3), vars(args)  Record
make_encoder(64)                             what that function of the project returns
Encoder(64), nn.ReLU()                       Made: to be called later
torch.cuda.is_available()                    False: models are built where there is no such thing
"""

from __future__ import annotations

import ast
import math
import os
from functools import partial
from typing import Any

from netcheck.source.builders import called_functions, dotted, family, file_index
from netcheck.source.construction.evaluation import Evaluation, Frame
from netcheck.source.construction.options import options_in
from netcheck.source.construction.project import calls_in
from netcheck.source.construction.settings import settings_in
from netcheck.source.construction.values import Made, Named, Record, Unknown, as_record, is_plain
from netcheck.source.imports import definitions
from netcheck.source.models import SAME_MODEL
from netcheck.source.scopes import FunctionNode, Scope, index

PLAIN = {
    "int": int, "float": float, "str": str, "bool": bool, "len": len, "abs": abs, "round": round, "max": max, "min": min,
    "sum": sum, "list": list, "tuple": tuple, "set": set, "sorted": sorted, "reversed": lambda x: list(x)[::-1],
    "enumerate": lambda x, *s: list(enumerate(x, *s)), "zip": lambda *x: list(zip(*x, strict=False)),
    "range": lambda *x: list(range(*x))[:4096], "any": any, "all": all, "pow": pow, "divmod": divmod,
}  # fmt: skip
METHODS: dict[Any, tuple[str, ...]] = {
    str: (
        "lower",
        "upper",
        "strip",
        "lstrip",
        "rstrip",
        "split",
        "rsplit",
        "replace",
        "startswith",
        "endswith",
        "format",
        "join",
    ),
    dict: ("get", "items", "keys", "values", "copy"),
    list: ("index", "count", "copy"),
    tuple: ("index", "count"),
}
RECORDS = tuple(
    "Namespace SimpleNamespace EasyDict edict AttrDict Munch munchify DictConfig ConfigDict OmegaConf.create Box Bunch HParams "
    "AttributeDict Dict DotMap CfgNode OrderedDict dict".split()
)
READERS = ("load", "safe_load", "full_load", "unsafe_load", "load_all", "loads", "fromfile", "read_yaml", "parse_file")
PARSES = ("parse_args", "parse_known_args", "parse_intermixed_args", "parse_args_into_dataclasses")
DATACLASS_PARSERS = ("cli", "parse", "structured", "entrypoint", "wrap")  # tyro.cli(Args), OmegaConf.structured(Args)
COPIES = ("copy.deepcopy", "copy.copy", "argparse.Namespace.__copy__")
LATER = ("torch.nn.", "torch.device", "functools.partial", "torch.Size", "numpy.array", "torch.tensor", "collections.OrderedDict",
         "torchvision.models.", "dataclasses.field", "typer.Option", "typer.Argument", "torch.zeros", "torch.ones",
         "torch.distributions.")  # fmt: skip
HARDWARE = ("torch.cuda.is_available", "torch.backends.mps.is_available", "torch.cuda.device_count")
DEEPEST_PARSER = 6  # functions that a parser is handed on to


def value_of_call(evaluator: Evaluation, call: ast.Call, frame: Frame) -> Any:
    """What a call comes to."""
    if isinstance(call.func, ast.Attribute):
        if call.func.attr in PARSES:
            return parsed(evaluator, call, frame)
        if call.func.attr in SAME_MODEL:
            return evaluator.value(call.func.value, frame)
    callee = evaluator.value(call.func, frame) if not is_method(call.func) else Unknown()
    if isinstance(callee, Named) and not callee.file:
        return outside(evaluator, callee.name, call, frame)
    if isinstance(callee, Named):
        return of_project(evaluator, callee, call, frame)
    if isinstance(call.func, ast.Attribute):
        return method(evaluator, call.func, call, frame)
    return Unknown(trail_of(evaluator, call, frame))


def is_method(function: ast.expr) -> bool:
    """Whether a callee is surely the method of what a call or a text gives."""
    return isinstance(function, ast.Attribute) and isinstance(function.value, ast.Constant | ast.Call | ast.JoinedStr)


def trail_of(evaluator: Evaluation, call: ast.Call, frame: Frame) -> tuple[str | int, ...]:
    """What an unknown result is called: of `len(vocab)`, vocab."""
    for argument in call.args:
        value = evaluator.value(argument, frame)
        if isinstance(value, Unknown) and value.trail:
            return value.trail
    return ()


def outside(evaluator: Evaluation, name: str, call: ast.Call, frame: Frame) -> Any:
    """A call of something that is not the project's."""
    last = name.rpartition(".")[2]
    if name in HARDWARE:
        return 0 if last == "device_count" else False
    args, kwargs = evaluator.arguments(call, frame)
    if last in DATACLASS_PARSERS and args and isinstance(args[0], Named) and args[0].file:
        return Made(args[0])
    if name.startswith("builtins.") and last == "vars" and len(args) == 1:
        return args[0]
    if name.startswith("builtins.") and last == "getattr" and len(args) > 1 and isinstance(args[1], str):
        found = evaluator.attribute_of(args[0], args[1])
        return args[2] if isinstance(found, Unknown) and len(args) > 2 else found
    if name in ("builtins.open", "io.open"):
        return Made(Named("", "builtins.open"), tuple(args[:1]))
    if name in ("pathlib.Path", "os.path.join"):
        return os.path.join(*args) if args and all(isinstance(one, str) for one in args) else Unknown()
    if name in COPIES and args:
        return args[0]
    if last in READERS and not name.startswith("torch."):
        return read_by(evaluator, name, args, frame)
    if last in RECORDS or name.endswith(RECORDS):
        given = args[0] if args else {}
        fields = given.fields if isinstance(given, Record) else dict(given) if isinstance(given, dict) else None
        if args and fields is None:
            return Unknown() if not isinstance(given, list) else dict(given)
        return {**(fields or {}), **kwargs} if name == "builtins.dict" else Record({**(fields or {}), **kwargs})
    if name.startswith("builtins."):
        return done(PLAIN.get(last), args, kwargs, fallback=Unknown(trail_of(evaluator, call, frame)))
    if name.startswith("math."):
        return done(getattr(math, last, None), args, kwargs, fallback=Unknown())
    if name in ("numpy.prod", "math.prod"):
        return done(math.prod, args, kwargs, fallback=Unknown())
    if name in ("os.environ.get", "os.getenv"):
        return args[1] if len(args) > 1 else None
    if name.startswith(LATER) and not name.startswith("torch.nn.functional"):
        return Made(Named("", name), tuple(args), kwargs)
    return Unknown(trail_of(evaluator, call, frame))


def done(function: Any, args: list[Any], kwargs: dict[str, Any], fallback: Unknown) -> Any:
    """What a function of plain data gives; of a list with unknown items, still its length."""
    if function is len and args and isinstance(args[0], list | tuple | dict):
        return len(args[0]) or fallback  # what is empty where it is made is mostly filled elsewhere
    if function in (list, tuple) and args and isinstance(args[0], list | tuple):
        return function(args[0])
    if function is None or not all(map(is_plain, (*args, *kwargs.values()))):
        return fallback
    return function(*args, **kwargs)


def of_project(evaluator: Evaluation, callee: Named, call: ast.Call, frame: Frame) -> Any:
    """A call of a class or function of the project."""
    files = index(callee.file)
    for scope in files.scopes.get(callee.name, [])[-1:] if files else ():
        if isinstance(scope.node, ast.ClassDef):
            if is_record_class(scope):
                args, kwargs = evaluator.arguments(call, frame)
                given = args[0] if args else {}
                if isinstance(given, Unknown):
                    return given
                if isinstance(given, Record | dict) and len(args) < 2:
                    return Record({**(given.fields if isinstance(given, Record) else given), **kwargs})
            args, kwargs = evaluator.arguments(call, frame)
            return Made(callee, tuple(args), kwargs)
        if isinstance(scope.node, FunctionNode):
            return evaluator.returned(scope, evaluator.bound_arguments(scope, call, frame))
    return Unknown()


def is_record_class(scope: Scope) -> bool:
    """Whether a class of the project is a dict whose items are attributes."""
    assert isinstance(scope.node, ast.ClassDef)
    return any(dotted(base).rpartition(".")[2] in ("dict", "Dict", *RECORDS) for one in family(scope) for base in bases(one))


def bases(scope: Scope) -> list[ast.expr]:
    """The bases of a class as they are written."""
    return scope.node.bases if isinstance(scope.node, ast.ClassDef) else []


def method(evaluator: Evaluation, function: ast.Attribute, call: ast.Call, frame: Frame) -> Any:
    """A call of a method of a value."""
    functions = called_functions(function, frame.scope) if frame.scope.key(function.value) == "self" else []
    for scope in functions[-1:]:
        if isinstance(scope.node, FunctionNode):  # else: a class inside the class
            return evaluator.returned(scope, evaluator.bound_arguments(scope, call, frame))
    base = evaluator.value(function.value, frame)
    if isinstance(base, Made) and base.callee.last == "open" and function.attr in ("read", "read_text"):
        return base
    if isinstance(base, Made) and base.callee.file:
        bound = evaluator.attribute_of(base, function.attr)
        if isinstance(bound, Named) and bound.file and (files := index(bound.file)):
            for scope in files.scopes.get(bound.name, [])[-1:]:
                if isinstance(scope.node, FunctionNode):
                    given = evaluator.bound_arguments(scope, call, frame)
                    return evaluator.returned(scope, {scope.self_name: base, "self": base, **given})
    args, kwargs = evaluator.arguments(call, frame)
    if isinstance(base, Record):
        if function.attr in ("get", "pop") and args and isinstance(args[0], str):
            return base.fields.get(args[0], args[1] if len(args) > 1 else evaluator.looked_up((base.name, args[0])))
        if function.attr in ("items", "keys", "values"):
            return list(getattr(base.fields, function.attr)())
        if function.attr in ("copy", "to_dict", "dict", "clone", "_asdict"):
            return base
        return Unknown()
    if function.attr in METHODS.get(type(base), ()) and all(map(is_plain, args)):
        found = getattr(base, function.attr)(*args, **kwargs)
        return list(found) if function.attr in ("items", "keys", "values") else found
    if isinstance(base, Unknown) and function.attr == "get" and args and isinstance(args[0], str):
        found = evaluator.looked_up((*base.trail, args[0]))
        return args[1] if isinstance(found, Unknown) and len(args) > 1 else found
    return Unknown(base.trail if isinstance(base, Unknown) else ())


def read_by(evaluator: Evaluation, name: str, args: list[Any], frame: Frame) -> Any:
    """What a reader of configuration files gives, if the file is there; else whatever the project's files have."""
    path = args[0] if args else None
    path = next(iter(path.args), None) if isinstance(path, Made) else path
    if isinstance(path, str):
        folder = os.path.dirname(frame.scope.file.path)
        while not evaluator.forced:  # else that file is another class's
            file = os.path.join(folder, path)
            if os.path.isfile(file) and (found := settings_in(file)) is not None:
                return as_record(found)
            if folder in (evaluator.project.top, os.path.dirname(folder)) or os.path.isabs(path):
                break
            folder = os.path.dirname(folder)
    return Unknown(("config",))


def parsed(evaluator: Evaluation, call: ast.Call, frame: Frame) -> Any:
    """The options of the parser that a call has parse the command line, each with its default."""
    assert isinstance(call.func, ast.Attribute)
    if call.func.attr == "parse_args_into_dataclasses":
        return into_dataclasses(evaluator, call.func.value, frame)
    found: dict[str, Any] = {}
    for scope in declaring(call.func.value, frame.scope):
        found |= dict(options_in(scope.node, partial(evaluator.value, frame=Frame(scope))))
    if not found:
        sites = calls_in(frame.scope.file.path).get("add_argument", [])
        for node in {id(site.scope.node): site.scope for site in sites}.values():
            found |= dict(options_in(node.node, partial(evaluator.value, frame=Frame(node))))
    if not found:
        return Unknown(("args",))
    record = Record(found, "args")
    return (record, []) if call.func.attr == "parse_known_args" else record


def into_dataclasses(evaluator: Evaluation, parser: ast.expr, frame: Frame) -> Any:
    """What transformers' parser gives: an object of each dataclass that it was made with."""
    values = [parser] if isinstance(parser, ast.Call) else frame.scope.assigned.get(frame.scope.key(parser), [])
    for made in values:
        if isinstance(made, ast.Call) and made.args:
            kinds = evaluator.value(made.args[0], frame)
            kinds = kinds if isinstance(kinds, tuple | list) else (kinds,)
            return tuple(Made(kind) if isinstance(kind, Named) else Unknown() for kind in kinds)
    return Unknown()


def declaring(parser: ast.expr, scope: Scope, depth: int = DEEPEST_PARSER) -> list[Scope]:
    """The functions that declare the options of a parser: where it is parsed, where it was made, where it was handed to."""
    if depth == 0:
        return []
    found = [scope]
    for node in ast.walk(scope.node):
        if not isinstance(node, ast.Call):
            continue
        given = any(isinstance(one, ast.Name) and "parser" in one.id.lower() for one in node.args)
        makes = isinstance(node.func, ast.Name) and "parser" in node.func.id.lower()
        if given or makes or node is parser:
            for one in definitions(node.func, scope):
                if isinstance(one.node, FunctionNode) and one is not scope:
                    found += declaring(parser, one, depth - 1)
    key = scope.key(parser)
    if isinstance(parser, ast.Name) and scope.parent is not None and key not in scope.assigned:
        found += [file_index(scope).scopes[""][0]]
    return list(dict.fromkeys(found))
