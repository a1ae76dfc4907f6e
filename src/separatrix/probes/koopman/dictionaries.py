"""Dictionaries of orthonormal functions, evaluated by their three-term recurrences."""

from __future__ import annotations

from math import pi, sqrt

import torch
from torch import Tensor

from separatrix.errors import InputError


def legendre(x: Tensor, count: int, *, low: float = -1.0, high: float = 1.0) -> Tensor:
    """``(M, count)``: Legendre polynomials of degree 0 on, orthonormal in the mean over ``[low, high]``.

    Raises:
        InputError: points that are no vector, outside of the interval, or no functions asked for.
    """
    _check(x, count)
    at = (2 * x - low - high) / (high - low)
    if bool((at.abs() > 1 + 1e-9).any()):
        raise InputError(
            f"points must lie in [{low:g}, {high:g}], got {float(x.min()):g} to {float(x.max()):g}; give the interval as low and high."
        )
    found = [torch.ones_like(at), at]
    for n in range(2, count):
        found.append(((2 * n - 1) * at * found[-1] - (n - 1) * found[-2]) / n)
    return torch.stack([sqrt(2 * n + 1) * found[n] for n in range(count)], dim=1)


def hermite(x: Tensor, count: int) -> Tensor:
    """``(M, count)``: Hermite functions, ``pi^-1/4 exp(-x^2 / 2)`` the first, orthonormal on the line.

    The one of number ``n`` reaches to about ``sqrt(2 n + 1)``.

    Raises:
        InputError: points that are no vector, or no functions asked for.
    """
    _check(x, count)
    found = [pi**-0.25 * torch.exp(-x * x / 2)]
    found.append(sqrt(2) * x * found[0])
    for n in range(2, count):
        found.append(sqrt(2 / n) * x * found[-1] - sqrt((n - 1) / n) * found[-2])
    return torch.stack(found[:count], dim=1)


def fourier_hermite(angle: Tensor, speed: Tensor, cross: int) -> Tensor:
    """``(M, N)`` complex: products of ``e^{i k angle}`` and Hermite functions of the speed, orthonormal on circle times line.

    The hyperbolic cross ``(|k| + 1)(n + 1) <= cross`` holds what is slow in at least one of both [colbrook2024, sec. 4].

    Raises:
        InputError: as :func:`hermite`, or angles and speeds of different shapes.
    """
    if angle.shape != speed.shape:
        raise InputError(f"angles and speeds come in pairs, got shapes {tuple(angle.shape)} and {tuple(speed.shape)}.")
    up = hermite(speed, cross) / sqrt(2 * pi)
    columns = [torch.exp(1j * k * angle)[:, None] * up[:, : cross // (abs(k) + 1)] for k in range(1 - cross, cross)]
    return torch.cat(columns, dim=1)


def _check(x: Tensor, count: int) -> None:
    if x.ndim != 1 or count < 1:
        raise InputError(
            f"a dictionary takes points (M,) and a positive count, got shape {tuple(x.shape)} and count={count}."
        )
