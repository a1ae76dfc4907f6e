"""The study that CONTRIBUTING.md shows is complete: it runs as it stands, and reads as a study must."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from separatrix.atlas import FULL, SMOKE, find_study, run_study

PAGE = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def shown(tmp_path: Path) -> Path:
    """The study as a stranger would save it."""
    (code,) = [block for block in SHOWN if "STUDY = Study(" in block]
    path = tmp_path / "games" / "bilinear_spirals.py"
    path.parent.mkdir()
    path.write_text(code)
    assert len(code.splitlines()) < 100
    return path


def test_the_study_shown_holds_at_full_scale_and_its_control_fails(shown: Path) -> None:
    entry = find_study(str(shown))
    for scale in (SMOKE, FULL):
        result = run_study(entry, scale)
        assert not result.outcome.blind
        entry.draw()(figure := Figure(), result.outcome.figure)
        assert figure.axes
    assert result.outcome.verdict == "holds"
    assert all(f"{name}: " in entry.essay for name in ("Checked", "Not reproduced", "Paper and code", "Runtime"))


def test_it_is_run_and_shown_by_its_path(shown: Path, command: Callable[..., object]) -> None:
    command("run", shown, "--smoke")
    command("show", shown)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("def run(", "def ran(", r"lacks run\(scale\); see CONTRIBUTING.md"),
        ("def draw(", "def drew(", r"lacks draw\(figure, data\)"),
        ("path[-1] /", "path[-1, 9] /", r"IndexError: .* \(bilinear_spirals.py, line 44\)"),
        ('"extra": extra[0].tolist()', '"extra": extra[0]', r"figure\['extra'\] is a Tensor; .* by .tolist\(\)"),
    ],
)
def test_what_a_newcomer_gets_wrong_is_named(
    shown: Path, command: Callable[..., object], old: str, new: str, message: str
) -> None:
    assert old in shown.read_text()
    shown.write_text(shown.read_text().replace(old, new))
    said: Any = command("run", shown, "--smoke", code=3)
    assert re.search(message, said.err)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("STEP = 0.2", "STEP = = 0.2", r"bilinear_spirals.py, line 37, is not Python: invalid syntax"),
        ("    year=1976,\n", "", r"missing 1 required positional argument: 'year'"),
        ('"cycles"', '"loops"', r"names the symptoms \['loops'\]; .* cycles, .* or add yours there"),
    ],
)
def test_a_file_that_cannot_be_read_as_a_study_says_where(
    shown: Path, command: Callable[..., object], old: str, new: str, message: str
) -> None:
    shown.write_text(shown.read_text().replace(old, new))
    said: Any = command("show", shown, code=2)
    assert re.search(message, said.err)
