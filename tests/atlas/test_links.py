"""Findings name the studies of their symptoms, in every form of the report, once the atlas has registered."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import separatrix as sx
from separatrix import report
from separatrix.atlas import catalogue
from separatrix.atlas.links import NAMED, name_studies, reading_of, studies_of
from separatrix.atlas.symptoms import FINDINGS
from separatrix.probes.record import Diagnosis, Finding
from separatrix.report.further import SOURCES, Reading


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOURCES, "atlas", reading_of)


def turning(code: str = "undamped-rotation") -> Diagnosis:
    finding = Finding(code, "warning", "It turns", "A pair of modes turns undamped.")
    return Diagnosis("A game", "It turns.", "warning", findings=(finding,), sections={})


WRITERS: list[Callable[[Diagnosis], str]] = [report.to_html, report.to_markdown, report.to_text]


@pytest.mark.parametrize("write", WRITERS)
def test_a_report_names_the_nearest_studies_and_the_way_to_all(
    write: Callable[[Diagnosis], str], registered: None
) -> None:
    text = " ".join(write(turning()).replace("\\", "").split())
    nearest = studies_of("undamped-rotation")
    assert len(nearest) > NAMED
    assert all(name in text for name in nearest[:NAMED])
    assert nearest[NAMED] not in text
    assert "separatrix atlas show" in text
    assert "separatrix atlas list --symptom undamped-rotation" in text


@pytest.mark.parametrize("write", WRITERS)
def test_a_finding_without_studies_and_a_report_without_the_atlas_say_nothing(
    write: Callable[[Diagnosis], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(SOURCES, "atlas", raising=False)
    alone = write(turning())
    monkeypatch.setitem(SOURCES, "atlas", lambda code: None)
    assert write(turning()) == alone
    assert "separatrix atlas show" not in alone


def test_studies_that_share_more_symptoms_come_first() -> None:
    wanted = set(FINDINGS["undamped-rotation"])
    shared = [len(wanted & set(catalogue()[name].study.symptoms)) for name in studies_of("undamped-rotation")]
    assert shared == sorted(shared, reverse=True)
    assert shared[-1] > 0


def test_few_studies_are_named_without_a_way_to_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("separatrix.atlas.links.studies_of", lambda code: ("one", "two"))
    assert str(reading_of("any")) == "separatrix atlas show one | two"
    assert str(Reading(("one",), "show", "list")) == "show one; all of them: list"


def test_the_command_that_lists_all_takes_every_code(command: Callable[..., object]) -> None:
    for code in FINDINGS:
        command("list", "--symptom", code)


def test_registering_twice_names_them_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(SOURCES, "atlas", raising=False)
    name_studies()
    name_studies()
    assert report.to_text(turning()).count("separatrix atlas show") == 1


def test_whoever_diagnoses_from_python_has_them_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(SOURCES, "atlas", raising=False)
    assert callable(sx.diagnose)
    assert "separatrix atlas show" in report.to_text(turning())
