"""What the rules about losses ask: which loss an operation is, and what it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netcheck.trace.questions.neighbours import UNCHANGED, before

if TYPE_CHECKING:
    from netcheck.trace.node import Node


def name_of(loss: Node) -> str:
    """A loss's class or function."""
    return type(loss.module).__name__ if loss.module is not None else loss.function


def given_to(loss: Node) -> Node | None:
    """What a loss is given first, before what changes no numbers."""
    given = loss.inputs[0] if loss.inputs else None
    return before(given, UNCHANGED) if given is not None and given.kind in UNCHANGED else given
