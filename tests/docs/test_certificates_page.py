"""docs/certificates.md defines the six verdicts of the code, and no other."""

import re
from pathlib import Path
from typing import get_args

from separatrix.linalg import Verdict
from separatrix.linalg.eigen import DENSE_UP_TO

PAGE = (Path(__file__).parents[2] / "docs" / "certificates.md").read_text(encoding="utf-8")


def test_each_verdict_has_one_definition() -> None:
    assert tuple(re.findall(r"^\| \*\*(.+?)\*\* \|", PAGE, re.MULTILINE)) == get_args(Verdict)


def test_the_size_up_to_which_a_spectrum_is_whole_is_the_codes() -> None:
    assert f"n up to {DENSE_UP_TO}" in PAGE
