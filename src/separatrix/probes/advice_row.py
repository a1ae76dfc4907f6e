"""One row of an advice: a method as predicted, as words and as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from separatrix.dynamics import Comparison, Method
from separatrix.probes.advise_noise import MeanSquare
from separatrix.probes.advise_range import SafeSteps
from separatrix.probes.advise_transient import Transient
from separatrix.probes.numbers import growth_percent, number, times


@dataclass(frozen=True)
class Candidate:
    """One method, as predicted.

    Attributes:
        name: with its momentum; a remedy's name in front.
        method: at the present step.
        remedy: the name of the modified problem that it was tried on; empty for the problem as it is.
        gradients: gradient-equivalents of a step, of its own problem.
        steps: the range of safe steps, in multiples of the present one; ``None`` where there is no prediction.
        residual: of the multiplier that decides at the best step: what leaves the small model in a period.
        transient: of differences, at the best step.
        noise: mean-square growth and floor at the best step; ``None`` where no draws were sampled.
        noisy_high: the largest step tried that contracts in mean square; ``None`` where noise was not measured, 0 where none does.
        attracts: it settles where the flow itself does not.
        why: a sentence.
    """

    name: str
    method: Method
    remedy: str
    gradients: float
    steps: SafeSteps | None
    residual: float
    transient: Transient | None
    noise: MeanSquare | None
    noisy_high: float | None
    attracts: bool
    why: str

    @property
    def growth(self) -> float:
        """Of the slowest mode that counts per gradient-equivalent at the best step; of the root mean square where noise is known."""
        if self.steps is None:
            return float("inf")
        if self.steps.best is None:
            return float("inf")
        if self.noise is not None:
            return float(self.noise.growth ** (1 / (2 * self.method.scheme.cycle * self.gradients)))
        return self.steps.growth


def multiple(factor: float) -> str:
    """A multiple of the step, to two digits."""
    return times(float(f"{factor:.2g}"))


def range_words(s: SafeSteps) -> str:
    """``up to 2``, ``0.5 to 2``, ``from 0.5``, ``all``, ``none``."""
    if s.best is None:
        return "none"
    if not isfinite(s.high):
        return "all" if s.low == 0 else f"from {multiple(s.low)}"
    return f"up to {multiple(s.high)}" if s.low == 0 else f"{multiple(s.low)} to {multiple(s.high)}"


def race_lines(race: Comparison) -> list[str]:
    """The race as a table: medians with the lowest and the highest."""
    part = "score" if race.rows and race.rows[0].score else ""
    names = list(race.rows[0].score) if part else []
    head = [
        "race lane",
        *(f"{n} ({race.better.get(n, '?')} is better)" for n in names),
        "field's growth per gradient",
        "status",
    ]
    rows = [head]
    for row in race.rows:
        spread = [f"{number(s.median)} ({number(s.low)} to {number(s.high)})" for s in row.score.values()]
        bad = [s for s in row.status if s != "done"]
        rows.append(
            [
                row.name,
                *spread,
                growth_percent(row.growth.median) if row.growth.median == row.growth.median else "not finite",
                f"{len(bad)} stopped" if bad else "done",
            ]
        )
    widths = [max(len(r[i]) for r in rows) for i in range(len(head))]
    return ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows]


def row_data(row: Candidate) -> dict[str, Any]:
    s, t, n = row.steps, row.transient, row.noise
    data = {
        "method": row.name,
        "remedy": row.remedy,
        "describe": row.method.describe(),
        "gradients": row.gradients,
        "predicted": s is not None,
        "safe_low": None if s is None else s.low,
        "safe_high": None if s is None else s.high,
        "border_error": None if s is None else s.border,
        "shortest_steps_safe_too": None if s is None else s.low == 0 or s.short,
        "unresolved_above": None if s is None else s.unresolved,
        "border_near_best_step": None if s is None else s.edge,
        "best_step": None if s is None else s.best,
        "growth_per_gradient": row.growth,
        "growth_per_gradient_of_the_mean": None if s is None else s.growth,
        "growth_per_gradient_at_present": None if s is None else s.present,
        "residual": row.residual,
        "limiting": None if s is None or s.limiting is None else [s.limiting.real, s.limiting.imag],
        "transient": None if t is None else {"at_least": t.value, "step": t.step, "until": t.until},
        "mean_square": None if n is None else {"growth": n.growth, "error": n.error, "floor": n.floor, "floor_residual": n.floor_residual, "floor_error": n.floor_error, "safe_high": row.noisy_high},
        "attracts_what_the_flow_leaves": row.attracts,
        "why": row.why,
    }  # fmt: skip
    return dict(finite(data))


def finite(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {str(k): finite(v) for k, v in data.items()}
    if isinstance(data, (list, tuple)):
        return [finite(v) for v in data]
    return None if isinstance(data, float) and not isfinite(data) else data
