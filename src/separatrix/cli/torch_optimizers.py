"""Our bases as torch optimizers and back, for the optimizers' part of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from separatrix.dynamics import SGD, Adam, AdamW, Base, RMSprop, base_of
from separatrix.dynamics.bases import State
from separatrix.dynamics.convert import player_tensors
from separatrix.errors import InputError
from separatrix.fields import Game

KINDS: Mapping[type[Base], type[torch.optim.Optimizer]] = {
    SGD: torch.optim.SGD,
    RMSprop: torch.optim.RMSprop,
    Adam: torch.optim.Adam,
    AdamW: torch.optim.AdamW,
}


def torch_optimizer(game: Game, player: str, base: Base) -> torch.optim.Optimizer:
    """A fresh torch optimizer with the base's settings, holding what the player moves.

    Raises:
        InputError: torch.optim has none of this kind.
    """
    if type(base) not in KINDS:
        raise InputError(
            f"the {type(base).__name__} of player {player!r} has no counterpart in torch.optim to be saved as."
        )
    return KINDS[type(base)](player_tensors(game, player), **asdict(base))  # type: ignore[call-overload]


def lift_state(game: Game, player: str, base: Base | None, saved: Any, *, keep: bool) -> tuple[Base, State]:
    """Base and state from a torch optimizer's ``state_dict``.

    Args:
        game, player: whose parameters.
        base: of which kind it must be, where one is known.
        saved: the ``state_dict``.
        keep: the base's settings hold instead of the checkpoint's.

    Raises:
        InputError: it is of another kind than ``base``, of none that is known, or of other tensors.
    """
    kind = _kind(player, saved)
    if base is not None and type(base) in KINDS and KINDS[type(base)] is not kind:
        raise InputError(
            f"the checkpoint's optimizer of player {player!r} is {kind.__name__}, the method uses {type(base).__name__}; "
            f"add --optimizer {player}={kind.__name__.lower()}:lr=..., or leave the optimizers out of the checkpoint."
        )
    optimizer = _holding(game, player, kind, saved)
    held = [t for group in optimizer.param_groups for t in group["params"]]
    for number, state in saved["state"].items():
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and value.ndim and value.shape != held[number].shape:
                raise InputError(
                    f"{name!r} of tensor number {number} of player {player!r} has shape {tuple(value.shape)} in the "
                    f"checkpoint's optimizer, {tuple(held[number].shape)} in the game; was it saved from another model?"
                )
    optimizer.load_state_dict(saved)
    if base is not None and keep and type(base) in KINDS:
        for group in optimizer.param_groups:
            group.update(asdict(base))  # type: ignore[call-overload]
    return base_of(optimizer, game, player)


def _kind(player: str, saved: Any) -> type[torch.optim.Optimizer]:
    """The class by the settings that its groups carry."""
    groups = saved.get("param_groups") if isinstance(saved, Mapping) else None
    if not isinstance(groups, list) or not groups or not isinstance(saved.get("state"), Mapping):
        raise InputError(
            f"the checkpoint's optimizer of player {player!r} is not the state_dict() of a torch optimizer; save "
            "optimizer.state_dict()."
        )
    keys = set(groups[0])
    if {"betas", "amsgrad"} <= keys:
        return torch.optim.AdamW if groups[0].get("decoupled_weight_decay") else torch.optim.Adam
    if {"alpha", "centered"} <= keys:
        return torch.optim.RMSprop
    if {"momentum", "dampening", "nesterov"} <= keys:
        return torch.optim.SGD
    raise InputError(
        f"the checkpoint's optimizer of player {player!r} is none of SGD, RMSprop, Adam and AdamW (its settings are "
        f"{', '.join(sorted(map(str, keys)))}); leave it out, or diagnose from Python: sx.diagnose(field, optimizers=...)."
    )


def _holding(
    game: Game, player: str, kind: type[torch.optim.Optimizer], saved: Mapping[str, Any]
) -> torch.optim.Optimizer:
    """An optimizer with as many tensors as were saved: what the player moves, or all it has (some may be constant)."""
    sizes = [len(group["params"]) for group in saved["param_groups"]]
    model = game.models[player]
    moved = player_tensors(game, player)
    everything = list(model.parameters()) if isinstance(model, nn.Module) else moved
    for tensors in (moved, everything):
        if sum(sizes) == len(tensors):
            ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
            groups = [{"params": tensors[end - size : end]} for end, size in zip(ends, sizes, strict=True)]
            return kind(groups, lr=1.0)  # type: ignore[call-arg]
    raise InputError(
        f"the checkpoint's optimizer of player {player!r} holds {sum(sizes)} tensors, the player moves {len(moved)}; was it "
        "saved from another model?"
    )
