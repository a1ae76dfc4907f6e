"""Roles: what in a training loop is what. All of it optional; each measurement says what it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from separatrix.dynamics.nests import joined
from separatrix.errors import InputError
from separatrix.fields.loss_terms import read_losses

Losses = Callable[[Any], Any] | Mapping[str, Callable[[Any], Any]]
Mover = nn.Module | Tensor | Sequence[nn.Module | Tensor] | Mapping[str, nn.Module | Tensor]


@dataclass(frozen=True)
class Roles:
    """Who plays in a run, what they pay, and what they make.

    Attributes:
        optimizers: the optimizers in use, by player.
        players: modules or tensors by player; what the optimizers hold where a player is left out.
        losses: ``losses(batch)`` reads the live modules and returns ``{player: scalar}`` or ``{player: {term: scalar}}``, what
            each player descends, without stepping; or a function for each player, ``{player: loss(batch)}``, which saves time where
            one player's is needed. Only what training minimises belongs here, penalties included.
        objective: what each player wants low, in the same form, where the values of ``losses`` do not say it (score-function
            surrogates); gains and rises are measured in it.
        data: training batches, a fixed list.
        held_out: batches never trained on.
        critic: scores samples, ``critic(samples) -> (count,)``, higher for real ones.
        real, real_held_out: samples the critic was trained on, and others ``(count, ...)``.
        generated: makes samples, ``generated() -> (count, ...)``; draws from the global streams.
        critic_player: who in ``players`` is the critic, for its best response.
        features: a feature map for samples, ``features(samples) -> (count, d)``; what lies near in it counts as alike.
        outputs: what the run makes, on fixed inputs: ``{"samples": lambda: G(fixed_latents)}``.
        score: how good it is: ``score() -> float``.
        better: ``higher`` or ``lower`` scores.

    Raises:
        InputError: names the role that does not fit.
    """

    optimizers: Mapping[str, torch.optim.Optimizer] = field(default_factory=dict)
    players: Mapping[str, Mover] = field(default_factory=dict)
    losses: Losses | None = None
    objective: Losses | None = None
    data: Sequence[Any] = ()
    held_out: Sequence[Any] = ()
    critic: Callable[[Tensor], Tensor] | None = None
    real: Tensor | None = None
    real_held_out: Tensor | None = None
    generated: Callable[[], Tensor] | None = None
    critic_player: str | None = None
    features: Callable[[Tensor], Tensor] | None = None
    outputs: Mapping[str, Callable[[], Tensor]] = field(default_factory=dict)
    score: Callable[[], float] | None = None
    better: str = "lower"

    def __post_init__(self) -> None:
        for role in ("losses", "objective", "critic", "generated", "features", "score"):
            given = getattr(self, role)
            each = given.values() if isinstance(given, Mapping) and role in ("losses", "objective") else [given]
            if given is not None and not all(callable(one) for one in each):
                raise InputError(f"the role {role!r} must be a function, got {type(given).__name__}.")
        for role in ("data", "held_out"):
            given = getattr(self, role)
            if isinstance(given, (str, Tensor)) or not isinstance(given, Sequence):
                raise InputError(
                    f"the role {role!r} is a list of batches, got {type(given).__name__}; give [batch, ...]."
                )
        if self.better not in ("higher", "lower"):
            raise InputError(f"better must be 'higher' or 'lower', got {self.better!r}.")
        for name, optimizer in self.optimizers.items():
            if not isinstance(optimizer, torch.optim.Optimizer):
                raise InputError(
                    f"the optimizer of player {name!r} is a {type(optimizer).__name__}; give a torch optimizer."
                )
        if self.critic_player is not None and self.critic_player not in self.names:
            raise InputError(f"critic_player {self.critic_player!r} is none of the players {list(self.names)}.")

    @property
    def names(self) -> tuple[str, ...]:
        """The players, in the order of ``players`` and then of ``optimizers``."""
        return tuple(dict.fromkeys([*self.players, *self.optimizers]))

    def named_tensors(self, player: str) -> dict[str, Tensor]:
        """The live tensors that a player moves, by name.

        Raises:
            InputError: no such player, or one that moves nothing.
        """
        if player in self.players:
            found = dict(_tensors("", self.players[player], player))
        elif player in self.optimizers:
            groups = self.optimizers[player].param_groups
            found = {f"{g}.{i}": t for g, group in enumerate(groups) for i, t in enumerate(group["params"])}
        else:
            raise InputError(f"there is no player {player!r}; the roles name {list(self.names)}.")
        if not found:
            raise InputError(f"player {player!r} holds no tensor to move; a module's are those that require gradients.")
        return found

    def value(
        self, batch: Any, players: Sequence[str] | None = None, *, wanted: bool = False
    ) -> dict[str, dict[str, Tensor]]:
        """The losses on a batch by player and term, with their graphs.

        Args:
            batch: what they are evaluated on.
            players: whose, at least; all where ``None``.
            wanted: the objective instead, where there is one.

        Raises:
            InputError: no losses were given, or they are not in their shape; names player and term.
        """
        if self.losses is None:
            raise InputError("this measurement needs the losses: Roles(losses=lambda batch: {'G': ..., 'D': ...}).")
        given = self.objective if wanted and self.objective is not None else self.losses
        if isinstance(given, Mapping):
            found: Any = {p: loss(batch) for p, loss in given.items() if players is None or p in players}
        else:
            found = given(batch)
        if isinstance(found, Tensor):
            return read_losses(found, self.names, self.names, torch.float64)
        named = [player for player in self.names if player in found] if isinstance(found, Mapping) else []
        return read_losses(found, self.names, named, torch.float64)

    def needs(self, what: str, *roles: str) -> None:
        """Refuse a measurement whose roles are not filled.

        Raises:
            InputError: names the roles that are missing.
        """
        missing = [role for role in roles if getattr(self, role) is None or _empty(getattr(self, role))]
        if missing:
            example = ", ".join(f"{role}=..." for role in missing)
            raise InputError(
                f"{what} needs to know {' and '.join(missing)}: give sx.Run(step, state, roles=sx.Roles({example}))."
            )


def _tensors(name: str, given: Any, player: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(given, nn.Module):
        yield from ((joined(name, key), t) for key, t in given.named_parameters() if t.requires_grad)
    elif isinstance(given, Tensor):
        yield name, given
    elif isinstance(given, (Mapping, Sequence)) and not isinstance(given, str):
        for key, item in given.items() if isinstance(given, Mapping) else enumerate(given):
            yield from _tensors(joined(name, str(key)), item, player)
    else:
        raise InputError(
            f"player {player!r} holds a {type(given).__name__}; a player is a module, a tensor, or a list or dict of these."
        )


def _empty(value: Any) -> bool:
    return isinstance(value, (Sequence, Mapping)) and not value
