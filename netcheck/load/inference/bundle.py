"""A batch as an object: what is in it can be read as an item and as an attribute.

    batch["input_ids"]   batch.input_ids   batch.to(device)

An item that is not there raises what says where it is missing: forward then gets it in the next try.
"""

from __future__ import annotations

from typing import Any


class MissingItem(KeyError):
    """An item that a bundle does not have."""

    def __init__(self, path: str, key: str) -> None:
        super().__init__(key)
        self.path, self.key = path, key


class MissingAttribute(AttributeError):
    """The same, read as an attribute."""

    def __init__(self, path: str, key: str) -> None:
        super().__init__(f"the example input {path} has no {key}")
        self.path, self.key = path, key


class Bundle(dict[str, Any]):
    """Named parts of one argument of forward."""

    def __init__(self, path: str, parts: dict[str, Any]) -> None:
        """Hold some parts; `path` is what the argument is called."""
        super().__init__(parts)
        object.__setattr__(self, "path", path)

    def __missing__(self, key: str) -> Any:
        raise MissingItem(self.path, key)

    def __getattribute__(self, name: str) -> Any:
        """A part that is called as a method of dict is (`items`, `values`) is the part."""
        if not name.startswith("__") and dict.__contains__(self, name):
            return self[name]
        return super().__getattribute__(name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "path":
            raise AttributeError(name)
        raise MissingAttribute(self.path, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """What forward keeps in the batch is a part of it."""
        self[name] = value

    def __copy__(self) -> Bundle:
        return Bundle(self.path, dict(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> Bundle:
        import copy

        return Bundle(self.path, {key: copy.deepcopy(value, memo) for key, value in self.items()})

    def __reduce__(self) -> tuple[Any, ...]:
        return Bundle, (self.path, dict(self))

    def copy(self) -> Bundle:
        """Another one with the same parts."""
        return Bundle(self.path, dict(self))

    def to(self, *_: Any, **__: Any) -> Bundle:
        """The same: what is in it lies where the model does."""
        return self

    cuda = cpu = contiguous = to
