"""A study small enough to know everything about, and the way to run the command line in a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from separatrix.cli import main

# The claim holds, does not hold or is undecided as the file's name says; the control fails.
STUDY = '''"""{claim}

[nobody1900]

Checked: nothing.

Not reproduced: everything.

Paper and code: no paper.

Runtime: none.
"""

import os
import time

from separatrix.atlas import Outcome, Study, at_least, at_most

STUDY = Study(
    key="nobody1900",
    authors="Nobody, N. and Someone, S.",
    title="A small study",
    venue="arXiv",
    year=1900,
    question="Is the value at most the bound?",
    methods=("arithmetic",),
    symptoms=("cycles",),
    picture="A line.",
)


def run(scale):
    with open("runs.txt", "a") as log:
        log.write("{claim}\\n")
    time.sleep({sleep})
    {body}
    return Outcome(
        claims=(at_most("The value is at most one.", {value}, 1.0, over={over!r}),),
        controls=(at_most("Ten is at most one.", {control}, 1.0),),
        figure={{"line": [0.0, 1.0 / 3]}},
    )


def draw(figure, data):
    figure.subplots().plot(data["line"])
'''


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., Path]:
    """Write a study into the folder of the test."""

    def make(name: str, *, value: object = 0.5, over: str = "value", control: float = 10.0, **more: object) -> Path:
        path = tmp_path / f"{name}.py"
        settings = {"sleep": 0, "body": "pass", "claim": f"The claim of {name}.", **more}
        path.write_text(STUDY.format(value=value, over=over, control=control, **settings))
        return path

    return make


@dataclass(frozen=True)
class Said:
    out: str
    err: str


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """``separatrix atlas ...`` in the folder of the test."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path, code: int = 0) -> Said:
        found = main(["atlas", *map(str, arguments)])
        said = Said(*capsys.readouterr())
        assert found == code, said.err
        return said

    return call
