"""NC8: what the graph alone tells of an architecture's reach."""

from __future__ import annotations

from torch import nn

from netcheck.trace.kinds import Kind
from tests.mutations.faults.registry import fault
from tests.mutations.subject import NoPlace, Subject


def require_images(subject: Subject) -> None:
    """Refuse models that take anything else."""
    if len(subject.args) != 1 or subject.args[0].dim() != 4:
        raise NoPlace


@fault("NC803", "a 1x1 convolution with stride 2 in front")
def stepping(subject: Subject) -> None:
    require_images(subject)
    channels = subject.args[0].shape[1]
    subject.replace("", nn.Sequential(nn.Conv2d(channels, channels, 1, stride=2), nn.BatchNorm2d(channels), subject.model))


@fault("NC803", "large kernels on a map of one pixel")
def shrunken(subject: Subject) -> None:
    require_images(subject)
    head = subject.head
    n = int(subject[head.path].in_features)
    if len(head.inputs[0].shape or ()) != 2:
        raise NoPlace
    subject.replace(
        head.path,
        nn.Sequential(nn.Unflatten(1, (n, 1, 1)), nn.Conv2d(n, 8, 5, padding=2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 10)),
    )


@fault("NC804", "the stem and one convolution label each pixel")
def short_sighted(subject: Subject) -> None:
    require_images(subject)
    stems = subject.leaves(Kind.CONV)
    if not stems:
        raise NoPlace
    stem = subject[stems[0].path]
    subject.replace("", nn.Sequential(stem, nn.ReLU(), nn.Conv2d(stem.out_channels, 5, 3, padding=1)))
