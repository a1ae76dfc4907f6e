"""Finite games as flows of mixed strategies: rock-paper-scissors and the two-by-two classics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from separatrix.dynamics import SGD, Fact, Method, Problem, Simultaneous
from separatrix.errors import InputError
from separatrix.fields import FunctionField, NormalForm, hedge, replicator, softmax_gradient

_DYNAMICS: dict[str, Callable[..., FunctionField]] = {
    "replicator": replicator,
    "hedge": hedge,
    "softmax-gradient": softmax_gradient,
}
_RPS = ((0, -1, 1), (1, 0, -1), (-1, 1, 0))
_AGAINST_RPS = ((0, 1, -1), (-1, 0, 1), (1, -1, 0))
_PENNIES, _AGAINST_PENNIES = ((1, -1), (-1, 1)), ((-1, 1), (1, -1))
# By name: the players' payoffs, Nash equilibria (mixed profiles), and the share of the payoffs that has a potential.
_GAMES: dict[str, tuple[Sequence[Any], list[list[float]], float]] = {
    "rock-paper-scissors": ((_RPS, _AGAINST_RPS), [[1 / 3] * 6], 0.0),
    "matching-pennies": ((_PENNIES, _AGAINST_PENNIES), [[0.5] * 4], 0.0),
    "prisoners-dilemma": ((((-1, -3), (0, -2)), ((-1, 0), (-3, -2))), [[0, 1, 0, 1]], 1.0),
    "chicken": ((((0, -1), (1, -10)), ((0, 1), (-1, -10))), [[1, 0, 0, 1], [0, 1, 1, 0], [0.9, 0.1, 0.9, 0.1]], 1.0),
    "battle-of-the-sexes": (
        (((2, 0), (0, 1)), ((1, 0), (0, 2))),
        [[1, 0, 1, 0], [0, 1, 0, 1], [2 / 3, 1 / 3, 1 / 3, 2 / 3]],
        1.0,
    ),
}


def finite_game(*, game: str = "rock-paper-scissors", dynamics: str = "replicator") -> Problem:
    """A classic in normal form, as the flow that its players' learning follows; more is better, points are ``(x_1, x_2)`` or scores.

    ``rock-paper-scissors`` and ``matching-pennies`` are zero-sum with one interior equilibrium and no potential: their replicator
    flow turns around it and conserves ``KL(x*, x) + KL(y*, y)`` [hofbauer1998]. ``prisoners-dilemma``, ``chicken`` and
    ``battle-of-the-sexes`` have an exact potential.

    Args:
        game: one of these names.
        dynamics: ``replicator`` on mixed profiles, ``hedge`` or ``softmax-gradient`` on scores; see :mod:`separatrix.fields`.

    Raises:
        InputError: an unknown game or dynamics.
    """
    if game not in _GAMES or dynamics not in _DYNAMICS:
        raise InputError(
            f"game must be one of {', '.join(_GAMES)} and dynamics one of {', '.join(_DYNAMICS)}, got {game!r}, {dynamics!r}."
        )
    payoffs, equilibria, share = _GAMES[game]
    form = NormalForm.of([torch.tensor(p, dtype=torch.float64) for p in payoffs])
    scores = torch.linspace(-0.5, 0.5, sum(form.actions), dtype=torch.float64)
    start = torch.cat([part.softmax(0) for part in torch.split(scores, list(form.actions))])
    facts = [
        Fact("nash", equilibria, "nobody gains alone; mixed profiles"),
        Fact("potential_share", share, "of the payoffs' strategic part [candogan2011]"),
    ]
    if dynamics == "replicator":
        facts.append(Fact("equilibrium", equilibria[-1], "a Nash equilibrium rests"))
        if game in _TURNS:
            turns = [0j, 0j] + [sign * 1j * turn for turn in _TURNS[game] for sign in (1, -1)]
            facts.append(Fact("eigenvalues", turns, "of [[0, A], [A, 0]] / m along the simplices, 0 across them"))
            facts.append(
                Fact("conserved", "KL(x*, x) + KL(y*, y)", "zero-sum with an interior equilibrium [hofbauer1998]")
            )
    field: Callable[[NormalForm, Tensor], FunctionField] = _DYNAMICS[dynamics]
    return Problem(
        field(form, start if dynamics == "replicator" else scores),
        name="finite-game",
        method=Method(SGD(0.05), Simultaneous()),
        facts=tuple(facts),
    )


# Rock-paper-scissors: A / 3 has the eigenvalues +-i / sqrt(3) along the simplex, each twice for the two players.
_TURNS = {"rock-paper-scissors": (1 / sqrt(3), 1 / sqrt(3)), "matching-pennies": (1.0,)}
