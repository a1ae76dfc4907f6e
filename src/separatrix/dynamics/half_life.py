"""How an exponential average damps a mode, and the half-life that damps the rotation that was measured."""

from __future__ import annotations

from cmath import isfinite, phase
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, log2, pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from separatrix.errors import InputError

# A multiplier that turns by less in a step does not count as a rotation; it is a drift.
TURNS = 1e-6
# Half-lives among which that of a mode with a course of its own is looked for, and how closely.
LOOKED, CLOSE = np.geomspace(0.1, 1e7, 801), 1e-6


def ema_gain(multiplier: complex, half_life: float) -> float:
    """The amplitude of a mode in the average over that in the point: ``|(1 - b) / (1 - b / m)|``, ``b = 2^(-1/H)``.

    For a mode that goes as ``m^k``, once the start is forgotten; for a pure rotation ``m = e^(iw)`` that is
    ``|(1 - b) / (1 - b e^(-iw))|``, about ``ln 2 / (H w)``. Infinite where ``|m| <= b``: the mode dies out sooner than the
    average forgets it.

    Args:
        multiplier: of one update, as in :class:`~separatrix.probes.Signature`.
        half_life: ``H``, in updates.

    Example:
        >>> from cmath import exp
        >>> round(ema_gain(exp(0.1j), 100), 4)  # ln 2 / 10
        0.0692
    """
    b = _decay(half_life)
    return inf if abs(multiplier) <= b else abs((1 - b) / (1 - b / multiplier))


@dataclass(frozen=True)
class HalfLife:
    """An advised half-life.

    Attributes:
        value: in updates; 0 where nothing turns that would outlive the average.
        gain: what is left of the rotation that decides.
        multiplier: of that rotation.
        lag: how many updates the average lies behind a steady drift, ``b / (1 - b)``.
        left_out: rotations that die out sooner than an average that is long enough for them would forget them.
        sentence: the same in words.
    """

    value: float
    gain: float
    multiplier: complex | None
    lag: float
    left_out: int
    sentence: str


def advise_half_life(
    multipliers: Iterable[complex], *, gain: float = 0.1, courses: Sequence[NDArray[Any]] | None = None
) -> HalfLife:
    """The shortest half-life that leaves at most ``gain`` of every rotation that outlives an average so long.

    From ``|(1 - b) / (1 - b / m)| = g`` with ``m = r e^(iw)``: ``(1 - g^2/r^2) b^2 - 2 (1 - g^2 cos(w) / r) b + 1 - g^2 = 0``. Slow
    rotations ask for long averages; one that asks for an average that it does not outlive itself is left out: it fades by itself,
    though it may outlive the average that the others ask for. For a pure
    rotation of period ``T`` and a gain of 0.1 this is about ``1.1 T``.

    Args:
        multipliers: of one step of the method that runs, measured by :func:`separatrix.probes.signature`, or predicted. They
            hold near the point where they were measured.
        gain: between 0 and 1.
        courses: of a method whose period has ``c`` steps, with multipliers of a period: where each mode stands after each of the steps,
            ``(c, n)`` complex, the last of them the multiplier times the start. What turns within a period is seen only there.

    Raises:
        InputError: a gain outside (0, 1), a multiplier that is not finite, or not a course for each.

    Example:
        >>> from cmath import exp
        >>> advised = advise_half_life([exp(0.05j), exp(-0.05j), 0.9])
        >>> round(advised.value, 1), round(ema_gain(exp(0.05j), advised.value), 6)
        (137.9, 0.1)
    """
    if not 0 < gain < 1:
        raise InputError(f"gain must lie between 0 and 1, got {gain}.")
    found = [complex(m) for m in multipliers]
    if not all(map(isfinite, found)):
        raise InputError(f"multipliers must be finite, got {found}.")
    if courses is not None:
        if len(courses) != len(found):
            raise InputError(f"there are {len(found)} multipliers and {len(courses)} courses; give one for each.")
        return _of_courses([(m, c) for m, c in zip(found, courses, strict=True) if _turns(m)], gain)
    turning = [m for m in found if _turns(m)]
    asked = [(half_life, m) for m in turning if (half_life := _half_life(m, gain)) is not None]
    left_out = len(turning) - len(asked)
    if not asked:
        return HalfLife(0.0, 1.0, None, 0.0, left_out, _sentence(0.0, gain, None, left_out))
    value, m = max(asked, key=lambda pair: pair[0])
    return HalfLife(
        value, ema_gain(m, value), m, _lag(value), left_out, _sentence(value, gain, abs(phase(m)), left_out)
    )


def _of_courses(turning: Sequence[tuple[complex, NDArray[Any]]], gain: float) -> HalfLife:
    """The same where modes are known step by step; the multiplier of the one that decides is of a period."""
    asked = []
    for m, course in turning:
        left = _gains(m, course, LOOKED) <= gain
        if not left.any():
            continue
        last = int(np.flatnonzero(left)[-1])
        first = last - int(np.argmin(left[: last + 1][::-1])) + 1 if not left[: last + 1].all() else 0
        outside, value = (float(LOOKED[first - 1]) if first else 0.0), float(LOOKED[first])
        while outside and value / outside - 1 > CLOSE:
            middle = (outside * value) ** 0.5
            inside = float(_gains(m, course, np.array([middle]))[0]) <= gain
            outside, value = (outside, middle) if inside else (middle, value)
        asked.append((value, m, course))
    left_out = len(turning) - len(asked)
    if not asked:
        return HalfLife(0.0, 1.0, None, 0.0, left_out, _sentence(0.0, gain, None, left_out))
    value, m, course = max(asked, key=lambda found: found[0])
    before = np.concatenate([course[-1:] / m, course[:-1]])
    # What the single steps turn by says how often it went round; the rest is the multiplier's.
    whole = round((float(np.angle((before.conj() * course).sum(1)).sum()) - phase(m)) / (2 * pi))
    turn = abs(phase(m) + 2 * pi * whole) / len(course)
    left_over = float(_gains(m, course, np.array([value]))[0])
    return HalfLife(value, left_over, m, _lag(value), left_out, _sentence(value, gain, turn, left_out))


def _gains(m: complex, course: NDArray[Any], half_lives: NDArray[np.float64]) -> NDArray[np.float64]:
    """What an average at the end of a period keeps of a mode, over the mode's root mean square in that period.

    With ``u_j`` the course, ``|(1 - b) sum_j b^(c - j) u_j / (1 - b^c / m)|``; of one step that is :func:`ema_gain`.
    """
    b, c = 2 ** (-1 / half_lives), len(course)
    kept = np.abs(m) > b**c
    sums = (b[:, None] ** np.arange(c - 1, -1, -1)) @ course
    size = np.sqrt((np.abs(course) ** 2).sum(1).mean())
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (1 - b) * np.linalg.norm(sums, axis=1) / np.abs(1 - b**c / m) / size
    return np.where(kept, found, inf)


def _half_life(m: complex, gain: float) -> float | None:
    """``None`` where no average that the mode outlives leaves so little of it."""
    r, g2 = abs(m), gain * gain
    a, half, c = 1 - (gain / r) ** 2, 1 - g2 * (m.real / r) / r, 1 - g2
    inside = half * half - a * c
    if inside < 0:
        return None
    # The root in (0, 1) by the stable formula; a may be 0 or negative for modes that die out quickly.
    b = c / (half + sqrt(inside))
    return -1 / log2(b) if 0 < b < min(r, 1.0) else None


def _decay(half_life: float) -> float:
    if not half_life > 0:
        raise InputError(f"a half-life must be positive, got {half_life}.")
    return float(2 ** (-1 / half_life))


def _lag(half_life: float) -> float:
    b = _decay(half_life)
    return b / (1 - b)


def _turns(m: complex) -> bool:
    """Whether it turns; of a pair the upper one. A change of sign is half a turn, whatever the sign of its zero imaginary part."""
    return abs(phase(m)) > TURNS if m.imag == 0 else phase(m) > TURNS


def _sentence(value: float, gain: float, turn: float | None, left_out: int) -> str:
    others = ""
    if left_out:
        own = "s die out sooner than averages" if left_out > 1 else " dies out sooner than an average"
        others = f" {left_out} rotation{own} long enough for {'them' if left_out > 1 else 'it'} would forget."
    if turn is None:
        return f"No rotation outlives an average; none is needed.{others}"
    return (
        f"A half-life of {value:.3g} updates leaves {gain:.2g} of the rotation of period {2 * pi / turn:.3g}, and lags "
        f"{_lag(value):.3g} updates behind what drifts.{others}"
    )
