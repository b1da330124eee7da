"""What rests on weights that a model would load, and that are not here: information, for the weights are not the model's own.

vgg16(weights="DEFAULT").features     nothing is downloaded: how a fresh VGG-16 starts says nothing of this one
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from netcheck.findings import Finding, Severity, Verdict
from netcheck.rules import base
from netcheck.source.syntax import syntax_of

if TYPE_CHECKING:
    from torch import nn

INITIALIZATION = "NC5"  # how the codes of rules on initial weights begin
DETACHED = "NC905"
PARAMETERS = {"weight", "bias"}
SAID = "the weights that it loads are not here"


def with_weights_elsewhere(findings: Sequence[Finding], model: nn.Module) -> list[Finding]:
    """The findings; those that would fail a run and rest on weights which the model was built without are information."""
    from netcheck.load.fence.checkpoints import unloaded

    every = copies_weights(type(model))
    missing = {name for name, module in model.named_modules() if every or module in unloaded}
    return [
        without(one)
        if missing and one.severity >= Severity.WARNING and (rests_on(one, missing) or is_kept(one, missing, model))
        else one
        for one in findings
    ]


def copies_weights(kind: type) -> bool:
    """Whether a class, or one that it derives from, has code that takes over the weights of another model."""
    own = [one for one in kind.__mro__ if one.__module__.partition(".")[0] not in ("torch", "builtins")]
    return any(is_copy(node) for one in own for node in syntax(one))


def syntax(kind: type) -> Iterator[ast.AST]:
    """The code of a class, node by node; nothing if it stands in no file."""
    tree = syntax_of(kind)
    if tree is not None:
        yield from ast.walk(tree)


def is_copy(node: ast.AST) -> bool:
    """Whether a statement takes over weights: `own.weight.data = other.weight.data`, `own.weight.copy_(other.weight)`.

    Not `head.weight = embedding.weight`, which ties two layers.
    """
    match node:
        case ast.Assign(targets=[ast.Attribute(attr="data") as target], value=value):
            return owner(target) is not None and owner(value) not in (None, "self")
        case ast.Call(func=ast.Attribute(value=target, attr="copy_"), args=[value, *_]):
            return owner(target) is not None and owner(value) not in (None, "self")
    return False


def owner(node: ast.AST) -> str | None:
    """Whose weights an expression stands for, "vgg" of `vgg.features[0].weight.data`; None if it is no parameter of a layer."""
    if isinstance(node, ast.Attribute) and node.attr == "data":
        node = node.value
    if not isinstance(node, ast.Attribute) or node.attr not in PARAMETERS:
        return None
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def rests_on(found: Finding, missing: set[str]) -> bool:
    """Whether a finding tells of the values of weights, some of which are those of modules that lack theirs."""
    of_values = found.code.startswith(INITIALIZATION) or isinstance(base.find(found.code), base.MeasuredRule)
    of_values = of_values or found.evidence.unit == "decades"
    return of_values and (not found.modules or not missing.isdisjoint(found.modules))


def is_kept(found: Finding, missing: set[str], model: nn.Module) -> bool:
    """Whether a finding tells that layers get no gradient all of which have their weights from elsewhere: used, not trained."""
    if found.code != DETACHED:
        return False
    layers = [name for name in found.modules if next(model.get_submodule(name).parameters(recurse=False), None) is not None]
    return bool(layers) and missing.issuperset(layers)


def without(found: Finding) -> Finding:
    """A finding as information that says so."""
    evidence = replace(found.evidence, text=f"{found.evidence.text}; {SAID}")
    return replace(found, severity=Severity.INFO, verdict=Verdict.SUSPECTED, evidence=evidence)
