"""NC4: residual connections. The forward of a random block is edited: its class becomes a faulty subclass."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.mobilenetv2 import InvertedResidual
from torchvision.models.resnet import BasicBlock

from tests.mutations.faults.nonlinearity import NARROW, in_narrow
from tests.mutations.faults.registry import fault
from tests.mutations.hosts import PreActivationBlock
from tests.mutations.subject import Subject


def has_identity(block: BasicBlock) -> bool:
    """Whether a block of a ResNet adds its very input."""
    return block.downsample is None


@fault("NC401", "a plain stack of forty normalized layers before the head")
def plain_stack(subject: Subject) -> None:
    layers: list[nn.Module] = []
    for _ in range(40):
        linear = nn.Linear(NARROW, NARROW)
        nn.init.kaiming_normal_(linear.weight)
        layers += [linear, nn.LayerNorm(NARROW), nn.ReLU()]
    in_narrow(subject, *layers)


def block_identity(subject: Subject, blocker: nn.Module) -> None:
    """Put a module on the skip path of a random block of a ResNet."""
    path, block = subject.choose([(p, b) for p, b in subject.blocks(BasicBlock) if has_identity(b)])
    subject.places.append(path)
    block.downsample = blocker


@fault("NC402", "dropout on the skip")
def dropout_on_skip(subject: Subject) -> None:
    block_identity(subject, nn.Dropout2d(0.2))


class ScaledSkip(PreActivationBlock):
    """Half of x is added."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv2(self.relu(self.norm2(self.conv1(self.relu(self.norm1(x))))))
        return 0.5 * x + y


class RectifiedSkip(PreActivationBlock):
    """relu(x) is added."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv2(self.relu(self.norm2(self.conv1(self.relu(self.norm1(x))))))
        return F.relu(x) + y


@fault("NC402", "a scale on the skip")
def scaled_skip(subject: Subject) -> None:
    subject.recast(PreActivationBlock, ScaledSkip)


@fault("NC402", "a rectifier on the skip")
def rectified_skip(subject: Subject) -> None:
    subject.recast(PreActivationBlock, RectifiedSkip)


class OverwrittenSkip(PreActivationBlock):
    """The norm is dropped, and an in-place rectifier overwrites x."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv1(F.relu(x, inplace=True))
        y = self.conv2(self.relu(self.norm2(self.norm1(y))))
        return x + y


@fault("NC403", "an in-place rectifier on x")
def overwritten_skip(subject: Subject) -> None:
    subject.recast(PreActivationBlock, OverwrittenSkip)


@fault("NC403", "an in-place rectifier at the start of a branch")
def overwritten_by_branch(subject: Subject) -> None:
    blocks = [(path, block) for path, block in subject.blocks(InvertedResidual) if block.use_res_connect]
    path, block = subject.choose(blocks)
    subject.places.append(path)
    block.conv = nn.Sequential(nn.ReLU6(inplace=True), *block.conv)


class AddedToItself(BasicBlock):
    """`out += out` for `out += identity`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += out
        return self.relu(out)


class BranchTwice(PreActivationBlock):
    """y + y for x + y."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv2(self.relu(self.norm2(self.conv1(self.relu(self.norm1(x))))))
        return torch.add(y, y)


@fault("NC404", "out += out")
def added_to_itself(subject: Subject) -> None:
    subject.recast(BasicBlock, AddedToItself, where=has_identity)


@fault("NC404", "torch.add(y, y)")
def branch_twice(subject: Subject) -> None:
    subject.recast(PreActivationBlock, BranchTwice)


class SkipTwice(BasicBlock):
    """The identity is added before and after the loop."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out)) + x
        out += x
        return self.relu(out)


class InputTwice(PreActivationBlock):
    """x + (x + y)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + super().forward(x)


@fault("NC405", "out += x, twice")
def skip_twice(subject: Subject) -> None:
    subject.recast(BasicBlock, SkipTwice, where=has_identity)


@fault("NC405", "x + block(x), where the block adds x too")
def input_twice(subject: Subject) -> None:
    subject.recast(PreActivationBlock, InputTwice)


@fault("NC406", "a rectifier at the end of a branch")
def rectified_branch(subject: Subject) -> None:
    path, block = subject.choose([(p, b) for p, b in subject.blocks(BasicBlock) if has_identity(b)])
    subject.places.append(path)
    block.bn2 = nn.Sequential(block.bn2, nn.ReLU())


class RectifiedBranch(PreActivationBlock):
    """x + relu(y)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv2(self.relu(self.norm2(self.conv1(self.relu(self.norm1(x))))))
        return x + y.clamp(min=0)


@fault("NC406", "clamp(min=0) before the sum")
def clamped_branch(subject: Subject) -> None:
    subject.recast(PreActivationBlock, RectifiedBranch)


class LateSkip(PreActivationBlock):
    """The skip starts after the norm and the rectifier."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.norm1(x))
        y = self.conv2(self.relu(self.norm2(self.conv1(x))))
        return x + y


@fault("NC407", "the skip starts after norm and rectifier")
def late_skip(subject: Subject) -> None:
    subject.recast(PreActivationBlock, LateSkip)
