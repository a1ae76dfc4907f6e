"""A discrete gradient built cell by cell on the polyhedral complex of a ReLU network has exactly one critical cell for each critical vertex.

[brooks2024, section 4]

Checked: on random and trained networks, that the pairing is a gradient; that its critical cells sit at the piecewise linear
critical vertices with dimension equal to index, and nothing is left over; that they are as few as homology allows
(relatively perfect); and that the sublevel sets it describes are those that gudhi finds on a fine grid. Also, for shallow
networks, one with a single critical vertex of each index.

Not reproduced: decidability of being Morse, and the paper's own realizability results for sublevel sets of shallow networks,
of which only the abstract was at hand; the construction of single critical vertices here is ours.

Paper and code: the pairing is the local one of the paper, written in sign vectors; edges along which F is constant, which
the paper excludes, are ordered by a fixed generic linear function and not counted. Cells that are unbounded above in F
are left out, so the homology is relative to minus infinity; the comparison with gudhi uses ordinary homology.

Runtime: smoke 1 s, full 2 min.
"""

from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import gudhi
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from separatrix import topology
from separatrix.atlas import Outcome, Scale, Study, at_most
from separatrix.atlas.look import DECAY, GROW, INK, RULE

STUDY = Study(
    key="brooks2024",
    authors="Brooks, Robyn and Masden, Marissa",
    title="Combinatorial Regularity for Relatively Perfect Discrete Morse Gradient Vector Fields of ReLU Neural Networks",
    venue="arXiv",
    year=2024,
    arxiv="2412.18005",
    question="Can the topology of what a ReLU network computes be read off a combinatorial gradient, exactly?",
    methods=("discrete Morse theory", "ReLU complexes", "persistent homology"),
    symptoms=("which critical points",),
    picture="Left: a trained network with two inputs, its linear regions, and its critical vertices: minima as discs, saddles "
    "as crosses, maxima as triangles. Right: critical cells of the exact gradient against those of a gradient on a grid.",
    size=(7.6, 3.4),
    needs=("topology", "dev"),
)


def run(scale: Scale) -> Outcome:
    kinds = {(2, 8, 1): (3, 50), (2, 10, 5, 1): (2, 50), (3, 6, 4, 1): (1, 20)}
    nets = [random_network(widths, seed) for widths, count in kinds.items() for seed in scale.seeds(*count)]
    trained = [fitted(seed, steps=scale.pick(20, 600)) for seed in scale.seeds(1, 10)]
    pairs = [(net, topology.relu_complex(net)) for net in [*trained, *nets]]
    found = [measure(complex) for _, complex in pairs]
    flat = [(net, complex) for net, complex in pairs if complex.dimension == 2]
    gaps = [sublevel_gap(net, complex, points=scale.pick(200, 900)) for net, complex in flat]
    coarse = [(sum(topology.pl_critical(complex).counts), grid_cells(net)) for net, complex in flat]
    single = [is_alone(d, index) for d in (1, 2, 3) for index in range(d + 1)]
    never = partial(at_most, bound=0, over="every")
    theorem = partial(never, closed_form=True)
    return Outcome(
        claims=(
            theorem("Networks whose pairing is no gradient (a mismatch or a closed path).", [f[0] for f in found]),
            theorem("Critical cells without their critical vertex, or the other way round.", [f[1] for f in found]),
            theorem("Alternating sum of critical cells minus the Euler characteristic.", [f[2] for f in found]),
            theorem("Critical cells, away from flat edges, that change no homology.", [f[3] for f in found]),
            never("Betti numbers of a sublevel set, exact against gudhi's on a grid: largest difference.", gaps),
            theorem(
                "Indices in dimensions 1 to 3 that one hidden layer cannot have alone.", [not one for one in single]
            ),
        ),
        controls=(never("A gradient on a grid of 100 x 100: critical cells too many.", [b - a for a, b in coarse]),),
        figure={**portrait(*pairs[0]), "counts": [list(pair) for pair in coarse]},
        notes=(
            "The Betti numbers of the grid are those that persist across the widest gap between values at vertices; without "
            "that, single grid points of thin wedges count as components.",
            "On a first run with 600 points a side one network, with vertices 5000 away, differed by one; from 900 on none does.",
        ),
    )


def random_network(widths: tuple[int, ...], seed: int) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = [layer for before, after in pairwise(widths) for layer in (nn.Linear(before, after), nn.ReLU())]
    return nn.Sequential(*layers[:-1]).double()


def fitted(seed: int, steps: int) -> nn.Sequential:
    """A network 2-16-16-1 trained on two bumps and a dent."""
    net = random_network((2, 16, 16, 1), seed)
    x = 4 * torch.rand(400, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 2
    target = sum(
        s * torch.exp(-3 * (x - torch.tensor(c)).square().sum(1)) for s, *c in [(1, -1, 0), (1, 1, 0.5), (-1, 0, -1)]
    )
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        (net(x)[:, 0] - target).square().mean().backward()
        optimizer.step()
    return net


def measure(complex: topology.ReLUComplex) -> tuple[float, ...]:
    """What must be zero: is it no gradient, unmatched cells, Euler characteristic, cells that change nothing."""
    critical, field = topology.pl_critical(complex), topology.pl_gradient(complex)
    cells = field.gradient.critical()
    own = cells[~field.flat[cells]]
    at = sorted(zip(field.vertex[own].tolist(), field.gradient.complex.dims[own].tolist(), strict=True))
    expected = sorted(zip(critical.cells.tolist(), critical.index.tolist(), strict=True))
    signed = sum((-1) ** k * count for k, count in enumerate(field.gradient.counts))
    bars = topology.persistence(field.gradient)
    ended = 2 * int((bars.lengths > 0).sum()) - int(bars.deaths.isinf().sum())
    valid = field.gradient.is_matching() and field.gradient.is_acyclic()
    euler = abs(signed - field.gradient.complex.euler_characteristic)
    return not valid, len(set(at) ^ set(expected)), euler, len(cells) - ended if critical.is_pl_morse else 0


def sublevel_gap(net: nn.Sequential, complex: topology.ReLUComplex, points: int) -> int:
    """How far the Betti numbers of ``{F <= c}`` are from gudhi's, c in the widest gap of the middle values."""
    values = complex.values[:, 0].sort().values
    middle = values[len(values) // 4 : len(values) - len(values) // 4]
    k = int(middle.diff().argmax())
    level, half = float(middle[k] + middle[k + 1]) / 2, 0.45 * float(middle[k + 1] - middle[k])
    exact = topology.relu_level_set(net, level).sublevel_betti_numbers()[:2]
    reach = torch.asinh(7.5 * complex.vertices.abs().max())  # fine near the origin, and all vertices inside
    axis = torch.sinh(torch.linspace(-1, 1, points, dtype=torch.float64) * reach) / 5
    cubes = gudhi.CubicalComplex(vertices=sampled(net, axis).numpy())
    cubes.compute_persistence()
    return max(
        abs(a - b) for a, b in zip(exact, cubes.persistent_betti_numbers(level - half, level + half), strict=False)
    )


def sampled(net: nn.Sequential, axis: Tensor) -> Tensor:
    with torch.no_grad():
        values: Tensor = net(torch.cartesian_prod(axis, axis))
    return values.reshape(len(axis), len(axis))


def grid_cells(net: nn.Sequential) -> int:
    axis = torch.linspace(-3, 3, 100, dtype=torch.float64)
    return sum(topology.lower_star_gradient(topology.CubicalComplex((100, 100)), sampled(net, axis)).counts)


def is_alone(d: int, index: int) -> bool:
    """Whether ``F = sum_i s_i (2 relu(x_i + i / 10) + relu(50 + i - x_i))``, ``index`` signs negative, has that one vertex."""
    net = nn.Sequential(nn.Linear(d, 2 * d), nn.ReLU(), nn.Linear(2 * d, 1)).double()
    i, signs = torch.arange(1, d + 1), torch.tensor([-1.0] * index + [1.0] * (d - index))
    weights = {"0.weight": torch.cat([torch.eye(d), -torch.eye(d)]), "0.bias": torch.cat([i / 10, 50.0 + i])}
    net.load_state_dict({**weights, "2.weight": torch.cat([2 * signs, signs])[None], "2.bias": torch.zeros(1)})
    counts = topology.pl_critical(topology.relu_complex(net)).counts
    return counts == tuple(int(k == index) for k in range(d + 1))


def portrait(net: nn.Sequential, complex: topology.ReLUComplex) -> dict[str, Any]:
    critical, axis = topology.pl_critical(complex), torch.linspace(-2, 2, 33, dtype=torch.float64)
    cells = complex.chain_complex
    faces = [cells.faces[cells.offsets[e] : cells.offsets[e + 1]] for e in cells.cells(1).tolist()]
    ends = torch.stack([complex.vertices[pair] for pair in faces if len(pair) == 2])
    near = (ends.abs() < 2.5).all(dim=2).any(dim=1)
    inside = (critical.points.abs() < 2).all(dim=1)
    return {
        "axis": axis.tolist(),
        "values": sampled(net, axis).T.tolist(),
        "edges": ends[near].tolist(),
        "critical": [
            [*p, k] for p, k in zip(critical.points[inside].tolist(), critical.index[inside].tolist(), strict=True)
        ],
    }


def draw(figure: Figure, data: Mapping[str, Any]) -> None:
    left, right = figure.subplots(1, 2)
    left.contour(data["axis"], data["axis"], data["values"], levels=12, colors=RULE, linewidths=0.8)
    for (x, y), (u, v) in data["edges"]:
        left.plot([x, u], [y, v], color=RULE, lw=0.6)
    for index, marker, colour in ((0, "o", DECAY), (1, "x", INK), (2, "^", GROW)):
        points = [p for p in data["critical"] if p[2] == index]
        left.plot([p[0] for p in points], [p[1] for p in points], marker, color=colour, ms=5, ls="")
    left.set(xlim=(-2, 2), ylim=(-2, 2), aspect="equal", xticks=[-2, 0, 2], yticks=[-2, 0, 2])
    right.plot([a for a, _ in data["counts"]], [b for _, b in data["counts"]], "o", color=DECAY, ms=4, alpha=0.6)
    most = max(max(pair) for pair in data["counts"])
    right.plot([0, most], [0, most], color=INK, lw=0.8)
    right.set(xlabel="critical vertices, exact", ylabel="critical cells of a grid", yscale="symlog")
