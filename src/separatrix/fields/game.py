"""Game: named players and their losses; bound to data it is a Field.

The players' ``losses(models, batch)`` run inside ``functional_call`` on copies of the parameters and buffers, and so
does differentiation. Dropout, BatchNorm in train mode, checkpointing, penalties with gradients inside the loss,
closures over the modules and tied weights are then right, and nothing of the user's changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from separatrix.errors import InputError
from separatrix.fields.batches import read_batches
from separatrix.fields.space import Space
from separatrix.fields.surroundings import Arena

Player = nn.Module | Tensor | Sequence[Tensor] | Mapping[str, Tensor]
Losses = Callable[[dict[str, Any], Any], Any] | Mapping[str, Callable[[dict[str, Any], Any], Any]]


class Game:
    """Named players, each minimising its own loss.

    Args:
        players: modules, tensors, or lists or dicts of tensors, by name. A parameter found in several players is
            moved by all of them; a parameter that does not require gradients is a constant.
        losses: ``losses(models, batch)`` returns ``{player: scalar}`` or ``{player: {term: scalar}}``; or a dict of
            such functions, one a player, each returning a scalar or ``{term: scalar}``. For one player a scalar will
            do; for two players a scalar is a zero-sum game: the first minimises it, the second maximises it.
            Nothing may be detached between players: see :mod:`separatrix.fields.selftests`.
        batch_size: how many samples a batch holds, where its first tensor does not tell.
        name: used in messages and reports.

    Raises:
        InputError: a player without trainable parameters, with integer parameters, or of an unknown kind; losses
            that are not callable or name unknown players.

    Example:
        >>> x, y = torch.tensor([1.0]), torch.tensor([2.0])
        >>> game = Game({"x": x, "y": y}, lambda m, batch: (m["x"] * m["y"]).sum())
        >>> game.on()().tolist()
        [-2.0, 1.0]
    """

    def __init__(
        self,
        players: Mapping[str, Player],
        losses: Losses,
        *,
        batch_size: Callable[[Any], int] | None = None,
        name: str = "game",
    ) -> None:
        if not players:
            raise InputError("a game needs at least one player; give {'name': module}.")
        self.name = name
        self.losses = losses
        self.batch_size = batch_size
        self.models = dict(players)
        self._held = {name: _hold(name, player) for name, player in players.items()}
        self.arena = Arena(self._held)
        self._check_losses()
        self.parameters, self.space, self.owners = self._lay_out()

    @property
    def players(self) -> tuple[str, ...]:
        return tuple(self.models)

    def views(self) -> dict[str, Any]:
        """The players as the losses see them: modules as they are, tensors as they stand in the arena."""
        return {
            name: held.view() if isinstance(held, _Tensors) else held
            for name, held in zip(self._held, self.arena.members, strict=True)
        }

    def on(
        self,
        data: Any = None,
        *,
        batches: Sequence[Any] | None = None,
        limit: int | None = None,
        seed: int = 0,
        dtype: torch.dtype | None = None,
    ) -> Any:
        """The field of this game on fixed data.

        Args:
            data: one batch (any nest of tensors, or ``None``), or a ``DataLoader``, read once.
            batches: several batches; their gradients are averaged, weighted by their sizes.
            limit: read at most so many batches.
            seed: of the frozen draw (dropout, noise) and of a loader's shuffling.
            dtype: compute in this dtype instead of the parameters' own.

        Returns:
            A :class:`GameField`; it follows the modules: it stands where their parameters are.
        """
        from separatrix.fields.game_field import GameField

        found, weights = read_batches(data, batches, limit=limit, seed=seed, batch_size=self.batch_size)
        return GameField(self, found, weights, seed=seed, dtype=dtype)

    def _check_losses(self) -> None:
        if isinstance(self.losses, Mapping):
            missing, unknown = set(self.models) - set(self.losses), set(self.losses) - set(self.models)
            if missing or unknown:
                raise InputError(
                    f"the losses are for {sorted(self.losses)}, the players are {sorted(self.models)}; "
                    "give one loss for each player."
                )
        elif not callable(self.losses):
            raise InputError(
                f"losses must be a function losses(models, batch) or a dict of functions, got {type(self.losses).__name__}."
            )

    def _lay_out(self) -> tuple[list[nn.Parameter], Space, dict[int, tuple[str, ...]]]:
        """The trainable parameters, each once, with the players that own it and their names in the arena."""
        owners: dict[int, list[str]] = {}
        for player, module in self._held.items():
            for parameter in module.parameters():
                owners.setdefault(id(parameter), []).append(player)
        parameters: list[nn.Parameter] = []
        entries: list[tuple[str, tuple[int, ...], tuple[str, ...]]] = []
        self.keys: list[str] = []
        names = list(self._held)
        for key, parameter in self.arena.named_parameters():
            if not parameter.requires_grad:
                continue
            _, number, rest = key.split(".", 2)
            holder = self._held[names[int(number)]]
            name = (
                names[int(number)] + holder.suffix(rest)
                if isinstance(holder, _Tensors)
                else f"{names[int(number)]}.{rest}"
            )
            self.keys.append(key)
            parameters.append(parameter)
            entries.append((name, tuple(parameter.shape), tuple(owners[id(parameter)])))
        for player in self._held:
            if not any(player in e[2] for e in entries):
                raise InputError(
                    f"player {player!r} has no trainable parameter; call .requires_grad_(True) on what it is to learn, "
                    "or leave the player out and use it inside the losses."
                )
        storages: dict[int, str] = {}
        for parameter, (name, _, _) in zip(parameters, entries, strict=True):
            if parameter.numel() and storages.setdefault(parameter.data_ptr(), name) != name:
                raise InputError(
                    f"{storages[parameter.data_ptr()]} and {name} are two views of one memory; to share a tensor between "
                    "players give both the same torch.nn.Parameter."
                )
        places = {(p.dtype, p.device) for p in parameters}
        if len(places) > 1:
            raise InputError(
                f"the players' parameters lie on different dtypes or devices: {sorted(map(str, places))}; "
                "bring them to one place with .to(device, dtype)."
            )
        return parameters, Space(entries, list(self._held)), {i: tuple(o) for i, o in owners.items()}

    def __repr__(self) -> str:
        return f"Game({self.name!r}, {self.space!r})"


def Loss(model: Player, loss: Callable[[Any, Any], Any], *, name: str = "model", **options: Any) -> Game:
    """The one-player game of a plain loss: ``Loss(model, f)`` with ``f(model, batch)`` a scalar or ``{term: scalar}``.

    Its field is ``-grad L``, its Jacobian minus the Hessian.
    """

    def losses(models: dict[str, Any], batch: Any) -> Any:
        value = loss(models[name], batch)
        return value if isinstance(value, Tensor) else {name: value}

    return Game({name: model}, losses, name=name, **options)


class _Tensors(nn.Module):
    """A player made of raw tensors; shares their storage, so that it stands where they stand."""

    def __init__(self, player: str, tensors: Mapping[Any, Tensor], kind: str) -> None:
        super().__init__()
        self.labels, self.kind = list(tensors), kind
        for i, (label, tensor) in enumerate(tensors.items()):
            if not isinstance(tensor, Tensor):
                raise InputError(
                    f"player {player!r} holds a {type(tensor).__name__} at {label!r}; only tensors will do."
                )
            _check_floating(f"{player}[{label!r}]" if kind != "tensor" else player, tensor)
            if not tensor.is_leaf:
                raise InputError(
                    f"player {player!r} holds the result of a computation at {label!r}; give the leaf tensor itself."
                )
            held = tensor if isinstance(tensor, nn.Parameter) else nn.Parameter(tensor.detach())
            self.register_parameter(f"t{i}", held)

    def view(self) -> Any:
        tensors = [getattr(self, f"t{i}") for i in range(len(self.labels))]
        if self.kind == "tensor":
            return tensors[0]
        return dict(zip(self.labels, tensors, strict=True)) if self.kind == "dict" else tensors

    def suffix(self, key: str) -> str:
        label = self.labels[int(key[1:])]
        return "" if self.kind == "tensor" else f"[{label!r}]"


def _hold(name: str, player: Player) -> nn.Module:
    if not isinstance(name, str) or not name:
        raise InputError(f"a player's name is a non-empty string, got {name!r}.")
    if isinstance(player, nn.Module):
        for key, parameter in player.named_parameters():
            _check_floating(f"{name}.{key}", parameter)
        return player
    if isinstance(player, Tensor):
        return _Tensors(name, {0: player}, "tensor")
    if isinstance(player, Mapping):
        return _Tensors(name, player, "dict")
    if isinstance(player, (list, tuple)):
        return _Tensors(name, dict(enumerate(player)), "list")
    raise InputError(
        f"player {name!r} is a {type(player).__name__}; a player is a torch.nn.Module, a tensor, or a list or dict of tensors."
    )


def _check_floating(name: str, tensor: Tensor) -> None:
    if not tensor.is_floating_point():
        raise InputError(f"{name} has dtype {tensor.dtype}; what a player learns must be real floating point.")
