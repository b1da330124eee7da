"""Models of images with one fault each: configurations, lists of layers, Sequential subclasses."""

from collections import OrderedDict
from dataclasses import dataclass, field

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class WideConfig:
    depth: int = 3
    width: int = 16
    num_classes: int = 10
    drop_rate: float = 0.0


class WideBlock(nn.Module):
    """Pre-activation; the skip starts behind it."""

    def __init__(self, cfg: WideConfig):
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(cfg.width), nn.BatchNorm2d(cfg.width)
        self.conv1 = nn.Conv2d(cfg.width, cfg.width, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(cfg.width, cfg.width, 3, padding=1, bias=False)

    def forward(self, x):
        x = F.relu(self.bn1(x))
        out = self.conv2(F.relu(self.bn2(self.conv1(x))))
        return torch.add(x, out)


class WideNet(nn.Module):
    def __init__(self, cfg: WideConfig = WideConfig()):
        super().__init__()
        self.conv1 = nn.Conv2d(3, cfg.width, 3, 1, 1, bias=False)
        self.blocks = nn.Sequential(*(WideBlock(cfg) for _ in range(cfg.depth)))
        self.bn = nn.BatchNorm2d(cfg.width)
        self.fc = nn.Linear(cfg.width, cfg.num_classes)

    def forward(self, x):
        out = self.blocks(self.conv1(x))
        out = F.relu(self.bn(out))
        out = F.adaptive_avg_pool2d(out, 1).view(out.size(0), -1)
        return self.fc(out)


class ResidualSeq(nn.Sequential):
    """A Sequential with a skip, which adds what it has just computed."""

    def forward(self, x):
        for module in self:
            x = module(x)
        return x + x


def conv_bn(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o))


def residual_sequential():
    return nn.Sequential(OrderedDict(
        prep=nn.Sequential(conv_bn(3, 16), nn.ReLU()),
        layer1=ResidualSeq(conv_bn(16, 16), nn.ReLU(), conv_bn(16, 16)),
        act=nn.ReLU(),
        layer2=ResidualSeq(conv_bn(16, 16), nn.ReLU(), conv_bn(16, 16)),
        pool=nn.AdaptiveMaxPool2d(1), flatten=nn.Flatten(), linear=nn.Linear(16, 10),
    ))  # fmt: skip


class LeakyBlock(nn.Module):
    """F.leaky_relu with inplace=True on the tensor that is added at the end."""

    def __init__(self, nf):
        super().__init__()
        self.conv1 = nn.Conv2d(nf, nf, 3, 1, 1)
        self.conv2 = nn.Conv2d(nf, nf, 3, 1, 1)

    def forward(self, feat):
        res = F.leaky_relu(feat, 0.2, inplace=True)
        res = self.conv1(res)
        res = self.conv2(F.leaky_relu(res, 0.2, inplace=True))
        return feat + res * 0.1


class LeakySR(nn.Module):
    def __init__(self, nf=16, nb=3):
        super().__init__()
        self.conv_first = nn.Conv2d(3, nf, 3, 1, 1)
        self.body = nn.Sequential(*[LeakyBlock(nf) for _ in range(nb)])
        self.conv_last = nn.Conv2d(nf, 3, 3, 1, 1)

    def forward(self, x):
        return self.conv_last(self.body(self.conv_first(x)))


class Inception(nn.Module):
    """The pooling branch is computed and left out of the concatenation."""

    def __init__(self, in_ch, c1, c3, c5, pool):
        super().__init__()
        self.b1 = nn.Sequential(nn.Conv2d(in_ch, c1, 1), nn.ReLU(True))
        self.b2 = nn.Sequential(nn.Conv2d(in_ch, c3 // 2, 1), nn.ReLU(True), nn.Conv2d(c3 // 2, c3, 3, padding=1), nn.ReLU(True))
        self.b3 = nn.Sequential(nn.Conv2d(in_ch, c5 // 2, 1), nn.ReLU(True), nn.Conv2d(c5 // 2, c5, 5, padding=2), nn.ReLU(True))
        self.b4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(in_ch, pool, 1), nn.ReLU(True))

    def forward(self, x):
        y1 = self.b1(x)
        y2 = self.b2(x)
        y3 = self.b3(x)
        y4 = self.b4(x)
        return torch.cat([y1, y2, y3], 1)


class InceptionNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.pre = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU())
        self.a3 = Inception(16, 8, 8, 8, 8)
        self.b3 = Inception(24, 8, 16, 8, 8)
        self.linear = nn.Linear(32, 10)

    def forward(self, x):
        out = self.b3(self.a3(self.pre(x)))
        return self.linear(out.mean(dim=[2, 3]))


class SEBlock(nn.Module):
    """The gate is computed, and not applied."""

    def __init__(self, c, r=4):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(c)
        self.fc = nn.Sequential(nn.Linear(c, c // r), nn.ReLU(), nn.Linear(c // r, c), nn.Sigmoid())

    def forward(self, x):
        out = F.relu(self.norm(self.conv(x)))
        b, c, _, _ = out.size()
        w = self.fc(out.mean((2, 3))).view(b, c, 1, 1)
        w.expand_as(out)
        return out + x


class SENet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2, 1)
        self.stages = nn.ModuleList([SEBlock(16), SEBlock(16)])
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        return self.head(x.flatten(2).mean(-1))


class FPN(nn.Module):
    """Lateral convolutions in a plain list."""

    def __init__(self, channels=(8, 16, 32), out=16):
        super().__init__()
        self.stages = nn.ModuleList()
        prev = 3
        for c in channels:
            self.stages.append(nn.Sequential(nn.Conv2d(prev, c, 3, 2, 1), nn.BatchNorm2d(c), nn.ReLU()))
            prev = c
        self.lateral = [nn.Conv2d(c, out, 1) for c in channels]
        self.smooth = nn.Conv2d(out, 4, 3, padding=1)

    def forward(self, x):
        feats = []
        for stage in self.stages:
            x = stage(x)
            feats.append(x)
        top = self.lateral[-1](feats[-1])
        for lat, f in zip(self.lateral[-2::-1], feats[-2::-1]):
            top = F.interpolate(top, scale_factor=2, mode="nearest") + lat(f)
        return self.smooth(top)


@dataclass
class HeadConfig:
    tasks: dict = field(default_factory=lambda: {"color": 7, "shape": 4})
    dim: int = 24


class MultiTask(nn.Module):
    """Heads in a dict inside a config-driven loop."""

    def __init__(self, cfg=None):
        super().__init__()
        cfg = cfg or HeadConfig()
        self.encoder = nn.Sequential(nn.Conv2d(3, cfg.dim, 4, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.heads = {}
        for name, n in cfg.tasks.items():
            self.heads[name] = nn.Sequential(nn.Linear(cfg.dim, cfg.dim), nn.ReLU(), nn.Linear(cfg.dim, n))

    def forward(self, x):
        z = self.encoder(x)
        return tuple(self.heads[k](z) for k in sorted(self.heads))


def make_layers(cfg, in_channels=3):
    layers = []
    for v in cfg:
        if v == "M":
            layers += [nn.MaxPool2d(2, 2)]
        else:
            layers += [nn.Conv2d(in_channels, v, 3, padding=1), nn.ReLU(inplace=True)]
            in_channels = v
    return nn.Sequential(*layers)


class CfgVGG(nn.Module):
    """ReLU at the end of the features, and once more in forward."""

    def __init__(self, cfg=(16, "M", 32, 32)):
        super().__init__()
        self.features = make_layers(cfg)
        self.classifier = nn.Linear(32 * 64, 10)

    def forward(self, x):
        x = F.relu(self.features(x))
        return self.classifier(torch.flatten(x, 1))


class DropUNet(nn.Module):
    """F.dropout2d without training=."""

    def __init__(self, ch=8, p=0.2):
        super().__init__()
        self.p = p
        self.enc = nn.Conv2d(3, ch, 3, padding=1)
        self.mid = nn.Conv2d(ch, 2 * ch, 3, padding=1)
        self.dec = nn.Conv2d(3 * ch, ch, 3, padding=1)
        self.out = nn.Conv2d(ch, 1, 1)

    def forward(self, x):
        e = F.relu(self.enc(x))
        m = F.dropout2d(F.relu(self.mid(F.max_pool2d(e, 2))), self.p)
        u = F.interpolate(m, size=e.shape[-2:], mode="bilinear", align_corners=False)
        return self.out(F.relu(self.dec(torch.cat((e, u), dim=1))))


def drop_path(x, drop_prob=0.1):
    keep = 1 - drop_prob
    mask = keep + torch.rand((x.shape[0],) + (1,) * (x.ndim - 1), dtype=x.dtype, device=x.device)
    return x.div(keep) * mask.floor()


class DropPathNet(nn.Module):
    """Stochastic depth that nobody switches off."""

    def __init__(self, dim=16, depth=3):
        super().__init__()
        self.stem = nn.Conv2d(3, dim, 4, 4)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(dim), nn.Conv2d(dim, dim, 3, 1, 1), nn.GELU(), nn.Conv2d(dim, dim, 1))
            for _ in range(depth)
        )
        self.head = nn.Linear(dim, 10)

    def forward(self, x):
        x = self.stem(x)
        for blk in self.blocks:
            x = x + drop_path(blk(x))
        return self.head(x.mean([-2, -1]))


class TinyViT(nn.Module):
    """nn.TransformerEncoder without batch_first on patches."""

    def __init__(self, dim=32, depth=2, heads=4, patch=4, size=16, classes=10):
        super().__init__()
        self.patch = nn.Conv2d(3, dim, patch, patch)
        self.cls = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos = nn.Parameter(torch.randn(1, (size // patch) ** 2 + 1, dim) * 0.02)
        layer = nn.TransformerEncoderLayer(d_model=dim, nhead=heads, dim_feedforward=4 * dim, dropout=0.1, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Linear(dim, classes)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.repeat(x.shape[0], 1, 1), x], 1) + self.pos
        return self.head(self.encoder(x)[:, 0])


class ScaledBlock(nn.Module):
    """Layer scale held in a plain tensor."""

    def __init__(self, dim, init=1e-2):
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
        self.norm = nn.GroupNorm(1, dim)
        self.pw1, self.pw2 = nn.Conv2d(dim, 4 * dim, 1), nn.Conv2d(4 * dim, dim, 1)
        self.gamma = init * torch.ones(dim, 1, 1, requires_grad=True)

    def forward(self, x):
        y = self.pw2(F.gelu(self.pw1(self.norm(self.dwconv(x)))))
        return x + self.gamma * y


class ScaledNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 4, 4)
        self.blocks = nn.Sequential(ScaledBlock(16), ScaledBlock(16))
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).mean((-1, -2)))


class SharedNorm(nn.Module):
    """One BatchNorm for three convolutions."""

    def __init__(self, c=16):
        super().__init__()
        self.c1, self.c2, self.c3 = nn.Conv2d(3, c, 3, bias=False), nn.Conv2d(c, c, 3, bias=False), nn.Conv2d(c, c, 3, bias=False)
        self.bn, self.relu = nn.BatchNorm2d(c), nn.ReLU()
        self.fc = nn.Linear(c, 10)

    def forward(self, x):
        x = self.relu(self.bn(self.c1(x)))
        x = self.relu(self.bn(self.c2(x)))
        x = self.relu(self.bn(self.c3(x)))
        return self.fc(x.amax((2, 3)))


class DropThenNorm(nn.Module):
    """Dropout right before batch norms."""

    def __init__(self, num_classes=10):
        super().__init__()
        self.net = nn.Sequential()
        last = 3
        for i, c in enumerate((16, 32)):
            self.net.add_module(f"conv{i}", nn.Conv2d(last, c, 3, padding=1))
            self.net.add_module(f"drop{i}", nn.Dropout2d(0.3))
            self.net.add_module(f"bn{i}", nn.BatchNorm2d(c))
            self.net.add_module(f"relu{i}", nn.ReLU())
            self.net.add_module(f"pool{i}", nn.MaxPool2d(2))
            last = c
        self.fc = nn.Linear(32 * 16, num_classes)

    def forward(self, x):
        return self.fc(self.net(x).flatten(1))


class HeKeepRelu(nn.Module):
    """A plain net of 20 layers with N(0, 0.01) weights."""

    def __init__(self, width=32, depth=20):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(3 if i == 0 else width, width, 3, padding=1) for i in range(depth)])
        self.fc = nn.Linear(width, 10)
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                m.weight.data.normal_(0, 0.01)
                m.bias.data.zero_()

    def forward(self, x):
        for c in self.convs:
            x = F.relu(c(x))
        return self.fc(x.mean((2, 3)))


class DropoutHead(nn.Module):
    """Dropout behind the logits."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, 2)
        self.fc = nn.Linear(8 * 49, 10)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        x = F.relu(self.conv(x)).view(x.size(0), -1)
        return self.dropout(self.fc(x))


class ProjectedSkip(nn.Module):
    """A norm and ReLU on every shortcut, though nothing changes shape."""

    def __init__(self, c=16):
        super().__init__()
        self.main = nn.Sequential(conv_bn(c, c), nn.ReLU(), conv_bn(c, c))
        self.shortcut = nn.Sequential(nn.Conv2d(c, c, 1, bias=False), nn.BatchNorm2d(c), nn.ReLU())

    def forward(self, x):
        return F.relu(self.main(x) + self.shortcut(x))


def projected_skip():
    return nn.Sequential(conv_bn(3, 16), nn.ReLU(), ProjectedSkip(), ProjectedSkip(), nn.AvgPool2d(16), nn.Flatten(), nn.Linear(16, 4))
