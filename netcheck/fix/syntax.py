"""Small changes of concrete syntax: calls and their arguments, names."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from netcheck.fix.code import ByHand


def dotted(node: cst.CSTNode) -> str:
    """A name with its dots, "nn.Conv2d"; "" for any other expression."""
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr.value}" if before else ""
    return ""


def last_name(node: cst.CSTNode) -> str:
    """The last part of a dotted name: "Conv2d"."""
    if isinstance(node, cst.Attribute):
        return node.attr.value
    return node.value if isinstance(node, cst.Name) else ""


def renamed(function: cst.BaseExpression, name: str) -> cst.BaseExpression:
    """The same dotted name with another last part.

    Raises:
        ByHand: it is no attribute, so that the new name may not be imported.
    """
    if not isinstance(function, cst.Attribute):
        raise ByHand(f"{name} may not be imported there")
    return function.with_changes(attr=cst.Name(name))


def argument(call: cst.Call, position: int | None, name: str) -> cst.Arg | None:
    """An argument of a call, by its name or, behind the unnamed ones, its place.

    Raises:
        ByHand: the call spreads a sequence or a dict, so that this cannot be told.
    """
    for arg in call.args:
        if arg.keyword is not None and arg.keyword.value == name:
            return arg
    if any(arg.star for arg in call.args):
        raise ByHand(f"the call spreads its arguments, which may hold `{name}`")
    unnamed = [arg for arg in call.args if arg.keyword is None]
    return unnamed[position] if position is not None and position < len(unnamed) else None


def with_argument(call: cst.Call, name: str, value: str, position: int | None = None, *, before_spread: bool = False) -> cst.Call:
    """A call with an argument set: changed where it is there, else put in at the end, laid out as the others are.

    Args:
        call: the call.
        name: the argument.
        value: what it is to be.
        position: where it stands among those without a name.
        before_spread: the call spreads what has no such argument: it is put in before that.

    Raises:
        ByHand: the call spreads a sequence or a dict.
    """
    new = cst.parse_expression(value)
    equal = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
    added = cst.Arg(new, keyword=cst.Name(name), equal=equal)
    if before_spread:
        number = next(n for n, arg in enumerate(call.args) if arg.star)
        added = added.with_changes(comma=cst.Comma(whitespace_after=separator(call.args)))
        return call.with_changes(args=(*call.args[:number], added, *call.args[number:]))
    there = argument(call, position, name)
    if there is not None:
        return call.with_deep_changes(there, value=new)
    if not call.args:
        return call.with_changes(args=(added,))
    *before, last = call.args
    gap = separator(call.args)
    trailing = isinstance(last.comma, cst.Comma)
    added = added.with_changes(
        comma=last.comma, whitespace_after_arg=last.whitespace_after_arg if not trailing else cst.SimpleWhitespace("")
    )
    kept = last.with_changes(comma=cst.Comma(whitespace_after=gap), whitespace_after_arg=cst.SimpleWhitespace(""))
    return call.with_changes(args=(*before, kept, added))


def separator(args: Sequence[cst.Arg]) -> cst.BaseParenthesizableWhitespace:
    """What stands behind the commas between arguments; without a comment that belongs to one of them."""
    for arg in args[:-1]:
        if isinstance(arg.comma, cst.Comma):
            space = arg.comma.whitespace_after
            if isinstance(space, cst.ParenthesizedWhitespace):
                return space.with_changes(
                    first_line=space.first_line.with_changes(comment=None, whitespace=cst.SimpleWhitespace(""))
                )
            return space
    return cst.SimpleWhitespace(" ")


def without_argument(call: cst.Call, arg: cst.Arg) -> cst.Call:
    """A call without one of its arguments."""
    args = list(call.args)
    index = args.index(arg)
    last = index == len(args) - 1
    del args[index]
    if last and args:
        args[-1] = args[-1].with_changes(comma=arg.comma, whitespace_after_arg=arg.whitespace_after_arg)
    return call.with_changes(args=tuple(args))


def is_literal(node: cst.CSTNode) -> bool:
    """Whether a value is written out: a number, True, False or None."""
    return isinstance(node, cst.Integer | cst.Float) or (isinstance(node, cst.Name) and node.value in ("True", "False", "None"))


def is_self(node: cst.CSTNode) -> bool:
    """Whether a dotted name begins with `self`."""
    return dotted(node).startswith("self.")
