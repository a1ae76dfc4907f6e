"""The trust horizon: for how many steps ``v(x + d) - v(x)`` is still explained by ``J d``."""

from __future__ import annotations

from dataclasses import dataclass

from separatrix.dynamics.schemes import States
from separatrix.errors import NonFiniteError
from separatrix.probes.setting import Setting

# Above this share of the field's change unexplained, growth rates read off the Jacobian err by 10% and more.
THRESHOLD = 0.2


@dataclass(frozen=True)
class Horizon:
    """How far a frozen Jacobian can be trusted along the method's own path.

    Attributes:
        steps: the last measured step up to which the error stayed below the threshold; 0 where the first is above.
        curve: ``(step, error)`` with ``error = |v(x + d) - v(x) - J d| / |v(x + d) - v(x)|`` in the optimiser's metric.
        reached: the path ended before the error passed the threshold, so the horizon is at least ``steps``.
    """

    steps: int
    curve: tuple[tuple[int, float], ...]
    reached: bool

    def section(self) -> dict[str, object]:
        amount = f"at least {self.steps}" if self.reached else f"{self.steps}"
        first = self.curve[0][1] if self.curve else float("nan")
        sentence = (
            f"The linear picture explains the field's change for {amount} steps (error below {THRESHOLD:.0%}; after one step "
            f"{first:.1%}). Beyond that the spectrum speaks of small perturbations only."
        )
        return {
            "steps": self.steps,
            "threshold": THRESHOLD,
            "curve": [{"step": s, "error": e} for s, e in self.curve],
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
    at, trusted = x, 0
    curve: list[tuple[int, float]] = []
    compared = 1
    for step in range(1, most + 1):
        try:
            at, states = method.step(setting.field, at, states)
            if step < compared:
                continue
            change = seen(at) - start
        except NonFiniteError:
            return Horizon(trusted, tuple(curve), False)
        predicted = setting.jacobian @ (at - x)
        size = float((root * change).norm())
        error = float((root * (change - predicted)).norm()) / size if size > 0 else 0.0
        curve.append((step, error))
        if error > THRESHOLD:
            return Horizon(trusted, tuple(curve), False)
        trusted, compared = step, 2 * compared
    return Horizon(trusted, tuple(curve), True)
