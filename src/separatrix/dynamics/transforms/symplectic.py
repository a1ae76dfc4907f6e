"""Symplectic gradient adjustment."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from separatrix.dynamics.transforms.transform import Products, Transform, check_not_negative, corrected, totals
from separatrix.fields.field import Rows


@dataclass(frozen=True)
class SymplecticAdjustment(Transform):
    """Symplectic gradient adjustment: ``w = v - weight A^T v`` with ``A = (v' - v'^T) / 2`` [balduzzi2018; letcher2019].

    The part of the field that only turns is turned towards its equilibrium; potential games are left as they are. With a normal
    ``v'`` the eigenvalue ``-a + i w`` becomes ``-(a + weight w^2) + i w (1 - weight a)``.

    With ``align`` the weight takes the sign that draws to stable points and pushes away from unstable ones:
    ``sign(<xi, grad H> <A^T xi, grad H> / n + 0.1)`` in the cost field ``xi = -v``, ``grad H = v'^T v``, ``n`` the number of
    coordinates (implementations that divide by the number of tensors decide otherwise near equilibria).

    Args:
        weight: of the adjustment.
        align: choose its sign at every point.
    """

    weight: float = 1.0
    align: bool = False
    gradients = 5.6

    def __post_init__(self) -> None:
        check_not_negative(weight=self.weight)

    @property
    def linear(self) -> bool:
        return not self.align

    def apply(self, v: Rows, products: Products | None) -> Rows:
        assert products is not None
        total = totals(v)
        entries = range(len(products.leaves))
        flat = [total.get(i, torch.zeros_like(products.leaves[i])) for i in entries]
        pulled, pushed = products.pull_and_push({key: total[key[1]] for key in v}, flat)
        turned = totals(pushed)
        adjustment = [(pulled[i] - turned.get(i, torch.zeros_like(pulled[i]))) / 2 for i in entries]  # A^T v
        weight = self.weight
        if self.align:
            n = sum(leaf.numel() for leaf in products.leaves)
            first = sum(float((a * b).sum()) for a, b in zip(flat, pulled, strict=True))
            second = sum(float((a * b).sum()) for a, b in zip(adjustment, pulled, strict=True))
            weight *= 1.0 if -first * second / n + 0.1 > 0 else -1.0
        return corrected(v, [-weight * a for a in adjustment])
