"""Exit codes, streams and errors that all commands share."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import separatrix
from separatrix.cli.entry import explain

NO_TORCH = """
import sys
sys.modules["torch"] = sys.modules["numpy"] = sys.modules["matplotlib"] = None  # importing them raises
from separatrix.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["diagnose", "--help"], ["compare", "--help"]])
def test_help_and_version_cost_no_torch(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", NO_TORCH, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "separatrix" in done.stdout


def test_the_entry_point_is_installed_and_prints_the_version() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("separatrix"), "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"separatrix {separatrix.__version__}\n")


def test_the_help_names_every_command_and_the_exit_codes(cli) -> None:
    shown = cli("--help").out
    for word in ("diagnose", "train", "compare", "spectrum", "compare-reports", "130 interrupted"):
        assert word in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["diagnos"], "No such command 'diagnos'. Did you mean 'diagnose'"),
        (["diagnose", "--trian", "3"], "No such option: --trian; did you mean --train?"),
        (["diagnose", "--frobnicate"], "No such option: --frobnicate;"),
        (["diagnose", "--train", "-1"], "Invalid value for '--train': it must be at least 0, got -1"),
        (["diagnose", "--train", "many"], "Invalid value for '--train': it must be a whole number, got 'many';"),
        (["diagnose", "--budget=many"], "Invalid value for '--budget': it must be a number, got 'many';"),
        (["diagnose", "-k2.5"], "Invalid value for '-k': it must be a whole number, got '2.5';"),
        (["train", "--steps", "-5"], "Invalid value for '--steps': it must be at least 0, got -5"),
        (["diagnose", "-k", "0"], "Invalid value for '-k': it must be at least 1, got 0"),
        (["diagnose", "--batches", "0"], "Invalid value for '--batches': it must be at least 1, got 0"),
        (["diagnose", "--budget", "-1"], "Invalid value for '--budget': it must be at least 0, got -1"),
        (["diagnose", "--remaining", "0"], "Invalid value for '--remaining': it must be at least 1, got 0"),
        (["compare", "--seeds", "0"], "Invalid value for '--seeds': it must be at least 1, got 0"),
        (["diagnose", "--fail-on", "ok"], "'ok' is not one of: 'note', 'warning', 'critical'"),
        (["diagnose", "--dtype", "float16"], "'float16' is not one of: 'float32', 'float64'"),
        (["spectrum", "--target", "top"], "'top' is not one of: 'largest', 'rightmost', 'leftmost', 'rotation'"),
        (["compare-reports", "one.json"], "Missing argument 'after'"),
    ],
)
def test_wrong_usage_is_one_message_and_exit_code_2(refused, arguments: list[str], message: str) -> None:
    said = refused(*arguments)
    assert re.search(re.escape(message), said, re.IGNORECASE)
    assert re.search(r"[;?] see separatrix --help, or --help after the command\.$", said)
    assert "Value error" not in said
    assert "Input should be" not in said


def test_without_a_command_the_help_is_printed_and_a_way_to_begin(cli) -> None:
    result = cli()
    assert result.code == 2
    assert "diagnose" in result.out
    assert "no command was named; separatrix diagnose, for one, measures the bundled digits GAN; see" in result.err


def test_ctrl_c_in_training_gives_130_and_no_file(refused, tmp_path: Path) -> None:
    said = refused("train", "game.py:interrupted", "--steps", "10", "-o", "c.pt", code=130)
    assert said == "interrupted; nothing was left half-written."


def test_ctrl_c_in_measuring_gives_130_and_no_file(refused) -> None:
    assert "interrupted" in refused("diagnose", "game.py:interrupted", "-o", "report.html", code=130)


def test_ctrl_c_while_importing_gives_130(refused, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("raise KeyboardInterrupt")
    assert "interrupted" in refused("diagnose", "slow.py:game", code=130)


INTERRUPTED = """
import os, signal, sys
class Slow:  # the interrupt comes while a module of the command line is being imported
    def find_spec(self, name, path, target=None):
        if name == MODULE:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Slow())
from separatrix.cli import main
sys.exit(main(["diagnose", "zoo:bilinear"]))
"""


@pytest.mark.parametrize("module", ["separatrix.cli.entry", "typer", "separatrix.cli.diagnosing", "torch"])
def test_ctrl_c_while_the_command_line_loads_is_told(module: str) -> None:
    code = INTERRUPTED.replace("MODULE", repr(module))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr.strip().endswith("separatrix: interrupted; nothing was left half-written.")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("steep", "the gradient of player 'x' is (-?inf|not finite)"),
        ("undefined", r"the loss of player 'x' is nan"),
        ("once", "Custom functions in the losses: Once"),
        ("hungry", "out of memory: tried to allocate 80.00 GiB. Measure on fewer --batches"),
    ],
)
def test_what_cannot_be_computed_gives_3(refused, target: str, message: str) -> None:
    said = refused("diagnose", f"game.py:{target}", code=3)
    assert re.search(message, said), said


def test_what_the_losses_raise_is_the_users_with_file_and_line(refused) -> None:
    line = Path("game.py").read_text().splitlines().index('    raise ValueError("no such loss")') + 1
    said = refused("diagnose", "game.py:raising")
    assert "raised ValueError: no such loss (" in said
    assert f"game.py, line {line})." in said


def test_training_that_explodes_gives_3_and_keeps_the_last_whole_step(cli) -> None:
    result = cli("train", "game.py:exploding", "--steps", "50", "-o", "c.pt")
    assert result.code == 3
    (stopped,) = re.findall(r"separatrix: step (\d+): .*player 'x'", result.err)
    made = int(stopped) - 1
    assert f"wrote c.pt: the last whole step, number {made}" in result.err
    saved = torch.load("c.pt", weights_only=True)
    assert saved["separatrix"]["steps"] == made > 0
    assert bool(saved["players"]["x"].isfinite().all())
    assert cli("train", "game.py:exploding", "--steps", str(made), "-o", "d.pt").code == 0
    assert torch.equal(torch.load("d.pt", weights_only=True)["players"]["x"], saved["players"]["x"])


def test_with_json_an_error_is_json_on_stdout_too(cli) -> None:
    result = cli("diagnose", "zoo:nothing", "--json")
    assert result.code == 2
    error = result.json["error"]
    assert (error["kind"], error["exit_code"]) == ("InputError", 2)
    assert error["message"] in result.err


def test_debug_shows_the_traceback(cli) -> None:
    result = cli("diagnose", "zoo:nothing", "--debug")
    assert result.code == 2
    assert "Traceback (most recent call last)" in result.err
    assert result.out == ""


def test_what_the_losses_print_is_talk(cli) -> None:
    result = cli("spectrum", "game.py:talking", "--json")
    assert result.json["verdict"]["name"] in ("stable", "contracting")
    assert "inside the losses" in result.err


def test_no_color_and_no_progress_where_there_is_no_terminal(cli) -> None:
    result = cli("train", "game.py:problem", "--steps", "3")
    assert result.code == 0
    assert "\x1b" not in result.out + result.err
    assert result.err == ""


def test_a_fault_of_ours_asks_for_a_report() -> None:
    said, code = explain(TypeError("bad"))
    assert (said, code) == (
        "a fault of Separatrix itself: TypeError: bad. Run it again with --debug and report what it prints.",
        3,
    )


def test_a_missing_extra_is_the_users_to_install() -> None:
    assert explain(ImportError("run: pip install 'separatrix[demo]'")) == ("run: pip install 'separatrix[demo]'", 2)


def test_the_cpu_allocator_counts_as_out_of_memory() -> None:
    said, code = explain(
        RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory: 9 bytes.")
    )
    assert code == 3
    assert said.startswith("out of memory: ")


def test_a_closed_pipe_ends_quietly() -> None:
    command = f"{sys.executable} -m separatrix.cli spectrum zoo:bilinear --json"
    done = subprocess.run(f"{command} | true", shell=True, capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_the_module_runs_as_the_command_does() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "separatrix", "spectrum", "zoo:bilinear", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert json.loads(done.stdout)["verdict"]["name"] == "marginal"
