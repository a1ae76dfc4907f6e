"""The proximal point method: the step is taken with the direction at its own end."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from separatrix.dynamics.near import Near, near
from separatrix.dynamics.schemes.competitive import step_sizes
from separatrix.dynamics.schemes.scheme import (
    Bases,
    Evaluate,
    Scheme,
    States,
    base_steps,
    check_own_coordinates,
    check_positive,
    check_with_step_sizes,
)
from separatrix.errors import InputError
from separatrix.fields.space import Space


@dataclass(frozen=True)
class Proximal(Scheme):
    """``x' = x + base(v(z))`` where ``z = x + S v(z)``; over ``SGD``, ``x' = z`` [rockafellar1976].

    Per eigenvalue ``m = 1 / (1 - z)``: what attracts in the flow attracts at every step size, and so does every pure rotation; what
    repels is escaped only for steps ``h lambda < 2``, beyond which it attracts too.

    Solved by Newton's method with GMRES and halved steps where the residual does not fall. Any number of players, any losses, no
    shared tensor. ``S`` has the bases' step sizes under their present second moments (before a base's first step, those after it).

    Args:
        tol: relative residual ``|x + S v(z) - z| / |S v(x)|`` to reach. What was reached is ``Step.residual``.
        max_newton: Newton steps at most, each with a graph of its own and GMRES products.
        max_products: of one GMRES solve.
    """

    tol: float = 1e-6
    max_newton: int = 10
    max_products: int = 200

    def __post_init__(self) -> None:
        check_positive(tol=self.tol)
        if self.max_newton < 1 or self.max_products < 2:
            raise InputError(
                f"max_newton must be at least 1 and max_products at least 2, got {self.max_newton}, {self.max_products}."
            )

    @property
    def solves(self) -> bool:
        return True

    def check_setting(self, space: Space, bases: Bases) -> None:
        check_own_coordinates(self, space)
        check_with_step_sizes(self, space, bases)

    def step(self, evaluate: Evaluate, bases: Bases, space: Space, x: Tensor, states: States) -> tuple[Tensor, States]:
        here = near(evaluate, x)
        _, stepped = base_steps(here.directions, bases, space, x, states)
        known = {p: states[p] if bases[p].frozen(states[p]) else stepped[p] for p in space.players}
        scale = step_sizes(bases, known, space, x)
        if here.fixed:
            own = _flat(here, scale, space, x)
            u, _ = here.solve(own, scale, cross=False, tol=self.tol, max_products=self.max_products)
            return base_steps(evaluate(x + u, space.players, 0), bases, space, x, states)
        v, left = self._newton(evaluate, here, scale, space, x)
        moved, following = base_steps(v, bases, space, x, states)
        return (
            moved - left,
            following,
        )  # over plain descent z itself: what is left would be magnified by another step from x

    def _newton(
        self, evaluate: Evaluate, here: Near, scale: Tensor, space: Space, x: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        """``v(z)`` and ``x + S v(z) - z``."""
        z, r = x, _flat(here, scale, space, x)
        length = first = float(r.norm())
        v = dict(here.directions)
        for number in range(self.max_newton):
            if not length > self.tol * first:
                break
            here = here if number == 0 else near(evaluate, z)
            # A linear solve finer than what Newton's step is worth is wasted; the last one is as fine as asked for.
            tol = max(self.tol * first / length / 2, 1e-10)
            d, _ = here.solve(r, scale, cross=False, tol=min(tol, 0.01), max_products=self.max_products)
            for _ in range(6):
                v = dict(evaluate(z + d, space.players, 0))
                left = x + scale * space.put(x, v) - (z + d)
                if float(left.norm()) < length:
                    break
                d = d / 2
            z, r, length = z + d, left, float(left.norm())
        here.report(length / first if first else 0.0)
        return v, r


def _flat(here: Near, scale: Tensor, space: Space, x: Tensor) -> Tensor:
    v = space.put(x, here.directions)
    return (scale.reshape(-1, *(1 for _ in v.shape[1:]))) * v
