"""Public models to measure on: torchvision, timm from beit to hgnet, kinds of transformers in small."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import nn

from tests.zoo import declare_torchvision_operators

Built = Iterator[tuple[str, Callable[[], nn.Module]]]


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """Build without allocating weights, if the constructor bears it."""
    try:
        with torch.device("meta"):
            return build()
    except Exception:  # a constructor that computes with its weights
        return build()


def torchvision_models() -> Built:
    """Every classification and segmentation model."""
    declare_torchvision_operators()
    from torchvision import models

    for module in (models, models.segmentation):
        for name in models.list_models(module=module):
            yield name, partial(on_meta, partial(models.get_model, name, weights=None, **EXTRA.get(name, {})))


EXTRA: dict[str, dict[str, Any]] = {
    name: {"weights_backbone": None}
    for name in (
        "deeplabv3_mobilenet_v3_large",
        "deeplabv3_resnet50",
        "deeplabv3_resnet101",
        "fcn_resnet50",
        "fcn_resnet101",
    )
} | {"lraspp_mobilenet_v3_large": {"weights_backbone": None}}

# fmt: off
TIMM_MODULES = (
    "beit", "byobnet", "cait", "coat", "convit", "convmixer", "convnext", "crossvit", "cspnet",
    "csatv2", "davit", "deit", "densenet", "dla", "dpn", "edgenext", "efficientformer",
    "efficientformer_v2", "efficientnet", "efficientvit_mit", "efficientvit_msra", "eva", "fasternet",
    "fastvit", "focalnet", "gcvit", "ghostnet", "hardcorenas", "hgnet",
)
# fmt: on


def timm_models() -> Built:
    """The two smallest variants of each family from beit to hgnet."""
    declare_torchvision_operators()
    import timm

    for module in TIMM_MODULES:
        names = timm.list_models(module=module)
        sizes = {
            name: parameters(partial(timm.create_model, name, pretrained=False)) for name in names[:: max(1, len(names) // 8)]
        }
        for name in sorted(sizes, key=lambda name: sizes[name])[:2]:
            yield name, partial(on_meta, partial(timm.create_model, name, pretrained=False))


def parameters(build: Callable[[], nn.Module]) -> int:
    """How large a model is."""
    return sum(parameter.numel() for parameter in on_meta(build).parameters())


SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": 99,
}
TINY_VISION = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
BART = {
    "vocab_size": 99,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
}
BART |= {"decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64}
SPEECH = SMALL | {
    "num_feat_extract_layers": 2,
    "conv_dim": (32, 32),
    "conv_stride": (4, 4),
    "conv_kernel": (8, 8),
}
SPEECH |= {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}

NO_SPECIALS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}

# name of the configuration class, name of the model class, what is made small
TRANSFORMERS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("BertConfig", "BertForSequenceClassification", SMALL),
    ("RobertaConfig", "RobertaForMaskedLM", SMALL),
    ("DebertaV2Config", "DebertaV2Model", SMALL),
    ("AlbertConfig", "AlbertModel", SMALL | {"embedding_size": 16}),
    (
        "GPT2Config",
        "GPT2LMHeadModel",
        {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 99, "n_positions": 64},
    ),
    ("LlamaConfig", "LlamaForCausalLM", SMALL | {"num_key_value_heads": 2}),
    (
        "MambaConfig",
        "MambaForCausalLM",
        {"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 99, "state_size": 8},
    ),
    (
        "RwkvConfig",
        "RwkvModel",
        {"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 99, "context_length": 64},
    ),
    ("MixtralConfig", "MixtralForCausalLM", SMALL | {"num_key_value_heads": 2, "num_local_experts": 4}),
    (
        "T5Config",
        "T5ForConditionalGeneration",
        {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "vocab_size": 99},
    ),
    ("BartConfig", "BartForConditionalGeneration", BART),
    (
        "SwitchTransformersConfig",
        "SwitchTransformersForConditionalGeneration",
        {
            "d_model": 32,
            "d_kv": 8,
            "d_ff": 64,
            "num_layers": 2,
            "num_heads": 4,
            "num_experts": 4,
            "vocab_size": 99,
        },
    ),
    ("LEDConfig", "LEDModel", BART | {"attention_window": 4}),
    ("BigBirdConfig", "BigBirdModel", SMALL),
    ("ViTConfig", "ViTForImageClassification", TINY_VISION | {"image_size": 30, "patch_size": 2}),
    (
        "SwinConfig",
        "SwinModel",
        {
            "embed_dim": 16,
            "depths": [1, 1],
            "num_heads": [2, 2],
            "image_size": 32,
            "patch_size": 2,
            "window_size": 2,
        },
    ),
    ("Dinov2Config", "Dinov2Model", TINY_VISION | {"image_size": 28, "patch_size": 14}),
    (
        "ConvNextConfig",
        "ConvNextForImageClassification",
        {"hidden_sizes": [8, 16, 32, 64], "depths": [1, 1, 1, 1]},
    ),
    (
        "SegformerConfig",
        "SegformerForSemanticSegmentation",
        {"hidden_sizes": [8, 16, 32, 64], "depths": [1, 1, 1, 1], "decoder_hidden_size": 16},
    ),
    ("VideoMAEConfig", "VideoMAEModel", TINY_VISION | {"image_size": 32, "patch_size": 8, "num_frames": 4}),
    ("Wav2Vec2Config", "Wav2Vec2ForCTC", SPEECH),
    ("HubertConfig", "HubertModel", SPEECH),
    ("WhisperConfig", "WhisperForConditionalGeneration", BART | {"num_mel_bins": 80} | NO_SPECIALS),
    ("ASTConfig", "ASTForAudioClassification", TINY_VISION),
    ("EncodecConfig", "EncodecModel", {"num_filters": 4, "hidden_size": 16, "codebook_size": 32}),
    (
        "CLIPConfig",
        "CLIPModel",
        {"text_config": SMALL, "vision_config": TINY_VISION | {"image_size": 30, "patch_size": 6}},
    ),
    ("ViltConfig", "ViltModel", SMALL | {"image_size": 64, "patch_size": 16}),
    (
        "BlipConfig",
        "BlipModel",
        {"text_config": SMALL, "vision_config": TINY_VISION | {"image_size": 30, "patch_size": 6}},
    ),
    ("FlavaConfig", "FlavaModel", {}),
    (
        "LayoutLMv3Config",
        "LayoutLMv3Model",
        SMALL | {"input_size": 32, "patch_size": 8, "coordinate_size": 6, "shape_size": 4},
    ),
    (
        "PatchTSTConfig",
        "PatchTSTForPrediction",
        {"num_input_channels": 7, "context_length": 48, "d_model": 32, "num_hidden_layers": 2},
    ),
    (
        "InformerConfig",
        "InformerForPrediction",
        {
            "prediction_length": 12,
            "context_length": 24,
            "d_model": 16,
            "lags_sequence": [1, 2, 3],
            "input_size": 1,
            "num_time_features": 2,
            "encoder_layers": 2,
            "decoder_layers": 2,
        },
    ),
    (
        "DetrConfig",
        "DetrForObjectDetection",
        BART | {"use_timm_backbone": False, "use_pretrained_backbone": False},
    ),
    (
        "PerceiverConfig",
        "PerceiverModel",
        {
            "d_model": 32,
            "num_latents": 8,
            "d_latents": 16,
            "num_self_attends_per_block": 1,
            "num_self_attention_heads": 2,
            "num_cross_attention_heads": 2,
        },
    ),
)


def transformers_models() -> Built:
    """Encoders, decoders, both; vision, speech, audio, multimodal; mixtures of experts; time series."""
    declare_torchvision_operators()
    import transformers

    for config, name, small in TRANSFORMERS:
        yield (
            name,
            partial(build_transformer, getattr(transformers, name), getattr(transformers, config), small),
        )


def build_transformer(model: Any, config: Any, small: dict[str, Any]) -> nn.Module:
    """A model with random weights from a small configuration."""
    return model(config(**small))
