"""What tests on real models need."""

import pytest
import torch


@pytest.fixture(scope="session")
def zoo():
    """Builds models of torchvision, timm and transformers on the meta device: no weights are made."""
    keep = []
    try:
        torch.ops.torchvision.nms  # noqa: B018
    except AttributeError:  # a torchvision whose compiled part does not fit this torch
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        keep.append(library)

    def build(package, name):
        with torch.device("meta"):
            if package == "torchvision":
                return getattr(pytest.importorskip("torchvision").models, name)()
            if package == "timm":
                return pytest.importorskip("timm").create_model(name)
            transformers = pytest.importorskip("transformers")
            return getattr(transformers, f"{name}Model")(getattr(transformers, f"{name}Config")())

    yield build
    keep.clear()
