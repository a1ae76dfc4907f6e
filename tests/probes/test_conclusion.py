"""The headline of a diagnosis."""

from __future__ import annotations

import pytest
import torch

from separatrix.fields import FunctionField
from separatrix.probes.description import conclude
from separatrix.probes.findings import Finding
from separatrix.probes.notebook import Notebook

GROWS, SHORT = "that is what learning looks like", "holds for less than one step"


def book(*codes: str, severity: str = "note") -> Notebook:
    field = FunctionField(lambda x: -x, torch.zeros(2))
    findings = [Finding(code, severity, f"Title of {code}", f"Sentence of {code}.") for code in codes]
    return Notebook(field, None, print, {"signature": {"sentence": "One mode of two grows."}}, findings)


@pytest.mark.parametrize(
    ("codes", "said", "unsaid"),
    [
        ((), ["Nothing looks wrong", "One mode of two grows."], [GROWS, SHORT]),
        (("growing-mode",), ["One mode of two grows.", GROWS], [SHORT]),
        (("no-horizon",), [SHORT], [GROWS]),
        (("unconfirmed-rotation", "growing-mode"), ["Sentence of unconfirmed-rotation."], ["One mode of two", GROWS]),
    ],
)
def test_growth_and_reach_are_told_with_the_good_news(codes, said, unsaid):
    found = conclude(book(*codes), "game")
    assert found.severity == "ok"
    assert all(text in found.verdict for text in said)
    assert not any(text in found.verdict for text in unsaid)


def test_a_warning_comes_first():
    found = conclude(book("undamped-rotation", severity="warning"), "game")
    assert (found.severity, found.verdict) == (
        "warning",
        "Title of undamped-rotation. Sentence of undamped-rotation.",
    )
