"""The benchmark of Jacobian products: operation counts, which carry no noise, and the table that the docs show."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = {"mlp": "MLP GAN", "dcgan": "DCGAN"}


def table(record: dict) -> str:
    """The record as the page shows it."""
    heads = [f"{NAMES[n]}: {unit}" for n in NAMES for unit in ("operations", "CPU time [quartiles]")]
    lines = [f"| product | {' | '.join(heads)} |", "| --- | " + " | ".join(["---:"] * len(heads)) + " |"]
    networks = record["networks"]
    for contender in networks["mlp"]["contenders"]:
        if contender == "field":
            continue
        cells = []
        for name in NAMES:
            row = networks[name]["contenders"][contender]
            q = row["time"]
            cells += [f"{row['operations']:.2f}", f"{q['median']:.2f} [{q['q1']:.2f}, {q['q3']:.2f}]"]
        lines.append(f"| {contender} | {' | '.join(cells)} |")
    return "\n".join(lines)


def test_the_page_shows_the_stored_measurement() -> None:
    stored = json.loads((ROOT / "benchmarks" / "results" / "jacobian.json").read_text())
    assert not stored["quick"]
    assert table(stored) in (ROOT / "docs" / "jacobian.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def operations(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    out = tmp_path_factory.mktemp("bench") / "jacobian.json"
    command = [sys.executable, str(ROOT / "benchmarks" / "bench_jacobian.py"), "--quick", "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    networks = json.loads(out.read_text())["networks"]
    return {n: {c: row["operations"] for c, row in net["contenders"].items()} for n, net in networks.items()}


@pytest.mark.parametrize(("network", "forward"), [("mlp", 1.96), ("dcgan", 2.58)])
def test_a_product_costs_what_a_kept_graph_costs_at_best(operations, network: str, forward: float) -> None:
    found = operations[network]
    assert found["separatrix J.T @ u"] == pytest.approx(2.0, rel=0.05)
    assert found["separatrix J @ u"] == pytest.approx(forward, rel=0.05)
    # Beside them: 3 is the floor of a product that keeps nothing.
    assert found["J @ u, torch.func.jvp of torch.func.grad"] > 3.5
    assert found["J.T @ u, double backward built anew"] == pytest.approx(3.0, rel=0.05)
