"""Forecast against fact: what the modes predict for a small difference, and what two real runs do with it.

Two copies of the running method start at the point and a little beside it. The difference is read along the left vector
``y`` of a multiplier ``m``: in the linear picture the amplitude ``y . d`` becomes ``m^T`` times itself after T steps,
whatever the other modes do. Compared are the complex logarithms, growth and angle together. Skill is one minus the error
over that of the forecast "nothing changes": 1 is perfect, 0 is useless. Growth and angle have a skill each, too: a mode
that turns fast has a large angle, and getting that right says nothing about its growth.
"""

from __future__ import annotations

import cmath
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, pi

import torch
from torch import Tensor

from separatrix.dynamics.schemes import SCHEME, States, recall
from separatrix.dynamics.update_map import part_scale, settled
from separatrix.probes.setting import Setting
from separatrix.probes.signature import Signature

# Part of a left vector's length that must lie on the point, not on the momenta, for the mode to be tried.
BLIND = 1e-3
# Rounding over the amplitude, above which an amplitude is not read any more.
READABLE = 1e-3


@dataclass(frozen=True)
class Forecast:
    """One mode's forecast.

    Attributes:
        multiplier: of the mode.
        steps: how many periods ``T`` were read; fewer than asked for where the difference faded into rounding before.
        scale: length of the difference at the start, in step lengths.
        predicted: ``T log m``, the angle not wrapped.
        observed: ``log (a_T / a_0)``, the angle continued step by step.
        skill: ``1 - |observed - predicted| / |observed|``; ``growth_skill`` and ``angle_skill`` are those of the real and
            the imaginary part alone.
        index: which of the signature's multipliers it is.
    """

    multiplier: complex
    steps: int
    scale: float
    predicted: complex
    observed: complex
    index: int = 0

    @property
    def error(self) -> float:
        """``|observed - predicted| / |predicted|``."""
        return abs(self.observed - self.predicted) / abs(self.predicted) if self.predicted else float("inf")

    @property
    def skill(self) -> float:
        return _skill(self.predicted, self.observed)

    @property
    def growth_skill(self) -> float:
        return _skill(self.predicted.real, self.observed.real)

    @property
    def angle_skill(self) -> float | None:
        """``None`` for a mode that does not turn."""
        return _skill(self.predicted.imag, self.observed.imag) if self.predicted.imag else None


def _skill(predicted: complex, observed: complex) -> float:
    gap = abs(observed - predicted)
    if gap <= 1e-9:
        return 1.0
    return 1 - gap / abs(observed) if observed else 0.0


def forecast(
    setting: Setting,
    found: Signature,
    *,
    steps: int,
    scale: float = 1.0,
    most: int = 4,
    also: Sequence[int] = (),
) -> list[Forecast]:
    """Try the slowest-fading modes on the real method.

    Args:
        setting: with a method.
        found: its signature, with vectors.
        steps: periods to make; within the trust horizon if the answer is to mean something.
        scale: length of the difference, in lengths of the method's first step; 1 is the scale that training itself
            moves at, small values (1e-3) are the derivative. Where the method stands still, in units of the metric.
        most: how many modes, largest multipliers first.
        also: indices of further modes to try, such as those that a finding speaks of.

    Returns:
        One row a mode; none for modes that live in the momenta alone or fade into rounding in one step.

    Cost: ``steps`` periods for the reference and for each mode.
    """
    assert setting.method is not None
    assert setting.states is not None
    begun = _at_the_beginning(setting, setting.states)
    reference = _path(setting, setting.x, begun, steps)
    base = [_state(setting, x, states) for x, states in reference]
    length = float((base[1] - base[0]).norm()) or 1.0
    rounding = torch.finfo(setting.x.dtype).eps * max(float(z.norm()) for z in base)
    rows = []
    leading = found.leading(most)
    for i in [*leading, *(i for i in also if i not in leading)]:
        m, y = complex(found.multipliers[i]), _turned(found.vectors[i], setting.field.space.n)
        direction = y[: setting.field.space.n].real
        if not float(direction.norm()) > BLIND * float(y.norm()):
            continue
        start = setting.x + setting.scale.sqrt() * direction * (scale * length / float(direction.norm()))
        moved = [_state(setting, x, states) for x, states in _path(setting, start, begun, steps)]
        amplitudes = [complex(y @ (b - a).to(y.dtype)) for a, b in zip(base, moved, strict=True)]
        readable = _count_readable(amplitudes, floor=rounding * float(y.norm()) / READABLE)
        read = amplitudes[:readable]
        if m == 0 or len(read) < 2:
            continue
        expected, made = cmath.log(m), len(read) - 1
        observed = sum((_log_near(b / a, expected) for a, b in pairwise(read)), 0j)
        rows.append(Forecast(m, made, scale, made * expected, observed, i))
    return rows


def _count_readable(amplitudes: list[complex], *, floor: float) -> int:
    """How many come before the first that rounding has reached."""
    return next((t for t, a in enumerate(amplitudes) if not abs(a) > floor), len(amplitudes))


def _turned(y: Tensor, n: int) -> Tensor:
    """``y`` times a phase that makes the real part of its point as long as it gets."""
    return y * torch.exp(-0.5j * (y[:n] @ y[:n]).angle())


def _log_near(ratio: complex, expected: complex) -> complex:
    """The branch of ``log ratio`` whose angle lies nearest to the expected one."""
    found = cmath.log(ratio)
    turns = round((expected.imag - found.imag) / (2 * pi))
    return found + 2j * pi * turns


def _at_the_beginning(setting: Setting, states: States) -> States:
    """The states where a cycle of the scheme begins, since the map is that of a whole cycle."""
    assert setting.method is not None
    scheme = setting.method.scheme
    if scheme.cycle == 1 or SCHEME not in states:
        return states
    return {**states, SCHEME: settled(scheme, setting.field, setting.x, states)}


def _path(setting: Setting, x: Tensor, states: States, steps: int) -> list[tuple[Tensor, States]]:
    assert setting.method is not None
    path = [(x, states)]
    for _ in range(steps):
        x, states = path[-1]
        for _ in range(setting.method.scheme.cycle):
            x, states = setting.method.step(setting.field, x, states)
        path.append((x, states))
    return path


def _state(setting: Setting, x: Tensor, states: States) -> Tensor:
    """The point, the momenta and what the scheme remembers, in the optimiser's metric, laid out as the period map has them."""
    assert setting.method is not None
    assert setting.frozen is not None
    space = setting.field.space
    parts = [x / setting.scale.sqrt()]
    bases = setting.method.bases_for(space.players)
    for player in space.players:
        if setting.frozen[player].mode.kind == "none":
            continue
        now = bases[player].frozen(states[player])
        assert now is not None
        scale = space.take(setting.scale, player)
        parts += [buffer * (scale / now.scale) / scale.sqrt() for buffer in now.init(scale).values()]
    for name, value in recall(setting.method.scheme, space, x, states).items():
        if isinstance(value, Tensor):
            parts.append(value / part_scale(SCHEME, name, setting.scale.sqrt(), space))
    return torch.cat(parts)


def forecast_section(rows: list[Forecast]) -> dict[str, object]:
    """The record's section."""
    if not rows:
        return {"rows": [], "sentence": "No mode could be tried."}
    worst, steps, top = min(rows, key=lambda r: r.skill), max(r.steps for r in rows), rows[0]
    rates = [exp(value.real / top.steps) - 1 for value in (top.predicted, top.observed)]
    sentence = (
        f"Tried on the real method over {steps} {'step' if steps == 1 else 'steps'} with a difference of {rows[0].scale:g} step "
        f"{'length' if rows[0].scale == 1 else 'lengths'}: the modes' skill is {worst.skill:.2f} to {max(r.skill for r in rows):.2f} "
        "(1 is perfect, 0 is no better than 'nothing changes'; growth and angle together). Of the leading mode's growth alone, "
        f"{rates[0]:+.2%} per step was forecast and {rates[1]:+.2%} observed (skill {top.growth_skill:.2f})."
    )
    return {
        "rows": [
            {
                "multiplier": [r.multiplier.real, r.multiplier.imag],
                "steps": r.steps,
                "predicted_growth": r.predicted.real,
                "observed_growth": r.observed.real,
                "predicted_angle": r.predicted.imag,
                "observed_angle": r.observed.imag,
                "skill": r.skill,
                "growth_skill": r.growth_skill,
                "angle_skill": r.angle_skill,
            }
            for r in rows
        ],
        "steps": steps,
        "scale": rows[0].scale,
        "sentence": sentence,
    }
