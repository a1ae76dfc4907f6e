"""Checkpoints: ``{"players": {name: state_dict}, "optimizers": {name: state_dict}}``, plain tensors and numbers.

Both kinds of ``state_dict`` are torch's own, so a checkpoint goes to and from any training loop. A player made of raw
tensors is the tensor, list or dict itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from separatrix.cli.data import read_torch
from separatrix.cli.torch_optimizers import lift_state, torch_optimizer
from separatrix.dynamics import Base, Method, WrappedBase, torch_state_dict
from separatrix.dynamics.schemes import States
from separatrix.errors import InputError
from separatrix.fields import Game
from separatrix.fields.batches import copied

LAYOUT = "{'players': {name: state_dict}, 'optimizers': {name: state_dict}}"


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The checkpoint in a file, its layout checked.

    Raises:
        InputError: not a file of tensors, or not laid out as a checkpoint.
    """
    found = read_torch(path, "--checkpoint", LAYOUT)
    if not isinstance(found, dict) or not isinstance(found.get("players"), dict):
        held = (
            f"a dict with the keys {', '.join(map(str, found))}"
            if isinstance(found, dict)
            else f"a {type(found).__name__}"
        )
        raise InputError(f"--checkpoint {path} holds {held}; a checkpoint is {LAYOUT}.")
    if not isinstance(found.get("optimizers", {}), dict):
        raise InputError(
            f"--checkpoint {path}: 'optimizers' holds a {type(found['optimizers']).__name__}; it is {LAYOUT}."
        )
    return found


def load_players(game: Game, saved: Mapping[str, Any]) -> None:
    """Put the players where the checkpoint has them; nothing is changed unless everything fits.

    Raises:
        InputError: other players, or other tensors or shapes; names player and tensor.
    """
    if set(saved) != set(game.models):
        raise InputError(f"the checkpoint has the players {', '.join(saved)}, the game has {', '.join(game.models)}.")
    pairs = [pair for name, model in game.models.items() for pair in _pairs(name, model, saved[name])]
    with torch.no_grad():
        for ours, theirs in pairs:
            ours.copy_(theirs)


def _pairs(player: str, model: Any, saved: Any) -> Iterator[tuple[Tensor, Tensor]]:
    ours, theirs = _tensors(model), _tensors(saved)
    for name in ours.keys() - theirs.keys():
        raise InputError(f"the checkpoint lacks tensor {name!r} of player {player!r}; was it saved from another model?")
    for name in theirs.keys() - ours.keys():
        raise InputError(
            f"the checkpoint's tensor {name!r} is unknown to player {player!r}; was it saved from another model?"
        )
    for name, tensor in ours.items():
        if tensor.shape != theirs[name].shape:
            which = f"tensor {name!r}" if name else "the tensor"
            raise InputError(
                f"{which} of player {player!r} has shape {tuple(theirs[name].shape)} in the checkpoint, "
                f"{tuple(tensor.shape)} in the game; was it saved from a model of another size?"
            )
        yield tensor, theirs[name]


def _tensors(player: Any) -> dict[str, Tensor]:
    """The tensors of a player, or of what was saved for it, by name."""
    if isinstance(player, Tensor):
        return {"": player}
    if isinstance(player, nn.Module):
        player = player.state_dict()  # views: what is copied into them reaches the module
    items = (
        player.items()
        if isinstance(player, Mapping)
        else enumerate(player)
        if isinstance(player, (list, tuple))
        else ()
    )
    return {str(key): value for key, value in items if isinstance(value, Tensor)}


def load_states(
    game: Game, method: Method | None, saved: Mapping[str, Any], *, keep: bool
) -> tuple[dict[str, Base], States]:
    """Bases and their states as the checkpoint has them.

    Args:
        game: whose players.
        method: whose bases must be of the same kinds, where there is one.
        saved: by player.
        keep: the method's own settings (rates and so on) hold instead of the checkpoint's.

    Raises:
        InputError: an optimizer of another kind or of other tensors than the player's; names the player.
    """
    missing, unknown = [p for p in game.players if p not in saved], [p for p in saved if p not in game.players]
    if missing or unknown:
        raise InputError(
            f"the checkpoint has optimizers for {', '.join(saved)}, the players are {', '.join(game.players)}; save one for each."
        )
    given = method.bases_for(game.players) if method is not None else {}
    found = {p: lift_state(game, p, given.get(p), saved[p], keep=keep) for p in game.players}
    return {p: base for p, (base, _) in found.items()}, {p: state for p, (_, state) in found.items()}


def checkpoint_of(game: Game, method: Method, states: States, **about: Any) -> dict[str, Any]:
    """What is saved: players, optimizers, and under ``separatrix`` how they came about."""
    bases = method.bases_for(game.players)
    optimizers = {}
    for player, base in bases.items():
        if isinstance(base, WrappedBase):
            optimizers[player] = states[player]["torch"]
            continue
        optimizer = torch_optimizer(game, player, base)
        optimizers[player] = torch_state_dict(base, states[player], optimizer, game, player)
    players = {p: m.state_dict() if isinstance(m, nn.Module) else copied(m) for p, m in game.models.items()}
    return {"players": players, "optimizers": optimizers, "separatrix": about}
