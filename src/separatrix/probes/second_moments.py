"""The operator that drawn linear maps are on second moments."""

from __future__ import annotations

import torch
from torch import Tensor

from separatrix.linalg import LinearOperator


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
        whole = torch.eye(self.shape[0], dtype=self.dtype)
        for maps in self.stages:
            p, q = maps.shape[1:]
            whole = torch.einsum("tij,tkl->ikjl", maps, maps).reshape(p * p, q * q) @ whole / len(maps)
        return whole

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
