"""The verdicts that README quotes and the picture that it opens with come from the stored run."""

from pathlib import Path

import pytest

from separatrix import Diagnosis

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "img"


@pytest.mark.parametrize("name", ["digits-gan", "digits-gan-r1"])
def test_the_quoted_verdict_is_the_stored_one(name: str) -> None:
    stored = Diagnosis.load(IMAGES / f"{name}.json")
    quoted = (ROOT / "README.md").read_text(encoding="utf-8").split("<!-- verdict -->")[1].split("<!-- /verdict -->")[0]
    words = " ".join(line.removeprefix(">").strip() for line in quoted.splitlines())
    assert f"**{name}** · {stored.severity}: {stored.verdict}" in words
    assert stored["reproduce"]["seed"] == 0
    assert stored["method"]["steps_made"] == {"G": 2000, "D": 2000}


def test_the_picture_is_small_and_complete() -> None:
    picture = (IMAGES / "signature.svg").read_text(encoding="utf-8")
    assert len(picture) < 200_000
    assert picture.rstrip().endswith("</svg>")
