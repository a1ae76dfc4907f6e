"""The diagnosis as Markdown: the same parts as the HTML page, without the figures."""

from __future__ import annotations

import re

from separatrix.probes.numbers import exact
from separatrix.probes.record import Diagnosis, Finding
from separatrix.report import page
from separatrix.report.references import cited
from separatrix.report.tables import Table


def to_markdown(diagnosis: Diagnosis) -> str:
    """The report as Markdown with pipe tables; text from the outside is escaped, HTML in it included.

    Raises:
        InputError: a section is not in its shape.
    """
    blocks = [f"# {_literal(diagnosis.title)}", f"**{diagnosis.severity}**: {_literal(diagnosis.verdict)}"]
    if glance := page.at_a_glance(diagnosis):
        blocks.append("\n".join(f"- {_literal(name)}: **{_literal(v)}** ({_literal(b)})" for name, v, b in glance))
    blocks.append("## Findings")
    blocks += [_finding(finding) for finding in diagnosis.findings] or ["No findings."]
    blocks += [f"Note: {_literal(note)}" for note in page.general_notes(diagnosis)]
    for part in page.parts(diagnosis):
        blocks.append(f"## {part.heading}")
        blocks.append(_literal(part.missing) if part.missing else _literal(part.sentence))
        if part.table:
            blocks.append(_table(part.table))
    blocks.append("## References")
    works = cited(finding.source for finding in diagnosis.findings)
    blocks.append("\n".join(f"- {key}: {_literal(work)}" for key, work in works.items()))
    return "\n\n".join(filter(None, blocks)) + "\n"


def _finding(finding: Finding) -> str:
    lines = [f"### {finding.severity}: {_literal(finding.title)}", "", _literal(finding.sentence), ""]
    if finding.remedy:
        lines += [f"**Try** {_literal(finding.remedy)}", ""]
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
