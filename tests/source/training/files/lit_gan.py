import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from networks import Discriminator, Generator


class GAN(pl.LightningModule):
    def __init__(self, latent_dim=100):
        super().__init__()
        self.latent_dim = latent_dim
        self.generator = Generator(latent_dim)
        self.discriminator = Discriminator()
        self.automatic_optimization = False

    def training_step(self, batch):
        imgs, _ = batch
        optimizer_g, optimizer_d = self.optimizers()
        z = torch.randn(imgs.shape[0], self.latent_dim, device=self.device)

        self.toggle_optimizer(optimizer_g)
        fake = self.generator(z)
        g_loss = F.binary_cross_entropy(self.discriminator(fake), torch.ones(imgs.size(0), 1, device=self.device))
        self.manual_backward(g_loss)
        optimizer_g.step()
        optimizer_g.zero_grad()
        self.untoggle_optimizer(optimizer_g)

        self.toggle_optimizer(optimizer_d)
        real_loss = F.binary_cross_entropy(self.discriminator(imgs), torch.ones(imgs.size(0), 1, device=self.device))
        fake_loss = F.binary_cross_entropy(self.discriminator(fake.detach()), torch.zeros(imgs.size(0), 1, device=self.device))
        d_loss = (real_loss + fake_loss) / 2
        self.manual_backward(d_loss)
        optimizer_d.step()
        optimizer_d.zero_grad()
        self.untoggle_optimizer(optimizer_d)

    def configure_optimizers(self):
        opt_g = torch.optim.Adam(self.generator.parameters(), lr=2e-4)
        opt_d = torch.optim.Adam(self.discriminator.parameters(), lr=2e-4)
        return [opt_g, opt_d], []
