"""A game's field as a pure function, which takes thousands of points at once."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.fields.field import Field, FunctionField
from separatrix.fields.game_field import GameField
from separatrix.fields.loss_terms import total


def pure(field: Field) -> FunctionField:
    """The same field as a :class:`FunctionField`, so that a batch of points ``(b, n)`` is evaluated by ``torch.vmap``.

    For small games whose losses are plain functions of the players. It stands where the field stands now, and does not
    follow the modules. It is compared with the field at that point, and refused where they differ.

    Args:
        field: a game on data, or a :class:`FunctionField`, which is returned as it is.

    Raises:
        InputError: losses that cannot be so written: they draw random numbers, change buffers, take slopes with
            respect to data (R1), or ask for values (``if loss > 0``).

    Cost: an evaluation costs a forward pass for each player.

    Example:
        >>> from separatrix.fields import Game
        >>> game = Game({"x": torch.ones(1), "y": torch.ones(1)}, lambda m, batch: (m["x"] * m["y"]).sum())
        >>> pure(game.on())(torch.tensor([[1.0, 2.0], [3.0, 4.0]])).tolist()
        [[-2.0, 1.0], [-4.0, 3.0]]
    """
    if isinstance(field, FunctionField):
        return field
    if not isinstance(field, GameField):
        raise InputError(f"a pure function is made of a game's field, got {type(field).__name__}.")
    others = _others(field)
    found = FunctionField(lambda x: _directions(field, others, x), field.point, players=_sizes(field), name=field.name)
    at = torch.stack([field.point, field.point])
    try:
        values = found(at)
    except Exception as error:
        if isinstance(error, (KeyboardInterrupt, torch.OutOfMemoryError)):
            raise
        raise InputError(
            f"the losses of {field.name!r} cannot be evaluated at many points at once ({type(error).__name__}: {error}). They "
            "must be plain functions of the players: no random draws, no changed buffers, no slopes with "
            "respect to data, no branches on values. Evaluate the field point by point instead."
        ) from error
    expected = field()
    gap = float((values - expected).norm())
    if gap > 1e3 * torch.finfo(field.dtype).eps * (float(expected.norm()) + 1):
        raise InputError(
            f"the losses of {field.name!r}, evaluated at many points at once, give another field (difference {gap:.3g} of "
            f"{float(expected.norm()):.3g}): they draw random numbers or keep a state. Evaluate the field point by point instead."
        )
    return found


def _sizes(field: GameField) -> dict[str, int]:
    shared = [entry.name for entry in field.space.entries if len(entry.owners) > 1]
    if shared:
        raise InputError(
            f"{shared[0]} belongs to several players; a pure function needs players apart from each other."
        )
    order = [entry.owners[0] for entry in field.space.entries]
    if order != sorted(order, key=list(field.players).index):
        raise InputError(f"the players of {field.name!r} do not lie one after the other; evaluate point by point.")
    return {player: field.space.size(player) for player in field.players}


def _others(field: GameField) -> dict[str, Tensor]:
    """Copies of what the losses may read besides the players' trainable parameters: frozen ones, and buffers."""
    arena = field.game.arena
    found = {}
    for key, tensor in chain(arena.named_parameters(), arena.named_buffers()):
        if key not in field.game.keys:
            dtype = field.dtype if tensor.is_floating_point() else tensor.dtype
            found[key] = tensor.detach().to(dtype, copy=True)
    return found


def _directions(field: GameField, others: Mapping[str, Tensor], x: Tensor) -> Tensor:
    def totals(x: Tensor) -> Tensor:
        """Each player's loss, ``(players,)``."""
        tensors = {**others, **dict(zip(field.game.keys, field.space.split(x), strict=True))}
        found = torch.zeros(len(field.players), dtype=x.dtype, device=x.device)
        for batch, weight in zip(field.batches, field.weights, strict=True):
            losses = field.game.arena.call(tensors, lambda batch=batch: _losses(field, batch))  # type: ignore[misc]
            found = found + weight * torch.stack([_loss(losses, player, field) for player in field.players])
        return found

    found = torch.func.vjp(totals, x)
    losses, pull = found[0], found[1]
    # Batched like the losses: some kernels resize an unbatched cotangent, with a warning.
    one = torch.eye(len(losses), dtype=x.dtype, device=x.device) + 0 * losses.detach()
    parts = [field.space.take(pull(one[i])[0], player) for i, player in enumerate(field.players)]
    return -torch.cat(parts)


def _losses(field: GameField, batch: Any) -> Any:
    losses, models = field.game.losses, field.game.views()
    if isinstance(losses, Mapping):
        return {player: loss(models, batch) for player, loss in losses.items()}
    return losses(models, batch)


def _loss(found: Any, player: str, field: GameField) -> Tensor:
    """The player's sum of terms; what GameField checks was checked when the field was first evaluated."""
    if isinstance(found, Tensor):
        found = {player: -found.sum() if field.players.index(player) else found.sum()}
    value = found[player]
    given = value if isinstance(value, Mapping) else {"loss": value}
    wanted = {term: one for term, one in given.items() if field.factors.get(term) != 0}
    terms = {t: (one if isinstance(one, Tensor) else one()).sum() for t, one in wanted.items()}
    return total(terms, field.factors, field.dtype, field.device)
