"""Extragradient and EG+: look ahead, then step with the direction found there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from separatrix.dynamics.schemes.scheme import (
    Bases,
    Evaluate,
    Scheme,
    States,
    base_steps,
    check_moments,
    check_positive,
    look_ahead,
)
from separatrix.errors import InputError
from separatrix.fields.space import Space


@dataclass(frozen=True)
class Extragradient(Scheme):
    """Look ahead, then step with the direction found there: ``x' = x + base(v(x + a base(v(x))))`` [korpelevich1976].

    Per eigenvalue, with ``z = h lambda``: ``m = 1 + z (1 + a z)``. A pure rotation contracts for ``|z| < 1 / a`` and ``a`` above
    1/2 (``|z|`` small), where plain steps always grow.

    Args:
        moments: what the extrapolation does to the bases' state, see :func:`look_ahead`: ``roll back`` (it never happened),
            ``freeze`` (along the direction, under the present second moments), ``commit`` (the moments are updated at both
            calls, as ExtraAdam does [gidel2019]).
        same_draw: both evaluations see the same minibatch and noise. With two draws and noise that multiplies the field, equal
            steps may fail at every step size; a longer look-ahead than step then helps [hsieh2020].
        ahead: length of the extrapolation in steps of the bases, ``a``.
    """

    moments: str = "roll back"
    same_draw: bool = True
    ahead: float = 1.0

    def __post_init__(self) -> None:
        check_moments(self.moments)
        check_positive(ahead=self.ahead)

    def draws(self, players: Sequence[str]) -> int:
        return 1 if self.same_draw else 2

    def step(self, evaluate: Evaluate, bases: Bases, space: Space, x: Tensor, states: States) -> tuple[Tensor, States]:
        v = evaluate(x, space.players, 0)
        ahead, states = look_ahead(v, bases, space, x, states, moments=self.moments, length=self.ahead)
        there = evaluate(ahead, space.players, 0 if self.same_draw else 1)
        return base_steps(there, bases, space, x, states)


@dataclass(frozen=True)
class ExtragradientPlus(Scheme):
    """EG+: a whole step ahead, a part of a step from there: ``x' = x + alpha base(v(x + base(v(x))))`` [diakonikolas2021].

    Its rate is that of the look-ahead; ``alpha`` below 1 reaches solutions of weakly non-monotone fields that extragradient
    turns around. On ``F = [[b, a], [-a, b]]`` with ``b < 0`` (cost sign) and the rate ``1 / L`` it converges exactly where
    ``2 |b| / L + alpha < 1`` [pethick2022].

    Args:
        part: of a step, in (0, 1]; the papers call it alpha.
        moments, same_draw: as in :class:`Extragradient`.
    """

    part: float = 0.5
    moments: str = "roll back"
    same_draw: bool = True

    def __post_init__(self) -> None:
        check_moments(self.moments)
        if not 0 < self.part <= 1:
            raise InputError(f"part must lie in (0, 1], got {self.part}.")

    def draws(self, players: Sequence[str]) -> int:
        return 1 if self.same_draw else 2

    def step(self, evaluate: Evaluate, bases: Bases, space: Space, x: Tensor, states: States) -> tuple[Tensor, States]:
        v = evaluate(x, space.players, 0)
        ahead, states = look_ahead(v, bases, space, x, states, moments=self.moments)
        there = evaluate(ahead, space.players, 0 if self.same_draw else 1)
        whole, following = base_steps(there, bases, space, x, states)
        return x + self.part * (whole - x), following
