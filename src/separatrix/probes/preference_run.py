"""What a preference run did to its answers: how the logged log-probabilities of chosen and rejected moved.

The margin of every preference loss can grow while the chosen answer becomes *less* likely (likelihood displacement
[razin2024]). The logs that training libraries write are enough to see it: they hold the mean log-probabilities of both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from scipy.signal import savgol_filter
from torch import Tensor

from separatrix.errors import InputError
from separatrix.probes.numbers import number
from separatrix.probes.preference_log import read_series

LEAST, SURE = 8, 3.0
# Noise with a longer memory than this cannot be told from a trend.
MOST_MEMORY = 0.95
# Over the square root of the number of entries: more memory than independent noise shows by chance.
CLEAR = 3.5
Answer = Literal["yes", "no", "undecided"]


@dataclass(frozen=True)
class Change:
    """How far a quantity moved between the first and the last tenth of a run, with its standard error."""

    value: float
    stderr: float

    @property
    def sign(self) -> int:
        """+1 or -1 where the change exceeds three standard errors, else 0."""
        return 0 if abs(self.value) <= SURE * self.stderr else (1 if self.value > 0 else -1)


@dataclass(frozen=True)
class PreferenceRun:
    """What the log of a preference run says.

    Attributes:
        steps, chosen, rejected: what was logged, ``(t,)``.
        unit: ``log-probability``, or ``reward`` where only ``beta`` times the log-ratios were logged.
        chosen_change, rejected_change, margin_change: from the first to the last tenth.
        asymmetry, asymmetry_stderr: ``-rejected change / chosen change``, how much faster the rejected falls than the chosen
            rises; NaN where the chosen does not rise.
        displaced: whether the chosen answers became less likely over the run while the margin grew.
        falls_from: the step from which on the chosen falls; ``None`` where it does not.
        falls_between: the steps between which that turn lies: within three standard errors of the highest value.
        noise: standard deviation of one logged value of the chosen about its trend.
        remedy: what the field suggests; empty where nothing is wrong.
        sentence: all this in words.
    """

    steps: Tensor
    chosen: Tensor
    rejected: Tensor
    unit: str
    chosen_change: Change
    rejected_change: Change
    margin_change: Change
    asymmetry: float
    asymmetry_stderr: float
    displaced: Answer
    falls_from: float | None
    falls_between: tuple[float, float] | None
    noise: float
    remedy: str
    sentence: str

    def section(self) -> dict[str, object]:
        """As plain data, for records."""
        data = {k: v for k, v in vars(self).items() if not isinstance(v, (Tensor, Change))}
        changes = {k: vars(v) for k, v in vars(self).items() if isinstance(v, Change)}
        series = {k: v.tolist() for k, v in vars(self).items() if isinstance(v, Tensor)}
        return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in data.items()} | changes | series


def preference_run(
    log: Any, *, chosen: str | None = None, rejected: str | None = None, step: str = "step", beta: float | None = None
) -> PreferenceRun:
    """How chosen and rejected answers moved in a run, when the chosen began to fall, and what to do about it.

    Changes compare the first with the last tenth of the entries; their errors come from the noise about a smooth trend, with
    its memory from entry to entry, as smoothed logs have it. The chosen falls from where its smoothed curve is highest.

    Args:
        log: entries with the mean log-probabilities of both answers: a list of dicts, a :class:`PreferenceLog`, a data frame,
            a dict of columns, or the path of a ``.csv``, ``.tsv`` or ``.jsonl`` file or of a ``.json`` file with
            ``log_history``. Entries without them are left out, and rows of a table with gaps there.
        chosen, rejected: under which names; the usual ones are known.
        step: the name of the step; entries are counted where it is missing.
        beta: of the loss, to tell a saturated margin from a growing one.

    Raises:
        InputError: no or too few entries with both, values that are not finite, or a log of no known form.

    Cost: none in gradients.

    References: [razin2024], [feng2024].
    """
    kept, name = read_series(log, chosen, rejected, step)
    if len(kept) < LEAST:
        raise InputError(
            f"{len(kept)} entries hold {name!r} and its rejected twin; at least {LEAST} are needed for a trend."
        )
    table = np.array(sorted(kept))
    if not np.isfinite(table).all():
        bad = int(np.argmax(~np.isfinite(table).all(1)))
        raise InputError(
            f"the log holds {table[bad, 1]} and {table[bad, 2]} at step {table[bad, 0]:g}; it must be finite."
        )
    steps, c, r = table.T
    moved, fell, margin = _change(c), _change(r), _change(c - r)
    start, between = _turn(steps, c)
    asymmetry, error = math.nan, math.nan
    if moved.sign > 0:
        asymmetry = -fell.value / moved.value
        error = math.hypot(fell.stderr, asymmetry * moved.stderr) / moved.value
    displaced: Answer = "undecided" if moved.sign == 0 else "yes" if moved.sign < 0 and margin.sign > 0 else "no"
    unit = "reward" if name.startswith("rewards") else "log-probability"
    remedy = _remedy(displaced, margin, float((c - r)[-max(len(c) // 10, 1) :].mean()), beta, unit)
    sentence = _sentence(moved, fell, margin, asymmetry, error, displaced, start, between, unit)
    return PreferenceRun(
        torch.as_tensor(steps.copy()),
        torch.as_tensor(c.copy()),
        torch.as_tensor(r.copy()),
        unit,
        moved,
        fell,
        margin,
        asymmetry,
        error,
        displaced,
        start,
        between,
        _noise(c),
        remedy,
        sentence,
    )


def _noise(values: Any) -> float:
    """About a smooth trend: second differences of white noise have six times its variance."""
    return float(np.sqrt(np.mean(np.diff(values, 2) ** 2) / 6))


def _spread(values: Any) -> float:
    """The standard deviation that independent noise would need to move means of many entries as much as this noise does.

    Logs that were smoothed, or share samples from entry to entry, carry noise of memory ``phi``. As a first-order process it
    has ``E|second difference|^2 / E|first difference|^2 = 3 - phi``, and its means vary as if ``E|first difference|^2
    (1 + phi) / (2 (1 - phi)^2)`` were the variance of an entry.
    """
    noise = _noise(values)
    first = np.diff(values)
    first = first - savgol_filter(first, _window(first), 1)  # less the slope of the trend
    one, two = float(np.mean(first**2)), 6 * noise**2
    memory = min(3 - two / one, MOST_MEMORY) if one > 0 else 0.0
    if memory <= CLEAR / math.sqrt(len(values)):
        return noise
    return max(noise, math.sqrt(one * (1 + memory) / 2) / (1 - memory))


def _window(values: Any) -> int:
    return int(max(5, len(values) // 8) | 1)


def _change(values: Any) -> Change:
    k = max(len(values) // 10, 1)
    return Change(float(values[-k:].mean() - values[:k].mean()), _spread(values) * math.sqrt(2 / k))


def _turn(steps: Any, values: Any) -> tuple[float | None, tuple[float, float] | None]:
    """Where the smoothed curve is highest, if it surely falls from there, and where else it may be highest."""
    window = _window(values)
    smooth = savgol_filter(values, window, 2)
    # A quadratic fit over w values has 9 / (4 w) of their variance in its middle, 9 / w at its ends.
    spread = _spread(values) * math.sqrt(9 / (4 * window))
    top = int(smooth.argmax())
    # The highest of many values is high by chance: one standard error more than elsewhere.
    if smooth[top] - smooth[-1] <= (SURE + 1) * math.sqrt(5) * spread:
        return None, None
    (near,) = np.nonzero(smooth >= smooth[top] - SURE * spread)
    return float(steps[top]), (float(steps[near[0]]), float(steps[near[-1]]))


def _remedy(displaced: Answer, margin: Change, last: float, beta: float | None, unit: str) -> str:
    if displaced == "yes":
        text = (
            "Pushing rejected answers down takes chosen ones along, since their log-probabilities' gradients overlap, within a "
            "pair or from pair to pair; preference_gradients measures it. Add a likelihood term on the chosen (ORPO has one; the "
            "same probe says how heavy), or leave out pairs whose answers are alike."
        )
        reach = last if unit == "reward" else (beta or 0.0) * last
        if reach > 4:
            text += (
                " The margin has long saturated the sigmoid: a loss with a finite best margin (IPO, cDPO) would stop."
            )
        return text
    if margin.sign < 0:
        return "The margin shrinks: check that chosen and rejected are not exchanged, and the sign of the loss."
    return ""


def _sentence(
    moved: Change,
    fell: Change,
    margin: Change,
    asymmetry: float,
    error: float,
    displaced: Answer,
    start: float | None,
    between: tuple[float, float] | None,
    unit: str,
) -> str:
    def said(change: Change) -> str:
        return f"{number(change.value)} +- {number(change.stderr, 1)}"

    text = f"Over the run the chosen's mean {unit} changed by {said(moved)}, the rejected's by {said(fell)}, the margin by {said(margin)}."
    if not math.isnan(asymmetry) and fell.sign < 0:
        text += f" The rejected falls {number(asymmetry)} +- {number(error, 1)} times as fast as the chosen rises."
    if start is not None and between is not None:
        text += f" The chosen falls from step {start:g} on (between {between[0]:g} and {between[1]:g})."
    if displaced == "yes":
        text += " The chosen answers became less likely although the margin grew."
    elif displaced == "undecided":
        text += " Whether the chosen became more or less likely cannot be told from the noise."
    return text
