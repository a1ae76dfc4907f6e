"""GivenGradients: the field whose directions stand in ``.grad``, where ``loss.backward()`` left them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from separatrix.dynamics.lengths import length
from separatrix.errors import InputError
from separatrix.fields import Field, Game
from separatrix.fields.field import Rows


class GivenGradients(Field):
    """``v = -grad`` as the modules' parameters have it; for methods that evaluate once, where the modules stand.

    Args:
        game: the game.

    Attributes:
        norms: length of each player's direction, transforms left out.

    Raises:
        InputError: players share a parameter, whose ``.grad`` holds the sum of their gradients.
    """

    def __init__(self, game: Game) -> None:
        own = game.parameters[0]
        super().__init__(game.space, dtype=own.dtype, device=own.device, name=game.name)
        if shared := next((e for e in game.space.entries if len(e.owners) > 1), None):
            raise InputError(
                f"players {' and '.join(map(repr, shared.owners))} share {shared.name}, whose .grad holds the sum of their gradients; "
                "give the batch instead: opt.step(batch)."
            )
        self.game = game
        self.norms: dict[str, float] = {}

    def weighted(self, factors: Mapping[str, float]) -> Field:
        raise InputError(
            f"the gradients in .grad are those of whole losses, in which {' and '.join(map(repr, factors))} cannot be left out; a "
            "method with lazy terms evaluates the losses by itself: opt.step(batch), or step(None) where they need no data."
        )

    @property
    def point(self) -> Tensor:
        return torch.cat([p.detach().reshape(-1) for p in self.game.parameters])

    def leaves(self, x: Tensor | None = None) -> list[Tensor]:
        return list(self.game.parameters)

    def trace(
        self, leaves: Sequence[Tensor], *, players: Iterable[str] | None = None, create_graph: bool = False
    ) -> Rows:
        rows: Rows = {}
        for player in self.players if players is None else players:
            owned = self.space.owned(player)
            grads = [self.game.parameters[i].grad for i in owned]
            if all(g is None for g in grads):
                raise InputError(
                    f"player {player!r} has no gradient: call backward() on its loss before opt.step(), or let the optimizer "
                    "evaluate the losses: opt.step(batch), opt.step(None) where they need no data."
                )
            for i, grad in zip(owned, grads, strict=True):
                # A copy: zero_grad(set_to_none=False) will write into this very tensor.
                rows[player, i] = torch.zeros_like(self.game.parameters[i]) if grad is None else -grad.detach()
            self.norms[player] = length(self.space.join([rows[player, i] for i in owned]))
        return rows
