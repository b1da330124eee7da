"""The widths of inputs that are joined before something asks for the width of all together.

torch.cat([image, mask], 1) -> conv of 4 channels        image 3, mask 1
torch.cat([state, steps], 2).view(-1, 24)                steps as wide as the state leaves them
cat([x, y]) -> 794, and then cat([z, y]) -> 42           y is what z leaves, x what y leaves
"""

from __future__ import annotations

from collections.abc import Iterator

from netcheck.load.inference.demands import Demand
from netcheck.load.inference.proposals import BATCH, HEIGHT, WIDTH, Proposal
from netcheck.load.inference.sizes import sources, with_usual_size


def beside_others(demand: Demand, proposal: Proposal) -> Iterator[Proposal]:
    """The features of an input that was joined with what forward made, whose widths stay as they are."""
    slots = [slot for slot in sources(demand, proposal) if slot.features in (slot.dims or ())]
    width = proposal.size(slots[0].features) + demand.want - demand.have if len(slots) == 1 else 0
    if width > 0:
        yield proposal.resized({slots[0].features: width})


def one_of_several(demand: Demand, proposal: Proposal) -> Iterator[Proposal]:
    """The width of one of the vectors that are joined, in more places than one: those first that no weight has fixed."""
    widths = [slot.dims[-1] for slot in sources(demand, proposal) if slot.dims is not None and len(slot.dims) == 2]
    for symbol in sorted(widths, key=lambda symbol: symbol in proposal.pinned) if len(widths) > 1 else ():
        width = proposal.size(symbol) + demand.want - demand.have
        if width > 0 and symbol != BATCH:
            yield proposal.resized({symbol: width})


def joined_channels(demand: Demand, proposal: Proposal) -> Iterator[Proposal]:
    """The channels of several inputs that are concatenated before a weight: alike, or an image and what goes with it."""
    free = (slot for slot in sources(demand, proposal) if slot.features not in proposal.pinned)
    slots = [slot for slot in free if slot.features in (slot.dims or ())]
    if len(slots) < 2 or demand.have != sum(proposal.size(slot.features) for slot in slots):
        return
    want, count = demand.want, len(slots)
    images = [{HEIGHT, WIDTH} <= set(slot.dims or ()) for slot in slots]
    even = [[want // count] * count] if want % count == 0 else []
    shares = [] if any(images) and not all(images) else even
    if any(images) and images.count(False) == 1:
        shares += [[size if image else want - size * (count - 1) for image in images] for size in (3, 1)]
    for size in (3, 1):
        shares += [[size] * (count - 1) + [want - size * (count - 1)], [want - size * (count - 1)] + [size] * (count - 1)]
    shares += even
    for share in shares:
        if min(share) > 0:
            shared = proposal.resized({slot.features: size for slot, size in zip(slots, share, strict=True)})
            yield with_usual_size(shared, slots[0])
