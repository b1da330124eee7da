import lightning.pytorch as pl
import torch
from torch import nn
from torch.nn import functional as F


class TextClassifier(pl.LightningModule):
    def __init__(self, vocab_size, num_classes, lr=1e-3):
        super().__init__()
        self.save_hyperparameters()
        self.embed = nn.EmbeddingBag(vocab_size, 64)
        self.head = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, num_classes))
        self.train_losses = []
        self.val_losses = []

    def forward(self, tokens):
        return self.head(self.embed(tokens))

    def _shared(self, batch):
        tokens, label = batch
        logits = self(tokens)
        return F.cross_entropy(logits, label), (logits.argmax(-1) == label).float().mean()

    def training_step(self, batch, batch_idx):
        loss, acc = self._shared(batch)
        self.train_losses.append(loss.detach())
        self.log_dict({"train_loss": loss, "train_acc": acc})
        return loss

    def validation_step(self, batch, batch_idx):
        loss, acc = self._shared(batch)
        self.val_losses.append(loss)
        self.log("val_acc", acc, prog_bar=True)

    def on_train_epoch_end(self):
        self.log("epoch_loss", torch.stack(self.train_losses).mean())
        self.train_losses.clear()

    def configure_optimizers(self):
        opt = torch.optim.AdamW(self.parameters(), lr=self.hparams.lr)
        sched = torch.optim.lr_scheduler.OneCycleLR(opt, 1e-2, total_steps=self.trainer.estimated_stepping_batches)
        return {"optimizer": opt, "lr_scheduler": {"scheduler": sched, "interval": "step"}}
