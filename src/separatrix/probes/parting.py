"""What twins found: how fast two runs that start a hair apart part, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp, isnan

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.probes.numbers import growth_percent, number, times, with_error


def weighted_means(growth: Tensor) -> Tensor:
    """The mean over the steps ``(directions, steps)`` with weights that fade out towards both ends [das2017]."""
    steps = growth.shape[1]
    s = (torch.arange(steps, dtype=torch.float64) + 0.5) / steps
    weights = torch.exp(-1 / (s * (1 - s)))
    means: Tensor = growth @ (weights / weights.sum())
    return means


@dataclass(frozen=True)
class Reading:
    """The growth exponent in one reading at one length.

    Attributes:
        name: ``parameters``, or the name of an output.
        scale: the length of the difference, in step lengths.
        value, stderr, growth: as in :class:`Twins`.
    """

    name: str
    scale: float
    value: float
    stderr: float
    growth: Tensor


@dataclass(frozen=True)
class Influence:
    """What a displacement of one player has become in another.

    Attributes:
        of: who was moved.
        on: who is read.
        value: ``(|d_on| / step_on) / (|d_of| / step_of)`` after ``steps`` steps, each in the median length of that player's own
            steps; geometric mean over directions. 1 on itself: the displacement is still there.
        stderr: standard error of its logarithm over directions; NaN for one.
        steps: after how many steps.
    """

    of: str
    on: str
    value: float
    stderr: float
    steps: int


@dataclass(frozen=True, repr=False)
class Twins:
    """Growth exponents; ``str()`` is a sentence and a table.

    ``value``, ``stderr`` and ``growth`` are those of the parameters at the smallest length.

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
        readings: all readings at all lengths.
        influence: what moving one player does to each, for a run whose roles name several.
    """

    value: float
    stderr: float
    growth: Tensor
    scale: float
    step_length: float
    burn_in: int
    cost: int
    readings: tuple[Reading, ...] = ()
    influence: tuple[Influence, ...] = ()

    def reading(self, name: str = "parameters", scale: float | None = None) -> Reading:
        """One reading, at the smallest length where none is given.

        Raises:
            InputError: there is no such reading; lists those there are.
        """
        found = [r for r in self.readings if r.name == name and scale in (None, r.scale)]
        if not found:
            there = sorted({(r.name, r.scale) for r in self.readings})
            raise InputError(f"there is no reading {name!r} at the length {scale}; there are {there}.")
        return min(found, key=lambda r: r.scale)

    @property
    def steps(self) -> int:
        """The steps that the mean is taken over."""
        return self.growth.shape[1] - self.burn_in

    @property
    def neutral(self) -> bool:
        """Whether ``T |log |m|| < 1`` over these ``T`` steps: the difference changes by less than a factor e."""
        return abs(self.value) * self.steps < 1

    @property
    def sentence(self) -> str:
        """The same in words: the growth with its error, and what it amounts to over the steps that were run."""
        if self.value == -float("inf"):
            return f"A difference of length {number(self.scale, 2)} is gone after a step: the twins became equal."
        rate = f"log |m| = {number(self.value)}"
        if isnan(self.stderr):
            clear, error = True, f"{rate}, from one direction, so its error is unknown"
        else:
            clear = abs(self.value) > 2 * self.stderr
            error = f"{rate} ± {number(self.stderr, 1)}{self._away()}"
        does = "grows" if self.value > 0 else "shrinks"
        change = growth_percent(exp(min(self.value, 700.0))).lstrip("+−-")
        by = f"by {change} a step" if "×" not in change else f"{change} a step"
        what = f"{does} {by} ({error})" if clear else f"neither grows nor shrinks beyond the error ({error})"
        return f"A difference of length {number(self.scale, 2)} {what}. {self._amounts(clear)}"

    def _away(self) -> str:
        if not self.stderr:
            return ""
        errors = abs(self.value) / self.stderr
        return f", {number(errors, 2) if errors < 100 else 'more than 100'} standard errors from 0"

    def _amounts(self, clear: bool) -> str:
        """What the growth amounts to over the steps that were run, and what that is called."""
        total = self.value * self.steps
        factor = f"Over the {self.steps} steps that were measured that is a factor of {_factor(total)}"
        if self.neutral:
            longer = f"; a factor e would take {times(ceil(1 / abs(self.value)))} steps" if clear and self.value else ""
            return f"{factor}: neutral, since T |log |m|| = {number(abs(total), 2)} is below 1{longer}."
        if not clear:
            return f"{factor}, but with this error it is undecided; take more steps or directions."
        told = "the run depends on where it started" if self.value > 0 else "the run is drawn to one path"
        return f"{factor}: {told}."

    def __str__(self) -> str:
        rows = [
            (f"direction {k + 1}", number(v))
            for k, v in enumerate(weighted_means(self.growth[:, self.burn_in :]).tolist())
        ]
        error = "" if isnan(self.stderr) else f" ± {number(self.stderr, 1)}"
        rows.append(("mean", f"{number(self.value)}{error}"))
        shown = [r for r in self.readings if r.growth is not self.growth]
        rows += [(f"{r.name}, {number(r.scale)} steps apart", with_error(r.value, _known(r.stderr))) for r in shown]
        left = max(len(name) for name, _ in rows)
        table = [f"{name:<{left}}  {value}" for name, value in [("", "log |m| a step"), *rows]]
        made = f"{self.growth.shape[1]} steps, the first {self.burn_in} left out; a step is {number(self.step_length)} long; {self.cost} steps in all"
        moved = [
            f"{i.of} moved by a step moves {i.on} by {number(i.value)} of its steps within {i.steps} steps"
            for i in self.influence
        ]
        return "\n".join([self.sentence, "", *table, "", *moved, made])

    def __repr__(self) -> str:
        return str(self)


def _known(error: float) -> float | None:
    return None if isnan(error) else error


def _factor(logarithm: float) -> str:
    if logarithm > 700:
        return "more than 1e304"
    factor = exp(logarithm)
    return times(factor) if factor >= 1.1 else number(factor)
