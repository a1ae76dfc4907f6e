"""Methods as torch optimizers: ``sx.optim.Consensus(game, torch.optim.RMSprop, lr=1e-4, gamma=10.0)``.

Each takes the game, then an optimizer class of ``torch.optim`` with its settings, one of sx's bases, or
``{player: base or optimizer}``; ``step = opt.step(batch)`` trains the game's modules. See :class:`GameOptimizer`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from separatrix.dynamics import schemes
from separatrix.dynamics import transforms as of_fields
from separatrix.dynamics.convert import Given
from separatrix.dynamics.game_optimizer import GameOptimizer
from separatrix.dynamics.live_step import Step
from separatrix.fields import Game

__all__ = ["Alternating", "Consensus", "Extragradient", "GameOptimizer", "Simultaneous", "Step"]


class Simultaneous(GameOptimizer):
    """All players move at once from the same point. Cost: 1 gradient."""

    def __init__(self, game: Game, bases: Given | Mapping[str, Given], **settings: Any) -> None:
        super().__init__(game, bases, scheme=schemes.Simultaneous(), **settings)


class Alternating(GameOptimizer):
    """The players move one after the other, each seeing the moves before it.

    Args:
        order: the players in their order, ``("D", "G")`` for most GANs; the game's order where empty.
        repeats: how often a player moves in its turn, ``{"D": 5}``.
        fresh: each move takes a batch of its own (``opt.step(first, second)``) and new noise; otherwise all share one.

    Cost: the players' shares of a gradient, by move.
    """

    def __init__(
        self,
        game: Game,
        bases: Given | Mapping[str, Given],
        *,
        order: Sequence[str] = (),
        repeats: Mapping[str, int] | None = None,
        fresh: bool = True,
        **settings: Any,
    ) -> None:
        scheme = schemes.Alternating(tuple(order), dict(repeats or {}), fresh)
        super().__init__(game, bases, scheme=scheme, **settings)


class Extragradient(GameOptimizer):
    """Look ahead, then step with the direction found there [korpelevich1976; gidel2019]. Cost: 2 gradients.

    Args:
        moments: ``roll back`` or ``commit``: what the extrapolation does to the bases' state.
        same_draw: both evaluations see the same batch and noise; otherwise ``opt.step(first, second)``.
    """

    def __init__(
        self,
        game: Game,
        bases: Given | Mapping[str, Given],
        *,
        moments: str = "roll back",
        same_draw: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__(game, bases, scheme=schemes.Extragradient(moments, same_draw), **settings)


class Consensus(GameOptimizer):
    """Consensus optimisation: all players also descend ``gamma / 2 |v|^2`` [mescheder2017, eq. 9]. Cost: 3 gradients.

    Args:
        gamma: weight of the regulariser.
        scheme: simultaneous as in the paper, where ``None``.
    """

    def __init__(
        self,
        game: Game,
        bases: Given | Mapping[str, Given],
        *,
        gamma: float,
        scheme: schemes.Scheme | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(game, bases, scheme=scheme, transforms=(of_fields.Consensus(gamma),), **settings)
