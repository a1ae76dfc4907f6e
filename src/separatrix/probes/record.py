"""The Diagnosis: everything one measurement found, as plain data that saves, loads and compares.

Sections are JSON values with the keys listed in ``SECTIONS``; a section that could not be measured is ``None`` and a
line in ``notes`` says why. Eigenvalues are in field sign (an equilibrium attracts when they have negative real part)
and in the optimiser's metric: ``h lambda``, step size times preconditioned Jacobian, so that plain descent is stable
where ``|1 + h lambda| <= 1``. Multipliers are per period of the running method.
"""

from __future__ import annotations

import html
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from rich.text import Text

from separatrix.errors import InputError

RECORD_VERSION = 1
SEVERITIES = ("ok", "note", "warning", "critical")

SECTIONS = {
    "problem": "size, players, dtype, device, batches, samples, seed, step, versions",
    "method": "scheme, period, bases per player with their settings",
    "spectrum": "rows (real, imag, residual, converged, multiplier, period_steps, target), verdict, products",
    "signature": "kind (plane or disc), points, remaining steps, slider table",
    "interplay": "players, norms of the blocks of the preconditioned Jacobian with standard errors, rotation share",
    "decomposition": "potentialness (value, stderr, balanced, least and most over all player units), sentence",
    "sharpness": "rows (name, value, residual, limit, ratio): step times curvature against the limit of the base",
    "stability": "rows (method, safe_step, growth, gradients, limited_by, sentence)",
    "horizon": "steps, threshold, curve of (step, error), drift of (step, drift), reached",
    "forecast": "rows (multiplier, predicted and observed growth and angle, skill), steps, scale",
    "best_response": "rows (player, steps, gain_train, gain_held_out, stderr)",
    "twins": "rows (name, exponent, stderr), sentence",
    "evidence": "rows (name, step, sentence): what was measured of a run without derivatives",
    "along": "rows (name, first, last, low, high, count): numbers of a monitored run",
    "slice": "x, y, u, v, path, labels, sentence",
    "samples": "images as rows of 0..255 integers, height, width",
    "score": "name to number or {value, sentence}",
    "cost": "rows (part, gradients, seconds) and the total",
    "reproduce": "command or call, seed",
}


@dataclass(frozen=True)
class Finding:
    """A sentence with its number, threshold, source and remedy.

    Attributes:
        code: stable short name, ``undamped-rotation`` for instance.
        severity: ``note``, ``warning`` or ``critical``.
        title: what it is in a few words.
        sentence: the finding, numbers included.
        value: the number that decided.
        threshold: what it was compared with.
        source: reference or definition.
        remedy: what to try, in one or two sentences.
    """

    code: str
    severity: str
    title: str
    sentence: str
    value: float | None = None
    threshold: float | None = None
    source: str = ""
    remedy: str = ""

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise InputError(f"severity must be one of {SEVERITIES}, got {self.severity!r}.")


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """What :func:`separatrix.diagnose` returns.

    ``str(diagnosis)`` is the plain-text page, coloured where ``rich`` prints it, a table in a notebook; ``save`` writes ``.html``, ``.json`` or ``.md`` by suffix; ``load``
    reads the JSON back. ``sections`` are described in this module.
    """

    title: str
    verdict: str
    severity: str
    findings: tuple[Finding, ...]
    sections: dict[str, Any]
    notes: tuple[str, ...] = ()
    version: int = field(default=RECORD_VERSION)

    def __getitem__(self, section: str) -> Any:
        if section not in SECTIONS:
            raise InputError(f"no section {section!r} in a diagnosis; there are {', '.join(SECTIONS)}.")
        return self.sections.get(section)

    def worst(self) -> str:
        """The highest severity among the findings; ``ok`` where there are none."""
        return max((f.severity for f in self.findings), key=SEVERITIES.index, default="ok")

    def to_dict(self) -> dict[str, Any]:
        """Plain data that ``json.dumps`` takes."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Diagnosis:
        """The reverse of :meth:`to_dict`.

        Raises:
            InputError: the data are of another version or lack a field.
        """
        if data.get("version") != RECORD_VERSION:
            raise InputError(
                f"this diagnosis has version {data.get('version')!r}, this release reads version {RECORD_VERSION}; "
                "measure again, or read it with the release that wrote it."
            )
        if missing := {f.name for f in fields(cls)} - set(data):
            raise InputError(f"not a diagnosis: the fields {sorted(missing)} are missing.")
        try:
            findings = tuple(Finding(**f) for f in data["findings"])
        except TypeError as error:
            raise InputError(f"not a diagnosis: one of its findings is not in its shape ({error}).") from None
        rest = {f.name: data[f.name] for f in fields(cls) if f.name not in {"findings", "notes"}}
        return cls(findings=findings, notes=tuple(data["notes"]), **rest)

    @classmethod
    def load(cls, path: str | Path) -> Diagnosis:
        """A diagnosis saved as JSON."""
        try:
            data = json.loads(Path(path).read_text())
        except FileNotFoundError:
            raise InputError(f"there is no diagnosis at {path}.") from None
        except json.JSONDecodeError as error:
            raise InputError(f"{path} is not JSON: {error}. Save the diagnosis with a .json suffix.") from None
        if not isinstance(data, dict):
            raise InputError(f"{path} holds a {type(data).__name__}, not a diagnosis.")
        return cls.from_dict(data)

    def save(self, path: str | Path) -> Path:
        """Write ``.json``, ``.html`` or ``.md`` by suffix; to a temporary name first, then moved.

        Raises:
            InputError: an unknown suffix, or a folder that does not exist.
        """
        return save_by_suffix(self, path, WRITERS, "a diagnosis")

    def __str__(self) -> str:
        return WRITERS[".txt"](self)

    def __repr__(self) -> str:
        return str(self).rstrip()

    def __rich__(self) -> Any:
        return VIEWS["rich"](self)

    def _repr_html_(self) -> str:
        return str(VIEWS["html"](self))


def _plain_text(diagnosis: Diagnosis) -> str:
    lines = [diagnosis.title, diagnosis.verdict, ""]
    for finding in diagnosis.findings:
        lines += [
            f"[{finding.severity}] {finding.title}: {finding.sentence}",
            f"    remedy: {finding.remedy}",
        ]
    lines += [f"note: {note}" for note in diagnosis.notes]
    return "\n".join(lines)


def _plain_view(diagnosis: Diagnosis) -> Text:
    return Text(str(diagnosis))


def _plain_cell(diagnosis: Diagnosis) -> str:
    return f"<pre>{html.escape(str(diagnosis))}</pre>"


# The report room adds .html and .md and a richer .txt when it is imported; a room never imports one below it.
WRITERS: dict[str, Callable[[Diagnosis], str]] = {
    ".json": lambda diagnosis: json.dumps(diagnosis.to_dict(), indent=1, allow_nan=False),
    ".txt": _plain_text,
}
# How it shows itself: what rich prints, and what a notebook shows in a cell. The report room puts better ones here, too.
VIEWS: dict[str, Callable[[Diagnosis], Any]] = {
    "rich": _plain_view,
    "html": _plain_cell,
}


T = TypeVar("T")


def save_by_suffix(thing: T, path: str | Path, writers: Mapping[str, Callable[[T], str | bytes]], what: str) -> Path:
    """Write something as the writer of the path's suffix gives it, whole or not at all.

    Raises:
        InputError: an unknown suffix, or a folder that does not exist.
    """
    path = Path(path)
    writer = writers.get(path.suffix)
    if writer is None:
        raise InputError(f"cannot save {what} as {path.name!r}; the suffix must be one of {sorted(writers)}.")
    return write_text(path, writer(thing))


def write_text(path: str | Path, text: str | bytes) -> Path:
    """Write a file whole or not at all: a temporary name in the same folder, then a move."""
    path = Path(path)
    if not path.parent.is_dir():
        raise InputError(f"the folder {path.parent} does not exist; create it first.")
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}; choose another place.") from error
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(text.encode("utf-8") if isinstance(text, str) else text)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return path
