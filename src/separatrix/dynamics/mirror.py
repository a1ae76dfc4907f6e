"""Mirror descent on probability simplices: multiplicative steps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.dynamics.bases import Base, State
from separatrix.errors import InputError


@dataclass(frozen=True)
class ExponentiatedGradient(Base):
    """``x' = x exp(lr v) / sum``: mirror descent with the entropy, where a player's coordinates are probabilities [kivinen1997].

    The mass of each simplex stays what it was, and no coordinate leaves 0 or turns negative. Optimistic mirror descent
    [rakhlin2013] is :class:`PastExtragradient` over it. There is no prediction from a frozen metric, which depends on the point; the
    exact tangent of the step is right.

    Args:
        lr: learning rate.
        size: so many consecutive coordinates make up a simplex; all of the player's where ``None``.
    """

    lr: float
    size: int | None = None

    def __post_init__(self) -> None:
        if not self.lr > 0:
            raise InputError(f"lr must be positive, got {self.lr}.")
        if self.size is not None and self.size < 2:
            raise InputError(f"a simplex has at least 2 coordinates, got size={self.size}.")

    def init(self, x: Tensor) -> State:
        if self.size is not None and len(x) % self.size:
            raise InputError(f"{len(x)} coordinates of a player do not make up simplices of {self.size}.")
        if bool((x < 0).any()) or not bool((x.reshape(-1, self.size or len(x)).sum(1) > 0).all()):
            raise InputError(
                "multiplicative steps need coordinates that are not negative, with some mass in every simplex; got a smallest one of "
                f"{float(x.min()):.3g}."
            )
        return {"step": 0}

    def step(self, v: Tensor, x: Tensor, state: State) -> tuple[Tensor, State]:
        size = self.size or len(x)
        points, directions = x.reshape(-1, size), v.reshape(-1, size)
        # The largest exponent is subtracted, which the normalisation undoes.
        weights = points * torch.exp(self.lr * (directions - directions.max(dim=1, keepdim=True).values))
        moved = weights * (points.sum(dim=1, keepdim=True) / weights.sum(dim=1, keepdim=True))
        return moved.reshape(-1), {"step": state["step"] + 1}
