"""The folder of a monitored run: lines are only ever added, so that it can be read while it is written and after a kill.

``run.json`` says what runs; ``numbers.jsonl`` holds a line for each measurement, ``findings.jsonl`` one for each list of findings,
``trace.jsonl`` one for each recorded row. A last line that was torn by a crash is left out by readers and closed by the next
writer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from separatrix.errors import InputError
from separatrix.probes.record import Finding, write_text

VERSION = 1
HEADER = "run.json"


@dataclass(frozen=True)
class Measured:
    """One measurement of a monitored run.

    Attributes:
        step: of training.
        name: of the measurement.
        numbers: flat, ``separatrix/...``; those that were not finite are left out.
        seconds: that it took.
        time: seconds since 1970.
        sentence: the same in words.
    """

    step: int
    name: str
    numbers: dict[str, float]
    seconds: float
    time: float
    sentence: str = ""


@dataclass(frozen=True)
class MonitoredRun:
    """What a folder holds so far.

    Attributes:
        place: the folder.
        about: what ``run.json`` says.
        measured: all measurements, in order.
        findings: the latest ones, and at which step they were found; ``None`` before the first.
        found_at: that step.
        step: the last step that anything was written about.
    """

    place: Path
    about: dict[str, Any]
    measured: tuple[Measured, ...]
    findings: tuple[Finding, ...] | None
    found_at: int
    step: int

    def latest(self) -> dict[str, Measured]:
        """The last measurement of each name."""
        return {m.name: m for m in self.measured}

    def series(self) -> dict[str, list[tuple[int, float]]]:
        """Each number along the run: step and value."""
        found: dict[str, list[tuple[int, float]]] = {}
        for m in self.measured:
            for name, value in m.numbers.items():
                found.setdefault(name, []).append((m.step, value))
        return found


class RunFolder:
    """Writes a monitored run.

    Args:
        place: the folder; made where it does not exist, gone on with where it holds a run of the same name.
        about: what runs; ``name`` must stay the same.

    Raises:
        InputError: the folder holds a run of another name, or something else.
    """

    def __init__(self, place: str | Path, about: Mapping[str, Any]) -> None:
        self.place = Path(place)
        self.place.mkdir(parents=True, exist_ok=True)
        header = self.place / HEADER
        if header.exists():
            found = _header(self.place)
            if found.get("name") != about.get("name"):
                raise InputError(
                    f"{self.place} holds the run {found.get('name')!r}, not {about.get('name')!r}; give another folder or name."
                )
        elif any(self.place.iterdir()):
            raise InputError(f"{self.place} holds other files and no run; give an empty folder.")
        else:
            write_text(header, json.dumps({"version": VERSION, **about}, indent=1))
        self._files: dict[str, TextIO] = {}

    def add(self, kind: str, line: Mapping[str, Any]) -> None:
        """One line, handed to the system at once."""
        if kind not in self._files:
            path = self.place / f"{kind}.jsonl"
            torn = path.exists() and path.stat().st_size > 0 and path.read_bytes()[-1:] != b"\n"
            self._files[kind] = path.open("a", encoding="utf-8")
            if torn:
                self._files[kind].write("\n")
        self._files[kind].write(json.dumps(_finite(line), allow_nan=False) + "\n")
        self._files[kind].flush()

    def close(self) -> None:
        """Close the files; more lines open them again."""
        for file in self._files.values():
            file.close()
        self._files = {}


def read_run(place: str | Path) -> MonitoredRun:
    """What the folder of a monitored run holds so far; it may still be written.

    Raises:
        InputError: no folder of a run, or one of another version.
    """
    place = Path(place)
    about = _header(place)
    measured = tuple(
        Measured(row["step"], row["name"], row["numbers"], row["seconds"] or 0.0, row["time"], row.get("sentence", ""))
        for row in lines(place, "numbers")
    )
    listed = lines(place, "findings")
    findings = tuple(Finding(**f) for f in listed[-1]["findings"]) if listed else None
    found_at = int(listed[-1]["step"]) if listed else 0
    steps = [m.step for m in measured] + [int(row["step"]) for row in lines(place, "trace")[-1:]]
    return MonitoredRun(place, about, measured, findings, found_at, max([*steps, found_at]))


def lines(place: str | Path, kind: str) -> list[dict[str, Any]]:
    """The whole lines of one kind; torn ones are left out."""
    path = Path(place) / f"{kind}.jsonl"
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue  # torn by a crash, or just being written
        if isinstance(row, dict):
            found.append(row)
    return found


def _header(place: Path) -> dict[str, Any]:
    try:
        about = json.loads((place / HEADER).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{place} is no folder of a monitored run: it has no {HEADER}. Monitors write one: sx.Monitor(run, folder=...)."
        ) from None
    except json.JSONDecodeError as error:
        raise InputError(f"{place / HEADER} is not JSON: {error}.") from None
    if not isinstance(about, dict) or about.get("version") != VERSION:
        raise InputError(f"{place} was written by another version; this release reads version {VERSION}.")
    return about


def _finite(value: Any) -> Any:
    """Plain data without NaN and infinities: numbers among ``numbers`` are dropped, others become ``None``."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(held) for key, held in value.items() if not (key == "numbers" and held is None)}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(held) for held in value]
    return value
