"""Effective sharpness: step times preconditioned curvature, of each player alone and of all together, against the limit."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.dynamics.bases import Frozen
from separatrix.dynamics.modes import Mode
from separatrix.dynamics.schemes import Alternating, Extragradient, Scheme
from separatrix.errors import ComputationError
from separatrix.fields import Space
from separatrix.linalg import Block, Eigenvalues, LinearOperator, eigenvalues
from separatrix.probes.leading import Leading
from separatrix.probes.numbers import number
from separatrix.probes.reduced import Reduced
from separatrix.probes.setting import Setting
from separatrix.probes.stability import outlook


@dataclass(frozen=True)
class Sharpness:
    """One row: positive means curved upwards, the optimiser's sign.

    Attributes:
        name: a player, or ``joint``.
        value: ``-Re`` of the leftmost eigenvalue of ``h J`` preconditioned, of that player's block or of the whole.
        residual: of that eigenvalue.
        limit: at which a real mode of the method in use starts to overshoot; ``None`` for the whole where players' bases differ.
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
    setting: Setting,
    leading: Leading,
    *,
    max_products: int = 60,
    seed: int = 0,
) -> list[Sharpness]:
    """The whole first, then each player alone with the others held still (left out where players share parameters).

    Args:
        setting: with linear bases.
        leading: leading modes of its operator: the leftmost of them starts the search for the whole.
        max_products: for the whole, and for each player.
        seed: of the start vectors.

    Raises:
        ComputationError: there are no linear bases.

    Cost: at most ``max_products`` products of the transpose for the whole and for each player.
    """
    if setting.frozen is None or setting.method is None:
        raise ComputationError(setting.why_not)
    operator, space, scheme = setting.operator, setting.field.space, setting.method.scheme
    limits = {p: real_limit(scheme, base.mode) for p, base in setting.frozen.items()}
    worst = int(leading.values.real.argmin())
    if leading.complete and "leftmost" in leading.targets[worst]:
        whole, error, ok = leading.values[worst], leading.residuals[worst], leading.converged[worst]
    else:
        start = leading.vectors[worst].real.to(operator.device, operator.dtype)
        found = _leftmost(operator.T, max_products, seed, start if bool(start.any()) else None)
        whole, error, ok = found.values[0], found.residuals[0], found.converged[0]
    # In alternation the players' modes mix: what limits one that moves alone says nothing about all of them.
    together = not isinstance(scheme, Alternating) or len(space.players) == 1
    common = set(limits.values()) if setting.mode is not None and together else set()
    limit = common.pop() if len(common) == 1 else None
    rows = [Sharpness("joint", -float(whole.real), float(error), limit, bool(ok))]
    if space.shared:  # a block of the whole is then not the player's own
        return rows
    for player in space.players:
        index = space.index(player)
        # Minus a scaled Hessian where the losses say so; a function that is no gradient has no symmetric blocks.
        tags = {"symmetric"} & set(setting.jacobian[player, player].tags)
        found = _leftmost(Block(operator, index, index, tags=tags), max_products, seed)
        rows.append(
            Sharpness(
                player,
                -float(found.values[0].real),
                float(found.residuals[0]),
                limits[player],
                bool(found.converged[0]),
            )
        )
    return rows


def _leftmost(operator: LinearOperator, max_products: int, seed: int, start: Tensor | None = None) -> Eigenvalues:
    return eigenvalues(
        operator, 1, target="leftmost", start=start, max_products=max_products, tol=1e-3, seed=seed, vectors=False
    )


def real_limit(scheme: Scheme, mode: Mode) -> float:
    """The largest ``-h lambda`` of a real mode at which a player that moves alone does not overshoot.

    :attr:`Mode.limit` where every evaluation is a step; with extragradient it is found by scan and bisection, 1 without
    momentum.
    """
    if not isinstance(scheme, Extragradient):
        return mode.limit
    one = torch.ones(1, 1, dtype=torch.float64)
    alone = Reduced(-one, Space.of_sizes({"x": 1}), 0 * one, {"x": one}, True)
    return outlook(alone, scheme, {"x": Frozen(1.0, mode)}, 2.0).safe_step


def sharpness_section(rows: list[Sharpness]) -> dict[str, object]:
    """The record's section."""
    rated = [r for r in rows if r.ratio is not None]
    worst = max(rated, key=lambda r: r.ratio or 0.0) if rated else None
    sentence = "No limit is known for these bases."
    if worst is not None and worst.ratio is not None:
        side = "beyond" if worst.ratio > 1 else "within"
        who = "All players together" if worst.name == "joint" else f"Player {worst.name}"
        sentence = (
            f"{who}: step times curvature is {number(worst.value)}, {side} the limit {worst.limit:.3g} of its base "
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
