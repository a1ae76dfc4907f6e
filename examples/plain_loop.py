"""An ordinary PyTorch GAN loop with its own Adam optimizers; five lines below the loop diagnose it.

    python examples/plain_loop.py

The loop is as people write it, `fake.detach()` in the discriminator's step included. Only the measurement needs both
losses from one undetached fake, so that each player feels the other.
"""

import math
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

import separatrix as sx


def sample(count: int) -> Tensor:
    """Points of eight Gaussians on a circle."""
    angle_rad = torch.randint(8, (count,)) * (math.pi / 4)
    return 2 * torch.stack([angle_rad.cos(), angle_rad.sin()], dim=1) + 0.1 * torch.randn(count, 2)


def loss_g(D: nn.Module, fake: Tensor) -> Tensor:
    return softplus(-D(fake)).mean()


def loss_d(D: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    return softplus(-D(real)).mean() + softplus(D(fake)).mean()


def main(steps: int = 1000, batch: int = 256, report: Path | None = None) -> sx.Diagnosis:
    torch.manual_seed(0)
    G = nn.Sequential(nn.Linear(8, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2))
    D = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
    opt_d = torch.optim.Adam(D.parameters(), lr=1e-3, betas=(0.5, 0.999))
    opt_g = torch.optim.Adam(G.parameters(), lr=1e-3, betas=(0.5, 0.999))
    for _ in range(steps):
        real, fake = sample(batch), G(torch.randn(batch, 8))
        opt_d.zero_grad()
        loss_d(D, real, fake.detach()).backward()
        opt_d.step()
        opt_g.zero_grad()
        loss_g(D, fake).backward()
        opt_g.step()

    # The five lines. Players move in the order in which they are named; the optimizers' state is read, never changed.
    def losses(models, batch):
        real, fake = batch[0], models["G"](batch[1])
        return {"D": loss_d(models["D"], real, fake), "G": loss_g(models["D"], fake)}

    game = sx.Game({"D": D, "G": G}, losses, name="eight Gaussians")
    diagnosis = sx.diagnose(
        game.on((sample(4 * batch), torch.randn(4 * batch, 8))), optimizers={"D": opt_d, "G": opt_g}
    )

    print(diagnosis)
    if report is not None:
        diagnosis.save(report)
    return diagnosis


if __name__ == "__main__":
    main(report=Path("plain_loop.html"))
