"""Small nets, data and a GAN that the tests of this folder share."""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from separatrix.fields import Game


def net(*sizes, seed=0, last=True):
    """A float64 net with tanh between its layers, and after the last one if it is not to be linear."""
    torch.manual_seed(seed)
    layers = []
    for a, b in pairwise(sizes):
        layers += [nn.Linear(a, b), nn.Tanh()]
    return nn.Sequential(*layers[: -1 if last else None]).double()


def data(*shape, seed=3):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def classes(count, size, seed=3):
    return torch.randint(0, count, (size,), generator=torch.Generator().manual_seed(seed))


def gan_losses(models, batch):
    """Non-saturating, with the noise drawn inside."""
    fake = models["G"](torch.randn(len(batch), 2))
    on_fake, on_real = models["D"](fake), models["D"](batch)
    return {
        "G": F.softplus(-on_fake).mean(),
        "D": {"fake": F.softplus(on_fake).mean(), "real": F.softplus(-on_real).mean()},
    }


def small_gan(dtype=torch.float64):
    return Game({"G": net(2, 4, 3).to(dtype), "D": net(3, 4, 1, seed=1).to(dtype)}, gan_losses)
