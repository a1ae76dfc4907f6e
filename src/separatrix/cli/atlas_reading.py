"""``separatrix atlas list``, ``show`` and ``build``: what is stored, in the terminal and as a site."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.markdown import Markdown
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from separatrix.atlas.catalogue import Entry, catalogue, families, find_study
from separatrix.atlas.claims import VERDICTS, Claim
from separatrix.atlas.stored import SHIPPED, Result, load_result
from separatrix.atlas.symptoms import FINDINGS, SYMPTOMS
from separatrix.cli.talk import Talk
from separatrix.errors import InputError
from separatrix.probes.numbers import number

NOT_RUN = "not run"
STYLES = {"holds": "green", "does not hold": "red", "undecided": "yellow", NOT_RUN: "dim"}


def list_studies(
    talk: Talk,
    *,
    family: str | None,
    verdict: str | None,
    method: str | None,
    symptom: str | None,
    results: Path | None,
) -> int:
    """Print the studies that fit."""
    if family is not None and family not in families():
        raise InputError(f"there is no family {family!r}; there are {', '.join(families())}.")
    if verdict is not None and verdict not in (*VERDICTS, NOT_RUN):
        raise InputError(f"there is no verdict {verdict!r}; there are {', '.join((*VERDICTS, NOT_RUN))}.")
    wanted = None if symptom is None else set(FINDINGS.get(symptom, [s for s in SYMPTOMS if symptom in s]))
    if wanted is not None and not wanted:
        raise InputError(f"no symptom contains {symptom!r}; there are {', '.join(SYMPTOMS)}.")
    rows = []
    for entry in catalogue().values():
        result = stored(entry, results)
        found = NOT_RUN if result is None else result.outcome.verdict
        if (
            family in (None, entry.family)
            and verdict in (None, found)
            and (method is None or any(method.lower() in m.lower() for m in entry.study.methods))
            and (wanted is None or wanted & set(entry.study.symptoms))
        ):
            rows.append(_row(entry, result, found))
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("study", "family", "verdict", "claim"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(row["id"], row["family"], Text(row["verdict"], STYLES[row["verdict"]]), row["claim"])
    talk.result({"studies": rows, "count": len(rows)}, Text(_count(rows)), table)
    return 0


def show_study(name: str, talk: Talk, *, code: bool, results: Path | None) -> int:
    """Print one study."""
    entry = find_study(name)
    result = stored(entry, results)
    row = _row(entry, result, NOT_RUN if result is None else result.outcome.verdict)
    data = {**row, "essay": entry.essay, "bibtex": entry.study.bibtex, "path": str(entry.path)}
    data |= {"code": entry.code} if code else {}
    data |= {} if result is None else {"result": result.to_dict()}
    shown: list[RenderableType] = [Text(f"{entry.id}: {entry.study.title}", "bold"), Text(entry.study.question)]
    if code:
        shown.append(Syntax(entry.code, "python"))
    else:
        shown += [Text(), Markdown(entry.essay), Text()]
        shown += [Text("No result is stored; run it.")] if result is None else show_result(result)
        shown += [Text(), Text(entry.study.bibtex, "dim"), Text(f"\nRun it: separatrix atlas run {name}")]
    talk.result(data, *shown)
    return 0


def build_site(output: Path, talk: Talk, *, results: Path | None) -> int:
    """Write the site."""
    from separatrix.atlas.site import build

    with talk.progress("drawing", total=len(catalogue())) as advance:
        index = build(output, {entry.id: stored(entry, results) for entry in catalogue().values()}, progress=advance)
    talk.result({"index": str(index), "studies": len(catalogue())}, Text(f"{index}"))
    return 0


def stored(entry: Entry, results: Path | None) -> Result | None:
    """The full-scale result: the user's own if there is one, else the one that comes with the package."""
    if results is not None and not results.is_dir():
        raise InputError(f"--results {results}: there is no such folder.")
    own = None if results is None else load_result(results, entry.id)
    return own or load_result(SHIPPED, entry.id)


def show_result(result: Result) -> list[RenderableType]:
    """Claims and controls as a table, then the notes."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("verdict", "claim"):
        table.add_column(name, overflow="fold")
    for name in ("measured", "bound"):
        table.add_column(name, justify="right", overflow="fold")
    for claim in result.outcome.claims:
        table.add_row(Text(claim.verdict, STYLES[claim.verdict]), claim.sentence, measured(claim), bound(claim))
    for claim in result.outcome.controls:
        failed = claim.verdict == "does not hold"
        word = Text("fails, as it must" if failed else f"control: {claim.verdict}", "dim" if failed else "red")
        table.add_row(word, Text(claim.sentence, "dim"), measured(claim), bound(claim))
    lines = [*result.outcome.notes, f"{result.scale} scale, {result.seconds:.0f} CPU-seconds, {result.device}."]
    return [table, *(Text(line, "dim") for line in lines)]


def measured(claim: Claim) -> str:
    """The number with its interval."""
    spread = "" if claim.low == claim.high else f" [{number(claim.low)}, {number(claim.high)}]"
    return number(claim.measured) + spread


def bound(claim: Claim) -> str:
    """The bound with its sense."""
    return f"{'≤' if claim.sense == 'at most' else '≥'} {number(claim.bound)}"


def _row(entry: Entry, result: Result | None, verdict: str) -> dict[str, Any]:
    counted: Mapping[str, int] = {} if result is None else Counter(c.verdict for c in result.outcome.claims)
    return {
        "id": entry.id,
        "family": entry.family,
        "title": entry.study.title,
        "verdict": verdict,
        "claim": entry.claim,
        "claims": dict(counted),
        "methods": list(entry.study.methods),
        "symptoms": list(entry.study.symptoms),
        "up_to_date": None if result is None else result.is_of(entry),
    }


def _count(rows: list[dict[str, Any]]) -> str:
    counted = Counter(row["verdict"] for row in rows)
    parts = ", ".join(f"{counted[v]} {v}" for v in (*VERDICTS, NOT_RUN) if counted[v])
    return f"{len(rows)} stud{'y' if len(rows) == 1 else 'ies'}: {parts}" if rows else "no study fits"
