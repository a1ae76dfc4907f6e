"""What surrounds the eigenvalues: the numerical range, which holds them all, and where perturbations move them.

Both come from what a search for eigenvalues leaves behind, at no further product; below n = 2000 from the matrix.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from separatrix.linalg import (
    Dense,
    Formed,
    LinearOperator,
    NumericalRange,
    Pseudospectrum,
    Stability,
    inner_numerical_range,
    inner_pseudospectrum,
    numerical_range,
    pseudospectrum,
)
from separatrix.probes.leading import Leading

GRID = 41
ANGLES, FEWER = 33, 17  # directions, and beyond this size fewer
DENSE_RANGE, DENSE_CURVES = 300, 120
STEPS = 80


def surroundings(
    operator: LinearOperator, modes: Leading, certificate: Stability | None = None, *, seed: int = 0
) -> dict[str, Any]:
    """``{"range": ..., "pseudospectrum": ...}`` as plain data, for a section of a record and for its picture.

    Args:
        operator: the one that the modes are of; where it is a :class:`separatrix.linalg.Formed` its matrix serves.
        modes: from :func:`leading`.
        certificate: from :func:`certify`; its bounds on the symmetric part hold the range.
        seed: of the starts, where the matrix is at hand.

    Cost: no products; a CPU-second or two for the curves.
    """
    around = range_of(operator, modes, certificate, seed=seed)
    curves = pseudospectrum_of(operator, modes, seed=seed)
    unstable = certificate is not None and certificate.verdict == "unstable"
    return {
        "range": None if around is None else range_data(around),
        "pseudospectrum": None if curves is None else pseudospectrum_data(curves, modes, around, unstable=unstable),
    }


def range_of(
    operator: LinearOperator, modes: Leading, certificate: Stability | None = None, *, seed: int = 0
) -> NumericalRange | None:
    """Lines and points from the matrix, or inner points from the Krylov space of the modes between the known lines."""
    if isinstance(operator, Formed):
        angles = ANGLES if len(operator.matrix) <= DENSE_RANGE else FEWER
        budget = 100 * 4 * angles
        return numerical_range(Dense(operator.matrix), angles, max_products=budget, seed=seed, progress=False)
    if modes.krylov is None:
        return None
    bounds = None if certificate is None else certificate.numerical_abscissa
    return inner_numerical_range(modes.krylov, ANGLES, symmetric=bounds)


def pseudospectrum_of(operator: LinearOperator, modes: Leading, *, seed: int = 0) -> Pseudospectrum | None:
    """From the matrix, or the inner one of the Krylov space of the modes."""
    if isinstance(operator, Formed):
        return pseudospectrum(Dense(operator.matrix), steps=STEPS, seed=seed, dense_up_to=DENSE_CURVES)
    return None if modes.krylov is None else inner_pseudospectrum(modes.krylov, noise=modes.noise)


def range_data(found: NumericalRange) -> dict[str, Any]:
    """Angles in radians from 0 to pi, supporting lines (``None`` where unknown) and boundary points."""
    return {
        "angles": found.angles.tolist(),
        "support": [finite(value) for value in found.support.tolist()],
        "points": [[z.real, z.imag] for z in found.points.tolist()],
        "failure": found.failure,
        "status": found.status,
    }


def pseudospectrum_data(
    found: Pseudospectrum, modes: Leading, around: NumericalRange | None, *, unstable: bool
) -> dict[str, Any]:
    """``log10 epsilon`` on grids of the upper half plane, over all that is known and around zero; the transient growth.

    ``growth`` is the Kreiss bound, ``None`` for an unstable operator, whose growth has none.
    """
    points = torch.cat([modes.values, *([] if around is None else [around.points])])
    real, high = points.real, float(points.imag.abs().max())
    low, right = min(float(real.min()), 0.0), max(float(real.max()), 0.0)
    margin = 0.12 * max(right - low, high, 1e-12)
    radius = near_radius(modes.values.tolist())
    growth, at = found.kreiss()
    return {
        "views": [
            _level_grid(found, low - margin, right + margin, high + margin),
            *([] if radius is None else [_level_grid(found, -radius, radius, radius)]),
        ],
        "exact": found.exact,
        "noise": found.noise,
        "growth": None if unstable else growth,
        "growth_at": None if unstable else [at.real, at.imag],
        "status": found.status,
    }


def near_radius(values: Sequence[complex]) -> float | None:
    """Half width of a window around zero where most values crowd there; ``None`` where they do not."""
    sizes = sorted(abs(value) for value in values)
    if not sizes:
        return None
    radius = 2.5 * sizes[len(sizes) // 2]
    return radius if 0 < radius < 0.2 * sizes[-1] else None


def _level_grid(found: Pseudospectrum, left: float, right: float, top: float) -> dict[str, Any]:
    x = torch.linspace(left, right, GRID, dtype=torch.float64)
    y = torch.linspace(0, top, GRID // 2 + 1, dtype=torch.float64)
    epsilon = found.at(torch.complex(x[None, :].expand(len(y), -1), y[:, None].expand(-1, len(x))).contiguous())
    tiny = torch.finfo(torch.float64).tiny
    return {"x": x.tolist(), "y": y.tolist(), "log10": epsilon.clamp(min=tiny).log10().round(decimals=4).tolist()}


def finite(value: float) -> float | None:
    """``None`` for what JSON does not know."""
    return value if math.isfinite(value) else None
