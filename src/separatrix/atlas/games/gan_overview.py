"""Where data and samples do not overlap, a perfect discriminator leaves the generator no gradient; noise on both, or the other loss, gives one back.

[creswell2018, section on training challenges; arjovsky2017principled; goodfellow2014]

Checked: by quadrature, for two bumps that drift apart, that the divergence of the optimal discriminator saturates at log 2, that its
gradient vanishes, and that noise of half the distance restores it; with trained discriminators, that the gradient of the saturating loss
dies while the discriminator is trained, and that the non-saturating loss or noise keep it alive.

Not reproduced: the survey's architectures and applications; it asks for no numbers.

Paper and code: the smallest case of what the survey explains: bumps of width 0.1, centres a distance apart. Gradients are with respect to
the place of the samples, by the Jensen-Shannon divergence, or by a loss at a discriminator that is held.

Runtime: smoke 2 s, full 1 min.
"""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from separatrix.atlas import Outcome, Scale, Study, at_least, at_most
from separatrix.atlas.look import DECAY, GROW, INK
from separatrix.fields.gan_losses import gan_losses

STUDY = Study(
    key="creswell2018",
    authors="Creswell, Antonia and White, Tom and Dumoulin, Vincent and Arulkumaran, Kai and Sengupta, Biswa and Bharath, Anil A.",
    title="Generative Adversarial Networks: An Overview",
    venue="IEEE Signal Processing Magazine",
    year=2018,
    arxiv="1710.07035",
    question="Why does a generator stop learning from a discriminator that is too good, and what does noise do about it?",
    methods=("instance noise", "saturating loss", "non-saturating loss"),
    symptoms=("vanishing gradients",),
    picture="Left: gradient of the optimal divergence against the distance of data and samples, without and with noise. Right: gradients of "
    "the generator's losses while a discriminator is trained at distance 1.",
)
WIDTH = 0.1


def run(scale: Scale) -> Outcome:
    far = torch.linspace(1, 4, scale.pick(3, 13)).tolist()
    apart, noisy = [divergence(d, 0.0) for d in far], [divergence(d, 0.5 * d) for d in far]
    near, grid = divergence(WIDTH, 0.0), [0.05 * k for k in range(1, 61)]
    runs = [train(seed, scale.pick(60, 3000)) for seed in scale.seeds(2, 6)]
    saturated = partial(at_most, bound=0.01, closed_form=True)
    alive = partial(at_least, over="every")
    return Outcome(
        claims=(
            saturated("Bumps ten widths apart and more: divergence off log 2.", max(off(v) for v, _ in apart)),
            at_most("The same: gradient of the divergence.", max(g for _, g in apart), 1e-3, closed_form=True),
            at_least("With noise: gradient of the divergence.", min(g for _, g in noisy), 0.1, closed_form=True),
            at_most(
                "Trained discriminator: saturating gradient at the end over its largest.",
                [r["saturating"][-1] / max(r["saturating"]) for r in runs],
                0.01,
                over="every",
            ),
            alive("The same: non-saturating gradient at the end.", [r["non-saturating"][-1] for r in runs], 0.1),
            alive("Trained with noise: saturating gradient at the end.", [r["noisy"][-1] for r in runs], 0.02),
        ),
        controls=(
            at_most("Bumps one width apart: divergence off log 2.", off(near[0]), 0.01),
            at_most("Bumps one width apart: gradient of the divergence.", near[1], 1e-3),
        ),
        figure={
            "distances": grid,
            "without": [divergence(d, 0.0)[1] for d in grid],
            "with": [divergence(d, 0.5)[1] for d in grid],
            "runs": runs[0],
        },
        notes=(
            "The non-saturating gradient is the slope of the discriminator's logit, which nothing bounds from either side.",
        ),
    )


def divergence(distance: float, noise: float) -> tuple[float, float]:
    """Jensen-Shannon divergence of N(0, s^2) and N(d, s^2), s^2 = width^2 + noise^2, and its slope in d; trapezoidal rule."""
    s, d = math.hypot(WIDTH, noise), torch.tensor(distance, dtype=torch.float64, requires_grad=True)
    x = torch.linspace(-8 * s, distance + 8 * s, 6001, dtype=torch.float64)
    p, q = (torch.distributions.Normal(m, s).log_prob(x) for m in (0 * d.detach(), d))
    middle = torch.logaddexp(p, q) - math.log(2)
    value = torch.trapezoid(0.5 * (p.exp() * (p - middle) + q.exp() * (q - middle)), x)
    (slope,) = torch.autograd.grad(value, d)
    return float(value.detach()), float(slope)


def off(value: float) -> float:
    return abs(value / math.log(2) - 1)


def train(seed: int, steps: int) -> dict[str, list[float]]:
    """Gradients on the way, at distance 1: of two losses without noise, and of the saturating one with noise of 0.5."""
    found: dict[str, list[float]] = {"saturating": [], "non-saturating": [], "noisy": []}
    for noise in (0.0, 0.5):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            critic = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
            optimizer = torch.optim.Adam(critic.parameters(), 1e-3)
            for step in range(steps + 1):
                real, fake = (m + math.hypot(WIDTH, noise) * torch.randn(256, 1) for m in (0.0, 1.0))
                if step % (steps // 60) == 0:
                    for kind in ("saturating",) if noise else ("saturating", "non-saturating"):
                        found["noisy" if noise else kind].append(slope(critic, real, fake, kind))
                optimizer.zero_grad()
                gan_losses(critic(real), critic(fake)).discriminator.backward()
                optimizer.step()
    return found


def slope(critic: nn.Module, real: Tensor, fake: Tensor, kind: str) -> float:
    shift = torch.zeros((), requires_grad=True)
    loss = gan_losses(critic(real), critic(fake + shift), kind=kind).generator
    return float(torch.autograd.grad(loss, shift)[0].abs())


def draw(figure: Figure, data: Mapping[str, Any]) -> None:
    left, right = figure.subplots(1, 2)
    left.semilogy(data["distances"], [max(g, 1e-12) for g in data["without"]], color=GROW, label="no noise")
    left.plot(data["distances"], data["with"], color=DECAY, ls="--", label="noise 0.5")
    left.set(xlabel="distance", ylabel="gradient", ylim=(1e-10, 10))
    left.legend(fontsize=7)
    for (name, values), colour, style in zip(data["runs"].items(), (GROW, INK, DECAY), ("-", "--", "-."), strict=True):
        share = [k / (len(values) - 1) for k in range(len(values))]
        label = "saturating, noise 0.5" if name == "noisy" else name
        right.semilogy(share, [max(v, 1e-12) for v in values], style, color=colour, label=label)
    right.set(xlabel="share of the discriminator's training", ylabel="gradient")
    right.legend(fontsize=7)
