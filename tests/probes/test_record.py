"""The record: plain data that saves whole, loads back and says what is wrong with what it cannot read."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import separatrix as sx
from separatrix.errors import InputError
from separatrix.probes import Diagnosis, Finding
from separatrix.probes.description import finite
from separatrix.probes.record import RECORD_VERSION, write_text
from separatrix.zoo import load

TOYS: list[tuple[str, dict[str, Any]]] = [
    ("dirac-gan", {}),
    ("dirac-gan", {"theta": 0.0, "psi": 0.0}),
    ("dirac-gan", {"theta": 0.0, "psi": 0.0, "r1": 1.0}),
    ("dirac-gan", {"loss": "wasserstein"}),
    ("dirac-gan", {"loss": "non-saturating", "noise": 0.0}),
    ("bilinear", {"sigma": torch.ones(3, 2, dtype=torch.float64)}),
    ("quadratic", {"departure": 3.0}),
]


@pytest.fixture(scope="module")
def a_diagnosis() -> Diagnosis:
    return sx.diagnose(load("quadratic"), own_steps=5)


@pytest.mark.parametrize(("name", "options"), TOYS, ids=lambda v: str(list(v) if isinstance(v, dict) else v))
def test_a_diagnosis_of_every_toy_saves_in_every_form_and_loads_back(
    name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    found = sx.diagnose(load(name, **options), own_steps=5)
    for suffix in (".json", ".html", ".md"):
        assert found.save(tmp_path / f"record{suffix}").stat().st_size > 500
    again = Diagnosis.load(tmp_path / "record.json")
    assert json.dumps(again.to_dict()) == json.dumps(found.to_dict())
    assert str(again) == str(found)
    assert again.findings == found.findings


@pytest.mark.parametrize("name", ["eight-gaussians", "digits-classifier"])
def test_untrained_networks_have_no_prediction_but_a_page(name: str, tmp_path: Path) -> None:
    found = sx.diagnose(load(name), own_steps=0, max_products=60)
    for suffix in (".json", ".html", ".md"):
        found.save(tmp_path / f"record{suffix}")
    assert any(note.startswith("method: no prediction, since the") for note in found.notes)
    assert not any(note.endswith("..") for note in found.notes)
    assert found["spectrum"]["rows"]
    assert found["signature"] is None
    assert "No prediction" in found["method"]["sentence"]


def test_numbers_that_json_does_not_have_become_none() -> None:
    held = {"a": [1.0, float("nan")], "b": (float("inf"), {"c": -float("inf")}), "d": "nan", "e": 3, "f": None}
    assert finite(held) == {"a": [1.0, None], "b": [None, {"c": None}], "d": "nan", "e": 3, "f": None}


def test_what_is_not_finite_cannot_slip_into_a_file(a_diagnosis: Diagnosis, tmp_path: Path) -> None:
    broken = replace(a_diagnosis, sections={**a_diagnosis.sections, "score": {"rows": [{"value": float("nan")}]}})
    with pytest.raises(ValueError, match="not JSON compliant"):
        broken.save(tmp_path / "broken.json")
    assert list(tmp_path.iterdir()) == []


def test_a_record_of_another_version_is_refused(a_diagnosis: Diagnosis, tmp_path: Path) -> None:
    data = a_diagnosis.to_dict()
    (tmp_path / "old.json").write_text(json.dumps({**data, "version": RECORD_VERSION + 1}))
    with pytest.raises(
        InputError, match=f"has version {RECORD_VERSION + 1}, this release reads version {RECORD_VERSION}"
    ):
        Diagnosis.load(tmp_path / "old.json")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not JSON"),
        ("[1]", "holds a list, not a diagnosis"),
        ("{}", "has version None"),
        (f'{{"version": {RECORD_VERSION}}}', r"the fields \['findings', 'notes', 'sections'"),
        (
            f'{{"version": {RECORD_VERSION}, "title": "", "verdict": "", "severity": "ok", "sections": {{}}, "notes": [], '
            '"findings": [{"code": "x"}]}',
            "one of its findings is not in its shape",
        ),
    ],
)
def test_what_is_no_diagnosis_is_refused_by_name(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=words):
        Diagnosis.load(tmp_path / "x.json")


def test_a_missing_file_an_unknown_suffix_and_a_missing_folder_are_named(
    a_diagnosis: Diagnosis, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="there is no diagnosis at"):
        Diagnosis.load(tmp_path / "none.json")
    with pytest.raises(
        InputError, match=r"cannot save a diagnosis as 'x.pdf'; the suffix must be one of \['.html', '.json', '.md'"
    ):
        a_diagnosis.save(tmp_path / "x.pdf")
    with pytest.raises(InputError, match="does not exist; create it first"):
        a_diagnosis.save(tmp_path / "none" / "x.json")


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("old")
    with pytest.raises(TypeError):
        write_text(path, 3)  # type: ignore[arg-type]
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_sections_are_read_by_name_and_unknown_ones_are_refused(a_diagnosis: Diagnosis) -> None:
    assert a_diagnosis["spectrum"]["rows"]
    assert a_diagnosis["samples"] is None
    with pytest.raises(InputError, match="no section 'colour' in a diagnosis; there are problem, method"):
        a_diagnosis["colour"]


def test_severities_are_ordered_and_checked(a_diagnosis: Diagnosis) -> None:
    def finding(severity: str) -> Finding:
        return Finding("c", severity, "t", "s")

    assert replace(a_diagnosis, findings=()).worst() == "ok"
    assert replace(a_diagnosis, findings=tuple(map(finding, ("note", "critical", "warning")))).worst() == "critical"
    with pytest.raises(InputError, match="severity must be one of"):
        finding("bad")
