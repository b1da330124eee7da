"""All arguments of one try to build a class.

    Plan(Net, {"in_channels": 3 (train.py:12), "cfg": Configuration}, options {"cfg.width": 64 (assumed)})

An option that the source leaves open is asked for while the constructor runs: what it was answered is part of the plan from then.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from types import ModuleType
from typing import Any

from torch import nn

from netcheck.load.arguments import annotation_of, config_class, required
from netcheck.load.construction.configuration import Configuration, Missing, Trail
from netcheck.load.construction.given import Given, made, plain
from netcheck.load.construction.guesses import NO_MODEL, guessed
from netcheck.load.construction.live import live
from netcheck.source.construction.docstrings import documented
from netcheck.source.construction.evaluate import Evaluator, project_of
from netcheck.source.construction.others import models_elsewhere, ways_of_namesakes
from netcheck.source.construction.uses import Uses, uses
from netcheck.source.construction.values import Record, Unknown, is_plain, written
from netcheck.source.construction.ways import Way, ways

VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True)
class Subject:
    """A class or factory that is to be built.

    Attributes:
        callee: the class or function.
        file: the absolute path of its source, "" where that is not known.
        qualname: its qualified name there.
        namespace: its module.
        build_nested: gives a model of another class; None where none fits.
        prepare: calls what builds a model as models are built, also the models that its arguments are.
    """

    callee: Callable[..., Any]
    file: str
    qualname: str
    namespace: ModuleType
    build_nested: Callable[[type], Given | None]
    prepare: Callable[[Callable[[], Any]], Any]

    @cached_property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """Its parameters by name."""
        return dict(inspect.signature(self.callee).parameters)

    @cached_property
    def uses(self) -> dict[str, Uses]:
        """What it does with them."""
        return uses(self.file, self.qualname) if self.file else {}

    @cached_property
    def ways(self) -> tuple[Way, ...]:
        """How the project builds it."""
        return ways(self.file, self.qualname) if self.file else ()

    @cached_property
    def classes(self) -> dict[str, type]:
        """The model classes that its module knows, by name in lower case."""
        found = {name.lower(): value for name, value in vars(self.namespace).items() if is_model_class(value)}
        return {name: value for name, value in found.items() if value is not self.callee}

    @cached_property
    def evaluator(self) -> Evaluator:
        """Looks options up in the project's files."""
        return Evaluator(project_of(self.file), self.qualname.rpartition(".")[2])

    def guess(self, path: str) -> Given | None:
        """The likeliest value of a parameter or option; None if it is an object of options."""
        head, _, last = path.rpartition(".")
        parameter = None if head else self.parameters.get(path)
        annotation: Any = inspect.Parameter.empty if parameter is None else annotation_of(self.callee, parameter)
        use = self.uses.get(path, Uses())
        said = documented(self.file, self.qualname).get(path) if self.file else None
        if said is not None and annotation is inspect.Parameter.empty and not use.attributes:
            annotation = said.kind
            use = replace(use, compared=[*use.compared, *said.words]) if said.kind is str else use
        found = guessed(last, annotation, use, self.classes, self.build_nested)
        if self.file and not head and (found is None or found.text == NO_MODEL):
            return self.model_elsewhere(path) or found
        return found

    def model_elsewhere(self, parameter: str) -> Given | None:
        """The first that can be built of what the project gives other classes for a parameter of this name."""
        for value in models_elsewhere(self.file, self.qualname, parameter):
            make = partial(live, value, self.namespace)
            with suppress(Exception):  # of Impossible, and of what the user's classes raise
                if isinstance(self.prepare(make), nn.Module):
                    return made(make, written(value))
        return None


def is_model_class(value: Any) -> bool:
    """Whether a value is a class of models of the user's."""
    return isinstance(value, type) and issubclass(value, nn.Module) and not value.__module__.startswith("torch.")


@dataclass
class Plan:
    """One try."""

    subject: Subject
    arguments: dict[str, Given]  # by parameter
    options: dict[str, Given] = field(default_factory=dict)  # by path: what is read of an argument and nobody set
    place: str = ""  # of the call that it follows
    asked: dict[Trail, str] = field(default_factory=dict)  # under which path something was asked for first

    def key(self) -> str:
        """The same for plans that build the same."""
        return repr([(name, one.text) for name, one in (*self.arguments.items(), *self.options.items())])

    def build(self) -> Any:
        """Call the class with fresh arguments."""
        args: list[Any] = []
        kwargs = {}
        for name, given in self.arguments.items():
            value = self.settled(name, given.make())
            kind = self.subject.parameters[name].kind if name in self.subject.parameters else inspect.Parameter.KEYWORD_ONLY
            if kind is inspect.Parameter.VAR_POSITIONAL:
                args += value
            elif kind is inspect.Parameter.POSITIONAL_ONLY or self.is_before_variadic(name):
                args.append(value)
            else:
                kwargs[name] = value
        return self.subject.callee(*args, **kwargs)

    def is_before_variadic(self, name: str) -> bool:
        """Whether a parameter must be given by its place, as others follow by place."""
        starred = [one.name for one in self.subject.parameters.values() if one.kind is inspect.Parameter.VAR_POSITIONAL]
        names = list(self.subject.parameters)
        return bool(starred) and starred[0] in self.arguments and name in names and names.index(name) < names.index(starred[0])

    def settled(self, path: str, value: Any) -> Any:
        """An argument with the options of this plan set on it."""
        for name, given in self.options.items():
            head, _, last = name.rpartition(".")
            if head == path and not isinstance(value, Configuration):
                object.__setattr__(value, last, given.make())  # of a frozen dataclass, too
        return value

    def ask(self, path: str, trail: Trail = ()) -> Any:
        """The value of an option that nobody set; the first that was given for what the source reads of the same place.

        Raises:
            Missing: it is better not to have it.
        """
        path = self.asked.setdefault(trail, path) if trail else path
        if path not in self.options:
            head, _, last = path.rpartition(".")
            if last.startswith("_") or last in self.subject.uses.get(head, Uses()).optional:
                raise Missing(path)
            self.options[path] = self.shown(path) or self.subject.guess(path) or self.configuration(path)
        return self.options[path].make()

    def shown(self, path: str) -> Given | None:
        """What the project's options or configuration files have under this name."""
        if not self.subject.file:
            return None
        found = self.subject.evaluator.looked_up(tuple(path.split(".")))
        return None if isinstance(found, Unknown) else given_by(self, path, found, "its options")

    def configuration(self, path: str) -> Given:
        """An object of options about which nothing is known."""
        return opened(self, path, Record({}), f"the code that reads {path}")

    def changed(self, slot: str, given: Given, *, new: bool = False) -> Plan:
        """The plan with something else in one place; a `new` one is an argument by name."""
        twin = replace(self, arguments=dict(self.arguments), options=dict(self.options), asked=dict(self.asked))
        (twin.arguments if new or slot in twin.arguments else twin.options)[slot] = given
        return twin.rebound()

    def rebound(self) -> Plan:
        """With its own answers for open options, not those of the plan that it was made from."""
        for slots in (self.arguments, self.options):
            for name, given in slots.items():
                if isinstance(given, Shown):
                    again = opened if isinstance(given.source, Record) else shown_by
                    slots[name] = again(self, name, given.source, given.origin)
        return self

    def assumed(self) -> dict[str, Given]:
        """What nobody says, by parameter or option."""
        return {name: one for name, one in {**self.arguments, **self.options}.items() if one.is_assumed}

    def written(self) -> str:
        """The call: "Net(in_channels=3, num_classes=10)"; what is read of an object of options follows it."""
        parts = [f"{name}={given.text}" for name, given in self.arguments.items()]
        open_options = [f"{name}={given.text}" for name, given in self.options.items() if "." in name]
        callee = self.subject.callee
        is_method = not isinstance(callee, type) and "<locals>" not in self.subject.qualname
        name = self.subject.qualname if is_method else getattr(callee, "__name__", self.subject.qualname)
        with_options = f" with {', '.join(open_options)}" if open_options else ""
        return f"{name}({', '.join(parts)}){with_options}"


@dataclass(frozen=True)
class Shown(Given):
    """What the source shows, perhaps with parts that are not known."""

    source: Any = None


def opened(plan: Plan, path: str, record: Record, origin: str) -> Shown:
    """A record of options; what it lacks, the plan answers."""
    make = partial(live, record, plan.subject.namespace, path, plan.ask)
    return Shown(make, record.name or path.rpartition(".")[2], origin, None, record)


def given_by(plan: Plan, path: str, value: Any, origin: str) -> Given | None:
    """What the source shows; None where it is not whole, or cannot be made."""
    if isinstance(value, Record):
        return opened(plan, path, value, origin)
    before = dict(plan.options)
    try:
        made_now = plan.subject.prepare(partial(live, value, plan.subject.namespace, path, plan.ask))
    except Exception:  # of Impossible, and of what the user's classes raise
        plan.options = before  # what was asked for on the way is not part of the plan
        return None
    return plain(made_now, origin) if is_plain(value) else shown_by(plan, path, value, origin)


def shown_by(plan: Plan, path: str, value: Any, origin: str) -> Shown:
    """A value of the source; what is unknown in it, the plan answers."""
    return Shown(partial(live, value, plan.subject.namespace, path, plan.ask), written(value), origin, None, value)


def plans(subject: Subject) -> Iterator[Plan]:
    """The plans to begin with: after each call of the project, or of a class of the same name, then after none."""
    for way in subject.ways:
        plan = Plan(subject, {}, place=way.place)
        if follow(plan, way, way.place):
            yield complete(plan)
    for way in ways_of_namesakes(subject.file, subject.qualname) if subject.file and not subject.ways else ():
        plan = Plan(subject, {})
        if follow(plan, way):
            yield complete(plan)
    yield complete(Plan(subject, {}))


def follow(plan: Plan, way: Way, origin: str = "") -> bool:
    """Give what a call of the project gives, from this origin or assumed; whether that fits the class."""
    parameters = plan.subject.parameters
    try:
        arguments = inspect.signature(plan.subject.callee).bind_partial(*way.args, **way.kwargs).arguments
    except TypeError:
        return False
    for name, value in arguments.items():
        kind = parameters[name].kind
        parts = {name: value} if kind is not inspect.Parameter.VAR_KEYWORD else value
        for path, one in parts.items():
            given = given_by(plan, path, list(one) if kind is inspect.Parameter.VAR_POSITIONAL else one, origin)
            if given is not None:
                plan.arguments[path] = given
    return True


def complete(plan: Plan) -> Plan:
    """Guess what is left."""
    for parameter in required(plan.subject.callee):
        if parameter.name not in plan.arguments:
            plan.arguments[parameter.name] = guess(plan, parameter)
    names = [*plan.subject.parameters, *plan.arguments]
    plan.arguments = dict(sorted(plan.arguments.items(), key=lambda pair: names.index(pair[0])))
    return plan


def guess(plan: Plan, parameter: inspect.Parameter) -> Given:
    """What one parameter may be."""
    kind = config_class(plan.subject.callee, parameter)
    if kind is not None:
        return made(kind, f"{kind.__name__}()", f"the defaults of {kind.__name__}")
    found = plan.subject.guess(parameter.name)
    if found is None:
        annotation = annotation_of(plan.subject.callee, parameter)
        is_class = isinstance(annotation, type) and annotation not in (inspect.Parameter.empty, object)
        if is_class and annotation.__module__ != "builtins" and (nested := plan.subject.build_nested(annotation)):
            return nested
    return found or plan.configuration(parameter.name)
