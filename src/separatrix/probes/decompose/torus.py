"""Helmholtz-Hodge decomposition on a torus, by fast Fourier transform.

Each mode of the field is split along and across its wave vector, ``v_k = k (k . v_k) / |k|^2 + rest``; the mean is the
harmonic part. The three are orthogonal in L2. Exact for band-limited fields, spectrally accurate for smooth ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from separatrix.errors import InputError
from separatrix.fields import Field
from separatrix.probes.decompose.grids import Array, GridDecomposition, check_grid, corners, result, sample

# A field counts as periodic where opposite faces differ by less than this share of its root mean square.
PERIODIC = 1e-5
# Random places at which the grid is asked for what it has not seen.
PLACES = 16


def decompose_torus(field: Field, low: Sequence[float], high: Sequence[float], points: int = 64) -> GridDecomposition:
    """Gradient, rotation and mean of a field that is periodic in every coordinate.

    Args:
        field: of ``d`` coordinates.
        low, high: the corners of one period.
        points: for each coordinate, even.

    Raises:
        InputError: the field differs on opposite faces, the corners do not fit, ``points`` is odd, or the grid has more
            than two million points.

    Cost: ``points ** d`` gradients, 16 and ``6 d`` more for the checks, and a fast Fourier transform.

    Example:
        >>> from separatrix.fields import FunctionField
        >>> waves = FunctionField(lambda x: torch.stack([torch.cos(x[0]), torch.sin(x[0])]), torch.zeros(2))
        >>> found = decompose_torus(waves, (0, 0), (2 * torch.pi, 2 * torch.pi), points=8)
        >>> {name: round(share, 5) for name, share in found.shares.items()}
        {'gradient': 0.5, 'rotation': 0.5, 'harmonic': 0.0}
    """
    box = corners(field, low, high)
    d = field.space.n
    check_grid(points, "points", points**d, d)
    spent = field.gradients
    axes = [a + (b - a) * np.arange(points) / points for a, b in zip(*box, strict=True)]
    values = sample(field, axes)
    lengths = np.array(box[1]) - np.array(box[0])
    _check_periodic(field, box, float(np.sqrt((values**2).sum(0).mean())))
    potential, gradient, mean = _split(values, lengths)
    rotation = values - gradient - _spread(mean, d)
    halved = values[(slice(None), *[slice(None, None, 2)] * d)]
    coarse = _split(halved, lengths)
    missed = _missed(field, values, box)
    found = result(
        field,
        spent,
        box,
        "periodic",
        potential,
        (list(gradient), list(rotation), mean),
        _shares(values, gradient, mean),
        _shares(halved, coarse[1], coarse[2]),
        _residual(values, gradient, rotation, lengths),
    )
    if not missed > found.error:
        return found
    status = (
        f"Between the grid's points {missed:.1%} of the field is something else than what its waves show: more points are "
        f"needed. On the grid alone: {found.status}"
    )
    return replace(found, error=min(missed, 1.0), gradients=field.gradients - spent, status=status)


def _missed(field: Field, values: Array, box: tuple[tuple[float, ...], tuple[float, ...]]) -> float:
    """The share of the field at random places that the grid's trigonometric polynomial misses; waves too short for the grid look long on it."""
    d = field.space.n
    low, lengths = np.array(box[0]), np.array(box[1]) - np.array(box[0])
    unit = np.random.default_rng(0).random((PLACES, d))
    places = torch.as_tensor(low + lengths * unit).to(field.device, field.dtype)
    truth = field(places).double().cpu().numpy()
    total = float((truth**2).sum())
    if total == 0:
        return 0.0
    modes = np.fft.fftn(values, axes=tuple(range(1, d + 1))) / values[0].size
    sums = np.broadcast_to(modes, (PLACES, *modes.shape))
    for axis in range(d):
        size = values.shape[1 + axis]
        wave = np.fft.fftfreq(size, 1 / size)
        factors = np.exp(2j * np.pi * unit[:, axis, None] * wave)
        factors[:, size // 2] = factors[:, size // 2].real  # its phase is lost on the grid
        sums = np.einsum("pck...,pk->pc...", sums, factors)
    return float(((truth - sums.real) ** 2).sum()) / total


def _waves(shape: tuple[int, ...], lengths: Array) -> Array:
    """Wave vectors ``(d, n_1, ..., n_d)``; the highest mode of an even grid has derivative zero at its points."""
    waves = []
    for size, length in zip(shape, lengths, strict=True):
        k = np.fft.fftfreq(size, 1 / size)
        k[size // 2] = 0
        waves.append(2 * np.pi / length * k)
    return np.stack(np.meshgrid(*waves, indexing="ij"))


def _split(values: Array, lengths: Array) -> tuple[Array, Array, Array]:
    """``U``, ``-grad U`` and the mean."""
    axes = tuple(range(1, values.ndim))
    modes, k = np.fft.fftn(values, axes=axes), _waves(values.shape[1:], lengths)
    square = (k**2).sum(0)
    along = (k * modes).sum(0) / np.where(square > 0, square, 1)
    # v_k = -i k U_k, so U_k = i (k . v_k) / |k|^2.
    return (
        np.fft.ifftn(1j * along).real,
        np.fft.ifftn(k * along, axes=axes).real,
        values.reshape(len(values), -1).mean(1),
    )


def _spread(mean: Array, d: int) -> Array:
    return mean.reshape(-1, *[1] * d)


def _shares(values: Array, gradient: Array, mean: Array) -> dict[str, float]:
    total = float((values**2).sum(0).mean())
    if total == 0:
        return dict.fromkeys(("gradient", "rotation", "harmonic"), float("nan"))
    part, constant = float((gradient**2).sum(0).mean()) / total, float((mean**2).sum()) / total
    rest = values - gradient - _spread(mean, values.ndim - 1)
    return {"gradient": part, "rotation": float((rest**2).sum(0).mean()) / total, "harmonic": constant}


def _residual(values: Array, gradient: Array, rotation: Array, lengths: Array) -> float:
    total = float((values**2).sum())
    if total == 0:
        return 0.0
    axes = tuple(range(1, values.ndim))
    k = _waves(values.shape[1:], lengths)
    divergence = np.fft.ifftn((1j * k * np.fft.fftn(rotation, axes=axes)).sum(0)).real
    spacing = float((lengths / values.shape[1]).min())
    return max(
        abs(float((gradient * rotation).sum())) / total, float(np.linalg.norm(divergence)) * spacing / math.sqrt(total)
    )


def _check_periodic(field: Field, box: tuple[tuple[float, ...], tuple[float, ...]], size: float) -> None:
    """Opposite faces at a few random places."""
    low, high = (torch.tensor(c, dtype=torch.float64) for c in box)
    generator = torch.Generator().manual_seed(0)
    for axis in range(len(low)):
        at = low + (high - low) * torch.rand(3, len(low), generator=generator, dtype=torch.float64)
        at[:, axis] = low[axis]
        across = at.clone()
        across[:, axis] = high[axis]
        both = field(torch.cat([at, across]).to(field.device, field.dtype)).double()
        gap = float((both[:3] - both[3:]).norm(dim=1).max())
        if gap > PERIODIC * max(size, 1e-300):
            raise InputError(
                f"{field.name!r} is not periodic: between coordinate {axis} at {float(low[axis]):g} and at "
                f"{float(high[axis]):g} it differs by {gap:.3g} (its root mean square is {size:.3g}); give one whole period, "
                "or use decompose_box."
            )
