"""Densities to sample from or to begin with, normalised."""

from __future__ import annotations

from math import log, pi

from torch import Tensor

from separatrix.dynamics.sample.langevin import LogDensity
from separatrix.errors import InputError


def standard_normal(x: Tensor) -> Tensor:
    """``(b,)``: log density at the points ``(b, n)``."""
    return -x.square().sum(dim=1) / 2 - x.shape[1] / 2 * log(2 * pi)


def gaussian_mixture(places: Tensor, deviations: Tensor, shares: Tensor) -> LogDensity:
    """Round Gaussians: ``places`` ``(k, n)``, ``deviations`` ``(k,)`` and ``shares`` ``(k,)`` that add up to 1.

    Raises:
        InputError: shapes that do not fit, a deviation or share that is not positive, shares that do not add up.
    """
    if places.ndim != 2 or deviations.shape != shares.shape or shares.shape != places.shape[:1]:
        raise InputError(
            f"a mixture takes places (k, n), deviations (k,) and shares (k,), got {tuple(places.shape)}, {tuple(deviations.shape)}, {tuple(shares.shape)}."
        )
    if bool((deviations <= 0).any() | (shares <= 0).any()) or abs(float(shares.sum()) - 1) > 1e-6:
        raise InputError(
            f"deviations and shares must be positive and shares add up to 1, got {deviations.tolist()} and {shares.tolist()}."
        )
    constants = shares.log() - places.shape[1] * (deviations.log() + log(2 * pi) / 2)

    def log_density(x: Tensor) -> Tensor:
        squares = (x[:, None] - places).square().sum(dim=2) / deviations**2
        return (constants - squares / 2).logsumexp(dim=1)

    return log_density
