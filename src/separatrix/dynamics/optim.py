"""Methods as torch optimizers: ``sx.optim.Consensus(game, torch.optim.RMSprop, lr=1e-4, gamma=10.0)``.

Each takes the game, then an optimizer class of ``torch.optim`` with its settings, one of sx's bases, or
``{player: base or optimizer}``; ``step = opt.step(batch)`` trains the game's modules. See :class:`GameOptimizer`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from separatrix.dynamics import schemes
from separatrix.dynamics import transforms as of_fields
from separatrix.dynamics.accumulated import Accumulated
from separatrix.dynamics.bases import Adam
from separatrix.dynamics.composed_optimizer import SchemeOptimizer, TransformOptimizer
from separatrix.dynamics.convert import Given
from separatrix.dynamics.game_optimizer import GameOptimizer
from separatrix.dynamics.live_step import Step
from separatrix.dynamics.method import check_parts
from separatrix.dynamics.mirror import ExponentiatedGradient
from separatrix.errors import InputError
from separatrix.fields import Game

__all__ = [
    "ACGD",
    "Accumulated",
    "Alternating",
    "Competitive",
    "Consensus",
    "CurvatureClipped",
    "Extragradient",
    "ExtragradientPlus",
    "GameOptimizer",
    "JacobianRegularisation",
    "Lookahead",
    "Optimistic",
    "OptimisticMirrorDescent",
    "PastExtragradient",
    "Proximal",
    "Reflected",
    "RungeKutta",
    "Simultaneous",
    "Stabilised",
    "Step",
    "SymplecticAdjustment",
]


class Simultaneous(GameOptimizer):
    """All players move at once from the same point. Cost: 1 gradient.

    Args:
        lazy: terms of the losses that are taken every so many steps, as for :class:`Alternating`.
    """

    def __init__(
        self,
        game: Game,
        bases: Given | Mapping[str, Given] | None = None,
        *,
        lazy: Mapping[str, int] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(game, bases, scheme=schemes.Simultaneous(_by_name("lazy", lazy)), **settings)


class Alternating(GameOptimizer):
    """The players move one after the other, each seeing the moves before it.

    Args:
        order: the players in their order, ``("D", "G")`` for most GANs; the game's order where empty.
        repeats: how often a player moves in its turn, ``{"D": 5}``.
        fresh: each move takes a batch of its own (``opt.step(first, second)``) and new noise; otherwise all share one.
        lazy: terms of the losses that are taken every so many steps, and so many times as strongly, ``{"r1": 16}``
            [karras2020]; see :class:`separatrix.dynamics.Alternating`.

    Cost: the players' shares of a gradient, by move.
    """

    def __init__(
        self,
        game: Game,
        bases: Given | Mapping[str, Given] | None = None,
        *,
        order: Sequence[str] = (),
        repeats: Mapping[str, int] | None = None,
        fresh: bool = True,
        lazy: Mapping[str, int] | None = None,
        **settings: Any,
    ) -> None:
        scheme = schemes.Alternating(tuple(order), _by_name("repeats", repeats), fresh, _by_name("lazy", lazy))
        super().__init__(game, bases, scheme=scheme, **settings)


class Extragradient(SchemeOptimizer, scheme=schemes.Extragradient):
    """Look ahead, then step with the direction found there [korpelevich1976; gidel2019]. Cost: 2 gradients.

    Args:
        moments: ``roll back``, ``freeze`` or ``commit``: what the extrapolation does to the bases' state.
        same_draw: both evaluations see the same batch and noise; otherwise ``opt.step(first, second)``.
        ahead: length of the extrapolation in steps.
    """


class ExtragradientPlus(SchemeOptimizer, scheme=schemes.ExtragradientPlus):
    """EG+: a whole step ahead, then ``part`` of a step from where it was [diakonikolas2021]. Cost: 2 gradients.

    Args:
        part: of a step, in (0, 1]; ``lr`` is that of the look-ahead.
        moments, same_draw: as for :class:`Extragradient`.
    """


class PastExtragradient(SchemeOptimizer, scheme=schemes.PastExtragradient):
    """Extragradient whose look-ahead goes along the last direction [popov1980; gidel2019]. Cost: 1 gradient.

    Args:
        ahead: length of the look-ahead in steps.
        moments: what it does to the bases' state, as for :class:`Extragradient`.
    """


class Optimistic(SchemeOptimizer, scheme=schemes.Optimistic):
    """Twice this step less the last one: optimistic Adam over Adam [daskalakis2018]. Cost: 1 gradient.

    Args:
        ahead: weight ``a`` of ``(1 + a) u_t - a u_{t-1}``.
    """


class Reflected(SchemeOptimizer, scheme=schemes.Reflected):
    """The direction is taken as far ahead as the last step went [malitsky2015]. Cost: 1 gradient.

    Args:
        ahead: length of the reflection in last steps.
    """


class RungeKutta(SchemeOptimizer, scheme=schemes.RungeKutta):
    """A Runge-Kutta step on the flow, as ODE-GAN takes it [qin2020]. Cost: ``order`` gradients.

    Args:
        order: 2 or 4.
        moments: ``roll back`` or ``freeze``.
    """


class Lookahead(SchemeOptimizer, scheme=schemes.Lookahead):
    """Every so many steps all players go part of the way back [chavdarova2021]. Cost: that of ``inner``.

    Args:
        inner: the scheme in between, of ``separatrix.dynamics``; simultaneous if not given.
        every: steps between two averagings.
        weight: 1 changes nothing.
    """


class Competitive(SchemeOptimizer, scheme=schemes.Competitive):
    """Competitive gradient descent: each player answers the others' answers [schaefer2019]. Cost: solves, 2 gradients a product.

    Bases without momentum. See :class:`ACGD` for the adaptive one.

    Args:
        tol: relative residual of the linear solve.
        max_products: its budget.
    """


class OptimisticMirrorDescent(GameOptimizer):
    """Two multiplicative steps a round, one with the last direction and one with the new one [rakhlin2013]. Cost: 1 gradient.

    For players whose parameters are probabilities; over other parameters :class:`PastExtragradient` on SGD is the Euclidean form.

    Args:
        lr: learning rate.
        size: so many consecutive coordinates make up a simplex; all of a player's where ``None``.
    """

    def __init__(self, game: Game, *, lr: float, size: int | None = None, **settings: Any) -> None:
        super().__init__(game, ExponentiatedGradient(lr, size), scheme=schemes.PastExtragradient(), **settings)


class ACGD(GameOptimizer):
    """Competitive gradient descent over Adam without momentum [schaefer2020]. Cost: solves, 2 gradients a product.

    Args:
        lr: learning rate.
        beta: of the second moments.
        eps: added to their root.
        tol: relative residual of the linear solve.
        max_products: its budget.
    """

    def __init__(
        self,
        game: Game,
        *,
        lr: float = 1e-3,
        beta: float = 0.99,
        eps: float = 1e-5,
        tol: float = 1e-6,
        max_products: int = 200,
        **settings: Any,
    ) -> None:
        super().__init__(game, Adam(lr, (0.0, beta), eps), scheme=schemes.Competitive(tol, max_products), **settings)


class Proximal(SchemeOptimizer, scheme=schemes.Proximal):
    """The step is taken with the direction at its own end [rockafellar1976]. Cost: Newton steps with a linear solve each.

    Args:
        tol: relative residual of the equation of the step.
        max_newton: Newton steps at most.
        max_products: of one linear solve.
    """


class CurvatureClipped(SchemeOptimizer, scheme=schemes.CurvatureClipped):
    """Each player's step is as long as the curvature of its own loss allows [mounjid2021]. Cost: 3 gradients.

    Args:
        most: the largest multiple of the base's step.
    """


class Stabilised(SchemeOptimizer, scheme=schemes.Stabilised):
    """A controller that follows the players resists what grows [kalogiannis2021]. Cost: 1 gradient.

    Args:
        gain: of the controller.
        follow: how fast it follows.
    """


class Consensus(GameOptimizer):
    """Consensus optimisation: all players also descend ``gamma / 2 |v|^2`` [mescheder2017, eq. 9]. Cost: 3 gradients.

    Args:
        gamma: weight of the regulariser.
        scheme: simultaneous as in the paper, where ``None``.
        transforms: of the field that it makes, such as ``(Clip(1.0),)``.
    """

    def __init__(
        self,
        game: Game,
        bases: Given | Mapping[str, Given] | None = None,
        *,
        gamma: float | None = None,
        scheme: schemes.Scheme | None = None,
        transforms: Sequence[of_fields.Transform] = (),
        **settings: Any,
    ) -> None:
        if gamma is None:
            raise InputError("sx.optim.Consensus needs the weight of its regulariser: gamma=10.0, for instance.")
        check_parts(schemes.Simultaneous(), transforms)
        super().__init__(game, bases, scheme=scheme, transforms=(of_fields.Consensus(gamma), *transforms), **settings)


class SymplecticAdjustment(TransformOptimizer, transform=of_fields.SymplecticAdjustment):
    """Symplectic gradient adjustment: what only turns is turned towards its equilibrium [balduzzi2018]. Cost: 5.6 gradients.

    Args:
        weight: of the adjustment.
        align: choose its sign at every point.
    """


class JacobianRegularisation(TransformOptimizer, transform=of_fields.JacobianRegularisation):
    """JARE: every player also descends the squared gradients of the others [nie2019]. Cost: 3 gradients.

    Args:
        alpha: weight of the regulariser.
    """


def _by_name(setting: str, given: Mapping[str, int] | None) -> dict[str, int]:
    if not isinstance(given, Mapping | None):
        raise InputError(f"{setting} must be a dict of names and whole numbers, got {given!r}.")
    return dict(given or {})
