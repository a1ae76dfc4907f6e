"""What changed between two diagnoses, and what cannot be compared because only one of them measured it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from separatrix.errors import InputError
from separatrix.probes.numbers import MISSING, complex_number, exact, number, plain, with_error
from separatrix.probes.record import Diagnosis
from separatrix.report import regions

Row = tuple[str, str | None, str | None]
# The sections that a finding rests on, without which nobody can say that it is gone; ``players`` and ``replay`` stand for
# the self-tests of a field and of a black box.
EVIDENCE: Mapping[str, tuple[str, ...]] = {
    "undamped-rotation": ("signature",),
    "unconfirmed-rotation": ("signature", "forecast"),
    "growing-mode": ("signature",),
    "step-beyond-limit": ("sharpness", "stability"),
    "no-horizon": ("horizon",),
    "far-from-best-response": ("best_response",),
    "not-measured": (),
    "not-replayable": ("replay",),
    **dict.fromkeys(("detached", "empty-cross-block", "not-a-gradient", "discontinuous", "unchecked"), ("players",)),
}


@dataclass(frozen=True)
class Comparison:
    """Two diagnoses side by side; ``str()`` is a table.

    Attributes:
        titles: of the earlier and the later one.
        verdicts: of both.
        rows: name, before and after of each number that both or either has; ``None`` where it was not measured.
        lost: findings, by code and title, that only the first has, and the second looked for.
        gained: findings that only the second has, and the first looked for.
        kept: findings of both, with what their numbers were and are.
        unmeasured_after: findings of the first that the second did not look for: they may be there still.
        unmeasured_before: findings of the second that the first did not look for: they may have been there before.
        notes: what stands in the way of a comparison.
    """

    titles: tuple[str, str]
    verdicts: tuple[str, str]
    rows: tuple[Row, ...]
    lost: tuple[str, ...]
    gained: tuple[str, ...]
    kept: tuple[str, ...]
    unmeasured_after: tuple[str, ...]
    unmeasured_before: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        rows = [("", *self.titles), *((n, b or MISSING, a or MISSING) for n, b, a in self.rows)]
        first, second = (max(len(row[i]) for row in rows) for i in (0, 1))
        groups = {
            "lost": self.lost,
            "gained": self.gained,
            "kept": self.kept,
            "not measured in the second": self.unmeasured_after,
            "not measured in the first": self.unmeasured_before,
        }
        findings = [f"{name + '  ':<8}{finding}" for name, group in groups.items() for finding in group]
        lines = [f"before  {self.verdicts[0]}", f"after   {self.verdicts[1]}", ""]
        lines += [*(findings or ["no findings in either"]), ""]
        lines += [f"{name:<{first}}  {before:<{second}}  {after}".rstrip() for name, before, after in rows]
        return "\n".join([*lines, *([""] if self.notes else []), *(f"note: {note}" for note in self.notes)])


def compare_diagnoses(before: Diagnosis | str | PathLike[str], after: Diagnosis | str | PathLike[str]) -> Comparison:
    """Verdicts, findings, leading modes, sharpness, best responses and scores of two diagnoses side by side.

    A finding counts as lost or gained only where the other diagnosis looked for it. Eigenvalues (field sign: a negative
    real part attracts) stand in one row only where both are in the same metric.

    Args:
        before, after: diagnoses, or the ``.json`` files that they were saved as.

    Raises:
        InputError: something else, or a file that holds no diagnosis.
    """
    old, new = _diagnosis(before, "before"), _diagnosis(after, "after")
    had, has = ({f.code: f for f in diagnosis.findings} for diagnosis in (old, new))
    gone, come = [c for c in had if c not in has], [c for c in has if c not in had]
    metrics = [(d.sections.get("spectrum") or {}).get("metric") for d in (old, new)]
    apart = None not in metrics and metrics[0] != metrics[1]
    one, other = dict(_numbers(old, named=apart)), dict(_numbers(new, named=apart))
    return Comparison(
        titles=(old.title, new.title),
        verdicts=(f"[{old.severity}] {old.verdict}", f"[{new.severity}] {new.verdict}"),
        rows=tuple((name, one.get(name), other.get(name)) for name in {**one, **other}),
        lost=tuple(_named(had[c]) for c in gone if _looked_for(c, old, new)),
        gained=tuple(_named(has[c]) for c in come if _looked_for(c, new, old)),
        kept=tuple(f"{_named(had[c])} ({_level(had[c])} → {_level(has[c])})" for c in had if c in has),
        unmeasured_after=tuple(_named(had[c]) for c in gone if not _looked_for(c, old, new)),
        unmeasured_before=tuple(_named(has[c]) for c in come if not _looked_for(c, new, old)),
        notes=tuple(_obstacles(old, new, metrics if apart else None)),
    )


def _diagnosis(given: Any, name: str) -> Diagnosis:
    if isinstance(given, Diagnosis):
        return given
    if isinstance(given, (str, PathLike)):
        return Diagnosis.load(Path(given))
    raise InputError(
        f"{name} must be a Diagnosis (what sx.diagnose returns) or the path of one saved as .json, got a "
        f"{type(given).__name__}."
    )


def _named(finding: Any) -> str:
    return f"{finding.code}: {finding.title}"


def _level(finding: Any) -> str:
    return finding.severity if finding.value is None else f"{finding.severity} {exact(finding.value)}"


def _looked_for(code: str, by: Diagnosis, there: Diagnosis) -> bool:
    """Whether ``there`` holds what the finding rests on in ``by``; all that ``by`` has, where the finding is not known here."""
    resting = EVIDENCE.get(code, tuple(key for key in by.sections if key not in ("samples", "score", "problem")))
    return all(_holds(there, key) for key in resting if _holds(by, key))


def _holds(diagnosis: Diagnosis, key: str) -> bool:
    if key in ("players", "replay"):
        return ("players" in (diagnosis.sections.get("problem") or {})) == (key == "players")
    section: Mapping[str, Any] = diagnosis.sections.get(key) or {}
    return bool(section) and (key != "signature" or any(p["converged"] for p in section["points"]))


def _obstacles(old: Diagnosis, new: Diagnosis, metrics: list[str | None] | None) -> Iterator[str]:
    """What makes the numbers of the two columns speak of different things."""
    if metrics is not None:
        yield (
            f"the eigenvalues are not in one metric ({metrics[0]}; {metrics[1]}), so they stand in rows of their own; give "
            "the same optimizers, with their states, to both."
        )
    for key, what in (("name", "problems"), ("parameters", "numbers of parameters"), ("dtype", "precisions")):
        first, second = ((d.sections.get("problem") or {}).get(key) for d in (old, new))
        if None not in (first, second) and first != second:
            yield f"the {what} differ: {first} and {second}."
    one, other = (_method(d.sections.get("method") or {}) for d in (old, new))
    if one and other and one != other:
        yield f"the methods differ, and eigenvalues h·λ are those of each one's own step: {one}; {other}."
    first, second = ((d.sections.get("signature") or {}).get("remaining") for d in (old, new))
    if None not in (first, second) and first != second:
        yield f"findings were judged over different numbers of remaining steps: {first} and {second}."


def _method(section: Mapping[str, Any]) -> str:
    """Scheme, transforms and bases in a line."""
    bases = {player: plain(settings) for player, settings in (section.get("bases") or {}).items()}
    alike = len(set(bases.values())) == 1
    told = [f"{next(iter(bases.values()))}"] if alike else [f"{player}: {text}" for player, text in bases.items()]
    transforms = [plain(settings) for settings in section.get("transforms") or []]
    return ", ".join([str(section["scheme"]), *transforms, *told]) if "scheme" in section else ""


def _numbers(diagnosis: Diagnosis, *, named: bool) -> Iterator[tuple[str, str]]:
    """The numbers of one diagnosis by name; with ``named`` the metric is part of an eigenvalue's name."""
    sections: dict[str, Any] = {name: section or {} for name, section in diagnosis.sections.items()}
    yield from _modes(sections.get("signature"))
    yield from _eigenvalues(sections.get("spectrum", {}), named)
    for row in sections.get("sharpness", {}).get("rows", []):
        share = f", {100 * row['ratio']:.0f}% of the limit" if row["ratio"] is not None else ""
        yield f"sharpness, {row['name']}", with_error(row["value"], row["residual"]) + share
    if (steps := sections.get("horizon", {}).get("steps")) is not None:
        yield "trust horizon, steps", number(steps)
    for row in sections.get("best_response", {}).get("rows", []):
        for name, key in (("training", "train"), ("held-out", "held_out")):
            if row[f"gain_{key}"] is not None:
                yield f"{name} gain of {row['player']}", with_error(row[f"gain_{key}"], row.get(f"stderr_{key}"))
    for row in sections.get("twins", {}).get("rows", []):
        yield f"twins, {row['name']}, per step", with_error(row["exponent"], row["stderr"])
    for row in sections.get("score", {}).get("rows", []):
        yield str(row["name"]), number(row["value"])


def _modes(section: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """The fastest mode of the running method, and how many grow."""
    if not section:
        return
    found = [mode for mode in regions.modes(section) if mode.state != "not converged"]
    if not found:
        return
    first = regions.leading(found)
    turns = regions.turning(first.multiplier, section.get("remaining"))
    yield "|m| of the leading mode, per step", f"{abs(first.multiplier):.4f}, {turns}"
    yield "modes that grow", f"{sum(mode.state == 'grows' for mode in found)} of {len(found)}"


def _eigenvalues(section: Mapping[str, Any], named: bool) -> Iterator[tuple[str, str]]:
    found = [row for row in section.get("rows", []) if row["converged"]]
    if not found:
        return
    # Of a pair the member above the axis, so that the choice does not depend on the order of the rows.
    right = max(found, key=lambda row: (row["real"], row["imag"]))
    large = max(found, key=lambda row: (abs(complex(row["real"], row["imag"])), row["imag"]))
    metric = f" ({section['metric']})" if named else ""
    for name, row in (("rightmost eigenvalue", right), ("largest eigenvalue", large)):
        yield name + metric, f"{complex_number(row['real'], row['imag'])} ± {number(row['residual'], 1)}"
