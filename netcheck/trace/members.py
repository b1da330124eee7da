"""What a traced model holds by name: its submodules, and its tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from netcheck.findings import Location

if TYPE_CHECKING:
    from netcheck.trace.node import Node, Nodes


@dataclass(frozen=True, eq=False, slots=True)
class Submodule:
    """A module that the model holds, whether forward ran it or not.

    Attributes:
        path: its qualified name; "layers[0]" for one in a plain list.
        registered: whether PyTorch knows of it: `.parameters()`, `.to()` and `.state_dict()` reach it.
        called: whether its forward ran, or that of a module which runs it without calling it (nn.MultiheadAttention's
            `out_proj`).
        nodes: the operations that are calls of it, if it is a leaf.
    """

    graph: Nodes
    path: str
    module: nn.Module
    registered: bool
    called: bool
    nodes: tuple[Node, ...]

    @property
    def built_at(self) -> Location | None:
        """The line that built it; None if not found."""
        return self.graph.built_at(self.path)

    @property
    def called_at(self) -> Location | None:
        """The line in forward that first called it, if it is a leaf."""
        return self.nodes[0].called_at if self.nodes else None


@dataclass(frozen=True, eq=False, slots=True)
class Member:
    """A tensor that the model holds: a parameter, a buffer, or one that PyTorch does not know of.

    Attributes:
        path: its qualified name; "weights[0]" for one in a plain list.
        tensor: the user's own.
        registered: whether it is a parameter or buffer of a module that PyTorch knows of.
        module: the module that holds it; the model itself, if a plain object does.
        nodes: the operations that read it directly (those of a leaf module are not seen).
    """

    graph: Nodes
    path: str
    tensor: torch.Tensor
    registered: bool
    module: nn.Module
    nodes: tuple[Node, ...]

    @property
    def name(self) -> str:
        """Its name within the module."""
        return self.path.rpartition(".")[2]

    @property
    def built_at(self) -> Location | None:
        """The line that made it, or that built the module which made it; None if not found."""
        holder = self.path.rpartition(".")[0]
        return self.graph.built_at(self.path) or (self.graph.built_at(holder) if holder else None)

    @property
    def called_at(self) -> Location | None:
        """The line in forward that first used it directly."""
        return next((user.called_at for node in self.nodes for user in node.users), None)
