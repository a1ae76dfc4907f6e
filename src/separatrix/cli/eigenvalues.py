"""``separatrix spectrum``: the leading eigenvalues with their residuals, and the verdict with its certificate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from separatrix.cli.options import Request
from separatrix.cli.outputs import check_outputs
from separatrix.cli.starting import start
from separatrix.cli.talk import Talk
from separatrix.probes.leading import TARGETS
from separatrix.probes.numbers import number
from separatrix.report import spectrum
from separatrix.report.spectrum_page import evidence

SUFFIXES = (".html", ".png", ".svg", ".md", ".json")


def spectrum_of_target(
    request: Request,
    talk: Talk,
    *,
    ends: Sequence[str],
    k: int,
    max_products: int,
    route: str,
    pseudospectrum: bool,
    density: bool,
    outputs: Sequence[Path],
) -> int:
    """Print the spectrum and write what is asked for; field sign: stable means ``Re < 0``."""
    check_outputs(outputs, SUFFIXES)
    begun = start(request, talk)
    with talk.progress(f"eigenvalues of {begun.problem.name}") as advance:
        found = spectrum(
            begun.field(request.seed),
            method=begun.method,
            states=begun.states,
            k=k,
            targets=ends or TARGETS,
            pseudospectrum=pseudospectrum,
            density=density,
            max_products=max_products,
            route=route,
            seed=request.seed,
            progress=lambda part: advance(part=part),
        )
    for finding in found.findings:
        talk.note(finding)
    for path in outputs:
        found.save(path)
        talk.note(f"wrote {path}")
    data = {"problem": begun.problem.name, **found.to_dict()}
    shown: list[RenderableType] = []
    if not talk.quiet:
        shown = [Text(f"{begun.problem.name}: {found.metric}; stable where Re < 0"), _table(data), _facts(data)]
    talk.result(data, *shown, Text(found.sentence))
    return 0


def _table(data: Mapping[str, Any]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("eigenvalue", "residual", "step limit"):
        table.add_column(name, justify="right")
    table.add_column("found as")
    for row in data["rows"]:
        found = row["target"].replace("+", ", ") + ("" if row["converged"] else " (not converged)")
        value = f"{row['real']:.6g} {row['imag']:+.6g}i"
        table.add_row(value, f"{row['residual']:.0e}", number(row["step_limit"]), found)
    return table


def _facts(data: Mapping[str, Any]) -> Table:
    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(style="dim")
    facts.add_column()
    for name, value in evidence(data):
        facts.add_row(name, value)
    return facts
