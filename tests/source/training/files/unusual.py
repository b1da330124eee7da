import torch
import torch.nn as nn
from accelerate import Accelerator
from helpers import train_one_batch
from torch.autograd import grad


def lbfgs(model, x, y):
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.8)
    criterion = nn.MSELoss()
    for _ in range(20):

        def closure():
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            return loss

        optimizer.step(closure)


def wgan_gp(gen, disc, loader, opt_g, opt_d):
    for real in loader:
        for _ in range(5):
            disc.zero_grad()
            fake = gen(torch.randn(real.size(0), 64)).detach()
            mix = (0.5 * real + 0.5 * fake).requires_grad_(True)
            (slope,) = grad(disc(mix).sum(), mix, create_graph=True)
            loss = disc(fake).mean() - disc(real).mean() + 10 * ((slope.norm(2, dim=1) - 1) ** 2).mean()
            loss.backward()
            opt_d.step()
        gen.zero_grad()
        (-disc(gen(torch.randn(64, 64))).mean()).backward()
        opt_g.step()


def by_hand(model, loader, lr=0.1):
    for x, y in loader:
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= lr * p.grad
                p.grad = None


def accelerated(model, loader):
    accelerator = Accelerator(gradient_accumulation_steps=4)
    optimizer = torch.optim.AdamW(model.parameters())
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    for batch in loader:
        with accelerator.accumulate(model):
            loss = model(**batch).loss
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()


def hidden(model, loader):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for batch in loader:
        train_one_batch(model, optimizer, batch)


def reinforce(policy, env, episodes):
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
    for _ in range(episodes):
        state, done = env.reset(), False
        log_probs, rewards = [], []
        while not done:
            dist = torch.distributions.Categorical(torch.softmax(policy(state), -1))
            action = dist.sample()
            state, reward, done, _ = env.step(action.item())
            log_probs.append(dist.log_prob(action))
            rewards.append(reward)
        loss = 0
        for log_prob, reward in zip(log_probs, rewards, strict=True):
            loss += -log_prob * reward
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def truncated(model, text, optimizer, criterion, steps=35):
    hidden_state = None
    model.train()
    for i in range(0, text.size(0) - 1, steps):
        hidden_state = None if hidden_state is None else hidden_state.detach()
        loss = 0
        for t in range(steps):
            output, hidden_state = model(text[i + t], hidden_state)
            loss += criterion(output, text[i + t + 1])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()
        print(loss.item() / steps)
