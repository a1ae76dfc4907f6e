"""The trust horizon: for how many steps growth rates read off a frozen Jacobian and a frozen metric can be believed.

Two things end it. The field's change is no longer linear: of ``v(x + d) - v(x)`` a share ``e`` is not explained by ``J d``.
And the second moments of the bases, held still by every prediction, move: the displacement for a unit direction drifts by
a share ``r`` where the field acts. Both grow about linearly along a path, which gives the error of a rate over T steps:

- ``J`` itself has changed by ``2 e`` at the end, since ``e`` is its change averaged along the path; by ``e`` on average. Modes
  slower than the path feel it more: measured errors of single modes lie up to a third above that, hence ``4/3 e``.
- the metric of the last step has changed by ``r``, and it answers to a difference between two runs as well: where a gradient is
  large against its second moment, ``g^2 >> s``, the drift is ``t (1 - beta2) g^2 / 2 s`` and the answer twice that, since a
  difference in ``g`` counts twice in ``g^2``. Together ``3 r`` in the last step for modes along the gradient, and
  ``3/2 (1 + 1/T) r`` on average over steps 1 to T.

The sum is compared with 10%. ``benchmarks/bench_forecast.py`` compares it with what runs do.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.dynamics.schemes import States
from separatrix.errors import NonFiniteError
from separatrix.probes.setting import Setting

# Error of a growth rate up to which it is believed.
THRESHOLD = 0.1
# Rounding of one evaluation of the field, in units of eps times its size: sums of some thousand terms in pairs stay below it.
ROUNDING = 8.0
COMPARED = frozenset({1} | {m << k for m in (2, 3) for k in range(30)})


@dataclass(frozen=True)
class Horizon:
    """How far a frozen Jacobian can be trusted along the method's own path.

    Attributes:
        steps: the last measured step up to which the error of rates stayed below the threshold; 0 where the first is above.
        curve: ``(step, e)`` with ``e = |v(x + d) - v(x) - J d| / |v(x + d) - v(x)|`` in the optimiser's metric, of the player
            for whom it is largest: a mode may live in one player alone.
        drift: ``(step, r)``, the root mean square of ``D_t / D_0 - 1``, each coordinate weighted by its share of the
            player's squared field, of the player for whom it is largest; not less than that of a base step from the point
            itself, since a method that looks ahead and rolls back makes one with moments that it forgets.
        reached: the path ended before the error passed the threshold, so the horizon is at least ``steps``.
    """

    steps: int
    curve: tuple[tuple[int, float], ...]
    drift: tuple[tuple[int, float], ...]
    reached: bool

    @property
    def errors(self) -> tuple[tuple[int, float], ...]:
        """``(step, error of rates)``: what is compared with the threshold."""
        return tuple((t, rate_error(t, e, r)) for (t, e), (_, r) in zip(self.curve, self.drift, strict=True))

    def section(self) -> dict[str, object]:
        """The record's section; its ``curve`` holds :attr:`errors`."""
        amount = f"at least {self.steps}" if self.reached else f"{self.steps}"
        detail = "not one step could be made"
        if self.curve:
            first, moved = self.curve[0][1], self.drift[0][1]
            detail = f"after one step {first:.1%} of the field's change is unexplained and the preconditioner has drifted by {moved:.1%}"
        sentence = (
            f"The linear picture holds for {amount} {'step' if self.steps == 1 else 'steps'}: growth rates err by less than "
            f"{THRESHOLD:.0%} ({detail}). Beyond that the spectrum speaks of small perturbations only."
            if self.steps
            else f"The linear picture does not hold for one step within {THRESHOLD:.0%}: {detail}. The spectrum speaks of small "
            "perturbations only."
        )
        return {
            "steps": self.steps,
            "threshold": THRESHOLD,
            "curve": [{"step": s, "error": e} for s, e in self.errors],
            "unexplained": [{"step": s, "error": e} for s, e in self.curve],
            "drift": [{"step": s, "drift": d} for s, d in self.drift],
            "reached": self.reached,
            "sentence": sentence,
        }


def horizon(setting: Setting, *, most: int = 64) -> Horizon:
    """Run the method from the point on the frozen field, and compare at steps 1, 2, 3, 4, 6, 8, 12, 16, ...

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
    at, trusted, ahead = x, 0, _drift(setting, _one_step(setting, start), root * start)
    curve: list[tuple[int, float]] = []
    drifts: list[tuple[int, float]] = []
    for step in range(1, most + 1):
        try:
            at, states = method.step(setting.field, at, states)
            if step not in COMPARED and step != most:
                continue
            change = seen(at) - start
        except NonFiniteError:
            return Horizon(trusted, tuple(curve), tuple(drifts), False)
        missed = change - setting.jacobian @ (at - x)
        curve.append((step, _unexplained(setting, root * missed, root * change, root * start)))
        drifts.append((step, max(ahead, _drift(setting, states, root * start))))
        if rate_error(step, curve[-1][1], drifts[-1][1]) > THRESHOLD:
            return Horizon(trusted, tuple(curve), tuple(drifts), False)
        trusted = step
    return Horizon(trusted, tuple(curve), tuple(drifts), True)


def rate_error(step: int, unexplained: float, drift: float) -> float:
    """``4/3 e + 3/2 (1 + 1/T) r``: by how much a growth rate errs over so many steps."""
    return 4 / 3 * unexplained + 1.5 * (1 + 1 / step) * drift


def _unexplained(setting: Setting, missed: Tensor, change: Tensor, start: Tensor) -> float:
    """The share of the change that is missed beyond the rounding of the two evaluations, of the player with the largest share."""
    space, eps = setting.field.space, torch.finfo(change.dtype).eps
    # A player whose change is rounding beside that of the others has no share worth a number.
    least = eps**0.5 * float(change.norm())
    shares = []
    for p in space.players:
        moved, floor = float(space.take(change, p).norm()), ROUNDING * eps * float(space.take(start, p).norm())
        if moved > least:
            shares.append(max(0.0, float(space.take(missed, p).norm()) - floor) / moved)
    return max(shares, default=0.0)


def _one_step(setting: Setting, v: Tensor) -> States:
    """The bases' states after each has made one step from the point, all at once."""
    assert setting.method is not None
    assert setting.states is not None
    if setting.frozen is None:
        return setting.states
    space, states = setting.field.space, setting.states
    bases = setting.method.bases_for(space.players)
    return {p: bases[p].step(space.take(v, p), space.take(setting.x, p), states[p])[1] for p in space.players}


def _drift(setting: Setting, states: States, weight: Tensor) -> float:
    """How far the preconditioner has moved, weighted by the squared field of each player; the largest of the players."""
    if setting.frozen is None or setting.method is None:
        return 0.0
    space, drifts = setting.field.space, []
    for player, base in setting.method.bases_for(space.players).items():
        now = base.frozen(states[player])
        assert now is not None
        scale, own = space.take(setting.scale, player), space.take(weight, player)
        moved = torch.as_tensor(now.scale, dtype=own.dtype, device=own.device) / scale - 1
        if bool(own.any()):
            own = own / own.abs().max()  # squares of a small field vanish
            drifts.append(float((own * moved).norm() / own.norm()))
    return max(drifts, default=0.0)
