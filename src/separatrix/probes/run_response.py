"""Best responses in a run: a player makes its own steps, with its own optimizer, while the others stand still."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from separatrix.dynamics import Run, Snapshot
from separatrix.errors import InputError
from separatrix.probes.gains import BestResponse, Gain, gain_of
from separatrix.probes.loss_reading import paths_by_player, read_losses_at, summed
from separatrix.probes.own_steps import own_loss, own_steps


def best_response_of_run(
    run: Run,
    *,
    steps: int,
    players: Sequence[str] | None,
    draws: int,
    seed: int,
    rate: float = 1.0,
) -> BestResponse:
    """See :func:`separatrix.probes.best_response`; the run is put back where it stood, also after an exception.

    A player with an optimizer in the roles steps on ``losses`` with it, state included, over the training batches in turn.
    A player without one makes the run's own steps, and all others are put back after each.

    Args:
        run, steps, players, draws, seed: as there.
        rate: multiple of the learning rates.
    """
    roles = run.roles
    roles.needs("a best response", "losses", "data")
    gains, cost = {}, 0.0
    with run.kept() as start:
        where = paths_by_player(run, start, players)
        held = [start] if not roles.held_out else [start, start]
        sets = [roles.data, roles.held_out][: len(held)]
        before = [[summed(read_losses_at(run, start, data, seed + d)) for d in range(draws)] for data in sets]
        for player, paths in where.items():
            if player not in before[0][0]:
                raise InputError(f"the losses return nothing for player {player!r}; they return {list(before[0][0])}.")
            run.restore(start)
            if player in roles.optimizers:
                made, status = own_steps(run, player, steps, loss=own_loss(player), rate=rate, seed=seed)
                cost += made / len(roles.names)
            else:
                made, status = _steps_alone(run, start, paths, steps), "done"
                cost += made
            end = run.snapshot()
            after = [[summed(read_losses_at(run, end, data, seed + d)) for d in range(draws)] for data in sets]
            found = [gain_of(b, a, player) for b, a in zip(before, after, strict=True)]
            reached, stood = end.floats(), start.floats()
            moved = [(reached[path] - stood[path]).double().square().sum() for path in paths]
            gain_held, error_held = found[1] if roles.held_out else (None, None)
            distance = float(torch.stack(moved).sum().sqrt())
            gains[player] = Gain(player, made, *found[0], gain_held, error_held, distance, status)
    gap_held = None if not roles.held_out else sum(g.gain_held_out or 0.0 for g in gains.values())
    return BestResponse(gains, sum(g.gain_train for g in gains.values()), gap_held, cost)


def _steps_alone(run: Run, start: Snapshot, paths: Sequence[str], steps: int) -> int:
    """The run's own steps, with the trainable tensors of all others put back after each."""
    floats: dict[str, Any] = start.floats()
    others = {path: floats[path] for path in start.parameters() & set(floats) - set(paths)}
    for _ in range(steps):
        run.step()
        run.restore(run.snapshot().replaced(others))
    return steps
