"""``--data``: the batch of a bare Game."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from separatrix.cli.data import read_data


@pytest.mark.parametrize("suffix", [".pt", ".npy"])
def test_a_tensor_is_the_batch(cli, tmp_path: Path, suffix: str) -> None:
    real = np.ones((4, 2))
    path = tmp_path / f"real{suffix}"
    torch.save(torch.as_tensor(real), path) if suffix == ".pt" else np.save(path, real)
    result = cli("spectrum", "game.py:gan", "--data", str(path), "--json")
    assert result.code == 0, result.err


def test_nests_and_archives_are_batches(tmp_path: Path) -> None:
    torch.save({"a": [torch.ones(2)], "b": torch.zeros(1)}, tmp_path / "nest.pt")
    np.savez(tmp_path / "both.npz", a=np.ones(2), b=np.arange(3))
    assert read_data(tmp_path / "nest.pt")["a"][0].tolist() == [1, 1]
    assert {k: v.tolist() for k, v in read_data(tmp_path / "both.npz").items()} == {"a": [1, 1], "b": [0, 1, 2]}


def test_a_game_that_needs_data_says_so_before_any_training(refused) -> None:
    said = refused("diagnose", "game.py:gan", "--train", "5", "--optimizer", "adam")
    assert re.search("the losses of 'gan' raised .* was given no data: .* add --data FILE", said)


@pytest.mark.parametrize("target", ["trained", "field"])
def test_data_are_refused_where_they_have_no_place(refused, target: str) -> None:
    np.save("real.npy", np.ones((4, 2)))
    message = "is a field, which needs no data" if target == "field" else "brings its own data; leave it out"
    assert message in refused("diagnose", f"game.py:{target}", "--data", "real.npy")


def test_an_empty_loader_is_named(refused) -> None:
    assert "holds no batch" in refused("diagnose", "game.py:empty", "--train", "5")
    assert "an empty DataLoader" in refused("spectrum", "game.py:empty")


@pytest.mark.parametrize(
    ("name", "contents", "message"),
    [
        ("none.pt", None, "--data none.pt: there is no such file"),
        ("real.csv", b"1,2", "the suffix '.csv' is unknown; use one of .pt, .pth, .npy, .npz"),
        ("text.pt", b"hello", r"--data text.pt is damaged, or holds more than tensors .* save tensors, and dicts"),
        ("text.npy", b"hello", r"--data text.npy cannot be read \("),
        ("text.npz", b"", r"--data text.npz cannot be read \("),
    ],
)
def test_files_that_hold_no_batch_are_named(refused, name: str, contents: bytes | None, message: str) -> None:
    if contents is not None:
        Path(name).write_bytes(contents)
    assert re.search(message, refused("diagnose", "game.py:gan", "--data", name))


def test_arrays_of_objects_and_strings_are_refused(refused) -> None:
    np.save("objects.npy", np.array([{}, 1], dtype=object))
    np.save("words.npy", np.array(["a", "b"]))
    assert "Object arrays cannot be loaded" in refused("diagnose", "game.py:gan", "--data", "objects.npy")
    assert "--data words.npy cannot be read" in refused("diagnose", "game.py:gan", "--data", "words.npy")


def test_pickled_code_is_not_run(refused) -> None:
    torch.save(Path("x"), "path.pt")
    assert "weights_only=True" in refused("diagnose", "game.py:gan", "--data", "path.pt")
