"""What tests on real models need."""

import pytest
import torch

from tests.zoo import declare_torchvision_operators


@pytest.fixture(scope="session")
def zoo():
    """Builds models of torchvision, timm and transformers on the meta device: no weights are made."""
    declare_torchvision_operators()

    def build(package, name):
        with torch.device("meta"):
            if package == "torchvision":
                return getattr(pytest.importorskip("torchvision").models, name)()
            if package == "timm":
                return pytest.importorskip("timm").create_model(name)
            transformers = pytest.importorskip("transformers")
            return getattr(transformers, f"{name}Model")(getattr(transformers, f"{name}Config")())

    return build
