"""Numbers that change in the course of training: annealed noise and weights, warm-up, lazy penalties.

A schedule is a pure function of the number of steps made. What counts the steps is a :class:`Clock`, which is state: its
``tick`` is called once a step, ``Problem(after=clock.tick, state={"clock": clock})``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from separatrix.errors import InputError

Schedule = Callable[[float], float]


class Clock(nn.Module):
    """Counts steps in a buffer, so that it is saved, put back and compared like all other state.

    Example:
        >>> clock, noise = Clock(), linear(0.5, 0.0, over=10)
        >>> clock.tick(); noise(clock.steps)
        0.45
    """

    made: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("made", torch.tensor(0))

    @property
    def steps(self) -> int:
        """Steps made."""
        return int(self.made)

    def tick(self, step: Any = None) -> None:
        """One more step was made; takes what a training loop hands to its callback."""
        self.made.add_(1)


def linear(begin: float, end: float, *, over: float, start: float = 0) -> Schedule:
    """``begin`` until step ``start``, then straight to ``end`` in ``over`` steps. ``linear(0, w, over=1, start=k)`` is a warm-up of ``k`` steps."""
    share = _share(over, start)
    return lambda step: begin + (end - begin) * share(step)


def cosine(begin: float, end: float, *, over: float, start: float = 0) -> Schedule:
    """As :func:`linear`, but along half a wave, ``(1 + cos)/2``: slow at both ends."""
    share = _share(over, start)
    return lambda step: end + (begin - end) * (1 + math.cos(math.pi * share(step))) / 2


def exponential(begin: float, end: float, *, over: float, start: float = 0) -> Schedule:
    """As :func:`linear`, but by one factor a step.

    Raises:
        InputError: an end that is not positive.
    """
    share = _share(over, start)
    if not (begin > 0 and end > 0):
        raise InputError(f"an exponential schedule goes between positive numbers, got {begin} and {end}.")
    return lambda step: float(begin * (end / begin) ** share(step))


def lazy(weight: float, every: int) -> Schedule:
    """``every * weight`` at each ``every``-th step, beginning with the first, and 0 between [karras2020].

    The average is ``weight``, the cost a fraction; leave the penalty out where it is 0. With Adam the paper scales the rates of
    a player whose penalty is lazy: :func:`lazy_rates`. A penalty this strong acts in single steps: it is safe where one
    step with ``every * weight`` is, so check the largest safe step with that weight.

    Raises:
        InputError: ``every`` below 1.
    """
    if every < 1:
        raise InputError(f"every must be at least 1, got {every}.")
    return lambda step: every * weight if step % every == 0 else 0.0


def lazy_rates(lr: float, betas: tuple[float, float], every: int) -> tuple[float, tuple[float, float]]:
    """Adam's rate and betas with a penalty taken every so many steps: ``c lr`` and ``beta^c``, ``c = every / (every + 1)`` [karras2020].

    The paper counts the penalty as a step of its own, of which there is one more in every ``every``.
    """
    c = every / (every + 1)
    return lr * c, (betas[0] ** c, betas[1] ** c)


def _share(over: float, start: float) -> Schedule:
    if not over > 0:
        raise InputError(f"a schedule takes a positive number of steps, got over={over}.")
    return lambda step: min(max((step - start) / over, 0.0), 1.0)
