"""What changed between two diagnoses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from separatrix.probes.numbers import MISSING, complex_number, growth_percent, number, with_error
from separatrix.probes.record import Diagnosis


@dataclass(frozen=True)
class Comparison:
    """Two diagnoses side by side; ``str()`` is a table.

    Attributes:
        titles: of the earlier and the later one.
        verdicts: of both.
        rows: name, before and after of each number that both or either has; a dash where it was not measured.
        gained: findings, by code and title, that only the later one has.
        lost: findings that only the earlier one has.
    """

    titles: tuple[str, str]
    verdicts: tuple[str, str]
    rows: tuple[tuple[str, str, str], ...]
    gained: tuple[str, ...]
    lost: tuple[str, ...]

    def __str__(self) -> str:
        rows = [("", *self.titles), *self.rows]
        first, second = (max(len(row[i]) for row in rows) for i in (0, 1))
        lines = [f"before  {self.verdicts[0]}", f"after   {self.verdicts[1]}", ""]
        lines += [f"lost    {finding}" for finding in self.lost]
        lines += [f"gained  {finding}" for finding in self.gained]
        lines += [""] if self.lost or self.gained else ["the same findings", ""]
        lines += [f"{name:<{first}}  {before:<{second}}  {after}".rstrip() for name, before, after in rows]
        return "\n".join(lines)


def compare_diagnoses(before: Diagnosis, after: Diagnosis) -> Comparison:
    """Verdicts, findings gained and lost, leading eigenvalues, sharpness, best responses and scores of both.

    Eigenvalues are ``h lambda`` in field sign (a negative real part attracts), with their residuals.
    """
    old, new = dict(_numbers(before)), dict(_numbers(after))
    codes = [{f.code: f"{f.code}: {f.title}" for f in diagnosis.findings} for diagnosis in (before, after)]
    return Comparison(
        titles=(before.title, after.title),
        verdicts=tuple(f"[{d.severity}] {d.verdict}" for d in (before, after)),  # type: ignore[arg-type]
        rows=tuple((name, old.get(name, MISSING), new.get(name, MISSING)) for name in {**old, **new}),
        gained=tuple(codes[1][code] for code in codes[1] if code not in codes[0]),
        lost=tuple(codes[0][code] for code in codes[0] if code not in codes[1]),
    )


def _numbers(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    sections = {name: section or {} for name, section in diagnosis.sections.items()}
    found = [row for row in sections.get("spectrum", {}).get("rows", []) if row["converged"]]
    if found:
        # Of a pair the member above the axis, so that the choice does not depend on the order of the rows.
        right = max(found, key=lambda row: (row["real"], row["imag"]))
        large = max(found, key=lambda row: (abs(complex(row["real"], row["imag"])), row["imag"]))
        for name, row in (("rightmost h·λ", right), ("largest h·λ", large)):
            yield name, f"{complex_number(row['real'], row['imag'])} ± {number(row['residual'], 1)}"
        if growths := [row["growth"] for row in found if row["growth"] is not None]:
            yield "fastest mode per step", growth_percent(max(growths))
    for row in sections.get("sharpness", {}).get("rows", []):
        share = f", {100 * row['ratio']:.0f}% of the limit" if row["ratio"] is not None else ""
        yield f"sharpness, {row['name']}", with_error(row["value"], row["residual"]) + share
    if (steps := sections.get("horizon", {}).get("steps")) is not None:
        yield "trust horizon, steps", number(steps)
    for row in sections.get("best_response", {}).get("rows", []):
        yield f"held-out gain of {row['player']}", number(row["gain_held_out"])
    for row in sections.get("score", {}).get("rows", []):
        yield str(row["name"]), number(row["value"])
