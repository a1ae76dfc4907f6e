"""The rest points of a planar field, named by their eigenvalues.

Field sign: attracting means negative real parts. Names, with ``e`` the error of the eigenvalues ``m1, m2``:

==================  ==============================================================================================
``stable node``     both real, below ``-e``
``unstable node``   both real, above ``e``
``saddle``          one below ``-e``, one above ``e``
``stable focus``    complex, real part below ``-e``
``unstable focus``  complex, real part above ``e``
``centre?``         complex, real part within ``e`` of 0: to first order a centre, which higher orders decide
``degenerate``      a real eigenvalue within ``e`` of 0: not isolated, or decided by higher orders
==================  ==============================================================================================

Whether a pair is real or complex is decided by the discriminant; within its error a node counts as ``node or focus``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.fields.field import FunctionField

Box = tuple[tuple[float, float], tuple[float, float]]
MOST = 64
ROUNDS = 40
# Rounds without a cutoff, for zeros of higher order, where Newton's step is only a share of the way.
MORE = 110
CUTOFF = 1e-10
# Zeros nearer than this part of the box are one where they are degenerate, and so known to a root of the rounding only.
APART = 1e-5


@dataclass(frozen=True, eq=False)
class RestPoint:
    """A zero of the field.

    Attributes:
        point: ``(2,)``.
        kind: its name, see above.
        eigenvalues: of ``v'`` there, ``(2,)`` complex.
        eigenvectors: unit columns, ``(2, 2)`` complex.
        residual: ``|v|`` there.
        error: length of the last Newton step, or what rounding leaves open where that is more: about the distance from
            the exact zero.
        eigenvalue_error: within which the eigenvalues are known; how they change within ``error`` is counted in.
    """

    point: Tensor
    kind: str
    eigenvalues: Tensor
    eigenvectors: Tensor
    residual: float
    error: float
    eigenvalue_error: float

    @property
    def sentence(self) -> str:
        x, y = (round(c, 6) + 0.0 for c in self.point.tolist())
        values = ", ".join(_written(complex(m)) for m in self.eigenvalues)
        return f"{self.kind} at ({x:.4g}, {y:.4g}), eigenvalues {values} (within {self.eigenvalue_error:.1g})"


def rest_points(field: FunctionField, box: Box, *, resolution: int = 40) -> tuple[RestPoint, ...]:
    """All zeros in a box that Newton's method finds from a grid of starts, each once.

    A zero whose basin under Newton's method is smaller than the grid's cells can be missed. Of a curve of zeros some points
    are found, all ``degenerate``. Two zeros are told apart down to where rounding joins them; then they are one
    ``degenerate`` point.

    Args:
        field: planar and pure.
        box: ``((x_low, x_high), (y_low, y_high))``.
        resolution: starts a side.

    Raises:
        InputError: a field of another dimension, or a bad box.

    Cost: up to ``40 resolution^2`` evaluations of the field and its derivative, all starts at once; 110 more of starts that end
        at zeros where the derivative is singular.
    """
    if field.space.n != 2:
        raise InputError(f"rest points are sought in the plane, {field.name!r} has {field.space.n} dimensions.")
    if resolution < 2 or not all(low < high and isfinite(low) and isfinite(high) for low, high in box):
        raise InputError(f"low < high and two starts a side are needed, got box={box}, resolution={resolution}.")
    sides = [torch.linspace(low, high, resolution, dtype=field.dtype, device=field.device) for low, high in box]
    x = torch.cartesian_prod(*sides)
    low, high = (torch.tensor(side, dtype=field.dtype, device=field.device) for side in zip(*box, strict=True))
    scale, eps = float((high - low).norm()), torch.finfo(field.dtype).eps
    newton = _Newton(field, scale)
    size = float(newton.value(x).detach().norm(dim=1).nanmedian()) or 1.0
    x = newton.rounds(x, ROUNDS, (high - low) / 8, cutoff=CUTOFF)
    place = newton.place(x, size, CUTOFF)
    # Where the derivative is singular, or the steps still long, the rest of the way is left to go.
    slow = place.small & ((place.weakness < CUTOFF) | (place.step.norm(dim=1) > eps**0.5 * scale))
    if bool(slow.any()):
        further = newton.rounds(x[slow], MORE, (high - low) / 8 / resolution, cutoff=0.0, drop=False)
        end = newton.place(further, size, 0.0)
        better = (
            end.small & (end.step.norm(dim=1) <= eps**0.5 * scale) & (end.v.norm(dim=1) <= place.v[slow].norm(dim=1))
        )
        x[slow] = torch.where(better[:, None], further, x[slow])
        place = newton.place(x, size, CUTOFF)
    inside = ((x >= low - 1e-9 * scale) & (x <= high + 1e-9 * scale)).all(dim=1)
    rests = inside & place.small & (place.step.norm(dim=1) <= eps**0.5 * scale)
    found: list[RestPoint] = []
    order = place.v.norm(dim=1).argsort()
    wide = max(APART, 4 * eps**0.5) * scale
    for i in order[rests[order]].tolist():
        if len(found) == MOST:
            break
        away = [float((x[i] - other.point.to(x)).norm()) for other in found]
        reach = min(newton.reach(place.weakness[i]), wide)
        if any(d <= max(1e-9 * scale, reach, other.error) for d, other in zip(away, found, strict=True)):
            continue
        rest = newton.named(x[i], place, i)
        if not any(d <= wide and "degenerate" in (rest.kind, other.kind) for d, other in zip(away, found, strict=True)):
            found.append(rest)
    return tuple(sorted(found, key=lambda rest: tuple(rest.point.tolist())))


class _Place(NamedTuple):
    """What is known at some points: the field, its derivative, the step, how near it is to singular, and if the field is small."""

    v: Tensor
    J: Tensor
    step: Tensor
    weakness: Tensor
    small: Tensor


class _Newton:
    def __init__(self, field: FunctionField, scale: float) -> None:
        self.value, self.slope = torch.vmap(field.function), torch.vmap(torch.func.jacrev(field.function))
        self.scale, self.eps = scale, float(torch.finfo(field.dtype).eps)

    def rounds(self, x: Tensor, count: int, reach: Tensor, *, cutoff: float, drop: bool = True) -> Tensor:
        """``x`` after some steps; those that leave the finite numbers are dropped, or stay."""
        for _ in range(count):
            step = _newton(self.slope(x).detach(), self.value(x).detach(), cutoff)
            there = x + torch.maximum(torch.minimum(step, reach), -reach)
            finite = torch.isfinite(there).all(dim=1)
            x = there[finite] if drop else torch.where(finite[:, None], there, x)
        return x

    def place(self, x: Tensor, size: float, cutoff: float) -> _Place:
        v, J = self.value(x).detach(), self.slope(x).detach()
        values = torch.linalg.svdvals(J.nan_to_num(0.0, 0.0, 0.0))
        weakness = values[:, 1] / values[:, 0].clamp(min=1e-300 if J.dtype == torch.float64 else 1e-37)
        # Small against the field in the box, or where that is tiny, against what the derivative makes of the box.
        bound = 1e4 * self.eps * (values[:, 0] * self.scale).clamp(min=size)
        return _Place(v, J, _newton(J, v, cutoff), weakness, v.norm(dim=1) <= bound)

    def reach(self, weakness: Tensor | float) -> float:
        """How far rounding can move a zero, along the direction in which the field changes least."""
        return 10 * self.eps * self.scale / max(float(weakness), 1e-300)

    def named(self, x: Tensor, place: _Place, i: int) -> RestPoint:
        matrix = place.J[i].double().cpu()
        values, vectors = torch.linalg.eig(matrix)
        norm = float(torch.linalg.matrix_norm(matrix, 2)) + 1e-300
        error = max(float(place.step[i].norm()), min(self.reach(place.weakness[i]), self.eps**0.5 * self.scale))
        # Rounding of the Jacobian, and how it changes up to where the zero may lie: four times that, for at a zero of higher
        # order a step goes only a share of the way.
        weakest = torch.linalg.svd(place.J[i]).Vh[1]
        ways = torch.stack([place.step[i], error * weakest, -error * weakest])
        change = (self.slope(x + ways).detach().double().cpu() - matrix).nan_to_num(0.0)
        noise = 1e2 * self.eps * norm + 4 * float(torch.linalg.matrix_norm(change, 2).max())
        gap = (matrix[0, 0] - matrix[1, 1]) ** 2 / 4 + matrix[0, 1] * matrix[1, 0]
        kind, uncertain = name_of(matrix.trace().item() / 2, float(gap), noise, 4 * noise * norm)
        return RestPoint(x.detach().cpu(), kind, values, vectors, float(place.v[i].norm()), error, uncertain)


def _newton(J: Tensor, v: Tensor, cutoff: float) -> Tensor:
    """``-J^+ v``, by the pseudoinverse, which with a cutoff goes straight to a curve of zeros."""
    finite = torch.isfinite(J).flatten(1).all(dim=1) & torch.isfinite(v).all(dim=1)
    step = torch.full_like(v, torch.nan)
    step[finite] = -(torch.linalg.pinv(J[finite], rtol=cutoff) @ v[finite][:, :, None])[:, :, 0]
    return step


def name_of(middle: float, gap: float, noise: float, gap_noise: float) -> tuple[str, float]:
    """The name of a rest point with the eigenvalues ``middle +- sqrt(gap)``, and the error of these.

    Args:
        middle: half the trace.
        gap: ``middle^2 - det``: positive for real eigenvalues, negative for a complex pair.
        noise, gap_noise: errors of the two.
    """
    root = abs(gap) ** 0.5
    # d sqrt(g) = dg / (2 sqrt(g)), but never more than sqrt(dg).
    error = noise + (min(gap_noise / (2 * root), gap_noise**0.5) if root else gap_noise**0.5)
    if abs(gap) <= gap_noise:
        if abs(middle) <= error:
            return "degenerate", error
        return f"{'stable' if middle < 0 else 'unstable'} node or focus", error
    if gap < 0:
        if abs(middle) <= noise:
            return "centre?", error
        return f"{'stable' if middle < 0 else 'unstable'} focus", error
    low, high = middle - root, middle + root
    if min(abs(low), abs(high)) <= error:
        return "degenerate", error
    if low < 0 < high:
        return "saddle", error
    return f"{'stable' if high < 0 else 'unstable'} node", error


def _written(m: complex) -> str:
    return f"{m.real:.4g}" if abs(m.imag) < 1e-12 * max(1.0, abs(m)) else f"{m.real:.4g}{m.imag:+.4g}i"
