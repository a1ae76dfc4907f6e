"""Torch optimizers to pure bases and back, state included; reading never changes them.

The state of ``torch.optim`` lies tensor by tensor, ours flat in the order of the player's coordinates in the game's
space: ``exp_avg`` is our ``mean``, ``exp_avg_sq`` and ``square_avg`` our ``square``, ``momentum_buffer`` our ``buffer``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from separatrix.dynamics.bases import SGD, Adam, AdamW, Base, RMSprop, State
from separatrix.dynamics.schemes import States
from separatrix.dynamics.wrapped import WrappedBase
from separatrix.errors import InputError
from separatrix.fields import Game

Given = Base | torch.optim.Optimizer | type[torch.optim.Optimizer]
# Ours by torch's name of a tensor of the state.
NAMES: dict[type, dict[str, str]] = {
    SGD: {"buffer": "momentum_buffer"},
    RMSprop: {"square": "square_avg", "buffer": "momentum_buffer"},
    Adam: {"mean": "exp_avg", "square": "exp_avg_sq"},
    AdamW: {"mean": "exp_avg", "square": "exp_avg_sq"},
}
# Settings that only say where and how fast the same numbers are computed.
_INDIFFERENT = {"params", "param_names", "initial_lr", "foreach", "fused", "capturable", "differentiable"}


def base_of(given: Given, game: Game, player: str, **settings: Any) -> tuple[Base, State]:
    """The pure base of a player and its state, lifted from a torch optimizer that holds the player's parameters.

    Args:
        given: a base (its state is fresh); an optimizer; or an optimizer's class, made with ``settings``.
        game, player: whose parameters.
        settings: for a class: ``lr`` and so on, as its constructor takes them.

    Returns:
        One of our own bases for ``torch.optim.SGD``, ``RMSprop``, ``Adam`` and ``AdamW`` with one set of settings for
        all of the player's tensors; a :class:`WrappedBase`, which says why in ``why``, for all others and for
        ``amsgrad``, ``maximize``, ``centered`` and rates that are tensors.

    Raises:
        InputError: the optimizer does not hold just the player's parameters; names player and tensor.
    """
    if isinstance(given, type) and issubclass(given, torch.optim.Optimizer):
        return base_of(_made(given, game, player, settings), game, player)
    if settings:
        raise InputError(f"settings {sorted(settings)} are for an optimizer's class; {given!r} has its own.")
    tensors = player_tensors(game, player)
    if isinstance(given, Base):
        return given, given.init(_flat(tensors))
    if hasattr(given, "method") and hasattr(given, "states"):
        raise InputError(
            f"the {type(given).__name__} given for player {player!r} trains all players and keeps its own states; give "
            "method=opt.method, states=opt.states."
        )
    if not isinstance(given, torch.optim.Optimizer):
        raise InputError(
            f"the optimizer of player {player!r} is a {type(given).__name__}; give a torch.optim.Optimizer (or its class "
            "with settings), or one of sx's own bases."
        )
    held = _held_by(given, game, player, tensors)
    own = _own_base(given, held)
    if isinstance(own, str):
        wrapped = WrappedBase(given, held, why=own)
        return wrapped, wrapped.init(_flat(tensors))
    return own, _lift(own, given, held)


def bases_of(given: Given | Mapping[str, Given], game: Game, **settings: Any) -> tuple[dict[str, Base], States]:
    """Bases and states of all players; see :func:`base_of`.

    Args:
        given: ``{"G": opt_g, "D": opt_d}``, or one base or optimizer class for all players.
        game: the game.
        settings: for classes.

    Raises:
        InputError: a player without an optimizer, or an optimizer without a player.
    """
    by_player = given if isinstance(given, Mapping) else dict.fromkeys(game.players, given)
    if set(by_player) != set(game.players):
        raise InputError(
            f"there are optimizers for {list(by_player)}, the players are {list(game.players)}; give one for each."
        )
    found = {player: base_of(by_player[player], game, player, **settings) for player in game.players}
    return {p: base for p, (base, _) in found.items()}, {p: state for p, (_, state) in found.items()}


def torch_state_dict(
    base: Base, state: State, optimizer: torch.optim.Optimizer, game: Game, player: str
) -> dict[str, Any]:
    """A base's state as ``optimizer.load_state_dict`` takes it; the optimizer itself is left as it is.

    The reverse of :func:`base_of`, for saving what was trained here and going on elsewhere.

    Raises:
        InputError: the base is not the one that this optimizer becomes.
    """
    if isinstance(base, WrappedBase):
        copied: dict[str, Any] = deepcopy(state["torch"])
        return copied
    held = _held_by(optimizer, game, player, player_tensors(game, player))
    own = _own_base(optimizer, held)
    if type(own) is not type(base):
        raise InputError(
            f"the state of a {type(base).__name__} does not fit the {type(optimizer).__name__} of player {player!r}."
        )
    packed = deepcopy(optimizer.state_dict())
    order = {id(t): i for i, t in enumerate(t for g in optimizer.param_groups for t in g["params"])}
    names = NAMES[type(base)]
    offset = 0
    for tensor in held:
        span = slice(offset, offset + tensor.numel())
        offset += tensor.numel()
        entry: dict[str, Any] = {}
        if state["step"] and not isinstance(base, SGD):
            entry["step"] = torch.tensor(float(state["step"]))
        if state["step"]:
            entry |= {
                theirs: state[ours][span].view_as(tensor).clone() for ours, theirs in names.items() if ours in state
            }
        if entry:
            packed["state"][order[id(tensor)]] = entry
        else:
            packed["state"].pop(order[id(tensor)], None)
    return packed


def player_tensors(game: Game, player: str) -> list[Tensor]:
    """The parameters that a player moves, in the order of its coordinates."""
    return [game.parameters[i] for i in game.space.owned(player)]


def _made(
    kind: type[torch.optim.Optimizer], game: Game, player: str, settings: Mapping[str, Any]
) -> torch.optim.Optimizer:
    try:
        return kind(player_tensors(game, player), **settings)
    except (TypeError, ValueError) as error:
        raise InputError(f"torch.optim.{kind.__name__} does not take {dict(settings)}: {error}.") from error


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([t.detach().reshape(-1) for t in tensors])


def _held_by(optimizer: torch.optim.Optimizer, game: Game, player: str, tensors: Sequence[Tensor]) -> list[Tensor]:
    """The optimizer's own tensors for the player's coordinates, in their order.

    A raw tensor that plays is held by the game in a parameter of the same memory, so memory decides and not identity.
    """
    kind = type(optimizer).__name__
    theirs = [t for group in optimizer.param_groups for t in group["params"]]
    places = {_place(t): t for t in theirs}
    names = [game.space.entries[i].name for i in game.space.owned(player)]
    for tensor, name in zip(tensors, names, strict=True):
        if _place(tensor) not in places:
            raise InputError(
                f"the {kind} given for player {player!r} does not hold its tensor {name}; make it with the parameters of "
                f"{player!r}, or call .requires_grad_(False) on what is not to be trained, before making the Game."
            )
    own = {_place(t) for t in tensors}
    everyone = {_place(p): e.name for p, e in zip(game.parameters, game.space.entries, strict=True)}
    for number, tensor in enumerate(theirs):
        if tensor.requires_grad and _place(tensor) not in own:
            name = everyone.get(_place(tensor), f"number {number} of shape {tuple(tensor.shape)}")
            raise InputError(
                f"the {kind} given for player {player!r} also holds the tensor {name}, which {player!r} does not move; "
                "give each player an optimizer of its own parameters."
            )
    return [places[_place(t)] for t in tensors]


def _place(tensor: Tensor) -> tuple[Any, ...]:
    # Tensors without elements have no memory to be known by.
    return (tensor.data_ptr(), tensor.shape) if tensor.numel() else (id(tensor),)


def _own_base(optimizer: torch.optim.Optimizer, held: Sequence[Tensor]) -> Base | str:
    """Our base of the same formula, or why there is none."""
    kind = type(optimizer)
    name = f"{kind.__module__}.{kind.__name__}"
    if kind not in (torch.optim.SGD, torch.optim.RMSprop, torch.optim.Adam, torch.optim.AdamW):
        return f"{name} is not one of torch.optim's SGD, RMSprop, Adam, AdamW, so there is no prediction for it"
    ids = {id(t) for t in held}
    groups = [g for g in optimizer.param_groups if any(id(t) in ids for t in g["params"])]
    group = groups[0]
    for key in set(group) - _INDIFFERENT:
        if any(g.get(key) != group[key] for g in groups[1:]):
            return (
                f"its parameter groups differ in {key}, and there is no prediction for several settings in one player"
            )
    for flag in ("amsgrad", "maximize", "centered"):
        if group.get(flag):
            return f"there is no prediction for {kind.__name__} with {flag}=True"
    for key in set(group) - _INDIFFERENT:
        if isinstance(group[key], Tensor) or (key == "betas" and any(isinstance(b, Tensor) for b in group[key])):
            return f"there is no prediction for a {key} that is a tensor"
    states = [optimizer.state.get(t, {}) for t in held]
    counts = {float(s["step"]) for s in states if "step" in s} | ({0.0} if any(not s for s in states) else set())
    if len(counts) > 1 and kind is not torch.optim.SGD:
        return (
            f"its tensors have made different numbers of steps ({sorted(counts)}), and there is no prediction for that"
        )
    if kind is torch.optim.SGD:
        with_buffer = [s.get("momentum_buffer") is not None for s in states]
        if any(with_buffer) and not all(with_buffer):
            return "some of its tensors have momentum and others have none yet, and there is no prediction for that"
    try:
        return _ours(kind, group)
    except InputError as error:
        return f"there is no prediction for these settings ({error})"


def _ours(kind: type, group: Mapping[str, Any]) -> Base:
    lr, decay = float(group["lr"]), float(group["weight_decay"])
    if kind is torch.optim.SGD:
        return SGD(lr, float(group["momentum"]), float(group["dampening"]), bool(group["nesterov"]), decay)
    if kind is torch.optim.RMSprop:
        return RMSprop(lr, float(group["alpha"]), float(group["eps"]), float(group["momentum"]), decay)
    decoupled = kind is torch.optim.AdamW or bool(group.get("decoupled_weight_decay"))
    betas = (float(group["betas"][0]), float(group["betas"][1]))
    return (AdamW if decoupled else Adam)(lr, betas, float(group["eps"]), decay)


def _lift(base: Base, optimizer: torch.optim.Optimizer, held: Sequence[Tensor]) -> State:
    """The state of torch's optimizer in ours, copied."""
    states = [optimizer.state.get(t, {}) for t in held]  # .get: indexing would create entries
    fresh = base.init(_flat(held))
    lifted: State = {"step": 0}
    for ours, theirs in NAMES[type(base)].items():
        if ours in fresh:
            found = [s.get(theirs) for s in states]
            if any(f is None for f in found):
                return fresh
            lifted[ours] = torch.cat([f.detach().reshape(-1) for f in found if f is not None])
    # SGD counts no steps; all that matters is whether there was one.
    lifted["step"] = int(states[0]["step"]) if "step" in states[0] else int(len(lifted) > 1)
    return lifted
