"""The defaults of a program's options. Imports no torch.

    parser.add_argument("--hidden-size", type=int, default=16)     hidden_size: 16
    parser.add_argument("--cuda", action="store_true")             cuda: False
    @click.option("--width", default=64)                           width: 64
    flags.DEFINE_integer("depth", 3, "...")                        depth: 3

What is required and has choices is Unknown, as is what has no default: nobody said it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any

from netcheck.source.construction.values import Unknown, is_plain

Evaluate = Callable[[ast.expr], Any]
TYPES: dict[str, Callable[[Any], Any]] = {"int": int, "float": float, "str": str}
DEFINES = ("DEFINE_integer", "DEFINE_float", "DEFINE_string", "DEFINE_bool", "DEFINE_boolean", "DEFINE_enum", "DEFINE_list")
GIVEN_NOTHING: dict[str, Any] = {"store_true": False, "store_false": True, "count": None, "append": None}


def option(call: ast.Call, evaluate: Evaluate) -> tuple[str, Any] | None:
    """The name and the default of the option that a call declares; None where it declares none."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""
    if name in ("add_argument", "option", "add_arg"):
        return declared(call, evaluate)
    if name in DEFINES and len(call.args) > 1:
        dest = evaluate(call.args[0])
        return (dest, evaluate(call.args[1])) if isinstance(dest, str) else None
    return None


def declared(call: ast.Call, evaluate: Evaluate) -> tuple[str, Any] | None:
    """The same of `add_argument` and `click.option`."""
    flags = [value for value in map(evaluate, call.args) if isinstance(value, str)]
    keywords = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    dest = evaluate(keywords["dest"]) if "dest" in keywords else destination(flags)
    if not isinstance(dest, str) or not dest:
        return None
    if "default" in keywords:
        return dest, converted(evaluate(keywords["default"]), keywords.get("type"))
    action = evaluate(keywords["action"]) if "action" in keywords else None
    is_flag = "is_flag" in keywords or (bool(flags) and "/" in flags[0] and flags[0].startswith("--"))
    if action in GIVEN_NOTHING or is_flag:
        return dest, GIVEN_NOTHING.get(str(action), False)
    if action in ("help", "version"):
        return None
    return dest, Unknown((dest,))


def destination(flags: list[str]) -> str:
    """The name under which an option's value is found: that of the first long flag."""
    named = [flag for flag in flags if not flag.startswith("-")]
    long = [flag for flag in flags if flag.startswith("--")]
    chosen = (named[:1] or long[:1] or flags[:1] or [""])[0]
    return chosen.partition("/")[0].lstrip("-").replace("-", "_")


def converted(value: Any, kind: ast.expr | None) -> Any:
    """A default as the option's type makes it: argparse does that with texts only."""
    if isinstance(value, str) and isinstance(kind, ast.Name) and kind.id in TYPES:
        try:
            return TYPES[kind.id](value)
        except ValueError:
            return Unknown()
    if isinstance(value, str) and kind is not None and not (isinstance(kind, ast.Name) and kind.id == "str"):
        return Unknown()  # by a function of the project's: json.loads, ast.literal_eval
    return value


def options_in(node: ast.AST, evaluate: Evaluate) -> Iterator[tuple[str, Any]]:
    """Every option that the code below a node declares, in the order of the text."""
    calls = sorted((one for one in ast.walk(node) if isinstance(one, ast.Call)), key=lambda one: one.lineno)
    for call in calls:
        if isinstance(call.func, ast.Attribute) and call.func.attr == "set_defaults":
            for keyword in call.keywords:
                if keyword.arg and is_plain(value := evaluate(keyword.value)):
                    yield keyword.arg, value
        elif found := option(call, evaluate):
            yield found
