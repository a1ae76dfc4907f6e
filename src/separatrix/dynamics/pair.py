"""The competitive step of two players: ``u_a = d_a + S_a K_ab u_b`` and ``u_b = d_b + S_b K_ba u_a``.

The larger player's part is known from the smaller one's, so that one system is solved, of the smaller one's size: by GMRES, or by
conjugate gradients where the losses are one scalar. Those need ``C C.T p`` in every iteration, of which ``C.T p`` comes first. The
length of the step follows from it already, and it is what the step changes in the larger player's part. So the second product can
be with that part itself in place of ``C.T p``: it gives the residual anew, from the solution as it stands, and nothing is left to
verify in the end. Only where rounding would tell is the recurrence followed instead, up to the iteration that should be the last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import hypot, isfinite

import torch
from torch import Tensor

from separatrix.dynamics.lengths import length
from separatrix.errors import NonFiniteError
from separatrix.linalg import Diagonal, LinearOperator, gmres

Product = Callable[[Tensor], Tensor]

# Where the residual is below so many roundings, the noise of computing it anew would cost iterations, and where it has hardly
# fallen for so many of them it falls no more.
ROUNDINGS, PATIENCE, STAGNATION = 1e3, 25, 0.9
# A sum of more products than this is not believed: its rounding may be as large as the residual asked for.
BELIEVED = 16


def solve_scalar_pair(
    to_a: Product,
    to_b: Product,
    d_a: Tensor,
    d_b: Tensor,
    scale_a: Tensor,
    scale_b: Tensor,
    *,
    tol: float,
    max_products: int,
) -> tuple[Tensor, Tensor, float]:
    """``u`` with ``u_a = d_a + S_a K_ab u_b`` and ``u_b = d_b + S_b K_ba u_a``, where ``K_ab = -K_ba.T``.

    Conjugate gradients on ``(I + C C.T) S_a^(-1/2) u_a = S_a^(-1/2) (d_a + S_a K_ab d_b)``, ``C = S_a^(1/2) K_ab S_b^(1/2)``
    [hestenes1952; schaefer2020]. Coordinates at rate 0, as a warm-up has them, stay where they are.

    Args:
        to_a: ``K_ab``, the field's cross block, ``(n_b,)`` to ``(n_a,)``.
        to_b: ``K_ba``.
        d_a, d_b: the players' steps on their own.
        scale_a, scale_b: ``S``, not negative.
        tol: length of the residual over that of ``d``, both of all rows.
        max_products: with ``C C.T``, each of them two; what it takes to judge the result in the end is not counted.

    Returns:
        ``u_a``, ``u_b`` and the residual. Of a's rows it is computed with a product of the very ``u_b`` that is returned. After more
        than 16 iterations b's rows are too, with a product of ``u_a``; until then they hold but for rounding, ``u_b`` being the sum
        of the products with the directions that ``u_a`` is the sum of, and count as zero.

    Raises:
        NonFiniteError: a product is not finite.

    Cost: one product, and one of each kind for each iteration; one more after more than 16. In float32, and only below a residual
    of 1e-4, one more may be needed to judge, and two and some iterations where rounding was seen.
    """
    size = _length(d_a, d_b)
    if size == 0:
        return d_a, d_b, 0.0
    system = _Scaled(to_a, to_b, d_a / size, d_b / size, scale_a, scale_b)
    u_a, u_b, left, summed = torch.zeros_like(d_a), system.d_b, max_products - 1, 0
    error = system.error(u_a, u_b)
    best = u_a, u_b, _residual(error)
    while best[2] > tol and left > 0:
        u_a, u_b, error, anew, taken = system.iterate(u_a, u_b, error, tol, left)
        left, summed = left - taken, summed + taken
        residual = _residual(error if anew else system.error(u_a, u_b))
        if summed > BELIEVED:
            made_anew = system.d_b + scale_b * to_b(u_a)
            residual = hypot(residual, _residual(made_anew - u_b))
        stuck = residual > STAGNATION * best[2]
        if residual < best[2]:
            best = u_a, u_b, residual
        if stuck:
            break
        if best[2] > tol:
            u_b, summed = (made_anew, 0) if summed > BELIEVED else (u_b, summed)
            error = system.error(u_a, u_b)
    return size * best[0], size * best[1], best[2]


@dataclass(frozen=True)
class _Scaled:
    """The system with ``d`` of length one, whose squares neither overflow nor vanish."""

    to_a: Product
    to_b: Product
    d_a: Tensor
    d_b: Tensor
    scale_a: Tensor
    scale_b: Tensor

    def error(self, u_a: Tensor, u_b: Tensor) -> Tensor:
        """The residual of a's rows, from a product."""
        return (self.d_a - u_a).addcmul_(self.scale_a, self.to_a(u_b))

    def iterate(
        self, u_a: Tensor, u_b: Tensor, error: Tensor, tol: float, most: int
    ) -> tuple[Tensor, Tensor, Tensor, bool, int]:
        """Conjugate gradients until the residual of a's rows is small or falls no more.

        Returns:
            ``u_a``, ``u_b``, the residual, whether it is from a product with this ``u_b``, and the iterations.
        """
        root = self.scale_a.sqrt()
        inverse = torch.where(root > 0, root.reciprocal(), torch.zeros_like(root))
        rounded = ROUNDINGS * torch.finfo(root.dtype).eps
        r = inverse * error
        u_a, u_b, p = u_a.clone(), u_b.clone(), r.clone()  # written to in every iteration
        square, residual, before = float(r @ r), _residual(error), 1.0
        anew, lowest, waited, taken = True, residual, 0, 0
        while residual > tol and square > 0 and waited < PATIENCE and taken < most:
            along = root * p
            through = self.to_b(along)
            pushed = self.scale_b * through
            length = square / float(p @ p + through @ pushed)
            taken += 1
            u_a.add_(along, alpha=length)
            u_b.add_(pushed, alpha=length)
            # What is expected to be the last iteration is judged by the same product.
            anew = residual > rounded or residual**2 < tol * before
            if anew:
                error = self.error(u_a, u_b)
            else:
                error = error.sub(along, alpha=length).addcmul_(self.scale_a, self.to_a(pushed), value=length)
            r = inverse * error
            before, residual = residual, _residual(error)
            previous, square = square, float(r @ r)
            p.mul_(square / previous).add_(r)
            waited = 0 if lowest > rounded or residual < STAGNATION * lowest else waited + 1
            lowest = min(lowest, residual)
        return u_a, u_b, error, anew, taken


def solve_general_pair(
    to_a: LinearOperator,
    to_b: LinearOperator,
    d_a: Tensor,
    d_b: Tensor,
    scale_a: Tensor,
    scale_b: Tensor,
    *,
    tol: float,
    max_products: int,
) -> tuple[Tensor, Tensor, float]:
    """The same with any cross blocks, by GMRES on ``(I - S_a K_ab S_b K_ba) u_a = d_a + S_a K_ab d_b``.

    Args, Returns and Raises as of :func:`solve_scalar_pair`. The product with the returned ``u_a`` that judges it gives ``u_b`` too.

    Cost: one product, and one of each kind for each iteration and each cycle.
    """
    size = _length(d_a, d_b)
    if size == 0:
        return d_a, d_b, 0.0
    right = d_a + scale_a * (to_a @ d_b)
    own_size = _length(right)
    if own_size == 0:
        return right, d_b, 0.0
    if not isfinite(own_size):
        _residual(right)
    last = _Last(to_b)
    through = Diagonal(scale_a) @ (to_a @ (Diagonal(scale_b) @ last))
    found = gmres(Implicit(through), right, tol=tol * size / own_size, max_products=max_products)
    u_a = found.value
    moved = last.result if last.asked is u_a and last.result is not None else to_b @ u_a
    return u_a, d_b + scale_b * moved, found.residual * own_size / size


class Implicit(LinearOperator):
    """``I - A``."""

    def __init__(self, inner: LinearOperator) -> None:
        super().__init__(inner.shape, dtype=inner.dtype, device=inner.device)
        self.inner = inner

    def _apply(self, u: Tensor) -> Tensor:
        return u - self.inner._apply(u)

    def _apply_transpose(self, u: Tensor) -> Tensor:
        return u - self.inner._apply_transpose(u)


class _Last(LinearOperator):
    """An operator that keeps what it was asked last."""

    def __init__(self, inner: LinearOperator) -> None:
        super().__init__(inner.shape, dtype=inner.dtype, device=inner.device)
        self.inner = inner
        self.asked: Tensor | None = None
        self.result: Tensor | None = None

    def _apply(self, u: Tensor) -> Tensor:
        self.asked, self.result = u, self.inner._apply(u)
        return self.result

    def _apply_transpose(self, u: Tensor) -> Tensor:
        return self.inner._apply_transpose(u)


def _length(*parts: Tensor) -> float:
    return hypot(*(length(part.double()) for part in parts))


def _residual(error: Tensor) -> float:
    found = float(torch.linalg.vector_norm(error))
    if not isfinite(found):
        raise NonFiniteError(
            "a product with a cross block is not finite, though the gradients are; check the losses at this point for overflow "
            "(log of 0, division by 0), or use a smaller lr."
        )
    return found
