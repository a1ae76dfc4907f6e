"""Discrete Morse theory and persistence find every hole of a robot's free space and, with it, ways to the goal that differ in kind.

[goldfarb2024, sections 2 to 4]

Checked: in random planar worlds with up to six round obstacles, that the free space has as many classes of loops as obstacles,
on a grid and in the modified Rips complex of sampled points (cliques of feasible segments); the Euler characteristic of the
critical cells; that planning by passages finds at least one way more than there are obstacles, all of different homotopy
class; and that the shortest of them is no longer than the best path on a grid.

Not reproduced: the survey states problems and methods rather than results, and has no benchmark. Arms, several robots,
trap-free functions and higher dimension are left out.

Paper and code: the survey builds gradients on sampled complexes with ExtractRaw; on grids we use lower stars [robins2011],
which are optimal in the plane. It asks for *all* classes; there are infinitely many, and those listed do not repeat a corridor.

Runtime: smoke 1 s, full 18 s.
"""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import gudhi
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from torch import Tensor

from separatrix import topology
from separatrix.atlas import Outcome, Scale, Study, at_least, at_most
from separatrix.atlas.look import ACCENT, DECAY, GROW, RULE, UNSURE

STUDY = Study(
    key="goldfarb2024",
    authors="Goldfarb, Boris",
    title="Some geometric and topological data-driven methods in robot motion path planning",
    venue="arXiv",
    year=2024,
    arxiv="2403.12725",
    question="Does a planner that knows the topology of the free space find the ways that sampling misses?",
    methods=("discrete Morse theory", "persistent homology", "motion planning"),
    symptoms=("narrow passages",),
    picture="Left: a world with three obstacles and the shortest path of each class found. Right: classes found by passages "
    "and by twenty random roadmaps, against the number of obstacles.",
    size=(7.4, 3.3),
    needs=("topology", "dev"),
)
START, GOAL = (-0.9, 0.0), (0.9, 0.0)


def run(scale: Scale) -> Outcome:
    worlds = [(k, random_world(k, seed)) for k in scale.pick((1, 3), (1, 2, 3, 4, 5, 6)) for seed in scale.seeds(2, 10)]
    plans = [topology.plan_routes(world, START, GOAL, resolution=scale.pick(81, 121)) for _, world in worlds]
    loops = {
        feasible: [alive_loops(world, k, seed, feasible) - k for seed, (k, world) in enumerate(worlds)]
        for feasible in (True, False)
    }
    roadmaps = [{roadmap_class(world, seed) for seed in range(scale.pick(6, 20))} - {None} for _, world in worlds]
    kept = [
        sum(world.homotopy_class(r.shortest.points) != r.homotopy_class for r in plan.routes)
        for (_, world), plan in zip(worlds, plans, strict=True)
    ]
    best = [
        min(r.shortest.length for r in plan.routes) / grid_length(world)
        for (_, world), plan in zip(worlds, plans, strict=True)
    ]
    never = partial(at_most, bound=0, over="every")
    spare = partial(at_least, bound=0, over="every")
    return Outcome(
        claims=(
            never(
                "Loops on the grid, minus obstacles.",
                [abs(p.betti_numbers[1] - k) for (k, _), p in zip(worlds, plans, strict=True)],
            ),
            never(
                "Euler characteristic of the critical cells, minus (1 - obstacles).",
                [euler_gap(k, w) for k, w in worlds],
            ),
            never(
                "Loops in the Rips complex of feasible segments on 300 samples, minus obstacles.", map(abs, loops[True])
            ),
            spare(
                "Classes of routes found, minus (obstacles + 1).",
                [len(p.routes) - k - 1 for (k, _), p in zip(worlds, plans, strict=True)],
            ),
            never("Shortest paths that left their class when pulled taut.", kept),
            at_most(
                "Length of the shortest path found, over that of the best path on a grid.", best, 1 + 1e-9, over="every"
            ),
        ),
        controls=(
            never("Loops in the plain Rips complex of the same samples, minus obstacles.", map(abs, loops[False])),
            spare(
                "Classes found by random roadmaps, minus (obstacles + 1).",
                [len(found) - k - 1 for (k, _), found in zip(worlds, roadmaps, strict=True)],
            ),
        ),
        figure={
            **scene(*next((w, p) for (k, w), p in zip(worlds, plans, strict=True) if k == 3)),
            "counts": [[k, len(p.routes), len(r)] for (k, _), p, r in zip(worlds, plans, roadmaps, strict=True)],
        },
    )


def random_world(k: int, seed: int) -> topology.World:
    """``k`` discs of radius 0.08 to 0.2 with at least 0.08 between them and to the walls."""
    generator = torch.Generator().manual_seed(100 * seed + k)
    discs: list[tuple[float, float, float]] = []
    while len(discs) < k:
        a, b, c = torch.rand(3, generator=generator, dtype=torch.float64).tolist()
        x, y, r = 1.12 * a - 0.56, 1.6 * b - 0.8, 0.08 + 0.12 * c
        if abs(y) < 0.92 - r and all(math.dist((x, y), d[:2]) > r + d[2] + 0.08 for d in discs):
            discs.append((x, y, r))
    return topology.World((-1, -1), (1, 1), tuple(d[:2] for d in discs), tuple(d[2] for d in discs))


def samples(world: topology.World, count: int, seed: int) -> Tensor:
    points = 2 * torch.rand(8 * count, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 1
    return points[world.clearance(points) > 0]


def alive_loops(world: topology.World, k: int, seed: int, feasible: bool, reach: float = 0.3) -> int:
    """Classes of loops born below 0.6 of the reach that are still there at the reach."""
    spread = gudhi.subsampling.choose_n_farthest_points(
        samples(world, 300, seed).numpy(), nb_points=300, starting_point=0
    )
    points = torch.tensor(spread, dtype=torch.float64)
    tree = gudhi.SimplexTree()
    for vertex in range(len(points)):
        tree.insert([vertex], 0.0)
    graph = topology.roadmap(world, points, reach=reach, feasible=feasible)
    for pair, length in zip(graph.pairs.tolist(), graph.lengths.tolist(), strict=True):
        tree.insert(pair, length)
    tree.expansion(2)
    tree.compute_persistence(homology_coeff_field=2)
    return sum(
        birth <= 0.6 * reach and death == math.inf for birth, death in tree.persistence_intervals_in_dimension(1)
    )


def euler_gap(k: int, world: topology.World) -> int:
    axis = torch.linspace(-1, 1, 121, dtype=torch.float64)
    clearance = world.clearance(torch.cartesian_prod(axis, axis))
    height = torch.where(clearance > 0, -clearance, 10 - clearance).reshape(121, 121)
    gradient = topology.lower_star_gradient(topology.CubicalComplex((121, 121)), height)
    return abs(sum((-1) ** d * int((gradient.critical_values(d) < 0).sum()) for d in range(3)) - (1 - k))


def roadmap_class(world: topology.World, seed: int) -> tuple[int, ...] | None:
    points = torch.cat([torch.tensor([START, GOAL], dtype=torch.float64), samples(world, 60, seed)[:60]])
    length, path = topology.roadmap(world, points, reach=0.5).shortest_path(0, 1)
    return world.homotopy_class(points[path]) if math.isfinite(length) else None


def grid_length(world: topology.World) -> float:
    axis = torch.linspace(-1, 1, 41, dtype=torch.float64)
    points = torch.cartesian_prod(axis, axis)
    ends = torch.tensor([START, GOAL], dtype=torch.float64)
    grid = topology.roadmap(world, torch.cat([ends, points[world.clearance(points) > 0]]), reach=0.16)
    return grid.shortest_path(0, 1)[0]


def scene(world: topology.World, plan: topology.Plan) -> dict[str, Any]:
    paths = [route.shortest.points[:: max(1, len(route.shortest.points) // 60)].tolist() for route in plan.routes]
    return {"discs": [[*c, r] for c, r in zip(world.centres, world.radii, strict=True)], "paths": paths}


def draw(figure: Figure, data: Mapping[str, Any]) -> None:
    left, right = figure.subplots(1, 2)
    for x, y, r in data["discs"]:
        left.add_patch(Circle((x, y), r, color=RULE))
    for path, colour in zip(data["paths"], (DECAY, GROW, ACCENT, UNSURE) * 5, strict=False):
        left.plot([p[0] for p in path], [p[1] for p in path], color=colour, lw=1.4)
    left.plot(*zip(START, GOAL, strict=True), "o", color="black", ms=5)
    left.set(xlim=(-1, 1), ylim=(-1, 1), aspect="equal", xticks=[], yticks=[])
    for shift, column, marker, colour, name in ((-0.1, 1, "o", DECAY, "passages"), (0.1, 2, "x", GROW, "roadmaps")):
        right.plot(
            [c[0] + shift for c in data["counts"]],
            [c[column] for c in data["counts"]],
            marker,
            color=colour,
            ls="",
            ms=5,
            label=name,
        )
    right.set(xlabel="obstacles", ylabel="classes found", yscale="log")
    right.legend()
