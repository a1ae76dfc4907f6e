"""The diagnosis in a notebook's cell: verdict, findings and the numbers that decide. The page has the rest."""

from __future__ import annotations

from html import escape

from separatrix.probes.record import Diagnosis, Finding
from separatrix.report import page
from separatrix.report.glance import at_a_glance, headline
from separatrix.report.style import ACCENT, DECAY, GROW, UNSURE
from separatrix.report.terminal import MARKS

# Of the page's colours the ones that read on a notebook's paper, white or black, in bold type.
TONES = {"ok": ACCENT, "note": DECAY, "warning": UNSURE, "critical": GROW}
LEFT = "text-align:left;padding:0.15em 1.2em 0.15em 0"


def to_cell(diagnosis: Diagnosis) -> str:
    """An HTML fragment without scripts, styles of its own or anything that asks for a file.

    Raises:
        InputError: a section is not in its shape.
    """
    lead, rest = headline(diagnosis)
    rows = "".join(
        f'<tr><th scope="row" style="{LEFT};font-weight:normal">{escape(name)}</th>'
        f'<td style="{LEFT}"><b>{escape(value)}</b></td><td style="{LEFT}">{escape(beside)}</td></tr>'
        for name, value, beside in at_a_glance(diagnosis)
    )
    findings = "".join(map(_finding, diagnosis.findings))
    return "".join(
        [
            '<div style="max-width:50em">',
            f"<p>{escape(diagnosis.title)}<br>{_badge(diagnosis.severity)} <b>{escape(lead)}</b> {escape(rest)}</p>",
            f"<table>{rows}</table>" if rows else "",
            f'<ul style="padding-left:1.2em">{findings}</ul>' if findings else "<p>No findings.</p>",
            f"<p>{escape(doubt)}</p>" if (doubt := page.caveat(diagnosis)) else "",
            "<p>Figures and tables: <code>diagnosis.save(&quot;report.html&quot;)</code></p></div>",
        ]
    )


def _finding(finding: Finding) -> str:
    remedy = f" <b>Try</b> {escape(finding.remedy)}" if finding.remedy else ""
    head = f"{_badge(finding.severity)} <b>{escape(finding.title)}</b>"
    return f"<li>{head}<br>{escape(finding.sentence)}{remedy}</li>"


def _badge(severity: str) -> str:
    return f'<b style="color:{TONES[severity]}">{MARKS[severity]} {severity}</b>'
