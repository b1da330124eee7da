"""How large the images are that a project reads. Imports no torch.

datasets.CIFAR10(...)             {3: 32}
transforms.Resize((64, 64))       {3: 64, 1: 64}
"""

from __future__ import annotations

import os
import re
from functools import lru_cache

from netcheck.source.construction.project import project_of
from netcheck.source.parse import Unreadable, read

DATA_SETS = {
    re.compile(rb"\b(CIFAR100?|SVHN)\("): (3, 32),
    re.compile(rb"\b(MNIST|FashionMNIST|EMNIST|KMNIST|QMNIST)\("): (1, 28),
    re.compile(rb"\bSTL10\("): (3, 96),
}
CUTS = re.compile(
    rb"\b(?:RandomCrop|CenterCrop|RandomResizedCrop|Resize|Scale)\(\s*(?:size\s*=\s*)?[\[(]?\s*(\d{1,4})\s*(?:,\s*(\d{1,4}))?"
)


@lru_cache(maxsize=64)
def sides_shown(file: str) -> dict[int, int]:
    """The side of square images by their channels: as the file of a model has it, else as most files that import it do.

    Args:
        file: the absolute path of the model's file.
    """
    try:
        own = sides_in(read(file))
    except Unreadable:
        return {}
    counts: dict[tuple[int, int], int] = {}
    for text in (text for text in project_of(file).texts.values() if imports_it(text, file)):
        for pair in sides_in(text).items():
            counts[pair] = counts.get(pair, 0) + 1
    found: dict[int, int] = {}
    for (channels, side), _ in sorted(counts.items(), key=lambda item: -item[1]):
        found.setdefault(channels, side)
    return {**found, **own}


def imports_it(text: bytes, file: str) -> bool:
    """Whether a text imports a file, or a package that it stands in."""
    folder = os.path.dirname(file)
    stem = re.escape(os.path.splitext(os.path.basename(file))[0].encode())
    forms = [rb"^\s*(from|import)\b[^\n]*\b" + stem + rb"\b"]
    while os.path.isfile(os.path.join(folder, "__init__.py")):
        package = re.escape(os.path.basename(folder).encode())
        folder = os.path.dirname(folder)
        forms.append(rb"^\s*(from\s+[\w.]*\b" + package + rb"\s+import\b|import\s+([\w.]*\.)?" + package + rb"\s*$)")
    return any(re.search(form, text, re.MULTILINE) for form in forms)


def sides_in(text: bytes) -> dict[int, int]:
    """The same of one text: what it cuts images to, else what its data set has."""
    cuts = [int(one) for one, other in CUTS.findall(text) if not other or other == one]
    if cuts:
        side = max(set(cuts), key=lambda one: (cuts.count(one), -one))
        return {3: side, 1: side} if 8 <= side <= 1024 else {}
    return dict(size for form, size in DATA_SETS.items() if form.search(text))
