"""Futures: from one snapshot the run goes on several times with other draws; how far do the players' losses part?

Own steps of one player show what the noise of its gradients does to itself. In a game noise also moves what the others answer
to, so the whole run is let go on here. Where the futures part by more than they move together, the draws decide and not the losses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite, nan

import torch

from separatrix.dynamics import Run
from separatrix.dynamics.streams import reseed
from separatrix.errors import InputError, NonFiniteError
from separatrix.probes.loss_reading import read_losses_at, silenced, summed
from separatrix.probes.numbers import number


@dataclass(frozen=True)
class Futures:
    """One player's loss in several futures.

    Attributes:
        player: whose.
        loss: before.
        flat_loss: of the player with all its tensors zero; not a number where that cannot be read.
        after: in each future.
        steps: of the run.
    """

    player: str
    loss: float
    flat_loss: float
    after: tuple[float, ...]
    steps: int

    @property
    def scale(self) -> float:
        """What changes are measured against: the loss before, or that of a player that says nothing, the larger."""
        return max(abs(self.loss), abs(self.flat_loss) if isfinite(self.flat_loss) else 0.0)

    @property
    def change(self) -> float:
        """What the mean over the futures changes."""
        return sum(self.after) / len(self.after) - self.loss

    @property
    def spread(self) -> float:
        """Standard deviation over the futures."""
        return float(torch.tensor(self.after, dtype=torch.float64).std())

    @property
    def sentence(self) -> str:
        """The same in words."""
        return (
            f"{self.player!r}: in {len(self.after)} futures of {self.steps} steps on other draws its loss, now {number(self.loss)}, "
            f"changes by {number(self.change)} with a spread of {number(self.spread, 2)}."
        )


def futures(
    run: Run, *, steps: int = 30, repeats: int = 5, redraw: Callable[[int], None] | None = None, seed: int = 0
) -> dict[str, Futures]:
    """Each player's loss in several futures of the run; it is put back where it stands.

    Args:
        run: with the roles ``losses`` and ``data``; the losses are read on ``data``, with the same draws in each future.
        steps: of each future.
        repeats: how many futures.
        redraw: changes what the run will draw next, given a number; the global streams and the generators in the state are seeded
            anew where ``None``. A position in the data is not changed by that: give a function that moves it.
        seed: of the draws.

    Raises:
        InputError: a role is missing, or bad numbers.
        NonFiniteError: the losses are not finite where the run stands.

    Cost: ``steps repeats`` steps, and ``repeats + 2`` forward passes of the data.
    """
    if steps < 1 or repeats < 2:
        raise InputError(f"futures need steps >= 1 and repeats >= 2, got steps={steps} and repeats={repeats}.")
    run.roles.needs("futures", "losses", "data")
    after: list[dict[str, float]] = []
    with run.kept() as start:
        before = summed(read_losses_at(run, start, run.roles.data, seed))
        for repeat in range(repeats):
            run.restore(start)
            if redraw is None:
                reseed(run.state, 1_000_003 * (seed + 1) + 7919 * (repeat + 1))
            else:
                redraw(repeat)
            for _ in range(steps):
                run.step()
            try:
                after.append(summed(read_losses_at(run, run.snapshot(), run.roles.data, seed)))
            except NonFiniteError:
                after.append(dict.fromkeys(before, nan))
        flat = {player: _flat(run, player, seed) for player in before}
    return {p: Futures(p, loss, flat[p], tuple(row[p] for row in after), steps) for p, loss in before.items()}


def _flat(run: Run, player: str, seed: int) -> float:
    with run.kept() as here:
        try:
            return summed(read_losses_at(run, silenced(run, here, player), run.roles.data, seed, [player]))[player]
        except (InputError, NonFiniteError, KeyError):
            return nan
