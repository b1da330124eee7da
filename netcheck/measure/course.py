"""The course of a step at batches and depths that were not run: on straight lines through those that were.

    course = Course(axes, 32, blocks, autocast=True)
    course.at(7)                   what is held at each moment with 7 samples


What one operation holds grows by as many bytes with each sample, and with each block more that is like the others. Of 80
blocks the first ones and the last ones are followed: what lies between them lies on a line from the one to the other, and is
nowhere higher than at both ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from netcheck.errors import TraceError
from netcheck.measure.axes import BatchAxes
from netcheck.measure.blocks import Block, Stack, stack_of
from netcheck.measure.moments import Moment, Moments, step_moments

SHORT, LONGER = 3, 4  # blocks of a deep model that are run


class Course:
    """A step of one kind.

    Attributes:
        samples: of the batch that was run; where others are asked for, one of twice as many is run too.
    """

    def __init__(
        self,
        axes: BatchAxes,
        samples: int,
        blocks: Sequence[Block],
        *,
        autocast: bool = False,
        checkpointed: bool = False,
    ) -> None:
        """A step on this batch of the model that `axes` is of, by its blocks.

        Args:
            axes: where the model's arguments hold the batch.
            samples: of the batch; what the arguments hold where they have none.
            blocks: of the model.
            autocast: whether forward runs in mixed precision.
            checkpointed: whether the blocks are checkpointed.
        """
        self.samples = samples
        self._axes = axes
        self._blocks = blocks
        self._stack = stack_of(axes.model, blocks)
        self._kind = {"autocast": autocast, "checkpointed": checkpointed}

    def at(self, samples: int) -> Moments:
        """What is held at each moment with so many samples.

        Raises:
            TraceError: forward does other things at another batch.
            Exception: whatever forward or backward raise on fake tensors.
        """
        if samples == self.samples:
            return self._one
        other = self._other
        if other.keys() != self._one.keys():
            raise TraceError("forward does other things at another batch")
        share = samples / self.samples - 1
        return {place: moved(moment, other[place], share) for place, moment in self._one.items()}

    def run_at(self, samples: int) -> Moments:
        """The same, of a run on so many samples."""
        if self._stack is None:
            return self._run(samples, 0)
        short, longer = (numbered(self._run(samples, depth), self._blocks, self._stack, depth) for depth in (SHORT, LONGER))
        return deepened(short, longer, self._stack.length)

    @cached_property
    def _one(self) -> Moments:
        return self.run_at(self.samples)

    @cached_property
    def _other(self) -> Moments:
        return self.run_at(2 * self.samples)

    def _run(self, samples: int, depth: int) -> Moments:
        args, kwargs = self._axes.resized(samples) if self._axes.batch else self._axes.example
        return step_moments(self._axes.model, args, kwargs, self._blocks, stack=self._stack, depth=depth, **self._kind)


def moved(start: Moment, end: Moment, share: float) -> Moment:
    """The moment on the line from one to another; beyond them where the share is not between 0 and 1."""
    held, done, here, others = (
        max(0.0, first + share * (second - first)) for first, second in zip(start[:4], end[:4], strict=True)
    )
    return Moment(held, done, here, others, start.path)


def numbered(moments: Moments, blocks: Sequence[Block], stack: Stack, depth: int) -> Moments:
    """The moments of a short run with the blocks' numbers in the whole model: half are its first ones, the others its last."""
    left_out = stack.length - depth
    later = range(stack.first + depth // 2, stack.first + depth)

    def renamed(moment: Moment, block: int | None) -> Moment:
        if block is None or block not in later:
            return moment
        inner = moment.path.removeprefix(blocks[block].path)
        return moment._replace(path=blocks[block + left_out].path + inner)

    return {
        (backward, shifted(block, later, left_out), count, shifted(before, later, left_out) or 0): renamed(moment, block)
        for (backward, block, count, before), moment in moments.items()
    }


def shifted(block: int | None, later: range, by: int) -> int | None:
    """A block's number, if it is one of these, moved on."""
    return block + by if block is not None and block in later else block


def deepened(short: Moments, longer: Moments, depth: int) -> Moments:
    """The course at full depth.

    Raises:
        TraceError: forward does other things where it has more blocks.
    """
    if not short.keys() <= longer.keys():
        raise TraceError("forward does other things where it has more blocks")
    share = (depth - SHORT) / (LONGER - SHORT)
    return {place: moved(moment, longer[place], share) for place, moment in short.items()}
