"""``separatrix atlas list`` and ``show``: filters, JSON, one's own results in place of the stored ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from separatrix.atlas import at_most, catalogue, load_result, save_result
from separatrix.atlas.stored import SHIPPED, Result

Command = Callable[..., Any]


def listed(command: Command, *arguments: str) -> list[dict[str, Any]]:
    data = json.loads(command("list", "--json", *arguments).out)
    assert data["count"] == len(data["studies"])
    return list(data["studies"])


def test_the_list_names_every_study_with_its_verdict(command: Command) -> None:
    rows = listed(command)
    assert [row["id"] for row in rows] == list(catalogue())
    for row in rows:
        result = load_result(SHIPPED, row["id"])
        assert result is not None
        assert row["verdict"] == result.outcome.verdict
        assert sum(row["claims"].values()) == len(result.outcome.claims)
    shown = command("list").out
    assert shown.splitlines()[0].startswith(f"{len(rows)} studies: ")
    assert all(row["id"] in shown for row in rows)


def test_the_list_is_filtered_by_family_verdict_method_and_symptom(command: Command) -> None:
    everything = listed(command)
    assert {r["family"] for r in listed(command, "--family", "policies")} == {"policies"}
    for verdict in ("holds", "does not hold", "undecided"):
        assert listed(command, "--verdict", verdict) == [r for r in everything if r["verdict"] == verdict]
    assert "gan-training-convergence" in [r["id"] for r in listed(command, "--method", "wgan")]
    cycles = [r["id"] for r in listed(command, "--symptom", "cycles")]
    assert "gan-training-convergence" in cycles
    # The code of a finding stands for the symptoms that it shows.
    assert set(cycles) <= {r["id"] for r in listed(command, "--symptom", "undamped-rotation")}
    assert "no study fits" in command("list", "--family", "policies", "--method", "wgan").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list", "--family", "dogs"], "there is no family 'dogs'; there are"),
        (["list", "--verdict", "maybe"], "there is no verdict 'maybe'; there are holds"),
        (["list", "--symptom", "cough"], "no symptom contains 'cough'; there are cycles"),
        (["list", "--results", "nowhere"], "--results nowhere: there is no such folder"),
        (["show", "dpo-fiel"], "the atlas has no study 'dpo-fiel'; did you mean dpo-field"),
    ],
)
def test_what_does_not_exist_is_named(command: Command, arguments: list[str], message: str) -> None:
    assert message in command(*arguments, code=2).err


def test_show_prints_claims_numbers_control_and_citation(command: Command) -> None:
    shown = command("show", "dpo-field").out
    for part in ("holds", "fails, as it must", "Not reproduced", "@misc{feng2024,", "separatrix atlas run dpo-field"):
        assert part in shown
    assert "STUDY = Study(" in command("show", "dpo-field", "--code").out
    data = json.loads(command("show", "dpo-field", "--json").out)
    assert data["result"]["verdict"] == data["verdict"]
    assert data["bibtex"].startswith("@misc{feng2024,")


def test_ones_own_results_are_shown_in_place_of_the_stored_ones(command: Command, tmp_path: Path) -> None:
    stored = load_result(SHIPPED, "dpo-field")
    assert stored is not None
    data = {**stored.to_dict(), "claims": [at_most("Mine.", 2.0, 1.0).to_dict()]}
    save_result(tmp_path, Result.from_dict(data))
    rows = {row["id"]: row["verdict"] for row in listed(command, "--results", str(tmp_path))}
    assert rows["dpo-field"] == "does not hold"
    assert len(rows) == len(catalogue())
    assert "Mine." in command("show", "dpo-field", "--results", tmp_path).out


def test_build_prints_where_the_site_begins(command: Command, tmp_path: Path) -> None:
    command("build", "-o", "site", "--quiet")
    assert (tmp_path / "site" / "index.html").is_file()
    (tmp_path / "file").write_text("")
    assert "-o file is a file" in command("build", "-o", "file", code=2).err
