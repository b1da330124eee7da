"""What stands in for a package that cannot be imported, so that only the models that need it cannot be checked.

    import gym                        gym is not installed: the name stands for an `Absent`
    env = gym.make("CartPole-v1")     another one: whatever is asked of it
    @gym.register                     leaves the class or function as it is
    class Env(gym.Wrapper): ...       a class; making one raises NotInstalled
    n = env.action_space.n + 1        raises NotInstalled: here a value is needed

The statement that raises is left out like any other that fails, or is the reason why a model cannot be built.
"""

from __future__ import annotations

import ast
import builtins
import sys
import traceback
import types
from collections.abc import Iterator
from typing import Any, NoReturn

import torch
from torch import nn

from netcheck.load import operators, removed
from netcheck.load.fence.state import chain, excuse
from netcheck.load.raised import describe, is_installed, user_line
from netcheck.source.needed import bound, used


class NotInstalled(ImportError):
    """User code needs a value of a package that is not there; `name` is the package, the text says what is wrong with it."""

    @property
    def advice(self) -> str:
        """What to do about it."""
        if "command line" in str(self):
            return "give the argument a default, or build the model in a function that needs none"
        if not self.name:
            return "put it where the code looks for it, or build the model in a function that does not"
        if "do not load" in str(self):
            return f"install the {self.name} that was built for this torch in the environment that netcheck runs in"
        if "cannot be imported" in str(self):
            return f"make `import {self.name}` work in the environment that netcheck runs in"
        return f"install {self.name} in the environment that netcheck runs in"


class Absent:
    """Something of a package that cannot be imported.

    Args:
        name: what the user's code calls it: "gym.make()".
        package: that it belongs to.
        fault: what is wrong with the package: "gym is not installed".
    """

    _name: str
    _package: str
    _fault: str

    def __init__(self, name: str, package: str, fault: str) -> None:
        vars(self).update(_name=name, _package=package, _fault=fault)

    def __repr__(self) -> str:
        """The name, and why there is no more of it."""
        return f"<{self._name}: {self._fault}>"

    def __getattr__(self, name: str) -> Absent:
        """A part of it; what Python itself asks for is not there."""
        if name.startswith("__") and name != "__version__":
            raise AttributeError(name)
        return self._part(f".{name}")

    def __getitem__(self, key: object) -> Absent:
        """The same: `Float[Tensor, "batch"]`."""
        return self._part("[...]")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What it makes; a function or class that it decorates, as that is."""
        if len(args) == 1 and not kwargs and isinstance(args[0], type | types.FunctionType):
            return args[0]
        if any(isinstance(one, torch.Tensor) for one in (*args, *kwargs.values())):
            self._needed()
        return self._part("()")

    def __format__(self, how: str) -> str:
        """What it is called, however it is to be printed."""
        return repr(self)

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[type, ...]:
        """The base of a class that derives from it."""
        kind = STAND_INS.get(self._name.rpartition(".")[2])
        return (kind,) if kind is not None else (type(self._name, (Base,), {"absent": self}),)

    def __instancecheck__(self, value: object) -> bool:
        """Nothing is one."""
        return False

    def __setattr__(self, name: str, value: object) -> None:
        """Takes no effect."""

    def __setitem__(self, key: object, value: object) -> None:
        """The same: `rcParams["figure.dpi"] = 200`."""

    def __deepcopy__(self, known: object) -> Absent:
        """Itself."""
        return self

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> NoReturn:
        """A tensor is to be computed with it."""
        next(one for one in flat((args, kwargs or {})) if isinstance(one, Absent))._needed()

    def _part(self, suffix: str) -> Absent:
        return Absent(f"{self._name}{suffix}", self._package, self._fault)

    def _needed(self, *_: object) -> NoReturn:
        raise self._error()

    def _error(self) -> NotInstalled:
        return NotInstalled(f"{self._name} is needed, and {self._fault}", name=self._package)


OPERATIONS = (  # what asks for a value
    "bool len iter next contains index int float complex round enter exit aenter await array add radd sub rsub mul rmul "
    "matmul rmatmul truediv rtruediv floordiv rfloordiv mod rmod pow rpow neg pos abs invert and rand or ror xor lshift rshift "
    "lt le gt ge"
).split()
for _operation in OPERATIONS:
    setattr(Absent, f"__{_operation}__", Absent._needed)


class Base:
    """The base of a class whose own base cannot be imported."""

    absent: Absent

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Nobody can make one.

        Raises:
            NotInstalled: always.
        """
        self.absent._needed()


class LightningModule(nn.Module):
    """A module of Lightning's as far as its forward goes: what belongs to training does nothing."""

    def save_hyperparameters(self, *args: Any, **kwargs: Any) -> None:
        """Keep the arguments of the `__init__` that calls this as `self.hparams`."""
        frame = sys._getframe(1)
        given = {name: value for name, value in frame.f_locals.items() if name not in ("self", "__class__")}
        given.update(given.pop("kwargs", {}))
        self.hparams = Hyperparameters(given if not args or not isinstance(args[0], dict) else args[0])

    def log(self, *args: Any, **kwargs: Any) -> None:
        """Log nothing."""

    log_dict = log

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next((one.device for one in self.parameters()), torch.device("cpu"))

    @property
    def example_input_array(self) -> Any:
        """Inputs that the author gave."""
        return vars(self).get("_example_input_array")

    @example_input_array.setter
    def example_input_array(self, value: Any) -> None:
        vars(self)["_example_input_array"] = value


class Hyperparameters(dict[str, Any]):
    """What Lightning keeps of the arguments: its keys are attributes as well."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


STAND_INS: dict[str, type] = {"LightningModule": LightningModule}  # bases that are known well enough


def faulty_import(statement: ast.Import | ast.ImportFrom, path: str, error: BaseException) -> str:
    """What is wrong with the package that an import statement is about: "gym is not installed"; "" if it is not to blame.

    Args:
        statement: the import.
        path: the file that it stands in.
        error: what it raised. Not to blame is a package for what another file of the user's raises.
    """
    if not isinstance(error, Exception) or excuse(error) is not None or is_relative_to_nothing(error):
        return ""
    place = user_line(error)
    if place is None or place.file != path or isinstance(error, SyntaxError):
        return ""
    module = module_of(statement)
    if not isinstance(error, ImportError):
        return f"{module} cannot be imported ({describe(error)})"
    if gone := removed.cause(error):
        return gone
    absent = error.name or ""
    if isinstance(error, ModuleNotFoundError):
        mine = f"{module}.".startswith(f"{absent}.") or statement_is_relative(statement)
        return f"{absent} is not installed" if mine else f"{module} needs {absent}, which is not installed"
    home = getattr(sys.modules.get(absent), "__file__", None)
    is_users = home is not None and not is_installed(home)
    return "" if is_users else f"{module} lacks a name ({describe(error)})"


def statement_is_relative(statement: ast.Import | ast.ImportFrom) -> bool:
    """Whether an import is relative to the file's package."""
    return isinstance(statement, ast.ImportFrom) and statement.level > 0


def is_relative_to_nothing(error: BaseException) -> bool:
    """Whether a relative import has nothing to be relative to."""
    return isinstance(error, ImportError) and "relative import" in str(error)


def module_of(statement: ast.Import | ast.ImportFrom) -> str:
    """The module that an import statement names first."""
    return statement.module or "" if isinstance(statement, ast.ImportFrom) else statement.names[0].name


def stand_ins(statement: ast.Import | ast.ImportFrom, tree: ast.Module, fault: str) -> dict[str, Any]:
    """What the names that an import statement binds stand for; of `import *`, the names that nothing else binds.

    Where only one of several names is not there, the others are what they are.

    Args:
        statement: the import.
        tree: the file that it stands in.
        fault: what is wrong with the package.
    """
    found: dict[str, Any] = {}
    for alias in statement.names:
        module = statement.module or "" if isinstance(statement, ast.ImportFrom) else ""
        package = (module or alias.name).partition(".")[0]
        if alias.name == "*":
            found.update({name: Absent(name, package, fault) for name in unbound(tree)})
        elif isinstance(statement, ast.ImportFrom):
            here = getattr(sys.modules.get(module), alias.name, None) if not statement.level else None
            found[alias.asname or alias.name] = Absent(alias.name, package, fault) if here is None else here
        elif alias.asname:
            found[alias.asname] = Absent(alias.name, package, fault)
        else:
            found[package] = Absent(package, package, fault)
    return found


def unbound(tree: ast.Module) -> set[str]:
    """The names that a file uses and nothing in it binds."""
    known = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)} | set(vars(builtins))
    known |= {name for node in ast.walk(tree) if isinstance(node, ast.stmt | ast.comprehension) for name in bound_in(node)}
    return {name for statement in tree.body for name in used(statement)} - known


def bound_in(node: ast.stmt | ast.comprehension) -> set[str]:
    """The names that a statement or a comprehension binds."""
    if isinstance(node, ast.comprehension):
        return {one.id for one in ast.walk(node.target) if isinstance(one, ast.Name)}
    return bound(node)


def lack(error: BaseException) -> NotInstalled | None:
    """What user code needed of an absent package, if an exception is about that.

    A library may complain of what it was given in words of its own: "Absent is not a Module subclass".
    """
    for one in chain(error):
        if isinstance(one, NotInstalled):
            return one
        if package := operators.lacking(one):
            fault = f"an operator of {package} is needed, and its compiled operators do not load on this torch"
            return NotInstalled(fault, name=package)
        if isinstance(one, TypeError) and Absent.__name__ in describe(one):
            for frame, _ in reversed(list(traceback.walk_tb(one.__traceback__))):
                found = next((value for value in flat(dict(frame.f_locals)) if isinstance(value, Absent)), None)
                if found is not None:
                    return found._error()
    return None


def flat(value: Any) -> Iterator[Any]:
    """The leaves of nested tuples, lists and dicts."""
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, dict):
            pending += one.values()
        elif isinstance(one, tuple | list):
            pending += one
        else:
            yield one
