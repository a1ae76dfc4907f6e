"""docs/findings.md names every finding of the code, with its severity and threshold, and no other."""

import re
from pathlib import Path

import separatrix.probes.findings as judge
from separatrix.probes import horizon as _  # noqa: F401 - so that the submodule is loaded
from separatrix.probes.horizon import THRESHOLD

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
CODE = Path(judge.__file__).read_text(encoding="utf-8")
TESTS_OF_JACOBIAN = (ROOT / "src" / "separatrix" / "fields" / "selftests.py").read_text(encoding="utf-8")


def test_every_finding_stands_on_the_page_with_its_severity() -> None:
    coded = dict(re.findall(r'Finding\(\s*"([\w-]+)",\s*"(note|warning|critical)"', CODE))
    coded |= dict(re.findall(r'"([\w-]+)": \("(note|warning|critical)", "', CODE))
    # Findings of the self-tests that have no title of their own are notes.
    coded |= {c: "note" for c in re.findall(r'f?"([a-z-]+): ', TESTS_OF_JACOBIAN) if c not in coded}
    paged = dict(re.findall(r"^## `([\w-]+)` \((\w+)\)", PAGE, re.MULTILINE))
    paged |= dict(re.findall(r"^\| `([\w-]+)` \| (\w+) \|", PAGE, re.MULTILINE))
    assert paged == coded


def test_thresholds_are_those_of_the_code() -> None:
    assert f"{judge.BEYOND_LIMIT:g} times the limit" in PAGE
    assert f"a gain of {judge.BEST_RESPONSE_SHARE:g} of the player's loss" in PAGE
    assert f"an unexplained share of {THRESHOLD:g} after one step" in PAGE
    assert f"observed over forecast growth between {judge.CONFIRMED:g} and {1 / judge.CONFIRMED:g}" in PAGE
    assert f"a largest safe step of 1/{judge.BEYOND_LIMIT:g} of the present one" in PAGE
