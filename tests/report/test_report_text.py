"""Markdown, terminal and comparison; golden files, rewritten by ``SEPARATRIX_GOLDEN=write``."""

import io
import os
from pathlib import Path

import fixture
import pytest

import separatrix.report as report
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
    diagnosis = fixture.gan()
    diagnosis.save(tmp_path / "a.json")
    diagnosis.save(tmp_path / f"direct{suffix}")
    Diagnosis.load(tmp_path / "a.json").save(tmp_path / f"loaded{suffix}")
    assert (tmp_path / f"direct{suffix}").read_text() == (tmp_path / f"loaded{suffix}").read_text()


def test_str_is_the_terminal_page_without_colour() -> None:
    assert str(fixture.gan()) == report.to_text(fixture.gan())
    assert "\x1b" not in str(fixture.gan())


def test_what_is_no_terminal_gets_plain_text() -> None:
    stream = io.StringIO()
    report.show(fixture.gan(), file=stream)
    assert stream.getvalue() == report.to_text(fixture.gan())


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
