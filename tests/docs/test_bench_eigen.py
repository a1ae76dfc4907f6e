"""The benchmarks of eigenvalues run, and what is called converged is an eigenvalue."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(script: str, *arguments: str) -> str:
    command = [sys.executable, str(BENCHMARKS / script), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_on_planted_matrices_no_converged_value_needs_more_than_its_residual(tmp_path: Path) -> None:
    out = tmp_path / "planted.json"
    run("bench_eigen_planted.py", "--quick", "--out", str(out))
    families = json.loads(out.read_text())["families"]
    assert len(families) == 5
    for name, rows in families.items():
        ours = rows["separatrix"]
        assert ours["values"] >= 12, name
        assert (ours["false_values"], ours["broken_bounds"]) == (0, 0), name


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_its_benchmark_says_so_and_ends_well() -> None:
    assert "no CUDA device" in run("gpu.py")
