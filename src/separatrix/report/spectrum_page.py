"""A spectrum as a page, as Markdown and as a picture: the verdict, what it rests on, the plane, the table.

The HTML page is one file that asks for nothing and has no script; its figures are inline SVG.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import partial
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from separatrix.probes.numbers import MISSING, complex_number, number
from separatrix.probes.spectrum import Spectrum
from separatrix.report import spectrum_plot
from separatrix.report.rendering import render
from separatrix.report.style import PAPER, RC, svg
from separatrix.report.tables import Table

MEANING = {
    "unstable": "A converged eigenvalue lies to the right of zero by more than its error bar: small displacements grow.",
    "contracting": "The symmetric part is negative definite: every distance shrinks at once, in this metric.",
    "stable": "The whole spectrum was computed and lies left of zero, error bars included.",
    "no unstable mode found": "The rightmost modes found lie left of zero. That is evidence, not proof.",
    "marginal": "The rightmost real part is zero within an error that is itself small; higher orders decide.",
    "undecided": "The error bars reach across zero, or too little converged; a larger budget may decide.",
}
TONES = {"unstable": "critical", "undecided": "warning", "marginal": "note", "no unstable mode found": "note"}


def table(data: Mapping[str, Any]) -> Table:
    """The eigenvalues; columns in which nothing stands are left out."""
    columns = ("eigenvalue", "residual", "condition", "error", "step limit", "found as", "converged")
    rows = [
        (
            complex_number(r["real"], r["imag"]),
            number(r["residual"], 1),
            number(r["condition"]),
            number(r["error"], 1),
            number(r["step_limit"]),
            str(r["target"]).replace("+", ", "),
            "yes" if r["converged"] else "no",
        )
        for r in data["rows"]
    ]
    kept = [i for i in range(len(columns)) if any(row[i] != MISSING for row in rows)]
    return Table(tuple(columns[i] for i in kept), tuple(tuple(row[i] for i in kept) for row in rows))


def evidence(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the verdict rests on, and what was measured beside it: name and value."""
    found: list[tuple[str, str]] = []
    if (known := data["certificate"]) is not None:
        part = known["symmetric_part"]
        sure = "" if not part["failure"] else f", failure probability {number(part['failure'], 1)}"
        error = MISSING if known["error"] is None else number(known["error"], 1)
        found += [
            ("rightmost", f"{complex_number(*known['rightmost'])} ± {error}"),
            ("condition", number(known["condition"])),
            ("symmetric part", f"between {number(part['lower_bound'])} and {number(part['upper_bound'])}{sure}"),
        ]
    if (spread := data["density"]) is not None and spread["above"] is not None:
        shares = ", ".join(f"{number(100 * spread[side], 2)} % {side}" for side in ("above", "below"))
        found.append(("of its eigenvalues", f"{shares} ± {number(spread['flat'], 1)}"))
    if (curves := data["pseudospectrum"]) is not None and curves["growth"] is not None:
        found.append(("transient growth", f"at least × {number(curves['growth'])}"))
    found.append(("products", f"{data['products']}{', the whole spectrum' if data['complete'] else ''}"))
    return found


def spectrum_to_html(found: Spectrum) -> str:
    """The whole page as text; the same spectrum gives the same text."""
    data = found.to_dict()
    name = data["verdict"]["name"]
    pictures = [
        svg(
            partial(spectrum_plot.plane, data, view=view),
            name=f"plane-{view}",
            size=(5.4, 4.6) if view == 0 else (3.6, 4.2),
            label=f"Eigenvalues in the complex plane{', around zero' if view else ''}; the table below lists them.",
        )
        for view in range(spectrum_plot.views(data))
    ]
    curve = None
    if data["density"] is not None:
        label = "The density of the eigenvalues of the symmetric part, in a logarithmic scale."
        curve = svg(partial(spectrum_plot.density, data), name="density", size=(5.4, 2.6), label=label)
    return render(
        "spectrum.html.j2",
        data=data,
        name=name,
        tone=TONES.get(name, "ok"),
        meaning=MEANING[name],
        pictures=pictures,
        curve=curve,
        table=table(data),
        evidence=evidence(data),
    )


def spectrum_to_markdown(found: Spectrum) -> str:
    """The same as Markdown, without the pictures."""
    data = found.to_dict()
    rows = table(data)
    rule = ["---:"] * len(rows.columns)
    lines = [
        f"# Spectrum of {data['title']}",
        f"**{data['verdict']['name']}**: {data['verdict']['sentence']}",
        MEANING[data["verdict"]["name"]],
        "\n".join(f"- {name}: {value}" for name, value in evidence(data)),
        f"Eigenvalues of: {data['metric']}; stable where the real part is negative.",
        "\n".join("| " + " | ".join(cells) + " |" for cells in (rows.columns, rule, *rows.rows)),
        *data["findings"],
    ]
    return "\n\n".join(lines) + "\n"


def spectrum_picture(found: Spectrum, kind: str) -> bytes:
    """The plane, magnified around zero beside it where that helps, and the density: ``png`` or ``svg``."""
    data = found.to_dict()
    count = spectrum_plot.views(data)
    with rc_context({**RC, "svg.hashsalt": "separatrix", "savefig.facecolor": PAPER}):
        figure = Figure(figsize=(5.6 * count, 5.0 + (2.8 if data["density"] else 0)), layout="constrained")
        grid = figure.add_gridspec(
            2 if data["density"] else 1, count, height_ratios=[5.0, 2.8] if data["density"] else None
        )
        for view in range(count):
            spectrum_plot.plane(data, figure.add_subplot(grid[0, view]), view=view)
        if data["density"]:
            spectrum_plot.density(data, figure.add_subplot(grid[1, :]))
        figure.suptitle(f"{data['title']}: {data['verdict']['name']}".replace("$", r"\$"))
        stream = io.BytesIO()
        figure.savefig(
            stream, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else {"Software": "separatrix"}
        )
    return stream.getvalue()
