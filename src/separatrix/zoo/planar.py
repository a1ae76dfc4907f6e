"""Zero-sum games of two numbers: where stationary points, local Nash, local minimax and attractors part ways, and cycles.

``x`` minimises ``f``, ``y`` maximises it; points are ``(x, y)``, float64. Field sign: ``v = (-f_x, f_y)``.
A cycle's fact is a dict: a point on it (``start``), its ``period``, its ``radius`` (the mean distance, in time, from the mean point),
its Floquet ``multiplier`` (by which a turn multiplies a small distance from the cycle), and whether it is ``stable``.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, pi, sqrt
from typing import Any

import torch
from torch import Tensor

from separatrix.dynamics import SGD, Fact, Method, Problem, Simultaneous
from separatrix.errors import InputError
from separatrix.fields import FunctionField, Game
from separatrix.zoo.limits import extragradient_limit, simultaneous_limit

NASH = "f_xx and -f_yy"
MINIMAX = "f_yy and f_xx - f_xy^2 / f_yy"


def _game(name: str, f: Callable[[Tensor, Tensor], Tensor], start: tuple[float, float], *facts: Fact) -> Problem:
    x, y = (torch.tensor([value], dtype=torch.float64) for value in start)
    game = Game({"x": x, "y": y}, lambda models, batch: f(models["x"], models["y"]).sum(), name=name)
    return Problem(game, name=name, method=Method(SGD(0.05), Simultaneous()), facts=facts)


def _point(
    eigenvalues: list[complex], *, nash: bool, minimax: bool, at: tuple[float, float] = (0.0, 0.0), source: str
) -> tuple[Fact, ...]:
    """Facts of one stationary point."""
    return (
        Fact("equilibrium", list(at), source),
        Fact("eigenvalues", eigenvalues, source),
        Fact("nash", nash, f"{NASH} at this point"),
        Fact("minimax", minimax, f"{MINIMAX} at this point"),
        Fact("safe_step[simultaneous]", simultaneous_limit(eigenvalues), "2 |Re| / |.|^2 [mescheder2017, lemma 4]"),
        Fact("safe_step[extragradient]", extragradient_limit(eigenvalues), "|1 + z + z^2| = 1 [korpelevich1976]"),
    )


def attracting_not_nash() -> Problem:
    """``f = -x^2/2 + 2 x y - y^2``: 0 attracts every gradient method, yet ``x`` stands at a maximum of its own loss.

    A locally asymptotically stable equilibrium that is no local Nash equilibrium [mazumdar2019]. It is a local minimax
    point: ``f_yy = -2``, ``f_xx - f_xy^2 / f_yy = 1``.
    """
    turn = sqrt(7) / 2
    return _game(
        "attracting-not-nash",
        lambda x, y: -x * x / 2 + 2 * x * y - y * y,
        (1.0, 1.0),
        *_point([-0.5 + 1j * turn, -0.5 - 1j * turn], nash=False, minimax=True, source="v' = [[1, -2], [2, -2]]"),
    )


def follow_the_ridge(*, function: int = 1) -> Problem:
    """The test functions of follow-the-ridge [wang2020], by number.

    1. ``-3 x^2 - y^2 + 4 x y``: 0 is a minimax point that repels the gradient flow (eigenvalue 2, twice, one eigenvector).
    2. ``3 x^2 + y^2 + 4 x y``: 0 attracts it (-2, twice), and is no minimax point: ``y`` stands at a minimum of what it maximises.
    3. ``(0.4 x^2 - 0.1 (y - 3 x + 0.05 x^3)^2 - 0.01 y^4) exp(-0.01 (x^2 + y^2))``: 0 is a minimax point that repels (0.4, twice);
       gradient methods stay around (1.7 to 2, 2.4 to 2.5) instead.

    Raises:
        InputError: another number.
    """
    if function == 1:
        facts = _point([2.0, 2.0], nash=False, minimax=True, source="v' = [[6, -4], [4, -2]]")
        return _game("follow-the-ridge-1", lambda x, y: -3 * x * x - y * y + 4 * x * y, (5.0, 7.0), *facts)
    if function == 2:
        facts = _point([-2.0, -2.0], nash=False, minimax=False, source="v' = [[-6, -4], [4, 2]]")
        return _game("follow-the-ridge-2", lambda x, y: 3 * x * x + y * y + 4 * x * y, (6.0, 5.0), *facts)
    if function == 3:
        facts = _point([0.4, 0.4], nash=False, minimax=True, source="v' = [[1, -0.6], [0.6, -0.2]]")
        return _game("follow-the-ridge-3", _ridge, (7.0, 5.0), *facts)
    raise InputError(f"function must be 1, 2 or 3, got {function}.")


def _ridge(x: Tensor, y: Tensor) -> Tensor:
    ridge = 0.4 * x * x - 0.1 * (y - 3 * x + 0.05 * x**3) ** 2 - 0.01 * y**4
    return ridge * torch.exp(-0.01 * (x * x + y * y))


def forsaken() -> Problem:
    """``f = x (y - 0.45) + p(x) - p(y)``, ``p(z) = z^2/4 - z^4/2 + z^6/6``: one solution, and two cycles around it [hsieh2021].

    The solution attracts, but only within the unstable cycle; all else ends on the stable one, far away. It is no local Nash
    equilibrium: there ``y`` stands at a minimum of what it maximises (``f_yy = 0.37``). The numbers are from integration with a
    relative tolerance of 1e-12.
    """
    eigenvalues = [-0.04474600170025575 + 0.908027593065119j, -0.04474600170025575 - 0.908027593065119j]
    source = "Newton's method to 1e-16; integration to 1e-12"
    return _game(
        "forsaken",
        lambda x, y: x * (y - 0.45) + _bumps(x) - _bumps(y),
        (1.0, -0.8),
        *_point(eigenvalues, nash=False, minimax=False, at=(0.07802666873846009, 0.41193385136581984), source=source),
        Fact(
            "cycles",
            [
                _cycle((0.21846052964623, 0.41193385136582), 7.169877696, 0.1966557597, 1.9197808),
                _cycle((1.34794901457282, 0.41193385136582), 7.548003762, 1.39255622, 0.0),
            ],
            source,
        ),
        Fact("box", [[-1.5, 1.5], [-1.5, 1.5]], "[hsieh2021]"),
    )


def _bumps(z: Tensor) -> Tensor:
    return z**2 / 4 - z**4 / 2 + z**6 / 6


def global_forsaken() -> Problem:
    """``f = x y + p(x) - p(y)``, ``p'(z) = 4 z^5/7 - 4 z^3/3 + 2 z/3`` [pethick2022]: 0 attracts within a cycle; outside is another.

    The solution satisfies the weak Minty inequality on [-4/3, 4/3]^2, so that extragradient-plus reaches it from there,
    while gradient steps from outside the unstable cycle end on the stable one.
    """
    source = "integration to 1e-12"
    return _game(
        "global-forsaken",
        lambda x, y: x * y + _gentle(x) - _gentle(y),
        (1.3, 0.0),
        *_point([-2 / 3 + 1j, -2 / 3 - 1j], nash=True, minimax=True, source="p''(0) = 2/3"),
        Fact(
            "cycles",
            [
                _cycle((1.0390734636763, 0.0), 6.4082614268, 1.0463087552, 21.53327),
                _cycle((1.3053439124287, 0.0), 6.3812142402, 1.3082541515, 0.00800438),
            ],
            source,
        ),
        Fact("box", [[-4 / 3, 4 / 3], [-4 / 3, 4 / 3]], "[pethick2022]"),
    )


def _gentle(z: Tensor) -> Tensor:
    return 2 * z**6 / 21 - z**4 / 3 + z**2 / 3


def _cycle(start: tuple[float, float], period: float, radius: float, multiplier: float) -> dict[str, Any]:
    found = {"start": list(start), "period": period, "radius": radius, "multiplier": multiplier}
    return {**found, "stable": multiplier < 1}


def polar_game(*, a: float = 1.0) -> Problem:
    """A field, not a game of two losses: ``v = (y - x p, -x - y p)``, ``p = (a/16) (r^2 - 1) (16 r^2 - 9)`` [pethick2022].

    In polar coordinates ``r' = -r p(r)``, one turn in ``2 pi``: 0 attracts within the unstable cycle ``r = 3/4``, the cycle ``r = 1``
    attracts all else. The smaller ``a``, the weaker the cycles, and the larger the steps with which extragradient-plus still
    gets through.

    Args:
        a: strength, positive.

    Raises:
        InputError: a strength that is not positive.
    """
    if not a > 0:
        raise InputError(f"a must be positive, got {a}.")

    def field(z: Tensor) -> Tensor:
        x, y = z[0], z[1]
        square = x * x + y * y
        p = a / 16 * (square - 1) * (16 * square - 9)
        return torch.stack([y - x * p, -x - y * p])

    # d(r')/dr is -p'(r) r on a cycle.
    outer, inner = exp(-7 / 8 * a * 2 * pi), exp(63 / 128 * a * 2 * pi)
    eigenvalues = [-9 * a / 16 + 1j, -9 * a / 16 - 1j]
    return Problem(
        FunctionField(
            field, torch.tensor([0.95, 0.0], dtype=torch.float64), players={"x": 1, "y": 1}, name="polar-game"
        ),
        name="polar-game",
        method=Method(SGD(0.05), Simultaneous()),
        facts=(
            Fact("equilibrium", [0.0, 0.0], "r' = -r p(r), p(0) = 9 a / 16"),
            Fact("eigenvalues", eigenvalues, "r' = -r p(r), p(0) = 9 a / 16"),
            Fact(
                "cycles",
                [_cycle((0.75, 0.0), 2 * pi, 0.75, inner), _cycle((1.0, 0.0), 2 * pi, 1.0, outer)],
                "multipliers exp(-2 pi r p'(r)), p'(3/4) = -21 a / 32, p'(1) = 7 a / 8",
            ),
            Fact("box", [[-1.1, 1.1], [-1.1, 1.1]], "[pethick2022]"),
        ),
    )


def almost_bilinear(*, epsilon: float = 0.1) -> Problem:
    """``f = x y + epsilon (y^2/2 - y^4/4)``: all but bilinear, and a cycle that has nothing to do with a solution [hsieh2021].

    With ``u = sqrt(3) y`` the flow is van der Pol's oscillator, ``u'' - epsilon (1 - u^2) u' + u = 0``: 0, the only stationary
    point, repels, and everything ends on a cycle of amplitude ``2 / sqrt(3)`` in ``y``, to second order in ``epsilon``.

    Args:
        epsilon: between 0 and 2.

    Raises:
        InputError: outside.
    """
    if not 0 < epsilon < 2:
        raise InputError(f"epsilon must lie between 0 and 2, got {epsilon}.")
    turn = sqrt(1 - epsilon**2 / 4)
    return _game(
        "almost-bilinear",
        lambda x, y: x * y + epsilon * (y**2 / 2 - y**4 / 4),
        (0.5, 0.0),
        *_point(
            [epsilon / 2 + 1j * turn, epsilon / 2 - 1j * turn],
            nash=False,
            minimax=False,
            source="v' = [[0, -1], [1, epsilon]]",
        ),
        Fact("cycle_amplitude", 2 / sqrt(3), "of y, to second order in epsilon: van der Pol's equation"),
        Fact("cycle_period", 2 * pi * (1 + epsilon**2 / 16), "to fourth order in epsilon: van der Pol's equation"),
    )


def weak_minty(*, a: float = 2 * sqrt(2), b: float = -1.0) -> Problem:
    """``f = a x y + b (x^2 - y^2) / 2`` with ``b < 0``: 0 repels, yet is a solution in the sense of Minty's weak inequality.

    With ``L = sqrt(a^2 + b^2)`` and ``rho = b / L^2`` it holds ``<F(z), z> = rho |F(z)|^2`` for the cost field ``F = -v``. Extragradient-plus,
    ``z - alpha gamma F(z - gamma F(z))`` with ``gamma = 1/L``, multiplies by ``|1 - alpha l (1 - l)|``, ``l = (b + i a) / L``, which is
    below 1 exactly where ``alpha < 1 + 2 b / L`` [pethick2022].

    Args:
        a: coupling, positive.
        b: own curvature, negative.

    Raises:
        InputError: another sign.
    """
    if not (a > 0 and b < 0):
        raise InputError(f"a must be positive and b negative, got a={a}, b={b}.")
    length = sqrt(a * a + b * b)
    return _game(
        "weak-minty",
        lambda x, y: a * x * y + b / 2 * (x * x - y * y),
        (1.0, 0.0),
        *_point([-b + 1j * a, -b - 1j * a], nash=False, minimax=False, source="v' = [[-b, -a], [a, -b]]"),
        Fact("lipschitz", length, "sqrt(a^2 + b^2)"),
        Fact("rho", b / length**2, "<F(z), z> = b |z|^2, |F(z)| = L |z|"),
        Fact("largest_alpha[extragradient-plus]", 1 + 2 * b / length, "|1 - alpha l (1 - l)| = 1 with |l| = 1"),
    )
