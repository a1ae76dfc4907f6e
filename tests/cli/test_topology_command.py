"""``separatrix topology`` of networks and of arrays: what it prints and draws, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

NETS = """
import torch
from torch import nn

torch.manual_seed(1)
net = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))
classes = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2))
many = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3))
line = nn.Sequential(nn.Linear(1, 4), nn.ReLU(), nn.Linear(4, 1))
wide = nn.Sequential(nn.Linear(30, 4), nn.ReLU(), nn.Linear(4, 1))
smooth = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))
twins = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1)).requires_grad_(False)
twins[0].weight[1], twins[0].bias[1] = twins[0].weight[0], twins[0].bias[0]
dropping = nn.Sequential(nn.Linear(2, 4), nn.Dropout(), nn.ReLU(), nn.Linear(4, 1))
number = 3

# relu(2 x) + relu(-x) + relu(2 y) + relu(-y) - 1 has one minimum, -1 at the origin.
bowl = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1)).double().requires_grad_(False)
bowl[0].weight[:] = torch.tensor([[2.0, 0.0], [-1.0, 0.1], [0.0, 2.0], [0.1, -1.0]])
bowl[0].bias[:] = torch.tensor([0.0, 0.1, 0.0, 0.1])
bowl[2].weight[:], bowl[2].bias[:] = 1.0, -1.0


def cube():
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))


def needy(width):
    return net
"""


@pytest.fixture(autouse=True)
def targets(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(NETS)
    valleys = np.array([[0.0, 1.0, 0.0], [1.0, 2.0, 1.0], [0.0, 1.0, 0.5]])
    np.save(tmp_path / "valleys.npy", valleys)
    (tmp_path / "damaged.npy").write_text("not an array")
    np.save(tmp_path / "words.npy", np.array(["a"]))
    np.save(tmp_path / "gap.npy", np.array([0.0, np.nan]))


def test_a_network_shows_cells_critical_points_and_betti_numbers(cli) -> None:
    result = cli("topology", "nets.py:net")
    assert result.code == 0, result.err
    assert result.err == ""
    assert result.out.startswith("nets.py:net: 543 vertices, 1121 edges, 579 regions (509 bounded); complete\n")
    assert "critical vertices by index: (10, 20, 8)" in result.out
    assert "{F < 0} (1, 0); {F = 0} (3, 0); {F > 0} (3, 0)" in result.out
    assert "and 26 more; --json lists all" in result.out


def test_json_lists_every_critical_point(cli) -> None:
    found = cli("topology", "nets.py:net", "--json", "--level", "-0.25").json
    assert found["f_vector"] == [543, 1121, 579]
    assert found["status"] == "complete"
    assert found["regions"] == {"count": 579, "bounded": 509}
    assert found["level_set"]["level"] == -0.25
    indices = [point["index"] for point in found["critical"]["points"]]
    assert [indices.count(k) for k in range(3)] == found["critical"]["counts"] == [10, 20, 8]


def test_the_bottom_of_a_bowl_is_its_critical_point_and_its_level_set_a_loop(cli) -> None:
    found = cli("topology", "nets.py:bowl", "--json").json
    assert found["critical"]["counts"] == [1, 0, 0]
    (bottom,) = found["critical"]["points"]
    assert bottom["point"] == pytest.approx([0, 0], abs=1e-15)
    assert bottom["value"] == pytest.approx(-0.8)
    assert {part: found["level_set"][part] for part in ("below", "on", "above")} == {
        "below": [1, 0],
        "on": [1, 1],
        "above": [1, 1],
    }


def test_quiet_is_one_line_also_for_a_function_with_three_inputs(cli) -> None:
    result = cli("topology", "nets.py:cube", "--quiet")
    assert result.out == "nets.py:cube: 56 vertices, 196 edges, 232 faces, 93 regions (35 bounded); complete\n"
    assert result.err == ""


def test_quiet_is_one_line_however_long(cli) -> None:
    name = "valleys" * 20 + ".npy"
    Path("valleys.npy").rename(name)
    result = cli("topology", name, "--quiet", "--min-persistence", "0.75")
    assert (
        result.out == f"{name}: 3 x 3; critical cells by dimension: (4, 4, 1), (3, 3, 1) after cancelling below 0.75\n"
    )


def test_the_seed_is_that_of_the_network(cli) -> None:
    layers = "nn.Linear(2, 9), nn.ReLU(), nn.Linear(9, 9), nn.ReLU(), nn.Linear(9, 1)"
    Path("drawn.py").write_text(f"from torch import nn\nnet = nn.Sequential({layers})\n")
    one, same, other = (cli("topology", "drawn.py:net", "--seed", s, "--json").json for s in ("1", "1", "2"))
    assert one == same
    assert one["f_vector"] != other["f_vector"]


def test_two_outputs_have_a_decision_boundary_and_three_neither(cli) -> None:
    two = cli("topology", "nets.py:classes")
    assert "{F_1 - F_0 = 0}" in two.out
    assert "critical vertices need one output, this network has 2" in two.out
    three = cli("topology", "nets.py:many", "--json")
    assert three.code == 0
    assert three.json["level_set"] is three.json["critical"] is None
    assert "no level set at 0: A level set needs one output" in three.err


def test_a_budget_leaves_a_complex_marked_incomplete(cli) -> None:
    result = cli("topology", "nets.py:net", "--max-vertices", "50", "-o", "part.svg")
    assert result.code == 3
    assert "incomplete: 8 of 32 neurons" in result.out
    assert "stopped after 8 of 32 neurons: the rest would exceed --max-vertices 50; raise it" in result.err
    assert "(incomplete)" in Path("part.svg").read_text()
    assert cli("topology", "nets.py:net", "--max-vertices", "50", "--json").json["critical"] is None


@pytest.mark.parametrize("target", ["nets.py:net", "nets.py:cube", "valleys.npy"])
def test_figures_are_written_and_repeat(cli, target: str) -> None:
    result = cli("topology", target, "-o", "one.svg", "-o", "one.png")
    assert result.code == 0, result.err
    assert result.err == "wrote one.svg\nwrote one.png\n"
    assert Path("one.png").read_bytes().startswith(b"\x89PNG")
    cli("topology", target, "-o", "two.svg")
    assert Path("one.svg").read_text() == Path("two.svg").read_text()


def test_an_array_shows_critical_cells_and_pairs(cli) -> None:
    result = cli("topology", "valleys.npy")
    assert result.out.startswith("valleys.npy: 3 x 3; critical cells by dimension: (4, 4, 1)\n")
    found = cli("topology", "valleys.npy", "--json").json
    assert found["f_vector"] == [9, 12, 4]
    assert found["betti_numbers"] == [1, 0, 0]
    stays, *rest = found["pairs"]
    assert stays == {"dimension": 0, "birth": 0.0, "death": None, "birth_at": [0.0, 0.0], "death_at": None}
    bars = sorted((pair["dimension"], pair["birth"], pair["death"]) for pair in rest)
    assert bars == [(0, 0.0, 1.0), (0, 0.0, 1.0), (0, 0.5, 1.0), (1, 1.0, 2.0)]


def test_short_pairs_are_cancelled_and_left_out(cli) -> None:
    found = cli("topology", "valleys.npy", "--min-persistence", "0.75", "--json").json
    assert found["critical"] == [4, 4, 1]
    assert found["critical_after_cancelling"] == [3, 3, 1]
    assert len(found["pairs"]) == 4
    assert "(3, 3, 1) after cancelling below 0.75" in cli("topology", "valleys.npy", "--min-persistence", "0.75").out


def test_a_periodic_array_is_a_torus_and_volumes_get_a_diagram(cli) -> None:
    assert cli("topology", "valleys.npy", "--periodic", "--json").json["betti_numbers"] == [1, 2, 1]
    np.save("volume.npy", np.random.default_rng(0).integers(0, 9, size=(3, 4, 5)))
    assert cli("topology", "volume.npy", "-o", "volume.svg").code == 0
    assert "persistence" in Path("volume.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nets.py:number"], 2, "is a int; it must be a ReLU network, such as an nn.Sequential, or a function"),
        (["nets.py:nothing"], 2, "nets.py has no 'nothing'; it defines net, classes, many"),
        (["nets.py:needy"], 2, "is a function that needs width"),
        (["nets.py:smooth"], 2, "Tanh"),
        (["nets.py:dropping"], 2, "eval()"),
        (["zoo:dirac-gan"], 2, "the zoo holds no ReLU networks; write path/to/file.py:NAME"),
        (["nets.py"], 2, "it names no object; write path/to/file.py:NAME, package.module:NAME or file.npy"),
        (["nets.py:twins"], 3, "not generic"),
        (["nets.py:wide"], 3, "30 inputs, so 3^30 cells around each vertex"),
        (["nets.py:line", "-o", "a.png"], 2, "-o draws networks of two or three inputs, this one has 1"),
        (["nets.py:net", "-o", "a.pdf"], 2, "the suffix '.pdf' is unknown; use one of .svg, .png"),
        (["nets.py:many", "--level", "0"], 2, "A level set needs one output"),
        (["nets.py:net", "--periodic"], 2, "--periodic is for arrays"),
        (["nets.py:net", "--min-persistence", "1"], 2, "--min-persistence is for arrays"),
        (["nets.py:net", "--max-vertices", "0"], 2, "must be at least 1, got 0"),
        (["valleys.npy", "--level", "1"], 2, "--level is for networks"),
        (["valleys.npy", "--max-vertices", "8"], 3, "has 9 entries, more than --max-vertices 8"),
        (["nowhere.npy"], 2, "there is no such file"),
        (["damaged.npy"], 2, "damaged.npy holds no array of numbers; save one with numpy.save"),
        (["words.npy"], 2, "must hold real numbers along axes, got <U1"),
        (["gap.npy"], 2, "values must be finite, got nan at flat index 1"),
        ([], 2, "Missing argument 'TARGET'"),
    ],
)
def test_what_cannot_be_done_is_said(refused, arguments: list[str], code: int, message: str) -> None:
    assert message in refused("topology", *arguments, code=code)
