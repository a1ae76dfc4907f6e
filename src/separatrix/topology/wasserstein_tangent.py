"""Tangent spaces of families of measures, from transport maps to nearby members, by spectral analysis [hamm2025].

The optimal map ``T_i`` from a base measure ``lam`` to the i-th sample gives the displacement ``u_i = T_i - id`` in
``L2(lam)``, the logarithm of the sample at the base. For samples within ``eps`` the covariance ``1/n sum u_i (x) u_i`` has
eigenvalues of order ``eps^2`` along the family; those across it, from its bending, are of order ``eps^4``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.topology.wasserstein import check_clouds, check_covariances, check_means, optimal_plan

__all__ = ["Displacements", "TangentSpace", "cloud_displacements", "gaussian_displacements", "tangent_space"]


@dataclass(frozen=True, eq=False)
class Displacements:
    """Displacements ``u_i = T_i - id`` from one base measure to ``n`` samples.

    Attributes:
        fields: ``(n, p, d)``: at each point of a base cloud; or ``(n, d, d + 1)``: ``[A, b]`` of the affine field
            ``u(x) = A (x - m) + b`` on a Gaussian base with mean m.
        coordinates: ``(n, k)``: the same, with the inner product of ``L2(base)`` as their dot product.
        spread: ``(n,)``: ``W^2 - |u|^2``, what the plan scatters beyond its barycentric map; zero for a map.
    """

    fields: Tensor
    coordinates: Tensor
    spread: Tensor

    @property
    def distances(self) -> Tensor:
        """``(n,)``: W from the base to each sample."""
        return (self.coordinates.square().sum(dim=1) + self.spread).sqrt()


@dataclass(frozen=True, eq=False)
class TangentSpace:
    """A basis of directions in which a family leaves its base, or the reason why there is none.

    Attributes:
        dimension: m, or None without a clear gap.
        status: ``"gap"``; ``"no gap"``, as for samples without structure; or ``"undecided"``: a gap whose error bar
            crosses the threshold.
        fields: ``(m, ...)`` shaped like ``Displacements.fields``, orthonormal in ``L2(base)``; empty if there is no gap.
        singular_values: ``(min(n, k),)`` of ``coordinates / sqrt(n)``, falling: root mean squares along each direction.
            Their squares are the eigenvalues of the covariance and of the Gram matrix ``<u_i, u_j> / n``.
        error: a bound on the error of each singular value, from the spread of the plans and rounding (Weyl).
        angle_error: a bound on the sine of the angle between this space and that of exact maps (Wedin); one if
            there is no gap.
    """

    dimension: int | None
    status: Literal["gap", "no gap", "undecided"]
    fields: Tensor
    singular_values: Tensor
    error: float
    angle_error: float


def cloud_displacements(
    base: Tensor,
    clouds: Sequence[Tensor],
    *,
    base_weights: Tensor | None = None,
    weights: Sequence[Tensor] | None = None,
    max_iterations: int = 1_000_000,
) -> Displacements:
    """The displacements from a point cloud to others; maps by barycentric projection, ``T(x_i) = sum_j P_ij y_j / a_i``.

    Clouds drawn independently displace each other by the noise of sampling, too, about ``p^(-1/d)`` for p points, and nothing
    reports it: let W to the samples be well above W between two draws of one measure.

    Args:
        base: ``(p, d)``.
        clouds: ``(p_i, d)`` points each.
        base_weights: ``(p,)`` positive masses that sum to one; equal ones if None.
        weights: those of the clouds.
        max_iterations: of the network simplex, for one sample.

    Raises:
        InputError, ComputationError, ImportError: as for ``wasserstein_distances``; a base point without mass.

    Cost: one linear program a sample.
    """
    given = None if weights is None and base_weights is None else _all_weights(base, clouds, base_weights, weights)
    points, masses = check_clouds([base, *clouds], given, least=2)
    own, mass = points[0], masses[0]
    if not mass.all():
        raise InputError(f"base_weights[{int(np.argmin(mass))}] is zero: no map starts there; leave the point out.")
    fields = np.zeros((len(clouds), *own.shape))
    spread = np.zeros(len(clouds))
    for number, (cloud, masses_there) in enumerate(zip(points[1:], masses[1:], strict=True)):
        plan = optimal_plan(own, cloud, mass, masses_there, max_iterations)
        moved = plan.mass[:, None] * (cloud[plan.target] - own[plan.source])
        np.add.at(fields[number], plan.source, moved / mass[plan.source, None])
        spread[number] = max(0.0, plan.cost - float(mass @ (fields[number] ** 2).sum(axis=1)))
    coordinates = (fields * np.sqrt(mass)[:, None]).reshape(len(clouds), -1)
    return Displacements(*(torch.from_numpy(part) for part in (fields, coordinates, spread)))


def gaussian_displacements(
    covariance: Tensor, covariances: Tensor, *, mean: Tensor | None = None, means: Tensor | None = None
) -> Displacements:
    """The displacements from a Gaussian to others, in closed form.

        T(x) = m' + S^-1/2 (S^1/2 S' S^1/2)^1/2 S^-1/2 (x - m),   <[A, b], [A', b']> = tr(A S A'^T) + b . b'

    Args:
        covariance: ``(d, d)`` of the base, S, regular.
        covariances: ``(n, d, d)`` of the samples.
        mean: ``(d,)``; zero if None.
        means: ``(n, d)``; zero if None.

    Raises:
        InputError: as for ``bures_distances``; a singular base, from which there may be no map.

    References:
        [dowson1982].

    Example:
        >>> found = gaussian_displacements(torch.eye(1), torch.tensor([[[4.0]]]), means=torch.tensor([[3.0]]))
        >>> found.fields.round(decimals=9)  # x -> 2 x + 3
        tensor([[[1., 3.]]], dtype=torch.float64)
    """
    (own,), others = check_covariances(covariance[None], "covariance"), check_covariances(covariances, "covariances")
    n, d, _ = others.shape
    if own.shape != others.shape[1:]:
        raise InputError(f"covariance has dimension {len(own)}, but covariances have {d}.")
    shifts = torch.zeros(n, d, dtype=torch.float64) if means is None else check_means(means, (n, d))
    if mean is not None:
        shifts = shifts - check_means(mean, (d,))
    values, vectors = torch.linalg.eigh(own)
    if float(values[0]) <= 100 * d * torch.finfo(torch.float64).eps * float(values[-1]):
        raise InputError(f"covariance must be regular, its smallest eigenvalue is {float(values[0]):g}.")
    root = (vectors * values.sqrt()) @ vectors.mT
    inverse = (vectors / values.sqrt()) @ vectors.mT
    inner, axes = torch.linalg.eigh(root @ others @ root)
    scale = inverse @ ((axes * inner.clamp(min=0).sqrt()[:, None, :]) @ axes.mT) @ inverse
    linear = (scale + scale.mT) / 2 - torch.eye(d, dtype=torch.float64)
    coordinates = torch.cat([linear @ root, shifts[:, :, None]], dim=2).flatten(1)
    return Displacements(
        torch.cat([linear, shifts[:, :, None]], dim=2), coordinates, torch.zeros(n, dtype=torch.float64)
    )


def tangent_space(displacements: Displacements, *, radius: float | None = None, min_gap: float = 10.0) -> TangentSpace:
    """The directions in which the samples lie, up to the first gap in the spectrum.

    The dimension is the smallest ``m <= n / 2`` with ``sigma_m^2 / sigma_(m+1)^2 >= min_gap``. So directions along which the
    samples vary by less than ``1 / sqrt(min_gap)`` of the next stronger one are not counted: sample a family about equally
    far in all its directions. Bending leaves a ratio of order ``eps^2``: halve ``radius`` and a true gap widens fourfold.

    Args:
        displacements: from the base to samples in all directions, at least twice as many as the dimension expected.
        radius: samples with ``W < radius`` are used; all if None.
        min_gap: the least ratio of eigenvalues that counts as a gap.

    Raises:
        InputError: fewer than two samples within ``radius``, all of them at the base, or ``min_gap`` not above one.

    Cost: a singular value decomposition of ``(n, k)``.

    References:
        [hamm2025].

    Example:
        >>> shifts = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.1], [1.0, -1.0, 0.0]])
        >>> found = gaussian_displacements(torch.eye(3), torch.eye(3).repeat(4, 1, 1), means=shifts)
        >>> tangent_space(found).dimension  # in a plane, nearly
        2
    """
    if not min_gap > 1:
        raise InputError(f"min_gap must be above 1, got {min_gap}.")
    used = (
        torch.ones_like(displacements.spread, dtype=torch.bool) if radius is None else displacements.distances < radius
    )
    n = int(used.sum())
    if n < 2:
        where = "" if radius is None else f" within radius={radius:g}"
        raise InputError(f"A tangent space needs at least two samples, got {n}{where}.")
    left, sigma, _ = torch.linalg.svd(displacements.coordinates[used] / n**0.5, full_matrices=False)
    if float(sigma[0]) == 0.0:
        raise InputError("All samples coincide with the base: there is no direction to find.")
    rounding = 10 * max(displacements.coordinates.shape) * torch.finfo(torch.float64).eps * float(sigma[0])
    error = float(displacements.spread[used].mean().sqrt()) + rounding
    status, m = _first_gap(sigma[: n // 2].tolist(), [*sigma[1:].tolist(), 0.0], error, min_gap)
    fields = displacements.fields[used].flatten(1)
    basis = (left[:, :m] / sigma[:m]).mT @ fields / n**0.5
    angle = 1.0
    if status == "gap":
        after = float(sigma[m]) if m < len(sigma) else 0.0
        angle = min(1.0, error / (float(sigma[m - 1]) - after - error))  # positive: the gap is within its error bars
    shape = (m, *displacements.fields.shape[1:])
    return TangentSpace(m if status == "gap" else None, status, basis.reshape(shape), sigma, error, angle)


def _first_gap(
    sigma: list[float], following: list[float], error: float, min_gap: float
) -> tuple[Literal["gap", "no gap", "undecided"], int]:
    """The status, and the position of the first gap that is one within the error bars, else 0."""
    for m, (before, after) in enumerate(zip(sigma, following, strict=False), start=1):
        if before - error >= min_gap**0.5 * (after + error):
            return "gap", m
        if before + error >= min_gap**0.5 * (after - error):
            return "undecided", 0
    return "no gap", 0


def _all_weights(
    base: Tensor, clouds: Sequence[Tensor], base_weights: Tensor | None, weights: Sequence[Tensor] | None
) -> list[Tensor]:
    """The weights of base and clouds, equal ones filled in."""
    equal = [torch.full((len(cloud),), 1 / max(len(cloud), 1), dtype=torch.float64) for cloud in (base, *clouds)]
    return [equal[0] if base_weights is None else base_weights, *(equal[1:] if weights is None else weights)]
