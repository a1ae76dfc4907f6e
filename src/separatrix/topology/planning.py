"""Motion planning by discrete Morse theory: rooms, passages between them, and one route for each homotopy class.

The field descends minus the clearance. Its minima are the middles of rooms, its critical edges the narrowest places
of passages, and the V-paths from a critical edge lead to the two rooms it joins.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.topology.cancellation import cancel
from separatrix.topology.cubical import CubicalComplex
from separatrix.topology.gradient import DiscreteGradient
from separatrix.topology.lower_stars import lower_star_gradient
from separatrix.topology.manifolds import v_paths
from separatrix.topology.persistence import persistence
from separatrix.topology.taut import TautPath, pull_taut
from separatrix.topology.worlds import World

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
        clearance: that of the narrowest passage, infinity if start and goal share a room.
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
        routes: one for each homotopy class without repeated rooms.
        betti_numbers: of the free space on the grid.
        complete: False if ``max_routes`` stopped the search; there are then more classes.
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
    """All homotopy classes of simple routes, with the clearance of each and its shortest path.

    Args:
        world: box and discs.
        start: a free point.
        goal: a free point.
        resolution: grid points along the longer side. Corridors narrower than two spacings close.
        min_persistence: rooms shallower than this are merged; three grid spacings if None, because the
            medial axis on a grid is a staircase.
        max_routes: stop after so many routes through the graph of rooms.

    Raises:
        InputError: start or goal is not free, a hole contains no grid point, or a bound below its least value.

    Cost: the gradient on ``resolution^2`` vertices, and some tenths of a second for the shortest path of each class.
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
    betti = persistence(raw).betti_numbers(wall / 2)
    threshold = 3 * spacing if min_persistence is None else min_persistence
    gradient = cancel(raw, min_persistence=threshold).gradient

    minima = gradient.critical(0)[gradient.critical_values(0) < 0]
    room_of = {cell: number for number, cell in enumerate(minima.tolist())}
    passages = find_passages(world, grid, points, gradient, room_of)
    first, arrival = descend(world, grid, points, gradient, start)
    last, departure = descend(world, grid, points, gradient, goal)
    routes: dict[tuple[int, ...], Route] = {}
    complete = True
    for number, (steps, pieces) in enumerate(simple_routes(passages, room_of[first], room_of[last])):
        if number == max_routes:
            complete = False
            break
        path = torch.cat([arrival, *pieces, departure.flip(0)])
        word = world.homotopy_class(path)
        width = min((passages[step].clearance for step in steps), default=torch.inf)
        if word not in routes or width > routes[word].clearance:
            routes[word] = Route(steps, width, word, path, pull_taut(world, path))
    ordered = sorted(routes.values(), key=lambda route: (-route.clearance, route.shortest.length))
    return Plan(place(grid, points, minima), passages, tuple(ordered), betti, complete)


def find_passages(
    world: World, grid: CubicalComplex, points: Tensor, gradient: DiscreteGradient, room_of: dict[int, int]
) -> tuple[Passage, ...]:
    """The passages at the critical edges in free space, each with the exact clearance of its gap.

    The grid's value is kept where the two nearest obstacles do not explain it to within one spacing.
    """
    spacing = float(points[1, 1] - points[0, 1])
    passages: list[Passage] = []
    for edge in gradient.critical(1)[gradient.critical_values(1) < 0].tolist():
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


def descend(
    world: World, grid: CubicalComplex, points: Tensor, gradient: DiscreteGradient, point: tuple[float, float]
) -> tuple[int, Tensor]:
    """The room of a point, as a critical vertex, and the way there."""
    origin = torch.tensor([point], dtype=torch.float64)
    free = world.clearance(points) > 0
    distances = torch.where(free, (points - origin).norm(dim=1), torch.inf)
    vertex = int(grid.vertices[int(distances.argmin())])
    cells = [vertex]
    while int(gradient.mate[vertex]) != vertex:
        edge = int(gradient.mate[vertex])
        vertex = 2 * edge - vertex  # the other end: cells along a row of the doubled grid are evenly numbered
        cells.append(vertex)
    return vertex, torch.cat([origin, place(grid, points, torch.tensor(cells))])


def simple_routes(
    passages: tuple[Passage, ...], start: int, goal: int
) -> Iterator[tuple[tuple[int, ...], list[Tensor]]]:
    """Routes from room to room that enter no room twice: their passages, and the paths in walking order."""
    stack: list[tuple[int, tuple[int, ...], list[Tensor], frozenset[int]]] = [(start, (), [], frozenset([start]))]
    while stack:
        room, steps, paths, entered = stack.pop()
        if room == goal:
            yield steps, paths
            continue
        for number, passage in enumerate(passages):
            for here, there, path in (
                (*passage.rooms, passage.path),
                (*passage.rooms[::-1], passage.path.flip(0)),
            ):
                if here == room and there not in entered:
                    stack.append((there, (*steps, number), [*paths, path], entered | {there}))
