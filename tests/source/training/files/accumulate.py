import torch
import torch.nn.functional as F
from data import make_loaders
from models import build_model
from torch.optim import SGD
from torch.optim.lr_scheduler import OneCycleLR
from tqdm import tqdm

ACCUM = 8
EPOCHS = 12


def run():
    train_dl, valid_dl = make_loaders()
    model = build_model().cuda()
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    sched = OneCycleLR(optimizer, max_lr=0.5, epochs=EPOCHS, steps_per_epoch=len(train_dl) // ACCUM)
    for epoch in range(EPOCHS):
        model.train()
        bar = tqdm(train_dl)
        for it, (x, y) in enumerate(bar):
            out = model(x.cuda())
            loss = F.cross_entropy(out, y.cuda())
            loss = loss / ACCUM
            loss.backward()
            if (it + 1) % ACCUM == 0:
                torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
                optimizer.step()
                sched.step()
                optimizer.zero_grad()
            bar.set_description(f"{epoch} {loss.item() * ACCUM:.3f}")
        model.eval()
        hits = 0
        with torch.no_grad():
            for x, y in valid_dl:
                hits += (model(x.cuda()).argmax(1).cpu() == y).sum().item()
        print(hits / len(valid_dl.dataset))


if __name__ == "__main__":
    run()
