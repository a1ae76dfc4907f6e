"""Every study at smoke scale: it runs, its closed forms hold, its control fails, and its stored result is in step."""

from __future__ import annotations

import ast
import json
import math
import re
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest
import torch
from matplotlib.figure import Figure

from separatrix.atlas import SMOKE, Entry, catalogue, load_result, run_study
from separatrix.atlas.stored import SHIPPED, compact
from separatrix.atlas.symptoms import FINDINGS, SYMPTOMS
from separatrix.topology import CubicalComplex, lower_star_gradient, persistence

ROOT = Path(__file__).parents[2]
STUDIES = list(catalogue().values())
PARAGRAPHS = ("Checked", "Not reproduced", "Paper and code", "Runtime")
# CPU-seconds at smoke scale, where the yardstick takes ``YARD``; studies are many and tests must stay quick.
MOST, MEDIAN, YARD = 8.0, 1.5, 0.12
REFERENCES = (ROOT / "docs" / "references.md").read_text(encoding="utf-8")


def yardstick() -> float:
    """CPU-seconds of a fixed task, half of it small matrices and half of it plain Python."""
    begun, matrix = time.process_time(), torch.eye(64, dtype=torch.float64)
    for _ in range(5000):
        matrix = matrix @ matrix
    assert sum(i * i % 7 for i in range(500_000)) > 0
    return time.process_time() - begun


@pytest.fixture(scope="module")
def pace() -> float:
    """How much slower this machine is than the one the limits were set on, at least 1. Loads besides what is loaded only once."""
    torch.func.jvp(torch.sin, (torch.ones(1),), (torch.ones(1),))
    persistence(lower_star_gradient(CubicalComplex((3, 3)), torch.rand(3, 3)))
    return max(1.0, min(yardstick() for _ in range(3)) / YARD)


@pytest.fixture(scope="module")
def seconds(pace: float) -> Iterator[dict[str, float]]:
    """CPU-seconds by study. Workers share the studies, so that the median is that of some; of a few it says nothing."""
    spent: dict[str, float] = {}
    yield spent
    if len(spent) >= 8:
        assert median(spent.values()) <= MEDIAN * pace, spent


@pytest.mark.parametrize("entry", STUDIES, ids=lambda entry: entry.id)
def test_a_study_runs_its_closed_forms_hold_and_its_control_fails(
    entry: Entry, pace: float, seconds: dict[str, float]
) -> None:
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
    # What a study is the first to load or compile is not its own cost: one that seems slow is asked again.
    again = result.seconds if result.seconds < MOST * pace else run_study(entry, SMOKE).seconds
    seconds[entry.id] = min(result.seconds, again)
    assert seconds[entry.id] < MOST * pace


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
