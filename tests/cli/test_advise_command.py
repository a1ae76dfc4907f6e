"""``separatrix advise``: what it prints and writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path


def test_advice_is_printed_and_written(cli, tmp_path: Path) -> None:
    result = cli("advise", "game.py:problem", "--methods", "extragradient,optimistic", "-o", str(tmp_path / "a.json"))
    assert result.code == 0, result.err
    assert "safe steps" in result.out
    assert "extragradient" in result.out
    data = json.loads((tmp_path / "a.json").read_text())
    # The field is (-x - y, x - y): eigenvalues -1 +- i.
    rows = {row["method"]: row for row in data["rows"]}
    assert abs(rows["simultaneous, no momentum"]["safe_high"] * 0.1 - 1) < 1e-4


def test_the_race_and_json(cli) -> None:
    result = cli(
        "advise",
        "game.py:problem",
        "--methods",
        "extragradient",
        "--race",
        "20",
        "--rounds",
        "1",
        "--seeds",
        "1",
        "--json",
    )
    assert result.code == 0, result.err
    data = json.loads(result.out)
    assert data["pick"] in data["raced"]
    assert data["race"]["rows"][0]["name"].endswith("as it runs")


def test_a_misspelt_method_and_a_wrong_suffix_are_told(cli, tmp_path: Path) -> None:
    result = cli("advise", "game.py:problem", "--methods", "extragradiant")
    assert result.code == 2
    assert "did you mean" in result.err.lower()
    result = cli("advise", "game.py:problem", "-o", str(tmp_path / "a.pdf"))
    assert result.code == 2
    assert "use one of .html, .json, .md, .png, .svg" in result.err


def test_the_page_and_the_figures_are_written_by_suffix(cli, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.html", "a.png", "a.svg", "a.md")]
    outputs = [word for file in files for word in ("-o", str(file))]
    result = cli("advise", "game.py:problem", "--methods", "extragradient", *outputs, "--quiet")
    assert result.code == 0, result.err
    begins = (b"<!doctype html>", b"\x89PNG", b"<?xml", b"# Advice for damped")
    assert all(file.read_bytes().lstrip().startswith(b) for file, b in zip(files, begins, strict=True))
    assert "extragradient" in files[0].read_text()


def test_the_variants_of_a_zoo_target_with_penalties_take_part(cli) -> None:
    target = "zoo:digits-gan:width=2,batch_size=8"
    fast = ("--methods", "simultaneous", "--noise", "0", "--train", "3", "--batches", "1", "-k", "1")
    result = cli("advise", target, *fast, "--json")
    assert result.code == 0, result.err
    rows = {row["method"]: row["remedy"] for row in json.loads(result.out)["rows"]}
    assert rows["r1: alternating, momentum 0.5"] == "r1"
    assert rows["simultaneous"] == ""
    without = cli("advise", "zoo:bilinear", "--methods", "simultaneous", "--no-remedies", "--quiet")
    assert without.out.count("\n") == 1


def test_named_methods_go_on_from_the_moments_of_the_training(cli) -> None:
    found = cli("advise", "game.py:trained", "--train", "20", "--methods", "simultaneous,alternating", "--json")
    assert found.code == 0, found.err
    rows = {row["method"]: row for row in found.json["rows"]}
    assert rows["simultaneous"]["predicted"]
    assert rows["alternating"]["predicted"]


def test_a_misspelt_method_is_told_before_any_training(cli) -> None:
    for command in ("advise", "compare"):
        result = cli(command, "game.py:trained", "--train", "20", "--methods", "simultaneus,alternating")
        assert result.code == 2
        assert "--methods simultaneus: there is no method 'simultaneus'; did you mean 'simultaneous'?" in result.err
        assert "trained" not in result.err
