"""The diagnosis in a terminal: verdict, findings and the few tables that decide; plain text where colour is unwanted."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from separatrix.probes.numbers import exact
from separatrix.probes.record import Diagnosis, Finding
from separatrix.report import page
from separatrix.report.further import readings
from separatrix.report.tables import Table

WIDTH = 100
MARKS = {"ok": "✓", "note": "●", "warning": "▲", "critical": "■"}
TONES = {"ok": "green", "note": "blue", "warning": "yellow", "critical": "red"}
SHOWN = (
    "spectrum",
    "signature",
    "interplay",
    "sharpness",
    "stability",
    "horizon",
    "forecast",
    "best_response",
    "twins",
    "evidence",
    "score",
    "cost",
)
# Their sentence says enough; the table is a page long.
SENTENCE_ONLY = frozenset({"signature", "horizon", "cost"})
# Columns that a hundred characters have no room for.
LEFT_OUT = frozenset({"gradients", "sought"})


def renderable(diagnosis: Diagnosis) -> RenderableType:
    """What ``rich`` prints.

    Raises:
        InputError: a section is not in its shape.
    """
    return Group(*_blocks(diagnosis))


def to_text(diagnosis: Diagnosis, *, width: int = WIDTH) -> str:
    """The same as plain text, without colour and without trailing blanks."""
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None, force_terminal=False, legacy_windows=False).print(
        renderable(diagnosis)
    )
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def show(diagnosis: Diagnosis, *, file: TextIO | None = None) -> None:
    """Print to ``file`` (stdout): in colour on a terminal unless NO_COLOR is set, as plain text elsewhere."""
    console = Console(file=file)
    if console.is_terminal:
        console.print(renderable(diagnosis))
    else:
        console.file.write(to_text(diagnosis))


def _blocks(diagnosis: Diagnosis) -> Iterator[RenderableType]:
    yield _clean(diagnosis.title, "dim")
    yield Text.assemble(_badge(diagnosis.severity), "  ", _clean(diagnosis.verdict, "bold"))
    yield Text()
    for finding in diagnosis.findings:
        yield from _finding(finding)
    if not diagnosis.findings:
        yield Text("No findings.")
        yield Text()
    for note in page.general_notes(diagnosis):
        yield Text.assemble(("Note", "bold"), "  ", _clean(note))
        yield Text()
    if known := (diagnosis.sections.get("problem") or {}).get("known"):
        facts = "; ".join(f"{name} {fact['value']}" for name, fact in known.items())
        yield Text.assemble(("Known", "bold"), "  ", _clean(facts + ".", "dim"))
        yield Text()
    parts = list(page.parts(diagnosis))
    for part in parts:
        if part.key in SHOWN and not part.missing:
            yield Text.assemble((part.heading, "bold"), "  ", _clean(part.sentence))
            yield Text() if part.key in SENTENCE_ONLY or part.table is None else _table(part.table)
    for names, why in page.not_measured(parts):
        yield Text.assemble(("Not measured", "bold"), "  ", _clean(names), ": ", _clean(why, "dim"))


def _finding(finding: Finding) -> Iterator[RenderableType]:
    yield Text.assemble(_badge(finding.severity), "  ", _clean(finding.title, "bold"))
    body = [_clean(finding.sentence)]
    if finding.remedy:
        body.append(Text.assemble(("Try ", "green"), _clean(finding.remedy)))
    body += [Text.assemble(("Read ", "green"), _clean(str(reading))) for reading in readings(finding.code)]
    facts = {"value": finding.value, "threshold": finding.threshold}
    said = [f"{name} {exact(value)}" for name, value in facts.items() if value is not None]
    body.append(_clean(" · ".join(filter(None, [*said, finding.source, finding.code])), "dim"))
    yield Padding(Group(*body), (0, 0, 1, 4))


def _badge(severity: str) -> Text:
    return Text(f"{MARKS[severity]} {severity}", TONES[severity])


def _table(table: Table) -> RichTable:
    drawn = RichTable(box=SIMPLE_HEAD, header_style="dim", pad_edge=False)
    kept = [i for i, name in enumerate(table.columns) if name not in LEFT_OUT]
    for i in kept:
        words = i == 0 or (table.wordy and i == len(table.columns) - 1)
        drawn.add_column(_clean(table.columns[i]), justify="left" if words else "right", overflow="fold")
    for i, row in enumerate(table.rows):
        drawn.add_row(*(_clean(row[j]) for j in kept), style="bold" if i == table.strong else None)
    return drawn


def _clean(text: str, style: str = "") -> Text:
    """Text without control characters: a player's name must not move the cursor."""
    return Text(re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", text), style)
