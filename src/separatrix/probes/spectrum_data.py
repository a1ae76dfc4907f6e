"""A spectrum as plain data: what pages, pictures and ``--json`` are made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from separatrix.linalg import SpectralDensity, Stability, step_limit
from separatrix.probes.surroundings import finite, pseudospectrum_data, range_data

if TYPE_CHECKING:
    from separatrix.probes.spectrum import Spectrum

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
        "pseudospectrum": None
        if found.pseudospectrum is None
        else pseudospectrum_data(
            found.pseudospectrum, found.modes, found.numerical_range, unstable=found.verdict == "unstable"
        ),
        "density": None if found.density is None else density_data(found.density, exact=modes.complete),
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


def density_data(found: SpectralDensity, *, exact: bool) -> dict[str, Any]:
    """The density on a grid; where all eigenvalues are known, the shares of them on either side of zero too.

    Sides begin at ``FLAT`` times the largest modulus: below it the sign is rounding. A sampled density does not tell how much
    of a bulk at zero lies on which side.
    """
    low, high = float(found.nodes.min()), float(found.nodes.max())
    width = max(high - low, 1e-12)
    x = torch.linspace(low - 0.05 * width, high + 0.05 * width, POINTS, dtype=torch.float64)
    value, stderr = found.at(x, bandwidth=0.01 * width)
    edge = FLAT * max(abs(low), abs(high))
    return {
        "x": x.tolist(),
        "density": value.tolist(),
        "stderr": [finite(error) for error in stderr.tolist()],
        "bandwidth": 0.01 * width,
        "above": float((found.nodes[0] > edge).double().mean()) if exact else None,
        "below": float((found.nodes[0] < -edge).double().mean()) if exact else None,
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
