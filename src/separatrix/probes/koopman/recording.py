"""Recordings of a run: what it did, in random projections, with a second future of each point where the draws can be changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.dynamics import Run, Snapshot
from separatrix.dynamics.streams import reseed
from separatrix.errors import InputError, NonFiniteError
from separatrix.fields.surroundings import frozen_randomness
from separatrix.probes.koopman.sketch import Sketch


@dataclass(frozen=True)
class Recording:
    """A run's path.

    Attributes:
        values: ``(M + 1, columns)``, one row every ``every`` steps.
        second: ``(M, columns)``, where the run would have gone from each row but the last on other draws; ``None`` where that was
            not tried.
        every: steps between rows.
        columns: the group of each column: a player, ``output:NAME``, or ``state``.
        cost: steps made.
    """

    values: Tensor
    second: Tensor | None
    every: int
    columns: tuple[str, ...]
    cost: int


def record(
    run: Run,
    *,
    steps: int = 400,
    every: int = 4,
    pairs: bool = True,
    redraw: Callable[[int], None] | None = None,
    width: int = 16,
    seed: int = 0,
) -> Recording:
    """Let a run go on, write down where it goes, and put it back.

    Args:
        run: its players (all trainable tensors where the roles name none) and outputs are recorded.
        steps: how many it makes.
        every: steps between two rows.
        pairs: from each row, also go on with other draws, to tell noise from motion.
        redraw: changes what the run will draw next, given a number; the global streams and the generators in the state are seeded
            anew where ``None``. A position in the data is not changed by that: give a function that moves it.
        width: numbers a group.
        seed: of projections and draws.

    Raises:
        InputError: bad numbers, or nothing trainable in the state.
        NonFiniteError: the run left the finite numbers.

    Cost: ``steps`` steps, twice that with pairs.
    """
    if every < 1 or steps < 2 * every or width < 1:
        raise InputError(
            f"a recording needs steps >= 2 every >= 2 and width >= 1, got steps={steps}, every={every}, width={width}."
        )
    rows, others = [], []
    with run.kept() as here:
        read = _reader(run, here, seed)
        sketch = Sketch(read(here), width=width, seed=seed)
        rows.append(_finite(sketch(read(here)), 0))
        for row in range(steps // every):
            if pairs:
                run.restore(here)
                if redraw is None:
                    reseed(run.state, 1_000_003 * (seed + 1) + row)
                else:
                    redraw(row)
                others.append(_finite(sketch(read(_on(run, every))), row + 1))
            run.restore(here)
            here = _on(run, every)
            rows.append(_finite(sketch(read(here)), row + 1))
    cost = (1 + pairs) * (steps // every) * every
    second = torch.stack(others) if pairs else None
    return Recording(torch.stack(rows), second, every, tuple(sketch.columns), cost)


def _on(run: Run, steps: int) -> Snapshot:
    for _ in range(steps):
        run.step()
    return run.snapshot()


def _reader(run: Run, start: Snapshot, seed: int) -> Callable[[Snapshot], dict[str, Mapping[str, Tensor]]]:
    """Reads the groups of tensors at a snapshot."""
    roles = run.roles
    groups = {player: start.paths_of(roles.named_tensors(player).values()) for player in roles.names}
    groups = {player: paths for player, paths in groups.items() if paths}
    if not groups:
        floats = start.floats()
        groups = {
            "state": sorted(start.parameters() & set(floats)) or sorted(n for n in floats if not n.endswith(".grad"))
        }
    if not any(groups.values()):
        raise InputError(
            f"the state of {run.name!r} holds no floating-point tensor to record; list the modules that it trains."
        )

    def read(at: Snapshot) -> dict[str, Mapping[str, Tensor]]:
        floats = at.floats()
        found: dict[str, Mapping[str, Tensor]] = {g: {p: floats[p] for p in paths} for g, paths in groups.items()}
        for name, make in roles.outputs.items():
            run.restore(at)
            with frozen_randomness(seed), torch.no_grad():
                found[f"output:{name}"] = {"": make().detach()}
        return found

    return read


def _finite(row: Tensor, number: int) -> Tensor:
    if not bool(torch.isfinite(row).all()):
        raise NonFiniteError(
            f"the run became non-finite before row {number} of the recording; start from an earlier checkpoint."
        )
    return row
