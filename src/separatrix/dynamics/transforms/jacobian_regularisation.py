"""Jacobian regularisation (JARE)."""

from __future__ import annotations

from dataclasses import dataclass

from separatrix.dynamics.transforms.transform import Products, Transform, check_not_negative
from separatrix.fields.field import Rows


@dataclass(frozen=True)
class JacobianRegularisation(Transform):
    """JARE: every player also descends the squared gradients of the others, ``w_i = v_i - alpha grad_i sum_{j != i} |v_j|^2 / 2`` [nie2019].

    Consensus without the players' own terms, so that curvature of one's own does not enter twice.

    Args:
        alpha: weight of the regulariser.
    """

    alpha: float
    gradients = 3.0

    def __post_init__(self) -> None:
        check_not_negative(alpha=self.alpha)

    def apply(self, v: Rows, products: Products | None) -> Rows:
        assert products is not None
        players = list(dict.fromkeys(player for player, _ in v))
        pulled = {j: products.pull({key: row for key, row in v.items() if key[0] == j}) for j in players}
        rows: Rows = {}
        for (player, i), row in v.items():
            others = [pulled[j][i] for j in players if j != player]
            rows[player, i] = row - self.alpha * sum(others[1:], others[0]) if others else row
        return rows
