"""What a fault is: a function that puts it at a random place of a healthy model.

@fault("NC205", "a module after the head")
def dropout_on_output(subject):
    head = subject.head.path
    subject.replace(head, nn.Sequential(subject[head], nn.Dropout(0.3)))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.mutations.subject import Subject

Inject = Callable[[Subject], None]


@dataclass(frozen=True)
class Fault:
    """One way to break a model. `inject` raises NoPlace where a model has no place for it."""

    code: str
    style: str
    inject: Inject


FAULTS: list[Fault] = []


def fault(code: str, style: str) -> Callable[[Inject], Inject]:
    """Register a function as a fault that the rule `code` must find."""

    def register(inject: Inject) -> Inject:
        FAULTS.append(Fault(code, style, inject))
        return inject

    return register
