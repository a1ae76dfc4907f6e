import re
from pathlib import Path

import matplotlib.pyplot as plt

PAGE = Path(__file__).parents[2] / "docs" / "relu_complexes.md"


def test_the_page_on_relu_complexes_runs_and_prints_what_it_says(capsys):
    plt.switch_backend("Agg")
    scope = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(block, scope)
    plt.close("all")
    out = capsys.readouterr().out
    for shown in ("(543, 1121, 579)", "(10, 20, 8)", "(0, 2, 0)"):
        assert shown in out
