"""The trust horizon: for how many steps ``v(x + d) - v(x)`` is still explained by ``J d``, with the metric standing still.

Two things end it: the field's change is no longer linear, or the second moments of the bases, held still by every
prediction, have moved where the field acts.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.dynamics.schemes import States
from separatrix.errors import NonFiniteError
from separatrix.probes.setting import Setting

# Above this share of the field's change unexplained, growth rates read off the Jacobian err by 10% and more.
THRESHOLD = 0.1


@dataclass(frozen=True)
class Horizon:
    """How far a frozen Jacobian can be trusted along the method's own path.

    Attributes:
        steps: the last measured step up to which the error stayed below the threshold; 0 where the first is above.
        curve: ``(step, error)`` with ``error = |v(x + d) - v(x) - J d| / |v(x + d) - v(x)|`` in the optimiser's metric.
        drift: ``(step, drift)``, the root mean square of ``D_t / D_0 - 1``, each coordinate weighted by its share of the
            squared field.
        reached: the path ended before the error passed the threshold, so the horizon is at least ``steps``.
    """

    steps: int
    curve: tuple[tuple[int, float], ...]
    drift: tuple[tuple[int, float], ...]
    reached: bool

    def section(self) -> dict[str, object]:
        amount = f"at least {self.steps}" if self.reached else f"{self.steps}"
        first, moved = (self.curve[0][1], self.drift[0][1]) if self.curve else (float("nan"), float("nan"))
        sentence = (
            f"The linear picture holds for {amount} steps (below {THRESHOLD:.0%} of the field's change unexplained and below "
            f"{THRESHOLD:.0%} drift of the preconditioner; after one step {first:.1%} and {moved:.1%}). Beyond that the spectrum "
            "speaks of small perturbations only."
        )
        return {
            "steps": self.steps,
            "threshold": THRESHOLD,
            "curve": [{"step": s, "error": e} for s, e in self.curve],
            "drift": [{"step": s, "drift": d} for s, d in self.drift],
            "reached": self.reached,
            "sentence": sentence,
        }


def horizon(setting: Setting, *, most: int = 64) -> Horizon:
    """Run the method from the point on the frozen field, and compare at steps 1, 2, 4, ...

    Args:
        setting: with a method.
        most: the last step tried.

    Cost: at most ``most`` periods, and one ``J @ d`` and one field evaluation for each comparison; it stops at the
    first comparison above the threshold.
    """
    assert setting.method is not None
    assert setting.states is not None
    method, seen, x = setting.method, setting.seen, setting.x
    root = setting.scale.sqrt()
    states: States = setting.states
    start = seen(x)
    at, trusted, compared = x, 0, 1
    curve: list[tuple[int, float]] = []
    drifts: list[tuple[int, float]] = []
    for step in range(1, most + 1):
        try:
            at, states = method.step(setting.field, at, states)
            if step < compared:
                continue
            change = seen(at) - start
        except NonFiniteError:
            return Horizon(trusted, tuple(curve), tuple(drifts), False)
        predicted = setting.jacobian @ (at - x)
        size = float((root * change).norm())
        curve.append((step, float((root * (change - predicted)).norm()) / size if size > 0 else 0.0))
        drifts.append((step, _drift(setting, states, root * start)))
        if max(curve[-1][1], drifts[-1][1]) > THRESHOLD:
            return Horizon(trusted, tuple(curve), tuple(drifts), False)
        trusted, compared = step, 2 * compared
    return Horizon(trusted, tuple(curve), tuple(drifts), True)


def _drift(setting: Setting, states: States, weight: Tensor) -> float:
    """How far the preconditioner has moved, weighted by the squared field."""
    if setting.frozen is None or setting.method is None or not bool(weight.any()):
        return 0.0
    space = setting.field.space
    ratios = torch.ones_like(weight)
    for player, base in setting.method.bases_for(space.players).items():
        now = base.frozen(states[player])
        assert now is not None
        index = space.index(player)
        ratios[index] = torch.as_tensor(now.scale, dtype=weight.dtype, device=weight.device) / setting.scale[index]
    share = weight.square() / weight.square().sum()
    return float((share * (ratios - 1).square()).sum().sqrt())
