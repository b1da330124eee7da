"""NC508: one module that stands several times in a container."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.trace.kinds import is_weight_layer
from netcheck.trace.questions.linear_pairs import weights_key

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node
    from netcheck.trace.members import Submodule


class RepeatedInstance(StaticRule):
    """One and the same module stands several times in a container: what looks like a stack of layers has the weights of one.

    ## What it does
    Looks for modules with trained weights that a container (nn.Sequential, nn.ModuleList, nn.ModuleDict) holds under several
    names, and that forward runs one after the other, each on what the one before made.

    ## Why is this bad?
    `nn.ModuleList([layer] * 6)` repeats a reference. The net is a recurrence over one layer: it has a sixth of the parameters,
    and each step moves all of its layers alike. Nothing shows it but the number of parameters.

    ## When it is fine
    Where the weights are to be shared: a loop over one layer (`for _ in range(6): x = self.layer(x)`) says so, and is silent.
    Heads that several maps share are silent, too.

    ## Evidence
    How many entries are one module.

    ## References
    - Lan et al. 2020, ALBERT: what sharing all layers costs.
    """

    code = "NC508"
    name = "repeated-instance"
    severity = Severity.WARNING
    plain = "What looks like a stack of layers is one layer used again and again, with one set of weights"
    BAD = (
        Example(
            "a list that is multiplied",
            "model = nn.Sequential(*[nn.Linear(16, 16), nn.ReLU()] * 3, nn.Linear(16, 4))",
            "8x16",
        ),
    )
    GOOD = (
        Example(
            "a layer for each",
            "model = nn.Sequential(*[m for _ in range(3) for m in (nn.Linear(16, 16), nn.ReLU())], nn.Linear(16, 4))",
            "8x16",
        ),
        Example(
            "an activation that is used again",
            "act = nn.ReLU()\nmodel = nn.Sequential(nn.Linear(16, 16), act, nn.Linear(16, 16), act, nn.Linear(16, 4))",
            "8x16",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for each container that repeats a module."""
        census = graph.recording.census
        for submodule in graph.submodules:
            _, names = census.modules[id(submodule.module)]
            for container, keys in together(names):
                nodes = layers_of(submodule, graph, container, keys)
                if len(keys) < 2 or not runs_in_a_chain(nodes):
                    continue
                where = f"`{container}`" if container else "the model"
                yield self.finding(
                    f"{len(keys)} entries of {where} are one module: they share one set of weights",
                    help="build each anew: nn.ModuleList(Layer() for _ in range(n)); to share one on purpose, loop over it: "
                    "for _ in range(n): x = self.layer(x)",
                    evidence=Evidence(len(keys), "entries", f"entries {', '.join(keys)} are one module", limit=1),
                    at=[nodes[0]],
                    verdict=Verdict.CONFIRMED,
                    count=len(keys),
                )


def together(names: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """The names of one module by the container that holds them: (container, entries)."""
    found: dict[str, list[str]] = {}
    for name in names:
        container, _, key = name.rpartition(".")
        found.setdefault(container, []).append(key)
    yield from found.items()


def layers_of(submodule: Submodule, graph: ModelGraph, container: str, keys: list[str]) -> list[Node]:
    """The calls of the weight layers that a repeated module has, if it stands in a container and trains; none otherwise."""
    from torch import nn

    if len(keys) < 2:
        return []
    holder = dict(graph.model.named_modules(remove_duplicate=False)).get(container)
    if not isinstance(holder, nn.Sequential | nn.ModuleList | nn.ModuleDict):
        return []
    parts = {id(part) for part in submodule.module.modules() if any(p.requires_grad for p in part.parameters(recurse=False))}
    trained = {id(p) for p in submodule.module.parameters() if p.requires_grad}
    names = {name for name, p in graph.model.named_parameters(remove_duplicate=False) if id(p) in trained}
    return [node for node in graph if is_weight_layer(node) and (id(node.module) in parts or is_given(node, names))]


def is_given(node: Node, names: set[str]) -> bool:
    """Whether a function takes one of these parameters."""
    return node.module is None and any(source.op == "get_attr" and source.fx.target in names for source in node.inputs)


def runs_in_a_chain(nodes: list[Node]) -> bool:
    """Whether a later call of a layer takes what an earlier one of the same layer made."""
    uses = Counter(map(weights_key, nodes))
    first = next((node for node in nodes if uses[weights_key(node)] > 1), None)
    if first is None:
        return False
    again = {node for node in nodes if weights_key(node) == weights_key(first)}
    pending, met = [first], {first}
    while pending:
        new = [user for user in pending.pop().users if user not in met]
        if not again.isdisjoint(new):
            return True
        pending += new
        met.update(new)
    return False
