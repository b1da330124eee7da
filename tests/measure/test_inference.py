"""What a model takes to be used: activations against what torch holds, the cache against what a decoder would keep."""

from __future__ import annotations

import pytest
import torch

import netcheck
from netcheck.figures.fit import Inference
from tests.measure.live_memory import LiveMemory
from tests.measure.networks import NETWORKS, DecoderLayer


def used(name: str, **options: object) -> Inference:
    torch.manual_seed(0)
    network = NETWORKS[name]
    report = netcheck.check(network.build(), network.batch(), probe=False, inference=True, **options)  # type: ignore[arg-type]
    assert report.cost is not None
    assert report.cost.inference is not None
    return report.cost.inference


@pytest.mark.parametrize("name", ["mlp", "vgg", "resnet", "u-net", "with dropout", "tied", "experts", "llama"])
def test_activations_are_what_torch_holds(name: str) -> None:
    model, batch = NETWORKS[name].build().eval(), NETWORKS[name].batch()
    memory = LiveMemory()
    for tensor in (*model.parameters(), *model.buffers()):
        memory.follow(tensor)
    weights = memory.now
    memory.follow(batch)
    with torch.no_grad(), memory:
        model(batch)
    found = used(name)
    assert found.weights == weights
    assert found.working == pytest.approx(memory.peak - weights, rel=0.01)


def test_the_cache_has_the_keys_and_values_before_they_are_repeated() -> None:
    found = used("llama", batch_size=4, context=1000)
    keys = NETWORKS["llama"].build().layers[0].attention.key.out_features  # type: ignore[index, union-attr]
    assert found.cache == 4 * 1000 * 13 * 2 * keys * 4
    assert used("llama").context == 32  # the example's


def test_a_layer_with_its_own_projections_keeps_its_whole_width() -> None:
    assert used("encoder", context=10).cache == 4 * 10 * 3 * 2 * 64 * 4


def test_what_has_no_attention_has_no_cache() -> None:
    found = used("resnet", context=100)
    assert (found.cache, found.context, found.most_context) == (0, 0, None)


def test_so_many_tokens_fit_and_one_more_does_not() -> None:
    limit = 8 * 2**20
    most = used("llama", device_memory=limit, context=1).most_context
    assert most is not None
    assert used("llama", context=most).nbytes <= limit < used("llama", context=most + 1).nbytes
    model = NETWORKS["llama"].build()
    report = netcheck.check(model, NETWORKS["llama"].batch(), probe=False, inference=True, context=most + 1, device_memory=limit)
    (found,) = [one for one in report.findings if one.code == "NC801"]
    assert f"keep at most {most:,} tokens" in found.help
    assert "to be used on 2 samples" in str(report)


def test_a_decoder_layer_is_no_training_step() -> None:
    model = torch.nn.Sequential(DecoderLayer(32, 64, 4, 2))
    report = netcheck.check(model, torch.zeros(2, 8, 32), probe=False, inference=True, device_memory="1GiB")
    assert report.cost is not None
    assert report.cost.fit is None
