"""Twins: does a small difference between two runs grow or shrink? Needs no derivative at all.

Two runs make the same steps with the same batches and draws; the second starts a little beside the first. With ``d_t``
their difference in all floating-point state, optimizers and buffers included, the finite-size growth exponent is
``(1 / T) sum_t log(|d_{t+1}| / |d_t|)`` a step, ``d`` being drawn back to one small length after each step
[benettin1980]. Positive: the run forgets where it came from; negative: it is drawn to one path. For a linear map it is
the logarithm of the spectral radius. The mean is taken with weights that fade out towards both ends, since a rotating
``d`` makes the terms swing and a plain mean then errs by a swing over ``T`` [das2017].

``|d|`` is read in the parameters, and in what the run makes on fixed inputs where its roles name that: networks have
many parameters for one function. It is taken at two lengths, the median length of a step and a tenth of it; where the two
rates differ, a step is too long for its linear picture. By player: one is moved, without drawing back, the others are read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from separatrix.dynamics import Method, Run, Snapshot
from separatrix.dynamics.schemes import States
from separatrix.errors import InputError
from separatrix.fields import Field
from separatrix.fields.surroundings import frozen_randomness
from separatrix.probes.parting import Influence, Reading, Twins, weighted_means
from separatrix.probes.twin_influence import influences
from separatrix.probes.twin_pairs import PROBED, Floats, Pair, S, World, check_finite, norm, rounding

SCALES = (1.0, 0.1)


def twins(
    run: Run,
    *,
    steps: int = 30,
    directions: int = 3,
    scales: Sequence[float] = SCALES,
    burn_in: int | None = None,
    influence: bool = True,
    seed: int = 0,
) -> Twins:
    """The growth exponents of a run from where it stands; it is put back there, also after an exception.

    Args:
        run: the training step as a black box; it must replay (``run.check_replay()``). Its roles may name ``outputs`` to read
            and ``players`` to move.
        steps: how many steps the twins make together.
        directions: random directions in the parameters that require gradients.
        scales: lengths of the difference in step lengths; at least what rounding of the parameters allows.
        burn_in: steps left out of the mean; a quarter where ``None``.
        influence: with several players, move one at a time, too.
        seed: of the directions.

    Raises:
        InputError: not a Run, no trainable floating-point tensor in the state, a run that does not replay, or bad numbers.
        NonFiniteError: a run left the finite numbers; names the tensor.

    Cost: ``steps (1 + directions |scales|) + 7`` steps, two of them for the check that the run replays; by player
    ``steps (1 + directions |players|)`` more.
    """
    if not isinstance(run, Run):
        raise InputError(
            f"twins take a Run, got a {type(run).__name__}; make one of a training step and what it changes: sx.Run(step, "
            "{'net': net, 'opt': opt, ...}). For a method on a field there is twins_of_method."
        )
    replay = run.check_replay()
    if not replay.value:
        raise InputError(f"twins need a step that can be replayed. {replay.sentence}")
    with run.kept() as start:

        def advance(snapshot: Snapshot) -> Snapshot:
            run.restore(snapshot)
            run.step()
            return run.snapshot()

        def outputs(snapshot: Snapshot) -> Floats:
            if not run.roles.outputs:
                return {}
            run.restore(snapshot)
            with frozen_randomness(seed), torch.no_grad():
                return {name: make().detach().clone() for name, make in run.roles.outputs.items()}

        floats = start.floats()
        read = sorted(start.parameters() & set(floats)) or sorted(n for n in floats if not n.endswith(".grad"))
        world = World(advance, Snapshot.floats, Snapshot.replaced, outputs, read)
        found = _exponents(world, start, steps, directions, scales, burn_in, seed)
        cost = found.cost + 2
        names = run.roles.names
        moved: tuple[Influence, ...] = ()
        if influence and len(names) > 1:
            groups = {player: start.paths_of(run.roles.named_tensors(player).values()) for player in names}
            for player, paths in groups.items():
                if not paths:
                    raise InputError(f"player {player!r} moves tensors that the state of {run.name!r} does not list.")
            moved = influences(world, start, groups, steps, directions, min(scales), seed)
            cost += steps * (1 + directions * len(names)) + PROBED
        return dataclasses.replace(found, cost=cost, influence=moved)


def twins_of_method(
    method: Method,
    field: Field,
    x: Tensor | None = None,
    states: States | None = None,
    *,
    steps: int = 30,
    directions: int = 3,
    scales: Sequence[float] = SCALES,
    burn_in: int | None = None,
    seed: int = 0,
) -> Twins:
    """The same for a method on a field with its draw frozen; the field stays where it stands.

    Args:
        method, field: what runs.
        x, states: where it starts; where the field stands, with fresh states, if ``None``.
        steps, directions, scales, burn_in, seed: as for :func:`twins`.

    Cost: ``steps (1 + directions |scales|) + 5`` periods of the method.
    """
    here, fresh = method.init(field)
    start = (here if x is None else x.detach(), fresh if states is None else states)

    def advance(at: tuple[Tensor, States]) -> tuple[Tensor, States]:
        return method.step(field, *at)

    world = World(advance, _floats, _replaced, lambda at: {}, ["x"])
    return _exponents(world, start, steps, directions, scales, burn_in, seed)


def _exponents(
    world: World[S], start: S, steps: int, directions: int, scales: Sequence[float], burn_in: int | None, seed: int
) -> Twins:
    dropped = steps // 4 if burn_in is None else burn_in
    if not (steps > dropped >= 0 and directions >= 1 and scales and min(scales) > 0):
        raise InputError(
            f"twins need steps > burn_in >= 0, directions >= 1 and positive scales, got steps={steps}, burn_in={dropped}, "
            f"directions={directions}, scales={tuple(scales)}."
        )
    read = world.read
    if not read:
        raise InputError("the state of the run holds no floating-point tensor; list the modules that it trains.")
    length = world.step_lengths(start, {"": read})[""]
    generator = torch.Generator().manual_seed(seed)
    base = world.floats(start)

    def size(scale: float, step: float, floats: Floats) -> float:
        # A run whose steps grow takes the difference along, or it would drown in rounding.
        return max(scale * length, scale * step, rounding(floats, read))

    pairs = {
        scale: [Pair(world, base, size(scale, 0.0, base), generator) for _ in range(directions)] for scale in scales
    }
    here, made = start, world.outputs(start)
    for _ in range(steps):
        there = world.advance(here)
        floats, reached = world.floats(here), world.floats(there)
        check_finite(reached)
        step = norm({name: reached[name] - floats[name] for name in read})
        made_next = world.outputs(there)
        for scale, beside in pairs.items():
            for pair in beside:
                pair.follow(here, there, (made, made_next), size(scale, step, reached))
        here, made = there, made_next
    readings = tuple(
        _reading(name, scale, torch.tensor([pair.growth[name] for pair in beside], dtype=torch.float64), dropped)
        for name in pairs[scales[0]][0].growth
        for scale, beside in pairs.items()
    )
    main = min((r for r in readings if r.name == "parameters"), key=lambda r: r.scale)
    first = size(main.scale, 0.0, base)
    cost = steps * (1 + directions * len(scales)) + PROBED
    return Twins(
        main.value,
        main.stderr,
        main.growth,
        first,
        length,
        dropped,
        cost,
        readings,
    )


def _reading(name: str, scale: float, growth: Tensor, dropped: int) -> Reading:
    means = weighted_means(growth[:, dropped:])
    stderr = float(means.std() / len(means) ** 0.5) if len(means) > 1 else float("nan")
    return Reading(name or "parameters", scale, float(means.mean()), stderr, growth)


def _floats(at: tuple[Tensor, States]) -> Floats:
    x, states = at
    tensors = {
        f"{player}.state.{name}": value
        for player, state in states.items()
        for name, value in state.items()
        if isinstance(value, Tensor) and value.is_floating_point()
    }
    return {"x": x, **tensors}


def _replaced(at: tuple[Tensor, States], tensors: Mapping[str, Tensor]) -> tuple[Tensor, States]:
    x, states = at
    return tensors.get("x", x), {
        player: {name: tensors.get(f"{player}.state.{name}", value) for name, value in state.items()}
        for player, state in states.items()
    }
