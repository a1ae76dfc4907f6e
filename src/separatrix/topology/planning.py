"""Motion planning by discrete Morse theory: rooms, passages between them, and one route for each homotopy class.

The field descends minus the clearance. Its minima are the middles of rooms, its critical edges the narrowest places
of passages, and the V-paths from a critical edge lead to the two rooms it joins. The union of these V-paths is a
graph in the plane; its routes that never meet themselves stand for the homotopy classes.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.topology.cancellation import cancel
from separatrix.topology.cubical import CubicalComplex
from separatrix.topology.gradient import DiscreteGradient
from separatrix.topology.lower_stars import lower_star_gradient
from separatrix.topology.manifolds import v_paths
from separatrix.topology.persistence import persistence
from separatrix.topology.skeleton import draw_skeleton, simple_routes
from separatrix.topology.taut import TautPath, pull_taut
from separatrix.topology.worlds import World

MOST_STEPS = 2_000_000  # of the search for routes

__all__ = ["Passage", "Plan", "Route", "plan_routes"]


@dataclass(frozen=True, eq=False)
class Passage:
    """The narrowest place of a corridor between two rooms.

    Args:
        rooms: the rooms it joins, as positions in ``Plan.rooms``.
        clearance: half the gap between the two obstacles that narrow it.
        path: ``(k, 2)`` grid points from the middle of one room to that of the other.
    """

    rooms: tuple[int, int]
    clearance: float
    path: Tensor


@dataclass(frozen=True, eq=False)
class Route:
    """One homotopy class of paths from start to goal.

    Args:
        passages: positions in ``Plan.passages``, in order.
        clearance: that of the narrowest passage, infinity if the route crosses none.
        homotopy_class: the reduced word of :meth:`World.homotopy_class`.
        path: ``(k, 2)`` the route through the middles of rooms and passages, on the grid.
        shortest: the shortest path of the class (which may have less clearance elsewhere).
    """

    passages: tuple[int, ...]
    clearance: float
    homotopy_class: tuple[int, ...]
    path: Tensor
    shortest: TautPath


@dataclass(frozen=True, eq=False)
class Plan:
    """Rooms, passages, and routes from the widest to the narrowest, then by length.

    Args:
        rooms: ``(m, 2)`` the middles of the rooms.
        passages: the passages between them.
        routes: one for each homotopy class found.
        betti_numbers: ``(components, holes)`` of the free space on the grid.
        complete: False if there may be more classes: the search was stopped by ``max_routes`` or its own limit, or
            the grid closes a corridor (``betti_numbers[1]`` differs from ``len(world.holes)``: raise resolution).
    """

    rooms: Tensor
    passages: tuple[Passage, ...]
    routes: tuple[Route, ...]
    betti_numbers: tuple[int, ...]
    complete: bool


def plan_routes(
    world: World,
    start: tuple[float, float],
    goal: tuple[float, float],
    *,
    resolution: int = 121,
    min_persistence: float | None = None,
    max_routes: int = 1000,
) -> Plan:
    """The homotopy classes of routes that never meet themselves, with the clearance of each and its shortest path.

    There are infinitely many classes, as a path may wind round an obstacle at will. Those listed are the classes
    of simple paths on the skeleton of V-paths from start, goal and all passages: each corridor is used once.

    Args:
        world: box and discs.
        start: a free point.
        goal: a free point.
        resolution: grid points along the longer side. Corridors narrower than two spacings may close.
        min_persistence: rooms shallower than this are merged; three grid spacings if None, because the
            medial axis on a grid is a staircase.
        max_routes: stop after so many routes on the skeleton; several may be of one class.

    Raises:
        InputError: start or goal is not free or too close to an obstacle for the grid, a hole contains no grid
            point, or a bound is below its least value.

    Cost: the gradient on ``resolution^2`` vertices, and some 10 ms for the shortest path of each class.
    """
    for point, name in ((start, "start"), (goal, "goal")):
        world.require_free(point, name)
    if resolution < 3 or max_routes < 1:
        raise InputError(f"resolution must be at least 3 and max_routes 1, got {resolution}, {max_routes}.")
    grid, points = sample(world, resolution)
    spacing = float(points[1, 1] - points[0, 1])
    clearance = world.clearance(points)
    for hole in world.holes:
        if not bool((world.distances(points)[:, 4 + hole] <= 0).any()):
            raise InputError(f"Disc {hole} contains no grid point: raise resolution above {resolution}.")
    # Obstacles stand far above free space, so that no small disc is cancelled as noise.
    wall = float(clearance.max()) * 10
    height = torch.where(clearance > 0, -clearance, wall - clearance).reshape(grid.shape)
    raw = lower_star_gradient(grid, height)
    betti = persistence(raw).betti_numbers(wall / 2)[:2]
    threshold = 3 * spacing if min_persistence is None else min_persistence
    gradient = cancel(raw, min_persistence=threshold).gradient

    minima = gradient.critical(0)[gradient.critical_values(0) < 0]
    edges = gradient.critical(1)[gradient.critical_values(1) < 0]
    passages = find_passages(world, grid, points, gradient, minima, edges)
    first, last = (nearest_vertex(world, grid, points, point) for point in (start, goal))
    graph = draw_skeleton(gradient, edges.tolist(), (first, last))
    paths, complete = collect(simple_routes(graph, first, last), max_routes)
    ends = torch.tensor([start, goal], dtype=torch.float64)
    routes: dict[tuple[int, ...], Route] = {}
    for vertices in paths:
        path = torch.cat([ends[:1], place(grid, points, torch.tensor(vertices)), ends[1:]])
        word = world.homotopy_class(path)
        steps = passages_on(vertices, grid, edges)
        width = min((passages[step].clearance for step in steps), default=math.inf)
        if word not in routes or width > routes[word].clearance:
            routes[word] = Route(steps, width, word, path, pull_taut(world, path))
    ordered = sorted(routes.values(), key=lambda route: (-route.clearance, route.shortest.length))
    complete = complete and betti[1] == len(world.holes)
    return Plan(place(grid, points, minima), passages, tuple(ordered), betti, complete)


def collect(search: Iterator[list[int] | None], max_routes: int) -> tuple[list[list[int]], bool]:
    """The routes that a search finds within its budget, and whether it came to its end."""
    found: list[list[int]] = []
    for step, path in enumerate(search):
        if step == MOST_STEPS or (path is not None and len(found) == max_routes):
            return found, False
        if path is not None:
            found.append(path)
    return found, True


def passages_on(vertices: list[int], grid: CubicalComplex, edges: Tensor) -> tuple[int, ...]:
    """The positions, in a list of critical edges, of those that a path of vertices crosses, in order."""
    number = {edge: position for position, edge in enumerate(edges.tolist())}
    # On the doubled grid an edge lies in the middle of its ends.
    crossed = ((one + other) // 2 for one, other in pairwise(vertices))
    return tuple(number[edge] for edge in crossed if edge in number)


def find_passages(
    world: World, grid: CubicalComplex, points: Tensor, gradient: DiscreteGradient, minima: Tensor, edges: Tensor
) -> tuple[Passage, ...]:
    """The passages at the critical edges in free space, each with the exact clearance of its gap.

    The grid's value is kept where the two nearest obstacles do not explain it to within one spacing.
    """
    spacing = float(points[1, 1] - points[0, 1])
    room_of = {cell: number for number, cell in enumerate(minima.tolist())}
    passages: list[Passage] = []
    for edge in edges.tolist():
        one, other = (path[1::2] for path in v_paths(gradient, edge).paths)
        path = place(grid, points, torch.cat([one.flip(0), other]))
        middle = path[len(one) - 1 : len(one) + 1].mean(dim=0)
        coarse, exact = float(world.clearance(middle[None])), world.half_gap(middle)
        rooms = (room_of[int(one[-1])], room_of[int(other[-1])])
        passages.append(Passage(rooms, exact if abs(exact - coarse) <= spacing else coarse, path))
    return tuple(passages)


def sample(world: World, resolution: int) -> tuple[CubicalComplex, Tensor]:
    """A grid over the box with equal spacing, and the points ``(vertices, 2)``."""
    sides = [high - low for low, high in zip(world.lower, world.upper, strict=True)]
    sizes = [max(3, round((resolution - 1) * side / max(sides)) + 1) for side in sides]
    axes = [
        torch.linspace(low, high, size, dtype=torch.float64)
        for low, high, size in zip(world.lower, world.upper, sizes, strict=True)
    ]
    return CubicalComplex(tuple(sizes)), torch.cartesian_prod(*axes)


def place(grid: CubicalComplex, points: Tensor, vertices: Tensor) -> Tensor:
    """The points ``(k, 2)`` of vertices given as cells."""
    return points[torch.searchsorted(grid.vertices, vertices)]


def nearest_vertex(world: World, grid: CubicalComplex, points: Tensor, point: tuple[float, float]) -> int:
    """The grid vertex nearest to a point, as a cell; it must be nearer than any obstacle."""
    origin = torch.tensor([point], dtype=torch.float64)
    distance, number = (points - origin).norm(dim=1).min(dim=0)
    clearance = float(world.clearance(origin))
    if clearance <= float(distance):
        raise InputError(
            f"{tuple(point)} has clearance {clearance:.4g}, but the nearest grid point is {float(distance):.4g} away: "
            "raise resolution."
        )
    return int(grid.vertices[int(number)])
