"""NC9: wiring. A random layer is wrapped in a module that mishandles it."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from netcheck.trace.graph import Node
from netcheck.trace.kinds import Kind
from tests.mutations.faults.nonlinearity import width
from tests.mutations.faults.registry import fault
from tests.mutations.subject import NoPlace, Subject


class Wrapped(nn.Module):
    """A layer, registered as usual."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


def wrap(subject: Subject, wrapper: Callable[[nn.Module], nn.Module], where: Callable[[Node], bool] = lambda node: True) -> None:
    """Wrap a random weight layer that trains, and whose weights no other module has too."""
    holders = Counter(id(p) for _, p in subject.graph.model.named_parameters(remove_duplicate=False))

    def has_own_weights(node: Node) -> bool:
        return any(p.requires_grad and holders[id(p)] == 1 for p in node.module.parameters())

    path = subject.pick(Kind.CONV, Kind.LINEAR, where=lambda node: has_own_weights(node) and where(node)).path
    subject.replace(path, wrapper(subject[path]))


class InList(nn.Module):
    """The layer is in a list."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layers = [layer]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class InObject(nn.Module):
    """The layer belongs to an object that is no module, in a dict."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.parts = SimpleNamespace(table={"layer": layer})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.parts.table["layer"](x)


class BuiltInForward(Wrapped):
    """A layer more, with new weights in every pass."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x)
        return y + nn.Linear(y.shape[-1], y.shape[-1])(y)


@fault("NC901", "a layer in a list")
def in_list(subject: Subject) -> None:
    wrap(subject, InList)


@fault("NC901", "a layer in a dict of an object")
def in_object(subject: Subject) -> None:
    wrap(subject, InObject)


@fault("NC901", "a layer built in forward")
def built_in_forward(subject: Subject) -> None:
    wrap(subject, BuiltInForward)


class Forgotten(Wrapped):
    """A second layer is registered and never called."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__(layer)
        self.projection = copy.deepcopy(layer)


@fault("NC902", "a layer that forward forgets")
def forgotten(subject: Subject) -> None:
    wrap(subject, Forgotten)


@fault("NC902", "an attribute of a random submodule")
def forgotten_attribute(subject: Subject) -> None:
    paths = {node.path.rpartition(".")[0] for node in subject.graph if node.module is not None}
    path = subject.choose(sorted(p for p in paths if type(subject[p]).forward is not nn.Sequential.forward))
    subject[path].forgotten_projection = nn.Linear(8, 8)
    subject.places.append(path)


class Ignoring(nn.Module):
    """A model that takes one input more than it uses."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *args: Any, condition: torch.Tensor, **kwargs: Any) -> Any:
        condition = condition * 2
        return self.model(*args, **kwargs)


@fault("NC903", "an input more")
def ignored_input(subject: Subject) -> None:
    subject.replace("", Ignoring(subject.model))
    subject.kwargs["condition"] = torch.randn(2, 8)


class Forgetful(nn.Module):
    """A model whose forward ends without a return."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *args: Any, **kwargs: Any) -> None:
        self.model(*args, **kwargs)


@fault("NC907", "a forgotten return")
def no_return(subject: Subject) -> None:
    subject.replace("", Forgetful(subject.model))


class Dropped(Wrapped):
    """A second layer runs, and its result is dropped."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__(layer)
        self.shortcut = copy.deepcopy(layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = self.shortcut(x)
        out = self.layer(x)
        out.add(shortcut)
        return out


@fault("NC904", "a shortcut that is not added")
def dropped(subject: Subject) -> None:
    wrap(subject, Dropped)


class Detached(Wrapped):
    """The result is detached."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x).detach()


class Blind(Wrapped):
    """The layer runs without gradients."""

    @torch.no_grad()
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


class Data(Wrapped):
    """The result's `.data`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x).data


class Rounded(Wrapped):
    """The result is quantized."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.layer(x) * 16).round() / 16


for style, wrapper in {"detach()": Detached, "no_grad": Blind, ".data": Data, "round()": Rounded}.items():

    @fault("NC905", style)
    def cut_off(subject: Subject, wrapper: Callable[[nn.Module], nn.Module] = wrapper) -> None:
        wrap(subject, wrapper)


class OverSamples(nn.Module):
    """A recurrence before a head, without batch_first."""

    def __init__(self, n: int, head: nn.Module, cell: type[nn.Module]) -> None:
        super().__init__()
        self.rnn = cell(n, n)
        self.head = head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C) -> what the head gives."""
        return self.head(self.rnn(x.unsqueeze(1).expand(-1, 6, -1))[0][:, -1])


for cell in (nn.LSTM, nn.GRU):

    @fault("NC908", f"{cell.__name__} over the batch")
    def over_samples(subject: Subject, cell: type[nn.Module] = cell) -> None:
        head = subject.head
        if len(head.inputs[0].shape or ()) != 2:
            raise NoPlace
        subject.replace(head.path, OverSamples(width(subject), subject[head.path], cell))


class PlainTensor(Wrapped):
    """A constant as a plain attribute."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__(layer)
        self.scale = torch.ones(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) * self.scale


class ParametersInList(Wrapped):
    """Parameters in a list."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__(layer)
        self.scales = [nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for scale in self.scales:
            x = self.layer(x) * scale
            break
        return x


@fault("NC906", "a constant as a plain attribute")
def plain_tensor(subject: Subject) -> None:
    wrap(subject, PlainTensor)


@fault("NC906", "parameters in a list")
def parameters_in_list(subject: Subject) -> None:
    wrap(subject, ParametersInList)
