"""Trade-offs: what each term of a loss could gain alone, and what that would cost the others.

A player makes a number of steps on one term alone, with a fresh optimizer of its own kind and settings, the others standing
still. A term that could gain much alone, and has no part in the update, is drowned by the others. Two terms that could each gain
much alone, each at the other's cost, are in conflict. All changes are in the terms' own values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from separatrix.dynamics import Run
from separatrix.errors import InputError, NonFiniteError
from separatrix.probes.loss_reading import paths_by_player, read_losses_at
from separatrix.probes.numbers import number
from separatrix.probes.own_steps import Terms, own_steps


@dataclass(frozen=True)
class TradeOffs:
    """One player's terms, each stepped alone.

    Attributes:
        player: whose.
        values: of the terms where the run stands, mean over the batches.
        changes: by the term stepped and the term read: value after less value before; infinite where it ran away.
        steps: on each term alone.
    """

    player: str
    values: dict[str, float]
    changes: dict[str, dict[str, float]]
    steps: int

    def gain(self, term: str) -> float:
        """The share of its value that a term loses when it is stepped alone; of its size where it is not positive."""
        size = abs(self.values[term])
        return -self.changes[term][term] / size if size > 0 else 0.0

    @property
    def sentence(self) -> str:
        """The same in words."""
        told = [
            f"{self.steps} steps on {term!r} alone change it by {number(row[term])}"
            + "".join(f", {other!r} by {number(change)}" for other, change in row.items() if other != term)
            for term, row in self.changes.items()
        ]
        return f"{self.player!r}: {'; '.join(told)}."


def trade_offs(
    run: Run, *, steps: int = 20, players: Sequence[str] | None = None, draws: int = 2, seed: int = 0
) -> dict[str, TradeOffs]:
    """The trade-offs of each player whose loss has several terms; the run is put back where it stood.

    Args:
        run: with the roles ``losses`` (returning terms), ``data`` and optimizers.
        steps: on each term alone.
        players: whose; all with an optimizer and several terms where ``None``.
        draws: over which values are averaged.
        seed: of the draws.

    Raises:
        InputError: a role is missing, or bad numbers.

    Cost: ``steps`` gradients a term, and ``draws`` forward passes of the data for each.
    """
    if steps < 1 or draws < 1:
        raise InputError(f"steps and draws must be at least 1, got steps={steps}, draws={draws}.")
    run.roles.needs("trade-offs", "losses", "data", "optimizers")
    found = {}
    with run.kept() as start:
        before = _values(run, draws, seed)
        wanted = (
            tuple(p for p in run.roles.optimizers if len(before.get(p, {})) > 1) if players is None else tuple(players)
        )
        for player in paths_by_player(run, start, wanted):
            run.restore(start)
            stood = _values(run, draws, seed, [player])[player]
            changes: dict[str, dict[str, float]] = {}
            for term in stood:
                run.restore(start)
                try:
                    own_steps(run, player, steps, loss=partial(_alone, player, term), fresh=True, seed=seed)
                    after = _values(run, draws, seed, [player])[player]
                except NonFiniteError:
                    after = dict.fromkeys(stood, float("inf"))
                changes[term] = {other: after[other] - stood[other] for other in stood}
            found[player] = TradeOffs(player, stood, changes, steps)
    return found


def _alone(player: str, term: str, found: Terms) -> Tensor:
    value = found[player][term]
    # A term that does not reach the player's tensors steps them nowhere.
    return value if value.requires_grad else value + torch.zeros((), dtype=value.dtype, requires_grad=True)


def _values(run: Run, draws: int, seed: int, players: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
    here = run.snapshot()
    rows = [read_losses_at(run, here, run.roles.data, seed + d, players) for d in range(draws)]
    return {
        player: {term: sum(row[player][term] for row in rows) / draws for term in terms}
        for player, terms in rows[0].items()
    }
