"""What is predicted of a method, against what its steps do, on two hundred random quadratic games."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from random_games import LINEAR, SideBySide, side_by_side, simulated
from torch import Tensor

from separatrix.dynamics import SGD, Frozen, Method, Mode, UpdateMap, multipliers
from separatrix.dynamics.schemes import Alternating, Competitive

PLAYERS = (2, 3, 4)
STEPS = torch.logspace(-3, 1, 41, dtype=torch.float64)
games = cache(side_by_side)


@pytest.mark.parametrize("players", PLAYERS)
@pytest.mark.parametrize("name", LINEAR)
def test_the_predicted_one_period_map_equals_the_simulated_one(name: str, players: int) -> None:
    group = games(players)
    for base in (SGD(0.1), SGD(0.05, momentum=0.6)):
        method = Method(base, LINEAR[name])
        if base.momentum and name == "competitive":
            continue  # it takes none
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
        method = Method(bases, scheme)
        apply, layout = simulated(method, group.field, dense=scheme.solves)
        return radius(group.blocks(apply, group.parts(layout)))

    def predicted(steps: Tensor) -> Tensor:
        scaled = steps[:, None, None] * group.matrices
        if isinstance(scheme, Alternating):
            return radius(product_of_moves(scaled, group, scheme.repeats))
        if isinstance(scheme, Competitive):
            same = group.owner[:, :, None] == group.owner[:, None, :]
            identity = torch.eye(scaled.shape[1], dtype=torch.float64)
            cross = torch.where(same, torch.zeros(()), scaled)
            return radius(identity + torch.linalg.solve(identity - cross, scaled))
        values = torch.linalg.eigvals(scaled)
        values = torch.where(values == 0, values.gather(1, values.abs().argmax(1)[:, None]), values)  # the padding
        own = {"step": steps.repeat_interleave(values.shape[1])} if name == "stabilised" else {}
        return multipliers(scheme, values.reshape(-1), **own)[:, 0].abs().reshape(values.shape).amax(1)

    border, below, found = first_border(predicted, len(group.matrices))
    assert found.any()
    inside, outside = border / 1.03, border * 1.03
    for step, expected in ((0.9 * inside, below), (inside, below), (outside, ~below)):
        assert bool((grows(observed(step)) == expected)[found].all())
    for _ in range(6):
        middle = (inside * outside).sqrt()
        still = grows(observed(middle)) == below
        inside, outside = torch.where(still, middle, inside), torch.where(still, outside, middle)
    gap = (inside / border - 1).abs()[found]
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


def grows(radii: Tensor) -> Tensor:
    return radii > 1 + 1e-9


def first_border(radii, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """For each game the first step size at which growth begins or ends, whether it grows below, and whether there is one.

    Most methods are safe below; proximal steps are safe above where the field itself repels.
    """
    growth = torch.stack([grows(radii(torch.full((count,), h, dtype=torch.float64))) for h in STEPS.tolist()])
    changes = growth[1:] != growth[:-1]
    first = torch.where(changes.any(0), changes.int().argmax(0), 0)
    low, high, below = STEPS[first], STEPS[first + 1], growth[0]
    for _ in range(14):
        middle = (low * high).sqrt()
        still = grows(radii(middle)) == below
        low, high = torch.where(still, middle, low), torch.where(still, high, middle)
    return low, below, changes.any(0)
