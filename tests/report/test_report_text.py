"""Markdown, terminal and comparison; golden files, rewritten by ``SEPARATRIX_GOLDEN=write``."""

import io
import os
from dataclasses import replace
from pathlib import Path

import fixture
import pytest
from rich.console import Console

import separatrix.report as report
from separatrix.probes import record
from separatrix.probes.record import Diagnosis

GOLDEN = Path(__file__).parent / "golden"
CASES = ["gan", "alternating", "healthy", "gaps"]


def check(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("SEPARATRIX_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES)
def test_markdown_is_as_it_was(case: str) -> None:
    check(f"{case}.md", report.to_markdown(getattr(fixture, case)()))


@pytest.mark.parametrize("case", CASES)
def test_terminal_text_is_as_it_was(case: str) -> None:
    check(f"{case}.txt", report.to_text(getattr(fixture, case)()))


def test_the_comparison_is_as_it_was() -> None:
    comparison = report.compare_diagnoses(fixture.gan(), fixture.healthy())
    check("comparison.txt", f"{comparison}\n")
    assert [line.split(":")[0] for line in comparison.lost] == [
        "undamped-rotation",
        "best-response-gap",
        "plain-descent-limit",
    ]
    assert comparison.gained == ()


def test_a_diagnosis_compared_with_itself_has_not_changed() -> None:
    comparison = report.compare_diagnoses(fixture.gan(), fixture.gan())
    assert all(before == after for _, before, after in comparison.rows)
    assert "the same findings" in str(comparison)


@pytest.mark.parametrize("suffix", [".html", ".md", ".txt"])
def test_saving_goes_by_suffix_and_json_gives_the_same_page(suffix: str, tmp_path: Path) -> None:
    diagnosis = replace(fixture.gan(), sections={**fixture.gan().sections, "slice": None, "signature": None})
    diagnosis.save(tmp_path / "a.json")
    diagnosis.save(tmp_path / f"direct{suffix}")
    Diagnosis.load(tmp_path / "a.json").save(tmp_path / f"loaded{suffix}")
    assert (tmp_path / f"direct{suffix}").read_text() == (tmp_path / f"loaded{suffix}").read_text()


def test_str_is_the_terminal_page_without_colour() -> None:
    assert str(fixture.gan()) == report.to_text(fixture.gan())
    assert repr(fixture.gan()) == str(fixture.gan()).rstrip()
    assert "\x1b" not in str(fixture.gan())


def test_what_is_no_terminal_gets_plain_text() -> None:
    stream = io.StringIO()
    report.show(fixture.gan(), file=stream)
    assert stream.getvalue() == report.to_text(fixture.gan())


def test_rich_prints_the_page_in_colour() -> None:
    stream = io.StringIO()
    Console(file=stream, force_terminal=True, color_system="standard", width=100).print(fixture.gan())
    assert "\x1b[31m■ critical" in stream.getvalue()
    assert "Trust horizon" in stream.getvalue()


def test_a_notebook_shows_a_table_and_the_findings_and_nothing_of_the_users_as_markup() -> None:
    cell = fixture.gan()._repr_html_()
    assert "<td" in cell
    assert "Fastest growth" in cell
    assert "Set the momentum of both players to 0" in cell
    hostile = fixture.gaps()._repr_html_()
    assert "<script" not in hostile
    assert "<b>bold</b>" not in hostile
    assert "No findings." in fixture.healthy()._repr_html_()


def test_without_the_report_a_notebook_gets_the_text_and_rich_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, plain in (("rich", record._plain_view), ("html", record._plain_cell)):
        monkeypatch.setitem(record.VIEWS, kind, plain)
    monkeypatch.setitem(record.WRITERS, ".txt", record._plain_text)
    diagnosis, stream = Diagnosis("a [red] b", "v & w", "ok", (), {}), io.StringIO()
    Console(file=stream).print(diagnosis)
    assert "a [red] b" in stream.getvalue()
    assert diagnosis._repr_html_().startswith("<pre>a [red] b\nv &amp; w")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("no_color", "coloured"), [(None, True), ("1", False)])
def test_a_terminal_gets_colour_unless_no_color_is_set(
    no_color: str | None, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", no_color)
    stream = Terminal()
    report.show(fixture.gan(), file=stream)
    assert ("\x1b[31m" in stream.getvalue()) == coloured


def test_a_name_cannot_drive_the_terminal() -> None:
    hostile = Diagnosis("a\x1b]0;owned\x07b\x9b2J", "v\nw", "ok", findings=(), sections={})
    assert not set("\x1b\x07\x9b") & set(report.to_text(hostile))
