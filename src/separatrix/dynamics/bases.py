"""Bases: pure cores that turn a direction into a step; bitwise equal to ``torch.optim``.

A base maps ``(v, x, state)`` to ``(x', state')`` for one player's flat coordinates, without changing what it is given.
It returns the new point and not the displacement, since ``x + (x' - x)`` need not be ``x'`` in floating point. All
tensors of a state are ``(n_player,)``; ``step`` counts. ``v`` points in the direction of motion, so the gradient that
the formulas of ``torch.optim`` speak of is ``-v``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, replace
from math import cos, sin
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from separatrix.dynamics.modes import Mode
from separatrix.errors import InputError

State = dict[str, Any]


class Base(ABC):
    """What turns a player's direction into its step."""

    lr: float

    @abstractmethod
    def init(self, x: Tensor) -> State:
        """The state before the first step."""

    @abstractmethod
    def step(self, v: Tensor, x: Tensor, state: State) -> tuple[Tensor, State]:
        """The next point and state; differentiable in ``v``, ``x`` and the state's tensors."""

    def frozen(self, state: State) -> Frozen | None:
        """The linear base with the second moments held where ``state`` has them; ``None`` where there is none.

        Bias corrections are taken as faded out. A model for horizons well below ``1 / (1 - beta2)`` steps.
        """
        return None

    def describe(self) -> dict[str, Any]:
        """Kind and settings, for records."""
        return {"kind": type(self).__name__, **asdict(self)}  # type: ignore[call-overload]


def is_number(value: object) -> bool:
    """Whether it can be a setting: a number, or a tensor of one."""
    return isinstance(value, Real) or (isinstance(value, Tensor) and value.numel() == 1)


def _positive(**settings: float) -> None:
    for name, value in settings.items():
        if not is_number(value) or not value > 0:
            raise InputError(f"{name} must be positive, got {value!r}.")


def _fraction(**settings: float) -> None:
    for name, value in settings.items():
        if not 0 <= value < 1:
            raise InputError(f"{name} must lie in [0, 1), got {value}.")


def _root(s: Tensor) -> Tensor:
    """The square root, with derivative 0 at 0 (torch's is infinite and turns into NaN)."""
    # Products take a third of the time that selecting does; below the smallest normal number a clamp has derivative 0.
    return s.clamp_min(torch.finfo(s.dtype).tiny).sqrt() * s.sign()


@dataclass(frozen=True)
class SGD(Base):
    """Stochastic gradient descent, with heavy-ball or Nesterov momentum where ``momentum`` is not 0.

    ``b' = momentum b + (1 - dampening) g``, ``x' = x - lr b'``; the first ``b'`` is ``g``, as in ``torch.optim.SGD``.
    """

    lr: float
    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _positive(lr=self.lr)
        if not -1 < self.momentum < 1:
            raise InputError(f"momentum must lie in (-1, 1), got {self.momentum}.")
        if self.nesterov and (self.momentum <= 0 or self.dampening != 0):
            raise InputError("nesterov momentum needs a positive momentum and zero dampening, as in torch.optim.SGD.")

    def init(self, x: Tensor) -> State:
        return {"step": 0, "buffer": torch.zeros_like(x)} if self.momentum else {"step": 0}

    def step(self, v: Tensor, x: Tensor, state: State) -> tuple[Tensor, State]:
        g = -v
        if self.weight_decay:
            g = g.add(x, alpha=self.weight_decay)
        following: State = {"step": state["step"] + 1}
        if self.momentum:
            first = state["step"] == 0
            buffer = g.clone() if first else (state["buffer"] * self.momentum).add(g, alpha=1 - self.dampening)
            following["buffer"] = buffer
            g = g.add(buffer, alpha=self.momentum) if self.nesterov else buffer
        return x.add(g, alpha=-self.lr), following

    def frozen(self, state: State) -> Frozen | None:
        if not self.momentum:
            return Frozen(self.lr, Mode("none"), coupled_decay=self.weight_decay)
        if self.dampening >= 1:
            return None  # nothing of the direction enters the buffer
        kind = "nesterov" if self.nesterov else "heavy-ball"
        return Frozen(
            self.lr * (1 - self.dampening),
            Mode(kind, self.momentum),
            coupled_decay=self.weight_decay,
            buffer=-self.lr * state["buffer"],
        )


@dataclass(frozen=True)
class RMSprop(Base):
    """``s' = alpha s + (1 - alpha) g^2``, ``x' = x - lr g / (sqrt(s') + eps)``, as in ``torch.optim.RMSprop``."""

    lr: float
    alpha: float = 0.99
    eps: float = 1e-8
    momentum: float = 0.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _positive(lr=self.lr)
        _fraction(alpha=self.alpha, momentum=self.momentum)

    def init(self, x: Tensor) -> State:
        state: State = {"step": 0, "square": torch.zeros_like(x)}
        if self.momentum:
            state["buffer"] = torch.zeros_like(x)
        return state

    def step(self, v: Tensor, x: Tensor, state: State) -> tuple[Tensor, State]:
        g = -v
        if self.weight_decay:
            g = g.add(x, alpha=self.weight_decay)
        square = (state["square"] * self.alpha).addcmul(g, g, value=1 - self.alpha)
        average = _root(square).add(self.eps)
        following: State = {"step": state["step"] + 1, "square": square}
        if not self.momentum:
            return x.addcdiv(g, average, value=-self.lr), following
        buffer = (state["buffer"] * self.momentum).addcdiv(g, average)
        following["buffer"] = buffer
        return x.add(buffer, alpha=-self.lr), following

    def frozen(self, state: State) -> Frozen | None:
        if state["step"] == 0:
            return None
        scale = self.lr / (_root(state["square"]) + self.eps)
        if not self.momentum:
            return Frozen(scale, Mode("none"), coupled_decay=self.weight_decay)
        mode = Mode("heavy-ball", self.momentum)
        return Frozen(scale, mode, coupled_decay=self.weight_decay, buffer=-self.lr * state["buffer"])


@dataclass(frozen=True)
class Adam(Base):
    """``m' = b1 m + (1 - b1) g``, ``s' = b2 s + (1 - b2) g^2``, ``x' = x - lr m^ / (sqrt(s^) + eps)`` [kingma2015].

    Hats are bias-corrected. As in ``torch.optim.Adam``.
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _positive(lr=self.lr)
        _fraction(**{"betas[0]": self.betas[0], "betas[1]": self.betas[1]})

    def init(self, x: Tensor) -> State:
        return {"step": 0, "mean": torch.zeros_like(x), "square": torch.zeros_like(x)}

    def step(self, v: Tensor, x: Tensor, state: State) -> tuple[Tensor, State]:
        b1, b2 = self.betas
        x, g = self._decay(x, -v)
        count = state["step"] + 1
        mean = state["mean"].lerp(g, 1 - b1)
        square = (state["square"] * b2).addcmul(g, g, value=1 - b2)
        correction1, correction2 = 1 - b1**count, 1 - b2**count
        denominator = (_root(square) / correction2**0.5).add(self.eps)
        moved = x.addcdiv(mean, denominator, value=-(self.lr / correction1))
        return moved, {"step": count, "mean": mean, "square": square}

    def _decay(self, x: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        return x, g.add(x, alpha=self.weight_decay) if self.weight_decay else g

    def frozen(self, state: State) -> Frozen | None:
        if state["step"] == 0:
            return None
        correction = 1 - self.betas[1] ** state["step"]
        scale = self.lr / (_root(state["square"] / correction) + self.eps)
        mode = Mode("averaged", self.betas[0]) if self.betas[0] else Mode("none")
        buffer = -scale * state["mean"] if self.betas[0] else None
        return self._with_decay(Frozen(scale, mode, buffer=buffer))

    def _with_decay(self, frozen: Frozen) -> Frozen:
        return replace(frozen, coupled_decay=self.weight_decay)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay: ``x`` shrinks by ``1 - lr weight_decay`` first, as in ``torch.optim.AdamW``."""

    weight_decay: float = 1e-2

    def _decay(self, x: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        return (x * (1 - self.lr * self.weight_decay) if self.weight_decay else x), g

    def _with_decay(self, frozen: Frozen) -> Frozen:
        return replace(frozen, mode=replace(frozen.mode, decay=self.lr * self.weight_decay))


@dataclass(frozen=True, eq=False)
class Frozen(Base):
    """A linear base: a fixed scale a coordinate and a momentum.

    Attributes:
        scale: displacement for a unit direction, a number or ``(n_player,)``; positive.
        mode: the momentum and decoupled decay, with their multipliers.
        coupled_decay: weight decay that acts through the gradient.
        buffer: the momentum it starts from, as a displacement; zero where ``None``.
        imaginary: its imaginary part, where the momentum is complex.
    """

    scale: float | Tensor
    mode: Mode
    coupled_decay: float = 0.0
    buffer: Tensor | None = None
    imaginary: Tensor | None = None

    def init(self, x: Tensor) -> State:
        if self.mode.kind == "none":
            return {}
        state: State = {"buffer": torch.zeros_like(x) if self.buffer is None else self.buffer}
        if self.mode.kind == "complex":
            state["imaginary"] = torch.zeros_like(x) if self.imaginary is None else self.imaginary
        return state

    def step(self, v: Tensor, x: Tensor, state: State) -> tuple[Tensor, State]:
        b = self.mode.momentum
        push = self.scale * (v - self.coupled_decay * x if self.coupled_decay else v)
        kept = (1 - self.mode.decay) * x if self.mode.decay else x
        if self.mode.kind == "none":
            return kept + push, {}
        if self.mode.kind == "complex":
            p, q = b * cos(self.mode.angle), b * sin(self.mode.angle)
            real = p * state["buffer"] - q * state["imaginary"] + push
            return kept + real, {"buffer": real, "imaginary": q * state["buffer"] + p * state["imaginary"]}
        buffer = b * state["buffer"] + ((1 - b) * push if self.mode.kind == "averaged" else push)
        move = push + b * buffer if self.mode.kind == "nesterov" else buffer
        return kept + move, {"buffer": buffer}

    def frozen(self, state: State) -> Frozen:
        return self if self.mode.kind == "none" else replace(self, **state)

    def times(self, factor: float) -> Frozen:
        """The same with ``factor`` times the step size."""
        mode = replace(self.mode, decay=self.mode.decay * factor)
        buffer, imaginary = (None if b is None else b * factor for b in (self.buffer, self.imaginary))
        return replace(self, scale=self.scale * factor, mode=mode, buffer=buffer, imaginary=imaginary)

    def describe(self) -> dict[str, Any]:
        return {"kind": "Frozen", "momentum": self.mode.momentum, "momentum_kind": self.mode.kind}
