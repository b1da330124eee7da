"""A question about a traced model or one of its operations, answered once.

    @question
    def ways(graph: Nodes) -> list[Node]: ...       ways(graph) is worked out when it is first asked, and kept with the graph

A graph stays as it is once it is classified, so an answer holds as long as the graph does: nothing else forgets it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol, TypeVar


class Asked(Protocol):
    """What keeps the answers to what it was asked."""

    answers: dict[Callable[..., Any], Any]


Subject = TypeVar("Subject", bound=Asked)
Answer = TypeVar("Answer")


def question(work_out: Callable[[Subject], Answer]) -> Callable[[Subject], Answer]:
    """Have a function of a graph or a node work out its answer once for each."""

    @wraps(work_out)
    def ask(subject: Subject) -> Answer:
        answers = subject.answers
        if work_out not in answers:
            answers[work_out] = work_out(subject)
        answer: Answer = answers[work_out]
        return answer

    return ask
