"""The diagnosis as Markdown: the same parts as the HTML page, without the figures."""

from __future__ import annotations

import re

from separatrix.probes.numbers import exact
from separatrix.probes.record import Diagnosis, Finding
from separatrix.report import page
from separatrix.report.further import readings
from separatrix.report.glance import at_a_glance
from separatrix.report.references import cited
from separatrix.report.tables import Table
from separatrix.report.words import explained


def to_markdown(diagnosis: Diagnosis) -> str:
    """The report as Markdown with pipe tables; text from the outside is escaped, HTML in it included.

    Raises:
        InputError: a section is not in its shape.
    """
    blocks = [f"# {_literal(diagnosis.title)}", f"**{diagnosis.severity}**: {_literal(diagnosis.verdict)}"]
    if glance := at_a_glance(diagnosis):
        blocks.append("\n".join(f"- {_literal(name)}: **{_literal(v)}** ({_literal(b)})" for name, v, b in glance))
    blocks.append("## Findings")
    blocks += [_finding(finding) for finding in diagnosis.findings] or ["No findings."]
    blocks += [f"Note: {_literal(note)}" for note in page.general_notes(diagnosis)]
    parts = list(page.parts(diagnosis))
    for part in parts:
        if part.missing:
            continue
        blocks += [f"## {part.heading}", *([f"*{_literal(part.caveat)}*"] if part.caveat else [])]
        blocks.append(_literal(part.sentence))
        if part.table:
            blocks.append(_table(part.table))
    if absent := page.not_measured(parts):
        blocks += ["## Not measured", "\n".join(f"- **{_literal(names)}**: {_literal(why)}" for names, why in absent)]
    said = [text for f in diagnosis.findings for text in (f.sentence, f.remedy, f.source)]
    if words := explained(*said, *(part.sentence for part in parts)):
        blocks += ["## Words", "\n".join(f"- **{_literal(word)}**: {_literal(meaning)}" for word, meaning in words)]
    blocks.append("## References")
    works = cited(finding.source for finding in diagnosis.findings)
    blocks.append("\n".join(f"- {key}: {_literal(work)}" for key, work in works.items()))
    return "\n\n".join(filter(None, blocks)) + "\n"


def _finding(finding: Finding) -> str:
    lines = [f"### {finding.severity}: {_literal(finding.title)}", "", _literal(finding.sentence), ""]
    if finding.remedy:
        lines += [f"**Try** {_literal(finding.remedy)}", ""]
    for reading in readings(finding.code):
        lines += [f"**Read** {_literal(str(reading))}", ""]
    facts = {"value": finding.value, "threshold": finding.threshold}
    said = [f"{name} {exact(value)}" for name, value in facts.items() if value is not None]
    said += [f"source {_literal(finding.source)}"] if finding.source else []
    return "\n".join([*lines, f"({', '.join([*said, _literal(finding.code)])})"])


def _table(table: Table) -> str:
    rule = ["---"] + ["---:"] * (len(table.columns) - 1)
    if table.wordy:
        rule[-1] = "---"
    rows = [table.columns, tuple(rule), *table.rows]
    return "\n".join("| " + " | ".join(c if row is rows[1] else _literal(c) for c in row) + " |" for row in rows)


def _literal(text: str) -> str:
    """Text that Markdown shows as it stands, on one line."""
    return re.sub(r"([\\`*_\[\]<>|#&~$])", r"\\\1", " ".join(text.split()))
