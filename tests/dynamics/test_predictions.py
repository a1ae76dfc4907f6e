"""What is predicted of a method, against what its steps do, on two hundred random quadratic games."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from random_games import LINEAR, SideBySide, side_by_side, simulated
from torch import Tensor

from separatrix.dynamics import SGD, Frozen, Method, Mode, UpdateMap, multipliers
from separatrix.dynamics.schemes import Alternating

PLAYERS = (2, 3, 4)
STEPS = torch.logspace(-3, 1, 41, dtype=torch.float64)
games = cache(side_by_side)


@pytest.mark.parametrize("players", PLAYERS)
@pytest.mark.parametrize("name", LINEAR)
def test_the_predicted_one_period_map_equals_the_simulated_one(name: str, players: int) -> None:
    group = games(players)
    for base in (SGD(0.1), SGD(0.05, momentum=0.6)):
        method = Method(base, LINEAR[name])
        apply, layout = simulated(method, group.field)
        parts = group.parts(layout)
        operator = UpdateMap(method, group.field, frozen=True)
        # torch's momentum is a sum of gradients; the prediction's is the displacement it makes.
        unit = torch.cat(
            [torch.full((size,), -base.lr if k == "buffer" else 1.0, dtype=torch.float64) for _, k, size in layout]
        )
        seen = group.blocks(lambda z, unit=unit, apply=apply: unit * apply(z / unit), parts)
        gap = (group.blocks(lambda z, m=operator: m @ z, parts) - seen).abs().max().item()
        assert gap < 1e-10, f"{gap:.2g}"
        assert seen.abs().max() > 0.1  # not zero against zero


@pytest.mark.parametrize("players", PLAYERS)
@pytest.mark.parametrize("name", LINEAR)
def test_the_range_of_safe_steps_agrees_with_bisection_of_the_simulated_radius(name: str, players: int) -> None:
    """Predicted per eigenvalue, or by the product of the moves; simulated with a step size of its own for every game."""
    group, scheme = games(players), LINEAR[name]

    def observed(steps: Tensor) -> Tensor:
        spread = group.spread(steps)
        bases = {p: Frozen(group.field.space.take(spread, p), Mode()) for p in group.field.players}
        apply, layout = simulated(Method(bases, scheme), group.field)
        return radius(group.blocks(apply, group.parts(layout)))

    def predicted(steps: Tensor) -> Tensor:
        scaled = steps[:, None, None] * group.matrices
        if isinstance(scheme, Alternating):
            return radius(product_of_moves(scaled, group, scheme.repeats))
        values = torch.linalg.eigvals(scaled)
        return multipliers(scheme, values.reshape(-1))[:, 0].abs().reshape(values.shape).amax(1)

    limit, grows = limits(predicted, len(group.matrices))
    assert grows.any()
    inside, outside = limit / 1.03, limit * 1.03
    assert bool((observed(outside) > 1)[grows].all())
    stable = limit > STEPS[0]
    for part in (0.05, 0.3, 1 / 1.03):
        assert bool((observed(part * limit) <= 1 + 1e-9)[stable].all())
    for _ in range(6):
        middle = (inside * outside).sqrt()
        fine = observed(middle) <= 1 + 1e-9
        inside, outside = torch.where(fine, middle, inside), torch.where(fine, outside, middle)
    gap = (inside / limit - 1).abs()[grows & stable]
    assert (gap < 1e-3).all(), gap.tolist()


def product_of_moves(scaled: Tensor, group: SideBySide, repeats: dict[str, int]) -> Tensor:
    """``prod_i (I + E_i h A)`` with the players' projectors ``E_i``."""
    identity = torch.eye(scaled.shape[1], dtype=torch.float64)
    period = identity.expand_as(scaled)
    for number, player in enumerate(group.field.players):
        move = identity + (group.owner == number)[:, :, None] * scaled
        for _ in range(repeats.get(player, 1)):
            period = move @ period
    return period


def radius(matrices: Tensor) -> Tensor:
    return torch.linalg.eigvals(matrices).abs().amax(1)


def limits(radii, count: int) -> tuple[Tensor, Tensor]:
    """The largest step up to which nothing grows, for each game, and whether it grows at all up to the last one scanned.

    The smallest one scanned where it grows at once.
    """
    growth = torch.stack([radii(torch.full((count,), h, dtype=torch.float64)) > 1 + 1e-9 for h in STEPS.tolist()])
    first = torch.where(growth.any(0), growth.int().argmax(0), len(STEPS) - 1)
    low, high = STEPS[(first - 1).clamp(min=0)], STEPS[first]
    for _ in range(14):
        middle = (low * high).sqrt()
        fine = radii(middle) <= 1 + 1e-9
        low, high = torch.where(fine, middle, low), torch.where(fine, high, middle)
    return low, growth.any(0)
