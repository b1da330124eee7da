"""Dropout that does not do what it is there for."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class LeNet(nn.Module):
    """F.dropout without training=."""

    def __init__(self):
        super(LeNet, self).__init__()
        self.conv1 = nn.Conv2d(1, 20, 5)
        self.conv2 = nn.Conv2d(20, 50, 5)
        self.fc1 = nn.Linear(4 * 4 * 50, 500)
        self.fc2 = nn.Linear(500, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2, 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2, 2)
        x = x.view(-1, 4 * 4 * 50)
        x = F.relu(self.fc1(x))
        x = F.dropout(x, 0.5)
        return self.fc2(x)


class GraphConvolution(nn.Module):
    """torch.dropout(train=True), on the features of a graph's nodes."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_in, n_out))
        self.bias = nn.Parameter(torch.zeros(n_out))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x, adj):
        return adj @ (x @ self.weight) + self.bias


class GCN(nn.Module):
    def __init__(self, nfeat=16, nhid=32, nclass=7, dropout=0.5):
        super().__init__()
        self.gc1 = GraphConvolution(nfeat, nhid)
        self.gc2 = GraphConvolution(nhid, nclass)
        self.dropout = dropout

    def forward(self, x, adj):
        x = F.relu(self.gc1(x, adj))
        x = F.dropout(x, self.dropout, training=True)
        return self.gc2(x, adj)


class BuiltInForward(nn.Module):
    """nn.Dropout built anew in every forward."""

    def __init__(self, n_in=64, hidden=128):
        super().__init__()
        self.l1 = nn.Linear(n_in, hidden)
        self.l2 = nn.Linear(hidden, 5)

    def forward(self, x):
        h = torch.relu(self.l1(x))
        h = nn.Dropout(0.3)(h)
        return self.l2(h)


class BuiltInForwardAttention(nn.Module):
    """nn.Dropout built in a helper that forward calls."""

    def __init__(self, dim=32, heads=4):
        super().__init__()
        self.q, self.k, self.v = nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.o = nn.Linear(dim, dim)
        self.heads = heads
        self.p = 0.1

    def attend(self, q, k, v):
        drop = nn.Dropout(p=self.p)
        w = torch.softmax(q @ k.transpose(-2, -1) / q.size(-1) ** 0.5, dim=-1)
        return drop(w) @ v

    def forward(self, x):
        n, t, c = x.shape
        split = lambda y: y.view(n, t, self.heads, -1).transpose(1, 2)
        y = self.attend(split(self.q(x)), split(self.k(x)), split(self.v(x)))
        return self.o(y.transpose(1, 2).reshape(n, t, c))


class MaskedByHand(nn.Module):
    """A Bernoulli mask, always."""

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(32, 64)
        self.fc2 = nn.Linear(64, 2)
        self.keep = 0.8

    def forward(self, x):
        h = F.elu(self.fc1(x))
        mask = torch.bernoulli(torch.full_like(h, self.keep))
        return self.fc2(h * mask / self.keep)


class FlashAttention(nn.Module):
    """scaled_dot_product_attention knows no training flag."""

    def __init__(self, dim=32, heads=4, dropout=0.1):
        super().__init__()
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.heads, self.dropout = heads, dropout

    def forward(self, x):
        B, T, C = x.size()
        q, k, v = self.qkv(x).split(C, dim=2)
        q, k, v = (t.view(B, T, self.heads, C // self.heads).transpose(1, 2) for t in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout, is_causal=True)
        return self.proj(y.transpose(1, 2).contiguous().view(B, T, C))


class DropoutInList(nn.Module):
    """eval() does not reach what is in a Python list."""

    def __init__(self, sizes=(20, 64, 64, 3)):
        super().__init__()
        self.linears = nn.ModuleList([nn.Linear(a, b) for a, b in zip(sizes, sizes[1:])])
        self.drops = [nn.Dropout(0.2) for _ in sizes[1:-1]]

    def forward(self, x):
        for linear, drop in zip(self.linears[:-1], self.drops):
            x = drop(F.relu(linear(x)))
        return self.linears[-1](x)
