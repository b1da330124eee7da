"""The lines that built the parts of real models. The installed source is the only oracle here."""

from __future__ import annotations

import linecache
import re
import sys

import pytest

from netcheck.source.locate import Definition, locate_steps
from netcheck.source.places import built_at, class_definitions

# model -> what the line of each of these modules must hold
LINES = {
    ("torchvision", "resnet50"): {
        "conv1": r"self\.conv1 = nn\.Conv2d\(3",
        "layer1": r"self\.layer1 = self\._make_layer\(block, 64",
        "layer3.0.conv2": r"self\.conv2 = conv3x3\(",
        "layer2.0.downsample": r"downsample = nn\.Sequential\(",
        "layer2.0.downsample.0": r"conv1x1\(self\.inplanes",
        "layer2.0.downsample.1": r"norm_layer\(planes \* block\.expansion\)",
        "fc": r"self\.fc = nn\.Linear\(",
    },
    ("torchvision", "densenet121"): {
        "features.conv0": r'"conv0", nn\.Conv2d',
        "features.denseblock2": r"block = _DenseBlock\(",
        "features.denseblock2.denselayer3": r"layer = _DenseLayer\(",
        "features.denseblock2.denselayer3.conv1": r"self\.conv1 = nn\.Conv2d",
        "features.transition1": r"trans = _Transition\(",
        "features.norm5": r'"norm5", nn\.BatchNorm2d',
    },
    ("torchvision", "mobilenet_v2"): {
        "features.0": r"Conv2dNormActivation\(3, input_channel",
        "features.2": r"features\.append\(block\(",
        "features.2.conv.0": r"Conv2dNormActivation\(inp, hidden_dim, kernel_size=1",
        "features.2.conv.2": r"nn\.Conv2d\(hidden_dim, oup",
        "features.18": r"Conv2dNormActivation\($",
        "features.2.conv.1.1": r"layers\.append\(norm_layer\(out_channels\)\)",
        "classifier.1": r"nn\.Linear\(self\.last_channel",
    },
    ("torchvision", "vgg11"): {
        "classifier.0": r"nn\.Linear\(512 \* 7 \* 7, 4096\)",
        "classifier.3": r"nn\.Linear\(4096, 4096\)",
        "classifier.6": r"nn\.Linear\(4096, num_classes\)",
    },
    ("torchvision", "swin_t"): {
        "features.1.0.mlp.0": r"torch\.nn\.Linear\(in_dim, hidden_dim",
        "features.1.0.mlp.3": r"torch\.nn\.Linear\(in_dim, hidden_channels\[-1\]",
        "features.2.reduction": r"self\.reduction = nn\.Linear",
    },
    ("timm", "vit_tiny_patch16_224"): {
        "patch_embed.proj": r"self\.proj = nn\.Conv2d",
        "blocks.7": r"block_fn\(",
        "blocks.7.attn.qkv": r"self\.qkv = nn\.Linear",
        "blocks.7.mlp.fc1": r"self\.fc1 = linear_layer\(",
        "head": r"self\.head = nn\.Linear",
    },
    ("transformers", "Bert"): {
        "embeddings.word_embeddings": r"self\.word_embeddings = nn\.Embedding",
        "encoder.layer": r"self\.layer = nn\.ModuleList\(",
        "encoder.layer.5.attention.self.query": r"self\.query = nn\.Linear",
        "encoder.layer.5.intermediate.intermediate_act_fn": r"ACT2FN\[",
        "pooler.activation": r"self\.activation = nn\.Tanh\(\)",
    },
    ("transformers", "GPT2"): {
        "h": r"self\.h = nn\.ModuleList\(",
        "h.3.attn.c_attn": r"self\.c_attn = Conv1D\(",
        "h.3.mlp.c_proj": r"self\.c_proj = Conv1D\(embed_dim",
        "ln_f": r"self\.ln_f = nn\.LayerNorm",
    },
}


@pytest.mark.parametrize("model", LINES, ids="/".join)
def test_lines_of_real_models(zoo, model):
    built = zoo(*model)
    places = built_at(built)
    assert set(places) == {name for name, _ in built.named_modules()}
    for name, line in LINES[model].items():
        place = places[name]
        assert re.search(line, linecache.getline(place.file, place.line).rstrip()), (name, str(place))


def test_the_module_may_be_forgotten(zoo, monkeypatch):
    """Whoever imports another project's modules of the same names removes the first ones."""
    built = zoo("torchvision", "resnet50")
    known = built_at(built)
    monkeypatch.delitem(sys.modules, type(built).__module__)
    class_definitions.cache_clear()
    locate_steps.cache_clear()
    assert built_at(built) == known


def test_parts_that_a_factory_passes_in(zoo):
    """VGG is given its convolutions by the function that builds it: the lines are in a third function."""
    built = zoo("torchvision", "vgg11_bn")
    file = built_at(built)[""].file
    places = built_at(built, Definition(file, "vgg11_bn"))
    expected = {
        "features": "VGG(make_layers(",
        "features.0": "nn.Conv2d(in_channels, v, ",
        "features.1": "[conv2d, nn.BatchNorm2d(v), nn.ReLU(",
        "features.3": "nn.MaxPool2d(kernel_size=2",
        "features.4": "nn.Conv2d(in_channels, v, ",
        "classifier.6": "nn.Linear(4096, num_classes)",
    }
    for name, line in expected.items():
        assert line in linecache.getline(file, places[name].line), name
