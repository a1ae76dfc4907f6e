"""What the user's losses returned, checked and brought to one form: ``{player: {term: scalar}}``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from separatrix.errors import InputError, NonFiniteError


def read_losses(
    found: Any, players: Sequence[str], wanted: Sequence[str], dtype: torch.dtype
) -> dict[str, dict[str, Tensor]]:
    """The wanted players' losses by term.

    Args:
        found: what the losses returned: a scalar, ``{player: scalar}`` or ``{player: {term: scalar}}``.
        players: all players, in order.
        wanted: whose losses are needed.
        dtype: to bring them to.

    Raises:
        InputError: names the player and the term that is missing, unknown or not a scalar tensor.
        NonFiniteError: names the player and the term that is a NaN or an infinity.
    """
    if isinstance(found, Tensor):
        found = _of_one_scalar(found, players)
    if not isinstance(found, Mapping):
        raise InputError(
            f"losses must return {{player: scalar}} or {{player: {{term: scalar}}}}, got {type(found).__name__}."
        )
    if unknown := [name for name in found if name not in players]:
        raise InputError(f"the losses name unknown players {unknown}; the players are {list(players)}.")
    return {player: _terms(player, found, dtype) for player in wanted}


def _of_one_scalar(value: Tensor, players: Sequence[str]) -> dict[str, Tensor]:
    if len(players) == 1:
        return {players[0]: value}
    if len(players) == 2:
        return {players[0]: value, players[1]: -value}
    raise InputError(
        f"the losses returned one scalar for {len(players)} players; that is only defined for one player, or two "
        "(zero-sum: the first minimises, the second maximises). Return {player: scalar}."
    )


def _terms(player: str, found: Mapping[str, Any], dtype: torch.dtype) -> dict[str, Tensor]:
    if player not in found:
        raise InputError(f"the losses return nothing for player {player!r}; they return {list(found)}.")
    value = found[player]
    terms = dict(value) if isinstance(value, Mapping) else {"loss": value}
    if not terms:
        raise InputError(f"the loss of player {player!r} has no term.")
    for term, tensor in terms.items():
        label = f"the loss of player {player!r}" + (f", term {term!r}," if isinstance(value, Mapping) else "")
        terms[term] = _scalar(tensor, label, dtype)
    return terms


def _scalar(tensor: Any, label: str, dtype: torch.dtype) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise InputError(f"{label} is a {type(tensor).__name__}; it must be a scalar tensor (no .item()).")
    if tensor.numel() != 1:
        raise InputError(f"{label} has shape {tuple(tensor.shape)}; it must be a scalar: take .mean() or .sum().")
    if not tensor.is_floating_point():
        raise InputError(f"{label} has dtype {tensor.dtype}; it must be real floating point.")
    if not bool(torch.isfinite(tensor.detach()).all()):
        raise NonFiniteError(
            f"{label} is {tensor.item()}; check the parameters and the batch (a log or a square root "
            "at zero, a step that was too large), or measure from an earlier checkpoint."
        )
    return tensor.reshape(()).to(dtype)
