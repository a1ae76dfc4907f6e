"""Polynomials in the Hermite basis of a Gaussian: the basis in which weighted gradients and divergences are shifts.

With ``z = (x - centre) / scale`` and the probabilists' ``He``: ``d/dz He_k = k He_(k-1)``, its adjoint under the standard
normal is ``(z - d/dz) He_k = He_(k+1)``, and ``E He_a He_b = a!`` where ``a = b``, else 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

from separatrix.fields.polynomial_games import Exponents, Polynomial


@cache
def _powers_in_hermite(k: int) -> tuple[float, ...]:
    """``z^k`` as coefficients of ``He_0 ... He_k``."""
    if k == 0:
        return (1.0,)
    # z He_j = He_(j+1) + j He_(j-1)
    below, found = _powers_in_hermite(k - 1), [0.0] * (k + 1)
    for j, c in enumerate(below):
        found[j + 1] += c
        if j:
            found[j - 1] += j * c
    return tuple(found)


@cache
def _hermite_in_powers(k: int) -> tuple[float, ...]:
    """``He_k`` as coefficients of ``z^0 ... z^k``."""
    if k < 2:
        return (0.0,) * k + (1.0,)
    # He_(j+1) = z He_j - j He_(j-1)
    one, two = _hermite_in_powers(k - 1), _hermite_in_powers(k - 2)
    found = [0.0, *one]
    for j, c in enumerate(two):
        found[j] -= (k - 1) * c
    return tuple(found)


def to_hermite(polynomial: Polynomial, centre: Sequence[float], scale: Sequence[float]) -> dict[Exponents, float]:
    """Coefficients over ``He`` of ``z``."""

    def one(k: int, j: int) -> list[float]:
        found = [0.0] * (k + 1)
        for i in range(k + 1):  # (centre + scale z)^k
            c = math.comb(k, i) * centre[j] ** (k - i) * scale[j] ** i
            for h, part in enumerate(_powers_in_hermite(i)):
                found[h] += c * part
        return found

    return _expand(polynomial, one)


def from_hermite(coefficients: Polynomial, centre: Sequence[float], scale: Sequence[float]) -> dict[Exponents, float]:
    """The reverse of :func:`to_hermite`."""

    def one(k: int, j: int) -> list[float]:
        found = [0.0] * (k + 1)
        for i, c in enumerate(_hermite_in_powers(k)):  # ((x - centre) / scale)^i
            for h in range(i + 1):
                found[h] += c * math.comb(i, h) * (-centre[j]) ** (i - h) / scale[j] ** i
        return found

    return _expand(coefficients, one)


def _expand(polynomial: Polynomial, one: Callable[[int, int], list[float]]) -> dict[Exponents, float]:
    """Replace each factor of each term by its expansion, ``one(exponent, coordinate)``."""
    memory: dict[tuple[int, int], list[float]] = {}
    total: dict[Exponents, float] = {}
    for exponents, value in polynomial.items():
        terms: dict[Exponents, float] = {(): value}
        for j, k in enumerate(exponents):
            if (k, j) not in memory:
                memory[k, j] = one(k, j)
            factors = memory[k, j]
            terms = {(*e, h): c * f for e, c in terms.items() for h, f in enumerate(factors) if f}
        for e, c in terms.items():
            total[e] = total.get(e, 0.0) + c
    return {e: c for e, c in total.items() if c}


def factorial(exponents: Exponents) -> float:
    """``E He_a^2``."""
    return float(math.prod(math.factorial(k) for k in exponents))


def shifted(exponents: Exponents, j: int, by: int) -> Exponents:
    """With ``by`` added at place ``j``."""
    return (*exponents[:j], exponents[j] + by, *exponents[j + 1 :])
