"""Slow modes: the periods and dampings that a run itself lives in, from a recording, with the spurious ones rejected.

The dictionary is linear: the leading principal components of the recorded numbers, at the last few rows (delays), and a
constant. Its eigenpairs and residuals are those of :func:`~separatrix.probes.koopman.resdmd`. A pair is accepted

- if its squared residual, the noise's variance taken out where the recording has second futures, is at most ``RESIDUAL^2`` within
  two standard errors;
- if it is seen for at least two turns, and turns by less than half a turn between two rows;
- if it decays more slowly than what noise alone gives with so many functions and rows, ``|lam| > 2 sqrt(N / M)``, unless there is no noise;
- if leaving out an eighth of the rows in turn (jackknife) does not change it by more than a third of its angle.

Without second futures, noise stays in the residuals and true modes may be rejected.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from math import inf, pi

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.probes.koopman.recording import Recording
from separatrix.probes.koopman.resdmd import Koopman, resdmd
from separatrix.probes.numbers import growth_percent, number

RESIDUAL = 0.3
BLOCKS = 8
ROWS_A_FUNCTION = 6  # at least so many rows for each function of the dictionary


@dataclass(frozen=True)
class SlowMode:
    """One mode, or a pair of conjugates.

    Attributes:
        multiplier: by which a step multiplies it.
        growth: ``|m|``; growth_stderr: its standard error by the jackknife.
        period: steps for a turn; infinite for a mode that does not turn. period_stderr: by the jackknife.
        kept: the part of its amplitude that is left after a turn, ``|m|^period``; 0 for a mode that does not turn.
        residual: as in :class:`~separatrix.probes.koopman.Koopman`, for the map from row to row.
        corrected, corrected_stderr: the squared residual without the noise's variance; ``None`` without second futures.
        share: of the variance of the recording, by group, that it carries; under ``""`` of all groups together.
        accepted: whether to believe it.
        why: why not.
    """

    multiplier: complex
    growth: float
    growth_stderr: float
    period: float
    period_stderr: float
    kept: float
    residual: float
    corrected: float | None
    corrected_stderr: float | None
    share: dict[str, float]
    accepted: bool
    why: str = ""


@dataclass(frozen=True)
class SlowModes:
    """The modes of a recording, the slowest decaying first.

    Attributes:
        modes: all of them.
        rows: of the recording.
        every: steps between rows.
        noise_seen: whether second futures differed from the first.
        koopman: the eigenpairs behind them, for pseudospectra of the map from row to row.
    """

    modes: tuple[SlowMode, ...]
    rows: int
    every: int
    noise_seen: bool
    koopman: Koopman = field(repr=False)

    @property
    def accepted(self) -> tuple[SlowMode, ...]:
        """Those to believe."""
        return tuple(m for m in self.modes if m.accepted)

    @property
    def turning(self) -> SlowMode | None:
        """The accepted turning mode that carries most of the recording."""
        found = [m for m in self.accepted if m.period < inf]
        return max(found, key=lambda m: m.share[""]) if found else None

    @property
    def sentence(self) -> str:
        """The same in words."""
        turn, seen = self.turning, f"{self.rows * self.every} recorded steps"
        if turn is None:
            return f"In {seen} no mode turns that can be told from noise ({len(self.accepted)} of {len(self.modes)} modes accepted)."
        return (
            f"In {seen} a mode turns once in {number(turn.period)} ± {number(turn.period_stderr, 1)} steps and changes by "
            f"{growth_percent(turn.growth)} a step: {turn.kept:.0%} of it is left after a turn. It carries {turn.share['']:.0%} of the motion."
        )


def slow_modes(recording: Recording, *, rank: int = 6, delays: int = 2, residual: float = RESIDUAL) -> SlowModes:
    """The slow modes of a recording.

    Args:
        recording: from :func:`~separatrix.probes.koopman.record`.
        rank: principal components that are followed; fewer where the rows do not suffice.
        delays: rows that a function of the dictionary sees.
        residual: largest residual of an accepted mode.

    Raises:
        InputError: too few rows, or a run that stood still.

    Cost: ``O(rows (rank delays)^2)``, nine times.
    """
    rows = len(recording.values) - 1
    room = (rows - delays + 1) // ROWS_A_FUNCTION - 1
    if rank < 1 or delays < 1 or room < delays:
        need = ROWS_A_FUNCTION * (delays + 1) + delays
        raise InputError(
            f"slow modes with {delays} delays need at least {need} rows, got {rows}: record more steps, or more often."
        )
    scaled, scale, mean = _scaled(recording)
    _, _, axes = torch.linalg.svd(scaled, full_matrices=False)
    axes = axes[: min(rank, room // delays, len(axes))]
    x = _delayed(scaled[:-1] @ axes.T, delays)
    newest = scaled[delays:] @ axes.T
    y = _stepped(x, newest)
    second = None
    noise_seen = recording.second is not None and not torch.equal(recording.second, recording.values[1:])
    if recording.second is not None:
        second = _stepped(x, ((recording.second - mean) * scale)[delays - 1 :] @ axes.T)
    found = resdmd(x, y, second=second)
    errors = _jackknife(x, y, second, found.values)
    shares = _shares(x @ found.vectors.real, x @ found.vectors.imag, scaled[delays - 1 : -1], recording.columns)
    by_chance = 2 * (x.shape[1] / len(x)) ** 0.5 if noise_seen or second is None else 0.0
    modes = [
        _mode(i, found, errors, shares, recording.every, rows, residual, by_chance) for i in range(len(found.values))
    ]
    kept = [m for m in modes if m.multiplier.imag >= 0 and not _constant(m)]
    return SlowModes(tuple(sorted(kept, key=lambda m: -m.growth)), rows, recording.every, noise_seen, found)


def _constant(mode: SlowMode) -> bool:
    """The constant function, which every dictionary with a constant has as an eigenfunction."""
    return abs(mode.multiplier - 1) < 1e-9 and mode.share[""] < 1e-6


def _scaled(recording: Recording) -> tuple[Tensor, Tensor, Tensor]:
    """Rows about their mean, each group scaled to one variance, so that large networks do not drown small ones."""
    mean = recording.values.mean(dim=0)
    centred = recording.values - mean
    scale = torch.ones(centred.shape[1], dtype=torch.float64)
    for group in dict.fromkeys(recording.columns):
        mine = torch.tensor([c == group for c in recording.columns])
        size = float(centred[:, mine].square().sum().sqrt())
        scale[mine] = 1 / size if size > 0 else 0.0
    if not bool((centred * scale).any()):
        raise InputError("the run stood still while it was recorded, so it has no modes.")
    return centred * scale, scale, mean


def _delayed(components: Tensor, delays: int) -> Tensor:
    """``(rows, k delays + 1)``: the components at a row and before, the newest first, and a constant."""
    count = len(components) - delays + 1
    blocks = [components[delays - 1 - d :][:count] for d in range(delays)]
    size = float(components.square().mean().sqrt())
    return torch.cat([*blocks, torch.full((count, 1), size, dtype=components.dtype)], dim=1)


def _stepped(x: Tensor, newest: Tensor) -> Tensor:
    """The dictionary one row later, given the components there."""
    k = newest.shape[1]
    return torch.cat([newest, x[:, : x.shape[1] - 1 - k], x[:, -1:]], dim=1)


def _jackknife(x: Tensor, y: Tensor, second: Tensor | None, values: Tensor) -> Tensor:
    """``(2, r)`` standard errors of modulus and angle, from leaving out an eighth of the rows in turn."""
    edges = torch.linspace(0, len(x), BLOCKS + 1).round().long().tolist()
    found = []
    for first, last in pairwise(edges):
        keep = torch.ones(len(x), dtype=torch.bool)
        keep[first:last] = False
        part = resdmd(x[keep], y[keep], second=None if second is None else second[keep]).values
        nearest = part[(values[:, None] - part[None, :]).abs().argmin(dim=1)]
        found.append(torch.stack([nearest.abs(), nearest.angle().abs()]))
    stacked = torch.stack(found)
    spread = (stacked - stacked.mean(dim=0)).square().sum(dim=0)
    return (spread * (BLOCKS - 1) / BLOCKS).sqrt()


def _shares(real: Tensor, imag: Tensor, motion: Tensor, columns: tuple[str, ...]) -> list[dict[str, float]]:
    """The part of the motion that is linear in a mode's own two numbers."""
    found = []
    for i in range(real.shape[1]):
        pair = torch.stack([real[:, i], imag[:, i]], dim=1)
        pair = pair - pair.mean(dim=0)
        left, singular, _ = torch.linalg.svd(pair, full_matrices=False)
        left = left[:, singular > 1e-9 * singular[0].clamp_min(1e-300)] if float(singular[0]) > 1e-12 else left[:, :0]
        centred = motion - motion.mean(dim=0)
        explained = (left.T @ centred).square().sum(dim=0)
        total = centred.square().sum(dim=0)
        shares = {"": float(explained.sum() / total.sum())}
        for group in dict.fromkeys(columns):
            mine = torch.tensor([c == group for c in columns])
            size = float(total[mine].sum())
            shares[group] = float(explained[mine].sum()) / size if size > 0 else 0.0
        found.append(shares)
    return found


def _mode(
    i: int,
    found: Koopman,
    errors: Tensor,
    shares: list[dict[str, float]],
    every: int,
    rows: int,
    residual: float,
    by_chance: float,
) -> SlowMode:
    value = complex(found.values[i])
    modulus, angle = abs(value), abs(float(found.values[i].angle()))
    turning = angle > 1e-6
    growth = modulus ** (1 / every)
    growth_stderr = growth * float(errors[0, i]) / max(every * modulus, 1e-300)
    period = 2 * pi * every / angle if turning else inf
    period_stderr = period * float(errors[1, i]) / angle if turning else 0.0
    corrected = None if found.corrected is None else float(found.corrected[i])
    error = None if found.corrected_stderr is None else float(found.corrected_stderr[i])
    plain = float(found.residuals[i])
    why = ""
    if (corrected is None and plain > residual) or (
        corrected is not None and corrected - 2 * (error or 0.0) > residual**2
    ):
        why = "its residual is too large: it does not behave as one mode"
    elif corrected is not None and error is not None and error > 2 * residual**2:
        why = "the noise hides whether it is one mode; record more"
    elif modulus <= by_chance:
        why = "noise alone gives modes that decay as slowly"
    elif turning and period > rows * every / 2:
        why = "less than two turns were seen"
    elif turning and angle > 0.9 * pi:
        why = "it turns by about half a turn between rows; record more often"
    elif turning and float(errors[1, i]) > angle / 3:
        why = "its angle changes with the rows that are left out"
    multiplier = complex(torch.polar(torch.tensor(growth), torch.tensor(float(found.values[i].angle()) / every)))
    kept = growth**period if turning else 0.0
    return SlowMode(
        multiplier, growth, growth_stderr, period, period_stderr, kept, plain, corrected, error, shares[i], not why, why
    )
