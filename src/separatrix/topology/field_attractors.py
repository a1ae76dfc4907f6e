"""What an attractor of a planar field is: an equilibrium by Newton's method, a limit cycle by following it.

Field sign: an equilibrium attracts when the eigenvalues of ``v'`` have negative real part.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from separatrix.fields import Field
from separatrix.topology.field_flow import Flow, Grid, rk4

__all__ = ["FieldAttractor"]

FOLLOWED = 8  # members of a cluster that are followed to measure a cycle


@dataclass(frozen=True, eq=False)
class FieldAttractor:
    """An attractor of a planar field, as far as a grid shows it.

    Args:
        kind: ``equilibrium``: a zero of the field in these cells, with eigenvalues of negative real part, towards
            which their centres move. ``cycle``: orbits begun one cell to either side close up, with mean radii within
            half a cell. ``undecided``: neither could be shown.
        cells: the cells of the attractor, ``i * resolution + j``.
        point: the equilibrium; of a cycle the mean over a period; None if undecided.
        residual: ``|v|`` at the equilibrium; of a cycle the distance by which it fails to close. NaN if undecided.
        eigenvalues: of ``v'`` at the equilibrium.
        period, period_error: of a cycle; the error is the spread over orbits and over two step sizes.
        radius, radius_error: of a cycle, the mean distance from ``point`` over a period, and its spread likewise.
        orbit: ``(m, 2)``, points of a cycle at equal times over one period.
        reason: a sentence.
    """

    kind: Literal["equilibrium", "cycle", "undecided"]
    cells: Tensor
    reason: str
    point: Tensor | None = None
    residual: float = math.nan
    eigenvalues: Tensor | None = None
    period: float = math.nan
    period_error: float = math.nan
    radius: float = math.nan
    radius_error: float = math.nan
    orbit: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Cluster:
    """Neighbouring recurrent cells.

    Args:
        cells: all of them.
        ends: where the centres of the recurrent ones are after a long time.
        zero, residual, eigenvalues: of the field in these cells; ``zero`` is None if Newton's method found none.
        reach: the largest distance of a centre from the zero, before and after that time.
        rounding: rates below it count as zero.
    """

    cells: Tensor
    ends: Tensor
    zero: Tensor | None
    residual: float
    eigenvalues: Tensor
    reach: tuple[float, float]
    rounding: float

    def held(self, grid: Grid) -> bool:
        """Whether all centres are next to the zero, or come closer to it by half."""
        return self.zero is not None and self.reach[1] <= max(1.5 * float(grid.cell.norm()), 0.5 * self.reach[0])

    @property
    def attracts(self) -> bool:
        return self.zero is not None and float(self.eigenvalues.real.max()) < -self.rounding

    @property
    def repels(self) -> bool:
        return self.zero is not None and float(self.eigenvalues.real.max()) > self.rounding


def cluster_of(flow: Flow, cells: Tensor, starts: Tensor, ends: Tensor) -> Cluster:
    """The cluster of these cells, with the zero of the field in or next to them."""
    grid = flow.grid
    rounding = math.sqrt(torch.finfo(grid.dtype).eps) * float(flow.rates.median())
    nowhere = torch.full((2,), math.nan, dtype=torch.cdouble)
    zero, jacobian = newton(flow.field, grid, ends.mean(0))
    # In one of the cells, or in a neighbour of one.
    if zero is None or float(((grid.centres[cells.to(grid.device)] - zero).abs() / grid.cell).amax(1).min()) > 1.5:
        return Cluster(cells, ends, None, math.nan, nowhere, (math.nan, math.nan), rounding)
    before, after = (float((x - zero).norm(dim=1).max()) for x in (starts, ends))
    eigenvalues = torch.linalg.eigvals(jacobian).cpu()
    return Cluster(cells, ends, zero, float(flow.field(zero).norm()), eigenvalues, (before, after), rounding)


def newton(field: Field, grid: Grid, x: Tensor) -> tuple[Tensor | None, Tensor]:
    """The zero that Newton's method reaches from ``x``, None if it leaves the box or stalls; and ``v'`` there."""
    tiny = 4 * torch.finfo(x.dtype).eps * float(grid.low.norm() + grid.resolution * grid.cell.norm())
    size = math.inf
    for _ in range(50):
        jacobian: Tensor = field.jacobian(x, checks=False).to_dense()
        step = torch.linalg.pinv(jacobian) @ field(x)  # pinv: lines of equilibria have singular Jacobians
        if not bool(grid.inside(x - step)):
            return None, jacobian
        x, size = x - step, float(step.norm())
        if size <= tiny:
            break
    found = size <= 1e-3 * float(grid.cell.min())  # rounding may keep the steps above tiny
    return x if found else None, jacobian


def named(flow: Flow, cluster: Cluster, *, time: float) -> FieldAttractor:
    """What the cluster is; a cycle is sought by following it for ``time``."""
    if not (cluster.attracts and cluster.held(flow.grid)):
        return measured_cycle(flow, cluster, time=time)
    rate = -float(cluster.eigenvalues.real.max())
    return FieldAttractor(
        "equilibrium",
        cluster.cells,
        f"Newton's method finds a zero in these cells, where the slowest mode decays at the rate {rate:.4g}.",
        point=cluster.zero,
        residual=cluster.residual,
        eigenvalues=cluster.eigenvalues,
    )


def measured_cycle(flow: Flow, cluster: Cluster, *, time: float) -> FieldAttractor:
    """Follows orbits begun one cell to either side of the cluster until they close up."""
    grid, width = flow.grid, float(flow.grid.cell.norm())

    def undecided(reason: str) -> FieldAttractor:
        return FieldAttractor("undecided", cluster.cells, reason)

    if cluster.zero is not None and not cluster.attracts and not cluster.repels:
        return undecided("these cells hold a zero that, to first order, neither attracts nor repels.")
    chosen = torch.linspace(0, len(cluster.ends) - 1, min(FOLLOWED, len(cluster.ends))).round().long()
    x = cluster.ends[chosen.to(grid.device)]
    v = flow.field(x).detach()
    speed = v.norm(dim=1, keepdim=True)
    if float(speed.min()) * time <= 2 * width:
        return undecided("the field hardly moves some of these cells, yet they lead to no attracting equilibrium.")
    normal = torch.stack([-v[:, 1], v[:, 0]], 1) / speed * width
    x = flow.carried(torch.cat([x - normal, x + normal]), time)
    if not bool(grid.inside(x).all()):
        return undecided("orbits begun one cell away from these cells leave the box.")
    period, shortest = first_return(flow, x, time=4 * time)
    if not bool(period.isfinite().all()):
        return undecided(f"not every orbit begun one cell away returns to its section within the time {4 * time:.4g}.")
    fine = max(64, math.ceil(0.5 * float(period.max()) / shortest))
    rough = closed_orbit(flow.field, x, period, steps=fine, turns=2)
    period, radius, path, gap = closed_orbit(flow.field, rough[2][-1], rough[0], steps=2 * fine, turns=1)
    spreads = (torch.cat(pair) for pair in ((period, rough[0]), (radius, rough[1])))
    period_error, radius_error = (float(found.max() - found.min()) for found in spreads)
    residual = float(gap.max())
    if not (radius_error <= 0.5 * width and residual <= 0.1 * width):
        return undecided(
            f"orbits begun one cell away have mean radii {radius_error / width:.3g} cells apart and fail to close by "
            f"{residual / width:.3g} cells; a cycle needs at most 0.5 and 0.1. More rounds, or a finer grid, may decide."
        )
    return FieldAttractor(
        "cycle",
        cluster.cells,
        f"{len(x)} orbits begun one cell to either side close up, with mean radii {radius_error:.2g} apart.",
        point=path.mean((0, 1)),
        residual=residual,
        period=float(period.median()),
        period_error=period_error,
        radius=float(radius.median()),
        radius_error=radius_error,
        orbit=path[:, 0],
    )


def first_return(flow: Flow, start: Tensor, *, time: float) -> tuple[Tensor, float]:
    """When each orbit first crosses, near its start and in the same sense, the line across it; and the shortest step.

    The time is infinite for those that do not within ``time``, or that are given up because one has left the box.
    """
    v = flow.field(start).detach()
    along = v / v.norm(dim=1, keepdim=True)
    x, now, shortest = start, torch.zeros_like(start[:, 0]), math.inf
    height, farthest = now, now
    period = torch.full_like(now, math.inf)
    while bool((period.isinf() & (now < time)).any()) and bool(flow.grid.inside(x).all()):
        x, dt = flow.step(x, torch.full_like(now, time))
        distance, before = (x - start).norm(dim=1), height
        farthest = torch.maximum(farthest, distance)
        height = ((x - start) * along).sum(1)
        # The end of a step may lie as far from the start as the step is long.
        near = distance <= 0.25 * farthest + dt * v.norm(dim=1)
        crosses = (before < 0) & (height >= 0) & near & period.isinf()
        period = torch.where(crosses, now + dt * before / (before - height), period)
        now, shortest = now + dt, min(shortest, float(dt.min()))
    return period, shortest


def closed_orbit(
    field: Field, start: Tensor, period: Tensor, *, steps: int, turns: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Period, mean radius, path ``(steps, b, 2)`` and closing distance of orbits, from equal steps over one period.

    Equal steps, because means over a full period by the trapezoid rule then converge faster than any power of the step.
    After each turn the period is corrected by the time still to go along the orbit; the closing distance is across it.
    """
    x = start
    for _ in range(turns):
        start, v, points = x, field(x).detach(), []
        for _ in range(steps):
            points.append(x)
            x = rk4(field, x, (period / steps)[:, None])
        late = ((x - start) * v).sum(1) / v.square().sum(1)
        period = period - late
    path = torch.stack(points)
    gap = x - start - late[:, None] * v
    return period, (path - path.mean(0)).norm(dim=2).mean(0), path, gap.norm(dim=1)
