"""A physics-informed network carries its own error bar: where boundary values are built in, its error stays below a known constant times its residual, at every moment of training.

[ray2023, chapter on physics-informed networks]

Checked: steady advection and diffusion, u' = u'' / Pe on (0, 1), u(0) = 0, u(1) = 1, with its known solution: the bound
|u - u*| <= max |residual| at every checkpoint of many runs, and by how much it overestimates; whether the steps to an error of 5%
grow with the Peclet number, and whether Peclet 100 gets there in 4000.

Not reproduced: the notes' other chapters: operator networks, convolutional and generative models, the analysis of training as an
ordinary differential equation.

Paper and code: the bound is of this study, by the maximum principle: L u = u' - u'' / Pe has the barrier x, since L x = 1, so e = u - u*
with zero boundary values satisfies |e| <= x max |L e|. Maxima are taken on 1001 points. The ansatz is u = x + x (1 - x) N(x), N one
layer of 20 tanh; all runs side by side, Adam with rate 0.01.

Runtime: smoke 1 s, full 1 min.
"""

from collections.abc import Mapping
from functools import partial
from statistics import median
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from separatrix.atlas import Outcome, Scale, Study, at_least, at_most
from separatrix.atlas.look import DECAY, GROW, INK, MUTED

STUDY = Study(
    key="ray2023",
    authors="Ray, Deep and Pinti, Orazio and Oberai, Assad A.",
    title="Deep Learning and Computational Physics (Lecture Notes)",
    venue="arXiv",
    year=2023,
    arxiv="2301.00942",
    question="Can one trust a small residual of a physics-informed network, and what does advection cost it?",
    methods=("physics-informed networks", "a-posteriori bounds"),
    symptoms=("residual without error bar", "slow convergence"),
    picture="Left: largest error against largest residual at checkpoints of all runs; the line is the bound. Right: steps to an error of 5% "
    "against the Peclet number, one point for each seed; on the grey line are those that never get there.",
)
PECLETS = (1.0, 3.0, 10.0, 30.0, 100.0)


def run(scale: Scale) -> Outcome:
    seeds, steps = scale.pick(2, 8), scale.pick(30, 4000)
    error, residual = train(seeds, steps, built_in=True)
    loose, small = train(seeds, steps, built_in=False)
    soon = dict(zip(PECLETS, steps_to(error, steps), strict=True))
    twice = partial(at_least, bound=2, over="median")
    bounded = partial(at_most, bound=1)
    return Outcome(
        claims=(
            bounded(
                "Error over residual: the largest of all checkpoints.",
                float((error / residual).max()),
                closed_form=True,
            ),
            twice("Steps to an error of 5%: Peclet 30 over Peclet 1.", over_of(soon[30.0], soon[1.0])),
            at_least(
                "Peclet 100: runs that reach an error of 5%.", [s <= steps for s in soon[100.0]], 0.5, over="share"
            ),
            at_least(
                "Peclet 1, end of training: error over residual (1: the bound is sharp).",
                (error / residual)[-1, 0].tolist(),
                0.1,
                over="median",
            ),
        ),
        controls=(
            bounded("Boundary values in the loss: error over residual, the largest.", float((loose / small).max())),
            twice(
                "Steps to an error of 5%: Peclet 1 over Peclet 1, another seed.", over_of(soon[1.0], soon[1.0][::-1])
            ),
        ),
        figure={
            "error": error[::5].flatten().tolist(),
            "residual": residual[::5].flatten().tolist(),
            "steps": [[pe, s] for pe, found in soon.items() for s in found],
            "never": steps + 1,
        },
        notes=(
            f"Median steps to 5%: {', '.join(f'{median(v):g} at Peclet {pe:g}' for pe, v in soon.items())} ({steps + 1}: never).",
        ),
    )


def over_of(a: list[float], b: list[float]) -> list[float]:
    return [x / y for x, y in zip(a, b, strict=True)]


def solution(weights: list[Tensor], x: Tensor, built_in: bool) -> tuple[Tensor, Tensor, Tensor]:
    """``u``, ``u'`` and ``u''`` of all networks at the points, ``(pe, seed, points)``."""
    a, b, c = weights
    t = torch.tanh(a * x + b)  # (pe, seed, 20, points)
    slope = 1 - t * t
    n, d, dd = ((c * part).sum(2) for part in (t, slope * a, -2 * t * slope * a * a))
    if not built_in:
        return n, d, dd
    bump, tilt = x * (1 - x), 1 - 2 * x
    return x + bump * n, 1 + tilt * n + bump * d, -2 * n + 2 * tilt * d + bump * dd


def train(seeds: int, steps: int, built_in: bool) -> tuple[Tensor, Tensor]:
    """Largest errors and residuals at 60 checkpoints, ``(checkpoints, pe, seed)``."""
    generator, pe = torch.Generator().manual_seed(0), torch.tensor(PECLETS, dtype=torch.float64)[:, None, None]
    draw = torch.randn(3, len(PECLETS), seeds, 20, 1, generator=generator, dtype=torch.float64)
    weights = [(s * part).requires_grad_() for s, part in zip((4.0, 2.0, 0.3), draw, strict=True)]
    optimizer = torch.optim.Adam(weights, 0.01)
    inner, grid = (torch.linspace(0, 1, points, dtype=torch.float64) for points in (101, 1001))
    exact = (torch.exp(pe * (grid - 1)) - torch.exp(-pe)) / -torch.expm1(-pe)
    errors, residuals = [], []
    for step in range(steps + 1):
        if step % max(1, steps // 60) == 0:
            with torch.no_grad():
                u, d, dd = solution(weights, grid, built_in)
                errors.append((u - exact).abs().amax(2))
                residuals.append((d - dd / pe).abs().amax(2))
        u, d, dd = solution(weights, inner, built_in)
        loss = (d - dd / pe).square().mean(2)
        if not built_in:
            loss = loss + u[..., 0] ** 2 + (u[..., -1] - 1) ** 2
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
    return torch.stack(errors), torch.stack(residuals)


def steps_to(error: Tensor, steps: int) -> list[list[float]]:
    """First checkpoint with an error of at most 5%, by Peclet number and seed; ``steps + 1`` where there is none."""
    below = error <= 0.05
    first = below.double().argmax(0) * max(1, steps // 60)
    found: list[list[float]] = torch.where(below.any(0), first, steps + 1).clamp(min=1).double().tolist()
    return found


def draw(figure: Figure, data: Mapping[str, Any]) -> None:
    left, right = figure.subplots(1, 2)
    left.loglog(data["residual"], data["error"], ".", color=DECAY, ms=3)
    ends = [min(data["residual"]), max(data["residual"])]
    left.plot(ends, ends, color=INK, lw=0.9)
    left.set(xlabel="largest residual", ylabel="largest error")
    right.loglog(*zip(*data["steps"], strict=True), "o", color=GROW, ms=4, alpha=0.6)
    right.axhline(data["never"], color=MUTED, lw=0.7)
    right.set(xlabel="Peclet number", ylabel="steps to an error of 5%")
