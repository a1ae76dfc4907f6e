"""Products with a field's Jacobian, whole or by player blocks, from one kept graph; players share nothing.

A block differentiates in its own player's parameters only, so that the cross blocks do not pay for the players' own curvature.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from torch import Tensor

from separatrix.fields.field import Field, Rows
from separatrix.fields.graph import Graph, Surroundings
from separatrix.linalg.operator import LinearOperator


class Whole(LinearOperator):
    """``J u`` and ``J^T u``.

    Args:
        field: of which ``rows`` were traced at ``leaves`` with their graph.

        spend: is told what every product costs.

    Cost: ``J^T u`` 2 gradients, ``J u`` 2.6, and 2 once.
    """

    def __init__(self, field: Field, leaves: Sequence[Tensor], rows: Rows, spend: Callable[[float], None]) -> None:
        n = field.space.n
        super().__init__((n, n), dtype=field.dtype, device=field.device)
        self.field, self.spend = field, spend
        outputs = [rows[entry.owners[0], i] for i, entry in enumerate(field.space.entries)]
        self._graph = Graph(field, leaves, outputs)

    def _apply(self, u: Tensor) -> Tensor:
        self.spend((2.6 + 2.0 * (not self._graph.can_push)) * self.field.share())
        return self.field.space.join(self._graph.push([self.field.space.split(u.contiguous())])[0])

    def _apply_transpose(self, u: Tensor) -> Tensor:
        self.spend(2.0 * self.field.share())
        return self.field.space.join(self._graph.pull([self.field.space.split(u.contiguous())])[0])


class PlayerBlock(LinearOperator):
    """``J_ij``, ``(n_i, n_j)``: how player i's direction changes with player j's parameters.

    Args:
        field: of which ``rows`` were traced at ``leaves`` with their graph.
        row, column: i and j.
        spend: is told what every product costs.
        surroundings: shared with the other blocks.
        mirror: ``J_ji``, where the game is zero-sum by construction; ``J_ij u = -J_ji^T u`` then, a single pass back.

    Cost: ``J_ij^T u`` 2 of player i's gradients, ``J_ij u`` 2.6, and 2 once; with a mirror 2 of player j's.
    """

    def __init__(
        self,
        field: Field,
        leaves: Sequence[Tensor],
        rows: Rows,
        row: str,
        column: str,
        spend: Callable[[float], None],
        surroundings: Surroundings | None = None,
        mirror: PlayerBlock | None = None,
    ) -> None:
        size = field.space.size
        super().__init__((size(row), size(column)), dtype=field.dtype, device=field.device)
        self.field, self.row, self.column, self.spend, self.mirror = field, row, column, spend, mirror
        space = field.space
        self._inputs = [space.entries[i] for i in space.owned(column)]
        # One flat output: autograd looks at every output that it is given, in every product.
        with torch.enable_grad():
            outputs = [space.join([rows[row, i] for i in space.owned(row)])]
        self._graph = Graph(field, leaves, outputs, [leaves[i] for i in space.owned(column)], surroundings)

    @cached_property
    def _share(self) -> float:
        return self.field.share((self.row,))

    def _apply(self, u: Tensor) -> Tensor:
        if self.mirror is not None:
            return self.mirror._apply_transpose(u).neg_()
        self.spend((2.6 + 2.0 * (not self._graph.can_push)) * self._share)
        pieces = torch.split(u, [e.numel for e in self._inputs])
        tangents = [piece.reshape(e.shape) for piece, e in zip(pieces, self._inputs, strict=True)]
        return self._graph.push([tangents])[0][0]

    def _apply_transpose(self, u: Tensor) -> Tensor:
        self.spend(2.0 * self._share)
        return self.field.space.join(self._graph.pull([[u]])[0])


class Cross(LinearOperator):
    """All cross blocks, ``(K u)_i = sum_{j != i} J_ij u_j``; see :class:`PlayerBlock`."""

    def __init__(self, field: Field, leaves: Sequence[Tensor], rows: Rows, spend: Callable[[float], None]) -> None:
        n, players = field.space.n, field.players
        super().__init__((n, n), dtype=field.dtype, device=field.device)
        self.space = field.space
        self.surroundings = Surroundings(field, leaves)
        self.blocks = {
            (i, j): PlayerBlock(field, leaves, rows, i, j, spend, self.surroundings)
            for i in players
            for j in players
            if i != j
        }
        self.antisymmetric = bool(getattr(field, "zero_sum", False)) and len(players) == 2
        if self.antisymmetric:
            for (i, j), block in self.blocks.items():
                block.mirror = self.blocks[j, i]

    def _apply(self, u: Tensor) -> Tensor:
        result = torch.zeros_like(u)
        for (i, j), block in self.blocks.items():
            result[self.space.index(i)] += block @ self.space.take(u, j)
        return result

    def _apply_transpose(self, u: Tensor) -> Tensor:
        result = torch.zeros_like(u)
        for (i, j), block in self.blocks.items():
            result[self.space.index(j)] += block.T @ self.space.take(u, i)
        return result
