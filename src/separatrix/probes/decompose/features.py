"""Functions that a potential is made of: polynomials, radial functions, random Fourier features, with their derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations_with_replacement

import torch
from torch import Tensor

from separatrix.errors import InputError


@dataclass(frozen=True)
class Features:
    """``k`` scalar functions on ``R^n``.

    Attributes:
        name: in words.
        n, count: the dimension and ``k``.
        values: points ``(m, n)`` to ``(m, k)``.
        gradients: points to ``(m, n, k)``.
        laplacians: points to ``(m, k)``.
    """

    name: str
    n: int
    count: int
    values: Callable[[Tensor], Tensor]
    gradients: Callable[[Tensor], Tensor]
    laplacians: Callable[[Tensor], Tensor]


def polynomial_features(points: Tensor, degree: int) -> Features:
    """All monomials of degree 1 to ``degree`` in the standardised coordinates ``(x - mean) / spread`` of the points.

    Exact for polynomial fields of one degree less. There are ``binomial(n + degree, degree) - 1``.
    """
    if degree < 1:
        raise InputError(f"degree must be at least 1, got {degree}.")
    centre, spread, n = *_standard(points), points.shape[1]
    exponents = torch.tensor(
        [
            [row.count(j) for j in range(n)]
            for total in range(1, degree + 1)
            for row in combinations_with_replacement(range(n), total)
        ]
    )

    def powers(x: Tensor, lower: int | None = None, by: int = 0) -> Tensor:
        """Monomials, differentiated ``by`` times along coordinate ``lower``, ``(m, k)``."""
        z = (x.double() - centre) / spread
        table = torch.stack([z**p for p in range(degree + 1)])  # (degree + 1, m, n)
        product = torch.ones(len(x), len(exponents), dtype=torch.float64)
        for j in range(n):
            e = exponents[:, j]
            if j != lower:
                product = product * table[e, :, j].T
                continue
            factor = torch.ones(len(e), dtype=torch.float64)
            for i in range(by):
                factor = factor * (e - i)
            product = product * table[(e - by).clamp(min=0), :, j].T * (factor / spread[j] ** by)
        return product

    return Features(
        f"polynomials up to degree {degree}",
        n,
        len(exponents),
        powers,
        lambda x: torch.stack([powers(x, j, 1) for j in range(n)], dim=1),
        lambda x: torch.stack([powers(x, j, 2) for j in range(n)]).sum(0),
    )


def radial_features(points: Tensor, count: int, *, width: float | None = None, seed: int = 0) -> Features:
    """Gaussian bumps ``exp(-|x - c|^2 / 2 width^2)`` at randomly chosen points, and the coordinates themselves.

    Args:
        points: ``(m, n)``, among which the centres are drawn.
        count: how many bumps, at most ``m``.
        width: of the bumps; the median distance of two centres where ``None``.
        seed: of the draw.
    """
    if not 1 <= count <= len(points):
        raise InputError(
            f"count must lie between 1 and the {len(points)} points that centres are drawn from, got {count}."
        )
    generator = torch.Generator().manual_seed(seed)
    centres = points.double()[torch.randperm(len(points), generator=generator)[:count]]
    scale = float(torch.pdist(centres).median()) if count > 1 else float(_standard(points)[1].norm())
    w = width or scale or 1.0
    n = points.shape[1]

    def parts(x: Tensor) -> tuple[Tensor, Tensor]:
        off = x.double()[:, :, None] - centres.T  # (m, n, k)
        return off, (-off.square().sum(1) / (2 * w**2)).exp()

    def laplacians(x: Tensor) -> Tensor:
        off, bump = parts(x)
        return bump * (off.square().sum(1) / w**4 - n / w**2)

    return _with_coordinates(
        f"{count} radial functions of width {w:.3g}",
        points,
        count,
        lambda x: parts(x)[1],
        lambda x: -parts(x)[0] * parts(x)[1][:, None] / w**2,
        laplacians,
    )


def random_features(points: Tensor, count: int, *, width: float | None = None, seed: int = 0) -> Features:
    """Random waves ``cos(omega . x + b)`` with ``omega ~ N(0, 1 / width^2)``, and the coordinates themselves.

    Args:
        points: ``(m, n)``, for the width.
        count: how many waves.
        width: over which the field changes; the root mean square distance from the mean where ``None``.
        seed: of the draw.
    """
    if count < 1:
        raise InputError(f"count must be at least 1, got {count}.")
    generator, n = torch.Generator().manual_seed(seed), points.shape[1]
    w = width or float(_standard(points)[1].norm()) or 1.0
    omega = torch.randn(n, count, generator=generator, dtype=torch.float64) / w
    phase = 2 * math.pi * torch.rand(count, generator=generator, dtype=torch.float64)
    return _with_coordinates(
        f"{count} random waves of width {w:.3g}",
        points,
        count,
        lambda x: torch.cos(x.double() @ omega + phase),
        lambda x: -torch.sin(x.double() @ omega + phase)[:, None] * omega,
        lambda x: -torch.cos(x.double() @ omega + phase) * omega.square().sum(0),
    )


def _with_coordinates(
    name: str,
    points: Tensor,
    count: int,
    values: Callable[[Tensor], Tensor],
    gradients: Callable[[Tensor], Tensor],
    laplacians: Callable[[Tensor], Tensor],
) -> Features:
    n = points.shape[1]
    eye = torch.eye(n, dtype=torch.float64)
    return Features(
        name,
        n,
        count + n,
        lambda x: torch.cat([x.double(), values(x)], dim=1),
        lambda x: torch.cat([eye.expand(len(x), n, n), gradients(x)], dim=2),
        lambda x: torch.cat([torch.zeros(len(x), n, dtype=torch.float64), laplacians(x)], dim=1),
    )


def _standard(points: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and spread of each coordinate; a coordinate that does not vary keeps its unit."""
    if points.ndim != 2 or len(points) < 2:
        raise InputError(f"points have shape (m, n) with m at least 2, got {tuple(points.shape)}.")
    x = points.detach().double().cpu()
    spread = x.std(0)
    return x.mean(0), torch.where(spread > 0, spread, torch.ones_like(spread))
