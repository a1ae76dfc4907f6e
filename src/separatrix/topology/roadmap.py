"""Roadmaps: sampled points of a free space, joined where the segment between them is free.

Their cliques are the modified Vietoris-Rips complex of motion planning [goldfarb2024, section 3]: an obstacle stays a hole
however far segments reach, as long as no clique surrounds it.
"""

import math
from dataclasses import dataclass

import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from torch import Tensor

from separatrix.errors import InputError
from separatrix.topology.worlds import World

__all__ = ["Roadmap", "roadmap"]


@dataclass(frozen=True, eq=False)
class Roadmap:
    """Points and the segments between them.

    Attributes:
        points: ``(n, 2)``.
        pairs: ``(e, 2)`` int64, ``i < j``.
        lengths: ``(e,)``.
    """

    points: Tensor
    pairs: Tensor
    lengths: Tensor

    def shortest_path(self, start: int, goal: int) -> tuple[float, Tensor]:
        """Length and point numbers ``(k,)`` of the shortest path; infinity and no points where there is none.

        Cost: O(e + n log n).
        """
        n = len(self.points)
        if not (0 <= start < n and 0 <= goal < n):
            raise InputError(f"start and goal must be numbers of points below {n}, got {start}, {goal}.")
        graph = csr_array((self.lengths.numpy(), self.pairs.T.numpy()), shape=(n, n))
        lengths, before = dijkstra(graph, directed=False, indices=start, return_predecessors=True)
        if math.isinf(lengths[goal]):
            return math.inf, torch.zeros(0, dtype=torch.int64)
        path = [goal]
        while path[-1] != start:
            path.append(int(before[path[-1]]))
        return float(lengths[goal]), torch.tensor(path[::-1])


def roadmap(world: World, points: Tensor, *, reach: float, feasible: bool = True) -> Roadmap:
    """Join points closer than ``reach`` whose segment meets no disc.

    Args:
        world: box and discs.
        points: ``(n, 2)`` in free space.
        reach: longest segment.
        feasible: look at the discs; without it this is the plain neighbourhood graph.

    Raises:
        InputError: a point that is not free, or a reach that is not positive.

    Cost: O(n^2) distances, and one test for each segment and disc.

    References: [goldfarb2024, section 3].

    Example:
        >>> world = World((-1.0, -1.0), (1.0, 1.0), centres=((0.0, 0.0),), radii=(0.5,))
        >>> square = torch.tensor([[-0.7, -0.7], [0.7, -0.7], [0.7, 0.7], [-0.7, 0.7]])
        >>> roadmap(world, square, reach=3.0).pairs.tolist()  # the diagonals meet the disc
        [[0, 1], [0, 3], [1, 2], [2, 3]]
    """
    if not reach > 0:
        raise InputError(f"reach must be positive, got {reach}.")
    points = points.detach().to(torch.float64)
    if len(points) and float(world.clearance(points).min()) < 0:
        worst = int(world.clearance(points).argmin())
        raise InputError(f"point {worst} at {points[worst].tolist()} is not free.")
    distance = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    i, j = torch.nonzero(torch.triu(distance < reach, 1), as_tuple=True)
    free = torch.ones(len(i), dtype=torch.bool)
    if feasible:
        start, along = points[i], points[j] - points[i]
        squared = along.square().sum(dim=1).clamp(min=torch.finfo(torch.float64).tiny)
        for centre, radius in zip(world.centres, world.radii, strict=True):
            c = torch.tensor(centre, dtype=torch.float64)
            nearest = ((c - start) * along).sum(dim=1).div(squared).clamp(0, 1)
            free &= (start + nearest[:, None] * along - c).norm(dim=1) >= radius
    return Roadmap(points, torch.stack([i, j], dim=1)[free], distance[i, j][free])
