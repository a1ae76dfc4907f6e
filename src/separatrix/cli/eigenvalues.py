"""``separatrix spectrum``: the leading eigenvalues with their residuals, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from separatrix.cli.options import Request
from separatrix.cli.starting import start
from separatrix.cli.talk import Talk
from separatrix.probes import Leading, spectrum
from separatrix.probes.leading import TARGETS


def spectrum_of_target(request: Request, talk: Talk, *, ends: Sequence[str], k: int, max_products: int) -> int:
    """Print the spectrum; field sign: stable means ``Re < 0``."""
    begun = start(request, talk)
    with talk.progress(f"eigenvalues of {begun.problem.name}"):
        found = spectrum(
            begun.field(request.seed),
            method=begun.method,
            states=begun.states,
            k=k,
            targets=ends or TARGETS,
            max_products=max_products,
            seed=request.seed,
        )
    for finding in found.findings:
        talk.note(finding)
    modes = found.modes
    data = {
        "problem": begun.problem.name,
        "metric": found.metric,
        "verdict": {"name": found.verdict, "sentence": found.sentence},
        "rows": [
            {"real": value.real, "imag": value.imag, "residual": residual, "converged": converged, "target": target}
            for value, residual, converged, target in _rows(modes)
        ],
        "complete": modes.complete,
        "products": modes.products,
        "findings": list(found.findings),
    }
    shown: list[RenderableType] = (
        [] if talk.quiet else [Text(f"{begun.problem.name}: {found.metric}; stable where Re < 0"), _table(modes)]
    )
    talk.result(data, *shown, Text(found.sentence))
    return 0


def _rows(modes: Leading) -> list[tuple[complex, float, bool, str]]:
    columns = modes.values.tolist(), modes.residuals.tolist(), modes.converged.tolist(), modes.targets
    return list(zip(*columns, strict=True))


def _table(modes: Leading) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("eigenvalue", "residual"):
        table.add_column(name, justify="right")
    table.add_column("found as")
    for value, residual, converged, target in _rows(modes):
        found = target.replace("+", ", ") + ("" if converged else " (not converged)")
        table.add_row(f"{value.real:.6g} {value.imag:+.6g}i", f"{residual:.0e}", found)
    return table
