"""From pairwise Wasserstein distances alone, short transports recover the inner geometry of a family of measures and its tangent spaces.

[hamm2025, sections 3 and 4]

Checked: on two families that bend, whose inner distance is known in closed form, how far the shortest paths of the graph of
short transports are from it as samples grow (in the sense of Gromov-Wasserstein, and for the worst pair); on four families,
whether the covariance of transport maps has as many dominant eigenvalues as the family has parameters, what the gap does
when the radius is halved, and whether the leading direction is the tangent velocity.

Not reproduced: families without densities, images, rates of convergence.

Paper and code: in the paper the radius shrinks slowly with the number of samples; we take twice the least radius that
keeps the graph in one piece. The Gromov-Wasserstein distance is bounded by its value for the coupling that keeps
samples in place; that of the worst pair is no part of the theorem but was planned, and is dominated by close pairs that the
graph joins by a detour. Gaussians have closed-form distances and maps, so no solver is involved; point clouds use POT.

Runtime: smoke 1 s, full 3 min.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from matplotlib.figure import Figure
from scipy.sparse.csgraph import minimum_spanning_tree
from torch import Tensor

from separatrix import topology
from separatrix.atlas import Outcome, Scale, Study, at_least, at_most
from separatrix.atlas.look import DECAY, GROW, INK, MUTED

STUDY = Study(
    key="hamm2025",
    authors="Hamm, Keaton and Moosmüller, Caroline and Schmitzer, Bernhard and Thorpe, Matthew",
    title="Manifold learning in Wasserstein space",
    venue="SIAM Journal on Mathematical Analysis",
    year=2025,
    arxiv="2311.08549",
    question="Do pairwise transport distances tell how many parameters a family of outputs has, and how far apart they are?",
    methods=("optimal transport", "geodesic graph", "tangent spaces"),
    symptoms=("unknown dimension",),
    picture="Left: error of graph distances against the number of samples, two families, one point for each seed. Right: "
    "eigenvalues of the covariance of transport maps, over the first; the line is where the parameters end.",
    needs=("transport",),
)
SPEED = math.sqrt(1.8)  # of a Gaussian diag(4, 1) that turns by one radian [dowson1982]


def run(scale: Scale) -> Outcome:
    sizes, seeds = scale.pick((25, 50), (50, 100, 200, 400)), scale.seeds(2, 8)
    curve = {n: [graph_error(n, 1, seed) for seed in seeds] for n in sizes}
    sheet = {n: [graph_error(n, 2, seed) for seed in seeds] for n in sizes}
    last, first = sizes[-1], sizes[0]
    seeds = scale.seeds(2, 30)
    spaces = {name: [topology.tangent_space(near(name, 0.1, seed)) for seed in seeds] for name in FAMILIES}
    ratios = [second_over_first(near("turned", eps, seed)) for seed in seeds for eps in (0.2, 0.1)]
    velocity = torch.tensor([[0, 0.6, 0], [0.6, 0, 0]], dtype=torch.float64)  # x -> B x, and no shift
    cosine = [inner(s.fields[0], velocity) / inner(velocity, velocity) ** 0.5 for s in spaces["turned"]]
    return Outcome(
        claims=(
            at_most(
                "One parameter: error of graph distances, share of the mean distance.",
                [e[0] for e in curve[last]],
                0.05,
                over="every",
            ),
            at_most("Two parameters: the same.", [e[0] for e in sheet[last]], 0.05, over="every"),
            at_most("One parameter: the worst pair's relative error.", [e[1] for e in curve[last]], 0.05, over="every"),
            at_most("Two parameters: the worst pair's relative error.", [e[1] for e in sheet[last]], 0.05, over="mean"),
            at_most(
                "Two parameters: error at the most samples over error at the fewest.",
                [b[0] / a[0] for a, b in zip(sheet[first], sheet[last], strict=True)],
                0.5,
                over="median",
            ),
            *(
                at_least(
                    f"{name.capitalize()}: as many dominant eigenvalues as parameters, {m}, with a gap of ten.",
                    [space.dimension == m for space in spaces[name]],
                    1,
                    over="every",
                )
                for name, m in FAMILIES.items()
            ),
            at_least(
                "Halving the radius widens the gap of a curve fourfold, up to an eighth.",
                [a / b for a, b in zip(ratios[::2], ratios[1::2], strict=True)],
                3.5,
                over="mean",
            ),
            at_least(
                "Cosine of the leading direction with the tangent velocity.", map(abs, cosine), 0.999, over="every"
            ),
        ),
        controls=(
            at_most(
                "Straight distances in place of the graph: the same error.",
                [e[2] for e in curve[last]],
                0.05,
                over="every",
            ),
            at_least(
                "Samples from all around the curve, not near: one dominant eigenvalue.",
                [topology.tangent_space(near("turned", math.pi / 2, seed)).dimension == 1 for seed in seeds],
                1,
                over="every",
            ),
        ),
        figure={
            "curve": {str(n): [e[0] for e in v] for n, v in curve.items()},
            "sheet": {str(n): [e[0] for e in v] for n, v in sheet.items()},
            "eigenvalues": {name: (found[0].singular_values[:8] ** 2).tolist() for name, found in spaces.items()},
        },
    )


FAMILIES = {"turned": 1, "turned and shifted": 2, "stretched clouds": 3, "all plane Gaussians": 5}


def covariances(angles: Tensor) -> Tensor:
    c, s = torch.cos(angles), torch.sin(angles)
    turn = torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2)
    return turn @ torch.diag(torch.tensor([4.0, 1.0], dtype=torch.float64)) @ turn.mT


def uniform(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def graph_error(n: int, parameters: int, seed: int) -> tuple[float, float, float]:
    """Errors against the closed form: in mean square and for the worst pair, and in mean square without the graph."""
    angles, shifts = math.pi * uniform((n,), seed), 2 * uniform((n,), 1000 + seed) * (parameters - 1)
    gap = (angles[:, None] - angles).abs()
    across = (shifts[:, None] - shifts) ** 2
    true = (1.8 * torch.minimum(gap, math.pi - gap) ** 2 + across).sqrt()
    straight = (topology.bures_distances(covariances(angles)).squared + across).sqrt()
    least = float(minimum_spanning_tree(straight.numpy()).max())
    found = topology.geodesic_graph(straight, radius=2 * least).distances
    off, apart = (found - true).abs(), ~torch.eye(n, dtype=torch.bool)
    norm = true.square().mean().sqrt()
    plain = (straight - true).square().mean().sqrt() / norm
    return float(off.square().mean().sqrt() / norm), float((off[apart] / true[apart]).max()), float(plain)


def near(name: str, radius: float, seed: int, count: int = 40) -> topology.Displacements:
    """Displacements to samples whose parameters lie within ``radius`` of the base's."""
    moved = radius * (2 * uniform((count, FAMILIES[name]), seed) - 1)
    if name == "stretched clouds":
        base = torch.randn(30, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        return topology.cloud_displacements(base, [base * (1 + s) + torch.stack([a, b]) for s, a, b in moved])
    base = covariances(torch.zeros(1, dtype=torch.float64))[0]
    if name == "all plane Gaussians":
        a, b, c = moved[:, :3].unbind(1)
        samples = base + torch.stack([4 * a, b, b, c], dim=1).reshape(-1, 2, 2)
        return topology.gaussian_displacements(base, samples, means=moved[:, 3:])
    zero = torch.zeros(count, dtype=torch.float64)
    means = torch.stack([zero, moved[:, 1] if name != "turned" else zero], dim=1)
    return topology.gaussian_displacements(base, covariances(moved[:, 0]), means=means)


def second_over_first(found: topology.Displacements) -> float:
    sigma = topology.tangent_space(found).singular_values
    return float((sigma[1] / sigma[0]) ** 2)


def inner(a: Tensor, b: Tensor) -> float:
    """Of affine fields [A, b] in L2 of N(0, diag(4, 1))."""
    weights = torch.tensor([4.0, 1.0, 1.0], dtype=torch.float64)
    return float((a * b * weights).sum())


def draw(figure: Figure, data: Mapping[str, Any]) -> None:
    left, right = figure.subplots(1, 2)
    for key, colour, name in (("curve", DECAY, "one parameter"), ("sheet", GROW, "two parameters")):
        for n, errors in data[key].items():
            left.plot([int(n)] * len(errors), errors, "o", color=colour, ms=4, alpha=0.6)
        left.plot([], [], "o", color=colour, ms=4, label=name)
    left.axhline(0.05, color=INK, lw=0.8)
    left.set(xscale="log", yscale="log", xlabel="samples", ylabel="error / mean distance")
    left.legend()
    for (name, values), style in zip(data["eigenvalues"].items(), ("o-", "s-", "^-", "D-"), strict=True):
        m = FAMILIES[name]
        right.semilogy(
            range(1, 1 + len(values)), [v / values[0] + 1e-17 for v in values], style, ms=4, lw=1, label=name
        )
        right.plot([m, m + 1], [values[m - 1] / values[0], values[m] / values[0] + 1e-17], color=INK, lw=2.2)
    right.set(xlabel="number of the eigenvalue", ylabel="eigenvalue / first", ylim=(1e-12, 3))
    right.legend()
    right.tick_params(colors=MUTED)
