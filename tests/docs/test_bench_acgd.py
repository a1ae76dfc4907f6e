"""The stored comparison of ACGD with another package: the page on methods shows it as it is, and both sides are judged alike."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).parents[2]
ACGD = json.loads((ROOT / "benchmarks" / "results" / "acgd.json").read_text())["results"]


def test_the_page_on_methods_shows_the_stored_comparison() -> None:
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    for case in ACGD:
        for name, row in case["contenders"].items():
            t = row["times separatrix"]
            reached = (
                f"{row['products'][0]:.0f} | {row['residual'][0]:.0e} | {row['residual'][1]:.0e}"
                if "products" in row
                else "as many | |"
            )
            shown = f"| {case['networks']}, {case['lr']:g} | {name} | {reached} | {1e3 * row['seconds'][0]:.3g} | {t[0]:.2f} ({t[1]:.2f} to {t[2]:.2f}) |"
            assert shown in page, shown


def test_both_solve_the_same_system_and_ours_keeps_what_was_asked_for() -> None:
    """First steps agree to float32. Medians: where a unit switches between float32 and float64 the equations differ."""
    for case in ACGD:
        assert case["gap of a first step"] < 1e-5
        assert case["contenders"]["separatrix"]["residual"][0] <= 1e-6
        assert case["contenders"]["cgds, cold"]["residual"][0] < 1e-5
