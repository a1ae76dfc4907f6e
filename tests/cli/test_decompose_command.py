"""``separatrix decompose`` of fields, finite games and polynomial games: what it prints and draws, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

GAMES = """
from types import SimpleNamespace

import numpy as np
import torch
import separatrix as sx
from separatrix.fields import NormalForm, random_polynomial_game

rps = NormalForm.zero_sum([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], players=["row", "column"])
battle = SimpleNamespace(payoff_matrices=(np.array([[3, 0], [0, 2]]), np.array([[2, 0], [0, 3]])))
cubic = random_polynomial_game({"x": 1, "y": 1})
spiral = sx.FunctionField(lambda w: torch.stack([-w[0] - 2 * w[1], 2 * w[0] - w[1]]), torch.ones(2, dtype=torch.float64),
                          players={"x": 1, "y": 1}, name="spiral")
number = 3
"""


@pytest.fixture(autouse=True)
def games(tmp_path: Path) -> None:
    (tmp_path / "games.py").write_text(GAMES)
    np.save(tmp_path / "chicken.npy", np.array([[[0, 10], [-1, -100]], [[0, -1], [10, -100]]]))
    np.savez(tmp_path / "uneven.npz", a=np.zeros((2, 2)), b=np.zeros((2, 3)))
    (tmp_path / "damaged.npy").write_text("not an array")


def test_a_field_shows_its_parts_planes_loops_and_cost(cli) -> None:
    result = cli("decompose", "games.py:spiral")
    assert result.code == 0, result.err
    assert result.err == ""
    assert result.out.startswith("spiral: Jacobian, per unit of time\n")
    assert "not a gradient; radius 0.0141" in result.out
    assert "x 50%, y 50%" in result.out
    assert "gradient-equivalents (split" in result.out
    assert "20.0% of the squared norm" in result.out


def test_json_holds_every_number_with_its_error_and_the_cost(cli) -> None:
    found = cli("decompose", "games.py:spiral", "--json", "--loops", "2", "-k", "1").json
    assert found["kind"] == "field"
    assert found["split"]["potentialness"]["value"] == pytest.approx(0.2)
    assert found["split"]["symmetric"]["exact"] is True
    assert found["planes"][0]["rate"] == pytest.approx(2)
    assert found["loops"]["verdict"] == "not a gradient"
    assert found["loops"]["rows"][0]["circulation"] == pytest.approx(
        4 * np.pi * found["loops"]["radius"] ** 2, rel=1e-9
    )
    assert found["cost"]["gradients"] == pytest.approx(sum(row["gradients"] for row in found["cost"]["rows"]))


def test_quiet_is_one_line(cli) -> None:
    result = cli("decompose", "games.py:spiral", "--quiet")
    assert result.out.count("\n") == 1
    assert result.out.startswith("20.0% of the squared norm")


def test_finite_games_come_from_arrays_objects_and_files(cli) -> None:
    assert "A harmonic game" in cli("decompose", "games.py:rps").out
    assert cli("decompose", "games.py:rps", "--json").json["potentialness"] == 0
    assert "A potential game" in cli("decompose", "games.py:battle").out
    found = cli("decompose", "chicken.npy", "--json").json
    assert found["potentialness"] == pytest.approx(1)
    assert found["kind"] == "finite game"
    assert "largest at the profile" in cli("decompose", "chicken.npy").out


def test_the_file_of_a_field_is_run_once(cli, tmp_path: Path) -> None:
    counting = "from pathlib import Path\nPath('runs').write_text(Path('runs').read_text() + 'x')\n"
    (tmp_path / "runs").write_text("")
    (tmp_path / "counted.py").write_text(counting + GAMES)
    assert cli("decompose", "counted.py:spiral", "--loops", "0", "--quiet").code == 0
    assert (tmp_path / "runs").read_text() == "x"


def test_a_polynomial_game_is_decomposed_as_a_whole(cli) -> None:
    found = cli("decompose", "games.py:cubic", "--json").json
    assert found["kind"] == "polynomial game"
    assert found["residual"] < 1e-10
    assert "near vector" in cli("decompose", "games.py:cubic").out


@pytest.mark.parametrize("target", ["games.py:spiral", "games.py:rps", "game.py:field"])
def test_figures_are_written(cli, target: str) -> None:
    result = cli("decompose", target, "-o", "one.svg", "-o", "one.png")
    assert result.code == 0, result.err
    assert "wrote one.svg\nwrote one.png\n" in result.err
    assert Path("one.png").read_bytes().startswith(b"\x89PNG")
    assert "</svg>" in Path("one.svg").read_text()


def test_training_first_adds_the_path_angle(cli) -> None:
    found = cli("decompose", "game.py:trained", "--train", "5", "--loops", "0", "--json")
    assert found.code == 0, found.err
    assert found.json["path"]["label"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["games.py:number"], 2, "is a int; it must be a Problem"),
        (["nowhere.npy"], 2, "there is no file nowhere.npy"),
        (["damaged.npy"], 2, "holds no arrays of numbers"),
        (["uneven.npz"], 2, "has shape (2, 3), the first has (2, 2)"),
        (["games.py:spiral", "-o", "a.pdf"], 2, "the suffix '.pdf' is unknown"),
        (["games.py:cubic", "-o", "a.svg"], 2, "-o draws fields and finite games"),
        (["games.py:spiral", "--radius", "-1"], 2, "--radius must be positive, got -1"),
        (["games.py:spiral", "--probes", "1"], 2, "must be at least 2, got 1"),
    ],
)
def test_what_cannot_be_decomposed_is_said(refused, arguments: list[str], code: int, message: str) -> None:
    assert message in refused("decompose", *arguments, code=code)
