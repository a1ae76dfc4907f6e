"""What players gain by moving alone, in numbers and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from separatrix.probes.numbers import number


@dataclass(frozen=True)
class Gain:
    """One player's gain.

    Attributes:
        player: who moved.
        steps: of its own.
        gain_train: loss before less loss after, on the training data, mean over draws.
        stderr_train: its standard error over draws (dropout, noise); 0 where the losses draw nothing, NaN for one draw.
        gain_held_out, stderr_held_out: the same on held-out data; ``None`` where there are none.
        distance: how far it moved.
        status: ``done``, or why it stopped, in words; the gains are then those of its last good point.
    """

    player: str
    steps: int
    gain_train: float
    stderr_train: float
    gain_held_out: float | None
    stderr_held_out: float | None
    distance: float
    status: str


@dataclass(frozen=True)
class BestResponse:
    """The gains of all players.

    Attributes:
        gains: by player, in the game's order.
        gap_train: their sum on training data: the k-step duality gap.
        gap_held_out: on held-out data; ``None`` where there are none.
        gradients: gradient-equivalents spent.
    """

    gains: dict[str, Gain]
    gap_train: float
    gap_held_out: float | None
    gradients: float

    def __getitem__(self, player: str) -> Gain:
        return self.gains[player]

    def section(self) -> dict[str, Any]:
        """Plain data for a record: ``rows``, one a player, the gaps and a sentence."""
        rows = [{**asdict(gain), "stderr": gain.stderr_train} for gain in self.gains.values()]
        return {
            "rows": rows,
            "gap_train": self.gap_train,
            "gap_held_out": self.gap_held_out,
            "gradients": self.gradients,
            "sentence": self.sentence,
        }

    @property
    def sentence(self) -> str:
        """What was gained, in words."""
        parts = [
            f"{g.steps} own steps of {g.player!r} gain {number(g.gain_train)} on training data"
            + ("" if g.gain_held_out is None else f" and {number(g.gain_held_out)} on held-out data")
            + ("" if g.status == "done" else f" ({g.status})")
            for g in self.gains.values()
        ]
        return "With the others frozen, " + "; ".join(parts) + "."


def gain_of(before: Sequence[dict[str, float]], after: Sequence[dict[str, float]], player: str) -> tuple[float, float]:
    """The gain of a player and its standard error, from its losses by draw before and after."""
    paired = torch.tensor([b[player] - a[player] for b, a in zip(before, after, strict=True)], dtype=torch.float64)
    error = float(paired.std() / len(paired) ** 0.5) if len(paired) > 1 else float("nan")
    return float(paired.mean()), error
