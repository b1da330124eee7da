"""Networks as they are written: by hand, functional and modular, over vectors, images and sequences."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Regressor(nn.Module):
    """Functional tanh between numbered layers."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(13, 64), nn.Linear(64, 64), nn.Linear(64, 64)
        self.fc4, self.fc5, self.fc6 = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 64)
        self.out = nn.Linear(64, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.fc1(x))
        x = torch.tanh(self.fc2(x))
        x = torch.tanh(self.fc3(x))
        x = torch.tanh(self.fc4(x))
        x = torch.tanh(self.fc5(x))
        x = torch.tanh(self.fc6(x))
        return self.out(x)


class FieldNet(nn.Module):
    """A physics-informed net of one's own: a list of sizes, Xavier weights, tanh."""

    def __init__(self, sizes: tuple[int, ...] = (2, 50, 50, 50, 50, 50, 50, 50, 50, 1)) -> None:
        super().__init__()
        self.linears = nn.ModuleList(nn.Linear(sizes[i], sizes[i + 1]) for i in range(len(sizes) - 1))
        for layer in self.linears:
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.linears[:-1]:
            x = layer(x).tanh()
        return self.linears[-1](x)


class LeNetDeep(nn.Module):
    """LeNet with more layers, tanh as in 1998."""

    def __init__(self) -> None:
        super().__init__()
        self.c1, self.c2, self.c3 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5), nn.Conv2d(16, 32, 3, padding=1)
        self.c4, self.c5, self.pool = nn.Conv2d(32, 32, 3, padding=1), nn.Conv2d(32, 32, 3, padding=1), nn.AvgPool2d(2)
        self.f1, self.f2 = nn.Linear(32 * 5 * 5, 120), nn.Linear(120, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(F.tanh(self.c1(x)))
        x = self.pool(F.tanh(self.c2(x)))
        x = F.tanh(self.c5(F.tanh(self.c4(F.tanh(self.c3(x))))))
        return self.f2(F.tanh(self.f1(x.flatten(1))))


class Sigmoids(nn.Module):
    """The first network of a course: sigmoid everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Flatten(), nn.Linear(784, 128), nn.Sigmoid(), nn.Linear(128, 64), nn.Sigmoid(), nn.Linear(64, 10)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class SigmoidCNN(nn.Module):
    """Convolutions with F.sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 32, 3), nn.Conv2d(32, 64, 3)
        self.fc = nn.Linear(64 * 2 * 2, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.sigmoid(self.conv1(x)), 2)
        x = F.max_pool2d(F.sigmoid(self.conv2(x)), 2)
        x = F.max_pool2d(F.sigmoid(self.conv3(x)), 2)
        return self.fc(x.reshape(x.size(0), -1))


class Autoencoder(nn.Module):
    """Sigmoids in the encoder and the decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(784, 256), nn.Sigmoid(), nn.Linear(256, 32), nn.Sigmoid())
        self.decoder = nn.Sequential(nn.Linear(32, 256), nn.Sigmoid(), nn.Linear(256, 784))

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


class TextSigmoid(nn.Module):
    """Convolutions over embedded words, sigmoid after each."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(500, 32)
        self.convs = nn.ModuleList(nn.Conv1d(32, 32, 3, padding=1) for _ in range(3))
        self.fc = nn.Linear(32, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens).transpose(1, 2)
        for conv in self.convs:
            x = conv(x).sigmoid()
        return self.fc(x.mean(2))


class VGG(nn.Module):
    """VGG-13's features without normalization, from a configuration of widths."""

    def __init__(self, *, norm: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in (16, 16, "M", 32, 32, "M", 64, 64, "M", 64, 64, "M", 64, 64):
            if width == "M":
                layers.append(nn.MaxPool2d(2))
                continue
            layers += [
                nn.Conv2d(channels, int(width), 3, padding=1),
                *([nn.BatchNorm2d(int(width))] if norm else []),
                nn.ReLU(True),
            ]
            channels = int(width)
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Linear(64 * 2 * 2, 64), nn.ReLU(True), nn.Linear(64, 10))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))


class DeepQ(nn.Module):
    """A value network of many equal layers, rectified by clamp."""

    def __init__(self, depth: int = 12) -> None:
        super().__init__()
        self.first = nn.Linear(8, 64)
        self.hidden = nn.ModuleList(nn.Linear(64, 64) for _ in range(depth))
        self.value = nn.Linear(64, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).clamp(min=0)
        for layer in self.hidden:
            x = layer(x).clamp(min=0)
        return self.value(x)


class Wave(nn.Module):
    """Eleven convolutions over samples of sound, leaky rectifiers, dilated, without a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv1d(1 if i == 0 else 24, 24, 3, padding=2 ** (i % 4), dilation=2 ** (i % 4)) for i in range(11)
        )
        self.head = nn.Linear(24, 5)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.1)
        return self.head(x.mean(-1))


class Tagger(nn.Module):
    """A deep net on each token, rectified, without norms."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(300, 48)
        self.mlp = nn.Sequential(*[part for _ in range(12) for part in (nn.Linear(48, 48), nn.ReLU())])
        self.tag = nn.Linear(48, 7)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.tag(self.mlp(self.embed(tokens)))


class PlainDeep(nn.Module):
    """He initialization and norms in thirty convolutions, and no skip."""

    def __init__(self, depth: int = 30) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(16, 16, 3, padding=1, bias=False) for _ in range(depth))
        self.norms = nn.ModuleList(nn.BatchNorm2d(16) for _ in range(depth))
        self.fc = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.relu(norm(conv(x)))
        return self.fc(x.mean((2, 3)))


class LayerNormed(nn.Module):
    """Sixteen layers on vectors, each with LayerNorm and GELU."""

    def __init__(self) -> None:
        super().__init__()
        block = lambda: nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64), nn.GELU())  # noqa: E731
        self.blocks = nn.Sequential(*[block() for _ in range(16)])
        self.head = nn.Linear(64, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(x))


class TemporalNormed(nn.Module):
    """Fourteen convolutions over time with norms in between."""

    def __init__(self) -> None:
        super().__init__()
        parts = [
            part for i in range(14) for part in (nn.Conv1d(9 if i == 0 else 32, 32, 3, padding=1), nn.BatchNorm1d(32), nn.ReLU())
        ]
        self.net = nn.Sequential(*parts, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(32, 6))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class GroupNormed(nn.Module):
    """Fifteen convolutions of volumes with GroupNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv3d(1 if i == 0 else 8, 8, 3, padding=1) for i in range(15))
        self.norms = nn.ModuleList(nn.GroupNorm(2, 8) for _ in range(15))
        self.fc = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = F.elu(norm(layer(x)))
        return self.fc(x.flatten(2).mean(2))


class SmallWeights(nn.Module):
    """Weights drawn as in old tutorials: a normal distribution of 0.01."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [nn.Linear(20, 64), nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 2)]
        )
        self.apply(self.weights)

    def weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            module.weight.data.normal_(0, 0.01)
            module.bias.data.zero_()

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


class LargeWeights(nn.Module):
    """Weights of a standard normal distribution, as matrices of one's own."""

    def __init__(self) -> None:
        super().__init__()
        self.w1, self.w2 = nn.Parameter(torch.randn(30, 100)), nn.Parameter(torch.randn(100, 100))
        self.w3, self.w4 = nn.Parameter(torch.randn(100, 100)), nn.Parameter(torch.randn(100, 5))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(torch.relu(torch.relu(x @ self.w1) @ self.w2) @ self.w3) @ self.w4


class UniformConvs(nn.Module):
    """Convolutions drawn between -0.05 and 0.05."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2),
        )  # fmt: skip
        self.head = nn.Linear(64, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.uniform_(module.weight, -0.05, 0.05)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).flatten(1))


class SmallConv1d(nn.Module):
    """Convolutions over time, drawn with a fixed standard deviation."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv1d(4 if i == 0 else 16, 16, 5, padding=2) for i in range(5))
        self.out = nn.Linear(16, 1)
        for conv in self.convs:
            torch.nn.init.normal_(conv.weight, mean=0.0, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = F.silu(conv(x))
        return self.out(x.max(2).values)


# Sound ones.


class PolicyTanh(nn.Module):
    """The policy of reinforcement learning: two tanh layers, orthogonal."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(17, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())
        self.mean = nn.Linear(64, 6)
        for module in self.body:
            if isinstance(module, nn.Linear):
                nn.init.orthogonal_(module.weight, 2**0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.mean(self.body(x))


class Gated(nn.Module):
    """Sigmoid as a gate, not as an activation."""

    def __init__(self) -> None:
        super().__init__()
        self.layers, self.gates = (nn.ModuleList(nn.Linear(32, 32) for _ in range(3)) for _ in range(2))
        self.head = nn.Linear(32, 3)

    def forward(self, x: Tensor) -> Tensor:
        for layer, gate in zip(self.layers, self.gates, strict=True):
            x = x + torch.sigmoid(gate(x)) * torch.relu(layer(x))
        return self.head(x)


class SmallResNet(nn.Module):
    """Twelve residual blocks on small images."""

    class Block(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
            self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)

        def forward(self, x: Tensor) -> Tensor:
            out = F.relu(self.bn1(self.conv1(x)))
            return F.relu(self.bn2(self.conv2(out)) + x)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.blocks = nn.Sequential(*[self.Block(16) for _ in range(12)])
        self.fc = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.blocks(self.stem(x)).mean((2, 3)))


class BinaryClassifier(nn.Module):
    """Rectifiers, and a sigmoid on the output alone."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(10, 32), nn.Linear(32, 32), nn.Linear(32, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.c(F.relu(self.b(F.relu(self.a(x))))))


class HeMLP(nn.Module):
    """Six rectified layers at He's gain."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(40 if i == 0 else 64, 64) for i in range(6))
        self.head = nn.Linear(64, 4)
        for layer in self.layers:
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = F.relu(layer(x))
        return self.head(x)


class WordCNN(nn.Module):
    """Kim's convolutions over words."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(1000, 50)
        self.convs = nn.ModuleList(nn.Conv1d(50, 30, k) for k in (3, 4, 5))
        self.drop, self.fc = nn.Dropout(0.5), nn.Linear(90, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens).transpose(1, 2)
        return self.fc(self.drop(torch.cat([F.relu(conv(x)).amax(2) for conv in self.convs], 1)))
