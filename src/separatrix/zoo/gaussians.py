"""Eight Gaussians on a circle: the two-dimensional GAN that shows rotation through modes [mescheder2017, section 5]."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from math import log, pi
from typing import Any

import torch
from torch import Tensor, nn

from separatrix.dynamics import Fact, Method, Problem, RMSprop, Simultaneous
from separatrix.fields import Game
from separatrix.fields.gan_losses import gan_losses
from separatrix.fields.surroundings import default_dtype, frozen_randomness

LATENT, MODES, SPREAD = 16, 8, 0.01
BATCH, MEASURED = 512, 2048
# A mode counts as covered by more than 40 of 4096 samples within 0.1 of its centre.
SCORED, NEAR, ENOUGH = 4096, 0.1, 40


def eight_gaussians(*, seed: int = 0, smooth: bool = False, lr: float = 1e-4) -> Problem:
    """The non-saturating GAN on eight Gaussians of width 0.01 around the unit circle.

    Perceptrons with four hidden layers of 16 ReLU, latents in 16 dimensions from the global stream, batches of 512,
    simultaneous RMSprop (alpha 0.9). As it stands it rotates through the modes and covers one at most;
    ``Consensus(gamma=10)`` covers all eight, within 2500 steps at ``lr=1e-3``. ``data`` and ``held_out`` are 2048 points
    each; the stream draws fresh ones.

    Losses near ``L_G = ln 2`` and ``L_D = 2 ln 2`` are no sign of convergence: a run with no mode covered ends there too.
    ``score``: ``modes`` with more than 40 of 4096 samples within 0.1 of the centre, and ``good``, the share of samples within 0.1
    of any centre.

    Args:
        seed: of the initial parameters; torch's default initialisation.
        smooth: tanh in place of ReLU: the twin for which a derivative at a point says what happens at a finite step.
        lr: rate of both bases.
    """
    return _mixture(
        "eight-gaussians", centres(), "exp(2 pi i k / 8), k = 0..7", SPREAD, (16,) * 4, seed=seed, smooth=smooth, lr=lr
    )


def sixteen_gaussians(*, seed: int = 0, smooth: bool = False, lr: float = 1e-4, width: int = 128) -> Problem:
    """The non-saturating GAN on a 4x4 grid of Gaussians of width 0.02, at -1.5, -0.5, 0.5 and 1.5 along each axis [balduzzi2018].

    As :func:`eight_gaussians`, with three hidden layers of ``width`` (the paper has six of 384) and latents in 64 dimensions. A
    mode is covered by more than 20 of 4096 samples.

    Args:
        seed, smooth, lr: as there.
        width: of the hidden layers.
    """
    side = torch.tensor([-1.5, -0.5, 0.5, 1.5], dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    return _mixture(
        "sixteen-gaussians",
        grid,
        "{-1.5, -0.5, 0.5, 1.5}^2",
        0.02,
        (width,) * 3,
        latent=64,
        seed=seed,
        smooth=smooth,
        lr=lr,
    )


def _mixture(
    name: str,
    where: Tensor,
    formula: str,
    spread: float,
    hidden: tuple[int, ...],
    *,
    seed: int,
    smooth: bool,
    lr: float,
    latent: int = LATENT,
) -> Problem:
    models = _networks((latent, *hidden, 2), (2, *hidden, 1), seed, smooth)

    def losses(models: Mapping[str, Any], real: Tensor) -> dict[str, Tensor]:
        fake = models["G"](torch.randn(len(real), latent, device=real.device))
        on_real, on_fake = models["D"](real), models["D"](fake)
        adversarial = gan_losses(on_real, on_fake)
        return {"G": adversarial.generator, "D": adversarial.discriminator}

    def stream(seed: int) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(seed)
        while True:
            yield drawn(where, spread, BATCH, generator)

    name += "-smooth" if smooth else ""
    base = RMSprop(lr, alpha=0.9, eps=1e-10)
    return Problem(
        Game(models, losses, name=name),
        name=name,
        data=drawn(where, spread, MEASURED, torch.Generator().manual_seed(1000)),
        held_out=drawn(where, spread, MEASURED, torch.Generator().manual_seed(1001)),
        stream=stream,
        method=Method({"G": base, "D": base}, Simultaneous()),
        score=lambda models: score_points(_generate(models["G"], SCORED, latent), where),
        better={"modes": "higher", "good": "higher"},
        samples=lambda models: _generate(models["G"], BATCH, latent),
        facts=(
            Fact("centres", where.tolist(), formula),
            Fact(
                "losses_of_a_flat_discriminator",
                {"G": log(2), "D": 2 * log(2)},
                "D = 0: also at the solution, so these values are no sign of convergence",
            ),
        ),
    )


def centres() -> Tensor:
    """The eight distinct centres, ``(8, 2)``. A linspace from 0 to 2 pi over eight points would hold the first one twice."""
    angle = 2 * pi * torch.arange(MODES, dtype=torch.float64) / MODES
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def ring(count: int, generator: torch.Generator) -> Tensor:
    """Points of the eight, ``(count, 2)`` in float32."""
    return drawn(centres(), SPREAD, count, generator)


def drawn(where: Tensor, spread: float, count: int, generator: torch.Generator) -> Tensor:
    """Points of a mixture with equal shares, ``(count, 2)`` in float32."""
    which = torch.randint(len(where), (count,), generator=generator)
    return where.float()[which] + spread * torch.randn(count, 2, generator=generator, dtype=torch.float32)


def score_points(points: Tensor, where: Tensor | None = None) -> dict[str, float]:
    """Modes covered and the share of good samples, for points ``(count, 2)``; the eight centres where ``None``."""
    where = centres() if where is None else where
    away = (points.detach().cpu().double()[:, None] - where).norm(dim=2)
    counts = (away < NEAR).sum(dim=0) / len(points)
    return {
        "modes": float((counts > ENOUGH / SCORED * MODES / len(where)).sum()),
        "good": float((away.min(dim=1).values < NEAR).double().mean()),
    }


def _networks(
    generator: tuple[int, ...], discriminator: tuple[int, ...], seed: int, smooth: bool
) -> dict[str, nn.Module]:
    def perceptron(sizes: tuple[int, ...]) -> nn.Module:
        layers: list[nn.Module] = []
        for wide, narrow in pairwise(sizes):
            layers += [nn.Linear(wide, narrow), nn.Tanh() if smooth else nn.ReLU()]
        return nn.Sequential(*layers[:-1])

    with frozen_randomness(seed), default_dtype(torch.float32):
        return {"G": perceptron(generator), "D": perceptron(discriminator)}


def _generate(generator: nn.Module, count: int, latent: int) -> Tensor:
    own = next(generator.parameters())
    latents = torch.randn(count, latent, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    with torch.no_grad():
        points: Tensor = generator(latents.to(own))
    return points.cpu().float()
