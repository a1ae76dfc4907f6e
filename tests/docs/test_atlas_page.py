"""The page of claims that did not hold agrees with the stored results."""

from __future__ import annotations

import runpy

from blocks import ROOT

from separatrix.atlas import at_most, catalogue, load_result
from separatrix.atlas.claims import HOLDS
from separatrix.atlas.stored import SHIPPED

SCRIPT = runpy.run_path(str(ROOT / "docs" / "make_atlas_page.py"))


def test_the_page_is_that_of_the_stored_results() -> None:
    current = SCRIPT["PAGE"].read_text(encoding="utf-8")
    assert current == SCRIPT["page"](), "run: python docs/make_atlas_page.py"


def test_every_claim_that_does_not_hold_has_its_row() -> None:
    rows = [line for line in SCRIPT["page"]().splitlines() if line.startswith("| `")]
    results = [load_result(SHIPPED, name) for name in catalogue()]
    kept = [result for result in results if result is not None]
    expected = [r.id for r in kept for claim in r.outcome.claims if claim.verdict != HOLDS]
    assert sorted(row.split("`")[1] for row in rows) == sorted(expected)


def test_a_row_has_number_interval_and_bound_and_is_escaped() -> None:
    claim = at_most("Of |x_1| the *worst*.", [1.0, 2.0, 3.0], 0.5, over="every")
    assert SCRIPT["table"]([("a-study", claim)]).splitlines()[-1] == (
        "| `a-study` | Of \\|x\\_1\\| the \\*worst\\*. | 3.00 [1.00, 3.00] | ≤ 0.500 |"
    )
    assert SCRIPT["table"]([]) == "None.\n"
