"""Twins: does a small difference between two runs grow or shrink? Needs no derivative at all.

Two runs make the same steps with the same batches and draws; the second starts a little beside the first. With ``d_t``
their difference in all floating-point state, read in the parameters, the finite-size growth exponent is
``(1 / T) sum_t log(|d_{t+1}| / |d_t|)`` a step, ``d`` being drawn back to one small length after each step
[benettin1980]. Positive: the run forgets where it came from; negative: it is drawn to one path. For a linear map it is
the logarithm of the spectral radius. The mean is taken with weights that fade out towards both ends,
``exp(-1 / (s (1 - s)))`` at ``s = t / T``, since a rotating ``d`` makes the terms swing and a plain mean then errs by a
swing over ``T`` [das2017].
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from separatrix.dynamics import Method, Run, Snapshot
from separatrix.dynamics.schemes import States
from separatrix.errors import InputError, NonFiniteError
from separatrix.fields import Field

S = TypeVar("S")
Floats = dict[str, Tensor]
SQUARES = ("sq", "square", "square_avg", "running_var", "sum", "exp_inf")  # what torch and we call squares
PROBED = 5  # steps from which the median step length is taken


@dataclass(frozen=True)
class Twins:
    """A growth exponent.

    Attributes:
        value: growth a step, ``log |d|``, weighted mean over the steps after the burn-in, mean over directions; minus infinity where the
            twins became equal.
        stderr: standard error over directions; NaN for one direction. With momentum or noise it leaves out that all
            directions see the same batches.
        growth: ``(directions, steps)``, ``log(|d_{t+1}| / |d_t|)`` of each step, the burn-in included.
        scale: the length of ``d`` in the parameters at the start; it grows with the steps of the run.
        step_length: the median length of a step in the parameters.
        burn_in: steps left out, in which ``d`` turns into the direction that grows.
        cost: steps made, all in all.
        sentence: the same in words.
    """

    value: float
    stderr: float
    growth: Tensor
    scale: float
    step_length: float
    burn_in: int
    cost: int
    sentence: str


def twins(
    run: Run,
    *,
    steps: int = 30,
    directions: int = 3,
    scale: float = 0.1,
    burn_in: int | None = None,
    seed: int = 0,
) -> Twins:
    """The growth exponent of a run from where it stands; it is put back there, also after an exception.

    Args:
        run: the training step as a black box; it must replay (``run.check_replay()``).
        steps: how many steps the twins make together.
        directions: random directions in the parameters that require gradients.
        scale: length of the difference in step lengths; at least what rounding of the parameters allows.
        burn_in: steps left out of the mean; a quarter where ``None``.
        seed: of the directions.

    Raises:
        InputError: no trainable floating-point tensor in the state, or a run that the steps do not move at all and that
            stands at zero.
        NonFiniteError: a run left the finite numbers; names the tensor.

    Cost: ``steps (1 + directions) + 7`` steps; two of them check that the run replays.
    """
    replay = run.check_replay()
    if not replay.value:
        raise InputError(f"twins need a step that can be replayed. {replay.sentence}")
    start = run.snapshot()

    def advance(snapshot: Snapshot) -> Snapshot:
        run.restore(snapshot)
        run.step()
        return run.snapshot()

    try:
        floats = start.floats()
        read = sorted(start.parameters() & set(floats)) or sorted(n for n in floats if not n.endswith(".grad"))
        found = _exponent(
            advance,
            Snapshot.floats,
            Snapshot.replaced,
            start,
            read,
            steps=steps,
            directions=directions,
            scale=scale,
            burn_in=burn_in,
            seed=seed,
        )
        return dataclasses.replace(found, cost=found.cost + 2)
    finally:
        run.restore(start)


def twins_of_method(
    method: Method,
    field: Field,
    x: Tensor | None = None,
    states: States | None = None,
    *,
    steps: int = 30,
    directions: int = 3,
    scale: float = 0.1,
    burn_in: int | None = None,
    seed: int = 0,
) -> Twins:
    """The same for a method on a field with its draw frozen; the field stays where it stands.

    Args:
        method, field: what runs.
        x, states: where it starts; where the field stands, with fresh states, if ``None``.
        steps, directions, scale, burn_in, seed: as for :func:`twins`.

    Cost: ``(steps (1 + directions) + 5)`` periods of the method.
    """
    here, fresh = method.init(field)
    start = (here if x is None else x.detach(), fresh if states is None else states)

    def advance(at: tuple[Tensor, States]) -> tuple[Tensor, States]:
        return method.step(field, *at)

    return _exponent(
        advance,
        _floats,
        _replaced,
        start,
        ["x"],
        steps=steps,
        directions=directions,
        scale=scale,
        burn_in=burn_in,
        seed=seed,
    )


def _exponent(
    advance: Callable[[S], S],
    floats: Callable[[S], Floats],
    replaced: Callable[[S, Mapping[str, Tensor]], S],
    start: S,
    read: list[str],
    *,
    steps: int,
    directions: int,
    scale: float,
    burn_in: int | None,
    seed: int,
) -> Twins:
    dropped = steps // 4 if burn_in is None else burn_in
    if not (steps > dropped >= 0 and directions >= 1 and scale > 0):
        raise InputError(
            f"twins need steps > burn_in >= 0, directions >= 1 and scale > 0, got steps={steps}, burn_in={dropped}, "
            f"directions={directions}, scale={scale}."
        )
    if not read:
        raise InputError("the state of the run holds no floating-point tensor; list the modules that it trains.")
    length = _step_length(advance, floats, start, read)
    size = first = max(scale * length, _rounding(floats(start), read))
    generator = torch.Generator().manual_seed(seed)
    apart = [_drawn(floats(start), read, size, generator) for _ in range(directions)]
    growth = torch.zeros(directions, steps, dtype=torch.float64)
    here = start
    for t in range(steps):
        there = advance(here)
        base, reached = floats(here), floats(there)
        _check_finite(reached)
        # A run whose steps grow takes the difference along, or it would drown in rounding.
        size = max(scale * length, scale * _norm(_moved(base, reached, read), read), _rounding(reached, read))
        for k, d in enumerate(apart):
            moved = floats(advance(replaced(here, _beside(base, d, read))))
            _check_finite(moved)
            d_next = {name: moved[name] - reached[name] for name in reached if name in moved}
            norm = _norm(d_next, read)
            growth[k, t] = torch.tensor(norm / _norm(d, read)).log() if norm > 0 else -torch.inf
            # Twins that became equal are told by -inf and start again in a new direction.
            apart[k] = (
                {name: difference * (size / norm) for name, difference in d_next.items()}
                if norm > 0
                else _drawn(reached, read, size, generator)
            )
        here = there
    s = (torch.arange(steps - dropped, dtype=torch.float64) + 0.5) / (steps - dropped)
    weights = torch.exp(-1 / (s * (1 - s)))
    means = growth[:, dropped:] @ (weights / weights.sum())
    value = float(means.mean())
    stderr = float(means.std() / directions**0.5) if directions > 1 else float("nan")
    cost = steps * (1 + directions) + PROBED
    return Twins(value, stderr, growth, first, length, dropped, cost, _sentence(value, stderr, steps - dropped, first))


def _step_length(advance: Callable[[S], S], floats: Callable[[S], Floats], start: S, read: list[str]) -> float:
    """The median length of the next steps in the parameters; a millionth of the parameters where they stand still."""
    here, lengths = start, []
    for _ in range(PROBED):
        there = advance(here)
        before, after = floats(here), floats(there)
        _check_finite(after)
        lengths.append(_norm(_moved(before, after, read), read))
        here = there
    median = float(torch.tensor(lengths, dtype=torch.float64).median())
    return median if median > 0 else 1e-6 * (1 + _norm(floats(start), read))


def _moved(before: Floats, after: Floats, read: list[str]) -> Floats:
    return {name: after[name] - before[name] for name in read}


def _rounding(floats: Floats, read: list[str]) -> float:
    """A length below which a difference is mostly rounding."""
    eps = max(torch.finfo(floats[name].dtype).eps for name in read)
    return 100 * eps * _norm(floats, read)


def _drawn(floats: Floats, read: list[str], size: float, generator: torch.Generator) -> Floats:
    d = {n: torch.randn(floats[n].shape, generator=generator, dtype=torch.float64).to(floats[n]) for n in read}
    factor = size / _norm(d, read)
    return {name: part * factor for name, part in d.items()}


def _beside(base: Floats, d: Floats, read: list[str]) -> Floats:
    """``base + d``; second moments and variances, known by their names, stay non-negative."""
    moved = {}
    for name, difference in d.items():
        value = base[name] + difference
        moved[name] = value.clamp_min(0) if name not in read and name.endswith(SQUARES) else value
    return moved


def _norm(d: Floats, read: list[str]) -> float:
    squares: list[float] = [float(d[name].double().square().sum()) for name in read]
    return float(torch.tensor(squares, dtype=torch.float64).sum().sqrt())


def _check_finite(floats: Floats) -> None:
    for name, tensor in floats.items():
        if not bool(torch.isfinite(tensor).all()):
            raise NonFiniteError(
                f"{name!r} became non-finite while the twins ran; measure from an earlier checkpoint, or over fewer steps."
            )


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


def _sentence(value: float, stderr: float, steps: int, size: float) -> str:
    error = f" +- {stderr:.2g}" if stderr == stderr else ""
    what = (
        "grows: the run depends on where it started"
        if value > 2 * (stderr if stderr == stderr else 0)
        else "shrinks: the run is drawn to one path"
        if value < -2 * (stderr if stderr == stderr else 0)
        else "neither grows nor shrinks beyond the error"
    )
    if abs(value) * steps < 1:
        what = f"hardly changes within {steps} steps (neutral)"
    return f"A difference of length {size:.2g} {what}: {value:+.4g}{error} a step."
