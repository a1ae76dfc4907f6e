"""Checkpoints: ``{"players": {name: state_dict}, "optimizers": {name: state_dict}}``, plain tensors and numbers.

Both kinds of ``state_dict`` are torch's own, so a checkpoint goes to and from any training loop. A player made of raw
tensors is the tensor, list or dict itself. What a scheme remembers besides (a last direction, a slow copy) stands under
``scheme``, ``{"settings": ..., "memory": ...}``, in flat points as the scheme keeps it; schemes without a memory have none.
A problem's averages and its other state stand under ``averages`` and ``state``, as ``{name: state_dict}``, where it has any.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from separatrix.cli.data import read_torch
from separatrix.cli.torch_optimizers import lift_state, torch_optimizer
from separatrix.dynamics import Average, Base, Method, Problem, WrappedBase, torch_state_dict
from separatrix.dynamics.bases import State
from separatrix.dynamics.schemes import SCHEME, States
from separatrix.errors import InputError
from separatrix.fields import Game
from separatrix.fields.batches import copied

# What else a problem keeps, by its attribute.
OTHERS = {"averages": "average of", "state": "state"}
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


def load_memory(game: Game, method: Method, saved: Any) -> tuple[State, str]:
    """What the checkpoint's scheme remembers, for the scheme that runs, and a sentence where that cannot go on from it.

    Only the same scheme with the same settings goes on: a Lookahead that was to step back after 5 steps never does after 3.

    Args:
        game: whose coordinates.
        method: what runs.
        saved: what stands under ``scheme``; ``None`` where nothing does.

    Raises:
        InputError: not laid out as a memory, or of other names or shapes than the scheme keeps.
    """
    own = method.scheme.describe()
    fresh = method.scheme.memory(game.space, game.space.join([p.detach() for p in game.parameters]))
    if saved is None:
        afresh = f"does not hold what {_titled(own)} remembers, which begins as on its first step; the rest is as it was saved"
        return {}, afresh if fresh else ""
    if not isinstance(saved, Mapping) or not all(isinstance(saved.get(key), Mapping) for key in ("settings", "memory")):
        raise InputError("the checkpoint's 'scheme' is not {'settings': {...}, 'memory': {...}}; leave it out.")
    if saved["settings"] != own:
        return {}, f"holds what {_titled(saved['settings'])} remembers, of no use to {_titled(own)}; it is left out"
    if saved["memory"].keys() != fresh.keys():
        held, kept = (", ".join(sorted(map(str, names))) for names in (saved["memory"], fresh))
        raise InputError(
            f"of what {_titled(own)} remembers the checkpoint has {held or 'nothing'}, here it keeps {kept}; was it saved with "
            "other players? Leave 'scheme' out of it to begin afresh."
        )
    return {name: _fitted(name, saved["memory"][name], value, own) for name, value in fresh.items()}, ""


def _titled(settings: Mapping[str, Any]) -> str:
    """A scheme with its settings, as it is to be called in a sentence."""
    name = str(settings.get("scheme"))
    shown = (
        f"{key} {_titled(value) if isinstance(value, Mapping) and 'scheme' in value else value}"
        for key, value in settings.items()
        if key != "scheme"
    )
    return f"{name} ({', '.join(shown)})" if len(settings) > 1 else name


def _fitted(name: str, saved: Any, fresh: Any, settings: Mapping[str, Any]) -> Any:
    """One entry of a memory, on the device and in the precision of the game."""
    if not isinstance(fresh, Tensor):
        return saved
    if not isinstance(saved, Tensor) or saved.shape != fresh.shape:
        found = f"has shape {tuple(saved.shape)}" if isinstance(saved, Tensor) else f"is a {type(saved).__name__}"
        raise InputError(
            f"{name!r} of what {_titled(settings)} remembers {found} in the checkpoint, its shape is {tuple(fresh.shape)} here; "
            "was it saved from another model? Leave 'scheme' out of it to begin afresh."
        )
    return saved.to(fresh.device, fresh.dtype)


def checkpoint_of(game: Game, method: Method, states: States, **about: Any) -> dict[str, Any]:
    """What is saved: players, optimizers, what the scheme remembers, and under ``separatrix`` how they came about."""
    bases = method.bases_for(game.players)
    optimizers = {}
    for player, base in bases.items():
        if isinstance(base, WrappedBase):
            optimizers[player] = states[player]["torch"]
            continue
        optimizer = torch_optimizer(game, player, base)
        optimizers[player] = torch_state_dict(base, states[player], optimizer, game, player)
    players = {p: m.state_dict() if isinstance(m, nn.Module) else copied(m) for p, m in game.models.items()}
    memory = states.get(SCHEME)
    scheme = {"scheme": {"settings": method.scheme.describe(), "memory": copied(memory)}} if memory else {}
    return {"players": players, "optimizers": optimizers, **scheme, "separatrix": about}


def others_of(problem: Problem) -> dict[str, Any]:
    """What a problem keeps besides players, as far as it has a ``state_dict``: averages, clocks, adaptive strengths."""
    found = {
        kind: {name: copied(dict(held.state_dict())) for name, held in _kept(problem, kind).items()} for kind in OTHERS
    }
    return {kind: saved for kind, saved in found.items() if saved}


def load_others(problem: Problem, saved: Mapping[str, Any]) -> str:
    """Put averages and other state where the checkpoint has them, and a sentence about what it has not.

    An average that it lacks begins anew where its player stands.

    Raises:
        InputError: a state that does not fit; names it.
    """
    lacking = []
    for kind in OTHERS:
        there = saved.get(kind) or {}
        for name, held in _kept(problem, kind).items():
            if not isinstance(there, Mapping) or name not in there:
                lacking.append(f"{OTHERS[kind]} {name!r}")
                if isinstance(held, Average):
                    held.restart()
                continue
            try:
                held.load_state_dict(there[name])
            except Exception as error:  # whatever the user's own load_state_dict raises
                first = str(error).strip().splitlines()
                raise InputError(
                    f"the checkpoint's {OTHERS[kind]} {name!r} does not fit: {first[-1].strip() if first else type(error).__name__}"
                ) from error
    return f"does not hold the {', the '.join(lacking)}, which begin anew" if lacking else ""


def _kept(problem: Problem, kind: str) -> dict[str, Any]:
    held = getattr(problem, kind) or {}
    return {n: v for n, v in held.items() if hasattr(v, "state_dict") and hasattr(v, "load_state_dict")}
