"""The table of planted causes on the page is that of the stored study."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
STORED = json.loads((ROOT / "benchmarks" / "results" / "planted_causes.json").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "runs.md").read_text(encoding="utf-8")


def test_the_table_says_how_often_each_cause_was_named() -> None:
    rows = re.findall(r"^\| ([\w-]+) \| `([\w-]+)` \| (\d+) of (\d+) \| (\d+) of \d+ \|$", PAGE, re.MULTILINE)
    shown = {
        f"{bed}: {cause}": {"named": int(named), "first": int(first), "of": int(of)}
        for bed, cause, named, of, first in rows
    }
    assert shown == STORED["summary"]["named"]


def test_the_false_alarms_on_healthy_runs_are_told() -> None:
    healthy = STORED["summary"]["healthy"].values()
    assert f"{sum(h['alarms'] for h in healthy)} of {sum(h['of'] for h in healthy)} healthy runs" in PAGE


def test_the_summary_is_that_of_the_rows() -> None:
    for name, counted in STORED["summary"]["named"].items():
        bed, cause = name.split(": ")
        rows = [list(row["findings"]) for row in STORED["rows"] if (row["bed"], row["cause"]) == (bed, cause)]
        assert counted["of"] == len(rows)
        assert counted["named"] == sum(cause in found[:2] for found in rows)
    alarms = [row for row in STORED["rows"] if row["cause"] == "healthy" and row["findings"]]
    assert len(alarms) == sum(h["alarms"] for h in STORED["summary"]["healthy"].values())
