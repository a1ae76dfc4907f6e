"""A module with a `training_step` that steps its two optimizers by hand, as Lightning's manual optimisation has it; diagnosed.

    python examples/manual_optimisation.py

Lightning itself is not needed: the trainer here is the few lines that call the hooks. The added lines are marked; the module
and the trainer are as they were.
"""

import torch
from torch import nn
from torch.nn import functional as F

import separatrix as sx  # added


class GAN(nn.Module):
    """The part of a LightningModule that matters here."""

    automatic_optimization = False

    def __init__(self, latent_dim: int = 8, lr: float = 0.002, lr_d: float = 0.002):
        super().__init__()
        self.latent_dim, self.lr, self.lr_d = latent_dim, lr, lr_d
        self.generator = nn.Sequential(nn.Linear(latent_dim, 32), nn.ReLU(), nn.Linear(32, 2))
        self.discriminator = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
        self._optimizers, self.logged = None, {}

    def forward(self, z):
        return self.generator(z)

    def adversarial_loss(self, y_hat, y):
        return F.binary_cross_entropy_with_logits(y_hat, y)

    def optimizers(self):
        return self._optimizers

    def manual_backward(self, loss):
        loss.backward()

    def log(self, name, value):
        self.logged[name] = float(value.detach())

    def generator_loss(self, real):
        z = torch.randn(real.shape[0], self.latent_dim)
        return self.adversarial_loss(self.discriminator(self(z)), torch.ones(real.shape[0], 1))

    def discriminator_loss(self, real):
        z = torch.randn(real.shape[0], self.latent_dim)
        real_loss = self.adversarial_loss(self.discriminator(real), torch.ones(real.shape[0], 1))
        fake_loss = self.adversarial_loss(self.discriminator(self(z).detach()), torch.zeros(real.shape[0], 1))
        return (real_loss + fake_loss) / 2

    def training_step(self, batch, batch_idx):
        optimizer_g, optimizer_d = self.optimizers()
        g_loss = self.generator_loss(batch)
        self.log("g_loss", g_loss)
        optimizer_g.zero_grad()
        self.manual_backward(g_loss)
        optimizer_g.step()
        d_loss = self.discriminator_loss(batch)
        self.log("d_loss", d_loss)
        optimizer_d.zero_grad()
        self.manual_backward(d_loss)
        optimizer_d.step()

    def configure_optimizers(self):
        opt_g = torch.optim.Adam(self.generator.parameters(), lr=self.lr, betas=(0.5, 0.999))
        opt_d = torch.optim.Adam(self.discriminator.parameters(), lr=self.lr_d, betas=(0.5, 0.999))
        return [opt_g, opt_d]


def main(steps: int = 200, lr_d: float = 0.002):
    torch.manual_seed(0)
    model = GAN(lr_d=lr_d)
    model._optimizers = model.configure_optimizers()
    batches = [torch.randn(64, 2) * 0.3 + torch.tensor([1.0, -1.0]) for _ in range(16)]
    for batch_idx in range(steps):
        model.training_step(batches[batch_idx % len(batches)], batch_idx)

    opt_g, opt_d = model.optimizers()  # added
    position = {"batch_idx": steps}  # added

    def step():  # added
        model.training_step(batches[position["batch_idx"] % len(batches)], position["batch_idx"])  # added
        position["batch_idx"] += 1  # added

    roles = sx.Roles(  # added
        optimizers={"G": opt_g, "D": opt_d}, players={"G": model.generator, "D": model.discriminator},  # added
        losses={"G": model.generator_loss, "D": model.discriminator_loss}, data=batches[:4],  # added
        critic=model.discriminator, critic_player="D", real=torch.cat(batches[:4]), real_held_out=torch.cat(batches[12:]),  # added
        generated=lambda: model(torch.randn(256, model.latent_dim)),  # added
    )  # added  # fmt: skip
    diagnosis = sx.diagnose(sx.Run(step, [model, opt_g, opt_d, position], roles=roles))  # added
    print(diagnosis)  # added
    return diagnosis  # added


if __name__ == "__main__":
    main()
