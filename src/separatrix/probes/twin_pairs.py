"""Pairs of runs a small distance apart, drawn back to it after each step: what twins are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from separatrix.errors import NonFiniteError

S = TypeVar("S")
Floats = dict[str, Tensor]
SQUARES = ("sq", "square", "square_avg", "running_var", "sum", "exp_inf")  # what torch and we call squares
PROBED = 5  # steps from which the median step length is taken


@dataclass(frozen=True)
class World(Generic[S]):
    """Something that moves by steps.

    Attributes:
        advance: the state after one step, with the same draws from the same state.
        floats: the floating-point tensors of a state, by name.
        replaced: a state with other tensors in the place of some.
        outputs: what a state makes, by name; nothing where there is nothing to read.
        read: the names of the tensors that a distance is measured in.
    """

    advance: Callable[[S], S]
    floats: Callable[[S], Floats]
    replaced: Callable[[S, Mapping[str, Tensor]], S]
    outputs: Callable[[S], Floats]
    read: list[str]

    def step_lengths(self, start: S, groups: Mapping[str, list[str]]) -> dict[str, float]:
        """The median length of the next steps in each group of tensors; a millionth of the tensors where they stand still."""
        here, lengths = start, {name: list[float]() for name in groups}
        for _ in range(PROBED):
            there = self.advance(here)
            before, after = self.floats(here), self.floats(there)
            check_finite(after)
            for name, read in groups.items():
                lengths[name].append(norm({n: after[n] - before[n] for n in read}))
            here = there
        found = {name: float(torch.tensor(values, dtype=torch.float64).median()) for name, values in lengths.items()}
        floats = self.floats(start)
        return {
            name: length if length > 0 else 1e-6 * (1 + norm({n: floats[n] for n in groups[name]}))
            for name, length in found.items()
        }


class Pair(Generic[S]):
    """One run beside another, in one direction and at one length.

    Args:
        world: what moves.
        floats: where the other run stands.
        size: their distance.
        generator: of the direction.

    Attributes:
        growth: by reading (``""`` for the tensors, else an output), ``log`` of the growth of each step.
    """

    def __init__(self, world: World[S], floats: Floats, size: float, generator: torch.Generator) -> None:
        self.world, self.generator = world, generator
        self.apart = drawn(floats, world.read, size, generator)
        self.growth: dict[str, list[float]] = {}

    def follow(self, here: S, there: S, outputs: tuple[Floats, Floats], size: float) -> None:
        """One step beside the run's step from ``here`` to ``there``; the difference is then drawn to ``size``."""
        world, d = self.world, self.apart
        beside = world.replaced(here, shifted(world.floats(here), d, world.read))
        ahead = world.advance(beside)
        reached, moved = world.floats(there), world.floats(ahead)
        check_finite(moved)
        d_next = {name: moved[name] - reached[name] for name in reached if name in moved}
        length = norm(d_next, world.read)
        self._note("", norm(d, world.read), length)
        if outputs[0]:
            before, after = world.outputs(beside), world.outputs(ahead)
            for name in before:
                self._note(
                    name,
                    float((before[name] - outputs[0][name]).norm()),
                    float((after[name] - outputs[1][name]).norm()),
                )
        # Twins that became equal are told by -inf and start again in a new direction.
        self.apart = (
            {name: difference * (size / length) for name, difference in d_next.items()}
            if length > 0
            else drawn(reached, world.read, size, self.generator)
        )

    def _note(self, reading: str, before: float, after: float) -> None:
        grown = (
            torch.tensor(after / before, dtype=torch.float64).log().item() if after > 0 and before > 0 else -torch.inf
        )
        self.growth.setdefault(reading, []).append(grown if before > 0 else float("nan"))


def rounding(floats: Floats, read: Sequence[str]) -> float:
    """A length below which a difference is mostly rounding."""
    eps = max(torch.finfo(floats[name].dtype).eps for name in read)
    return 100 * eps * norm(floats, read)


def drawn(floats: Floats, read: Sequence[str], size: float, generator: torch.Generator) -> Floats:
    """A random direction of this length."""
    d = {n: torch.randn(floats[n].shape, generator=generator, dtype=torch.float64).to(floats[n]) for n in read}
    factor = size / norm(d)
    return {name: part * factor for name, part in d.items()}


def shifted(base: Floats, d: Floats, read: Sequence[str]) -> Floats:
    """``base + d``; second moments and variances, known by their names, stay non-negative."""
    moved = {}
    for name, difference in d.items():
        value = base[name] + difference
        moved[name] = value.clamp_min(0) if name not in read and name.endswith(SQUARES) else value
    return moved


def norm(d: Floats, read: Sequence[str] | None = None) -> float:
    """Euclidean length, in the named tensors alone where names are given."""
    names = d if read is None else read
    squares: list[float] = [float(d[name].double().square().sum()) for name in names]
    return float(torch.tensor(squares, dtype=torch.float64).sum().sqrt())


def check_finite(floats: Floats) -> None:
    """Refuse what is not finite.

    Raises:
        NonFiniteError: names the tensor.
    """
    for name, tensor in floats.items():
        if not bool(torch.isfinite(tensor).all()):
            raise NonFiniteError(
                f"{name!r} became non-finite while the twins ran; measure from an earlier checkpoint, or over fewer steps."
            )
