"""Fenced blocks of a page, as they are shown and as they are run.

A comment before a block may say what the tests do instead:

    <!-- in tests: OLD => NEW -->     the same with OLD replaced by NEW (fewer steps, say)
    <!-- not run: WHY -->             left out
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
# These pages have tests of their own, which also check what their examples print.
ELSEWHERE = {"topology.md", "relu_complexes.md"}
PAGES = [ROOT / "README.md", *(p for p in sorted((ROOT / "docs").glob("*.md")) if p.name not in ELSEWHERE)]
BLOCK = re.compile(r"((?:^<!--.*?-->\n)*)^```(python|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    language: str
    code: str
    line: int


def blocks(page: Path) -> list[Block]:
    """What is to be run, in order."""
    text, found = page.read_text(encoding="utf-8"), []
    for match in BLOCK.finditer(text):
        notes, language, code = match.groups()
        if "<!-- not run:" in notes:
            continue
        for old, new in re.findall(r"<!-- in tests: (.*?) => (.*?) -->", notes):
            assert old in code, f"{page.name}: {old!r} does not stand in the block it is to be replaced in"
            code = code.replace(old, new)
        found.append(Block(language, code, text[: match.start(3)].count("\n") + 1))
    return found
