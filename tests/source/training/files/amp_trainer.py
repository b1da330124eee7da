from pathlib import Path

import torch
from torch import nn
from torch.amp import GradScaler, autocast
from torch.nn.utils import clip_grad_norm_


class AverageMeter:
    def __init__(self):
        self.reset()

    def reset(self):
        self.sum, self.count = 0, 0

    def update(self, value, n=1):
        self.sum += value * n
        self.count += n

    @property
    def avg(self):
        return self.sum / self.count


class Trainer:
    """Trains a segmentation network with mixed precision."""

    def __init__(self, model, train_loader, val_loader, config):
        self.model = model.to(config.device)
        self.train_loader = train_loader
        self.val_loader = val_loader
        self.config = config
        self.criterion = nn.BCEWithLogitsLoss()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=config.lr)
        self.scaler = GradScaler()
        self.best = float("inf")

    def fit(self):
        for epoch in range(self.config.epochs):
            train_loss = self.train_epoch()
            val_loss = self.validate()
            print(f"{epoch}: {train_loss:.4f} {val_loss:.4f}")
            if val_loss < self.best:
                self.best = val_loss
                self.save("best.pt")

    def train_epoch(self):
        self.model.train()
        meter = AverageMeter()
        for images, masks in self.train_loader:
            images, masks = images.to(self.config.device), masks.to(self.config.device)
            self.optimizer.zero_grad()
            with autocast("cuda"):
                preds = self.model(images)
                loss = self.criterion(preds, masks.float())
            self.scaler.scale(loss).backward()
            self.scaler.unscale_(self.optimizer)
            clip_grad_norm_(self.model.parameters(), self.config.max_norm)
            self.scaler.step(self.optimizer)
            self.scaler.update()
            meter.update(loss.item(), images.size(0))
        return meter.avg

    def validate(self):
        self.model.eval()
        meter = AverageMeter()
        with torch.inference_mode():
            for images, masks in self.val_loader:
                images, masks = images.to(self.config.device), masks.to(self.config.device)
                loss = self.criterion(self.model(images), masks.float())
                meter.update(loss.item(), images.size(0))
        return meter.avg

    def save(self, name):
        torch.save(self.model.state_dict(), Path(self.config.out) / name)
