"""Real models to test on: torchvision, timm and transformers, randomly initialized, with example inputs.

    for entry in ZOO: model = entry.build(); args, kwargs = entry.inputs(model)

Nothing is downloaded. torchvision's compiled operators do not load on a CPU-only torch: the two that its import needs are
declared here (`declare_torchvision_operators`), and models that call them are not in the list.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn
from torch.library import define

LARGE = 150_000_000  # parameters from which a model is traced but not run for real


@dataclass(frozen=True)
class Entry:
    """One model of the zoo. `build` seeds torch, so that it always gives the same weights."""

    name: str
    construct: Callable[[], nn.Module]
    arguments: Callable[[nn.Module], tuple[tuple[Any, ...], dict[str, Any]]]

    def build(self) -> nn.Module:
        torch.manual_seed(0)
        return self.construct()

    def inputs(self, model: nn.Module, seed: int = 0) -> tuple[tuple[Any, ...], dict[str, Any]]:
        torch.manual_seed(seed)
        return self.arguments(model)


@cache
def declare_torchvision_operators() -> None:
    """Declare the operators without which torchvision cannot be imported on a CPU-only torch. Before anything imports it."""
    if torch.version.cuda is not None or "torchvision" in sys.modules:  # its compiled part has them
        return
    for name in ("nms", "qnms"):
        define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def image(*shape: int) -> Callable[[nn.Module], tuple[tuple[Any, ...], dict[str, Any]]]:
    return lambda model: ((torch.randn(*shape),), {})


# ---- torchvision ----------------------------------------------------------------------------------------------------


def torchvision_entries() -> Iterator[Entry]:
    declare_torchvision_operators()
    from torchvision import models

    for name in models.list_models(module=models):
        size = 299 if name == "inception_v3" else 224
        yield Entry(f"torchvision/{name}", _torchvision(name), image(2, 3, size, size))
    for name in models.list_models(module=models.segmentation):
        yield Entry(f"torchvision/{name}", _torchvision(name, weights_backbone=None), image(2, 3, 128, 128))
    for name in models.list_models(module=models.video):
        frames, size = (16, 224) if "mvit" in name else (8, 112)
        if "s3d" in name:
            frames, size = 16, 224
        yield Entry(f"torchvision/{name}", _torchvision(name), image(2, 3, frames, size, size))
    for name in models.list_models(module=models.optical_flow):
        yield Entry(
            f"torchvision/{name}",
            _torchvision(name),
            lambda model: ((torch.randn(1, 3, 128, 128), torch.randn(1, 3, 128, 128)), {}),
        )


def _torchvision(name: str, **options: Any) -> Callable[[], nn.Module]:
    def construct() -> nn.Module:
        from torchvision import models

        return models.get_model(name, weights=None, **options)

    return construct


# ---- timm: two variants of each family ------------------------------------------------------------------------------

TIMM_FAMILIES = (
    "beit", "byobnet", "cait", "coat", "convit", "convmixer", "convnext", "crossvit", "cspnet", "davit", "deit", "densenet",
    "dla", "dpn", "edgenext", "efficientformer", "efficientformer_v2", "efficientnet", "efficientvit_mit",
    "efficientvit_msra", "eva", "fasternet", "fastvit", "focalnet", "gcvit", "ghostnet", "hardcorenas", "hgnet",
)  # fmt: skip


def timm_entries() -> Iterator[Entry]:
    declare_torchvision_operators()
    import timm
    import timm.models

    available = {name.rpartition(".")[2] for name in timm.models._registry._module_to_models}
    for family in TIMM_FAMILIES:
        if family in available:
            names = sorted(timm.list_models(module=family), key=_model_size)[:2]
            for name in names:
                yield Entry(f"timm/{name}", _timm(name), _timm_image)


def _model_size(name: str) -> tuple[int, int, str]:
    """Small variants first, by the words that timm names sizes with."""
    words = name.split("_")
    order = ("femto", "atto", "xxs", "xxtiny", "pico", "nano", "xs", "tiny", "micro", "small", "s", "b0", "mini")
    size = next((rank for rank, word in enumerate(order) if word in words), len(order))
    return size, len(name), name


def _timm(name: str) -> Callable[[], nn.Module]:
    return lambda: importlib.import_module("timm").create_model(name, pretrained=False)


def _timm_image(model: nn.Module) -> tuple[tuple[Any, ...], dict[str, Any]]:
    channels, height, width = model.default_cfg["input_size"]
    return (torch.randn(2, channels, height, width),), {}


# ---- transformers: small configurations of architectures of different kinds -----------------------------------------

_TEXT = {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


def transformers_entries() -> Iterator[Entry]:
    ids = _ids(input_ids=(2, 16))
    both = _ids(input_ids=(2, 16), decoder_input_ids=(2, 12))
    pixels = _floats(pixel_values=(2, 3, 32, 32))
    yield _transformer("BertModel", "BertConfig", ids, **_TEXT)
    yield _transformer("GPT2LMHeadModel", "GPT2Config", ids, vocab_size=99, n_embd=32, n_layer=2, n_head=4)
    yield _transformer("LlamaForCausalLM", "LlamaConfig", ids, **_TEXT)
    yield _transformer("T5ForConditionalGeneration", "T5Config", both, vocab_size=99, d_model=32, d_kv=8, d_ff=64,
                       num_layers=2, num_heads=4)  # fmt: skip
    yield _transformer("BartForConditionalGeneration", "BartConfig", both, vocab_size=99, d_model=32, encoder_layers=2,
                       decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=64,
                       decoder_ffn_dim=64, pad_token_id=1, bos_token_id=0, eos_token_id=2)  # fmt: skip
    yield _transformer("ViTModel", "ViTConfig", pixels, image_size=32, patch_size=8, **{k: v for k, v in _TEXT.items()
                       if k != "vocab_size"})  # fmt: skip
    yield _transformer("Wav2Vec2Model", "Wav2Vec2Config", _floats(input_values=(2, 4000)), **_TEXT,
                       conv_dim=(32, 32), conv_stride=(5, 2), conv_kernel=(10, 3), num_feat_extract_layers=2,
                       num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4)  # fmt: skip
    yield _transformer("MixtralForCausalLM", "MixtralConfig", ids, **_TEXT, num_key_value_heads=2, num_local_experts=4)
    yield _transformer("CLIPModel", "CLIPConfig", _clip, text_config={**_TEXT, "max_position_embeddings": 20},
                       vision_config={"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
                                      "num_attention_heads": 4, "image_size": 32, "patch_size": 8})  # fmt: skip
    yield _transformer("MambaModel", "MambaConfig", ids, vocab_size=99, hidden_size=32, num_hidden_layers=2, state_size=4)
    yield _transformer("WhisperModel", "WhisperConfig", _whisper, vocab_size=99, d_model=32, encoder_layers=2,
                       decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=64,
                       decoder_ffn_dim=64, num_mel_bins=20, max_source_positions=40, max_target_positions=40,
                       pad_token_id=1, bos_token_id=0, eos_token_id=2, decoder_start_token_id=3)  # fmt: skip


def _transformer(model: str, config: str, arguments: Any, **options: Any) -> Entry:
    def construct() -> nn.Module:
        package = importlib.import_module("transformers")
        return getattr(package, model)(getattr(package, config)(**options))

    return Entry(f"transformers/{model}", construct, arguments)


def _ids(**shapes: tuple[int, ...]) -> Callable[[nn.Module], tuple[tuple[Any, ...], dict[str, Any]]]:
    return lambda model: ((), {name: torch.randint(4, 99, shape) for name, shape in shapes.items()})


def _floats(**shapes: tuple[int, ...]) -> Callable[[nn.Module], tuple[tuple[Any, ...], dict[str, Any]]]:
    return lambda model: ((), {name: torch.randn(shape) for name, shape in shapes.items()})


def _clip(model: nn.Module) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return (), {"input_ids": torch.randint(4, 99, (2, 16)), "pixel_values": torch.randn(2, 3, 32, 32)}


def _whisper(model: nn.Module) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return (), {"input_features": torch.randn(2, 20, 80), "decoder_input_ids": torch.randint(4, 99, (2, 12))}


@cache
def zoo() -> tuple[Entry, ...]:
    """Every model of the zoo, by package; none of packages that are not installed (the tests for accelerators need none)."""
    shelves = {"torchvision": torchvision_entries, "timm": timm_entries, "transformers": transformers_entries}
    return tuple(entry for package, entries in shelves.items() if find_spec(package) for entry in entries())
