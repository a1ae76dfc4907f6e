"""Differentiable games on all of R^n: a scalar-potential part, a vector-potential part, a non-strategic part, in two ways.

[zhou2024] announces two decompositions of a game with losses ``l_i`` and individual gradient field ``xi = (grad_i l_i)_i``:
*exact scalar potential + near vector potential + non-strategic*, and *near scalar potential + exact vector potential +
non-strategic*. From its abstract come the kinds of the parts and what they mean: a scalar-potential game is a potential
game of [monderer1996], ``xi = grad phi``; a vector-potential game has ``div xi = 0``. Its inner product was not at hand. Since
R^n is not compact some weight is needed, so **these choices are ours**: a Gaussian ``mu`` with a given centre and scale, the
inner product ``E_mu <xi, eta>`` of fields, and *near* for the orthogonal complement in it:

- *first*: ``xi = grad phi + r``, ``phi`` the minimiser of ``E_mu |xi - grad phi|^2``. Then ``div(mu r) = 0`` exactly: ``r`` has
  a vector potential in the weighted sense, and its plain divergence is small where ``mu`` is wide.
- *second*: ``xi = s + w``, ``w`` the nearest game with ``div w = 0``. Then ``s`` is orthogonal to every such game; where each
  player has one coordinate ``mu s`` is a gradient: ``s`` has a scalar potential in the weighted sense.
- *non-strategic*: ``E_mu[l_i | the others]``, the mean over a player's own coordinates: it moves nobody. Losses of all
  other parts have that mean zero.

On polynomial games both are exact: in the Hermite basis of ``mu``, with ``|a|_i`` the degree in player i's coordinates,

    phi_a = sum_i |a|_i l_(i,a) / sum_i |a|_i        (the finite games' formula with degrees for numbers of actions),
    s_i: |a|_i sigma_(i,a) = sum_(j of i) lambda_(a - 2 e_j), with lambda solving div s = div xi.

For one coordinate a player ``lambda_b = (div xi)_b / (|b| + n)``. Other games are first fitted by polynomials.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from separatrix.errors import InputError
from separatrix.fields.polynomial_games import Exponents, Polynomial, PolynomialGame, added
from separatrix.probes.decompose.hermite import factorial, from_hermite, shifted, to_hermite

Losses = dict[str, dict[Exponents, float]]
# A residual above this is said.
ROUNDING = 1e-6


@dataclass(frozen=True)
class DifferentialDecomposition:
    """Both decompositions of a polynomial game; every part is a game.

    Attributes:
        game: what was decomposed.
        scalar, near_vector: the first: identical losses ``phi``, and the rest.
        near_scalar, vector: the second: the rest, and the nearest game without divergence.
        nonstrategic: of both.
        potential: ``phi`` as a polynomial; the players of ``scalar`` descend it.
        centre, scale: of the Gaussian, ``(n,)``.
        norms: ``sqrt(E_mu |xi|^2)`` of ``game`` and the parts, by name.
        residual: the largest of: what is missing when the parts are added, and inner products that should vanish, relative.
        status: one sentence.
    """

    game: PolynomialGame
    scalar: PolynomialGame
    near_vector: PolynomialGame
    near_scalar: PolynomialGame
    vector: PolynomialGame
    nonstrategic: PolynomialGame
    potential: Polynomial
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    norms: dict[str, float]
    residual: float
    status: str

    @property
    def potentialness(self) -> float:
        """The share of ``E_mu |xi|^2`` in the scalar-potential part; 1 exactly for potential games, whatever ``mu``."""
        return _share(self.norms["scalar"], self.norms["game"])

    @property
    def divergence_free(self) -> float:
        """The share in the vector-potential part of the second; 1 exactly for games without divergence."""
        return _share(self.norms["vector"], self.norms["game"])

    def __str__(self) -> str:
        return self.status

    def section(self) -> dict[str, object]:
        """As plain data, for records."""
        return {
            "norms": dict(self.norms),
            "potentialness": None if math.isnan(self.potentialness) else self.potentialness,
            "divergence_free": None if math.isnan(self.divergence_free) else self.divergence_free,
            "centre": list(self.centre),
            "scale": list(self.scale),
            "residual": self.residual,
            "sentence": self.status,
        }


def decompose_polynomial_game(
    game: PolynomialGame, *, centre: Sequence[float] | float = 0.0, scale: Sequence[float] | float = 1.0
) -> DifferentialDecomposition:
    """Both decompositions of a game with polynomial losses, exactly.

    Args:
        game: the game.
        centre, scale: mean and standard deviation of the Gaussian, numbers or one for each coordinate; one scale for all
            coordinates keeps the plain gradient, so differing ones are refused.

    Raises:
        InputError: a centre or scale of another length, scales that differ or are not positive.

    Cost: no gradient; a system with as many unknowns as monomials in ``div xi``, for players of several coordinates.

    References: [zhou2024] for the aim; the definitions above are this library's.

    Example:
        >>> rotation = PolynomialGame({"x": 1, "y": 1}, {"x": {(1, 1): 1.0}, "y": {(1, 1): -1.0}})
        >>> found = decompose_polynomial_game(rotation)
        >>> found.potentialness, found.divergence_free
        (0.0, 1.0)
    """
    c, s = _vector(centre, game.n, "centre"), _vector(scale, game.n, "scale")
    if min(s) <= 0 or max(s) > min(s) * (1 + 1e-12):
        raise InputError(f"scale must be one positive number for all coordinates, got {s}; rescale the game instead.")
    own = {p: game.coordinates(p) for p in game.sizes}
    losses: Losses = {p: to_hermite(loss, c, s) for p, loss in game.losses.items()}
    constant: Losses = {p: {e: v for e, v in loss.items() if not _degree(e, own[p])} for p, loss in losses.items()}
    moving: Losses = {p: {e: v for e, v in loss.items() if _degree(e, own[p])} for p, loss in losses.items()}
    phi = _potential(moving, own)
    scalar: Losses = {p: {e: v for e, v in phi.items() if _degree(e, own[p])} for p in own}
    near_scalar = _weighted_gradient(moving, own, game.n)
    parts = {
        "scalar": scalar,
        "near_vector": {p: added(moving[p], scalar[p], -1.0) for p in own},
        "near_scalar": near_scalar,
        "vector": {p: added(moving[p], near_scalar[p], -1.0) for p in own},
    }
    size = _norm(moving, own, s[0])
    for name, part in parts.items():
        if _norm(part, own, s[0]) <= 1e-13 * size:  # rounding of a part that is zero is no part
            parts[name] = {p: {} for p in own}
    norms = {"game": size, **{name: _norm(part, own, s[0]) for name, part in parts.items()}}
    games = {
        name: PolynomialGame(game.sizes, {p: from_hermite(part[p], c, s) for p in own})
        for name, part in {**parts, "nonstrategic": constant}.items()
    }
    phi_shown = phi if norms["scalar"] > 0 else {}
    residual = _residual(game, games, parts, own, s[0], size)
    return DifferentialDecomposition(
        game,
        games["scalar"],
        games["near_vector"],
        games["near_scalar"],
        games["vector"],
        games["nonstrategic"],
        from_hermite(phi_shown, c, s),
        tuple(c),
        tuple(s),
        norms,
        residual,
        _sentence(norms) + _warning(residual),
    )


def _potential(losses: Losses, own: dict[str, list[int]]) -> dict[Exponents, float]:
    """``phi_a = sum_i |a|_i l_(i,a) / |a|``, from ``-L phi = sum_i grad_i^* grad_i l_i`` with ``-L He_a = |a| He_a``."""
    phi: dict[Exponents, float] = {}
    for player, loss in losses.items():
        for e, v in loss.items():
            phi[e] = phi.get(e, 0.0) + v * _degree(e, own[player]) / sum(e)
    return phi


def _weighted_gradient(losses: Losses, own: dict[str, list[int]], n: int) -> Losses:
    """The losses ``sigma_i`` of the part orthogonal to all games without divergence."""
    divergence: dict[Exponents, float] = {}  # of xi, in z: d_j d_j l_i over each player's own coordinates
    for player, loss in losses.items():
        for e, v in loss.items():
            for j in own[player]:
                if e[j] >= 2:
                    lower = shifted(e, j, -2)
                    divergence[lower] = divergence.get(lower, 0.0) + v * e[j] * (e[j] - 1)
    terms = _closed(divergence, own)
    if not terms:
        return {p: {} for p in own}
    place = {e: k for k, e in enumerate(terms)}
    M = np.zeros((len(terms), len(terms)))
    for column, b in enumerate(terms):  # M = sum_i Delta_i (grad_i^* grad_i)^-1 Delta_i^*
        for coordinates in own.values():
            for k in coordinates:
                raised = shifted(b, k, 2)
                weight = 1 / _degree(raised, coordinates)
                for j in coordinates:
                    if raised[j] >= 2:
                        M[place[shifted(raised, j, -2)], column] += weight * raised[j] * (raised[j] - 1)
    multiplier = np.linalg.solve(M, np.array([divergence.get(e, 0.0) for e in terms]))
    sigma: Losses = {}
    for player, coordinates in own.items():
        found: dict[Exponents, float] = {}
        for b, value in zip(terms, multiplier.tolist(), strict=True):
            for k in coordinates:
                raised = shifted(b, k, 2)
                found[raised] = found.get(raised, 0.0) + value / _degree(raised, coordinates)
        sigma[player] = found
    return sigma


def _closed(divergence: Polynomial, own: dict[str, list[int]]) -> list[Exponents]:
    """The exponents of the divergence and all that two steps within one player's coordinates lead to."""
    seen, waiting = set(divergence), list(divergence)
    while waiting:
        b = waiting.pop()
        for coordinates in own.values():
            for k in coordinates:
                for j in coordinates:
                    if j != k and b[j] >= 2:
                        other = shifted(shifted(b, k, 2), j, -2)
                        if other not in seen:
                            seen.add(other)
                            waiting.append(other)
    return sorted(seen)


def _degree(exponents: Exponents, coordinates: Sequence[int]) -> int:
    return sum(exponents[k] for k in coordinates)


def _inner(a: Losses, b: Losses, own: dict[str, list[int]], scale: float) -> float:
    """``E_mu <xi, eta>`` of the games' fields."""
    return (
        sum(v * b[p].get(e, 0.0) * _degree(e, own[p]) * factorial(e) for p, loss in a.items() for e, v in loss.items())
        / scale**2
    )


def _norm(a: Losses, own: dict[str, list[int]], scale: float) -> float:
    return math.sqrt(max(_inner(a, a, own, scale), 0.0))


def _residual(
    game: PolynomialGame,
    games: dict[str, PolynomialGame],
    parts: dict[str, Losses],
    own: dict[str, list[int]],
    scale: float,
    size: float,
) -> float:
    largest = max((abs(v) for loss in game.losses.values() for v in loss.values()), default=0.0) or 1.0
    gaps = [0.0]
    for pair in (("scalar", "near_vector"), ("near_scalar", "vector")):
        rest = game - games["nonstrategic"] - games[pair[0]] - games[pair[1]]
        gaps += [abs(v) / largest for loss in rest.losses.values() for v in loss.values()]
        if size > 0:
            gaps.append(abs(_inner(parts[pair[0]], parts[pair[1]], own, scale)) / size**2)
    return max(gaps)


def _vector(value: Sequence[float] | float, n: int, name: str) -> list[float]:
    given = np.asarray(value, dtype=np.float64)
    found: list[float] = given.tolist() if given.ndim else [float(given)] * n
    if given.ndim > 1 or len(found) != n:
        raise InputError(f"{name} has one number for each of the {n} coordinates, got {len(found)}.")
    if not np.isfinite(given).all():
        raise InputError(f"{name} must be finite, got {found}.")
    return found


def _share(part: float, whole: float) -> float:
    return (part / whole) ** 2 if whole > 0 else math.nan


def _warning(residual: float) -> str:
    if residual <= ROUNDING:
        return ""
    return (
        f" Rounding spoils these parts (residual {residual:.2g}): with this centre and scale terms cancel that are far larger "
        "than the game; write the game in coordinates around the centre, in units of the scale."
    )


def _sentence(norms: dict[str, float]) -> str:
    if norms["game"] == 0:
        return "No player's loss depends on its own coordinates: the game is non-strategic."
    if norms["near_vector"] == 0:
        return "A potential game: all players descend one common function."
    if norms["near_scalar"] == 0:
        scalar = _share(norms["scalar"], norms["game"])
        also = "" if scalar == 0 else f"; {scalar:.1%} of it is a gradient as well"
        return f"A vector-potential game: its field has no divergence, so its flow preserves volume{also}."
    return (
        f"{_share(norms['scalar'], norms['game']):.1%} of the mean squared field is a scalar-potential game; the nearest game "
        f"without divergence holds {_share(norms['vector'], norms['game']):.1%}."
    )
