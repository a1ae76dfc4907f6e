"""Markdown, terminal and comparison; golden files, rewritten by ``SEPARATRIX_GOLDEN=write``."""

import io
import os
from dataclasses import replace
from pathlib import Path

import fixture
import pytest
from rich.console import Console

import separatrix.report as report
from separatrix.errors import InputError
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
    assert [line.split(":")[0] for line in comparison.lost] == ["undamped-rotation"]
    # The classifier has no best responses, and a finding unknown here rests on all that the first measured.
    assert [line.split(":")[0] for line in comparison.unmeasured_after] == [
        "far-from-best-response",
        "plain-descent-limit",
    ]
    assert comparison.gained == comparison.unmeasured_before == ()


def test_a_diagnosis_compared_with_itself_has_not_changed() -> None:
    comparison = report.compare_diagnoses(fixture.gan(), fixture.gan())
    assert all(before == after for _, before, after in comparison.rows)
    assert (
        comparison.kept[0]
        == "undamped-rotation: Undamped rotation that the momentum drives (critical 1.008 → critical 1.008)"
    )
    assert len(comparison.kept) == 3
    assert [*comparison.lost, *comparison.gained, *comparison.unmeasured_after, *comparison.notes] == []


def without(diagnosis: Diagnosis, *sections: str) -> Diagnosis:
    """As a budget that ran out leaves it: no section, and none of the findings that rest on it."""
    kept = {key: value for key, value in diagnosis.sections.items() if key not in sections}
    return replace(diagnosis, findings=(), sections=kept)


@pytest.mark.parametrize(
    ("left_out", "code"),
    [("signature", "undamped-rotation"), ("best_response", "far-from-best-response")],
)
def test_what_was_not_measured_is_neither_lost_nor_gained(left_out: str, code: str) -> None:
    full, cut = fixture.gan(), without(fixture.gan(), left_out)
    forth, back = report.compare_diagnoses(full, cut), report.compare_diagnoses(cut, full)
    for where, other in ((forth.unmeasured_after, forth.lost), (back.unmeasured_before, back.gained)):
        assert code in [line.split(":")[0] for line in where]
        assert code not in [line.split(":")[0] for line in other]
    assert f"not measured in the second  {code}" in str(forth)


def test_a_mode_is_not_lost_where_none_converged() -> None:
    gan, signature = fixture.gan(), fixture.gan().sections["signature"]
    points = [{**point, "converged": False} for point in signature["points"]]
    after = replace(gan, findings=(), sections={**gan.sections, "signature": {**signature, "points": points}})
    comparison = report.compare_diagnoses(gan, after)
    assert "undamped-rotation" in comparison.unmeasured_after[0]
    assert {name: (b, a) for name, b, a in comparison.rows}["modes that grow"] == ("2 of 11", None)


def test_eigenvalues_in_different_metrics_stand_in_rows_of_their_own() -> None:
    gan = fixture.gan()
    plain = {**gan.sections["spectrum"], "metric": "Jacobian, per unit of time"}
    comparison = report.compare_diagnoses(gan, replace(gan, sections={**gan.sections, "spectrum": plain}))
    rows = [row for row in comparison.rows if "eigenvalue" in row[0]]
    assert len(rows) == 4
    assert all((before is None) != (after is None) for _, before, after in rows)
    assert "not in one metric" in comparison.notes[0]


def test_leading_growth_and_both_gains_have_rows() -> None:
    rows = {
        name: (before, after) for name, before, after in report.compare_diagnoses(fixture.gan(), fixture.healthy()).rows
    }
    assert rows["|m| of the leading mode, per step"] == (
        "1.0082, a rotation with a period of 85 steps",
        "0.8000, without turning",
    )
    assert rows["training gain of D"] == ("0.380", None)
    assert rows["held-out gain of D"] == ("0.670", None)


def test_saved_diagnoses_are_compared_by_their_paths_and_other_things_refused(tmp_path: Path) -> None:
    path = fixture.healthy().save(tmp_path / "a.json")
    assert "kept" not in str(report.compare_diagnoses(path, str(path)))
    with pytest.raises(InputError, match=r"there is no diagnosis at b\.json"):
        report.compare_diagnoses(path, "b.json")
    with pytest.raises(InputError, match=r"after must be a Diagnosis .* got a dict"):
        report.compare_diagnoses(path, {"title": "x"})  # type: ignore[arg-type]


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
    assert "Growth of the rotation" in cell
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


def test_the_self_tests_of_a_field_are_not_lost_in_a_run_and_a_replay_not_in_a_field() -> None:
    finding = replace(fixture.gan().findings[0], code="detached", value=None)
    field, run = replace(fixture.healthy(), findings=(finding,)), fixture.healthy()
    run = replace(run, sections={**run.sections, "problem": {"name": "run", "kind": "a training step as a black box"}})
    assert report.compare_diagnoses(field, run).unmeasured_after == (
        "detached: Undamped rotation that the momentum drives",
    )
    assert len(report.compare_diagnoses(field, fixture.healthy()).lost) == 1
    leaky = replace(run, findings=(replace(finding, code="not-replayable"),))
    assert len(report.compare_diagnoses(leaky, field).unmeasured_after) == 1
    assert len(report.compare_diagnoses(leaky, run).lost) == 1


def test_methods_that_differ_are_told() -> None:
    one = fixture.gan()
    method = one.sections["method"]
    slower = {**method, "bases": {**method["bases"], "D": {"kind": "Adam", "lr": 1e-4, "betas": [0.5, 0.999]}}}
    two = replace(one, sections={**one.sections, "method": slower})
    note = report.compare_diagnoses(one, two).notes[0]
    assert note.startswith(
        "the methods differ, and eigenvalues h·λ are those of each one's own step: simultaneous, kind Adam"
    )
    assert "D: kind Adam, lr 0.0001" in note
