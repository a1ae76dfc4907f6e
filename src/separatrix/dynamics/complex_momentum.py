"""Complex momentum: heavy ball whose memory turns as it fades."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, isfinite, pi, sin

import torch
from torch import Tensor

from separatrix.dynamics.bases import Base, Frozen, State
from separatrix.dynamics.modes import Mode
from separatrix.errors import InputError


@dataclass(frozen=True)
class ComplexMomentum(Base):
    """``b' = beta b + v``, ``x' = x + lr Re b'`` with ``beta = momentum e^(i angle)`` and a complex buffer ``b`` [lorraine2022].

    Angle 0 is heavy ball, ``pi`` negative momentum [gidel2019negative]. On a pure rotation simultaneous steps with real momentum of
    either sign always grow; with ``angle`` in between they contract.

    Args:
        lr: learning rate.
        momentum: modulus of ``beta``, in [0, 1).
        angle: argument of ``beta``, in radians.
    """

    lr: float
    momentum: float = 0.7
    angle: float = pi / 4

    def __post_init__(self) -> None:
        if not self.lr > 0:
            raise InputError(f"lr must be positive, got {self.lr}.")
        if not 0 <= self.momentum < 1:
            raise InputError(f"momentum must lie in [0, 1), got {self.momentum}; a negative one has the angle pi.")
        if not isfinite(self.angle):
            raise InputError(f"angle must be finite, got {self.angle}.")

    def init(self, x: Tensor) -> State:
        return {"step": 0, "real": torch.zeros_like(x), "imaginary": torch.zeros_like(x)}

    def step(self, v: Tensor, x: Tensor, state: State) -> tuple[Tensor, State]:
        p, q = self.momentum * cos(self.angle), self.momentum * sin(self.angle)
        real = p * state["real"] - q * state["imaginary"] + v
        imaginary = q * state["real"] + p * state["imaginary"]
        return x.add(real, alpha=self.lr), {"step": state["step"] + 1, "real": real, "imaginary": imaginary}

    def frozen(self, state: State) -> Frozen:
        mode = Mode("complex", self.momentum, angle=self.angle)
        return Frozen(self.lr, mode, buffer=self.lr * state["real"], imaginary=self.lr * state["imaginary"])
