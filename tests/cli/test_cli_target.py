"""TARGET in all its forms, and what is said where it cannot be had."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from torch.utils.data import DataLoader

from separatrix.cli.target import find_target
from separatrix.dynamics import Problem
from separatrix.fields import Field, Game
from separatrix.zoo import ZOO


@pytest.mark.parametrize("name", ["problem", "game", "field", "bound", "build"])
def test_a_file_gives_a_problem_game_field_bound_game_or_function(cli, name: str) -> None:
    result = cli("spectrum", f"game.py:{name}", "--json")
    assert result.code == 0, result.err
    expected = [-2, -2] if name == "field" else [-1, -1]
    step = 0.1 if name in ("problem", "build") else 1
    assert [row["real"] for row in result.json["rows"]] == pytest.approx([step * e for e in expected])


def test_a_module_is_found_from_the_current_directory(cli) -> None:
    assert cli("spectrum", "game:problem", "--json").json["problem"] == "damped"


def test_a_module_in_a_package_is_found_too(cli, tmp_path: Path) -> None:
    package = tmp_path / "lab" / "games"
    package.mkdir(parents=True)
    (package / "sink.py").write_text("from game import field")
    assert cli("spectrum", "lab.games.sink:field", "--json").json["problem"] == "sink"


def test_a_file_imports_its_neighbours_and_no_pycache_is_left(cli, tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    folder.mkdir()
    (folder / "neighbour.py").write_text("scale = -3.0")
    (folder / "main.py").write_text(
        "import torch, separatrix as sx\nimport neighbour\n"
        "field = sx.FunctionField(lambda w: neighbour.scale * w, torch.ones(1))\n"
    )
    assert cli("spectrum", "deep/main.py:field", "--json").json["rows"][0]["real"] == pytest.approx(-3)
    assert not list(tmp_path.rglob("__pycache__"))


def test_without_a_target_the_digits_gan_is_taken(cli) -> None:
    assert cli("train", "--steps", "0", "--json").json["problem"] == "digits-gan"


def test_every_kind_becomes_a_problem(cli) -> None:
    kinds = {"problem": Game, "game": Game, "field": Field, "bound": Game, "build": Game}
    for name, kind in kinds.items():
        found = find_target(f"game.py:{name}")
        assert isinstance(found, Problem)
        assert isinstance(found.subject, kind)


def test_a_game_bound_to_several_batches_keeps_them(cli, tmp_path: Path) -> None:
    (tmp_path / "more.py").write_text("from game import gan, real\nbound = gan.on(batches=[real[:2], real[2:6]])\n")
    found = find_target("more.py:bound")
    assert isinstance(found.data, DataLoader)
    assert [len(batch) for batch in found.data] == [2, 4]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "game.py",
            "TARGET 'game.py' does not say which object is meant; write game.py:NAME, with the name of a Problem",
        ),
        ("game.py:", "does not say which object is meant"),
        ("somewhere", "does not say which object is meant; write zoo:NAME, path/to/file.py:NAME or"),
        ("digit-gan", r"does not say which object is meant; did you mean zoo:digits-gan\?"),
        ("zoo", "separatrix zoo lists the names there are"),
        ("zoo:", "TARGET 'zoo:' names no problem; `separatrix zoo` lists"),
        ("zoo:digit-gan", r"the zoo has no 'digit-gan'; did you mean 'digits-gan'\? `separatrix zoo` lists"),
        ("zoo:zzz", r"the zoo has no 'zzz'\. `separatrix zoo` lists"),
        (
            "zoo:dirac-gan:thet=1",
            r"dirac-gan has no option 'thet'; did you mean 'theta'\? It has loss, r1, noise, theta, psi",
        ),
        ("zoo:dirac-gan:theta", "'theta' is not key=value; write zoo:dirac-gan:key=value"),
        ("zoo:dirac-gan:loss=hinge", "loss must be one of saturating"),
        ("missing.py:game", r"there is no file missing.py \(seen from "),
        ("missing:game", "there is no module 'missing' in .* or among the installed ones"),
        ("./game:game", "names a file without its suffix; write ./game.py:game"),
        ("game.py:gmae", "game.py has no 'gmae'; did you mean 'game'?"),
        ("game.py:zzz", "game.py has no 'zzz'; it defines .*problem"),
        ("game.py:number", "is a int; it must be a Problem, a Field, a Game or a function that returns one"),
        ("game.py:model", r"is a Linear; .* a model becomes a one-player game with its loss: sx.Loss\(model, f\)"),
        ("game.py:Once", "is the class Once; it must be"),
        ("game.py:needy", "is a function that needs width; give its arguments default values"),
        ("game.py:broken", r"calling game.py:broken raised RuntimeError: no such dataset \(.*game.py, line \d+\)"),
    ],
)
def test_a_target_that_cannot_be_had_is_named_with_the_remedy(refused, target: str, message: str) -> None:
    assert re.search(message, refused("diagnose", target))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\nx = = 2\n", r"bad.py, line 2: syntax error: invalid syntax"),
        (
            "import nowhere_to_be_found\n",
            "importing bad.py raised ModuleNotFoundError: No module named 'nowhere_to_be_found'",
        ),
        ("x = 1\ny = x / 0\n", r"importing bad.py raised ZeroDivisionError: division by zero \(.*bad.py, line 2\)"),
        ("import sys\nsys.exit(4)\n", r"importing bad.py raised SystemExit: 4 \(.*bad.py, line 2\)"),
        ("import separatrix as sx\ngame = sx.Game({}, print)\n", "a game needs at least one player"),
        ("", "bad.py has no 'game'; it defines nothing"),
        (
            "import separatrix as sx\ngame = sx.Run(print, {})\n",
            r"is a Run, .* `separatrix diagnose bad.py:game` measures it",
        ),
    ],
)
def test_a_file_that_does_not_import_is_named_with_its_line(refused, tmp_path: Path, source: str, message: str) -> None:
    (tmp_path / "bad.py").write_text(source)
    assert re.search(message, refused("spectrum", "bad.py:game"))
    assert (tmp_path / "bad.py").read_text() == source


def test_a_module_that_fails_inside_is_told_from_one_that_is_missing(refused, tmp_path: Path) -> None:
    (tmp_path / "inner.py").write_text("import nowhere_to_be_found\n")
    assert "importing inner raised ModuleNotFoundError" in refused("spectrum", "inner:game")


def test_a_zoo_problem_takes_options_and_the_dirac_gan_stands_where_its_rotation_is_known(cli) -> None:
    """Eigenvalues ``+-i f'(0)`` of the field, times the rate 0.2; the published start (1, 1) is a saddle's."""
    near = cli("spectrum", "zoo:dirac-gan", "--json").json["rows"]
    known = find_target("zoo:dirac-gan").fact("eigenvalues")
    assert [abs(row["imag"]) for row in near] == pytest.approx([0.2 * abs(known[0])] * 2, rel=0.02)
    assert [row["real"] for row in near] == pytest.approx([0, 0], abs=1e-3)
    far = cli("spectrum", "zoo:dirac-gan:theta=1.0,psi=1", "--json").json["rows"]
    assert max(row["real"] for row in far) > 0.03
    damped = find_target("zoo:dirac-gan:r1=0.3,loss=non-saturating")
    assert damped.fact("eigenvalues")[0].real == pytest.approx(-0.15)


def test_the_zoo_is_listed_with_a_line_for_each_and_one_problem_with_its_facts(cli) -> None:
    shown = cli("zoo").out
    assert all(name in shown for name in ZOO)
    assert "digits-gan with r1=1.0" in shown
    listed = cli("zoo", "--json").json["problems"]
    assert [row["name"] for row in listed] == list(ZOO)
    assert all(row["about"] and "[" not in row["about"].split(" with ")[0][:9] for row in listed)
    one = cli("zoo", "dirac-gan").out
    assert "[mescheder2018, lemma 2.2]" in one  # no markup
    assert "zoo:dirac-gan:loss=saturating" in one
    assert [fact["name"] for fact in cli("zoo", "dirac-gan", "--json").json["facts"]][:2] == [
        "equilibrium",
        "eigenvalues",
    ]


def test_a_problem_that_the_zoo_lacks_is_named(refused) -> None:
    assert "the zoo has no 'diracgan'; did you mean 'dirac-gan'?" in refused("zoo", "diracgan")
