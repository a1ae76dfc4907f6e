"""The stored tables of the benchmarks of advice and of methods: the pages show them as they are, and what they rest on."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
import torch

ROOT = Path(__file__).parents[2]
METHODS = json.loads((ROOT / "benchmarks" / "results" / "methods.json").read_text())["results"]
ADVICE = json.loads((ROOT / "benchmarks" / "results" / "advice.json").read_text())["results"]


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_advice", ROOT / "benchmarks" / "advice.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["bench_advice"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_page_shows_the_stored_table_and_the_table_its_rows(bench: ModuleType) -> None:
    page = (ROOT / "docs" / "advice.md").read_text(encoding="utf-8")
    assert "\n".join(bench.markdown(ADVICE)) in page
    for found in ADVICE.values():
        assert found["table"] == bench.summary(found["rows"])
        seeds = {row["seed"] for row in found["rows"]}
        assert {(row["arm"], row["seed"]) for row in found["rows"]} == {(a, s) for a in bench.ARMS for s in seeds}


def test_every_arm_of_the_table_had_the_same_budget(bench: ModuleType) -> None:
    """Up to one step, in gradient-equivalents of the plain losses."""
    for found in ADVICE.values():
        spent = [row["gradients"] for row in found["rows"] if row["status"] == "done"]
        a_step = max(row["gradients"] / row["steps"] for row in found["rows"])
        assert max(spent) - min(spent) <= a_step


def test_the_checklist_pairs_and_penalises_both_sides_at_its_counted_price(bench: ModuleType) -> None:
    changed, plain = bench.digits_checklist(0), bench.load("digits-gan", seed=0)
    batch = plain.data[:32]
    terms = changed.game.on(batch).losses()
    assert set(terms["D"]) == {"adv", "r1", "r2"}
    for one, other in zip(changed.game.parameters, plain.game.parameters, strict=True):
        assert torch.equal(one, other)
    assert 1.3 < bench.operations(changed) / bench.operations(plain) < 2
    method = bench.without_momentum(plain)
    assert {base.betas for base in method.bases.values()} == {(0.0, 0.99)}


def test_the_page_on_methods_shows_the_stored_costs() -> None:
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    for name, row in METHODS["steps"].items():
        t = row["times a gradient"]
        assert f"| {name} | {row['gradients'][0]:.3g} | {t[0]:.3g} | {t[1]:.3g} to {t[2]:.3g} |" in page
