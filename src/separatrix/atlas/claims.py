"""A claim: one sentence, a measured number with its spread, the bound that decides it, and a verdict.

The bound is an argument, so it is written down before anything is measured. Where there is randomness, the verdict
looks at an interval rather than at a number, and is ``undecided`` while the bound lies inside it:

- ``value``: one number, with the numerical error that the caller states;
- ``mean``: over seeds, with Student's interval of 95%;
- ``median``: over seeds, between the order statistics that hold it with 95% (with fewer than six seeds: their range);
- ``share``: of the seeds in which something is true, with Wilson's interval of 95%;
- ``every``: the worst seed decides, as the claim says "in every"; its interval is the range over seeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from separatrix.errors import ComputationError, InputError

HOLDS, FAILS, OPEN = "holds", "does not hold", "undecided"
VERDICTS = (HOLDS, FAILS, OPEN)
WAYS = ("value", "mean", "median", "share", "every")
SENSES = ("at most", "at least")


@dataclass(frozen=True)
class Claim:
    """What was claimed, what was measured, and what follows.

    Attributes:
        sentence: the claim in words; it does not depend on the scale.
        measured: the number that is compared with the bound.
        low, high: its interval, see this module.
        bound: with ``sense`` "at most" or "at least".
        over: how one number came of many, one of ``WAYS``.
        count: how many values there were.
        verdict: ``holds``, ``does not hold`` or ``undecided``.
        closed_form: follows from a closed form or a theorem, so it must hold at every scale.
    """

    sentence: str
    measured: float
    low: float
    high: float
    bound: float
    sense: str
    over: str
    count: int
    verdict: str
    closed_form: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain data; numbers that JSON does not know become ``"inf"`` and ``"-inf"``."""
        data = asdict(self)
        for key in ("measured", "low", "high", "bound"):
            data[key] = data[key] if math.isfinite(data[key]) else str(data[key])
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Claim:
        """The reverse of :meth:`to_dict`."""
        numbers = {key: float(data[key]) for key in ("measured", "low", "high", "bound")}
        return cls(**{**data, **numbers})


def at_most(
    sentence: str,
    values: float | Iterable[float],
    bound: float,
    *,
    over: str = "value",
    error: float = 0.0,
    closed_form: bool = False,
) -> Claim:
    """The claim that a measured number is at most ``bound``.

    Args:
        sentence: the claim in words.
        values: one number, or one of each seed; for ``share`` whether it is true there.
        bound: written down before the measurement.
        over: one of ``WAYS``.
        error: of a single value.
        closed_form: must hold at every scale.

    Raises:
        InputError: a way that does not exist, no values, or several for ``value``.
        ComputationError: a value is not a number.

    Example:
        >>> at_most("The third decimal is right.", [0.2, 0.25, 0.22, 0.24], 0.3, over="mean").verdict
        'holds'
        >>> at_most("The third decimal is right.", [0.2, 0.4], 0.3, over="mean").verdict
        'undecided'
    """
    return _claim(sentence, values, bound, "at most", over, error, closed_form)


def at_least(
    sentence: str,
    values: float | Iterable[float],
    bound: float,
    *,
    over: str = "value",
    error: float = 0.0,
    closed_form: bool = False,
) -> Claim:
    """The claim that a measured number is at least ``bound``; see :func:`at_most`."""
    return _claim(sentence, values, bound, "at least", over, error, closed_form)


def overall(claims: Sequence[Claim]) -> str:
    """The verdict of several: ``does not hold`` if one does not, ``undecided`` if one is."""
    said = [claim.verdict for claim in claims]
    return FAILS if FAILS in said else OPEN if OPEN in said or not said else HOLDS


def _claim(
    sentence: str, values: float | Iterable[float], bound: float, sense: str, over: str, error: float, closed: bool
) -> Claim:
    numbers = [float(v) for v in values] if isinstance(values, Iterable) else [float(values)]
    if over not in WAYS:
        raise InputError(f"over must be one of {', '.join(WAYS)}, got {over!r}.")
    if not numbers or (over == "value" and len(numbers) > 1):
        raise InputError(f"over={over!r} cannot sum up {len(numbers)} values ({sentence!r}).")
    if any(math.isnan(v) for v in [*numbers, bound]):
        raise ComputationError(f"a value of the claim {sentence!r} is not a number: {numbers[:5]}, bound {bound}.")
    sign = 1 if sense == "at most" else -1
    measured, low, high = _summed_up(numbers, over, error, worst=max if sense == "at most" else min)
    if over == "every":
        verdict = HOLDS if sign * measured <= sign * bound else FAILS
    else:
        near, far = (high, low) if sense == "at most" else (low, high)
        verdict = HOLDS if sign * near <= sign * bound else FAILS if sign * far > sign * bound else OPEN
    return Claim(sentence, measured, low, high, float(bound), sense, over, len(numbers), verdict, closed)


def _summed_up(numbers: list[float], over: str, error: float, *, worst: Any) -> tuple[float, float, float]:
    n, ordered = len(numbers), sorted(numbers)
    if over == "value":
        return numbers[0], numbers[0] - error, numbers[0] + error
    if over == "every":
        return worst(numbers), ordered[0], ordered[-1]
    if over == "share":
        return _share(sum(1 for v in numbers if v), n)
    if over == "median":
        cut = _order_statistic(n)
        return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2, ordered[cut], ordered[n - 1 - cut]
    mean = sum(numbers) / n
    if n == 1 or not math.isfinite(mean):
        return (mean, mean, mean) if n > 1 else (mean, -math.inf, math.inf)
    from scipy.stats import t

    deviation = math.hypot(*(v - mean for v in numbers)) / math.sqrt(n - 1)
    half = float(t.ppf(0.975, n - 1)) * deviation / math.sqrt(n)
    return mean, mean - half, mean + half


def _share(hits: int, n: int, z: float = 1.959964) -> tuple[float, float, float]:
    """Wilson's interval of a share."""
    p, weight = hits / n, 1 + z * z / n
    middle, half = (p + z * z / (2 * n)) / weight, z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / weight
    # In exact arithmetic the ends are 0 and 1 where p is.
    return p, 0.0 if hits == 0 else middle - half, 1.0 if hits == n else middle + half


def _order_statistic(n: int) -> int:
    """How many values may be left out at each end so that the median lies between the others with 95%."""
    cut, tail = 0, 0.5**n
    while cut < (n - 1) // 2 and tail + math.comb(n, cut + 1) * 0.5**n <= 0.025:
        cut += 1
        tail += math.comb(n, cut) * 0.5**n
    return cut
