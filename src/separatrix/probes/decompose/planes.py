"""The planes in which a field turns fastest: eigenspaces of the antisymmetric part of its Jacobian."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.fields import Space
from separatrix.linalg import LinearOperator, eigenvalues
from separatrix.linalg.frobenius import frobenius_parts


@dataclass(frozen=True)
class RotationPlane:
    """An invariant plane of ``A = (P - P^T)/2``.

    Attributes:
        rate: ``omega`` of its eigenvalues ``+-i omega``, in rad per unit of time of the operator.
        residual: of the eigenvalue, recomputed; some eigenvalue lies that close.
        converged: the residual is below the tolerance.
        share: ``2 omega^2 / |A|_F^2``, how much of all turning happens in this plane.
        basis: orthonormal ``(2, n)``, in the sense of the turning: ``A basis[0] = omega basis[1]``, ``A basis[1] = -omega basis[0]``.
        players: how much of the plane lies in each player's coordinates, adding up to 1; one half each where one player
            turns against another.
    """

    rate: float
    residual: float
    converged: bool
    share: float
    basis: Tensor
    players: dict[str, float]


def rotation_planes(
    operator: LinearOperator,
    space: Space | None = None,
    k: int = 3,
    *,
    total: float | None = None,
    max_products: int = 100,
    tol: float = 1e-4,
    seed: int = 0,
) -> tuple[RotationPlane, ...]:
    """The ``k`` planes in which the antisymmetric part turns fastest.

    Args:
        operator: ``P``, ``(n, n)``.
        space: for the players' parts in the planes.
        k: how many; fewer where the operator has fewer.
        total: ``|A|_F`` where it is known already; estimated from 10 probes where ``None``.
        max_products: products with ``A`` at most, each one of ``P`` and one of ``P^T``.
        tol: relative residual of a converged plane.
        seed: of the start vector.

    Cost: up to ``max_products`` products of each kind, ``n`` where that is fewer.

    References: [balduzzi2018, section 2]; [greif2009] for the Lanczos process of a skew operator.
    """
    n = operator.shape[0]
    k = min(k, n // 2)
    if k < 1:
        return ()
    turning = operator.antisym
    if total is None:
        total = frobenius_parts(operator, min(10, max(n, 2)), seed=seed).antisymmetric.value
    if total == 0:
        return ()
    count = min(2 * k, n)
    found = eigenvalues(
        turning, count, target="rotation", max_products=max(max_products, count + 4), tol=tol, seed=seed
    )
    assert found.vectors is not None
    planes: list[RotationPlane] = []
    for i, value in enumerate(found.values.tolist()):
        rate = value.imag
        if rate <= 0 or rate <= found.noise or len(planes) == k:
            continue
        z = found.vectors[i]
        # For a skew operator Re z and Im z are orthogonal and of equal length; QR mends the rounding.
        basis = torch.linalg.qr(torch.stack([z.real, -z.imag]).double().T).Q.T
        if float(basis[0] @ z.real.double()) < 0:
            basis[0] = -basis[0]
        if float(basis[1] @ z.imag.double()) > 0:
            basis[1] = -basis[1]
        shares = {} if space is None else {p: float(space.take(basis.T, p).square().sum()) / 2 for p in space.players}
        planes.append(
            RotationPlane(
                rate,
                float(found.residuals[i]),
                bool(found.converged[i]),
                min(2 * rate**2 / total**2, 1.0),
                basis.to(operator.dtype),
                shares,
            )
        )
    return tuple(planes)
