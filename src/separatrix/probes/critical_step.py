"""The critical step: how many times the actual update could a player go before its own loss rises?

``c_i`` is the smallest ``c`` with ``L_i(x + c dx_i) > L_i(x)``, ``dx_i`` being what one real step moved player ``i`` by, the
others standing still. On a quadratic, plain descent with the step ``h`` has ``c = 2 / (h k)`` along a direction of curvature
``k``: 1 is the limit of stability, where healthy networks hover too [cohen2021], and below 1 each step makes the player's
own loss worse. Beside it stands what the opponents' updates do to the player's loss. Forward passes only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, inf

import torch
from torch import Tensor

from separatrix.dynamics import Run, Snapshot
from separatrix.errors import InputError, NonFiniteError
from separatrix.probes.loss_reading import displaced, paths_by_player, read_losses_at, summed
from separatrix.probes.numbers import number

SMALLEST, LARGEST = 1 / 16, 16.0
HALVINGS = 3  # of the logarithmic interval around the crossing
ROUNDING = 1e-6  # of the loss: smaller changes of a mean in single precision are not seen


@dataclass(frozen=True)
class CriticalStep:
    """One player's critical step.

    Attributes:
        player: whose.
        value: (lower) median over the steps measured; at most ``SMALLEST`` where the update went uphill from the start, infinite where
            the loss had not risen at ``LARGEST``.
        low, high: an interval for the median from the order statistics, of at least 90% from five steps on; the extremes for
            fewer.
        multiples: of each step measured.
        change: what one actual update of the player alone changes in its own loss, mean over the steps.
        change_stderr: standard error over the steps.
        share_that_rise: share of the steps whose update, the player's alone, made its own loss larger.
        along: by opponent, what its update changes in this player's loss, mean and standard error.
    """

    player: str
    value: float
    low: float
    high: float
    multiples: tuple[float, ...]
    change: float
    change_stderr: float
    share_that_rise: float
    along: dict[str, tuple[float, float]]

    @property
    def sentence(self) -> str:
        """The same in words."""
        if self.value == inf:
            what = f"its loss still falls at {number(LARGEST)} times the update"
        elif self.value <= SMALLEST:
            what = "its own update raises its loss from the start"
        else:
            what = f"its loss rises beyond {number(self.value, 2)} times the update ({number(self.low, 2)} to {number(self.high, 2)})"
        others = "".join(f"; the update of {other!r} changes it by {number(c)}" for other, (c, _) in self.along.items())
        return f"{self.player!r}: {what}{others}."


def critical_step(
    run: Run, *, repeats: int = 8, every: int = 1, players: Sequence[str] | None = None, seed: int = 0
) -> dict[str, CriticalStep]:
    """Each player's critical step along the next steps of the run, which is put back where it stood.

    Args:
        run: with the roles ``losses``, ``data`` and players or optimizers. Losses are read on ``data``, not on the batch of
            the step: an update that only follows the noise of its batch rises at once.
        repeats: at how many steps it is measured.
        every: every how many steps.
        players: whose; all that the step moves where ``None``.
        seed: of the draws that the losses see; the same along one update.

    Raises:
        InputError: a role is missing, bad numbers, or the step does not move a player that was asked for.

    Cost: ``repeats every`` steps, and about ``repeats (10 + players)`` forward passes of the data a player.
    """
    if repeats < 1 or every < 1:
        raise InputError(f"repeats and every must be at least 1, got repeats={repeats}, every={every}.")
    run.roles.needs("a critical step", "losses", "data")
    rows: dict[str, list[tuple[float, float, dict[str, float]]]] = {}
    with run.kept() as start:
        where = paths_by_player(run, start, None)
        wanted = tuple(where) if players is None else tuple(players)
        paths_by_player(run, start, wanted)
        here = start
        for repeat in range(repeats):
            run.restore(here)
            run.step()
            there = run.snapshot()
            step = _step(here, there, where)
            for player in wanted:
                if players is None and not any(bool(step[path].any()) for path in where[player]):
                    continue
                rows.setdefault(player, []).append(_measure(run, here, where, step, player, seed + repeat))
            run.restore(there)
            for _ in range(every - 1):
                run.step()
            here = run.snapshot()
    return {player: _summary(player, found) for player, found in rows.items()}


def _step(here: Snapshot, there: Snapshot, where: dict[str, list[str]]) -> dict[str, Tensor]:
    before, after = here.floats(), there.floats()
    return {path: after[path] - before[path] for paths in where.values() for path in paths}


def _measure(
    run: Run, here: Snapshot, where: dict[str, list[str]], step: dict[str, Tensor], player: str, seed: int
) -> tuple[float, float, dict[str, float]]:
    """The critical multiple of one update, the change at multiple 1, and the changes along the others' updates."""

    def rise(whose: str, factor: float) -> float:
        at = displaced(here, where[whose], step, factor)
        try:
            found = loss(at) - base
        except NonFiniteError:  # it has risen
            return inf
        return found if abs(found) > ROUNDING * abs(base) else 0.0

    def loss(at: Snapshot) -> float:
        found = summed(read_losses_at(run, at, run.roles.data, seed, [player]))
        if player not in found:
            raise KeyError(player)
        return found[player]

    try:
        base = loss(here)
    except KeyError:
        raise InputError(f"the losses return nothing for player {player!r}; a critical step needs its loss.") from None
    if not any(bool(step[path].any()) for path in where[player]):
        raise InputError(
            f"the step of {run.name!r} does not move player {player!r}, so it has no critical step; leave it out."
        )
    at_one = rise(player, 1.0)
    # Away from 1 in the direction in which the crossing lies.
    low, high = (1.0, None) if at_one <= 0 else (None, 1.0)
    while low is None and high is not None and high > SMALLEST:
        low, high = (high / 2, high) if rise(player, high / 2) <= 0 else (None, high / 2)
    while high is None and low is not None and low < LARGEST:
        low, high = (low, 2 * low) if rise(player, 2 * low) > 0 else (2 * low, None)
    value = SMALLEST if low is None else inf
    if low is not None and high is not None:
        for _ in range(HALVINGS):
            middle = (low * high) ** 0.5
            low, high = (low, middle) if rise(player, middle) > 0 else (middle, high)
        value = (low * high) ** 0.5
    return value, at_one, {other: rise(other, 1.0) for other in where if other != player}


def _summary(player: str, rows: list[tuple[float, float, dict[str, float]]]) -> CriticalStep:
    multiples = tuple(row[0] for row in rows)
    ordered = sorted(multiples)
    low, high = _median_interval(ordered)
    changes = torch.tensor([row[1] for row in rows], dtype=torch.float64)
    along = {}
    for other in rows[0][2]:
        mean, error = _mean([row[2][other] for row in rows])
        along[other] = mean, error
    value = ordered[(len(ordered) - 1) // 2]
    mean, error = _mean(changes.tolist())
    return CriticalStep(player, value, low, high, multiples, mean, error, float((changes > 0).double().mean()), along)


def _median_interval(ordered: Sequence[float]) -> tuple[float, float]:
    """The widest-needed order statistics whose interval holds the median with at least 90%, by the binomial law."""
    count = len(ordered)
    tail, cut = 0.5**count, 0
    while cut + 1 < count / 2:
        more = tail + comb(count, cut + 1) * 0.5**count
        if more > 0.05:
            break
        tail, cut = more, cut + 1
    return ordered[cut], ordered[count - 1 - cut]


def _mean(values: Sequence[float]) -> tuple[float, float]:
    t = torch.tensor(values, dtype=torch.float64)
    return float(t.mean()), float(t.std() / len(t) ** 0.5) if len(t) > 1 else float("nan")
