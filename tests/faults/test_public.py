"""Faults of the kinds that public repositories have, in models written as people write them: each is found, at its place.

A model may have other faults by its nature (a list of layers holds a list of dropouts): those are named beside it. What is
neither is a false alarm.
"""

from __future__ import annotations

import importlib
import inspect

import pytest
import torch

import netcheck
from netcheck.findings import Severity

IMAGES = torch.zeros(4, 3, 16, 16)
DIGITS = torch.zeros(4, 1, 28, 28)


def ids(limit: int, *shape: int) -> torch.Tensor:
    return torch.arange(torch.Size(shape).numel()).remainder(limit).view(shape)


def rows(*shape: int) -> torch.Tensor:
    return torch.linspace(-1, 1, torch.Size(shape).numel()).view(shape)


# What builds the model, its input, the fault's code, and the codes of other warnings that are true of it.
CASES = [
    ("residual.resnet", IMAGES, "", ()),
    ("healthy.VAE", rows(4, 64), "", ()),
    ("healthy.Autoencoder", rows(4, 100), "", ()),
    ("healthy.Generator", rows(4, 32), "", ()),
    ("healthy.Discriminator", IMAGES, "", ()),
    ("healthy.DuelingDQN", rows(4, 8), "", ()),
    ("healthy.Attention", ids(60, 4, 9), "", ()),
    ("healthy.Seq2Seq", rows(9, 4, 4), "", ()),
    ("healthy.MiniGPT", ids(65, 4, 12), "", ()),
    ("healthy.UNet", IMAGES, "", ()),
    ("healthy.MobileNet", IMAGES, "", ()),
    ("healthy.SeparableNet", IMAGES, "", ()),
    ("healthy.LoRANet", rows(4, 32), "", ()),
    ("healthy.VectorQuantizer", rows(4, 20), "", ()),
    ("healthy.MoCo", (rows(4, 24), rows(4, 24)), "", ()),
    ("healthy.WaveNet", rows(2, 1, 64), "", ()),
    ("healthy.Coupling", rows(4, 6), "", ()),
    ("healthy.Siamese", (rows(4, 16), rows(4, 16)), "", ()),
    ("healthy.PixelShuffleSR", rows(2, 1, 12, 12), "", ()),
    ("healthy.ActorCritic", rows(4, 4), "", ()),
    ("healthy.NeRF", (rows(9, 3), rows(9, 3)), "", ()),
    ("residual.resnet_inplace", IMAGES, "NC403", ("NC104",)),
    ("residual.ResidualMLP", rows(8, 20), "NC403", ()),
    ("residual.resnet_self_sum", IMAGES, "NC404", ()),
    ("residual.Encoder", rows(4, 7, 10), "NC404", ("NC103",)),
    ("residual.resnet_double_skip", IMAGES, "NC405", ()),
    ("residual.DoubleWrapped", rows(4, 16), "NC405", ()),
    ("residual.resnet_relu_before_add", IMAGES, "NC406", ()),
    ("residual.DenseResNet", rows(8, 12), "NC406", ()),
    ("residual.resnet_late_skip", IMAGES, "NC407", ()),
    ("residual.PreNormMixer", rows(4, 4, 20), "NC407", ()),
    ("residual.resnet_forgotten_shortcut", IMAGES, "NC904", ()),
    ("residual.BottleneckNet", IMAGES, "NC904", ()),
    ("dropouts.LeNet", DIGITS, "NC202", ()),
    ("dropouts.GCN", (rows(9, 16), rows(9, 9)), "NC202", ()),
    ("dropouts.BuiltInForward", rows(4, 64), "NC202", ()),
    ("dropouts.BuiltInForwardAttention", rows(4, 6, 32), "NC202", ()),
    ("dropouts.MaskedByHand", rows(4, 32), "NC202", ()),
    ("dropouts.FlashAttention", rows(4, 6, 32), "NC202", ()),
    ("dropouts.DropoutInList", rows(4, 20), "NC202", ("NC901",)),
    ("heads.MnistNet", DIGITS, "NC107", ()),
    ("heads.TextClassifier", ids(100, 4, 9), "NC107", ()),
    ("heads.TwiceLog", rows(4, 1, 8, 8), "NC107", ()),
    ("heads.SoftmaxThenLog", rows(4, 16), "NC107", ()),
    ("heads.BinaryClassifier", rows(4, 12), "NC108", ()),
    ("heads.Sentiment", ids(50, 4, 9), "NC108", ()),
    ("heads.OverBatch", rows(4, 8), "NC109", ()),
    ("heads.OverBatchAttention", rows(4, 6, 16), "NC109", ()),
    ("heads.TwoLinears", rows(4, 30), "NC103", ()),
    ("heads.Spectrogram", rows(4, 16, 20), "NC103", ()),
    ("heads.LinearStack", rows(4, 100), "NC103", ()),
    ("heads.PReLUHead", rows(4, 20), "NC106", ()),
    ("heads.PReLUDecoder", rows(4, 24), "NC106", ()),
    ("heads.DoubleActivation", IMAGES, "NC104", ()),
    ("heads.DoubleSquash", rows(4, 10), "NC104", ()),
    ("lost.ListOfLayers", rows(4, 16), "NC901", ()),
    ("lost.DictOfHeads", rows(4, 10), "NC901", ()),
    ("lost.ParametersInList", rows(4, 8), "NC906", ()),
    ("lost.TensorAttribute", rows(4, 16), "NC906", ()),
    ("lost.PositionalEncoding", rows(4, 7, 16), "NC906", ()),
    ("lost.UnusedLayers", IMAGES, "NC902", ("NC304",)),
    ("lost.UnusedDecoder", rows(4, 16), "NC902", ()),
    ("lost.DetachedBranch", IMAGES, "NC905", ()),
    ("lost.NoGradEncoder", rows(4, 20), "NC905", ()),
    ("lost.ThroughArgmax", rows(4, 12), "NC905", ()),
    ("lost.TimeFirst", rows(4, 7, 5), "NC908", ()),
    ("lost.ConvGRU", rows(4, 3, 20), "NC908", ()),
    ("lost.TransformerClassifier", ids(40, 4, 7), "NC908", ()),
    ("lost.BiasBeforeNorm", IMAGES, "NC302", ()),
    ("lost.BiasBeforeFunctionalNorm", rows(4, 10), "NC302", ()),
    ("weights.XavierReLU", rows(4, 128), "NC501", ("NC401",)),
    ("weights.FanOut", rows(4, 64), "NC501", ()),
    ("weights.DecoderFanOut", IMAGES, "NC501", ()),
    ("sound.CharCNN", ids(30, 4, 5, 6), "", ()),
    ("sound.CRNN", torch.zeros(4, 1, 16, 32), "", ()),
    ("sound.BYOL", (rows(4, 24), rows(4, 24)), "", ()),
    ("sound.DANN", IMAGES, "", ()),
    ("sound.MDN", rows(4, 3), "", ()),
    ("sound.GAT", (rows(9, 16), torch.ones(9, 9)), "", ()),
    ("sound.FiLM", (IMAGES, rows(4, 6)), "", ()),
    ("sound.densenet", IMAGES, "", ()),
    ("sound.tcn", rows(4, 4, 32), "", ()),
    ("sound.Perceiver", rows(4, 9, 10), "", ()),
    ("sound.MCDropout", rows(4, 8), "", ()),
    ("sound.AttUNet", IMAGES, "", ()),
    ("sound.RotaryGPT", ids(65, 4, 12), "", ()),
    ("sound.CLIPish", (torch.zeros(4, 3, 8, 8), ids(50, 4, 6)), "", ()),
    ("sound.SimpleVAE", rows(4, 40), "", ()),
    ("sound.GRUSpeech", rows(4, 20, 30), "", ()),
    ("sound.SoftDecisionTree", rows(4, 10), "", ()),
    ("sound.stochastic_depth", IMAGES, "", ()),
    ("sound.ConfigLM", ids(60, 4, 7), "", ()),
    ("images.WideNet", IMAGES, "NC407", ()),
    ("images.residual_sequential", IMAGES, "NC404", ()),
    ("images.LeakySR", IMAGES, "NC403", ()),
    ("images.InceptionNet", IMAGES, "NC904", ()),
    ("images.SENet", IMAGES, "NC904", ()),
    ("images.FPN", IMAGES, "NC901", ()),
    ("images.MultiTask", IMAGES, "NC901", ()),
    ("images.CfgVGG", IMAGES, "NC104", ()),
    ("images.DropUNet", IMAGES, "NC202", ()),
    ("images.DropPathNet", IMAGES, "NC202", ()),
    ("images.TinyViT", IMAGES, "NC908", ()),
    ("images.ScaledNet", IMAGES, "NC906", ()),
    ("images.SharedNorm", IMAGES, "NC304", ()),
    ("images.DropThenNorm", IMAGES, "NC203", ()),
    ("images.HeKeepRelu", IMAGES, "NC501", ()),
    ("images.DropoutHead", IMAGES, "NC205", ()),
    ("images.projected_skip", IMAGES, "NC402", ()),
    ("sequences.PooledGRU", ids(50, 4, 7), "NC908", ()),
    ("sequences.BahdanauPool", rows(4, 7, 12), "NC109", ()),
    ("sequences.FairseqEncoder", ids(60, 4, 7), "NC202", ()),
    ("sequences.PoolerUnused", {"input_ids": ids(60, 4, 7)}, "NC902", ()),
    ("sequences.bertish", ids(40, 4, 7), "NC404", ()),
    ("sequences.FrozenByAccident", ids(50, 4, 7), "NC905", ()),
    ("sequences.HardMoE", rows(4, 16), "NC905", ()),
    ("sequences.TiedLM", ids(200, 4, 7), "NC506", ()),
    ("sequences.Annotated", rows(4, 7, 32), "NC504", ()),
    ("sequences.MaskIgnored", (rows(4, 7, 16), torch.ones(4, 7)), "NC903", ()),
    ("sequences.ActorCritic", rows(4, 8), "NC905", ()),
    ("sequences.SigmoidMLP", rows(4, 16), "NC102", ()),
    ("sequences.DropGCN", (rows(9, 16), rows(9, 9)), "NC202", ()),
    ("sequences.mixer", rows(4, 16, 8), "NC405", ()),
    ("sequences.ByHand", rows(4, 10), "NC502", ()),
    ("sequences.DeadBias", rows(4, 16), "NC105", ()),
    ("sequences.WrittenSoftmax", rows(4, 12), "NC109", ()),
    ("sequences.LogOfNegative", rows(4, 4), "NC507", ()),
    ("sequences.LSTMForget", rows(4, 7, 6), "NC505", ()),
    ("wiring.SwinLike", IMAGES, "", ()),
    ("wiring.Teacher", rows(4, 8), "", ()),
    ("wiring.SlotAttention", rows(4, 9, 16), "", ()),
    ("wiring.WaveBlock", rows(4, 1, 40), "", ()),
    ("wiring.WrongSwitch", rows(4, 16), "NC202", ()),
    ("wiring.ListOfTuples", rows(4, 16), "NC901", ()),
    ("wiring.Namespace", rows(4, 16), "NC901", ()),
    ("wiring.Lambda", rows(4, 16), "NC901", ()),
    ("wiring.Partial", rows(4, 16), "NC901", ()),
    ("wiring.MemoryUnused", (ids(50, 4, 6), ids(50, 4, 5)), "NC904", ("NC903",)),
    ("wiring.Discretize", rows(4, 16), "NC905", ()),
    ("wiring.Overwritten", rows(4, 7, 6), "NC904", ("NC103",)),
    ("wiring.half_skips", rows(4, 8), "NC402", ()),
    ("wiring.drop_skips", rows(4, 8), "NC402", ()),
    ("wiring.vqvae_encoder", IMAGES, "NC403", ()),
    ("wiring.TimeAverage", rows(4, 7, 5), "NC908", ()),
    ("wiring.three_skips", rows(4, 8), "NC405", ()),
]


@pytest.mark.parametrize(("name", "inputs", "code", "others"), CASES, ids=lambda value: value if type(value) is str else "")
def test_a_fault_is_found_at_its_place(name: str, inputs: object, code: str, others: tuple[str, ...]) -> None:
    file, _, builder = name.partition(".")
    module = importlib.import_module(f"tests.faults.public.{file}")
    torch.manual_seed(0)
    report = netcheck.check(getattr(module, builder)(), inputs, probe=False)
    assert report.summary is not None, str(report)
    assert {finding.code for finding in report.at_least(Severity.WARNING)} <= {code, *others}, str(report)
    found = [finding for finding in report if finding.code == code]
    assert bool(found) == bool(code), str(report)
    for finding in found:
        assert finding.evidence.text
        assert finding.location is not None
        assert finding.location.file == inspect.getsourcefile(module)
