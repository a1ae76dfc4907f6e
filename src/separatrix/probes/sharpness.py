"""Effective sharpness: step times preconditioned curvature, of each player alone and of all together, against the limit."""

from __future__ import annotations

from dataclasses import dataclass

from separatrix.dynamics.modes import Mode
from separatrix.fields import Space
from separatrix.linalg import Block, LinearOperator, eigenvalues
from separatrix.probes.leading import Leading


@dataclass(frozen=True)
class Sharpness:
    """One row: positive means curved upwards, the optimiser's sign.

    Attributes:
        name: a player, or ``joint``.
        value: ``-Re`` of the leftmost eigenvalue of ``h J`` preconditioned, of that player's block or of the whole.
        residual: of that eigenvalue.
        limit: at which a mode of the base in use starts to overshoot; ``None`` for the whole where players' bases differ.
        converged: whether the residual is below tolerance.
    """

    name: str
    value: float
    residual: float
    limit: float | None
    converged: bool

    @property
    def ratio(self) -> float | None:
        return None if self.limit is None else self.value / self.limit


def sharpness(
    operator: LinearOperator,
    space: Space,
    modes: dict[str, Mode],
    leading: Leading,
    *,
    max_products: int = 60,
    seed: int = 0,
) -> list[Sharpness]:
    """The whole first, then each player alone with the others held still.

    Args:
        operator: ``P``, in the optimiser's metric.
        space: its players.
        modes: momentum of each player's base.
        leading: leading modes of ``P``, for the whole.
        max_products: for each player.
        seed: of the start vectors.

    Cost: at most ``max_products`` products of the transpose a player.
    """
    worst = int(leading.values.real.argmin())
    common = set(modes.values())
    rows = [
        Sharpness(
            "joint",
            -float(leading.values[worst].real),
            float(leading.residuals[worst]),
            common.pop().limit if len(common) == 1 else None,
            bool(leading.converged[worst]),
        )
    ]
    for player in space.players:
        index = space.index(player)
        tags = {"symmetric"}  # a player's own block is minus a scaled Hessian
        block = Block(operator, index, index, tags=tags)
        found = eigenvalues(block, 1, target="leftmost", max_products=max_products, tol=1e-3, seed=seed, vectors=False)
        rows.append(
            Sharpness(
                player,
                -float(found.values[0].real),
                float(found.residuals[0]),
                modes[player].limit,
                bool(found.converged[0]),
            )
        )
    return rows


def sharpness_section(rows: list[Sharpness]) -> dict[str, object]:
    """The record's section."""
    rated = [r for r in rows if r.ratio is not None]
    worst = max(rated, key=lambda r: r.ratio or 0.0) if rated else None
    sentence = "No limit is known for these bases."
    if worst is not None and worst.ratio is not None:
        side = "beyond" if worst.ratio > 1 else "within"
        sentence = (
            f"{worst.name}: step times curvature is {worst.value:.3g}, {side} the limit {worst.limit:.3g} of its base "
            f"({worst.ratio:.0%}). Hovering near 100% is normal while a network learns."
        )
    return {
        "rows": [
            {
                "name": r.name,
                "value": r.value,
                "residual": r.residual,
                "limit": r.limit,
                "ratio": r.ratio,
                "converged": r.converged,
            }
            for r in rows
        ],
        "sentence": sentence,
    }
