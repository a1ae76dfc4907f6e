"""Families of matrices with a planted or closed-form spectrum, float64, from a seed."""

from __future__ import annotations

import torch
from torch import Tensor


def gaussian(rows: int, columns: int, seed: int) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def orthogonal(n: int, seed: int) -> Tensor:
    q, r = torch.linalg.qr(gaussian(n, n, seed))
    return q * torch.diagonal(r).sign()


def wishart_plus_skew(n: int, seed: int, *, skew: float = 2.0) -> Tensor:
    """A contracting game: minus a Wishart matrix plus a Gaussian skew one."""
    w, k = gaussian(n, n, seed), gaussian(n, n, seed + 1000)
    return -(w @ w.T) / n - 0.05 * torch.eye(n, dtype=torch.float64) + skew * (k - k.T) / (2 * n) ** 0.5


def planted_pair(n: int, seed: int, *, real: float = 0.05, imag: float = 0.4) -> Tensor:
    """Wishart plus skew, turned, with one unstable pair ``real +- imag i`` decoupled from the rest."""
    a = torch.zeros(n, n, dtype=torch.float64)
    a[:2, :2] = torch.tensor([[real, imag], [-imag, real]])
    a[2:, 2:] = wishart_plus_skew(n - 2, seed) - 0.1 * torch.eye(n - 2, dtype=torch.float64)
    q = orthogonal(n, seed + 2000)
    return q @ a @ q.T


def grcar(n: int) -> Tensor:
    """Grcar's matrix: -1 below, 1 on the diagonal and three bands above; badly non-normal."""
    one = torch.ones(n, n, dtype=torch.float64)
    bands = torch.triu(one) - torch.triu(one, 4)
    return bands - torch.diag(torch.ones(n - 1, dtype=torch.float64), -1)


def non_normal(n: int, seed: int, *, departure: float) -> Tensor:
    """``Q (D + departure * N) Q.T``: real eigenvalues ``D`` in -2..1, strictly upper ``N`` of unit norm."""
    upper = torch.triu(gaussian(n, n, seed), 1)
    t = torch.diag(torch.linspace(-2, 1, n, dtype=torch.float64)) + departure * upper / upper.norm()
    q = orthogonal(n, seed + 3000)
    return q @ t @ q.T


def clustered_and_defective(n: int, seed: int) -> Tensor:
    """A Jordan block at 1 and a cluster of width 1e-6 at 0.9, the rest left of 0.5, turned."""
    t = torch.diag(torch.linspace(-1, 0.5, n, dtype=torch.float64))
    t[:3, :3] = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
    t[3:7, 3:7] = torch.diag(0.9 + 1e-6 * torch.arange(4, dtype=torch.float64))
    q = orthogonal(n, seed)
    return q @ t @ q.T
