"""Games of several players with known answers: rotations in four dimensions, opponents that shape each other, teams, auctions.

Every player minimises its own loss; float64. Field sign: ``v_i = -d L_i / d w_i``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import sqrt

import torch
from torch import Tensor

from separatrix.dynamics import SGD, Fact, Method, Problem, Simultaneous
from separatrix.errors import InputError
from separatrix.fields import Game
from separatrix.zoo.limits import extragradient_limit, simultaneous_limit


def _problem(
    name: str,
    start: Mapping[str, float],
    losses: Callable[[Mapping[str, Tensor]], dict[str, Tensor]],
    facts: tuple[Fact, ...],
    lr: float = 0.05,
) -> Problem:
    players = {player: torch.tensor([value], dtype=torch.float64) for player, value in start.items()}
    game = Game(players, lambda models, batch: {p: loss.sum() for p, loss in losses(models).items()}, name=name)
    return Problem(game, name=name, method=Method(SGD(lr), Simultaneous()), facts=facts)


def four_players(*, epsilon: float = 0.01) -> Problem:
    """``L_i = epsilon w_i^2 / 2 + sum_{j > i} w_i w_j - sum_{j < i} w_i w_j``, four numbers [balduzzi2018, section 4].

    A weak attractor in a rotation: ``v' = -epsilon I - A`` with ``A`` antisymmetric, all 1 above the diagonal. It is normal, so
    the limits of steps are exact.

    Args:
        epsilon: not negative.

    Raises:
        InputError: a negative epsilon.
    """
    if not epsilon >= 0:
        raise InputError(f"epsilon must not be negative, got {epsilon}.")
    names = ("w1", "w2", "w3", "w4")

    def losses(models: Mapping[str, Tensor]) -> dict[str, Tensor]:
        w = [models[name] for name in names]
        return {name: epsilon / 2 * w[i] ** 2 + w[i] * (sum(w[i + 1 :]) - sum(w[:i])) for i, name in enumerate(names)}

    turns = (sqrt(2) + 1, sqrt(2) - 1)
    eigenvalues = [-epsilon + sign * 1j * turn for turn in turns for sign in (1, -1)]
    facts = (
        Fact("equilibrium", [0.0] * 4, "linear"),
        Fact("eigenvalues", eigenvalues, "of [[0, 1, 1, 1], [-1, 0, 1, 1], ...]: +-i (sqrt(2) +- 1)"),
        Fact("safe_step[simultaneous]", simultaneous_limit(eigenvalues), "2 |Re| / |.|^2 [mescheder2017, lemma 4]"),
        Fact("safe_step[extragradient]", extragradient_limit(eigenvalues), "|1 + z + z^2| = 1 [korpelevich1976]"),
    )
    return _problem("four-players", dict.fromkeys(names, 1.0), losses, facts)


def tandem() -> Problem:
    """``L_1 = (x + y)^2 - 2 x``, ``L_2 = (x + y)^2 - 2 y``: a line of equilibria ``x + y = 1``, and a trap for opponent shaping [letcher2019sos].

    Everybody who takes the other's step for given ends on the line, at a mean loss of 0. A player that reckons with the
    other's answer leans back and lets the other pedal: LOLA with rate ``alpha`` ends at ``x + y = (1 - 2 alpha) / (1 - 4 alpha)``, where
    both are worse off.
    """
    facts = (
        Fact("equilibrium", [0.5, 0.5], "one of the line x + y = 1"),
        Fact("eigenvalues", [0.0, -4.0], "v' = -2 [[1, 1], [1, 1]]"),
        Fact("mean_loss", 0.0, "s^2 - s at s = 1"),
        Fact("safe_step[simultaneous]", 0.5, "2 / 4, along x + y; the line is neutral"),
    )
    return _problem(
        "tandem",
        {"x": 0.1, "y": -0.1},
        lambda m: {"x": (m["x"] + m["y"]) ** 2 - 2 * m["x"], "y": (m["x"] + m["y"]) ** 2 - 2 * m["y"]},
        facts,
    )


def matching_pennies() -> Problem:
    """Two players choose heads with probabilities ``sigmoid(a)``, ``sigmoid(b)``; ``x`` loses ``(2 p - 1)(2 q - 1)``, ``y`` wins it.

    A pure rotation around ``(0, 0)``, of period ``8 pi`` for small orbits. The flow conserves ``cosh a + cosh b``, so all its orbits
    are closed, and simultaneous steps spiral outwards.
    """
    facts = (
        Fact("equilibrium", [0.0, 0.0], "both play one half"),
        Fact("eigenvalues", [0.25j, -0.25j], "d^2/da db tanh(a/2) tanh(b/2) = 1/4 at 0"),
        Fact("conserved", "cosh a + cosh b", "a' = -sech^2(a/2) tanh(b/2) / 2, b' = sech^2(b/2) tanh(a/2) / 2"),
        Fact("safe_step[simultaneous]", 0.0, "|1 + i h / 4| > 1"),
        Fact("safe_step[extragradient]", 4.0, "|1 + z + z^2| = 1 at |z| = 1 [korpelevich1976]"),
    )

    def losses(models: Mapping[str, Tensor]) -> dict[str, Tensor]:
        won = torch.tanh(models["x"] / 2) * torch.tanh(models["y"] / 2)
        return {"x": won, "y": -won}

    return _problem("matching-pennies", {"x": 1.0, "y": 0.5}, losses, facts, lr=1.0)


def team_pennies() -> Problem:
    """Two teams of two in a zero-sum game whose only interior Nash equilibrium repels every gradient method [kalogiannis2021].

    ``u = -x1 x2 - x1 y1 - x1 y2 + 1.5 (x1 + x2) - x2 y1 - x2 y2 + y1 y2 + 0.5 (y1 + y2) - 1`` with probabilities in [0, 1]; the ``x`` minimise, the ``y``
    maximise. At one half each the eigenvalues are ``1 +- 2i`` and -1, -1: no small step of gradient descent, optimistic or
    extragradient methods settles there, from almost every start.
    """

    def losses(models: Mapping[str, Tensor]) -> dict[str, Tensor]:
        x1, x2, y1, y2 = (models[name] for name in ("x1", "x2", "y1", "y2"))
        u = -x1 * x2 - (x1 + x2) * (y1 + y2) + 1.5 * (x1 + x2) + y1 * y2 + 0.5 * (y1 + y2) - 1
        return {"x1": u, "x2": u, "y1": -u, "y2": -u}

    facts = (
        Fact("equilibrium", [0.5] * 4, "every derivative vanishes"),
        Fact(
            "eigenvalues",
            [1 + 2j, 1 - 2j, -1.0, -1.0],
            "v' = [[0, 1, 1, 1], [1, 0, 1, 1], [-1, -1, 0, 1], [-1, -1, 1, 0]]",
        ),
        Fact("box", [[0.0, 1.0]] * 4, "probabilities"),
    )
    return _problem("team-pennies", {"x1": 0.6, "x2": 0.5, "y1": 0.45, "y2": 0.5}, losses, facts)


def kelly_auction(*, bidders: int = 4, gain: float = 1.8, quantity: float = 100.0, reserve: float = 10.0) -> Problem:
    """Bidders share ``quantity`` in proportion to their bids: ``L_i = x_i - gain quantity x_i / (reserve + sum x)`` [kelly1998].

    Monotone, each loss convex in its own bid: one equilibrium, symmetric, where
    ``gain quantity (reserve + (n - 1) x) = (reserve + n x)^2``.

    Args:
        bidders: at least 2.
        gain, quantity, reserve: positive, with ``gain quantity > reserve``, without which nobody bids.

    Raises:
        InputError: outside.
    """
    worth = gain * quantity
    if bidders < 2 or not (worth > reserve > 0):
        raise InputError(
            "an auction needs 2 bidders or more and gain * quantity > reserve > 0, got "
            f"bidders={bidders}, gain * quantity={worth}, reserve={reserve}."
        )
    names = [f"bidder{i + 1}" for i in range(bidders)]

    def losses(models: Mapping[str, Tensor]) -> dict[str, Tensor]:
        total = reserve + sum(models[name] for name in names)
        return {name: models[name] - worth * models[name] / total for name in names}

    # n^2 x^2 + (2 n Z - (n - 1) w) x + Z^2 - w Z = 0
    n, middle = bidders, 2 * bidders * reserve - (bidders - 1) * worth
    bid = (-middle + sqrt(middle**2 + 4 * n**2 * reserve * (worth - reserve))) / (2 * n**2)
    total = reserve + n * bid
    apart = -worth / total**2
    together = (n - 1) * worth / total**2 - 2 * n * worth * (total - bid) / total**3
    facts = (
        Fact("equilibrium", [bid] * n, "gain quantity (reserve + (n - 1) x) = (reserve + n x)^2"),
        Fact("eigenvalues", [together, *[apart] * (n - 1)], "all bids together, and against each other"),
        Fact("safe_step[simultaneous]", simultaneous_limit([together, apart]), "2 / |lambda|"),
    )
    return _problem("kelly-auction", dict.fromkeys(names, 1.0), losses, facts, lr=1.0)
