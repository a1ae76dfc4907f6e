"""Basins of attraction of a planar field, gradient or not, from a map between the cells of a grid.

The centre of every cell is carried along the flow for a while; the cell in which it ends is the image of its cell. What
recurs under this map are candidates for attractors, as in cell-to-cell mapping [hsu1987]; each is then looked at in the
continuous field. The grid is an approximation, so everything is computed twice more, and what changes is undecided.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.ndimage import label
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from separatrix.errors import InputError
from separatrix.fields import Field
from separatrix.topology.field_attractors import Cluster, FieldAttractor, cluster_of, named
from separatrix.topology.field_flow import Box, Flow, Grid, flow_on

__all__ = ["FieldBasins", "field_basins"]

OUTSIDE, CAUGHT = -1, -2


@dataclass(frozen=True, eq=False)
class FieldBasins:
    """The basins of a planar field on a grid, and how far they can be trusted.

    Args:
        box: ``((x_low, x_high), (y_low, y_high))``.
        labels: ``(resolution, resolution)``, first index along x: the number of the attractor to which the cell leads;
            -1 if its centre leaves the box; -2 if it is caught at a zero that repels, such as a saddle.
        attractors: the one with the largest basin first.
        changed_by_time: cells that change basin when carried for twice the time, in steps half as long.
        changed_by_grid: cells of whose four quarters one at least changes basin.
        undecided: ``(resolution, resolution)``, the cells that change in one way or the other, are caught, or lead to an
            attractor of which it is undecided what it is.
        time, steps, rounds: as used.
        evaluations: of the field, all told.
    """

    box: Box
    labels: Tensor
    attractors: tuple[FieldAttractor, ...]
    changed_by_time: int
    changed_by_grid: int
    undecided: Tensor
    time: float
    steps: int
    rounds: int
    evaluations: float

    @property
    def resolution(self) -> int:
        return len(self.labels)

    @property
    def undecided_share(self) -> float:
        """The share of undecided cells: the error estimate of the shares of the basins."""
        return float(self.undecided.double().mean())

    @property
    def separatrix(self) -> Tensor:
        """``(resolution, resolution)``: the cells that share a side with a cell of another label, outside included."""
        edge = torch.zeros_like(self.undecided)
        across, up = self.labels.diff(dim=0) != 0, self.labels.diff(dim=1) != 0
        edge[1:] |= across
        edge[:-1] |= across
        edge[:, 1:] |= up
        edge[:, :-1] |= up
        return edge

    @property
    def centres(self) -> Tensor:
        """``(resolution, resolution, 2)``: the points that were carried."""
        grid = Grid(self.box, self.resolution, torch.float64, torch.device("cpu"))
        return grid.centres.reshape(self.resolution, self.resolution, 2)

    def share(self, attractor: int) -> float:
        """The share of the box that leads to an attractor; -1 for outside."""
        return float((self.labels == attractor).double().mean())


def field_basins(
    field: Field,
    box: Box,
    *,
    resolution: int = 200,
    time: float | None = None,
    steps: int = 2,
    rounds: int = 8,
) -> FieldBasins:
    """The basins of attraction of a planar field in a box, with its equilibria and limit cycles.

    For portraits: it sees what is at least some cells large. Orbits that leave the box count as lost, also those that
    would come back; choose the box so that it holds what matters. Fractal boundaries show as a large undecided share,
    slow attraction (rates far below ``1 / (rounds * time)``) as undecided attractors.

    Args:
        field: of two dimensions; ``v`` points in the direction of motion.
        box: ``((x_low, x_high), (y_low, y_high))``.
        resolution: cells along each axis.
        time: for which centres are carried; by default that in which a quarter of them, by speed, would not cross half
            the box.
        steps: of RK4 for each unit of time times ``|v'|``, where ``|v'|`` is the largest nearby.
        rounds: cells that recur are carried this many times longer, and move on if they have left their neighbours.

    Raises:
        InputError: the field is not of two dimensions, or a bad box, resolution, time, steps or rounds.
        NonFiniteError: the field is not finite somewhere in the box, or less than a step outside; names field and point.

    Cost: with ``s`` the mean number of steps, ``4 s`` gradients a cell, and eight times that for the check; cells that
        recur take ``rounds`` times more: few, except where orbits are closed. Batched for a :class:`FunctionField`;
        fields that evaluate point by point are slow.

    References: [hsu1987].

    Example:
        >>> from separatrix.fields import FunctionField
        >>> wells = FunctionField(lambda x: torch.stack([x[0] - x[0] ** 3, -x[1]]), torch.zeros(2))
        >>> found = field_basins(wells, ((-2, 2), (-1, 1)), resolution=32, rounds=2)
        >>> [attractor.kind for attractor in found.attractors], found.share(0)
        (['equilibrium', 'equilibrium'], 0.5)
    """
    if field.space.n != 2:
        raise InputError(f"field must be of two dimensions, got {field.space.n} in {field.name!r}.")
    grid = Grid(box, resolution, field.dtype, field.device)
    for name, value in (("time", time), ("steps", steps), ("rounds", rounds)):
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"{name} must be positive, got {value}.")
    before = field.gradients
    flow = flow_on(field, grid, steps)
    if time is None:
        slow = float(flow.speeds.quantile(0.25))
        time = 0.25 * grid.resolution * float(grid.cell.sum()) / slow if slow > 0 else 1.0
    labels, clusters = _partition(flow, time, rounds)
    longer, _ = _partition(replace(flow, steps=2 * steps), 2 * time, (rounds + 1) // 2)
    quarters, _ = _partition(flow_on(field, replace(grid, resolution=2 * resolution), steps), time, rounds)

    by_time = labels != _renamed(longer, labels)
    # The quarters of a cell along the last axis, one cell a row.
    quarters = quarters.reshape(resolution, 2, resolution, 2).transpose(1, 2).reshape(len(grid), 4)
    whole = labels[:, None].expand_as(quarters)
    by_grid = (whole != _renamed(quarters, whole)).any(1)
    attractors = tuple(named(flow, cluster, time=rounds * time) for cluster in clusters)
    vague = [number for number, attractor in enumerate(attractors) if attractor.kind == "undecided"]
    undecided = by_time | by_grid | torch.isin(labels, torch.tensor([CAUGHT, *vague]))
    return FieldBasins(
        grid.box,
        labels.reshape(resolution, resolution),
        attractors,
        int(by_time.sum()),
        int(by_grid.sum()),
        undecided.reshape(resolution, resolution),
        time,
        steps,
        rounds,
        field.gradients - before,
    )


def _partition(flow: Flow, time: float, rounds: int) -> tuple[Tensor, list[Cluster]]:
    """The label of each cell, and what it leads to."""
    grid, n = flow.grid, len(flow.grid)
    step = torch.cat([grid.cell_of(flow.carried(grid.centres, time)), torch.tensor([n])])
    recurrent = _recurrent(_iterated(step), n)
    visited = torch.zeros(n, dtype=torch.bool)
    _visit(flow, recurrent, time, visited)
    pieces = _pieces(grid, visited)

    # A cell may map to itself only because its centre moves less than half a cell, near a saddle for instance.
    starts = grid.centres[recurrent.to(grid.device)]
    ends = flow.carried(starts, rounds * time)
    landed = grid.cell_of(ends)
    leaves = ~_stays(pieces, recurrent, landed, grid)
    step[recurrent[leaves]] = landed[leaves]
    last = _iterated(step)
    kept = _recurrent(last, n)
    leaps = kept[torch.isin(kept, recurrent[leaves])]
    if len(leaps):  # a slow part of a limit cycle: join it by the whole path
        _visit(flow, leaps, rounds * time, visited)
        pieces = _pieces(grid, visited)

    group = torch.full((n + 1,), OUTSIDE)
    group[kept] = _joined(kept, step[kept], pieces[kept], n)
    followed = torch.zeros(n + 1, dtype=torch.bool)
    followed[kept] = True
    labels, clusters = group[last[:-1]], list[Cluster]()
    names = torch.full((int(labels.max()) + 2,), OUTSIDE)
    sizes = torch.bincount(labels[labels >= 0])
    for number in sizes.argsort(descending=True, stable=True).tolist():
        mine = kept[group[kept] == number]
        cells = torch.cat([mine, torch.isin(pieces[:-1], pieces[mine][pieces[mine] > 0]).nonzero()[:, 0]])
        among = (group[recurrent] == number) & followed[recurrent]
        tails = (starts[among], ends[among]) if bool(among.any()) else (grid.centres[mine.to(grid.device)],) * 2
        cluster = cluster_of(flow, torch.unique(cells), *tails)
        if cluster.repels and cluster.held(grid):
            names[number] = CAUGHT
        else:
            names[number] = len(clusters)
            clusters.append(cluster)
    return names[labels], clusters  # the last name, at index -1, stands for outside


def _iterated(step: Tensor) -> Tensor:
    """The map after at least as many steps as it has nodes: all of its values lie on cycles. Cost: pointer doubling."""
    for _ in range(len(step).bit_length()):
        step = step[step]
    return step


def _recurrent(last: Tensor, n: int) -> Tensor:
    cells: Tensor = torch.unique(last)
    return cells[cells < n]


def _visit(flow: Flow, cells: Tensor, time: float, visited: Tensor) -> None:
    """Marks the cells that the centres of some cells pass through.

    The paths between the cells of a cycle join them: the map jumps, and several of its cycles may lie on one limit cycle.
    """
    visited[cells] = True
    flow.carried(flow.grid.centres[cells.to(flow.grid.device)], time, cells=0.7, visited=visited)


def _pieces(grid: Grid, visited: Tensor) -> Tensor:
    """The number, 1 and up, of the connected piece that each visited cell belongs to; 0 elsewhere, and outside."""
    numbers, _ = label(visited.reshape(grid.resolution, grid.resolution).numpy(), structure=np.ones((3, 3)))
    return torch.cat([torch.from_numpy(numbers).long().reshape(-1), torch.zeros(1, dtype=torch.long)])


def _stays(pieces: Tensor, cells: Tensor, landed: Tensor, grid: Grid) -> Tensor:
    """Whether the cell landed in belongs to the same piece, or is next to a cell that does."""
    size = grid.resolution
    padded = torch.nn.functional.pad(pieces[:-1].reshape(size, size), (1, 1, 1, 1))
    held = landed < len(grid)
    row, column = landed.clamp(max=len(grid) - 1) // size, landed.clamp(max=len(grid) - 1) % size
    near = torch.stack([padded[row + i, column + j] for i in range(3) for j in range(3)])
    return held & (near == pieces[cells]).any(0)


def _joined(kept: Tensor, images: Tensor, pieces: Tensor, n: int) -> Tensor:
    """A number for each kept cell, the same along cycles of the map and in each piece."""
    inside = pieces > 0
    ends = torch.cat([images, n + 1 + pieces[inside]])
    edges = (torch.cat([kept, kept[inside]]).numpy(), ends.numpy())
    size = n + 2 + int(pieces.max()) if len(kept) else n + 1
    _, numbers = connected_components(coo_array((np.ones(len(ends)), edges), shape=(size, size)), directed=False)
    return torch.from_numpy(np.unique(numbers[kept.numpy()], return_inverse=True)[1]).long()


def _renamed(other: Tensor, labels: Tensor) -> Tensor:
    """The labels of another partition by the names of this one, matched one to one for the largest overlap.

    Attractors without a partner get a name of their own.
    """
    count, others = int(labels.max()) + 1, int(other.max()) + 1
    both = (labels >= 0) & (other >= 0)
    overlap = torch.bincount(labels[both] * max(others, 1) + other[both], minlength=count * others)
    mine, theirs = linear_sum_assignment(-overlap.reshape(count, others).numpy())
    names = torch.arange(others) + count
    names[torch.from_numpy(theirs)] = torch.from_numpy(mine)
    return torch.where(other >= 0, names[other.clamp(min=0)] if others else other, other)
