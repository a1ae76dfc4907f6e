"""A spectrum as plain data: what pages, pictures and ``--json`` are made from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from separatrix.linalg import NumericalRange, Pseudospectrum, SpectralDensity, Stability, step_limit

if TYPE_CHECKING:
    from separatrix.probes.spectrum import Spectrum

GRID = 41
POINTS = 201
FLAT = 1e-3


def spectrum_data(found: Spectrum) -> dict[str, Any]:
    """The record.

    Keys: ``title, metric, verdict {name, sentence}, rows [{real, imag, residual, converged, target, step_limit?,
    condition?, error?}], complete, products, findings, certificate?, range?, pseudospectrum?, density?``. ``step_limit``
    is that of plain descent, ``None`` where there is none; ``error`` is ``condition * residual``.
    """
    modes = found.modes
    conditions = _conditions(found)
    rows = [
        {
            "real": value.real,
            "imag": value.imag,
            "residual": residual,
            "converged": ok,
            "target": target,
            "step_limit": finite(limit),
            "condition": None if kappa is None else finite(kappa),
            "error": None if kappa is None else finite(kappa * residual),
        }
        for value, residual, ok, target, limit, kappa in zip(
            modes.values.tolist(),
            modes.residuals.tolist(),
            modes.converged.tolist(),
            modes.targets,
            step_limit(modes.values).tolist(),
            conditions,
            strict=True,
        )
    ]
    return {
        "title": found.title,
        "metric": found.metric,
        "verdict": {"name": found.verdict, "sentence": found.sentence},
        "rows": rows,
        "complete": modes.complete,
        "products": found.products,
        "findings": list(found.findings),
        "certificate": None if found.certificate is None else certificate_data(found.certificate),
        "range": None if found.numerical_range is None else range_data(found.numerical_range),
        "pseudospectrum": None if found.pseudospectrum is None else pseudospectrum_data(found.pseudospectrum, found),
        "density": None if found.density is None else density_data(found.density),
    }


def certificate_data(found: Stability) -> dict[str, Any]:
    """The numbers that a verdict rests on."""
    real, bars = found.eigenvalues.values.real, found.bars
    top = int(real.argmax())
    abscissa = found.numerical_abscissa
    return {
        "rightmost": [found.rightmost.real, found.rightmost.imag],
        "error": finite(float(bars[top])),
        "condition": finite(float(found.condition[top])),
        "symmetric_part": {
            "lowest": abscissa.lowest,
            "highest": abscissa.highest,
            "lower_bound": abscissa.lower_bound,
            "upper_bound": abscissa.upper_bound,
            "failure": abscissa.failure,
        },
        "complete": found.eigenvalues.complete,
        "products": found.products,
        "seed": found.seed,
    }


def range_data(found: NumericalRange) -> dict[str, Any]:
    """Angles in radians from 0 to pi, supporting lines (``None`` where unknown) and boundary points."""
    return {
        "angles": found.angles.tolist(),
        "support": [finite(value) for value in found.support.tolist()],
        "points": [[z.real, z.imag] for z in found.points.tolist()],
        "failure": found.failure,
        "status": found.status,
    }


def pseudospectrum_data(found: Pseudospectrum, around: Spectrum) -> dict[str, Any]:
    """``log10 epsilon`` on two grids of the upper half plane: over all that is known, and around zero."""
    points = torch.cat(
        [around.modes.values, *([] if around.numerical_range is None else [around.numerical_range.points])]
    )
    real, high = points.real, float(points.imag.abs().max())
    low, right = min(float(real.min()), 0.0), max(float(real.max()), 0.0)
    margin = 0.12 * max(right - low, high, 1e-12)
    radius = near_radius(around.modes.values.tolist())
    growth, at = found.kreiss()
    unstable = around.verdict == "unstable"  # then it is without bound
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


def density_data(found: SpectralDensity) -> dict[str, Any]:
    """The density on a grid, and the shares of eigenvalues on either side of zero with their standard errors.

    Sides begin at ``FLAT`` times the largest modulus: below it the sign is rounding.
    """
    low, high = float(found.nodes.min()), float(found.nodes.max())
    width = max(high - low, 1e-12)
    x = torch.linspace(low - 0.05 * width, high + 0.05 * width, POINTS, dtype=torch.float64)
    value, stderr = found.at(x, bandwidth=0.01 * width)
    edge = FLAT * max(abs(low), abs(high))
    above = found.trace_of(lambda t: (t > edge).to(t.dtype))
    below = found.trace_of(lambda t: (t < -edge).to(t.dtype))
    return {
        "x": x.tolist(),
        "density": value.tolist(),
        "stderr": [finite(error) for error in stderr.tolist()],
        "bandwidth": 0.01 * width,
        "above": above.value / found.n,
        "above_stderr": finite(above.stderr / found.n),
        "below": below.value / found.n,
        "below_stderr": finite(below.stderr / found.n),
        "flat": edge,
        "lowest": low,
        "highest": high,
        "status": found.status,
    }


def _conditions(found: Spectrum) -> list[float | None]:
    """Condition numbers of the modes that the certificate looked at."""
    if found.certificate is None:
        return [None] * len(found.modes)
    known = found.certificate.eigenvalues.values
    conditions: list[float | None] = []
    for value, residual in zip(found.modes.values, found.modes.residuals, strict=True):
        gap = (known - value).abs()
        nearest = int(gap.argmin())
        close = float(gap[nearest]) <= 2 * float(residual) + 1e-9 * float(value.abs())
        conditions.append(float(found.certificate.condition[nearest]) if close else None)
    return conditions


def finite(value: float) -> float | None:
    """``None`` for what JSON does not know."""
    return value if math.isfinite(value) else None
