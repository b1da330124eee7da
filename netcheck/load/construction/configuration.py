"""An object of options: a dict whose items are attributes, as argparse, OmegaConf and most projects have them.

cfg.width          what was set
cfg.model.depth    an option that nobody set is asked for when it is read: `ask("cfg.model.depth")`
cfg.get("p", 0.1)  0.1, as with a dict
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

Trail = tuple[str | int, ...]  # what the source reads: ("kwargs", "width")
Ask = Callable[[str, Trail], Any]


class Missing(Exception):
    """Nobody answers for an option."""


def nobody(path: str, trail: Trail) -> Any:
    """Answers for no option.

    Raises:
        Missing: always.
    """
    raise Missing(path)


class Configuration(dict[str, Any]):
    """Options by name."""

    def __init__(self, path: str = "", fields: dict[str, Any] | None = None, ask: Ask = nobody) -> None:
        """Hold some options.

        Args:
            path: what the object is called: "args".
            fields: the options that are known.
            ask: answers for the others by their path, or raises `Missing`.
        """
        super().__init__(fields or {})
        object.__setattr__(self, "_netcheck", (path, ask))

    def __missing__(self, name: str) -> Any:
        """An item that nobody set."""
        path, ask = object.__getattribute__(self, "_netcheck")
        try:
            found = ask(f"{path}.{name}", ())
        except Missing:
            raise KeyError(name) from None
        self[name] = found
        return found

    def __getattr__(self, name: str) -> Any:
        """An item, read as an attribute."""
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"nobody says what {name} is") from None

    def __setattr__(self, name: str, value: Any) -> None:
        """An item, set as an attribute."""
        self[name] = value

    def __delattr__(self, name: str) -> None:
        """An item, removed as an attribute."""
        self.pop(name, None)

    def __getattribute__(self, name: str) -> Any:
        """An option that is called as a method of dict is (`items`, `values`, `copy`) is the option; `vars()` are all."""
        if name == "__dict__":
            return dict(self)
        if not name.startswith("__") and dict.__contains__(self, name):
            return self[name]
        return super().__getattribute__(name)

    def __deepcopy__(self, memo: dict[int, Any]) -> Configuration:
        """A copy that asks the same."""
        path, ask = object.__getattribute__(self, "_netcheck")
        return Configuration(path, {key: copy.deepcopy(value, memo) for key, value in self.items()}, ask)

    def __hash__(self) -> int:  # type: ignore[override]
        """As of any object: a namespace may be a key."""
        return id(self)
