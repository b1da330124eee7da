"""Which operations of published architectures mix samples: batch normalization in training, and nothing else.

pytest tests/measure/test_mixing_zoo.py           a sample
pytest tests/measure/test_mixing_zoo.py -m slow   every classifier of torchvision, and timm's
"""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch
from torch import nn

from netcheck.measure.axes import BatchAxes
from netcheck.measure.mixing import find_mixing
from tests.zoo import LARGE, Entry, zoo

SAMPLE = ("torchvision/resnet18", "torchvision/mobilenet_v3_small", "torchvision/squeezenet1_1", "timm/convit_tiny")


def classifiers() -> list[Entry]:
    """The image classifiers of the zoo: one image a sample, logits out; none without torchvision, which timm needs too."""
    if find_spec("torchvision") is None:
        return []
    from torchvision import models

    names = {f"torchvision/{name}" for name in models.list_models(module=models)}
    return [entry for entry in zoo() if entry.name in names or entry.name.startswith("timm/")]


def smallest_images(model: nn.Module, entry: Entry) -> torch.Tensor:
    """Two images of 96 x 96 pixels if the model takes them, which saves most of the time; else of its own size."""
    (images,), _ = entry.inputs(model)
    small = images[:, :, :96, :96]
    try:
        with torch.no_grad():
            model.train()(small)  # what serves training alone wants the larger image: Inception's auxiliary head
    except Exception:  # each asks for its own size in its own way
        return images
    return small


@pytest.mark.parametrize(
    "entry",
    [pytest.param(e, id=e.name, marks=[] if e.name in SAMPLE else pytest.mark.slow) for e in classifiers()],
)
def test_batch_normalization_alone_mixes_samples_and_only_in_training(entry: Entry) -> None:
    model = entry.build()
    if sum(parameter.numel() for parameter in model.parameters()) > LARGE:
        pytest.skip(f"more than {LARGE // 10**6}M parameters take up to 19 GiB here: run them by hand")
    images = smallest_images(model, entry)
    norms = sum(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())
    mixing = find_mixing(BatchAxes(model.train(), (images,), {}))
    assert {node.detail or node.function for node in mixing} <= {"batch"}
    assert bool(mixing) == bool(norms)
    with torch.no_grad():
        assert find_mixing(BatchAxes(model.eval(), (images,), {})) == []
