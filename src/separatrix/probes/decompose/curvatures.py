"""How the players' losses curve: the low end of a curvature, and the leader's once the follower answers (Schur complement)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from separatrix.fields import Space
from separatrix.linalg import Block, Dense, LinearOperator, Tagged, cg, extremes

Answer = Literal["yes", "no", "undecided"]
# Of the power iteration for the norm of the players' coupling.
POWER_STEPS = 6


@dataclass(frozen=True)
class Curvature:
    """The lowest end of a symmetric curvature, in the optimiser's sign: positive = curved upwards.

    Attributes:
        lowest: the lowest curvature found, a Rayleigh quotient: some eigenvalue lies below or at it.
        bound: below every eigenvalue, but for the failure probability.
        failure: that probability; 0 where the whole spectrum was computed.
        noise: curvatures within this of zero cannot be told from it.
        positive: *yes* where ``bound`` is above the noise, *no* where ``lowest`` is below it, else *undecided*.
    """

    lowest: float
    bound: float
    failure: float
    noise: float

    @property
    def positive(self) -> Answer:
        if self.bound > self.noise:
            return "yes"
        return "no" if self.lowest < -self.noise else "undecided"


def lowest_curvature(
    block: LinearOperator, *, max_products: int = 200, seed: int = 0, eps: float | None = None, error: float = 0.0
) -> Curvature:
    """The low end of ``-block``, a symmetric operator in field sign, as a curvature with its certificate.

    Args:
        block: the operator.
        max_products: where it is not formed.
        seed: of the start vectors.
        eps: relative rounding of its entries; that of its dtype where ``None``.
        error: norm of what else it may be off by.
    """
    eps = float(torch.finfo(block.dtype).eps) if eps is None else eps
    if isinstance(block, Dense) or block.shape[0] <= 2:
        matrix = block.to_dense().double()
        values = torch.linalg.eigvalsh((matrix + matrix.T) / 2)
        # LAPACK's eigenvalues err by a small multiple of eps |H|; a Hessian off symmetry errs by that much, too.
        noise = 10 * eps * len(values) ** 0.5 * float(values.abs().max()) + float((matrix - matrix.T).norm()) + error
        lowest = -float(values[-1])
        return Curvature(lowest, lowest - noise, 0.0, noise)
    found = extremes(block, max_products=min(max_products, block.shape[0]), seed=seed)
    noise = 100 * eps * max(abs(found.lowest), abs(found.highest)) + error
    return Curvature(-found.highest, -found.upper_bound, found.failure, noise)


def schur_curvature(
    matrix: LinearOperator,
    space: Space,
    leader: str,
    follower: str,
    below: Curvature,
    eps: float,
    max_products: int,
    seed: int,
) -> Curvature:
    """The leader's curvature once the follower answers; what the follower's system errs by counts as noise."""
    if isinstance(matrix, Dense):
        x, y = space.index(leader), space.index(follower)
        J = matrix.to_dense()
        answer = torch.linalg.solve(-J[y][:, y], J[y][:, x])
        across = float(J[x][:, y].norm() * answer.norm())
        condition = float(torch.linalg.matrix_norm(J[y][:, y], 2)) / below.bound
        found = Dense(J[x][:, x] + J[x][:, y] @ answer)
        return lowest_curvature(found, eps=eps, error=10 * eps * condition * across)
    complement = SchurComplement(matrix, space, leader, follower)
    u = torch.randn(complement.shape[0], generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(
        matrix.device, matrix.dtype
    )
    coupling = 0.0
    for _ in range(POWER_STEPS):
        u = complement.down.T @ (complement.down @ (u / u.norm()))
        coupling = float(u.norm())
        if coupling == 0:
            break
    # The residual of a follower's system, over its least curvature, and back through the coupling.
    error = 2 * complement.tol * coupling / below.bound
    return lowest_curvature(complement, max_products=max_products, seed=seed, eps=eps, error=error)


class SchurComplement(LinearOperator):
    """``J_xx - J_xy J_yy^-1 J_yx`` of a zero-sum game's Jacobian, symmetric; ``-J_yy`` must be positive definite.

    Cost: a product solves one system with ``J_yy`` by conjugate gradients, to a relative residual of 1e-8 in float64, 1e-5
    in float32.
    """

    def __init__(self, jacobian: LinearOperator, space: Space, leader: str, follower: str) -> None:
        x, y = space.index(leader), space.index(follower)
        own = Block(jacobian, x, x)
        super().__init__(own.shape, dtype=own.dtype, device=own.device, tags={"symmetric"})
        self.own, self.down, self.up = own, Block(jacobian, y, x), Block(jacobian, x, y)
        self.answer = Tagged(-1.0 * Block(jacobian, y, y, tags={"symmetric"}), {"symmetric", "definite"})
        self.tol = 1e-8 if own.dtype == torch.float64 else 1e-5

    def _apply(self, u: Tensor) -> Tensor:
        own: Tensor = self.own @ u
        right = self.down @ u
        if bool(right.any()):
            own = own + self.up @ cg(self.answer, right, tol=self.tol).value
        return own

    _apply_transpose = _apply
