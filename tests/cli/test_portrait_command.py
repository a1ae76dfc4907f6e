"""``separatrix portrait``: what it prints and writes, and what it refuses."""

from __future__ import annotations

import json


def test_the_cycles_of_a_planar_field_are_printed_and_written(cli, tmp_path):
    figure = tmp_path / "polar.svg"
    found = cli("portrait", "zoo:polar-game", "--no-basins", "--resolution", "9", "-o", str(figure))
    assert found.code == 0
    assert "Unstable cycle around (0, 0), period 6.28319" in found.out
    assert "Stable cycle around (0, 0), period 6.28319" in found.out
    assert f"wrote {figure}" in found.err
    assert figure.read_text().count("<svg") == 1


def test_json_holds_the_numbers_and_the_problem_knows_its_box(cli):
    found = cli("portrait", "zoo:torus-gan", "--no-basins", "--no-cycles", "--box", "-1,1,-1,1", "--json")
    data = json.loads(found.out)
    assert data["problem"] == "torus-gan"
    assert data["box"] == [[-1.0, 1.0], [-1.0, 1.0]]
    assert [rest["kind"] for rest in data["rest"]] == ["centre?"]
    known = cli("portrait", "zoo:polar-game", "--no-basins", "--no-cycles", "--json", "--resolution", "5")
    assert json.loads(known.out)["box"] == [[-1.1, 1.1], [-1.1, 1.1]]


def test_a_big_field_is_sliced(cli):
    found = cli("portrait", "zoo:four-players", "--plane", "0,3", "--resolution", "4", "--quiet")
    assert found.code == 0
    assert found.out.startswith("The plane of coordinates 0 and 3.")


def test_bad_options_are_refused(cli):
    for options, message in (
        (("--box", "1,2"), "--box takes four numbers X0,X1,Y0,Y1, got '1,2'"),
        (("--box", "1,0,0,1"), "--box takes X0 < X1 and Y0 < Y1"),
        (("--plane", "a,b"), "--plane takes a name or the numbers of two coordinates"),
        (("-o", "a.txt"), "the suffix '.txt' is unknown; use one of .svg, .png, .pdf, .json"),
    ):
        found = cli("portrait", "zoo:four-players", *options)
        assert found.code == 2
        assert message in found.err
    assert cli("portrait", "zoo:four-players", "--plane", "xy").code == 2
