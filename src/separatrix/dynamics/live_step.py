"""One period of a method on the modules themselves: what every training loop here is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from separatrix.dynamics.live import LiveField
from separatrix.dynamics.method import Method
from separatrix.dynamics.schemes import States
from separatrix.dynamics.streams import Streams
from separatrix.errors import InputError, NonFiniteError
from separatrix.fields import Game


@dataclass(frozen=True)
class Step:
    """What one training step saw and cost.

    Attributes:
        number: steps made so far, this one included.
        losses: ``{player: {term: value}}``, each player's where it was first evaluated in this step.
        field_norm: length of the field there, transforms left out.
        norms: the same by player.
        gradients: gradient-equivalents spent.
    """

    number: int
    losses: dict[str, dict[str, float]]
    field_norm: float
    norms: dict[str, float]
    gradients: float


class LiveStep:
    """Steps the modules of a game; holds no state of the method.

    Args:
        game: the game.
    """

    def __init__(self, game: Game) -> None:
        self.field = LiveField(game)

    def step(self, method: Method, states: States, batches: Sequence[Any], number: int = 0) -> tuple[States, Step]:
        """One period: the modules move, the new states are returned, the given ones stay as they are.

        Args:
            method: its bases are asked for each player.
            states: of the bases.
            batches: one for each draw of the scheme; the last one serves again, with a new random draw, where there are
                fewer.
            number: steps made before.

        Raises:
            NonFiniteError: a loss, a gradient or a step is not finite; names player and tensor.
            InputError: no batch.

        Whatever is raised (``KeyboardInterrupt`` too), parameters and buffers are as before the call.
        """
        if not batches:
            raise InputError("a step needs at least one batch; give step(None) where the losses need no data.")
        field = self.field
        before = field.begin()
        seen = method.field(field)
        streams: dict[int, Streams] = {}
        evaluated: list[tuple[str, ...]] = []

        def evaluate(at: Tensor, players: Sequence[str], draw: int) -> Mapping[str, Tensor]:
            field.batch = batches[min(draw, len(batches) - 1)]
            if draw in streams:
                streams[draw].restore()
            else:
                streams[draw] = Streams.now()
            evaluated.append(tuple(players))
            return seen.directions(at, players)

        with _put_back_on_failure(field, before):
            after, following = method.scheme.step(
                evaluate, method.bases_for(field.players), field.space, before, states
            )
            self._check(after)
            field.move_to(after)
        norms = dict(field.norms)
        return following, Step(
            number + 1,
            {p: {term: float(value) for term, value in terms.items()} for p, terms in field.losses.items()},
            sum(n * n for n in norms.values()) ** 0.5,
            norms,
            sum(seen.share(None if set(p) == set(field.players) else p) for p in evaluated),
        )

    def _check(self, x: Tensor) -> None:
        if isfinite(float(x.norm())) or bool(torch.isfinite(x).all()):
            return
        i = int((~torch.isfinite(x)).nonzero()[0])
        entry = next(e for e in self.field.space.entries if e.offset <= i < e.offset + e.numel)
        raise NonFiniteError(
            f"the step of player {entry.owners[0]!r} is {x[i].item()} in tensor {entry.name}, though its gradient is finite; "
            "the modules are kept as they were before it. Use a smaller lr, or clip the gradient."
        )


@contextmanager
def _put_back_on_failure(field: LiveField, before: Tensor) -> Iterator[None]:
    """Parameters and buffers as before where the step does not come to its end."""
    buffers = [
        (module, name, buffer, buffer.detach().clone())
        for module in field.game.arena.modules()
        for name, buffer in module.named_buffers(recurse=False)
    ]
    try:
        yield
    except BaseException:
        field.move_to(before.clone())  # a point of its own, so that it is written for sure
        with torch.no_grad():
            for module, name, buffer, kept in buffers:
                setattr(module, name, buffer.copy_(kept))
        raise
