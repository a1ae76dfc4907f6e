"""``--data FILE``: the batch of a game that was given without data."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from separatrix.errors import InputError

SUFFIXES = (".pt", ".pth", ".npy", ".npz")


def read_data(path: Path) -> Any:
    """One batch: what a ``.pt`` file holds, a ``.npy`` file as a tensor, a ``.npz`` file as a dict of tensors.

    Raises:
        InputError: no such file, an unknown suffix, or contents that are no tensors.
    """
    if path.suffix not in SUFFIXES:
        raise InputError(f"--data {path}: the suffix {path.suffix!r} is unknown; use one of {', '.join(SUFFIXES)}.")
    if path.suffix in (".pt", ".pth"):
        return read_torch(path, "--data", "tensors, and dicts, lists and tuples of them")
    check_file(path, "--data")
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return torch.as_tensor(found)
        with found:
            return {name: torch.as_tensor(found[name]) for name in found.files}
    except (ValueError, TypeError, OSError, EOFError) as error:
        raise InputError(f"--data {path} cannot be read ({error}); save arrays of numbers with numpy.save.") from error


def read_torch(path: Path, option: str, contents: str) -> Any:
    """What ``torch.load`` finds with ``weights_only=True``, on the CPU.

    Raises:
        InputError: no such file, or not a file of this kind.
    """
    check_file(path, option)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the unpickler, about files that it then refuses
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file may raise anything
        raise InputError(
            f"{option} {path} is damaged, or holds more than tensors and plain data, which is refused since loading it could "
            f"run code (weights_only=True); save {contents} with torch.save."
        ) from error


def check_file(path: Path, option: str) -> None:
    """Raise ``InputError`` where there is no such file."""
    if not path.is_file():
        raise InputError(f"{option} {path}: there is no such file.")
