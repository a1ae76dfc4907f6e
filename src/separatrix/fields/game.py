"""Game: named players and their losses; bound to data it is a Field.

The players' ``losses(models, batch)`` run inside ``functional_call`` on copies of the parameters and buffers, and so
does differentiation. Dropout, BatchNorm in train mode, checkpointing, penalties with gradients inside the loss,
closures over the modules and tied weights are then right, and nothing of the user's changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from separatrix.errors import InputError
from separatrix.fields.batches import read_batches
from separatrix.fields.bystanders import modules_reached_by
from separatrix.fields.memory import Memory
from separatrix.fields.players import HeldTensors, Player, hold
from separatrix.fields.space import Space
from separatrix.fields.surroundings import Arena

if TYPE_CHECKING:
    from separatrix.fields.game_field import GameField

Losses = Callable[[dict[str, Any], Any], Any] | Mapping[str, Callable[[dict[str, Any], Any], Any]]


class Game:
    """Named players, each minimising its own loss.

    Args:
        players: modules, tensors, or lists or dicts of tensors, by name. A parameter found in several players is
            moved by all of them; a parameter that does not require gradients is a constant.
        losses: ``losses(models, batch)`` returns ``{player: scalar}`` or ``{player: {term: scalar}}``; or a dict of
            such functions, one a player, each returning a scalar or ``{term: scalar}``. For one player a scalar will
            do; for two players a scalar is a zero-sum game: the first minimises it, the second maximises it. A term may be a
            function without arguments that returns the scalar, ``{"adv": ..., "r1": lambda: ...}``: it is called after the
            losses have returned, and only where the term is wanted; see lazy terms of :class:`separatrix.dynamics.Alternating`.
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
        self._held = {name: hold(name, player) for name, player in players.items()}
        self._check_losses()
        self.arena = Arena(self._held, modules_reached_by(losses))
        self.parameters, self.space, self.owners = self._lay_out()
        self.memory = self._map_memory()

    @property
    def players(self) -> tuple[str, ...]:
        return tuple(self.models)

    def views(self) -> dict[str, Any]:
        """The players as the losses see them: modules as they are, tensors as they stand in the arena."""
        return {
            name: held.view() if isinstance(held, HeldTensors) else held
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
    ) -> GameField:
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
        for key, parameter in self.arena.named_parameters():
            if not parameter.requires_grad or not key.startswith("members."):
                continue
            self.keys.append(key)
            parameters.append(parameter)
            entries.append(
                (self._title(key.removeprefix("members.")), tuple(parameter.shape), tuple(owners[id(parameter)]))
            )
        for player in self._held:
            if not any(player in e[2] for e in entries):
                raise InputError(
                    f"player {player!r} has no trainable parameter; call .requires_grad_(True) on what it is to learn, "
                    "or leave the player out and use it inside the losses."
                )
        places = {(p.dtype, p.device) for p in parameters}
        if len(places) > 1:
            raise InputError(
                f"the players' parameters lie on different dtypes or devices: {sorted(map(str, places))}; "
                "bring them to one place with .to(device, dtype)."
            )
        return parameters, Space(entries, list(self._held)), {i: tuple(o) for i, o in owners.items()}

    def _map_memory(self) -> Memory:
        """The places of the trainable parameters; none may overlap with another, or with anything else of the players."""
        memory = Memory([])
        trainable = dict(zip(self.keys, [e.name for e in self.space.entries], strict=True))
        tensors = [*self.arena.members.named_parameters(), *self.arena.members.named_buffers()]
        for key, tensor in sorted(tensors, key=lambda pair: f"members.{pair[0]}" not in trainable):
            name = trainable.get(f"members.{key}")
            other = memory.owner(tensor)
            if other is not None:
                raise InputError(
                    f"{other} and {name or self._title(key)} are two views of one memory; to share a tensor between "
                    "players give both the same torch.nn.Parameter."
                )
            if name is not None:
                memory.add(name, tensor)
        return memory

    def _title(self, key: str) -> str:
        number, rest = key.split(".", 1)
        player = list(self._held)[int(number)]
        holder = self._held[player]
        return player + holder.suffix(rest) if isinstance(holder, HeldTensors) else f"{player}.{rest}"

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
