"""Studies run one by one and over processes, with a budget, and nothing finished is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from separatrix.atlas import FULL, SMOKE, BudgetError, Failure, find_study, load_result, run_studies, run_study
from separatrix.errors import InputError

Make = Callable[..., Path]
Command = Callable[..., Any]


@pytest.fixture(autouse=True)
def _in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def runs(folder: Path) -> list[str]:
    return (folder / "runs.txt").read_text().splitlines()


def test_a_run_returns_what_the_study_found_and_leaves_the_random_stream_alone(make_study: Make) -> None:
    body = "import torch; torch.rand(3)"
    before = torch.get_rng_state()
    result = run_study(find_study(str(make_study("small", body=body))), SMOKE)
    assert torch.equal(torch.get_rng_state(), before)
    assert (result.id, result.scale, result.outcome.verdict) == ("small", "smoke", "holds")
    assert result.versions["torch"] == torch.__version__.split("+")[0] or result.versions["torch"] == torch.__version__
    assert result.seconds < 1


def test_results_come_back_from_their_file(make_study: Make, tmp_path: Path) -> None:
    path = make_study("small", value=[0.5, 0.7, 0.6], over="mean")
    ((result, there),) = run_studies([str(path)], FULL, store=tmp_path / "kept")
    assert not there
    loaded = load_result(tmp_path / "kept", "small")
    assert loaded is not None
    assert loaded.outcome.claims == result.outcome.claims
    assert loaded.outcome.figure == {"line": [0.0, 0.333333]}
    assert loaded.is_of(find_study(str(path)))
    assert load_result(tmp_path / "kept", "small", "smoke") is None


def test_what_is_stored_is_not_run_again_unless_the_study_changed(make_study: Make, tmp_path: Path) -> None:
    path, store = make_study("small"), tmp_path / "kept"
    for expected, options in ((False, {}), (True, {}), (False, {"again": True})):
        ((_, there),) = run_studies([str(path)], FULL, store=store, **options)
        assert there is expected
    path.write_text(path.read_text().replace("1.0, over", "2.0, over"))
    ((_, there),) = run_studies([str(path)], FULL, store=store)
    assert not there
    assert len(runs(tmp_path)) == 3


def test_a_study_that_breaks_does_not_stop_the_others(make_study: Make, tmp_path: Path) -> None:
    names = [str(make_study("broken", body="1 / 0")), str(make_study("whole"))]
    found = {r.id: r for r, _ in run_studies(names, FULL, store=tmp_path / "kept")}
    line = Path(names[0]).read_text().splitlines().index("    1 / 0") + 1
    assert found["broken"] == Failure("broken", f"ZeroDivisionError: division by zero (broken.py, line {line})")
    assert found["whole"].outcome.verdict == "holds"
    assert [p.name for p in (tmp_path / "kept").iterdir()] == ["whole.json"]


def test_a_budget_of_cpu_seconds_is_kept(make_study: Make) -> None:
    entry = find_study(str(make_study("endless", body="while True: pass")))
    begun = time.process_time()
    with pytest.raises(BudgetError, match=r"endless spent its 0\.3 CPU-seconds; give it more with --budget"):
        run_study(entry, FULL, budget=0.3)
    assert time.process_time() - begun < 3
    assert signal.getitimer(signal.ITIMER_PROF) == (0, 0)


def test_processes_give_the_results_of_one(make_study: Make, tmp_path: Path) -> None:
    body = "import torch; drawn = torch.rand(4).tolist()"
    names = [str(make_study(name, value="drawn", over="mean", body=body)) for name in ("one", "two")]
    alone = {r.id: r.outcome for r, _ in run_studies(names, FULL, store=tmp_path / "a")}
    several = {r.id: r.outcome for r, _ in run_studies(names, FULL, store=tmp_path / "b", workers=2)}
    assert several == alone


def test_a_killed_run_goes_on_where_it_was(make_study: Make, tmp_path: Path) -> None:
    names = [make_study("first"), make_study("second", sleep=30)]
    line = [sys.executable, "-m", "separatrix.cli", "atlas", "run", *map(str, names), "-o", "kept"]
    process = subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (tmp_path / "runs.txt").exists() or len(runs(tmp_path)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert [p.name for p in (tmp_path / "kept").iterdir()] == ["first.json"]
    make_study("second")
    found = list(run_studies([str(n) for n in names], FULL, store=tmp_path / "kept"))
    assert [(r.id, there) for r, there in found] == [("first", True), ("second", False)]
    assert runs(tmp_path) == ["The claim of first.", "The claim of second.", "The claim of second."]


def test_exit_codes_tell_what_became_of_the_claims(make_study: Make, command: Command, tmp_path: Path) -> None:
    holds, fails = make_study("holds"), make_study("fails", value=2.0)
    broken = make_study("broken", body="raise RuntimeError('no')")
    assert "holds: holds" in command("run", holds, "--quiet").out
    data = json.loads(command("run", holds, fails, "--json", code=1).out)
    assert [(r["id"], r["verdict"]) for r in data["results"]] == [("fails", "does not hold"), ("holds", "holds")]
    assert "broken: RuntimeError: no" in command("run", fails, broken, code=3).err
    # At smoke scale only closed forms count, and a control that holds counts always.
    command("run", fails, "--smoke")
    blind = make_study("blind", control=0.0)
    assert "control: holds" in command("run", blind, "--smoke", code=1).out


def test_wrong_usage_is_refused(make_study: Make, command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    study = make_study("small")
    for arguments, message in [
        (["run"], "name studies, or give --all, or --family NAME"),
        (["run", study, "--all"], "one of the three"),
        (["run", "no-such-study"], "the atlas has no study 'no-such-study'; did you mean"),
        (["run", "nowhere.py"], "there is no study at nowhere.py"),
        (["run", "--family", "dogs"], "there is no family 'dogs'; there are"),
        (["run", study, "-o", "file"], "-o file is a file; name a folder"),
        (["run", study, "--workers", "0"], "it must be at least 1, got 0"),
    ]:
        assert message in command(*arguments, code=2).err


def test_a_damaged_result_is_named(make_study: Make, tmp_path: Path) -> None:
    (tmp_path / "small.json").write_text("{")
    with pytest.raises(InputError, match=r"small\.json is not JSON .* delete it and run the study again"):
        list(run_studies([str(make_study("small"))], FULL, store=tmp_path))
    (tmp_path / "small.json").write_text('{"version": 0}')
    with pytest.raises(InputError, match="version 0, this release reads version 1"):
        load_result(tmp_path, "small")


def test_a_file_without_a_literal_declaration_is_refused(tmp_path: Path) -> None:
    for text, message in [
        ("x = 1", "has no docstring"),
        ('"""Claim."""', "declares no STUDY"),
        ('"""Claim."""\nSTUDY = Study(key=1 + x)', "must be Study"),
    ]:
        (tmp_path / "bad.py").write_text(text)
        with pytest.raises(InputError, match=message):
            find_study(str(tmp_path / "bad.py"))


def test_words_and_layout_may_change_but_not_what_is_computed(make_study: Make) -> None:
    path = make_study("small")
    text, digest = path.read_text(), find_study(str(path)).digest
    for old, new, same in [
        ("Not reproduced: everything.", "Not reproduced: much.", True),
        ("year=1900", "year=1901", True),
        ("import os\n", "import os  # of the machine\n\n", True),
        ("claims=(at_most(", "claims=(\n            at_most(", True),
        ("1.0, over", "2.0, over", False),
    ]:
        assert old in text
        path.write_text(text.replace(old, new))
        assert (find_study(str(path)).digest == digest) is same, new
