"""The losses of a run's players, read as numbers: same batches, same draws, and the run untouched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from separatrix.dynamics import Roles, Run, Snapshot
from separatrix.errors import InputError
from separatrix.fields.batches import copied, samples_in
from separatrix.fields.surroundings import frozen_randomness

Terms = dict[str, dict[str, float]]


def read_losses_at(
    run: Run, place: Snapshot, batches: Sequence[Any], seed: int, players: Sequence[str] | None = None
) -> Terms:
    """Each player's loss by term at a snapshot, mean over batches weighted by their samples.

    The run is left at ``place``. Random draws are those of ``seed``, so that two places see the same ones; buffers, and
    generators of the run's own, are put back before each batch.

    Raises:
        InputError: losses that are not in their shape or not finite; names player and term.

    Cost: one forward pass a batch.
    """
    sizes = [samples_in(batch) for batch in batches]
    total: dict[str, dict[str, float]] = {}
    for i, (batch, size) in enumerate(zip(batches, sizes, strict=True)):
        run.restore(place)
        with frozen_randomness(seed + i), torch.enable_grad():
            found = run.roles.value(copied(batch), players, wanted=True)
        for player, terms in found.items():
            sums = total.setdefault(player, {})
            for term, value in terms.items():
                sums[term] = sums.get(term, 0.0) + float(value.detach()) * size / sum(sizes)
    run.restore(place)
    return total


def summed(terms: Terms) -> dict[str, float]:
    """Each player's loss."""
    return {player: sum(values.values()) for player, values in terms.items()}


def displaced(place: Snapshot, paths: Iterable[str], step: Mapping[str, Tensor], factor: float) -> Snapshot:
    """A snapshot with some tensors moved along a step."""
    floats = place.floats()
    return place.replaced({path: floats[path] + factor * step[path] for path in paths})


def silenced(run: Run, place: Snapshot, player: str) -> Snapshot:
    """A snapshot with a player's tensors all zero: a player that says nothing, whose loss is a scale for its losses."""
    floats = place.floats()
    (paths,) = paths_by_player(run, place, [player]).values()
    return place.replaced({path: torch.zeros_like(floats[path]) for path in paths})


def paths_by_player(run: Run, start: Snapshot, players: Sequence[str] | None) -> dict[str, list[str]]:
    """Where each player's tensors stand in a snapshot.

    Raises:
        InputError: an unknown player, or one whose tensors the state does not list.
    """
    roles: Roles = run.roles
    found = {}
    for player in roles.names if players is None else tuple(players):
        tensors = roles.named_tensors(player)
        found[player] = start.paths_of(tensors.values())
        if len(found[player]) < len({id(t) for t in tensors.values()}):
            raise InputError(
                f"player {player!r} moves tensors that the state of {run.name!r} does not list; list its module or tensors."
            )
    return found
