"""A GAN that matches second moments has no equilibrium, a consistent one that is no Nash point, or a consistent Nash equilibrium, as the critic and the symmetries of the generator have it.

[zhang2022, abstract]

Checked: moving averages x_t = sum_k a_k z_(t-k) against critics of autocovariances measured on records. No equilibrium: a linear critic that
sees three lags more than the filter has can gain at every filter. Consistent, no Nash point: a filter that may not scale comes
to rest, stably, where its own second-order test fails. Consistent and Nash: with free scale the critic falls silent; filters come in
mirror images, and one is left where those are excluded. Local stability there, and where random starts end.

Not reproduced: theorems and experiments, of which only the abstract was at hand; which critics and symmetries the paper has in mind.

Paper and code: f(a, w) = w . (r - r(a)) - damping |w|^2 / 2, r_j(a) = sum_k a_k a_(k+j); a descends, w climbs. The generator's own
curvature is -w . r''; beside a silent critic it is indifferent, so any filter is a best response. Of the runs without mirror images that do
not arrive, most have stopped at the edge of the chart: at the silent generator, or with a zero at the unit circle.

Runtime: smoke 2 s, full 1 min.
"""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.optimize import least_squares
from torch import Tensor

from separatrix.atlas import Outcome, Scale, Study, at_least, at_most
from separatrix.atlas.look import DECAY, GROW, INK, MUTED
from separatrix.dynamics import SGD, Extragradient, Method, simulate_many
from separatrix.fields import FunctionField
from separatrix.probes.decompose import LocalEquilibrium, local_equilibrium

STUDY = Study(
    key="zhang2022",
    authors="Zhang, Sixin",
    title="On the Nash equilibrium of moment-matching GANs for stationary Gaussian processes",
    venue="arXiv",
    year=2022,
    arxiv="2203.07136",
    question="Does a moment-matching GAN have an equilibrium at the truth, is it a Nash point, and the only one?",
    methods=("moment matching", "extragradient", "second-order Nash test"),
    symptoms=("wrong equilibrium", "divergence"),
    picture="Left: first two coefficients of the filters at which descent ended, over the consistent ones. Right: equilibria of a "
    "filter without free scale, one point for each record; below the line the generator would leave.",
)
FILTER = torch.tensor([1.0, 0.1, -0.2], dtype=torch.float64)  # zeros at 0.4 and -0.5
DAMPING, SILENT = 0.5, torch.zeros(3, dtype=torch.float64)
Family = Callable[[Tensor], Tensor]


def free(z: Tensor) -> Tensor:
    return z


def unit(z: Tensor) -> Tensor:
    """No free scale: the first coefficient is 1."""
    return torch.cat([torch.ones_like(z[:1]), z])


def inside(z: Tensor) -> Tensor:
    """No mirror images: zeros inside the unit circle, first coefficient positive; from reflection coefficients."""
    first, p, q = z[0].exp(), z[1].tanh(), z[2].tanh()
    return first * torch.stack([torch.ones_like(p), p * (1 + q), q])


def run(scale: Scale) -> Outcome:
    truth, images, seeds = moments(FILTER), mirror_images(FILTER), scale.seeds(12, 100)
    rightmost = [local(game(free, truth, a, SILENT)).stability.rightmost.real for a in images]
    starts = 1.5 * normal(scale.pick(10, 200), 3, seed=0)
    ends = {f: settle(f, truth, starts, scale.pick(20, 4000)) for f in (free, inside)}
    there = {f: (torch.func.vmap(moments)(found) - truth).norm(dim=1) < 1e-2 for f, found in ends.items()}
    met = {f: torch.cdist(found[there[f]], images).argmin(1).unique() for f, found in ends.items()}
    short, long = ([rest_point(unit, record(s, n)) for s in seeds] for n in (1000, 100_000))
    scaled, more = ([rest_point(free, record(s, 1000, lags)) for s in seeds] for lags in (3, 6))
    gone = [b["error"] / a["error"] for a, b in zip(short, long, strict=True)]
    gains, share = partial(at_least, bound=1e-3, over="every"), partial(at_least, over="share")
    return Outcome(
        claims=(
            gains("Three lags too many: slope of a linear critic at the best filter.", [e["gap"] for e in more]),
            share("No scale: equilibria that attract, but are no Nash points.", [e["left"] for e in short], 0.25),
            at_most("No scale: error after a hundredfold record, over that after a record.", gone, 0.2, over="median"),
            at_most("Free scale: slope of the critic at equilibrium.", [e["gap"] for e in scaled], 1e-6, over="every"),
            at_most("Consistent points, damped critic: largest real part.", max(rightmost), -0.1),
            share("All filters: random starts that end at a consistent one.", there[free].tolist(), 0.95),
            at_least("All filters: mirror images that are met, of eight.", len(met[free]), 8),
            share("No mirror images: random starts that end at a consistent one.", there[inside].tolist(), 0.95),
            at_most("No mirror images: different filters that are met.", len(met[inside]), 1),
        ),
        controls=(
            gains("As many lags as the filter has: the slope.", [e["gap"] for e in scaled]),
            share("Free scale: equilibria that attract, but are no Nash points.", [e["left"] for e in scaled], 0.25),
        ),
        figure={
            "images": images[:, :2].tolist(),
            **{f.__name__: found[:, :2].tolist() for f, found in ends.items()},
            "rest": [[[e["error"], e["curvature"]] for e in found] for found in (short, long)],
        },
    )


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def moments(a: Tensor, lags: int = 3) -> Tensor:
    """Autocovariances of the moving average."""
    return torch.stack([a[: 3 - j] @ a[j:] if j < 3 else 0 * a[0] for j in range(lags)])


def record(seed: int, length: int, lags: int = 3) -> Tensor:
    """Autocovariances measured on a record of the true process."""
    x = normal(length + 2, seed=100 + seed).unfold(0, 3, 1) @ FILTER.flip(0)
    return torch.stack([x[: length - j] @ x[j:] / length for j in range(lags)])


def mirror_images(a: Tensor) -> Tensor:
    """All real filters with the same moments, for real zeros."""
    zeros = np.roots(a.numpy())
    flips = [np.array(f) for f in product((False, True), repeat=2)]
    found = [a[0] * torch.as_tensor(np.poly(np.where(f, 1 / zeros, zeros)) * np.prod(zeros[f])) for f in flips]
    return torch.stack([*found, *(-image for image in found)])


def game(family: Family, target: Tensor, z: Tensor, w: Tensor) -> FunctionField:
    """Standing at generator ``z`` and critic ``w``."""

    def f(x: Tensor) -> Tensor:
        ours, theirs = x[: len(z)], x[len(z) :]
        return theirs @ (target - moments(family(ours), len(w))) - DAMPING / 2 * theirs @ theirs

    sign = torch.cat([-torch.ones_like(z), torch.ones_like(w)])
    return FunctionField(lambda x: sign * torch.func.grad(f)(x), torch.cat([z, w]), players={"G": len(z), "D": len(w)})


def local(field: FunctionField) -> LocalEquilibrium:
    return local_equilibrium(field.jacobian(checks=False), field.space, field())


def settle(family: Family, target: Tensor, starts: Tensor, steps: int) -> Tensor:
    """Filters after extragradient steps of 0.05, from silent critics."""
    field = game(family, target, starts[0], SILENT)
    both = torch.cat([starts, torch.zeros_like(starts)], dim=1)
    last, _ = simulate_many(Method(SGD(0.05), Extragradient()), field, both, steps=steps, every=steps)
    return torch.func.vmap(family)(last[:, :3])


def rest_point(family: Family, target: Tensor) -> dict[str, float]:
    """At the equilibrium nearest to the truth; ``left``: it attracts, but the generator would leave."""

    def miss(z: Any) -> Any:
        return (target - moments(family(torch.as_tensor(z)), len(target))).numpy()

    start = FILTER if family is free else FILTER[1:]
    z = torch.as_tensor(least_squares(miss, start.numpy(), xtol=1e-15, ftol=1e-15, gtol=1e-15).x)
    w = torch.as_tensor(miss(z)) / DAMPING
    found = local(game(family, target, z, w.where(w.abs() > 1e-9, 0)))  # below that is rounding
    gap, error = float(w.norm()) * DAMPING, float((family(z) - FILTER).norm())
    left, curvature = found.stable_but_not_nash == "yes", found.own["G"].lowest
    return {"gap": gap, "error": error, "left": left, "curvature": curvature}


def draw(figure: Figure, data: Mapping[str, Any]) -> None:
    left, right = figure.subplots(1, 2)
    left.plot(*zip(*data["free"], strict=True), "o", color=DECAY, ms=3, alpha=0.5, label="all filters")
    left.plot(*zip(*data["inside"], strict=True), "x", color=GROW, ms=5, label="no mirror images")
    left.plot(*zip(*data["images"], strict=True), "s", color=INK, mfc="none", ms=9, ls="", label="consistent")
    left.set(xlabel="first coefficient", ylabel="second")
    left.legend(fontsize=7)
    for points, colour, name in zip(data["rest"], (GROW, DECAY), ("1000", "100 000"), strict=True):
        right.plot(*zip(*points, strict=True), "o", color=colour, ms=3, alpha=0.6, label=f"record of {name}")
    right.axhline(0, color=MUTED, lw=0.8)
    right.set(xlabel="error of the filter", ylabel="generator's least curvature")
    right.legend(fontsize=7)
