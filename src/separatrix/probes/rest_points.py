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

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.fields.field import FunctionField

Box = tuple[tuple[float, float], tuple[float, float]]
MOST = 64
ROUNDS = 40


@dataclass(frozen=True, eq=False)
class RestPoint:
    """A zero of the field.

    Attributes:
        point: ``(2,)``.
        kind: its name, see above.
        eigenvalues: of ``v'`` there, ``(2,)`` complex.
        eigenvectors: unit columns, ``(2, 2)`` complex.
        residual: ``|v|`` there.
        error: length of the last Newton step, about the distance from the exact zero.
        eigenvalue_error: within which the eigenvalues are known.
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
    are found, all ``degenerate``.

    Args:
        field: planar and pure.
        box: ``((x_low, x_high), (y_low, y_high))``.
        resolution: starts a side.

    Raises:
        InputError: a field of another dimension, or a bad box.

    Cost: up to ``40 resolution^2`` evaluations of the field and its derivative, all starts at once.
    """
    if field.space.n != 2:
        raise InputError(f"rest points are sought in the plane, {field.name!r} has {field.space.n} dimensions.")
    if resolution < 2 or not all(low < high for low, high in box):
        raise InputError(f"low < high and two starts a side are needed, got box={box}, resolution={resolution}.")
    sides = [torch.linspace(low, high, resolution, dtype=field.dtype, device=field.device) for low, high in box]
    x = torch.cartesian_prod(*sides)
    low, high = (torch.tensor(side, dtype=field.dtype, device=field.device) for side in zip(*box, strict=True))
    value, slope = torch.vmap(field.function), torch.vmap(torch.func.jacrev(field.function))
    size = float(value(x).detach().norm(dim=1).nanmedian()) or 1.0
    reach = (high - low) / 8
    step = torch.zeros_like(x)
    for _ in range(ROUNDS):
        v, J = value(x).detach(), slope(x).detach()
        step = _newton(J, v)
        x = x + torch.maximum(torch.minimum(step, reach), -reach)
        x = x[torch.isfinite(x).all(dim=1)]
    v, J = value(x).detach(), slope(x).detach()
    step = _newton(J, v)
    scale = float((high - low).norm())
    inside = ((x >= low - 1e-9 * scale) & (x <= high + 1e-9 * scale)).all(dim=1)
    eps = torch.finfo(field.dtype).eps
    rests = (v.norm(dim=1) <= 1e4 * eps * size) & (step.norm(dim=1) <= eps**0.5 * scale)
    found: list[RestPoint] = []
    order = v.norm(dim=1).argsort()
    for i in order[(inside & rests)[order]].tolist():
        if len(found) < MOST and all(float((x[i] - other.point.to(x)).norm()) > 1e-5 * scale for other in found):
            found.append(_named(x[i], v[i], J[i], float(step[i].norm())))
    return tuple(sorted(found, key=lambda rest: tuple(rest.point.tolist())))


def _newton(J: Tensor, v: Tensor) -> Tensor:
    """``-J^+ v``, by the pseudoinverse, which on a curve of zeros goes straight to it."""
    finite = torch.isfinite(J).flatten(1).all(dim=1) & torch.isfinite(v).all(dim=1)
    step = torch.full_like(v, torch.nan)
    step[finite] = -(torch.linalg.pinv(J[finite], rtol=1e-10) @ v[finite][:, :, None])[:, :, 0]
    return step


def _named(x: Tensor, v: Tensor, J: Tensor, error: float) -> RestPoint:
    matrix = J.double().cpu()
    values, vectors = torch.linalg.eig(matrix)
    # Rounding of the Jacobian, and how far the zero may lie from here.
    noise = (1e2 * torch.finfo(x.dtype).eps + error) * float(torch.linalg.matrix_norm(matrix, 2) + 1e-300)
    gap = (matrix[0, 0] - matrix[1, 1]) ** 2 / 4 + matrix[0, 1] * matrix[1, 0]
    gap_noise = 4 * noise * float(torch.linalg.matrix_norm(matrix, 2))
    kind, uncertain = name_of(matrix.trace().item() / 2, float(gap), noise, gap_noise)
    return RestPoint(x.detach().cpu(), kind, values, vectors, float(v.norm()), error, uncertain)


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
