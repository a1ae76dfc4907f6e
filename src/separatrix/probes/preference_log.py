"""What a preference run did to its answers: how the logged log-probabilities of chosen and rejected moved.

The margin of every preference loss can grow while the chosen answer becomes *less* likely (likelihood displacement
[razin2024]). The logs that training libraries write are enough to see it: they hold the mean log-probabilities of both.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from scipy.signal import savgol_filter
from torch import Tensor

from separatrix.errors import InputError
from separatrix.probes.numbers import number

# The names under which libraries log them, by preference; the last pair is in units of beta times the log-ratio.
NAMES = (
    ("logps/chosen", "logps/rejected"),
    ("eval_logps/chosen", "eval_logps/rejected"),
    ("chosen_logps", "rejected_logps"),
    ("chosen", "rejected"),
    ("rewards/chosen", "rewards/rejected"),
)
LEAST, SURE = 8, 3.0
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


class PreferenceLog:
    """A log that a training loop, or a trainer's callbacks, write into; :func:`preference_run` reads it.

    In a loop: ``log(step, chosen, rejected)`` with the batch's log-probabilities. As a trainer's callback: it answers
    ``on_log(args, state, control, logs=...)`` and ignores every other event.

    Example:
        >>> log = PreferenceLog()
        >>> log(0, torch.tensor([-3.0, -5.0]), torch.tensor([-4.0, -4.0]))
        >>> log.rows
        [{'step': 0, 'chosen': -4.0, 'rejected': -4.0}]
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def __call__(self, step: int, chosen: Tensor | float, rejected: Tensor | float) -> None:
        means = [float(torch.as_tensor(t).detach().double().mean()) for t in (chosen, rejected)]
        self.rows.append({"step": step, "chosen": means[0], "rejected": means[1]})

    def on_log(self, args: Any = None, state: Any = None, control: Any = None, logs: Any = None, **_: Any) -> None:
        """Keep what a trainer logs."""
        step = getattr(state, "global_step", len(self.rows))
        self.rows.append({"step": step, **(logs or {})})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("on_"):
            return lambda *args, **kwargs: None
        raise AttributeError(name)


def preference_run(
    log: Any, *, chosen: str | None = None, rejected: str | None = None, step: str = "step", beta: float | None = None
) -> PreferenceRun:
    """How chosen and rejected answers moved in a run, when the chosen began to fall, and what to do about it.

    Changes compare the first with the last tenth of the entries; their errors come from the noise about a smooth trend (a
    sixth of the mean squared second difference), which takes it to be independent from entry to entry. The chosen falls from
    where its smoothed curve is highest.

    Args:
        log: entries with the mean log-probabilities of both answers: a list of dicts, a :class:`PreferenceLog`, a data frame,
            or the path of a ``.jsonl`` file or of a ``.json`` file with ``log_history``. Entries without them are left out.
        chosen, rejected: under which names; the usual ones are known.
        step: the name of the step; entries are counted where it is missing.
        beta: of the loss, to tell a saturated margin from a growing one.

    Raises:
        InputError: no or too few entries with both, values that are not finite, or a log of no known form.

    Cost: none in gradients.

    References: [razin2024], [feng2024].
    """
    rows = list(_rows(log))
    names = _names(rows, chosen, rejected)
    kept = [
        (float(r.get(step, i)), float(r[names[0]]), float(r[names[1]])) for i, r in enumerate(rows) if _has(r, names)
    ]
    if len(kept) < LEAST:
        raise InputError(
            f"{len(kept)} entries hold {names[0]!r} and {names[1]!r}; at least {LEAST} are needed for a trend."
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
    unit = "reward" if names[0].startswith("rewards") else "log-probability"
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


def _rows(log: Any) -> Iterable[Mapping[str, Any]]:
    if isinstance(log, PreferenceLog):
        return log.rows
    if isinstance(log, (str, Path)):
        return _read(Path(log))
    for method, arguments in (("to_dicts", ()), ("to_dict", ("records",))):  # polars, pandas
        if hasattr(log, method) and not isinstance(log, Mapping):
            rows: Iterable[Mapping[str, Any]] = getattr(log, method)(*arguments)
            return rows
    if isinstance(log, Mapping) and "log_history" in log:
        return list(log["log_history"])
    if isinstance(log, Iterable) and not isinstance(log, Mapping):
        found = list(log)
        if all(isinstance(row, Mapping) for row in found):
            return found
    raise InputError(
        f"a preference log is a list of dicts, a data frame, a PreferenceLog or a file, got a {type(log).__name__}."
    )


def _read(path: Path) -> list[Mapping[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            data = json.loads(text)
            found = data["log_history"] if isinstance(data, dict) else data
        else:
            found = [json.loads(line) for line in text.splitlines() if line.strip()]
    except FileNotFoundError:
        raise InputError(f"there is no log at {path}.") from None
    except (json.JSONDecodeError, KeyError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is neither JSON lines nor JSON with log_history: {error}.") from None
    return list(found)


def _names(rows: list[Mapping[str, Any]], chosen: str | None, rejected: str | None) -> tuple[str, str]:
    if (chosen is None) != (rejected is None):
        raise InputError("give both names, chosen and rejected, or neither.")
    if chosen is not None and rejected is not None:
        return chosen, rejected
    for names in NAMES:
        if any(_has(row, names) for row in rows):
            return names
    seen = sorted({key for row in rows for key in row})[:12]
    raise InputError(
        f"no entry holds the log-probabilities of chosen and rejected under a known name, such as {NAMES[0]}; the log has "
        f"{', '.join(seen) or 'no entries'}; name them with chosen=..., rejected=...."
    )


def _has(row: Mapping[str, Any], names: tuple[str, str]) -> bool:
    return all(row.get(name) is not None for name in names)


def _noise(values: Any) -> float:
    """About a smooth trend: second differences of white noise have six times its variance."""
    return float(np.sqrt(np.mean(np.diff(values, 2) ** 2) / 6))


def _change(values: Any) -> Change:
    k = max(len(values) // 10, 1)
    return Change(float(values[-k:].mean() - values[:k].mean()), _noise(values) * math.sqrt(2 / k))


def _turn(steps: Any, values: Any) -> tuple[float | None, tuple[float, float] | None]:
    """Where the smoothed curve is highest, if it surely falls from there, and where else it may be highest."""
    window = max(5, len(values) // 8) | 1
    smooth = savgol_filter(values, window, 2)
    # A quadratic fit over w values has 9 / (4 w) of their variance in its middle, 9 / w at its ends.
    spread = _noise(values) * math.sqrt(9 / (4 * window))
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
