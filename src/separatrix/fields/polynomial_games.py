"""Differentiable games whose losses are polynomials: every derivative is exact.

A polynomial is a mapping from exponents to coefficients: ``{(2, 0): 1.0, (1, 1): -3.0}`` is ``x^2 - 3 x y``. Each player owns
some coordinates and minimises its own loss; field sign: ``v = -(grad_i l_i)_i``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.fields.field import FunctionField

Exponents = tuple[int, ...]
Polynomial = Mapping[Exponents, float]


@dataclass(frozen=True, eq=False)
class PolynomialGame:
    """Players with polynomial losses.

    Attributes:
        sizes: how many coordinates each player owns, in order.
        losses: each player's loss over all ``n`` coordinates.

    Raises:
        InputError: exponents of another length, negative ones, coefficients that are not finite, or other players.

    Example:
        >>> game = PolynomialGame({"x": 1, "y": 1}, {"x": {(1, 1): 1.0}, "y": {(1, 1): -1.0}})
        >>> game.field(torch.tensor([2.0, 3.0]))().tolist()
        [-3.0, 2.0]
    """

    sizes: dict[str, int]
    losses: Mapping[str, Polynomial]

    def __post_init__(self) -> None:
        if list(self.sizes) != list(self.losses):
            raise InputError(
                f"sizes are for {list(self.sizes)}, losses for {list(self.losses)}; both name every player, in order."
            )
        for player, loss in self.losses.items():
            for exponents, value in loss.items():
                if (
                    len(exponents) != self.n
                    or min(exponents, default=0) < 0
                    or any(not isinstance(e, int) for e in exponents)
                ):
                    raise InputError(
                        f"a term of {player!r} has exponents {exponents}; they are {self.n} whole numbers from 0 on, one a coordinate."
                    )
                if value != value or value in (float("inf"), float("-inf")):
                    raise InputError(
                        f"the coefficient of {exponents} in the loss of {player!r} is {value}; it must be finite."
                    )

    @property
    def n(self) -> int:
        return sum(self.sizes.values())

    @property
    def degree(self) -> int:
        """The largest total degree of a loss."""
        return max((sum(e) for loss in self.losses.values() for e in loss), default=0)

    @property
    def owners(self) -> tuple[str, ...]:
        """Who owns each coordinate."""
        return tuple(player for player, size in self.sizes.items() for _ in range(size))

    def coordinates(self, player: str) -> list[int]:
        """Which coordinates a player owns."""
        return [k for k, owner in enumerate(self.owners) if owner == player]

    def velocity(self) -> tuple[Polynomial, ...]:
        """Each component of ``v`` as a polynomial."""
        return tuple(
            {e: -c for e, c in derivative(self.losses[owner], k).items()} for k, owner in enumerate(self.owners)
        )

    def field(self, point: Tensor | None = None, *, name: str = "polynomial game") -> FunctionField:
        """The game's field; stands at 0 where no point is given."""
        components = self.velocity()
        terms = sorted({e for p in components for e in p}) or [(0,) * self.n]
        exponents = torch.tensor(terms)
        coefficients = torch.tensor([[p.get(e, 0.0) for e in terms] for p in components], dtype=torch.float64)
        here = torch.zeros(self.n, dtype=torch.float64) if point is None else point
        return FunctionField(
            lambda x: monomials(exponents, x) @ coefficients.to(x).T, here, players=self.sizes, name=name
        )

    def __add__(self, other: PolynomialGame) -> PolynomialGame:
        return PolynomialGame(self.sizes, {p: added(loss, other.losses[p]) for p, loss in self.losses.items()})

    def __sub__(self, other: PolynomialGame) -> PolynomialGame:
        return PolynomialGame(self.sizes, {p: added(loss, other.losses[p], -1.0) for p, loss in self.losses.items()})


def evaluate(polynomial: Polynomial, x: Tensor) -> Tensor:
    """The value at a point ``(n,)`` or at points ``(m, n)``; differentiable as often as asked, also at 0."""
    if not polynomial:
        return torch.zeros_like(x[..., 0])
    values = torch.tensor(list(polynomial.values()), dtype=torch.float64).to(x)
    return monomials(torch.tensor(list(polynomial)), x) @ values


def monomials(exponents: Tensor, x: Tensor) -> Tensor:
    """``x ** e`` for each row of exponents ``(K, n)``: points ``(..., n)`` to ``(..., K)``."""
    powers = [torch.ones_like(x)]
    for _ in range(int(exponents.max())):
        powers.append(powers[-1] * x)
    table = torch.stack(powers)  # (degree + 1, ..., n)
    product = torch.ones(len(exponents), dtype=x.dtype, device=x.device)
    for j in range(exponents.shape[1]):
        product = product * table[exponents[:, j], ..., j].movedim(0, -1)
    return product


def derivative(polynomial: Polynomial, k: int) -> dict[Exponents, float]:
    """The partial derivative along coordinate ``k``."""
    found: dict[Exponents, float] = {}
    for e, c in polynomial.items():
        if e[k]:
            lower = (*e[:k], e[k] - 1, *e[k + 1 :])
            found[lower] = found.get(lower, 0.0) + c * e[k]
    return found


def added(a: Polynomial, b: Polynomial, factor: float = 1.0) -> dict[Exponents, float]:
    """``a + factor b``."""
    found = dict(a)
    for e, c in b.items():
        found[e] = found.get(e, 0.0) + factor * c
    return found


def all_exponents(n: int, degree: int) -> list[Exponents]:
    """Of every monomial in ``n`` variables up to a total degree, the constant first."""
    return [
        tuple(row.count(j) for j in range(n))
        for total in range(degree + 1)
        for row in combinations_with_replacement(range(n), total)
    ]


def random_polynomial_game(sizes: Mapping[str, int], degree: int = 3, *, seed: int = 0) -> PolynomialGame:
    """Independent standard normal coefficients for every monomial up to the degree, in every loss."""
    generator = torch.Generator().manual_seed(seed)
    terms = all_exponents(sum(sizes.values()), degree)
    losses = {}
    for player in sizes:
        draws = torch.randn(len(terms), generator=generator, dtype=torch.float64).tolist()
        losses[player] = dict(zip(terms, draws, strict=True))
    return PolynomialGame(dict(sizes), losses)


def common_interest(potential: Polynomial, sizes: Mapping[str, int]) -> PolynomialGame:
    """The game in which every player minimises the same function."""
    return PolynomialGame(dict(sizes), {player: dict(potential) for player in sizes})
