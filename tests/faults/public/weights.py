"""Initializations with the wrong gain."""

import math

import torch.nn as nn
import torch.nn.functional as F


class XavierReLU(nn.Module):
    """Gain 1 for ReLU: a factor of sqrt(2) too small, thirty times."""

    def __init__(self, depth=30, width=128):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.head = nn.Linear(width, 10)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.xavier_normal_(m.weight)
                nn.init.zeros_(m.bias)

    def forward(self, x):
        for layer in self.layers:
            x = F.relu(layer(x))
        return self.head(x)


class FanOut(nn.Module):
    """fan_out where the layers shrink or grow: the gain of each is off by its ratio."""

    def __init__(self, depth=8):
        super().__init__()
        layers = []
        for _ in range(depth):
            layers += [nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 64), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(64, 10)
        self.apply(self.init_weights)

    @staticmethod
    def init_weights(m):
        if isinstance(m, nn.Linear):
            # std = sqrt(2 / fan_out) in a hand-written initialization that mixes the two fans up
            nn.init.normal_(m.weight, std=math.sqrt(2.0 / max(m.weight.shape)))

    def forward(self, x):
        return self.head(self.body(x))


class DecoderFanOut(nn.Module):
    """kaiming_normal_(mode="fan_out") on convolutions that shrink the channels eightfold, plain."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList()
        self.expand = nn.ModuleList()
        for _ in range(5):
            self.convs.append(nn.Conv2d(32, 256, 3, padding=1, groups=1))
            self.expand.append(nn.Conv2d(256, 32, 1))
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="linear")
                nn.init.zeros_(m.bias)
        self.stem = nn.Conv2d(3, 32, 3, padding=1)
        self.fc = nn.Linear(32, 10)

    def forward(self, x):
        x = F.relu(self.stem(x))
        for a, b in zip(self.convs, self.expand):
            x = F.relu(b(F.relu(a(x))))
        return self.fc(x.mean((2, 3)))
