"""The folder of a race: finished pieces as files, written to a temporary name and moved."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from separatrix.dynamics import Snapshot
from separatrix.dynamics.streams import Streams
from separatrix.errors import InputError
from separatrix.probes.record import write_text

if TYPE_CHECKING:
    from separatrix.probes.race_branch import Branch

VERSION = 1


class RaceFolder:
    """Where a race keeps what is finished.

    Args:
        place: the folder, made where it does not exist.
        race: what the race is; kept in ``race.json``.

    Raises:
        InputError: the folder holds another race; says what differs.
    """

    def __init__(self, place: Path, race: Mapping[str, Any]) -> None:
        self.place = place
        (place / "pieces").mkdir(parents=True, exist_ok=True)
        header, described = place / "race.json", {"version": VERSION, **race}
        if not header.exists():
            write_text(header, json.dumps(described, indent=1))
            return
        found = json.loads(header.read_text())
        differing = [key for key in described if found.get(key) != described[key]]
        if differing:
            raise InputError(
                f"{place} holds another race: {', '.join(differing)} differ"
                + (" (the run stands somewhere else)" if "state" in differing else "")
                + "; give another folder, or delete this one to begin anew."
            )

    def piece(self, branch: Branch) -> Path:
        return self.place / "pieces" / f"{_slug(branch.name)}-{branch.seed}-{branch.rung}.json"

    def state(self, branch: Branch) -> Path:
        """Where a branch stands after its last finished rung."""
        return self.place / "pieces" / f"{_slug(branch.name)}-{branch.seed}.pt"

    def has(self, branch: Branch) -> bool:
        return self.piece(branch).exists()

    def read(self, branch: Branch) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.piece(branch).read_text())
        return found

    def finish(self, branch: Branch, piece: Mapping[str, Any], stands: Snapshot | None) -> None:
        """Write where the branch stands, then its piece: a piece never exists without the state behind it."""
        state = self.state(branch)
        if stands is not None:
            _save({"data": [part.data for part in stands.parts], "streams": stands.streams, "rung": branch.rung}, state)
        write_text(self.piece(branch), json.dumps(piece))
        if stands is None:
            state.unlink(missing_ok=True)

    def continued(self, branch: Branch, now: Snapshot) -> tuple[Snapshot, int]:
        """Where the branch stood after its last rung, as a snapshot of the same structure, and that rung."""
        # Written by this very race; pickles hold numpy's and Python's random states.
        saved = torch.load(self.state(branch), weights_only=False)
        parts = tuple(replace(part, data=data) for part, data in zip(now.parts, saved["data"], strict=True))
        return Snapshot(parts, saved["streams"]), int(saved["rung"])

    def streams(self, now: Streams) -> Streams:
        """The global random streams that this race began with; they are kept, since a program seldom begins with the same."""
        kept = self.place / "streams.pt"
        if not kept.exists():
            _save({"streams": now}, kept)
        found: Streams = torch.load(kept, weights_only=False)["streams"]
        return found

    def forget(self, branches: Iterable[Branch]) -> None:
        """Drop where branches stand that will not go on."""
        for branch in branches:
            self.state(branch).unlink(missing_ok=True)

    def finished(self) -> int:
        """How many pieces are finished."""
        return sum(1 for _ in (self.place / "pieces").glob("*.json"))


def fingerprint(snapshot: Snapshot) -> str:
    """A hash of all that a snapshot holds but for the global random streams."""
    digest = hashlib.sha256()
    for path, leaf in snapshot.leaves():
        digest.update(path.encode())
        if isinstance(leaf, torch.Tensor):
            digest.update(leaf.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        else:
            digest.update(repr(leaf).encode())
    return digest.hexdigest()


def _save(data: dict[str, Any], path: Path) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    torch.save(data, temporary)
    os.replace(temporary, path)


def _slug(name: str) -> str:
    """A file name for a remedy; a hash keeps names apart that differ in other letters only."""
    return re.sub(r"[^A-Za-z0-9_.]+", "_", name)[:40] + "-" + hashlib.sha256(name.encode()).hexdigest()[:6]
