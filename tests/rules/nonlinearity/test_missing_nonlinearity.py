"""NC103 in many styles of code: BAD is one linear map in two layers, GOOD only looks like one."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netcheck.findings import Verdict
from netcheck.rules.nonlinearity.missing_nonlinearity import MissingNonlinearity
from tests.rules.checking import findings, net


def linear(*sizes: int) -> list[nn.Linear]:
    return [nn.Linear(n_in, n_out) for n_in, n_out in itertools.pairwise(sizes)]


def in_a_loop() -> nn.Module:
    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

    return net(forward, layers=nn.ModuleList(linear(8, 32, 32, 4)))


def through_a_helper() -> nn.Module:
    def project(x, layer):
        return layer(x)

    return net(lambda self, x: project(project(x, self.a), self.b), a=nn.Linear(8, 32), b=nn.Linear(32, 4))


def functional_weights() -> nn.Module:
    def forward(self, x):
        return F.linear(F.linear(x, self.first), self.second).relu()

    weights = {"first": nn.Parameter(torch.randn(32, 8)), "second": nn.Parameter(torch.randn(16, 32))}
    return net(forward, **weights)


def two_heads_on_a_linear_trunk() -> nn.Module:
    def forward(self, x):
        x = self.trunk(x)
        return self.mean(x), self.spread(x)

    return net(forward, trunk=nn.Linear(16, 64), mean=nn.Linear(64, 4), spread=nn.Linear(64, 4))


def siamese_twins() -> nn.Module:
    def forward(self, x, y):
        return torch.cat([self.b(self.a(x)), self.b(self.a(y))], 1)

    return net(forward, a=nn.Linear(16, 64), b=nn.Linear(64, 8))


def conv_then_features_last() -> nn.Module:
    def forward(self, x):
        return self.fc(self.conv(x).permute(0, 2, 3, 1)).relu()

    return net(forward, conv=nn.Conv2d(3, 16, 3), fc=nn.Linear(16, 16))


def strided_generator() -> nn.Module:
    return nn.Sequential(nn.ConvTranspose2d(8, 16, 4, 2, 1), nn.BatchNorm2d(16), nn.ConvTranspose2d(16, 8, 4, 2, 1), nn.Tanh())


def scaled_and_shifted() -> nn.Module:
    return net(lambda self, x: self.b(2 * self.a(x) + 1), a=nn.Linear(8, 32), b=nn.Linear(32, 8))


def first_token_classified() -> nn.Module:
    return net(lambda self, x: self.b(self.a(x)[:, 0]), a=nn.Linear(8, 32), b=nn.Linear(32, 4))


def activation_on_a_copy_that_is_dropped() -> nn.Module:
    def forward(self, x):
        x = self.a(x)
        F.relu(x)
        return self.b(x)

    return net(forward, a=nn.Linear(8, 32), b=nn.Linear(32, 4))


def narrower_by_a_third() -> nn.Module:
    return nn.Sequential(nn.Linear(24, 16), nn.Linear(16, 24), nn.ReLU())


def half_as_wide() -> nn.Module:
    """As from a projection to a predictor: no larger than one layer, and of half its rank."""
    return nn.Sequential(nn.Linear(32, 16), nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 16))


def pooled_convolution() -> nn.Module:
    return nn.Sequential(nn.Conv1d(4, 16, 3), nn.AvgPool1d(2), nn.Conv1d(16, 16, 3), nn.ReLU())


BAD = [
    (in_a_loop, [(4, 8)], 2),
    (through_a_helper, [(4, 8)], 1),
    (functional_weights, [(4, 8)], 1),
    (two_heads_on_a_linear_trunk, [(4, 16)], 1),
    (siamese_twins, [(4, 16), (4, 16)], 2),
    (conv_then_features_last, [(2, 3, 8, 8)], 1),
    (strided_generator, [(2, 8, 4, 4)], 1),
    (scaled_and_shifted, [(4, 8)], 1),
    (first_token_classified, [(4, 5, 8)], 1),
    (activation_on_a_copy_that_is_dropped, [(4, 8)], 1),
    (pooled_convolution, [(2, 4, 32)], 1),
    (narrower_by_a_third, [(4, 24)], 1),
]


def in_place_activation() -> nn.Module:
    def forward(self, x):
        x = self.a(x)
        x.relu_()
        return self.b(x)

    return net(forward, a=nn.Linear(8, 32), b=nn.Linear(32, 4))


def written_out_activation() -> nn.Module:
    def forward(self, x):
        x = self.a(x)
        return self.b(x * torch.sigmoid(x))

    return net(forward, a=nn.Linear(8, 32), b=nn.Linear(32, 4))


def low_rank_update() -> nn.Module:
    def forward(self, x):
        return F.relu(self.base(x) + self.up(self.down(x)))

    return net(forward, base=nn.Linear(32, 32), down=nn.Linear(32, 4), up=nn.Linear(4, 32))


def shared_in_a_loop() -> nn.Module:
    def forward(self, x):
        for _ in range(3):
            x = self.step(x)
        return x

    return net(forward, step=nn.Linear(8, 8))


def one_head_for_all_scales() -> nn.Module:
    def forward(self, x):
        return self.head(self.fine(x)).mean((2, 3)) + self.head(self.coarse(F.max_pool2d(x, 2))).mean((2, 3))

    return net(forward, fine=nn.Conv2d(8, 16, 3), coarse=nn.Conv2d(8, 16, 3), head=nn.Conv2d(16, 8, 3))


def embedding_is_returned() -> nn.Module:
    def forward(self, x):
        embedding = self.embed(x)
        return self.classify(embedding), embedding

    return net(forward, embed=nn.Linear(16, 32), classify=nn.Linear(32, 8))


def frozen_features() -> nn.Module:
    model = nn.Sequential(*linear(16, 32, 4))
    model[0].requires_grad_(False)
    return model


def layer_norm_between() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 32), nn.LayerNorm(32), nn.Linear(32, 4))


def max_pool_between() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 16, 3), nn.MaxPool2d(2), nn.Conv2d(16, 16, 3), nn.ReLU())


def shared_across_heads() -> nn.Module:
    def forward(self, x):
        x = self.a(x).view(x.shape[0], 4, 8)
        return self.b(x).flatten(1)

    return net(forward, a=nn.Linear(8, 32), b=nn.Linear(8, 8))


def learned_upsampling() -> nn.Module:
    return nn.Sequential(nn.ConvTranspose2d(16, 8, 2, 2), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1))


def reparametrized_latent() -> nn.Module:
    def forward(self, x):
        mean, spread = self.encode(x).chunk(2, 1)
        return self.decode(mean + torch.randn_like(spread) * torch.exp(spread))

    return net(forward, encode=nn.Linear(16, 32), decode=nn.Linear(16, 16))


def recurrent_between() -> nn.Module:
    def forward(self, x):
        return self.head(self.recurrent(self.project(x))[0])

    return net(forward, project=nn.Linear(8, 32), recurrent=nn.LSTM(32, 32, batch_first=True), head=nn.Linear(32, 4))


GOOD = [
    (half_as_wide, [(4, 32)]),
    (in_place_activation, [(4, 8)]),
    (written_out_activation, [(4, 8)]),
    (low_rank_update, [(4, 32)]),
    (shared_in_a_loop, [(4, 8)]),
    (one_head_for_all_scales, [(2, 8, 16, 16)]),
    (embedding_is_returned, [(4, 16)]),
    (frozen_features, [(4, 16)]),
    (layer_norm_between, [(4, 8)]),
    (max_pool_between, [(2, 3, 8, 8)]),
    (shared_across_heads, [(4, 8)]),
    (learned_upsampling, [(2, 16, 4, 4)]),
    (reparametrized_latent, [(4, 16)]),
    (recurrent_between, [(4, 6, 8)]),
]


@pytest.mark.parametrize(("build", "inputs", "pairs"), BAD, ids=lambda value: getattr(value, "__name__", None))
def test_two_layers_that_are_one_linear_map_are_found(build, inputs, pairs) -> None:
    found = findings(MissingNonlinearity, build(), *inputs)
    assert [(finding.count, finding.verdict) for finding in found] == [(pairs, Verdict.CONFIRMED)]


@pytest.mark.parametrize(("build", "inputs"), GOOD, ids=lambda value: getattr(value, "__name__", None))
def test_what_is_not_one_linear_map_or_saves_something_is_left_alone(build, inputs) -> None:
    assert findings(MissingNonlinearity, build(), *inputs) == []


def test_the_finding_names_the_layers_and_their_widths() -> None:
    (found,) = findings(MissingNonlinearity, nn.Sequential(*linear(16, 64, 8)), (4, 16))
    assert found.modules == ("0", "1")
    assert "'0'" in found.message
    assert "16 → 64 → 8" in found.evidence.text
    assert "16 → 8" in found.help
