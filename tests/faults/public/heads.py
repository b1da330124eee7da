"""Outputs that do not fit the loss, and nonlinearities out of place."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class MnistNet(nn.Module):
    """log_softmax at the end."""

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(28 * 28, 200)
        self.fc2 = nn.Linear(200, 10)

    def forward(self, x):
        x = x.view(-1, 28 * 28)
        x = F.relu(self.fc1(x))
        return F.log_softmax(self.fc2(x), dim=1)


class TextClassifier(nn.Module):
    """nn.Softmax as the last layer of a Sequential."""

    def __init__(self, vocab=100, dim=32, classes=4):
        super().__init__()
        self.embedding = nn.EmbeddingBag(vocab, dim)
        self.classifier = nn.Sequential(nn.Linear(dim, 64), nn.ReLU(), nn.Linear(64, classes), nn.Softmax(dim=-1))

    def forward(self, tokens):
        return self.classifier(self.embedding(tokens))


class TwiceLog(nn.Module):
    """log_softmax of log_softmax."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10), nn.LogSoftmax(dim=1))

    def forward(self, x):
        return F.log_softmax(self.net(x), dim=1)


class SoftmaxThenLog(nn.Module):
    """The log_softmax of probabilities."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(16, 32)
        self.head = nn.Linear(32, 6)

    def forward(self, x):
        probs = self.head(torch.tanh(self.body(x))).softmax(-1)
        return probs.log_softmax(-1)


class BinaryClassifier(nn.Module):
    """softmax over one unit: always 1."""

    def __init__(self, n=12):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(n, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, x):
        return F.softmax(self.layers(x), dim=1)


class Sentiment(nn.Module):
    """log_softmax over one unit, behind an LSTM."""

    def __init__(self, vocab=50, dim=16, hidden=16, out=1):
        super().__init__()
        self.emb = nn.Embedding(vocab, dim)
        self.rnn = nn.LSTM(dim, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, out)
        self.act = nn.LogSoftmax(dim=-1)

    def forward(self, ids):
        _, (h, _) = self.rnn(self.emb(ids))
        return self.act(self.fc(h[-1]))


class OverBatch(nn.Module):
    """dim=0 for a (N, C) tensor."""

    def __init__(self):
        super().__init__()
        self.l1, self.l2 = nn.Linear(8, 16), nn.Linear(16, 3)

    def forward(self, x):
        return torch.softmax(self.l2(F.relu(self.l1(x))), dim=0)


class OverBatchAttention(nn.Module):
    """Attention weights over the batch: nn.Softmax(0) on (N, T)."""

    def __init__(self, dim=16):
        super().__init__()
        self.score = nn.Linear(dim, 1)
        self.softmax = nn.Softmax(0)
        self.out = nn.Linear(dim, 2)

    def forward(self, x):
        a = self.softmax(self.score(x).squeeze(-1))
        return self.out((a.unsqueeze(-1) * x).sum(1))


class TwoLinears(nn.Module):
    """The activation between fc2 and fc3 was forgotten."""

    def __init__(self, n_in=30, n_hidden=64):
        super().__init__()
        self.fc1 = nn.Linear(n_in, n_hidden)
        self.fc2 = nn.Linear(n_hidden, n_hidden)
        self.fc3 = nn.Linear(n_hidden, n_hidden)
        self.fc4 = nn.Linear(n_hidden, 2)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = self.fc3(self.fc2(x))
        x = F.relu(x)
        return self.fc4(x)


class Spectrogram(nn.Module):
    """A 2d convolution, then a 1d one over what it gives, with nothing between."""

    def __init__(self, n_mels=16, n_classes=5):
        super().__init__()
        self.conv2d = nn.Conv2d(1, 8, (n_mels, 3), padding=(0, 1))
        self.conv1d = nn.Conv1d(8, 32, 3, padding=1)
        self.fc = nn.Linear(32, n_classes)

    def forward(self, x):
        x = self.conv2d(x.unsqueeze(1)).squeeze(2)
        x = F.relu(self.conv1d(x))
        return self.fc(x.mean(-1))


class LinearStack(nn.Module):
    """nn.Sequential of layers only."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(100, 50), nn.Linear(50, 50), nn.Linear(50, 10))

    def forward(self, x):
        return self.encoder(x)


class PReLUHead(nn.Module):
    def __init__(self):
        super().__init__()
        blocks = []
        for i, o in ((20, 40), (40, 40), (40, 10)):
            blocks += [nn.Linear(i, o), nn.PReLU()]
        self.net = nn.Sequential(*blocks)

    def forward(self, x):
        return self.net(x)


class PReLUDecoder(nn.Module):
    """`layer` activates all its outputs, also the last."""

    def __init__(self):
        super().__init__()
        self.w = nn.ParameterList([nn.Parameter(torch.randn(24, 24) / 5) for _ in range(2)])
        self.last = nn.Parameter(torch.randn(24, 7) / 5)
        self.slope = nn.Parameter(torch.tensor([0.25]))

    def layer(self, x, w):
        return F.prelu(x @ w, self.slope)

    def forward(self, x):
        for w in self.w:
            x = self.layer(x, w)
        return self.layer(x, self.last)


class DoubleActivation(nn.Module):
    """ConvBlock ends in a ReLU, and forward has another."""

    def __init__(self):
        super().__init__()
        self.block1 = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.block2 = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.fc = nn.Linear(8, 10)

    def forward(self, x):
        x = F.relu(self.block1(x))
        x = F.relu(self.block2(x))
        return self.fc(x.mean((2, 3)))


class DoubleSquash(nn.Module):
    """sigmoid of tanh."""

    def __init__(self, n=10):
        super().__init__()
        self.hidden = nn.Linear(n, 20)
        self.gate = nn.Sequential(nn.Linear(20, 20), nn.Tanh())
        self.out = nn.Linear(20, 2)

    def forward(self, x):
        h = torch.relu(self.hidden(x))
        return self.out(torch.sigmoid(self.gate(h)))
