"""The benchmark of Jacobian products: operation counts, which carry no noise, and the tables that the docs show."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STORED = json.loads((ROOT / "benchmarks" / "results" / "jacobian.json").read_text())
TABLES = [{"mlp": "MLP GAN", "dcgan": "DCGAN"}, {"mlp classifier": "MLP", "conv classifier": "conv net"}]


def table(names: dict[str, str]) -> str:
    """The record of two networks as the page shows it."""
    networks = STORED["networks"]
    units = ("operations", "CPU time [quartiles]", "peak")
    heads = [f"{names[n]}: {unit}" for n in names for unit in units]
    lines = [f"| product | {' | '.join(heads)} |", "| --- | " + " | ".join(["---:"] * len(heads)) + " |"]
    for contender in networks[next(iter(names))]["contenders"]:
        cells = []
        for name in names:
            row = networks[name]["contenders"][contender]
            q, peak = row["time"], row["peak_mib"]
            cells += [
                f"{row['operations']:.2f}",
                f"{q['median']:.2f} [{q['q1']:.2f}, {q['q3']:.2f}]",
                f"{peak:.0f} MiB",
            ]
        lines.append(f"| {contender} | {' | '.join(cells)} |")
    return "\n".join(lines)


@pytest.mark.parametrize("names", TABLES)
def test_the_page_shows_the_stored_measurement(names: dict[str, str]) -> None:
    assert not STORED["quick"]
    assert table(names) in (ROOT / "docs" / "jacobian_costs.md").read_text(encoding="utf-8")


def test_the_stored_measurement_names_what_was_absent_and_reaches_its_marks() -> None:
    networks = STORED["networks"]
    assert [c for n in networks.values() for c in n["absent"]] == []
    for name, forward in (("mlp", 1.96), ("dcgan", 2.58)):
        rows = networks[name]["contenders"]
        assert rows["J.T @ u, separatrix"]["operations"] == pytest.approx(2.0, rel=0.05)
        assert rows["J @ u, separatrix"]["operations"] == pytest.approx(forward, rel=0.05)
    rows = networks["dcgan"]["contenders"]
    assert rows["J.T @ u, separatrix"]["peak_mib"] < 5 * rows["field"]["peak_mib"]


@pytest.fixture(scope="module")
def operations(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    out = tmp_path_factory.mktemp("bench") / "jacobian.json"
    command = [sys.executable, str(ROOT / "benchmarks" / "bench_jacobian.py"), "--quick", "--out", str(out)]
    subprocess.run([*command, "--only", "mlp", "dcgan"], check=True, capture_output=True, text=True)
    networks = json.loads(out.read_text())["networks"]
    return {n: {c: row["operations"] for c, row in net["contenders"].items()} for n, net in networks.items()}


@pytest.mark.parametrize(("network", "forward"), [("mlp", 1.96), ("dcgan", 2.58)])
def test_a_product_costs_what_a_kept_graph_costs_at_best(operations, network: str, forward: float) -> None:
    found = operations[network]
    assert found["J.T @ u, separatrix"] == pytest.approx(2.0, rel=0.05)
    assert found["J @ u, separatrix"] == pytest.approx(forward, rel=0.05)
    # Streamed, a rebuild is shared by eight vectors.
    assert found["J.T @ u, separatrix, streamed, 8 at a time"] == pytest.approx(2.0 + 1 / 8, rel=0.05)
    assert found["J @ u, separatrix, streamed, 8 at a time"] == pytest.approx(forward + 3 / 8, rel=0.05)
    # Beside them: 3 is the floor of a product that keeps nothing.
    assert found["J @ u, torch.func.jvp of torch.func.grad"] > 3.5
    assert found["J.T @ u, double backward built anew"] == pytest.approx(3.0, rel=0.05)
