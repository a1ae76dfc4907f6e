"""The field near a point, for schemes that solve: directions, and solutions of ``(I - S K) u = d``.

``K`` is the Jacobian ``v'`` or its cross blocks alone (how each player's direction depends on the others), ``S`` a positive
diagonal of step sizes. Three forms of one interface: the field itself, the linear model that the update map traces, and a
matrix on many columns at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from separatrix.dynamics.cross import Cross, PlayerBlock, Whole
from separatrix.dynamics.pair import Implicit, solve_general_pair, solve_scalar_pair
from separatrix.errors import ComputationError, NonFiniteError
from separatrix.fields.field import Field
from separatrix.fields.jacobian import Jacobian
from separatrix.fields.space import Space
from separatrix.linalg import Diagonal, LinearOperator, gmres


class Near(ABC):
    """What a scheme may ask of the field near a point.

    Attributes:
        directions: ``v`` there, by player.
        fixed: it is a linear model: the Jacobian is the same everywhere.
    """

    directions: Mapping[str, Tensor]
    fixed: bool = False

    @abstractmethod
    def solve(self, d: Tensor, scale: Tensor, *, cross: bool, tol: float, max_products: int) -> tuple[Tensor, float]:
        """``u`` with ``(I - S K) u = d``, and its relative residual, from a fresh product.

        Args:
            d: flat, ``(n,)``.
            scale: ``S``, ``(n,)``.
            cross: ``K`` has the cross blocks only.
            tol: relative residual to reach.
            max_products: the budget.
        """

    @abstractmethod
    def curvature(self, u: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """``u_i . v'_ii u_i`` for each player, field sign: negative where the player's own loss curves upwards."""

    def report(self, residual: float) -> None:  # noqa: B027 - a linear model has nobody to tell
        """Tell whoever runs the step how well its equation was solved."""


def near(evaluate: Callable[..., Any], x: Tensor, draw: int = 0) -> Near:
    """The field near ``x`` as ``evaluate`` knows it.

    Raises:
        ComputationError: whoever runs the scheme gave no second derivatives.
    """
    if not hasattr(evaluate, "near"):
        raise ComputationError(
            "this scheme solves with second derivatives of the losses, and has none to work with here."
        )
    found: Near = evaluate.near(x, draw)
    return found


class FieldNear(Near):
    """The field itself: one graph with second derivatives, from which all products come.

    Args:
        field: the field, transforms applied.
        x: the point.
        report: is told the residual of the step.

    Attributes:
        gradients: gradient-equivalents spent here.

    Cost: 1 gradient for the graph; products as :class:`Whole` and :class:`PlayerBlock` say, added to ``field.gradients``.
    """

    def __init__(self, field: Field, x: Tensor, report: Callable[[float], None]) -> None:
        self.field, self.space, self._report = field, field.space, report
        self._leaves = leaves = field.leaves(x)
        self._rows = rows = field.trace(leaves, create_graph=True)
        self.gradients = 0.0
        self._spend(field.share())
        self.directions = {
            p: self.space.join([rows[p, i].detach() for i in self.space.owned(p)]) for p in field.players
        }
        for player, v in self.directions.items():
            # The norm is cheaper than a look at every entry, which only decides where it overflows.
            if not isfinite(float(v.norm())) and not bool(torch.isfinite(v).all()):
                raise NonFiniteError(
                    f"the gradient of player {player!r} is not finite where the step begins; check the loss there."
                )

    def report(self, residual: float) -> None:
        self._report(residual)

    def _spend(self, gradients: float) -> None:
        self.gradients += gradients
        self.field.gradients += gradients

    def solve(self, d: Tensor, scale: Tensor, *, cross: bool, tol: float, max_products: int) -> tuple[Tensor, float]:
        K: LinearOperator = (Cross if cross else Whole)(self.field, self._leaves, self._rows, self._spend)
        if isinstance(K, Cross) and len(self.space.players) == 2:
            return K.surroundings.held(lambda: self._solve_pair(K, d, scale, tol, max_products))
        solution = gmres(Implicit(Diagonal(scale) @ K), d, tol=tol, max_products=max_products)
        return solution.value, solution.residual

    def _solve_pair(
        self, cross: Cross, d: Tensor, scale: Tensor, tol: float, max_products: int
    ) -> tuple[Tensor, float]:
        """Two players: the larger one's part is known from the smaller one's, whose own system has half the products."""
        small, large = sorted(self.space.players, key=self.space.size)
        a, b = self.space.index(small), self.space.index(large)
        to_a, to_b = cross.blocks[small, large], cross.blocks[large, small]
        u = torch.empty_like(d)
        parts = d[a], d[b], scale[a], scale[b]
        if cross.antisymmetric:
            found = solve_scalar_pair(to_a._apply, to_b._apply, *parts, tol=tol, max_products=max_products)
        else:
            found = solve_general_pair(to_a, to_b, *parts, tol=tol, max_products=max_products)
        u[a], u[b], residual = found
        return u, residual

    def curvature(self, u: Mapping[str, Tensor]) -> dict[str, Tensor]:
        own = {p: PlayerBlock(self.field, self._leaves, self._rows, p, p, self._spend) for p in u}
        return {p: part @ (own[p].T @ part) for p, part in u.items()}


class TracedNear(Near):
    """The linear model of a Jacobian, traced by autograd: solutions are differentiable in ``d``, the Jacobian is held."""

    fixed = True

    def __init__(self, jacobian: Jacobian, directions: Mapping[str, Tensor], space: Space) -> None:
        self.jacobian, self.directions, self.space = jacobian, directions, space

    def solve(self, d: Tensor, scale: Tensor, *, cross: bool, tol: float, max_products: int) -> tuple[Tensor, float]:
        inner: LinearOperator = OffDiagonal(self.jacobian, self.space) if cross else self.jacobian
        operator = Implicit(Diagonal(scale.detach()) @ inner)
        return _Solve.apply(d, operator, max_products), 0.0  # type: ignore[no-untyped-call]

    def curvature(self, u: Mapping[str, Tensor]) -> dict[str, Tensor]:
        raise NotImplementedError("schemes that divide by curvature are no linear maps")


class MatrixNear(Near):
    """A matrix, on one or many columns."""

    fixed = True

    def __init__(self, matrix: Tensor, x: Tensor, space: Space) -> None:
        self.matrix, self.space = matrix, space
        self.directions = {p: space.take(matrix @ x, p) for p in space.players}

    def solve(self, d: Tensor, scale: Tensor, *, cross: bool, tol: float, max_products: int) -> tuple[Tensor, float]:
        K = self.matrix.clone()
        if cross:
            for p in self.space.players:
                index = self.space.index(p)
                K[index, index] = 0
        identity = torch.eye(len(K), dtype=K.dtype, device=K.device)
        try:
            return torch.linalg.solve(identity - scale.to(K.dtype)[:, None] * K, d), 0.0
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            raise ComputationError(
                "no prediction: the linear system of the step is singular at this step size, which is the inverse of an eigenvalue."
            ) from None

    def curvature(self, u: Mapping[str, Tensor]) -> dict[str, Tensor]:
        raise NotImplementedError("schemes that divide by curvature are no linear maps")


class ModesNear(Near):
    """``v(x) = z x`` of a single player for many ``z`` at once; nothing is cross."""

    fixed = True

    def __init__(self, z: Tensor, x: Tensor) -> None:
        self.z, self.directions = z, {"x": z * x}

    def solve(self, d: Tensor, scale: Tensor, *, cross: bool, tol: float, max_products: int) -> tuple[Tensor, float]:
        return (d if cross else d / (1 - scale.to(self.z.dtype) * self.z)), 0.0

    def curvature(self, u: Mapping[str, Tensor]) -> dict[str, Tensor]:
        raise NotImplementedError("schemes that divide by curvature are no linear maps")


class OffDiagonal(LinearOperator):
    """The cross blocks of a Jacobian. Cost: a product for each player."""

    def __init__(self, jacobian: Jacobian, space: Space) -> None:
        super().__init__(jacobian.shape, dtype=jacobian.dtype, device=jacobian.device)
        self.jacobian, self.space = jacobian, space

    def _apply(self, u: Tensor) -> Tensor:
        result = torch.zeros_like(u)
        for player in self.space.players:
            others = u.clone()
            others[self.space.index(player)] = 0
            result[self.space.index(player)] = self.jacobian.rows_apply(others, (player,))[player]
        return result

    def _apply_transpose(self, u: Tensor) -> Tensor:
        result = torch.zeros_like(u)
        for player in self.space.players:
            index = self.space.index(player)
            pulled = self.jacobian.rows_transpose({player: u[index]}).clone()
            pulled[index] = 0
            result += pulled
        return result


class _Solve(torch.autograd.Function):
    """``A^-1 d``, with the transposed solve as its derivative."""

    @staticmethod
    def forward(ctx: Any, d: Tensor, operator: LinearOperator, max_products: int) -> Tensor:
        ctx.operator, ctx.max_products = operator, max_products
        tol = 100 * torch.finfo(d.dtype).eps
        solution = gmres(operator, d.detach(), tol=tol, max_products=max(max_products, 4 * len(d)))
        if not solution.residual < 1e-6:
            raise ComputationError(
                f"no prediction: the linear system of the step was solved to a residual of {solution.residual:.1e} only; its step "
                "size is far beyond what can be solved, or raise max_products."
            )
        return solution.value

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None, None]:
        return _Solve.apply(g, ctx.operator.T, ctx.max_products), None, None  # type: ignore[no-untyped-call]
