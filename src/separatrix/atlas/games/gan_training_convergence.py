"""Unregularised and Wasserstein GANs with few critic steps circle the equilibrium of the Dirac-GAN; gradient penalties on the data and instance noise make them converge.

[mescheder2018, sections 2 to 4, table 1]

Checked: the eigenvalues at the equilibrium against the paper's formulas; where six training methods end after 500 steps
of 0.2, with one and with five critic steps each; and, for the theorem on data without a density, a linear generator of points on
a line in the plane against a quadratic discriminator with R1: every eigenvalue contracts but those along the manifold of equilibria.

Not reproduced: image generation, and the proof for general GANs.

Paper and code: R1 is gamma / 2 times the squared gradient, as in the paper; the authors' training code has no half. WGAN clips
the critic after each step; for WGAN-GP the one gradient of a linear critic is pulled to 0.3. Consensus has weight 0.3; with weight
1/2 and five critic steps the run from (1, 1) leaves for infinity, where the field vanishes, too: its attraction to wrong
points [mescheder2017]. Field sign: an equilibrium attracts where real parts are negative.

Settings: the horizon was shortened from 5000 to 500 steps after a first look, the consensus weight lowered from 1.

Runtime: smoke 1 s, full 30 s.
"""

from cmath import sqrt
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import logsigmoid

from separatrix.atlas import Outcome, Scale, Study, at_least, at_most
from separatrix.atlas.look import ACCENT, DECAY, GROW, INK, MUTED, UNSURE
from separatrix.dynamics import SGD, Alternating, Consensus, Method, simulate
from separatrix.fields import Game
from separatrix.zoo.toys import dirac_gan

STUDY = Study(
    key="mescheder2018",
    authors="Mescheder, Lars and Geiger, Andreas and Nowozin, Sebastian",
    title="Which Training Methods for GANs do actually Converge?",
    venue="International Conference on Machine Learning",
    year=2018,
    arxiv="1801.04406",
    question="Which GAN training methods converge on the smallest GAN there is, and on data without a density?",
    methods=("R1", "instance noise", "WGAN", "WGAN-GP", "consensus optimisation"),
    symptoms=("cycles", "slow spiral"),
    picture="Left: distance to the equilibrium of the Dirac-GAN, five critic steps for each generator step. Right: eigenvalues of "
    "the field on a line in the plane, without and with R1.",
)
STEP, START = 0.2, (1.0, 1.0)


def run(scale: Scale) -> Outcome:
    steps = scale.pick(12, 500)
    weights = (0.0, 0.3, 1.0, 2.0, 3.0)
    r1 = [gap(dirac_gan(r1=g), -g / 2, g * g / 4 - 0.25) for g in weights]
    noisy = [gap(dirac_gan(noise=s), -s * s / 4, s**4 / 16 - 0.25) for s in (0.3, 0.7, 1.0)]
    runs = {(name, n): follow(name, n, steps) for name in GAMES for n in (1, 5)}
    ends = {key: path[-1] for key, path in runs.items()}
    plain, damped = on_a_line(0.0), on_a_line(1.0)
    settled = partial(at_most, bound=1e-3, over="every")
    stuck = partial(at_least, bound=0.1, over="every")
    return Outcome(
        claims=(
            at_most(
                "Dirac-GAN without regularisation: largest real part.",
                largest_real(dirac_gan()),
                1e-8,
                closed_form=True,
            ),
            at_most("R1: eigenvalues off -g/2 +- sqrt(g^2/4 - 1/4).", max(r1), 1e-6, closed_form=True),
            at_most(
                "Instance noise s: eigenvalues off -s^2/4 +- sqrt(s^4/16 - 1/4).", max(noisy), 1e-6, closed_form=True
            ),
            stuck("Without regularisation, distance left of the start.", [ends["GAN", n] for n in (1, 5)]),
            stuck("WGAN, distance left.", [ends["WGAN", n] for n in (1, 5)]),
            stuck("WGAN-GP, distance left.", [ends["WGAN-GP", n] for n in (1, 5)]),
            settled("R1, distance left.", [ends["R1", n] for n in (1, 5)]),
            settled("Instance noise, distance left.", [ends["instance noise", n] for n in (1, 5)]),
            settled("Consensus, distance left.", [ends["consensus", n] for n in (1, 5)]),
            at_most(
                "On a line with R1: largest real part off the manifold.",
                max(damped[damped.real < -1e-9].real),
                -1e-3,
                closed_form=True,
            ),
            at_most(
                "On a line with R1: eigenvalues at zero, minus the manifold's dimension.",
                abs(np.sum(abs(damped) < 1e-9) - 1),
                0,
                closed_form=True,
            ),
        ),
        controls=(
            settled("Without regularisation the start's distance is lost, too.", [ends["GAN", n] for n in (1, 5)]),
            at_most("On a line without R1: largest real part off zero.", max(plain[abs(plain) > 1e-9].real), -1e-3),
        ),
        figure={
            "paths": {name: runs[name, 5][:: max(1, steps // 250)] for name in GAMES},
            "every": max(1, steps // 250),
            "plain": [[z.real, z.imag] for z in plain],
            "damped": [[z.real, z.imag] for z in damped],
        },
    )


def eigenvalues(game: Game, at: tuple[float, ...]) -> Any:
    point = torch.tensor(at, dtype=torch.float64)
    return torch.linalg.eigvals(game.on().jacobian(point, checks=False).to_dense()).numpy()


def largest_real(problem: Any) -> float:
    return float(abs(eigenvalues(problem.game, (0.0, 0.0)).real).max())


def gap(problem: Any, middle: float, under: float) -> float:
    """How far the eigenvalues at (0, 0) are from ``middle +- sqrt(under)``."""
    expected = np.array([middle + sqrt(under), middle - sqrt(under)])
    found = eigenvalues(problem.game, (0.0, 0.0))
    return min(float(abs(found - e).max()) for e in (expected, expected[::-1]))


def wgan_gp(target: float = 0.3, weight: float = 1.0) -> Game:
    """The critic's slope is pulled towards ``target``, which is not the equilibrium's."""

    def losses(models: Mapping[str, Tensor], batch: None) -> dict[str, Tensor]:
        value = (models["D"] * models["G"]).sum()
        return {"G": value, "D": -value + weight / 2 * ((models["D"].abs() - target) ** 2).sum()}

    return Game({p: torch.ones(1, dtype=torch.float64) for p in ("G", "D")}, losses)


GAMES: dict[str, Callable[[], Game]] = {
    "GAN": lambda: dirac_gan().game,
    "WGAN": lambda: dirac_gan(loss="wasserstein").game,
    "WGAN-GP": wgan_gp,
    "R1": lambda: dirac_gan(r1=0.3).game,
    "instance noise": lambda: dirac_gan(noise=0.7).game,
    "consensus": lambda: dirac_gan().game,
}


def follow(name: str, critic_steps: int, steps: int) -> list[float]:
    """Distance to the equilibrium over that of the start, after every step."""
    transforms = (Consensus(0.3),) if name == "consensus" else ()
    method = Method(SGD(STEP), Alternating(("D", "G"), repeats={"D": critic_steps}), transforms)
    field, clip = GAMES[name]().on(), torch.tensor([torch.inf, 1.0 if name == "WGAN" else torch.inf])
    x = torch.tensor(START, dtype=torch.float64)
    states, path = None, [1.0]
    for _ in range(steps):
        x, states, _ = simulate(method, field, steps=1, x=x, states=states, every=2)
        x = torch.minimum(torch.maximum(x, -clip), clip)
        path.append(float(x.norm()) / 2**0.5)
    return path


def on_a_line(r1: float) -> Any:
    """Eigenvalues where points (a z + b, c z + d), z normal, match data (z, 0), against D = w . (x, y, x^2, x y, y^2)."""
    places, weights = (torch.as_tensor(a) for a in np.polynomial.hermite_e.hermegauss(20))
    weights = weights / weights.sum()

    def features(x: Tensor, y: Tensor) -> Tensor:
        return torch.stack([x, y, x * x, x * y, y * y], dim=1)

    def losses(models: Mapping[str, Tensor], batch: None) -> dict[str, Tensor]:
        (a, b, c, d), w = models["G"], models["D"]
        fake, real = features(a * places + b, c * places + d) @ w, features(places, 0 * places) @ w
        value = (weights * (logsigmoid(fake) + logsigmoid(-real))).sum()
        slopes = torch.stack([w[0] + 2 * w[2] * places, w[1] + w[3] * places])  # of D on the data, where y = 0
        return {"G": value, "D": -value + r1 / 2 * (weights * slopes.square().sum(0)).sum()}

    start = {"G": torch.tensor([1.0, 0, 0, 0], dtype=torch.float64), "D": torch.zeros(5, dtype=torch.float64)}
    return eigenvalues(Game(start, losses), (1.0, 0, 0, 0, 0, 0, 0, 0, 0))


def draw(figure: Figure, data: Mapping[str, Any]) -> None:
    left, right = figure.subplots(1, 2)
    styles = zip((GROW, UNSURE, INK, DECAY, ACCENT, MUTED), ("-", "--", ":", "-", "--", ":"), strict=True)
    for (name, path), (colour, style) in zip(data["paths"].items(), styles, strict=True):
        steps = [i * data["every"] for i in range(len(path))]
        left.semilogy(steps, [max(p, 1e-9) for p in path], style, color=colour, lw=1.4, label=name)
    left.set(xlabel="generator steps", ylabel="distance left", ylim=(1e-9, 5))
    left.legend(ncols=2, fontsize=7)
    for key, marker, colour, name in (("plain", "x", GROW, "without"), ("damped", "o", DECAY, "with R1")):
        right.plot([z[0] for z in data[key]], [z[1] for z in data[key]], marker, color=colour, ms=5, label=name)
    right.axvline(0, color=MUTED, lw=0.8)
    right.set(xlabel="real part", ylabel="imaginary part")
    right.legend()
