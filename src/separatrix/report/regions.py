"""Multipliers and stability regions: what one step of a method does to a mode of the field.

A mode with eigenvalue ``z = h lambda`` (field sign: it attracts where Re z < 0) is multiplied by ``m`` at each step,
and dies out where ``|m| < 1``. With momentum ``b``, ``m`` is the larger root of

    averaged     m^2 - (1 + b + (1 - b) z) m + b = 0    Adam and its family, moving averages of the gradient
    heavy ball   m^2 - (1 + b + z) m + b = 0            SGD with momentum
    extragradient       m = 1 + z + z^2                 without momentum; with it there is no region in this plane

and ``m = 1 + z`` without momentum. On the boundary ``m = exp(i phi)``, which solved for ``z`` draws the region: an
ellipse through 0, of half width ``(1 + b) / (1 - b)`` and half height 1 for averaged momentum.

The page's script (``templates/signature.js``) computes the same; the tests hold the two together.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from separatrix.probes.numbers import significant

# Periods longer than this read as no turning at all, where it is not known how long training still goes on.
LONGEST_TURN = 1000
HEAVY_BALL_BASES = frozenset({"sgd", "momentum", "rmsprop"})


def rule_of(section: Mapping[str, Any]) -> str:
    """``averaged``, ``heavy ball`` or ``extragradient``: the polynomial that a plane signature follows."""
    if section["scheme"] == "extragradient":
        return "extragradient"
    return "heavy ball" if str(section["base"]).lower() in HEAVY_BALL_BASES else "averaged"


def multipliers(z: complex, momentum: float, rule: str) -> tuple[complex, ...]:
    """The multipliers of a mode ``z = h lambda`` (field sign), the largest in modulus first.

    Example:
        >>> abs(multipliers(0.076j, 0.5, "averaged")[0])
        1.008...
    """
    if rule == "extragradient":
        return (1 + z + z * z,)
    trace = 1 + momentum + (1 - momentum if rule == "averaged" else 1) * z
    root = cmath.sqrt(trace * trace - 4 * momentum)
    # The sum without cancellation; the small root then follows from the product.
    large = max((trace + root) / 2, (trace - root) / 2, key=abs)
    return (large, momentum / large if large else 0j)


def boundary(momentum: float, rule: str, points: int = 721) -> NDArray[np.complex128]:
    """The closed curve ``|m| = 1`` in the plane of ``h lambda``, sampled most densely near 0."""
    turn = np.exp(1j * np.pi * np.linspace(-1, 1, points) ** 3)
    if rule == "extragradient":
        # One of the two roots runs over the right arc, the other over the left one; together they close.
        root = np.sqrt(1 - 4 * (1 - turn))
        return np.concatenate([(-1 + root) / 2, (-1 - root) / 2])
    scale = 1 - momentum if rule == "averaged" else 1.0
    curve: NDArray[np.complex128] = (turn - 1) * (turn - momentum) / (scale * turn)
    return curve


@dataclass(frozen=True)
class Mode:
    """One point of the signature picture.

    Attributes:
        at: where it is drawn: ``h lambda`` in the plane, the multiplier in the disc.
        multiplier: what one step of the method, a move of every player, multiplies it by.
        state: ``grows``, ``decays``, ``neutral`` (over the remaining steps it does hardly anything), ``undecided`` (the
            residual reaches across the border of growth) or ``not converged``.
        residual: error of ``at``.
        label: its name.
    """

    at: complex
    multiplier: complex
    state: str
    residual: float
    label: str


def modes(section: Mapping[str, Any], step: float = 1.0, momentum: float | None = None) -> list[Mode]:
    """The measured modes of a signature at ``step`` times the present step and the given momentum.

    For a disc the points as measured, whatever ``step``: their map has been linearised at one setting.
    """
    b = section["momentum"] if momentum is None else momentum
    found = []
    for p in section["points"]:
        at, error = complex(p["real"], p["imag"]), float(p["residual"] or 0.0)
        if section["kind"] == "disc":
            multiplier, around = at, [abs(at) - error, abs(at) + error]
        else:
            at, error, rule = at * step, error * step, rule_of(section)
            multiplier = multipliers(at, b, rule)[0]
            around = [abs(multipliers(at + error * turn, b, rule)[0]) for turn in (1, 1j, -1, -1j)]
        state = _state(abs(multiplier), around, section.get("remaining"))
        found.append(Mode(at, multiplier, state if p["converged"] else "not converged", error, p.get("label") or ""))
    return found


def _state(size: float, around: list[float], remaining: float | None) -> str:
    fates = [_fate(other, remaining) for other in around]
    grows = [fate == "grows" for fate in fates]
    if any(grows):
        return "grows" if all(grows) else "undecided"
    return _fate(size, remaining)


def _fate(size: float, remaining: float | None) -> str:
    if remaining is None or size == 0:
        return "grows" if size > 1 else "decays"
    if remaining * abs(math.log(size)) < 1:
        return "neutral"
    return "grows" if size > 1 else "decays"


def sentence(found: list[Mode], setting: str, remaining: float | None = None) -> str:
    """What the modes do at a setting, in words: how many grow, the fastest of them, how it turns."""
    sure = [mode for mode in found if mode.state != "not converged"]
    if not sure:
        return f"{setting}: no converged mode to judge by."
    growing = [mode for mode in sure if mode.state == "grows"]
    unsure = [mode for mode in sure if mode.state == "undecided"]
    neutral = [mode for mode in sure if mode.state == "neutral"]
    size = len(sure)
    if growing:
        words = f"{len(growing)} of {size} measured modes {'grows' if len(growing) == 1 else 'grow'}; the fastest "
    elif unsure:
        words = f"no measured mode surely grows; {len(unsure)} of {size} {_be(unsure)} too close to call"
    elif neutral:
        words = (
            f"no measured mode grows; {len(neutral)} of {size} {_be(neutral)} neutral over the {remaining} steps to go"
        )
    else:
        words = f"all {size} measured modes decay; the slowest " if size > 1 else "the one measured mode decays "
    if growing or not (unsure or neutral):
        first = leading(growing or sure)
        words += f"{_change(abs(first.multiplier))}, {turning(first.multiplier, remaining)}"
        if unsure:
            words += f"; {len(unsure)} more {_be(unsure)} too close to call"
    if neutral and (growing or unsure):
        words += f"; {len(neutral)} more {_be(neutral)} neutral over the {remaining} steps to go"
    return f"{setting}: {words}."


def _be(some: list[Mode]) -> str:
    return "is" if len(some) == 1 else "are"


def setting(step: float, momentum: float | None) -> str:
    """How a sentence begins: the step multiplier and the momentum it holds for."""
    words = f"At {significant(step) if step != 1 else '1.0'} × the step"
    return words if momentum is None else f"{words} and momentum {momentum:.2f}".rstrip("0").rstrip(".")


def leading(found: list[Mode]) -> Mode:
    """The mode of largest modulus; of equal ones the first."""
    # Turning modes under momentum share one modulus, sqrt(b): rounding must not choose among them.
    top = max(abs(mode.multiplier) for mode in found)
    return next(mode for mode in found if abs(mode.multiplier) >= top - 1e-9)


def _change(modulus: float) -> str:
    if modulus >= 2:
        return f"by a factor of {significant(modulus)} per step"
    return f"by {significant(100 * abs(modulus - 1))}% per step"


def turning(m: complex, remaining: float | None = None) -> str:
    """How a multiplier turns, in words: not at all where it grows faster than it turns, or turns once in longer than
    training goes on."""
    angle, slowest = abs(cmath.phase(m)), 2 * math.pi / (remaining or LONGEST_TURN)
    if angle < max(slowest, math.log(abs(m)) if abs(m) > 1 else 0.0):
        return "without turning"
    if math.pi - angle < 1e-9:
        return "changing sign at every step"
    return f"a rotation with a period of {significant(2 * math.pi / angle)} steps"
