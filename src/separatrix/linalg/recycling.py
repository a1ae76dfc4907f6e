"""What one GMRES cycle hands to the next, and one system to the next: the slowest harmonic Ritz vectors (GCRO-DR).

With ``U``, ``C = A U`` recycled and the cycle's ``(I - C C.T) A M V_j = V_{j+1} H``, columns here,

    A W = [C, V_{j+1}] G,    W = [U D, M V_j],    G = [[D, B], [0, H]],    B = C.T A M V_j,

``D`` scaling the columns of ``U`` to one. The harmonic Ritz values on ``W`` solve ``G.T G z = theta G.T [C, V_{j+1}].T W z``;
the vectors ``W z`` of the smallest ``|theta|`` are what slows GMRES down [parks2006].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from separatrix.linalg.ordering import select
from separatrix.linalg.projected import Matrix

Preconditioner = Callable[[Tensor], Tensor]
Space = tuple[Tensor, Tensor]  # rows U and orthonormal rows C = A U


def slowest(
    basis: Tensor, H: Matrix, M: Preconditioner | None, space: Space | None, along: Tensor | None, keep: int
) -> Space | None:
    """The next ``U`` and ``C``, from a finished cycle; the old ones where there is nothing to choose from.

    Args:
        basis: ``V_{j+1}``, rows ``(j + 1, n)``.
        H: ``(j + 1, j)`` float64 on the host.
        M: the right preconditioner, linear.
        space: the old ``U`` and ``C``.
        along: rows ``C A M v_i``, ``(j, p)``.
        keep: how many directions.

    Cost: no products; ``keep`` applications of the preconditioner.
    """
    j = H.shape[1]
    directions = basis[:j]
    if space is None or along is None:
        G, inner = H, np.eye(j + 1, j)
        images = basis
        W, p = directions, 0
    else:
        U, C = space
        p = len(U)
        lengths = torch.linalg.vector_norm(U, dim=1)
        scaled = U / lengths[:, None]
        G = np.zeros((p + j + 1, p + j))
        G[:p, :p] = np.diag(1 / _host(lengths))
        G[:p, p:] = _host(along).T
        G[p:, p:] = H
        images = torch.cat([C, basis])
        W = torch.cat([scaled, directions])
        inner = np.zeros_like(G)
        inner[:, :p] = _host(images @ scaled.T)
        inner[p:, p:] = np.eye(j + 1, j)
    if M is not None:
        W = torch.cat([W[:p], torch.stack([M(v) for v in W[p:]])])
        inner[:, p:] = _host(images @ W[p:].T)
    if len(W) <= keep:
        return space
    theta, Z = scipy.linalg.eig(G.T @ G, G.T @ inner)
    theta = np.where(np.isfinite(theta), theta, np.inf)
    order = select(torch.from_numpy(theta), lambda lam: -lam.abs(), keep)
    parts = np.concatenate([Z[:, order].real, Z[:, order].imag], axis=1)
    left, size, _ = np.linalg.svd(parts, full_matrices=False)
    Z = left[:, size > 1e-8 * size[0]]
    Q, R = np.linalg.qr(G @ Z)
    Z = Z @ np.linalg.inv(R)

    def combined(weights: Matrix, rows: Tensor) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(weights.T)).to(rows) @ rows

    return combined(Z, W), combined(Q, images)


def _host(tensor: Tensor) -> Matrix:
    result: Matrix = tensor.to("cpu", torch.float64).numpy()
    return result
