"""The answer of a search: what builds the model and what it was built from, or an error that says what was tried."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from torch import nn

from netcheck.findings import Assumption, Construction, GivenArgument
from netcheck.load.construction.given import Given, made
from netcheck.load.construction.plans import Plan, Subject, plans
from netcheck.load.construction.search import Search
from netcheck.load.raised import is_installed
from netcheck.source.construction.values import is_plain
from netcheck.source.locate import Definition

NESTED = 3  # constructors in each other whose arguments are guessed
SECONDS_NESTED = 0.7  # of computing, for one of these
Prepare = Callable[[Callable[[], Any]], Any]


@dataclass(frozen=True)
class Answer:
    """What a search found.

    Attributes:
        build: builds a model; None if no arguments were found that do.
        construction: how it is built; without `build`, how it was tried when that got furthest.
        failure: what the try that got furthest raised.
    """

    build: Callable[[], Any] | None
    construction: Construction
    failure: BaseException | None = None


def constructed(callee: Callable[..., Any], defined: Definition, namespace: ModuleType, prepare: Prepare) -> Answer:
    """Find arguments for a class or factory that needs some.

    Args:
        callee: the class or function.
        defined: where it is defined.
        namespace: its module.
        prepare: calls what builds a model as models are built.
    """
    subject = subject_of(callee, defined.file, defined.name, namespace, prepare, NESTED)
    search = Search(prepare)
    plan = search.run(plans(subject)) or by_its_makers(subject)
    shown = plan or search.furthest
    construction = Construction("") if shown is None else told(shown)
    return Answer(None if plan is None else plan.build, construction, search.failure)


def by_its_makers(subject: Subject) -> Plan | None:
    """How the project builds a class by one of its own methods, `Net.from_name("b0")`, where its constructor was of no use."""
    for name in makers(subject.callee):
        making = replace(subject, callee=getattr(subject.callee, name), qualname=f"{subject.qualname}.{name}")
        plan = Search(subject.prepare).run(plans(making)) if making.ways else None
        if plan is not None and isinstance(subject.prepare(plan.build), nn.Module):
            return plan
    return None


def makers(kind: Callable[..., Any]) -> list[str]:
    """The class and static methods of a class, those last that are about trained weights."""
    methods = vars(kind).items() if isinstance(kind, type) else ()
    names = [name for name, value in methods if isinstance(value, classmethod | staticmethod)]
    return sorted(names, key=lambda name: "pretrained" in name)


def subject_of(
    callee: Callable[..., Any], file: str, qualname: str, namespace: ModuleType, prepare: Prepare, depth: int
) -> Subject:
    """A class with what builds others that it takes."""

    def build_nested(kind: type) -> Given | None:
        return nested(kind, namespace, prepare, depth - 1) if depth else None

    known = os.path.isfile(file) and not is_installed(file)
    return Subject(callee, os.path.abspath(file) if known else "", qualname, namespace, build_nested, prepare)


def nested(kind: type, namespace: ModuleType, prepare: Prepare, depth: int) -> Given | None:
    """A model or an object of options that another one takes; None where it cannot be built."""
    try:
        file = inspect.getsourcefile(kind) or ""
    except (TypeError, OSError):
        file = ""
    subject = subject_of(kind, file, kind.__qualname__, namespace, prepare, depth)
    plan = Search(prepare, SECONDS_NESTED).run(plans(subject))
    if plan is None:
        return None
    return made(plan.build, plan.written(), "" if plan.assumed() else plan.place or f"the defaults of {kind.__name__}")


def told(plan: Plan) -> Construction:
    """What a report says of a plan."""
    arguments = tuple(GivenArgument(name, one.text, one.origin) for name, one in {**plan.arguments, **plan.options}.items())
    assumptions = tuple(Assumption("argument", one.name, one.value) for one in arguments if not one.origin)
    return Construction(plan.written(), plan.place, arguments, assumptions, plain_arguments(plan))


def plain_arguments(plan: Plan) -> dict[str, Any] | None:
    """The arguments as a configuration file can hold them; None if it cannot, as where they are those of a method."""
    if not isinstance(plan.subject.callee, type) and "." in plan.subject.qualname:
        return None
    found = {name: given.value for name, given in plan.arguments.items()}
    texts = {name: given.text for name, given in plan.arguments.items()}
    whole = all(is_settable(value, texts[name]) for name, value in found.items())
    return {name: as_settable(value) for name, value in found.items()} if whole and not plan.options else None


def is_settable(value: Any, text: str) -> bool:
    """Whether TOML can hold a value: plain data without None."""
    if isinstance(value, list | tuple):
        return all(is_settable(one, "") for one in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_settable(one, "") for key, one in value.items())
    return value is not None and is_plain(value) and not isinstance(value, bytes | complex | slice | set)


def as_settable(value: Any) -> Any:
    """A value with lists for tuples."""
    return [as_settable(one) for one in value] if isinstance(value, list | tuple) else value
