"""What a decomposition on a grid returns, and the checks that torus and box share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.fields import Field
from separatrix.probes.numbers import number

MOST_POINTS = 2_000_000
Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class GridDecomposition:
    """The parts of a field on a grid, ``v = -grad U + w + mean``, field sign.

    Attributes:
        low, high: the corners.
        boundary: ``periodic``, ``tangential`` or ``normal``.
        potential: ``U``, what the gradient part descends; mean zero, or zero at the walls (``normal``). On the torus at the
            grid points; on a box at the cell centres (``tangential``) or at the nodes (``normal``).
        gradient, rotation: for each component its values where it is sampled: at the grid points on the torus, at the
            middles of the faces across axis ``j`` (``tangential``) or of the edges along it (``normal``).
        harmonic: the mean of the field on the torus, ``(d,)``; zero on a box.
        shares: of the mean squared length: ``gradient``, ``rotation``, ``harmonic``; NaN for the zero field.
        error: how much the shares differ on a grid of half the resolution: an estimate of their discretisation error. On the
            torus at least the share of the field at random places that the grid misses.
        residual: the largest of: the parts' inner product, and the divergence of ``w`` in units of ``|v|`` over the spacing.
        gradients: evaluations of the field.
        status: one sentence.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    boundary: str
    potential: Tensor
    gradient: tuple[Tensor, ...]
    rotation: tuple[Tensor, ...]
    harmonic: Tensor
    shares: dict[str, float]
    error: float
    residual: float
    gradients: float
    status: str

    def at_centres(self, part: str) -> Tensor:
        """``gradient`` or ``rotation`` at the cell centres (grid points on the torus), ``(d, n, ..., n)``, for drawing."""
        arrays: tuple[Tensor, ...] = getattr(self, part)
        found = []
        for j, array in enumerate(arrays):
            for axis in range(array.ndim):
                if self.boundary != "periodic" and (axis == j) == (self.boundary == "tangential"):
                    size = array.shape[axis] - 1
                    array = (array.narrow(axis, 0, size) + array.narrow(axis, 1, size)) / 2
            found.append(array)
        return torch.stack(found)


def corners(field: Field, low: Sequence[float], high: Sequence[float]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Both corners as tuples, checked against the field."""
    a, b = tuple(float(v) for v in low), tuple(float(v) for v in high)
    if len(a) != field.space.n or len(b) != len(a) or not all(p < q for p, q in zip(a, b, strict=True)):
        raise InputError(
            f"low and high are the corners of a box in the {field.space.n} coordinates of {field.name!r}, low below high; "
            f"got {a} and {b}."
        )
    return a, b


def check_grid(count: int, name: str, values: int, d: int) -> None:
    """Refuse grids that cannot be halved or held."""
    if count < 4 or count % 2:
        raise InputError(
            f"{name} must be even and at least 4, so that half the resolution can be compared; got {count}."
        )
    if values > MOST_POINTS:
        raise InputError(
            f"{count} {name} along each of {d} axes are {values} evaluations, more than {MOST_POINTS}; take fewer, or use "
            "decompose_samples, which needs no grid."
        )


def sample(field: Field, axes: Sequence[Array]) -> Array:
    """The field on the product of the axes, ``(d, n_1, ..., n_d)``."""
    grid = torch.cartesian_prod(*[torch.as_tensor(a) for a in axes]).reshape(-1, len(axes))
    values = field(grid.to(field.device, field.dtype)).double().cpu().numpy()
    return np.asarray(values.T.reshape(len(axes), *[len(a) for a in axes]), dtype=np.float64)


def result(
    field: Field,
    spent: float,
    box: tuple[tuple[float, ...], tuple[float, ...]],
    boundary: str,
    potential: Array,
    parts: tuple[Sequence[Array], Sequence[Array], Array],
    shares: dict[str, float],
    coarse: dict[str, float],
    residual: float,
) -> GridDecomposition:
    """The record, with its sentence."""
    error = float(max(abs(shares[name] - coarse[name]) for name in shares))
    gradient, rotation, mean = parts
    said = [f"{name} {shares[name]:.1%}" for name in shares if name != "harmonic" or boundary == "periodic"]
    status = (
        "The field is zero on the grid."
        if error != error
        else f"Of the mean squared length of the field: {', '.join(said)} (discretisation error about {number(100 * error, 1)} points)."
    )
    return GridDecomposition(
        *box,
        boundary,
        torch.as_tensor(potential),
        tuple(torch.as_tensor(np.ascontiguousarray(g)) for g in gradient),
        tuple(torch.as_tensor(np.ascontiguousarray(w)) for w in rotation),
        torch.as_tensor(mean),
        shares,
        error,
        residual,
        field.gradients - spent,
        status,
    )
