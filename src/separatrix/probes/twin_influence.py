"""Who is moved by whom: one player starts a little beside itself, and all are read some steps later."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from separatrix.probes.parting import Influence
from separatrix.probes.twin_pairs import S, World, check_finite, drawn, norm, rounding, shifted


def influences(
    world: World[S],
    start: S,
    groups: Mapping[str, list[str]],
    steps: int,
    directions: int,
    scale: float,
    seed: int,
) -> tuple[Influence, ...]:
    """Each player's influence on each, itself included.

    Args:
        world: what moves.
        start: from where.
        groups: the names of each player's tensors.
        steps: until they are read.
        directions: random displacements a player.
        scale: their length, in that player's step lengths; at least what rounding allows.
        seed: of the directions.
    """
    lengths = world.step_lengths(start, groups)
    end, base = start, world.floats(start)
    for _ in range(steps):
        end = world.advance(end)
    reached = world.floats(end)
    check_finite(reached)
    generator = torch.Generator().manual_seed(seed)
    found = []
    for of, read in groups.items():
        size = max(scale * lengths[of], rounding(base, read))
        logs: dict[str, list[float]] = {on: [] for on in groups}
        for _ in range(directions):
            moved = world.replaced(start, shifted(base, drawn(base, read, size, generator), read))
            for _ in range(steps):
                moved = world.advance(moved)
            floats = world.floats(moved)
            check_finite(floats)
            for on, theirs in groups.items():
                away = norm({n: floats[n] - reached[n] for n in theirs}) / lengths[on]
                logs[on].append(torch.tensor(away * lengths[of] / size, dtype=torch.float64).log().item())
        for on in groups:
            values = torch.tensor(logs[on], dtype=torch.float64)
            stderr = float(values.std() / directions**0.5) if directions > 1 else float("nan")
            found.append(Influence(of, on, float(values.mean().exp()), stderr, steps))
    return tuple(found)
