"""Every study at smoke scale: it runs, its closed forms hold, its control fails, and its stored result is in step."""

from __future__ import annotations

import ast
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure

from separatrix.atlas import SMOKE, Entry, catalogue, load_result, run_study
from separatrix.atlas.stored import SHIPPED, compact
from separatrix.atlas.symptoms import FINDINGS, SYMPTOMS

ROOT = Path(__file__).parents[2]
STUDIES = list(catalogue().values())
PARAGRAPHS = ("Checked", "Not reproduced", "Paper and code", "Runtime")
# CPU-seconds at smoke scale; studies are many and tests must stay quick.
MOST, MEDIAN = 8.0, 1.5
REFERENCES = (ROOT / "docs" / "references.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def seconds() -> Any:
    spent: dict[str, float] = {}
    yield spent
    if len(spent) == len(STUDIES):
        assert sorted(spent.values())[len(spent) // 2] <= MEDIAN, spent


@pytest.mark.parametrize("entry", STUDIES, ids=lambda entry: entry.id)
def test_a_study_runs_its_closed_forms_hold_and_its_control_fails(entry: Entry, seconds: dict[str, float]) -> None:
    entry.module()
    stream = torch.get_rng_state()
    result = run_study(entry, SMOKE)
    assert torch.equal(torch.get_rng_state(), stream)
    outcome = result.outcome
    assert [c.sentence for c in outcome.claims if c.closed_form and c.verdict != "holds"] == []
    assert [c.sentence for c in outcome.controls if c.verdict != "does not hold"] == []
    figure = Figure(figsize=entry.study.size)
    entry.draw()(figure, json.loads(json.dumps(compact(outcome.figure))))
    assert figure.axes
    assert result.seconds < MOST
    seconds[entry.id] = result.seconds


@pytest.mark.parametrize("entry", STUDIES, ids=lambda entry: entry.id)
def test_a_study_reads_as_one(entry: Entry) -> None:
    paragraphs = [" ".join(p.split()) for p in entry.essay.strip().split("\n\n")]
    assert entry.claim.endswith(".")
    assert len(entry.claim) < 240
    assert paragraphs[1].startswith(f"[{entry.study.key}")
    for name in PARAGRAPHS:
        assert any(p.startswith(f"{name}: ") for p in paragraphs), name
    for key in {
        key for cited in re.findall(r"\[[^\]]*\]", entry.essay) for key in re.findall(r"[a-z]+\d{4}\w*", cited)
    }:
        assert f"- [{key}] " in REFERENCES, f"docs/references.md lacks {key}"
    assert entry.study.question.endswith("?")
    assert entry.study.methods
    assert entry.study.symptoms
    assert len(entry.code.splitlines()) <= 215


@pytest.mark.parametrize("entry", STUDIES, ids=lambda entry: entry.id)
def test_the_stored_result_is_that_of_the_study(entry: Entry) -> None:
    result = load_result(SHIPPED, entry.id)
    assert result is not None, f"run: separatrix atlas run {entry.id} -o {SHIPPED.relative_to(ROOT)}"
    assert result.scale == "full"
    assert result.is_of(entry), "the study was edited after its full run; run it again"
    assert not result.outcome.blind
    assert (SHIPPED / f"{entry.id}.json").stat().st_size < 100_000
    assert all(math.isfinite(c.bound) for c in result.outcome.claims)


def test_every_stored_result_has_its_study() -> None:
    assert {path.stem for path in SHIPPED.glob("*.json")} == set(catalogue())


def test_no_study_imports_another() -> None:
    for entry in STUDIES:
        for node in ast.walk(ast.parse(entry.code)):
            module = getattr(node, "module", None) or ""
            assert not re.match(r"separatrix\.atlas\.(?!look$)", module), entry.id


def test_symptoms_and_findings_name_each_other() -> None:
    assert all(text.endswith((".", "?")) for text in SYMPTOMS.values())
    assert {name for names in FINDINGS.values() for name in names} <= set(SYMPTOMS)


def test_the_catalogue_reads_what_an_import_would_give() -> None:
    for entry in STUDIES:
        assert entry.study == entry.module().STUDY
        assert Path(str(entry.module().__file__)) == entry.path
