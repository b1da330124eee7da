"""All pieces by name, and nets that are made of them.

    compose(seed)      the source of net `seed`: each piece is the subject of one net in `len(catalogue())`, and stands in
                       others by chance

A piece is kept only if PyTorch runs it on the shape that is there, so that most nets run; what a net does in backward, or in
the other mode, is not tried here.
"""

from __future__ import annotations

import functools
import random

from tests.random_nets import around, flow, forms, functions, layers, precision, wiring
from tests.random_nets.blocks import Wire
from tests.random_nets.layers import Piece
from tests.random_nets.writing import Draw, NotHereError, Part, Shape, shape_after

TRIES = 12
DEEPEST = 2  # pieces within pieces


@functools.cache
def catalogue() -> dict[str, Piece]:
    """Every piece, shuffled, so that a short run of seeds meets some of each file."""
    pieces = {**layers.pieces(), **functions.pieces(), **wires(), **precision.pieces()}
    names = sorted(pieces)
    random.Random(0).shuffle(names)
    return {name: pieces[name] for name in names}


def wires() -> dict[str, Piece]:
    """The pieces that put something around others."""
    found = (*wiring.WIRES, *around.WIRES, *flow.WIRES)
    return {wire.__name__: functools.partial(_wired, wire) for wire in found}


def _wired(wire: Wire, part: Part, shape: Shape) -> None:
    wire(part, shape, _grown)


def tried(piece: Piece, draw: Draw, shape: Shape) -> tuple[Part, Shape]:
    """A piece's lines behind a value of this shape, and the shape that they give.

    Raises:
        NotHereError: it cannot stand there.
    """
    part = Part(draw)
    piece(part, shape)
    return part, shape_after(part, shape)


_depth = [0]


def _grown(part: Part, shape: Shape, count: int) -> tuple[Part, Shape]:
    """Some more lines by chance, behind a value of this shape."""
    lines = Part(part.draw)
    _depth[0] += 1
    try:
        for _ in range(count):
            shape = grow(lines, shape, deeper=_depth[0] < DEEPEST)
    finally:
        _depth[0] -= 1
    return lines, shape


def grow(part: Part, shape: Shape, *, deeper: bool = True) -> Shape:
    """One more piece by chance; the shape after it."""
    draw = part.draw
    kinds = [layers.pieces(), functions.pieces(), precision.pieces(), *([wires()] if deeper else [])]
    weights = [4, 4, 1, *([3] if deeper else [])]
    for _ in range(TRIES):
        (pieces,) = draw.random.choices(kinds, weights)
        try:
            more, after = tried(pieces[draw.one(pieces)], draw, shape)
        except NotHereError:
            continue
        part.absorb(more)
        return after
    part.line("x = torch.tanh(x)")
    return shape


def subject(seed: int) -> str:
    """The piece that a net is there for."""
    names = list(catalogue())
    return names[seed % len(names)]


def compose(seed: int) -> str:
    """The source of net `seed`."""
    draw = Draw(random.Random(seed))
    start, body = beginning(seed, draw)
    given = draw.one(forms.INPUTS if draw.chance(0.4) else forms.ORDINARY)
    signature, lines, args, kwargs, before = forms.INPUTS[given]
    returned = draw.one(forms.OUTPUTS) if draw.chance(0.5) else "tensor"
    result, after = forms.OUTPUTS[returned]
    whole = Part(draw)
    for text in (before, after):
        if text:
            whole.helper(text)
    whole.line(*filter(None, [lines]))
    whole.absorb(body)
    inputs = f"def inputs():\n    return ({args.format(shape=start)}), {{{kwargs.format(shape=start)}}}"
    title = f'"""Random net {seed}: {subject(seed)}; takes {given}, returns {returned}."""\n\n'
    return title + whole.source(inputs, signature=signature, after=result.splitlines())


def beginning(seed: int, draw: Draw) -> tuple[Shape, Part]:
    """What forward does between its input and its result, and the shape of that input."""
    piece = catalogue()[subject(seed)]
    for attempt in range(4 * TRIES):
        start = draw.one(forms.STARTS)
        body, shape = Part(draw), start
        for _ in range(draw.one((0, 0, 1, 2)) if attempt < TRIES else 0):
            shape = grow(body, shape)
        try:
            more, shape = tried(piece, draw, shape)
        except NotHereError:
            continue
        body.absorb(more)
        break
    for _ in range(draw.one((0, 1, 2))):
        shape = grow(body, shape)
    forms.head(body, shape)
    return start, body
