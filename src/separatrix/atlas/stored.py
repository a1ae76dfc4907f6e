"""Results of studies as small JSON files: one for each study and scale, written whole or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from separatrix.atlas.catalogue import ROOT, Entry
from separatrix.atlas.claims import Claim
from separatrix.atlas.study import Outcome
from separatrix.errors import InputError

RESULT_VERSION = 1
# The full-scale results that the package brings along.
SHIPPED = ROOT / "results"


@dataclass(frozen=True)
class Result:
    """The outcome of a study with where it came from.

    Attributes:
        id, scale: of the run.
        outcome: claims, controls, the figure's data, notes.
        seconds: CPU-seconds, without imports.
        digest: of the study's file when it ran.
        versions: of Python, the package and what it computes with.
        device: where it ran.
    """

    id: str
    scale: str
    outcome: Outcome
    seconds: float
    digest: str
    versions: Mapping[str, str]
    device: str

    def is_of(self, entry: Entry) -> bool:
        """Whether the study's file has not changed since."""
        return self.digest == entry.digest

    def to_dict(self) -> dict[str, Any]:
        """Plain data that ``json.dumps`` takes."""
        return {
            "version": RESULT_VERSION,
            "id": self.id,
            "scale": self.scale,
            "verdict": self.outcome.verdict,
            "claims": [claim.to_dict() for claim in self.outcome.claims],
            "controls": [claim.to_dict() for claim in self.outcome.controls],
            "notes": list(self.outcome.notes),
            "gradients": self.outcome.gradients,
            "seconds": round(self.seconds, 2),
            "device": self.device,
            "versions": dict(self.versions),
            "digest": self.digest,
            "figure": compact(self.outcome.figure),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Result:
        """The reverse of :meth:`to_dict`.

        Raises:
            InputError: the data are of another version or not in this shape.
        """
        if data.get("version") != RESULT_VERSION:
            raise InputError(
                f"this result has version {data.get('version')!r}, this release reads version {RESULT_VERSION}; run the "
                "study again."
            )
        try:
            claims, controls = (tuple(map(Claim.from_dict, data[key])) for key in ("claims", "controls"))
            outcome = Outcome(claims, controls, data["figure"], tuple(data["notes"]), data["gradients"])
            return cls(
                data["id"], data["scale"], outcome, data["seconds"], data["digest"], data["versions"], data["device"]
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"not the result of a study: {type(error).__name__}: {error}.") from None


def result_path(folder: Path, study: str, scale: str) -> Path:
    """Where the result of a study lies in a folder of results."""
    return folder / (f"{study}.json" if scale == "full" else f"{study}.{scale}.json")


def load_result(folder: Path, study: str, scale: str = "full") -> Result | None:
    """The stored result, ``None`` if there is none.

    Raises:
        InputError: the file is damaged or of another version.
    """
    path = result_path(folder, study, scale)
    if not path.is_file():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is not JSON ({error}); delete it and run the study again.") from None
    return Result.from_dict(data)


def save_result(folder: Path, result: Result) -> Path:
    """Write a result, whole or not at all; two of the same study do not disturb each other."""
    from separatrix.probes.record import write_text

    text = json.dumps(result.to_dict(), indent=1, allow_nan=False)
    return write_text(result_path(folder, result.id, result.scale), _on_one_line(text) + "\n")


def compact(data: Any, place: str = "figure") -> Any:
    """Plain data with six significant digits: enough for a picture.

    Raises:
        InputError: something in it is no number, string, list or dict; says where.
    """
    if isinstance(data, Mapping):
        return {str(key): compact(value, f"{place}[{key!r}]") for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [compact(value, f"{place}[{i}]") for i, value in enumerate(data)]
    if isinstance(data, float):
        return float(f"{data:.6g}") if math.isfinite(data) else None
    if data is None or isinstance(data, (bool, int, str)):
        return data
    raise InputError(
        f"{place} is a {type(data).__name__}; the data of a figure are stored, so they must be numbers, strings, lists and "
        "dicts. A tensor or an array becomes a list by .tolist()."
    )


def _on_one_line(text: str) -> str:
    """Lists of numbers on one line, so that the files stay readable."""
    import re

    return re.sub(r"\[\s+([^\[\]{}\"]*?)\s+\]", lambda m: "[" + re.sub(r"\s+", " ", m[1]) + "]", text)
