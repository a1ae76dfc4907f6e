"""Every work that is cited by key stands in docs/references.md, once, and the report's list agrees with it."""

import re
from collections import Counter
from pathlib import Path

from separatrix.report.references import WORKS

ROOT = Path(__file__).parents[2]
LISTED = re.findall(r"^- \[(\w+)\]", (ROOT / "docs" / "references.md").read_text(encoding="utf-8"), re.MULTILINE)
# `[key]`, `[key, place]` and `[one; another]`, where a key is letters, a year, and perhaps letters.
BRACKET = re.compile(r"\[([^\[\]\n]{5,120})\]")
KEY = re.compile(r"[a-z]{3,}(?:19|20)\d\d[a-z]*")


def cited_in(path: Path) -> set[str]:
    text = path.read_text(encoding="utf-8")
    return {piece.split(",")[0] for found in BRACKET.findall(text) for piece in re.split(r";\s*", found)}


def test_a_key_is_listed_once() -> None:
    assert [key for key, count in Counter(LISTED).items() if count > 1] == []


def test_every_cited_work_is_listed() -> None:
    pages = [*(ROOT / "src").rglob("*.py"), *(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
    missing = {(key, p.relative_to(ROOT)) for p in pages for key in cited_in(p) if KEY.fullmatch(key)}
    assert {(key, str(place)) for key, place in missing if key not in LISTED} == set()


def test_the_reports_works_are_listed() -> None:
    assert set(WORKS) <= set(LISTED)
