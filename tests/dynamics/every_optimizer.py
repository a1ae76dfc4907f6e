"""All optimizers of ``sx.optim``, each over a small GAN whose noise comes with the batch, so that runs can be compared."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from separatrix.dynamics import SGD, Adam, Competitive, optim
from separatrix.dynamics.game_optimizer import GameOptimizer
from separatrix.dynamics.transforms import Clip, Normalise, StepRatio
from separatrix.fields import Game

SGD_ = torch.optim.SGD
ADAM = {"lr": 0.01, "betas": (0.5, 0.9)}
MAKE: dict[str, Callable[[Game], GameOptimizer]] = {
    "simultaneous": lambda g: optim.Simultaneous(g, torch.optim.Adam, **ADAM),
    "alternating": lambda g: optim.Alternating(
        g, torch.optim.RMSprop, lr=0.01, order=("D", "G"), repeats={"D": 2}, fresh=False
    ),
    "extragradient": lambda g: optim.Extragradient(g, torch.optim.Adam, **ADAM),
    "extragradient, freeze": lambda g: optim.Extragradient(g, torch.optim.Adam, **ADAM, moments="freeze", ahead=1.5),
    "extragradient, commit": lambda g: optim.Extragradient(g, torch.optim.Adam, **ADAM, moments="commit"),
    "extragradient plus": lambda g: optim.ExtragradientPlus(g, torch.optim.Adam, **ADAM, part=0.4),
    "past extragradient": lambda g: optim.PastExtragradient(g, torch.optim.Adam, **ADAM, ahead=1.5),
    "optimistic": lambda g: optim.Optimistic(g, torch.optim.Adam, **ADAM),
    "reflected": lambda g: optim.Reflected(g, SGD_, lr=0.1, momentum=0.5),
    "runge-kutta": lambda g: optim.RungeKutta(g, torch.optim.Adam, **ADAM, order=2),
    "lookahead": lambda g: optim.Lookahead(g, torch.optim.Adam, **ADAM, every=2),
    "competitive": lambda g: optim.Competitive(g, SGD_, lr=0.1, tol=1e-12),
    "acgd": lambda g: optim.ACGD(g, lr=0.01, beta=0.9, tol=1e-12),
    "proximal": lambda g: optim.Proximal(g, torch.optim.Adam, **ADAM, tol=1e-9),
    "curvature clipped": lambda g: optim.CurvatureClipped(g, torch.optim.Adam, **ADAM),
    "stabilised": lambda g: optim.Stabilised(g, torch.optim.Adam, **ADAM),
    "consensus": lambda g: optim.Consensus(g, torch.optim.RMSprop, lr=0.01, gamma=0.5),
    "symplectic adjustment": lambda g: optim.SymplecticAdjustment(g, torch.optim.Adam, **ADAM, weight=0.5, align=True),
    "jacobian regularisation": lambda g: optim.JacobianRegularisation(g, torch.optim.Adam, **ADAM, alpha=0.5),
    "clipped": lambda g: optim.Simultaneous(
        g, torch.optim.Adam, **ADAM, transforms=(Clip(0.05), StepRatio({"D": 2.0}))
    ),
    "normalised, optimistic": lambda g: optim.Optimistic(g, SGD(0.01), transforms=(Normalise(),)),
    "wrapped": lambda g: optim.Extragradient(g, torch.optim.Adagrad, lr=0.01),
    "one each": lambda g: optim.PastExtragradient(g, {"G": Adam(0.01), "D": SGD(0.05, 0.5)}),
    "lookahead, competitive": lambda g: optim.Lookahead(g, SGD_, lr=0.1, inner=Competitive(1e-12), every=2),
}
# Optimistic mirror descent is for probabilities and has tests of its own.
LEFT_OUT = {"OptimisticMirrorDescent"}


def a_gan() -> Game:
    torch.manual_seed(0)
    g = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    d = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    return Game({"G": g, "D": d}, losses, name="small GAN")


def losses(models: dict[str, nn.Module], batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    real, z = batch
    on_real, on_fake = models["D"](real), models["D"](models["G"](z))
    return {"G": softplus(-on_fake).mean(), "D": softplus(-on_real).mean() + softplus(on_fake).mean()}


def a_batch(seed: int = 0) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    return 1 + torch.randn(6, 2, generator=g, dtype=torch.float64), torch.randn(6, 2, generator=g, dtype=torch.float64)


def point(game: Game) -> Tensor:
    return torch.cat([p.detach().reshape(-1) for p in game.parameters]).clone()
