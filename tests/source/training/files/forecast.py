import numpy as np
import torch
from torch import nn


class Forecaster(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.lstm = nn.LSTM(1, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x, state=None):
        y, state = self.lstm(x, state)
        return self.out(y[:, -1]), state


def windows(series, size):
    xs = np.stack([series[i : i + size] for i in range(len(series) - size)])
    return torch.tensor(xs).unsqueeze(-1), torch.tensor(series[size:]).unsqueeze(-1)


series = np.sin(np.arange(2000) / 20).astype("float32")
X, Y = windows(series, 50)
n_train = 1500
model = Forecaster()
loss_function = nn.MSELoss()
optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
train_curve, valid_curve = [], []
n_epochs = 40
for _epoch in range(n_epochs):
    model.train()
    order = torch.randperm(n_train)
    total = 0
    for start in range(0, n_train, 100):
        idx = order[start : start + 100]
        optimiser.zero_grad()
        prediction, _ = model(X[idx])
        loss = loss_function(prediction, Y[idx])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=1)
        optimiser.step()
        total = total + loss.item()
    train_curve.append(total / 15)
    model.eval()
    with torch.no_grad():
        losses = []
        for start in range(n_train, len(X), 100):
            prediction, _ = model(X[start : start + 100])
            losses.append(loss_function(prediction, Y[start : start + 100]))
        valid_curve.append(torch.stack(losses).mean().item())
