"""Inputs for public models, from the module alone: the conventions are switched off."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from tests.load.zoo_inputs import Row, measure, measure_all
from tests.load.zoo_models import TIMM_MODULES, torchvision_models, transformers_models

pytestmark = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("torchvision", "timm", "transformers")),
    reason="needs the zoo extra",
)

SLOWEST = 3.0  # seconds for one model, of a machine that does nothing else
QUICK = (
    ("torchvision", "resnet18"),
    ("torchvision", "vit_b_16"),
    ("torchvision", "inception_v3"),
    ("torchvision", "lraspp_mobilenet_v3_large"),
    ("transformers", "BertForSequenceClassification"),
    ("transformers", "T5ForConditionalGeneration"),
    ("transformers", "ViTForImageClassification"),
    ("transformers", "WhisperForConditionalGeneration"),
    ("transformers", "CLIPModel"),
)


@pytest.mark.parametrize(("zoo", "name"), QUICK)
def test_some_of_each(zoo: str, name: str):
    models = dict(torchvision_models() if zoo == "torchvision" else transformers_models())
    row = measure(name, models[name])
    assert row.found, row.answer


def share(rows: list[Row]) -> float:
    return sum(row.found and row.cpu_seconds < SLOWEST for row in rows) / len(rows)


@pytest.mark.slow
def test_all_of_torchvision():
    rows = measure_all("torchvision")
    assert share(rows) == 1.0, [row for row in rows if not row.found]


@pytest.mark.slow
def test_timm_from_beit_to_hgnet():
    rows = measure_all("timm")
    assert len(rows) >= 2 * (len(TIMM_MODULES) - 1)
    assert share(rows) >= 0.95, [row for row in rows if not row.found]


@pytest.mark.slow
def test_kinds_of_transformers():
    rows = measure_all("transformers")
    assert len(rows) >= 30
    assert share(rows) >= 0.8, [row for row in rows if not row.found]
