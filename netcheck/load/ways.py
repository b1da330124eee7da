"""Running a model that has no `forward` by the methods that stand in its place.

    class ActorCritic(nn.Module):                inputs of pi: x (2, 4)
        def pi(self, x): ...           --->      inputs of v:  x (2, 4)
        def v(self, x): ...                      forward(x) = {"pi": pi(x), "v": v(x)}

Arguments of several methods that are alike in name, type and shape are one. The model's class becomes a subclass with that
`forward`, which is undone afterwards.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from torch import Tensor, nn

from netcheck.errors import InputError, TraceError
from netcheck.figures.unchecked import Reason
from netcheck.load.examples import ExampleInputs
from netcheck.load.inference.signature import parameters_of
from netcheck.load.raised import is_installed
from netcheck.source.locate import Definition, locate_definition
from netcheck.source.models import is_unwritten
from netcheck.source.scopes import FunctionNode, Scope, index, index_file
from netcheck.source.ways import looks_like_forward, ways_in
from netcheck.torch_versions import forward_of

Result = TypeVar("Result")
ENTERED = "_netcheck_entered"


class NoForward(TraceError):
    """A module class has no forward, and nothing that could stand in its place."""

    reason = Reason.FORWARD


@dataclass
class Calls:
    """How one `forward` calls several methods: for each the numbers of its arguments, and those that have names."""

    calls: list[tuple[str, list[int], dict[str, int]]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)  # of forward's own arguments
    values: list[Any] = field(default_factory=list)

    def add(self, way: str, parameters: list[str], example: ExampleInputs) -> None:
        """Add a method with the inputs that it takes; `parameters` are the names of its arguments."""
        known = [*parameters, *(f"input_{number}" for number in range(len(parameters), len(example.args)))]
        places = [self.place(name, value, way) for name, value in zip(known, example.args, strict=False)]
        named = {name: self.place(name, value, way) for name, value in example.kwargs.items()}
        self.calls.append((way, places, named))

    def place(self, name: str, value: Any, way: str) -> int:
        """The number of forward's argument for a value of this name, new if none is alike."""
        for number, (other, held) in enumerate(zip(self.names, self.values, strict=True)):
            if other == name and are_alike(held, value):
                return number
        self.names.append(name if name not in self.names else f"{way}_{name}")
        self.values.append(value)
        return len(self.names) - 1


def are_alike(one: Any, other: Any) -> bool:
    """Whether two tensors have one shape and type; whether two other values are equal."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and one.dtype == other.dtype
    return type(one) is type(other) and not isinstance(one, tuple | list | dict) and bool(one == other)


def has_forward(model: nn.Module) -> bool:
    """Whether a model can be called: its class has a forward, and not one that only says that it is not written."""
    kind = type(model)
    if "forward" in vars(model):
        return True
    if forward_of(kind) is nn.Module.forward:
        return False
    code = getattr(forward_of(kind), "__code__", None)
    if code is None or "NotImplementedError" not in code.co_names or is_installed(code.co_filename):
        return True
    owner = next(one for one in kind.__mro__ if "forward" in vars(one))
    scope = scope_of(owner)
    methods = index_file(scope.file).scopes.get(f"{scope.qualname}.forward", []) if scope is not None else []
    return not any(isinstance(one.node, FunctionNode) and is_unwritten(one.node) for one in methods[-1:])


@contextmanager
def entered(model: nn.Module) -> Iterator[list[str]]:
    """Give a model without forward one for as long as the block lasts; the block gets the names of the methods, if it is one.

    Raises:
        NoForward: there are none.
    """
    if has_forward(model):
        yield []
        return
    kind = type(model)
    ways = ways_of(kind)
    become(model, alone(kind, ways[0]))
    try:
        yield ways
    finally:
        become(model, kind)


def ways_of(kind: type[nn.Module]) -> list[str]:
    """The methods by which a class is run.

    Raises:
        NoForward: there are none.
    """
    name = kind.__name__
    place = locate_definition(Definition(source_file(kind), kind.__qualname__))
    scope = scope_of(kind)
    slip = looks_like_forward(scope) if scope is not None else ""
    if slip:
        text = f"{name} defines no forward, but {slip}: calling it raises NotImplementedError"
        raise TraceError(text, help=f"rename {slip} to forward", location=place)
    ways = ways_in(scope) if scope is not None else []
    if not ways:
        text = f"{name} defines no forward, and no method of it is seen to give tensors to its parts"
        raise NoForward(text, help="define forward, or check the model that contains it", location=place)
    return ways


def source_file(kind: type) -> str:
    """The file that defines a class, "" if there is none."""
    try:
        return inspect.getsourcefile(kind) or ""
    except (TypeError, OSError):
        return ""


def scope_of(kind: type) -> Scope | None:
    """The source of a class."""
    file = source_file(kind)
    found = index(file) if file else None
    scopes = found.scopes.get(kind.__qualname__, []) if found is not None else []
    return scopes[-1] if scopes else None


def alone(kind: type[nn.Module], way: str) -> type[nn.Module]:
    """A subclass whose forward is one of its methods."""
    return subclass(kind, getattr(kind, way))


def together(kind: type[nn.Module], plan: Calls) -> type[nn.Module]:
    """A subclass whose forward calls several of its methods and gives what each returns, by name."""

    def forward(self: nn.Module, *args: Any) -> dict[str, Any]:
        return {
            way: getattr(self, way)(*(args[place] for place in places), **{key: args[place] for key, place in named.items()})
            for way, places, named in plan.calls
        }

    kinds = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("self", *plan.names)]
    forward.__signature__ = inspect.Signature(kinds)  # type: ignore[attr-defined]
    forward.__wrapped__ = getattr(kind, plan.calls[0][0])  # type: ignore[attr-defined]
    return subclass(kind, forward)


def subclass(kind: type[nn.Module], forward: Callable[..., Any]) -> type[nn.Module]:
    """A class that is the same but for its forward."""
    space = {"forward": forward, "__module__": kind.__module__, "__qualname__": kind.__qualname__, ENTERED: True}
    made: type[nn.Module] = types.new_class(kind.__name__, (kind,), exec_body=lambda body: body.update(space))
    return made


def become(model: nn.Module, kind: type[nn.Module]) -> None:
    """Give a model another class."""
    object.__setattr__(model, "__class__", kind)


def later(model: nn.Module, measure: Callable[[], Result]) -> Callable[[], Result]:
    """What measures the model whenever it is asked to, as the class that the model has now."""
    if has_forward(model) and not is_entered(model):
        return measure

    def measured() -> Result:
        before, kind = type(model), current
        become(model, kind)
        try:
            return measure()
        finally:
            become(model, before)

    current = type(model)
    return measured


def is_entered(model: nn.Module) -> bool:
    """Whether a model's class is one of those that are made here."""
    return ENTERED in vars(type(model))


def inputs_by(model: nn.Module, ways: list[str], infer: Callable[[nn.Module], ExampleInputs]) -> tuple[ExampleInputs, list[str]]:
    """Inputs for all methods for which there are some, which `forward` calls from now on; and a sentence on each other one.

    Args:
        model: in an `entered` block.
        ways: its methods.
        infer: finds inputs for one `forward`.

    Raises:
        InputError: there are inputs for none.
        TraceError: none runs.
    """
    kind = type(model).__mro__[1]
    plan, said = Calls(), list[str]()
    failures: list[Exception] = []
    for way in ways:
        become(model, alone(kind, way))
        try:
            example = infer(model)
            plan.add(way, [one.name for one in parameters_of(model)], example)
        except (InputError, TraceError) as error:
            failures.append(error)
            said.append(f"{way}: {error}")
    if not plan.calls:
        raise failures[0]
    become(model, together(kind, plan))
    names = ", ".join(way for way, _, _ in plan.calls)
    description = f"{example_words(plan)}, by {names}, for there is no forward"
    return ExampleInputs(tuple(plan.values), {}, f"inputs: {description}"), said


def example_words(plan: Calls) -> str:
    """The arguments of forward as a report has them."""
    from netcheck.load.examples import in_words

    return ", ".join(f"{name} {in_words(value)}" for name, value in zip(plan.names, plan.values, strict=True)) or "none"


__all__ = ["NoForward", "entered", "has_forward", "inputs_by", "ways_of"]
