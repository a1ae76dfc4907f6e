"""A grid of cells over a box in the plane, and points carried over it along a field by RK4.

What leaves the box is not followed any further, so nothing depends on the field far outside.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.fields import Field

Box = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Grid:
    """``resolution`` by ``resolution`` cells over a box; cell ``i * resolution + j`` has the ``i``-th x and ``j``-th y.

    Args:
        box: ``((x_low, x_high), (y_low, y_high))``.
        resolution: cells along each axis, at least 8.
        dtype, device: of the points.
    """

    box: Box
    resolution: int
    dtype: torch.dtype
    device: torch.device

    def __post_init__(self) -> None:
        if not all(math.isfinite(low) and math.isfinite(high) and low < high for low, high in self.box):
            raise InputError(f"box must be ((x_low, x_high), (y_low, y_high)) with low < high, got {self.box}.")
        if self.resolution < 8:
            raise InputError(f"resolution must be at least 8 cells along each axis, got {self.resolution}.")

    def __len__(self) -> int:
        return self.resolution**2

    @cached_property
    def low(self) -> Tensor:
        return torch.tensor([low for low, _ in self.box], dtype=self.dtype, device=self.device)

    @cached_property
    def cell(self) -> Tensor:
        """The sides of a cell, ``(2,)``."""
        sides = [(high - low) / self.resolution for low, high in self.box]
        return torch.tensor(sides, dtype=self.dtype, device=self.device)

    @cached_property
    def centres(self) -> Tensor:
        """``(cells, 2)``."""
        steps = torch.arange(self.resolution, dtype=self.dtype, device=self.device) + 0.5
        return self.low + torch.cartesian_prod(steps, steps) * self.cell

    def inside(self, x: Tensor) -> Tensor:
        place = (x - self.low) / self.cell
        return ((place >= 0) & (place < self.resolution)).all(-1)

    def cell_of(self, x: Tensor) -> Tensor:
        """The cell of each point, on the host; ``len(grid)`` for those outside."""
        place = ((x - self.low) / self.cell).nan_to_num(-1.0).floor().clamp(-1, self.resolution).long()
        cells = place[:, 0] * self.resolution + place[:, 1]
        return torch.where(self.inside(x), cells, len(self)).cpu()


@dataclass(frozen=True, eq=False)
class Flow:
    """Steps of RK4 whose length follows the field, point by point.

    Args:
        field: what moves the points.
        grid: over the box.
        speeds: ``|v|`` at the centre of each cell.
        rates: the largest ``|v'|`` within a sixteenth of the box of each cell, on the field's device.
        steps: for each unit of time times rate.
    """

    field: Field
    grid: Grid
    speeds: Tensor
    rates: Tensor
    steps: int

    def step(self, x: Tensor, left: Tensor, *, cells: float | None = None) -> tuple[Tensor, Tensor]:
        """The points after one step each, and its length: at most ``left``, and no farther than so many cells.

        By default a sixteenth of the box, for within that the rates are known.
        """
        k1 = self.field(x).detach()
        across = self.grid.resolution / 16 if cells is None else cells
        rate = torch.maximum(
            self.steps * self.rates[self.grid.cell_of(x).to(x.device)], (k1.abs() / self.grid.cell).amax(1) / across
        )
        dt = torch.where(rate * left > 1, 1 / rate, left)
        return rk4(self.field, x, dt[:, None], k1), dt

    def carried(self, x: Tensor, time: float, *, cells: float | None = None, visited: Tensor | None = None) -> Tensor:
        """Where the points are after ``time``; those that leave the box stay where they first were outside.

        Args:
            visited: a mask of the cells on the host; the cells in which the points are after each step are added.
        """
        x, left = x.clone(), torch.full_like(x[:, 0], time)
        going = self.grid.inside(x).nonzero()[:, 0]
        while len(going):
            moved, dt = self.step(x[going], left[going], cells=cells)
            x[going] = moved
            left[going] -= dt
            within = self.grid.inside(moved)
            if visited is not None:
                visited[self.grid.cell_of(moved[within])] = True
            going = going[within & (left[going] > 0)]
        return x


def rk4(field: Field, x: Tensor, step: Tensor, k1: Tensor | None = None) -> Tensor:
    """One step of the classical Runge-Kutta method for a batch of points, ``step`` being ``(b, 1)``. Cost: 4 gradients a point."""
    k1 = field(x).detach() if k1 is None else k1
    k2 = field(x + 0.5 * step * k1).detach()
    k3 = field(x + 0.5 * step * k2).detach()
    k4 = field(x + step * k3).detach()
    return x + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def flow_on(field: Field, grid: Grid, steps: int) -> Flow:
    """The flow, with rates from differences between neighbouring cells.

    Raises:
        NonFiniteError: the field is not finite at the centre of a cell.
    """
    v = field(grid.centres).detach().reshape(grid.resolution, grid.resolution, 2)
    along = (torch.cat([d, d.narrow(axis, -1, 1)], axis) for axis, d in enumerate((v.diff(dim=0), v.diff(dim=1))))
    rates = sum((d / side).square().sum(-1) for d, side in zip(along, grid.cell, strict=True))
    reach = grid.resolution // 16 + 1
    near = torch.nn.functional.max_pool2d(rates[None].sqrt(), 2 * reach + 1, stride=1, padding=reach)
    return Flow(field, grid, v.norm(dim=-1).reshape(-1), near.reshape(-1), steps)
