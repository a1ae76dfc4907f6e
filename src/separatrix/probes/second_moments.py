"""The operator that drawn linear maps are on second moments, its spectral radius and its fixed point, with their errors."""

from __future__ import annotations

import numpy as np
import torch
from scipy.linalg import eig
from torch import Tensor

from separatrix.linalg import Diagonal, LinearOperator, eigenvalues, gmres

# Up to this size of the period's map the operator is formed as a matrix; beyond, Krylov search.
FORMED_UP_TO = 16
PRODUCTS, WIDTH = 200, 1e-5
TOLERANCE = 1e-6


class Stage:
    """``X -> mean M X M^T`` for maps ``M (t, p, q)``. Cost: two matrix products with all maps side by side."""

    def __init__(self, maps: Tensor) -> None:
        self.shape = maps.shape[1:]
        self._tall, self._wide = maps.reshape(-1, maps.shape[2]), maps.transpose(0, 1).reshape(maps.shape[1], -1)
        self.count = len(maps)

    def __call__(self, x: Tensor) -> Tensor:
        p, q = self.shape
        pushed: Tensor = (self._tall @ x).reshape(-1, p, q).transpose(0, 1).reshape(p, -1)
        return pushed @ self._wide.T / self.count


class SecondMoments(LinearOperator):
    """``X -> mean M X M^T`` on flattened ``X``, ``(n^2, n^2)``, where ``M = M_c ... M_1`` and each ``M_i`` is drawn by itself.

    Args:
        stages: for each ``i`` the maps ``(t, p, q)``, equally likely; ``q`` of the first is ``p`` of the last.

    Cost: for each stage two matrix products with all its maps side by side, ``4 t n^3`` operations.
    """

    def __init__(self, stages: list[Tensor]) -> None:
        n = stages[0].shape[-1]
        super().__init__((n * n, n * n), dtype=stages[0].dtype, device=stages[0].device)
        self.stages = stages
        self._upright = [Stage(maps) for maps in stages]
        self._turned = [Stage(maps.mT) for maps in reversed(stages)]

    @property
    def widest(self) -> int:
        return max(max(maps.shape[1:]) for maps in self.stages)

    def formed(self) -> Tensor:
        """On symmetric matrices, ``(n (n + 1) / 2,)`` in an orthonormal basis: what else there is grows no faster."""
        whole = torch.eye(self.shape[0], dtype=self.dtype)
        for maps in self.stages:
            p, q = maps.shape[1:]
            whole = torch.einsum("tij,tkl->ikjl", maps, maps).reshape(p * p, q * q) @ whole / len(maps)
        n = self.stages[0].shape[-1]
        i, j = torch.triu_indices(n, n)
        # Rows of one triangle, columns of both: a symmetric matrix has the same entries in either.
        half = whole[i * n + j]
        size = torch.where(i == j, 1.0, 2**0.5).to(self.dtype)
        return size[:, None] * (half[:, i * n + j] + half[:, j * n + i]) / torch.where(i == j, 2.0, 2**0.5)

    def _apply(self, u: Tensor) -> Tensor:
        return self._through(u, self._upright)

    def _apply_transpose(self, u: Tensor) -> Tensor:
        return self._through(u, self._turned)

    def _through(self, u: Tensor, stages: list[Stage]) -> Tensor:
        n = self.stages[0].shape[-1]
        x = u.reshape(n, n)
        for stage in stages:
            x = stage(x)
        return x.reshape(-1)


def spectral_radius(moments: SecondMoments, *, judged: bool = True) -> tuple[float, float]:
    """How fast second moments grow, and an error that holds to first order: backward error times the eigenvalue's condition.

    The condition ``1 / |y^H x|`` grows without bound as eigenvectors become parallel, so that of a double eigenvalue with one vector
    the error is about the root of a rounding and not a rounding.

    Args:
        moments: the operator, which keeps matrices positive semidefinite, as its eigenmatrix is.
        judged: find the error too; without it comes 0.
    """
    n = moments.stages[0].shape[-1]
    if moments.widest <= FORMED_UP_TO:
        formed = moments.formed()
        if not judged:
            return float(torch.linalg.eigvals(formed).abs().max()), 0.0
        values, left, right = eig(formed.numpy(), left=True, right=True)
        aligned = np.abs((left.conj() * right).sum(0))
        # That of the eigenvalue solver, and of the sums over the maps that the matrix is made of.
        backward = np.finfo(float).eps * (len(values) + len(moments.stages) * n) * np.linalg.norm(formed)
        errors = backward / np.maximum(aligned, np.finfo(float).tiny)
        top = int(np.abs(values).argmax())
        radius = float(np.abs(values[top]))
        return radius, float(max(errors[top], (np.abs(values) + errors).max() - radius))
    # An operator that keeps matrices positive semidefinite has its radius as an eigenvalue, so that it is the rightmost: rotations
    # may be nearly as large, but none is as far to the right.
    start = torch.eye(n, dtype=moments.dtype).reshape(-1)

    def search(operator: LinearOperator) -> tuple[float, float, Tensor]:
        found = eigenvalues(
            operator,
            1,
            target="rightmost",
            start=start,
            tol=WIDTH,
            max_products=PRODUCTS,
            dense_up_to=0,
            progress=False,
        )
        assert found.vectors is not None
        return float(found.values[0].abs()), float(found.residuals[0]), found.vectors[0]

    radius, residual, right = search(moments)
    if not judged:
        return radius, 0.0
    _, _, left = search(moments.T)
    return radius, residual / max(float(torch.vdot(left, right).abs()), 1e-300)


def at_rest(moments: SecondMoments, added: Tensor) -> tuple[Tensor, float]:
    """``X = mean M X M^T + added``, and its relative residual."""
    n = len(added)
    found = gmres(
        Diagonal(added.new_ones(n * n)) - moments,
        added.reshape(-1),
        tol=TOLERANCE,
        max_products=600,
        restart=60,
        progress=False,
    )
    return found.value.reshape(n, n), found.residual
