"""``separatrix watch`` and ``separatrix report`` on the folder of a monitored run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from separatrix.dynamics import Roles, Run
from separatrix.probes import Monitor
from separatrix.probes.run_folder import RunFolder
from separatrix.report import Diagnosis

Cli = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Matching pennies with exact gradients turns without damping; its score is noted now and then."""
    x, y = torch.tensor([1.0], dtype=torch.float64), torch.tensor([0.5], dtype=torch.float64)

    def step() -> None:
        dx, dy = -0.1 * y, 0.1 * x
        x.add_(dx).mul_(1 / 1.01**0.5)
        y.add_(dy).mul_(1 / 1.01**0.5)

    roles = Roles(players={"x": x, "y": y}, score=lambda: float(x * x + y * y))
    place = tmp_path / "pennies"
    with Monitor(
        Run(step, {"x": x, "y": y}, roles=roles, name="pennies"), every=200, budget=1e6, folder=place
    ) as monitor:
        for _ in range(1400):
            monitor.step()
    return place


def test_watch_shows_the_latest_numbers_and_findings(cli: Cli, folder: Path) -> None:
    shown = cli("watch", str(folder), "--once")
    assert shown.code == 0
    assert "pennies, step 1400" in shown.out
    assert "warning: Undamped rotation" in shown.out
    assert "score/value" in shown.out
    data = json.loads(cli("watch", str(folder), "--json").out)
    assert data["step"] == 1400
    assert data["numbers"]["separatrix/score/value"]["value"] == pytest.approx(1.25)
    assert [f["code"] for f in data["findings"]] == ["undamped-rotation"]


def test_report_writes_every_kind_and_fails_on_what_it_is_asked_to(cli: Cli, folder: Path, tmp_path: Path) -> None:
    outputs = [tmp_path / f"report.{suffix}" for suffix in ("html", "md", "json")]
    shown = cli("report", str(folder), *(a for o in outputs for a in ("-o", str(o))), "--fail-on", "warning")
    assert shown.code == 1
    assert "Undamped rotation" in shown.out
    assert "Not measured" not in shown.out
    assert "Along the run" in outputs[0].read_text()
    assert "| score/value |" in outputs[1].read_text().replace("\\", "")
    loaded = Diagnosis.load(outputs[2])
    assert loaded["along"]["rows"][0]["count"] == 7
    assert loaded["evidence"]["rows"]
    assert cli("report", str(folder)).code == 0


def test_a_run_that_has_only_begun_is_shown_as_such(cli: Cli, tmp_path: Path) -> None:
    RunFolder(tmp_path / "new", {"name": "new"}).close()
    assert "Nothing has been measured yet" in cli("watch", str(tmp_path / "new")).out
    shown = cli("report", str(tmp_path / "new"))
    assert shown.code == 0
    assert "Nothing has been measured yet, at step 0" in shown.out


@pytest.mark.parametrize("command", ["watch", "report"])
def test_what_is_no_folder_of_a_run_is_refused(cli: Cli, tmp_path: Path, command: str) -> None:
    shown = cli(command, str(tmp_path))
    assert shown.code == 2
    assert "is no folder of a monitored run" in shown.err
