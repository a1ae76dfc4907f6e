"""Consensus optimisation."""

from __future__ import annotations

from dataclasses import dataclass

from separatrix.dynamics.bases import is_number
from separatrix.dynamics.transforms.transform import Products, Transform, corrected, totals
from separatrix.errors import InputError
from separatrix.fields.field import Rows


@dataclass(frozen=True)
class Consensus(Transform):
    """Consensus optimisation: ``w = v - gamma grad (|v|^2 / 2) = v - gamma v'^T v`` [mescheder2017, eq. 9].

    Both players also descend the squared norm of the whole field, which turns rotation into attraction. Stationary
    points stay where they are; a large ``gamma`` attracts also to wrong ones, and shrinks the safe step.

    Args:
        gamma: weight of the regulariser.
    """

    gamma: float
    gradients = 3.0

    def __post_init__(self) -> None:
        if not is_number(self.gamma):
            raise InputError(f"gamma must be a number, got {self.gamma!r}.")
        if not self.gamma >= 0:
            raise InputError(f"gamma must not be negative, got {self.gamma}.")

    def apply(self, v: Rows, products: Products | None) -> Rows:
        assert products is not None
        total = totals(v)
        pulled = products.pull({key: total[key[1]] for key in v})
        return corrected(v, [-self.gamma * p for p in pulled])
