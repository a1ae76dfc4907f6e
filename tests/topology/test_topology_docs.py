import doctest
import importlib
import re
import shlex
from pathlib import Path

import pytest

from separatrix.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "topology.md"
MODULES = [
    "complexes",
    "cubical",
    "homology",
    "lower_stars",
    "persistence",
    "simplicial",
    "wasserstein",
    "wasserstein_tangent",
    "wassmap",
    "worlds",
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_docstrings_hold(name):
    result = doctest.testmod(importlib.import_module(f"separatrix.topology.{name}"))
    assert result.attempted > 0
    assert result.failed == 0


def test_the_examples_of_the_page_run_in_order(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8").split("## References")[0]
    names: dict[str, object] = {}
    for language, block in re.findall(r"```(python|sh)\n(.*?)```", text, flags=re.DOTALL):
        if language == "python":
            exec(compile(block, str(PAGE), "exec"), names)
        else:
            for line in block.splitlines():
                program, *arguments = shlex.split(line)
                assert program == "separatrix"
                assert main(arguments) == 0, line
    printed = capsys.readouterr().out
    assert printed.startswith("tensor(1., dtype=torch.float64)\n")
    assert "(1, 2, 1) (1, 2, 1)" in printed
    assert "(1, 0, 0)\n" in printed
    assert printed.count("0.125 1.90096") == 2
    assert printed.count(" 0.025 ") == 2
    assert names["simple"].counts[0] == 2
    assert "critical cells by dimension" in printed
    assert {path.name for path in tmp_path.iterdir()} == {"nets.py", "net.svg", "loss.npy", "loss.png"}
