"""How an observable's motion is spread over frequencies, for maps that preserve their measure: smoothed, with an error bound.

Then the Koopman operator ``K`` is an isometry, and ``<K^n g, g> = int e^{i n theta} dnu(theta)`` defines the spectral measure of ``g``:
an atom for each eigenvalue, and a density where the motion mixes. With ``S(z) = z <(z - K)^-1 g, g>`` outside the unit circle,
``(2 Re S(e^{i theta + eps}) - ||g||^2) / (2 pi)`` is the measure smoothed by Poisson's kernel, to first order in ``eps``. A sum over
``m`` points ``z_j = e^{i theta - i eps a_j}`` with weights ``alpha_j``, ``sum_j alpha_j a_j^k = 1`` for ``k = 0`` and ``0`` up to ``m - 1``,
is a kernel of order ``m`` [colbrook2024, sec. 5]. The resolvent is applied in the dictionary's span; the residual
``||g - (z - K) h||`` comes from the same data and bounds what that costs, as ``||(z - K)^-1|| <= 1 / (|z| - 1)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.probes.koopman.resdmd import resdmd


@dataclass(frozen=True)
class SpectralDensity:
    """The smoothed density.

    Attributes:
        value: of the shape of the angles, for one radian; its integral over the circle is ``||g||^2``. Of order above 1 it may be negative.
        error: bound on the distance to the smoothed density of an infinite dictionary; smoothing itself is not in it.
    """

    value: Tensor
    error: Tensor


def spectral_density(
    psi_x: Tensor,
    psi_y: Tensor,
    g: Tensor,
    angles: Tensor,
    *,
    smoothing: float,
    order: int = 1,
    weights: Tensor | None = None,
) -> SpectralDensity:
    """The spectral measure of an observable, smoothed over angles of about ``smoothing``.

    Args:
        psi_x, psi_y, weights: as for :func:`~separatrix.probes.koopman.resdmd`; the weights must be those of the measure that is preserved.
        g: ``(N,)``, the observable's coefficients in the dictionary.
        angles: radians, any shape.
        smoothing: ``eps`` in radians. Smaller needs a larger dictionary: watch ``error``.
        order: ``m``; where the density is smooth the smoothing's error falls like ``eps^m``, up to a logarithm.

    Raises:
        InputError: as ``resdmd``; a smoothing or order that is not positive, or coefficients that do not fit.

    Cost: ``O(M N^2)``, then one solve ``(r, r)`` for each angle and order.

    Example:
        >>> points = torch.arange(64, dtype=torch.float64)[:, None] * 2 * pi / 64
        >>> turn = torch.exp(1j * points), torch.exp(1j * (points + 1.0))  # an atom at one radian
        >>> found = spectral_density(*turn, torch.ones(1), torch.tensor([1.0, 2.0]), smoothing=0.01)
        >>> [round(v, 3) for v in found.value.tolist()]  # Poisson's kernel: 1 / (pi eps) above, little elsewhere
        [31.831, 0.003]
    """
    if not smoothing > 0 or order < 1:
        raise InputError(
            f"smoothing and order must be positive, got {smoothing} and {order}; try smoothing=0.1, order=1."
        )
    found = resdmd(psi_x, psi_y, weights=weights)
    if g.shape != (psi_x.shape[1],):
        raise InputError(f"g must be ({psi_x.shape[1]},), a coefficient for each function, got {tuple(g.shape)}.")
    count = len(psi_x)
    w = torch.full((count,), 1.0 / count, dtype=torch.float64) if weights is None else weights.double()
    q, b = found.basis, found.images
    at = q.mH @ (w.sqrt() * (psi_x.to(q.dtype) @ g.to(q.dtype)))
    # Both lie in a space of at most 2 r dimensions, where norms are kept.
    joint = torch.linalg.qr(torch.cat([q, b], dim=1)).Q
    q, b = joint.mH @ q, joint.mH @ b
    matrix, norm = q.mH @ b, at.norm()
    points, alphas = _kernel(order)
    value = torch.full((angles.numel(),), -(float(norm) ** 2) / (2 * pi), dtype=torch.float64)
    error = torch.zeros_like(value)
    for point, alpha in zip(points, alphas, strict=True):
        z = torch.exp(1j * (angles.reshape(-1).double() - smoothing * point))
        shifted = z[:, None, None] * torch.eye(len(matrix), dtype=q.dtype) - matrix
        h = torch.linalg.solve(shifted, at.expand(len(z), -1))
        value += (alpha * z * (h @ at.conj())).real / pi
        residual = (at @ q.mT - z[:, None] * (h @ q.mT) + h @ b.mT).norm(dim=1)
        error += alpha.abs() * z.abs() * residual * norm / (z.abs() - 1) / pi
    return SpectralDensity(value.reshape(angles.shape), error.reshape(angles.shape))


def _kernel(order: int) -> tuple[Tensor, Tensor]:
    """Points one above the real line, symmetric, and the weights that make moments 1 to ``order - 1`` vanish."""
    j = torch.arange(1, order + 1, dtype=torch.float64)
    points = 2 * j / (order + 1) - 1 + 1j
    moments = points[None, :] ** torch.arange(order)[:, None]
    first = torch.zeros(order, dtype=points.dtype)
    first[0] = 1.0
    return points, torch.linalg.solve(moments, first)
