"""For one method on the small model: the steps that are safe, and the best of them.

A mode counts unless it grows in the flow itself (no step size mends those, :func:`growth_rates`) or is neutral: too slow to
move in the run that remains. Steps are multiples of the present one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import inf, isfinite, log2

import torch
from torch import Tensor

from separatrix.dynamics.bases import Frozen
from separatrix.dynamics.linear_period import check_linear
from separatrix.dynamics.modes import Mode
from separatrix.dynamics.schemes import Scheme, Simultaneous
from separatrix.probes.advise_slow import parted, slow_up_to, without_slow
from separatrix.probes.reduced import Reduced
from separatrix.probes.stability import ROUNDING, SCAN, bisect, growth_rates, without_growing

GOLDEN = (5**0.5 - 1) / 2
# Relative width to which borders and the best step are narrowed down.
BORDER, BEST = 1e-6, 1e-4
# How many scanned steps to each side the best one is sought, and at how many steps between.
LOOK, FINE = 4, 80
# A contraction per gradient below this is none.
STILL = 1e-9
# Where no step is too long, the best is sought up to so many times the inverse of the fastest mode.
LONGEST = 10.0
# A best step within this factor of a border is said to lie there.
EDGE = 1.1


@dataclass(frozen=True)
class SafeSteps:
    """What one method does to the modes that count, over all step sizes.

    Attributes:
        low, high: the range of safe steps around the best one; ``low`` is 0 where small steps are safe, ``high`` infinite
            where no limit was found; both 0 where no step is safe.
        best: the step with the strongest contraction per gradient; ``None`` where none is safe.
        growth: ``|m|`` of the slowest mode per gradient-equivalent, at the best step; at the present one where none is safe.
        present: the same at the present step; infinite where the model does not resolve all of its modes there.
        limiting: the multiplier that leaves the unit disc just above ``high``.
        slowest: the multiplier per period that ``growth`` is made of.
        short: the shortest steps are safe as well, in a range of their own below ``low``, and no mode grows in the flow.
        unresolved: above ``high`` the model does not resolve its modes any more; what happens there is not known.
        border: relative error of ``low`` and ``high``.
    """

    low: float
    high: float
    best: float | None
    growth: float
    present: float
    limiting: complex | None
    slowest: complex | None
    border: float = BORDER
    short: bool = False
    unresolved: bool = False

    @property
    def edge(self) -> float | None:
        """The border that the best step lies at, within a tenth; ``None`` where it lies at none."""
        if self.best is None:
            return None
        return next((e for e in (self.high, self.low) if 0 < e < inf and 1 / EDGE <= self.best / e <= EDGE), None)


@dataclass(frozen=True)
class Tried:
    """A method on the small model.

    Attributes:
        reduced: the model, of the field that the method sees.
        scheme: its scheme.
        bases: in the optimiser's metric; scale 1 is the present step.
        gradients: gradient-equivalents of a step.
        neutral: how many modes of the flow are too slow to count.
    """

    reduced: Reduced
    scheme: Scheme
    bases: Mapping[str, Frozen]
    gradients: float
    neutral: int = 0

    def at(self, step: float) -> dict[str, Frozen]:
        """The bases at a multiple of the present step."""
        return {p: b.times(step) for p, b in self.bases.items()}

    def multipliers(self, step: float) -> Tensor:
        """Those per period that count, largest modulus first."""
        return self._counting(self.all_multipliers(step), step)

    def all_multipliers(self, step: float) -> Tensor:
        """Those that the model resolves, whether they count or not."""
        return self.reduced.multipliers(self.scheme, self.at(step))

    def _counting(self, values: Tensor, step: float) -> Tensor:
        if not bool(torch.isfinite(values).all()):  # a step so long that its map overflows
            return values
        kept = without_growing(values, self.growing, self.scheme, self.bases, step)
        return without_slow(kept, self.paces, step) if self.neutral else kept

    def modulus(self, step: float) -> float:
        """The largest of them per period; 1 where none counts, infinite where the model no longer resolves all of its modes."""
        values = self.all_multipliers(step)
        if len(values) < self.seen:
            return inf
        kept = self._counting(values, step)
        return float(kept[0].abs()) if len(kept) else 1.0

    @cached_property
    def seen(self) -> int:
        """How many modes it resolves as the step goes to zero: those of the flow, not of the memories; 0 where it is exact."""
        if self.reduced.exact:
            return 0
        return int(((self.all_multipliers(SCAN[0] / self.fastest) - 1).abs() < 0.01).sum())

    @cached_property
    def fastest(self) -> float:
        """The largest ``|h lambda|``."""
        return float(torch.linalg.eigvals(self.reduced.matrix).abs().max()) if self.reduced.space.n else 0.0

    @cached_property
    def growing(self) -> Tensor:
        """``h lambda`` of the modes that grow in the flow itself, and not too slowly to count."""
        return growth_rates(self.reduced, above=self.slow_up_to)

    @cached_property
    def slow_up_to(self) -> float:
        """The largest ``|h lambda|`` of what is too slow to count."""
        return slow_up_to(self.reduced.matrix, self.neutral)

    @cached_property
    def paces(self) -> Tensor:
        """``(m - 1) / step`` at a small step of what is too slow to count and resolved at all."""
        if self.fastest == 0.0:
            return torch.zeros(self.neutral, dtype=torch.complex128)
        step = SCAN[0] / self.fastest
        plain = self.reduced.multipliers(Simultaneous(), {p: Frozen(step, Mode()) for p in self.bases})
        resolved = int(((plain - 1).abs() <= (1 + 1e-6) * step * self.slow_up_to + 1e-12).sum())
        moved = without_growing(self.all_multipliers(step), self.growing, self.scheme, self.bases, step) - 1
        paces: Tensor = moved[moved.abs().argsort()[:resolved]] / step
        return paces

    def growth(self, step: float) -> float:
        """Largest modulus per gradient-equivalent."""
        return self.per_gradient(self.modulus(step))

    def per_gradient(self, modulus: float) -> float:
        """A period's growth per gradient-equivalent."""
        return float(modulus ** (1 / (self.scheme.cycle * self.gradients)))

    def safe(self, step: float) -> bool:
        return self.bounded(self.modulus(step))

    def bounded(self, modulus: float) -> bool:
        """Whether a period with this growth lets nothing grow, rounding aside."""
        return modulus <= 1 + ROUNDING * self.scheme.cycle


def safe_steps(tried: Tried) -> SafeSteps:
    """Scan eight decades around the inverse of the fastest mode, narrow down the borders and the best step.

    A safe range narrower than a fifth of a decade can be missed. Cost: no gradients; some 250 eigenproblems of the
    model's size.
    """
    check_linear(tried.scheme)
    scale = tried.fastest
    if scale == 0.0 or tried.neutral >= tried.reduced.space.n:
        return SafeSteps(0.0, inf, 1.0, 1.0, 1.0, None, None)
    steps = [float(s) for s in SCAN / scale]
    moduli = [tried.modulus(s) for s in steps]
    safe = [tried.bounded(m) for m in moduli]
    growth = [tried.per_gradient(m) if ok else inf for m, ok in zip(moduli, safe, strict=True)]
    present = tried.growth(1.0)
    if not any(safe):
        return SafeSteps(0.0, 0.0, None, present, present, _first(tried, steps[0]), _first(tried, 1.0))
    i = min(range(len(steps)), key=growth.__getitem__)
    first, last = i, i
    while first > 0 and safe[first - 1]:
        first -= 1
    while last < len(steps) - 1 and safe[last + 1]:
        last += 1
    low = 0.0 if first == 0 else bisect(lambda s: not tried.safe(s), steps[first - 1], steps[first], BORDER)
    high = inf if last == len(steps) - 1 else bisect(tried.safe, steps[last], steps[last + 1], BORDER)
    if low == 0.0 and min(growth) > 1 - STILL and grows_unseen(tried, high):
        return SafeSteps(0.0, 0.0, None, present, present, _first(tried, high), _first(tried, 1.0))
    # Up to the borders themselves: the least may lie between one and the scanned step next to it.
    longest = steps[last] if high == inf else high
    best = _least(
        tried,
        steps[i - LOOK] if i - LOOK >= first else low or steps[first],
        steps[i + LOOK] if i + LOOK <= last else longest,
    )
    if growth[i] <= tried.growth(best):
        best = steps[i]
    if high == inf:
        best = min(best, max(LONGEST / scale, low))
    if low <= 1 <= high and present <= tried.growth(best) + STILL:
        best = 1.0  # no step is better than the present one
    above = high * (1 + 10 * BORDER)
    unresolved = high < inf and tried.modulus(above) == inf
    limiting = _first(tried, above) if high < inf and not unresolved else None
    return SafeSteps(
        low,
        high,
        best,
        tried.growth(best),
        present,
        limiting,
        _first(tried, best),
        short=low > 0 and safe[0] and tried.bounded(float(tried.all_multipliers(steps[0]).abs().max())),
        unresolved=unresolved,
    )


def grows_unseen(tried: Tried, high: float) -> bool:
    """Whether below a border nothing is bounded, but grows by a power of the step that rounding hides: ``|m| - 1`` at a half and a
    quarter of the border falls off as one.
    """
    if high == inf:
        return False
    excess = [tried.modulus(high / part) - 1 for part in (1, 2, 4)]
    if min(excess) <= 0 or not isfinite(max(excess)):
        return False
    first, second = (log2(a / b) for a, b in pairwise(excess))
    return first > 1.5 and abs(first - second) < 0.3


def _first(tried: Tried, step: float) -> complex | None:
    kept = tried.multipliers(step)
    return complex(kept[0]) if len(kept) else None


def _least(tried: Tried, low: float, high: float) -> float:
    """The step with the least growth between two: a look at ``FINE`` steps, since modes that take over from each other leave
    several minima, then golden section on the logarithm around the least of them.
    """
    looked = [low * (high / low) ** (j / FINE) for j in range(FINE + 1)]
    j = min(range(FINE + 1), key=lambda j: tried.growth(looked[j]))
    low, high = looked[max(j - 1, 0)], looked[min(j + 1, FINE)]
    ratio = high / low
    while ratio > 1 + BEST:
        a, b = low * ratio ** (1 - GOLDEN), low * ratio**GOLDEN
        if tried.growth(a) <= tried.growth(b):
            high = b
        else:
            low = a
        ratio = high / low
    return float(low**0.5 * high**0.5)


def counting(tried: Tried, step: float) -> tuple[Tensor, Tensor] | None:
    """Left rows and right columns that span a period's modes that count, real and dual to each other; ``None`` where all do."""
    period = tried.reduced.period(tried.scheme, tried.at(step))
    kept = tried.multipliers(step)
    if len(kept) == len(period):
        return None
    return parted(period, kept)
