"""Games for the tests of the dynamics: small, smooth, float64."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import softplus

from separatrix.fields import FunctionField, Game, GameField


def smooth_gan(seed: int = 0) -> GameField:
    """The field of a GAN with 34 parameters and tanh layers, latents drawn inside the losses."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        generator = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)).double()
        discriminator = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double()
        real = 2 + torch.randn(6, 2, dtype=torch.float64)

    def losses(models, batch):
        fake = models["G"](torch.randn(len(batch), 2))
        on_real, on_fake = models["D"](batch), models["D"](fake)
        return {"G": softplus(-on_fake).mean(), "D": softplus(-on_real).mean() + softplus(on_fake).mean()}

    return Game({"G": generator, "D": discriminator}, losses).on(real)


def shared_game() -> GameField:
    """Two players that both own ``w``: A also owns ``a``, B owns ``b``; quadratic plus a quartic."""
    w, a, b = (nn.Parameter(torch.tensor(v, dtype=torch.float64)) for v in ([0.3, -0.2], [0.5], [-0.7, 0.4]))

    def losses(models, batch):
        w, a, b = models["A"]["w"], models["A"]["a"], models["B"]["b"]
        return {
            "A": (w.square().sum() * (1 + a.sum()) + a.pow(4).sum() + (w * b).sum()),
            "B": ((w - b).square().sum() + w[0] * a[0] * b[1] + b.pow(4).sum()),
        }

    return Game({"A": {"w": w, "a": a}, "B": {"w": w, "b": b}}, losses).on()


def linear_field(matrix: torch.Tensor, players: dict[str, int] | None = None, *, seed: int = 0) -> FunctionField:
    """``v(w) = A w``, standing at a random point."""
    point = torch.randn(len(matrix), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return FunctionField(lambda w: matrix @ w, point, players=players, name="linear")
