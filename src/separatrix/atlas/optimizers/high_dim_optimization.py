"""On quadratics gradient descent, Nesterov's and Polyak's momentum need steps in proportion to kappa, sqrt(kappa) and sqrt(kappa) / 2, with the known constants.

[benning2021, chapters 2 to 4; polyak1964; nesterov1983]

Checked: the rates fitted to runs of the library's own steps, kappa from 10 to 10 000, against the classical formulas; how long a
run takes to leave a saddle; the noise floor of stochastic steps without and with momentum, against its closed form; and that
averaging the iterates removes the floor.

Not reproduced: the thesis's chapters on random landscapes and its survey of heuristics, which make no single number.

Paper and code: rates are compared as -log(rate), since every rate near 1 is within 2% of every other. Polyak's best step has a
double root, so its error is t rate^t and the fit is taken late. The closed form of the noise floor with momentum b, step h,
eigenvalue l and noise of variance s^2 is h s^2 (1 + b) / (l (1 - b) (2 (1 + b) - h l)), derived here.

Runtime: smoke 1 s, full 1 min.
"""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from matplotlib.figure import Figure

from separatrix.atlas import Outcome, Scale, Study, at_least, at_most
from separatrix.atlas.look import DECAY, GROW, INK, MUTED, UNSURE
from separatrix.dynamics import SGD, Method, Simultaneous, simulate
from separatrix.fields import FunctionField

STUDY = Study(
    key="benning2021",
    authors="Benning, Felix",
    title="High Dimensional Optimization through the Lens of Machine Learning",
    venue="arXiv",
    year=2021,
    arxiv="2112.15392",
    question="How many steps does the condition number cost, and what do momentum and noise change?",
    methods=("gradient descent", "heavy ball", "Nesterov momentum", "stochastic gradient descent"),
    symptoms=("slow convergence", "saddle"),
    picture="Left: steps that gain a factor e, measured (points) and by formula (lines), against the condition number. Right: "
    "steps to leave a saddle against the distance from it at the start.",
)


def run(scale: Scale) -> Outcome:
    kappas = scale.pick((10, 100), (10, 100, 1000, 10_000))
    speeds = {name: [measured_speed(name, kappa) for kappa in kappas] for name in FORMULAS}
    off = {
        name: [abs(s / FORMULAS[name](k) - 1) for s, k in zip(speeds[name], kappas, strict=True)] for name in FORMULAS
    }
    untuned = measured_speed("heavy ball", 100, tuned_for=10) / FORMULAS["heavy ball"](100) - 1
    starts = [10.0**-k for k in range(1, scale.pick(4, 11))]
    h, times = 0.1, [escape(start, step=0.1) for start in starts]
    slopes = [(b - a) / math.log(10) for a, b in pairwise(times[1:])]
    seeds = scale.seeds(3, 10)
    floors = {b: [noise_floor(b, seed, scale.pick(200, 2000)) for seed in seeds] for b in (0.0, 0.9)}
    averaged = [noise_floor(0.0, seed, scale.pick(200, 2000), average=True)[0] for seed in seeds]
    return Outcome(
        claims=(
            *(
                at_most(f"{name.capitalize()}: steps that gain a factor e, off the formula.", e, 0.02, over="every")
                for name, e in off.items()
            ),
            at_most(
                "Steps to leave a saddle, for each factor e nearer to it, off 1 / log(1 + h).",
                max(abs(s * math.log(1 + h) - 1) for s in slopes),
                0.05,
            ),
            *(
                at_most(
                    f"Noise floor with momentum {b}, off the closed form.",
                    [abs(f - 1) for f, _ in found],
                    0.05,
                    over="mean",
                )
                for b, found in floors.items()
            ),
            at_least(
                "At equal step the floor rises with momentum 0.9, by about 1 / (1 - 0.9).",
                [c[1] / a[1] for a, c in zip(floors[0.0], floors[0.9], strict=True)],
                8,
                over="mean",
            ),
            at_most("The mean of the iterates over the floor of single iterates.", averaged, 0.1, over="mean"),
        ),
        controls=(
            at_most("Heavy ball tuned for kappa 10 at kappa 100: steps off the formula.", abs(untuned), 0.02),
            at_most("A step of 2.1 over the largest eigenvalue: growth over a run.", growth_beyond(), 1.0),
        ),
        figure={"kappas": list(kappas), "speeds": speeds, "starts": starts, "times": times},
    )


# Steps that gain a factor e: 1 / -log(rate).
FORMULAS = {
    "gradient descent": lambda k: -1 / math.log((k - 1) / (k + 1)),
    "Nesterov": lambda k: -1 / math.log(1 - 1 / math.sqrt(k)),
    "heavy ball": lambda k: -1 / math.log((math.sqrt(k) - 1) / (math.sqrt(k) + 1)),
}


def best_step(name: str, kappa: float) -> SGD:
    """The classical choice for eigenvalues from 1 / kappa to 1."""
    root = math.sqrt(kappa)
    if name == "gradient descent":
        return SGD(2 / (1 + 1 / kappa))
    if name == "Nesterov":
        return SGD(1.0, momentum=(root - 1) / (root + 1), nesterov=True)
    return SGD(4 / (1 + 1 / root) ** 2, momentum=((root - 1) / (root + 1)) ** 2)


def quadratic(kappa: float) -> FunctionField:
    eigenvalues = torch.logspace(-math.log10(kappa), 0, 12, dtype=torch.float64)
    return FunctionField(lambda x: -eigenvalues * x, torch.ones(12, dtype=torch.float64))


def measured_speed(name: str, kappa: float, tuned_for: float | None = None) -> float:
    """Steps a factor e, fitted to the logarithm of the distance over the second half of a run."""
    slow = kappa if name == "gradient descent" else math.sqrt(kappa)
    steps = int((5 if name == "gradient descent" else 200) * slow)
    method = Method(best_step(name, tuned_for or kappa), Simultaneous())
    every = max(1, steps // 400)
    path = simulate(method, quadratic(kappa), steps=steps, every=every)[2].norm(dim=1).log()
    t = every * torch.arange(len(path), dtype=torch.float64)
    late = (t > steps / 2) & path.isfinite()
    x, y = t[late] - t[late].mean(), path[late] - path[late].mean()
    return -float(x.square().sum() / (x * y).sum())


def growth_beyond() -> float:
    path = simulate(Method(SGD(2.1), Simultaneous()), quadratic(10), steps=200, every=200)[2].norm(dim=1)
    return float(path[-1] / path[0])


def escape(start: float, step: float) -> float:
    """Steps until x = 1/2 on the strict saddle x^4 / 4 - x^2 / 2 + y^2 / 2, started at x = ``start``; with a fraction."""
    field = FunctionField(
        lambda x: torch.stack([x[0] - x[0] ** 3, -x[1]]), torch.tensor([start, 1.0], dtype=torch.float64)
    )
    path = simulate(
        Method(SGD(step), Simultaneous()), field, steps=int(40 + 1.3 * math.log(1 / start) / math.log(1 + step))
    )[2]
    x = path[:, 0]
    k = int((x > 0.5).nonzero()[0])
    return k - float((x[k].log() - math.log(0.5)) / (x[k].log() - x[k - 1].log()))


def noise_floor(momentum: float, seed: int, runs: int, average: bool = False) -> tuple[float, float]:
    """Mean square of the iterates over its closed form, and itself; ``runs`` independent runs of one eigenvalue at once."""
    h, eigenvalue, steps, settle = 0.1, 1.0, 600, 300
    generator, base = torch.Generator().manual_seed(seed), SGD(h, momentum=momentum)
    x = torch.zeros(runs, dtype=torch.float64)
    state, squares, mean = base.init(x), 0.0, torch.zeros_like(x)
    for step in range(steps):
        noise = torch.randn(runs, generator=generator, dtype=torch.float64)
        x, state = base.step(-eigenvalue * x + noise, x, state)
        if step >= settle:
            squares += float(x.square().mean()) / (steps - settle)
            mean += x / (steps - settle)
    top = 2 * (1 + momentum)
    formula = h * (1 + momentum) / (eigenvalue * (1 - momentum) * (top - h * eigenvalue))
    return (float(mean.square().mean()) if average else squares) / formula, squares


def draw(figure: Figure, data: Mapping[str, Any]) -> None:
    left, right = figure.subplots(1, 2)
    kappas = torch.logspace(1, math.log10(data["kappas"][-1]), 40).tolist()
    for (name, speeds), colour in zip(data["speeds"].items(), (GROW, DECAY, UNSURE), strict=True):
        left.loglog(kappas, [FORMULAS[name](k) for k in kappas], color=colour, lw=1, label=name)
        left.plot(data["kappas"], speeds, "o", color=colour, ms=5)
    left.set(xlabel="condition number", ylabel="steps for a factor e")
    left.legend()
    right.semilogx(data["starts"], data["times"], "o-", color=INK, ms=4, lw=1)
    right.set(xlabel="distance from the saddle's ridge", ylabel="steps to leave it")
    right.tick_params(colors=MUTED)
