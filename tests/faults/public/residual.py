"""Residual networks with the mistakes that people make in them."""

import torch
import torch.nn as nn
import torch.nn.functional as F


def conv3x3(in_planes, out_planes, stride=1):
    return nn.Conv2d(in_planes, out_planes, kernel_size=3, stride=stride, padding=1, bias=False)


class Block(nn.Module):
    """What the faulty blocks below differ from in one line."""

    expansion = 1

    def __init__(self, in_planes, planes, stride=1):
        super().__init__()
        self.conv1 = conv3x3(in_planes, planes, stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_planes != planes:
            self.shortcut = nn.Sequential(nn.Conv2d(in_planes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self, block, num_blocks=(2, 2, 2), num_classes=10):
        super().__init__()
        self.in_planes = 16
        self.conv1 = conv3x3(3, 16)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self._make_layer(block, 16, num_blocks[0], stride=1)
        self.layer2 = self._make_layer(block, 32, num_blocks[1], stride=2)
        self.layer3 = self._make_layer(block, 64, num_blocks[2], stride=2)
        self.linear = nn.Linear(64, num_classes)

    def _make_layer(self, block, planes, num_blocks, stride):
        layers = []
        for stride in [stride] + [1] * (num_blocks - 1):
            layers.append(block(self.in_planes, planes, stride))
            self.in_planes = planes
        return nn.Sequential(*layers)

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.layer3(self.layer2(self.layer1(out)))
        out = F.adaptive_avg_pool2d(out, 1)
        return self.linear(out.view(out.size(0), -1))


def resnet():
    return ResNet(Block)


class PreActInplaceBlock(nn.Module):
    """The in-place ReLU writes into what `residual` names."""

    def __init__(self, in_planes, planes, stride=1):
        super().__init__()
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = conv3x3(in_planes, planes, stride)
        self.bn = nn.BatchNorm2d(planes)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.downsample = None
        if stride != 1 or in_planes != planes:
            self.downsample = nn.Conv2d(in_planes, planes, 1, stride, bias=False)

    def forward(self, x):
        residual = x
        out = self.conv1(self.relu1(x))
        out = self.conv2(self.relu2(self.bn(out)))
        if self.downsample is not None:
            residual = self.downsample(residual)
        return out + residual


def resnet_inplace():
    return ResNet(PreActInplaceBlock)


class ResidualMLP(nn.Module):
    """relu_ on the stream."""

    def __init__(self, dim=64, depth=4):
        super().__init__()
        self.embed = nn.Linear(20, dim)
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim)) for _ in range(depth)])
        self.out = nn.Linear(dim, 2)

    def forward(self, x):
        x = self.embed(x)
        for block in self.blocks:
            h = block(x.relu_())
            x = x + h
        return self.out(x)


class SelfSumBlock(Block):
    """`out` was overwritten before the sum: no skip."""

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        x += x
        return self.relu(x)


def resnet_self_sum():
    return ResNet(SelfSumBlock)


class FeedForward(nn.Module):
    """The stream is overwritten by the branch, then added to itself."""

    def __init__(self, d_model=32, d_ff=64):
        super().__init__()
        self.fc1 = nn.Linear(d_model, d_ff)
        self.fc2 = nn.Linear(d_ff, d_model)
        self.norm = nn.LayerNorm(d_model)

    def forward(self, x):
        x = self.fc2(F.gelu(self.fc1(x)))
        residual = x
        return self.norm(x + residual)


class Encoder(nn.Module):
    def __init__(self, depth=3, d_model=32):
        super().__init__()
        self.proj = nn.Linear(10, d_model)
        self.layers = nn.ModuleList(FeedForward(d_model) for _ in range(depth))
        self.head = nn.Linear(d_model, 5)

    def forward(self, x):
        x = self.proj(x)
        for layer in self.layers:
            x = layer(x)
        return self.head(x.mean(dim=1))


class DoubleSkipBlock(Block):
    """The shortcut is added by hand and in the block."""

    def forward(self, x):
        identity = self.shortcut(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out = out + identity
        out += identity
        return F.relu(out)


def resnet_double_skip():
    return ResNet(DoubleSkipBlock)


class Residual(nn.Module):
    def __init__(self, fn):
        super().__init__()
        self.fn = fn

    def forward(self, x, **kwargs):
        return self.fn(x, **kwargs) + x


class SkippingMLP(nn.Module):
    """Adds its input, and is wrapped in Residual as well."""

    def __init__(self, dim):
        super().__init__()
        self.net = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x):
        return x + self.net(x)


class DoubleWrapped(nn.Module):
    def __init__(self, dim=32, depth=3):
        super().__init__()
        self.stem = nn.Linear(16, dim)
        self.blocks = nn.Sequential(*[Residual(SkippingMLP(dim)) for _ in range(depth)])
        self.head = nn.Linear(dim, 4)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)))


class ReluBeforeAddBlock(Block):
    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        return out + self.shortcut(x)


def resnet_relu_before_add():
    return ResNet(ReluBeforeAddBlock)


class DenseResNet(nn.Module):
    """fc-bn-relu twice, then the sum."""

    def __init__(self, hidden=32, n_blocks=3):
        super().__init__()
        self.inp = nn.Linear(12, hidden)

        def fc_block():
            return nn.Sequential(
                nn.Linear(hidden, hidden), nn.BatchNorm1d(hidden), nn.ReLU(),
                nn.Linear(hidden, hidden), nn.BatchNorm1d(hidden), nn.ReLU(),
            )

        self.blocks = nn.ModuleDict({f"block{i}": fc_block() for i in range(n_blocks)})
        self.out = nn.Linear(hidden, 3)

    def forward(self, x):
        x = self.inp(x)
        for name in self.blocks:
            x = torch.add(x, self.blocks[name](x))
        return self.out(x)


class LateSkipBlock(nn.Module):
    """Pre-activation, but the skip starts after the norm and the ReLU."""

    def __init__(self, in_planes, planes, stride=1):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_planes)
        self.conv1 = conv3x3(in_planes, planes, stride)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv2 = conv3x3(planes, planes)
        self.project = nn.Conv2d(in_planes, planes, 1, stride, bias=False) if stride != 1 or in_planes != planes else None

    def forward(self, x):
        x = F.relu(self.bn1(x))
        identity = x if self.project is None else self.project(x)
        out = self.conv1(x)
        out = self.conv2(F.relu(self.bn2(out)))
        return out + identity


def resnet_late_skip():
    return ResNet(LateSkipBlock)


class PreNormMixer(nn.Module):
    """x = norm(x); x = x + f(x), with an activation before: a pre-norm net whose stream is normalized away."""

    def __init__(self, dim=48, depth=4):
        super().__init__()
        self.stem = nn.Conv1d(4, dim, 3, padding=1)
        self.norms = nn.ModuleList([nn.BatchNorm1d(dim) for _ in range(depth)])
        self.convs = nn.ModuleList([nn.Conv1d(dim, dim, 3, padding=1) for _ in range(depth)])
        self.fc = nn.Linear(dim, 2)

    def forward(self, x):
        x = self.stem(x)
        for norm, conv in zip(self.norms, self.convs):
            x = norm(x).relu()
            x = conv(x) + x
        return self.fc(x.mean(-1))


class ForgottenShortcutBlock(Block):
    """The shortcut is computed and not added."""

    def forward(self, x):
        identity = self.shortcut(x)
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out)


def resnet_forgotten_shortcut():
    return ResNet(ForgottenShortcutBlock)


class Bottleneck(nn.Module):
    """out.add(...) without the underscore."""

    def __init__(self, c_in, c_mid, c_out):
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(c_in, c_mid, 1, bias=False), nn.BatchNorm2d(c_mid), nn.ReLU(),
            nn.Conv2d(c_mid, c_mid, 3, padding=1, bias=False), nn.BatchNorm2d(c_mid), nn.ReLU(),
            nn.Conv2d(c_mid, c_out, 1, bias=False), nn.BatchNorm2d(c_out),
        )
        self.downsample = nn.Sequential(nn.Conv2d(c_in, c_out, 1, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x):
        out = self.branch(x)
        out.add(self.downsample(x))
        return torch.relu(out)


class BottleneckNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(Bottleneck(3, 8, 32), nn.MaxPool2d(2), Bottleneck(32, 8, 64))
        self.classifier = nn.Linear(64, 10)

    def forward(self, x):
        return self.classifier(self.features(x).mean([2, 3]))
