import doctest
import importlib
import re
from pathlib import Path

import pytest

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


def test_the_examples_of_the_page_run_in_order(capsys):
    text = PAGE.read_text(encoding="utf-8").split("## References")[0]
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), names)
    printed = capsys.readouterr().out
    assert printed.startswith("tensor(1., dtype=torch.float64)\n")
    assert "(1, 2, 1) (1, 2, 1)" in printed
    assert "(1, 0, 0)\n" in printed
    assert printed.count("0.125 1.90096") == 2
    assert printed.count(" 0.025 ") == 2
    assert names["simple"].counts[0] == 2
