"""A planar world for motion planning: a box with round obstacles, its clearance and its homotopy classes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from separatrix.errors import InputError

__all__ = ["World"]


@dataclass(frozen=True)
class World:
    """The box ``[lower, upper]`` in the plane without the discs; discs may overlap each other and the walls.

    Args:
        lower: the lower left corner.
        upper: the upper right corner.
        centres: the centres of the discs.
        radii: their radii.

    Raises:
        InputError: an empty box, a radius that is not positive, or lists of different lengths.

    Example:
        >>> world = World((-1.0, -1.0), (1.0, 1.0), centres=((0.0, 0.0),), radii=(0.5,))
        >>> world.clearance(torch.tensor([[0.0, 0.75]])).item()
        0.25
    """

    lower: tuple[float, float]
    upper: tuple[float, float]
    centres: tuple[tuple[float, float], ...]
    radii: tuple[float, ...]

    def __post_init__(self) -> None:
        if not (self.lower[0] < self.upper[0] and self.lower[1] < self.upper[1]):
            raise InputError(f"lower must lie below upper in both coordinates, got {self.lower}, {self.upper}.")
        if len(self.centres) != len(self.radii):
            raise InputError(f"centres and radii must match, got {len(self.centres)} and {len(self.radii)}.")
        if any(not radius > 0 for radius in self.radii):
            raise InputError(f"radii must be positive, got {self.radii}.")

    def distances(self, points: Tensor) -> Tensor:
        """``(k, 4 + discs)`` signed distances of points ``(k, 2)`` to the walls and discs, negative inside.

        Walls come first: left, bottom, right, top.
        """
        points = points.to(torch.float64)
        lower, upper = (torch.tensor(corner, dtype=torch.float64) for corner in (self.lower, self.upper))
        centres = torch.tensor(self.centres, dtype=torch.float64).reshape(-1, 2)
        to_centres = torch.hypot(points[:, None, 0] - centres[:, 0], points[:, None, 1] - centres[:, 1])
        to_discs = to_centres - torch.tensor(self.radii, dtype=torch.float64)
        return torch.cat([points - lower, upper - points, to_discs], dim=1)

    def clearance(self, points: Tensor) -> Tensor:
        """``(k,)``: the distance of each point to the nearest obstacle or wall, negative inside one."""
        return self.distances(points).min(dim=1).values

    def half_gap(self, point: Tensor) -> float:
        """Half the width of the gap between the two obstacles nearest to a point: a corridor's exact clearance."""
        first, second = (int(i) for i in self.distances(point[None])[0].topk(2, largest=False).indices.sort().values)
        if second < 4:
            return (self.upper[second % 2] - self.lower[second % 2]) / 2 if second - first == 2 else 0.0
        disc, radius = self.centres[second - 4], self.radii[second - 4]
        if first < 4:
            wall = (*self.lower, *self.upper)[first]
            return (abs(disc[first % 2] - wall) - radius) / 2
        return (math.dist(self.centres[first - 4], disc) - self.radii[first - 4] - radius) / 2

    @cached_property
    def holes(self) -> tuple[int, ...]:
        """One disc for each connected group of discs that touches no wall: the generators of the free space's loops."""
        group = list(range(len(self.radii)))
        at_wall = set()
        for i, (centre, radius) in enumerate(zip(self.centres, self.radii, strict=True)):
            point = torch.tensor([centre], dtype=torch.float64)
            if float(self.distances(point)[0, :4].min()) <= radius:
                at_wall.add(i)
            for j in range(i):
                if math.dist(centre, self.centres[j]) <= radius + self.radii[j]:
                    old, new = group[i], group[j]
                    group = [new if g == old else g for g in group]
        touching = {group[i] for i in at_wall}
        return tuple(sorted({group.index(g) for g in group if g not in touching}))

    @cached_property
    def ray_direction(self) -> tuple[float, float]:
        """A direction in which parallel rays from the holes' centres keep apart."""
        angles = [math.pi / 2 + 0.01 * step for step in range(100)]

        def separation(angle: float) -> float:
            places = sorted(
                self.centres[i][0] * math.sin(angle) - self.centres[i][1] * math.cos(angle) for i in self.holes
            )
            return min((b - a for a, b in pairwise(places)), default=math.inf)

        best = max(angles, key=separation)
        return math.cos(best), math.sin(best)

    def homotopy_class(self, path: Tensor) -> tuple[int, ...]:
        """The reduced word of a path ``(k, 2)``: two paths with the same ends are homotopic iff their words agree.

        Parallel rays are cast from the centres of the holes. Crossing the ``j``-th (counted from 1) from its left to
        its right writes ``j``, back again ``-j``, and neighbours ``j, -j`` cancel: the word of the path in the free
        fundamental group of the plane without the centres.
        """
        word: list[int] = []
        across, along = self.ray_direction
        points = path.to(torch.float64)
        for a, b in zip(points[:-1].tolist(), points[1:].tolist(), strict=True):
            crossings: list[tuple[float, int]] = []
            for number, hole in enumerate(self.holes, start=1):
                centre = self.centres[hole]
                # Coordinates relative to the ray: side of its line, and how far along it.
                sides = [(p[0] - centre[0]) * along - (p[1] - centre[1]) * across for p in (a, b)]
                if (sides[0] < 0) == (sides[1] < 0):
                    continue
                share = sides[0] / (sides[0] - sides[1])
                met = [p + share * (q - p) for p, q in zip(a, b, strict=True)]
                if (met[0] - centre[0]) * across + (met[1] - centre[1]) * along > 0:
                    crossings.append((share, number if sides[0] < 0 else -number))
            for _, letter in sorted(crossings):
                if word and word[-1] == -letter:
                    word.pop()
                else:
                    word.append(letter)
        return tuple(word)

    def require_free(self, point: Sequence[float], name: str) -> None:
        """Refuse a point outside the box or inside a disc."""
        clearance = float(self.clearance(torch.tensor([tuple(point)], dtype=torch.float64)))
        if not clearance > 0:
            raise InputError(f"{name} must lie in free space, got {tuple(point)} with clearance {clearance:.4g}.")
