"""Logs of preference runs: what a loop or a trainer writes, and what is read from lists, tables and files."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from separatrix.errors import InputError

# The names under which libraries log them, by preference; the last pair is in units of beta times the log-ratio.
NAMES = (
    ("logps/chosen", "logps/rejected"),
    ("eval_logps/chosen", "eval_logps/rejected"),
    ("chosen_logps", "rejected_logps"),
    ("chosen", "rejected"),
    ("rewards/chosen", "rewards/rejected"),
)


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


def read_series(log: Any, chosen: str | None, rejected: str | None, step: str) -> tuple[list[tuple[float, ...]], str]:
    """``(step, chosen, rejected)`` of every entry that holds both, and the name of the chosen's."""
    rows = list(_rows(log))
    names = _names(rows, chosen, rejected)
    kept = []
    for i, row in enumerate(rows):
        if _has(row, names):
            at = row.get(step)
            kept.append((_number(i if at is None else at, step, i), *(_number(row[n], n, i) for n in names)))
    return kept, names[0]


def _rows(log: Any) -> Iterable[Mapping[str, Any]]:
    if isinstance(log, PreferenceLog):
        return log.rows
    if isinstance(log, (str, Path)):
        return _read(Path(log))
    for method, arguments in (("to_dicts", ()), ("to_dict", ("records",))):  # polars, pandas
        if hasattr(log, method) and not isinstance(log, Mapping):
            return [_without_gaps(row) for row in getattr(log, method)(*arguments)]
    if isinstance(log, Mapping) and "log_history" in log:
        return list(log["log_history"])
    if isinstance(log, Mapping) and log and all(_is_column(v) for v in log.values()):
        lengths = {key: len(column) for key, column in log.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(f"the columns of a log have one length, got {lengths}.")
        return [dict(zip(log, row, strict=True)) for row in zip(*log.values(), strict=True)]
    if isinstance(log, Iterable) and not isinstance(log, Mapping):
        found = list(log)
        if all(isinstance(row, Mapping) for row in found):
            return found
    raise InputError(
        f"a preference log is a list of dicts, a dict of columns, a data frame, a PreferenceLog or a file, got a {type(log).__name__}."
    )


def _is_column(values: Any) -> bool:
    return (isinstance(values, Sequence) and not isinstance(values, str)) or getattr(values, "ndim", 0) == 1


def _without_gaps(row: Mapping[str, Any]) -> dict[str, Any]:
    """Data frames fill with NaN what an entry does not hold."""
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}


def _read(path: Path) -> list[Mapping[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix in (".csv", ".tsv"):
            lines = csv.DictReader(text.splitlines(), delimiter="," if path.suffix == ".csv" else "\t")
            return [{key: value or None for key, value in row.items()} for row in lines]
        if path.suffix == ".json":
            data = json.loads(text)
            found = data["log_history"] if isinstance(data, dict) else data
        else:
            found = [json.loads(line) for line in text.splitlines() if line.strip()]
    except FileNotFoundError:
        raise InputError(f"there is no log at {path}.") from None
    except (json.JSONDecodeError, KeyError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} is no .csv or .tsv, and neither JSON lines nor JSON with log_history: {error}."
        ) from None
    return list(found)


def _names(rows: list[Mapping[str, Any]], chosen: str | None, rejected: str | None) -> tuple[str, str]:
    if (chosen is None) != (rejected is None):
        raise InputError("give both names, chosen and rejected, or neither.")
    if chosen is not None and rejected is not None:
        if not any(_has(row, (chosen, rejected)) for row in rows):
            raise InputError(f"no entry holds both {chosen!r} and {rejected!r}; the log has {_keys(rows)}.")
        return chosen, rejected
    for names in NAMES:
        if any(_has(row, names) for row in rows):
            return names
    raise InputError(
        f"no entry holds the log-probabilities of chosen and rejected under a known name, such as {NAMES[0]}; the log has "
        f"{_keys(rows)}; name them with chosen=..., rejected=...."
    )


def _keys(rows: list[Mapping[str, Any]]) -> str:
    return ", ".join(sorted({str(key) for row in rows for key in row})[:12]) or "no entries"


def _has(row: Mapping[str, Any], names: tuple[str, str]) -> bool:
    return all(row.get(name) is not None for name in names)


def _number(value: Any, name: str, entry: int) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"{name!r} is {str(value)[:40]!r} in entry {entry} of the log; it must be a number.") from None
