"""Instruments: what a monitor measures along a run, each with flat numbers and a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from torch import Tensor

from separatrix.dynamics import Run
from separatrix.probes.best_response import best_response
from separatrix.probes.critic import Critic, critic
from separatrix.probes.critic_room import CriticRoom, critic_room
from separatrix.probes.critical_step import CriticalStep, critical_step
from separatrix.probes.evidence import Effort
from separatrix.probes.futures import Futures, futures
from separatrix.probes.gains import BestResponse
from separatrix.probes.trade_offs import TradeOffs, trade_offs
from separatrix.probes.update_noise import UpdateNoise, update_noise
from separatrix.probes.update_shares import UpdateShares, update_shares

PREFIX = "separatrix"
Numbers = dict[str, float]


@dataclass(frozen=True)
class Instrument:
    """One measurement.

    Attributes:
        name: of the measurement, and in its numbers.
        evidence: the attribute of :class:`~separatrix.probes.evidence.Evidence` that it fills; empty for none.
        measure: takes it where the run stands, and puts the run back.
        read: its numbers without the prefix.
        tell: its sentence.
    """

    name: str
    evidence: str
    measure: Callable[[], Any]
    read: Callable[[Any], Numbers]
    tell: Callable[[Any], str]

    def numbers(self, found: Any) -> Numbers:
        """Flat, with the prefix and the name; what is not finite is left out."""
        flat = {f"{PREFIX}/{self.name}/{key}": float(value) for key, value in self.read(found).items()}
        return {key: value for key, value in flat.items() if isfinite(value)}


def instruments(
    run: Run, effort: Effort, *, moved: Mapping[str, Sequence[Tensor]] | None = None, seed: int = 0
) -> list[Instrument]:
    """The instruments that the roles of a run allow, the cheapest first.

    Args:
        run: what is measured.
        effort: how much is spent on each.
        moved: of a loop that makes its own steps and only lends its optimizers: what its last step moved each player's tensors
            by, filled in before the instruments are used. ``None`` for a run that can be stepped.
        seed: of directions and draws.
    """
    roles = run.roles
    losses = roles.losses is not None and bool(roles.data)
    stepping = losses and bool(roles.optimizers)
    samples = roles.critic is not None and roles.real is not None and roles.generated is not None
    found: list[Instrument] = []

    def add(
        name: str, evidence: str, measure: Callable[[], Any], read: Callable[[Any], Numbers], tell: Callable[[Any], str]
    ) -> None:
        found.append(Instrument(name, evidence, measure, read, tell))

    if roles.score is not None:
        score = roles.score
        add("score", "", lambda: _scored(run, score), lambda v: {"value": v}, lambda v: f"The score is {v:.4g}.")
    if samples:
        add("critic", "critic", lambda: critic(run, count=effort.samples, seed=seed), _of_critic, lambda c: c.sentence)
    if stepping:
        add("update_shares", "shares", lambda: update_shares(run, moved=moved, seed=seed), _of_shares, _each)
    if losses and moved is None and effort.critical_steps > 0:
        stepped = lambda: critical_step(run, repeats=effort.critical_steps, seed=seed)  # noqa: E731
        add("critical_step", "critical_steps", stepped, _of_steps, _each)
    if stepping and effort.own_steps > 0:
        add("trade_offs", "trade_offs", lambda: trade_offs(run, steps=effort.own_steps, seed=seed), _of_trades, _each)
    if samples and stepping and roles.critic_player in roles.optimizers and effort.critic_steps > 0:
        roomy = lambda: critic_room(run, steps=effort.critic_steps, count=effort.samples, seed=seed)  # noqa: E731
        add("critic_room", "room", roomy, _of_room, lambda r: r.sentence)
    if stepping and effort.own_steps > 0:
        noisy = lambda: update_noise(run, steps=effort.own_steps, averaged=effort.averaged, seed=seed)  # noqa: E731
        add("update_noise", "noise", noisy, _of_noise, _each)
    if losses and moved is None and effort.future_steps > 0:
        going = lambda: futures(run, steps=effort.future_steps, seed=seed)  # noqa: E731
        add("futures", "futures", going, _of_futures, _each)
    if stepping and effort.response_steps > 0:
        players = tuple(roles.optimizers)
        responding = lambda: best_response(run, steps=effort.response_steps, players=players, draws=2, seed=seed)  # noqa: E731
        add("best_response", "responses", responding, _of_response, lambda r: r.sentence)
    return found


def _scored(run: Run, score: Callable[[], float]) -> float:
    with run.kept():
        return float(score())


def _each(found: dict[str, Any]) -> str:
    return " ".join(one.sentence for one in found.values())


def _of_critic(c: Critic) -> Numbers:
    found = {"auc": c.auc, "r_t": c.r_t, "flat": c.flat, **{f"slope/{kind}": v for kind, v in c.slopes.items()}}
    found |= {name: value for name, value in (("r_v", c.r_v), ("memory", c.memory)) if value is not None}
    found["lost_units"] = max((u.lost for u in c.units.values()), default=0.0)
    if c.coverage is not None:
        found |= {"coverage": c.coverage.relative, "spread": c.coverage.spread}
    return found


def _of_room(r: CriticRoom) -> Numbers:
    return {"before": r.before, "loss": r.loss, **{f"after/rate_{rate:g}": v for rate, v in r.after.items()}}


def _of_steps(found: dict[str, CriticalStep]) -> Numbers:
    return {f"{p}/{k}": v for p, c in found.items() for k, v in (("value", c.value), ("change", c.change))}


def _of_shares(found: dict[str, UpdateShares]) -> Numbers:
    flat: Numbers = {}
    for player, shares in found.items():
        flat |= {f"{player}/share/{t.term}": t.share for t in shares.terms.values()}
        flat |= {f"{player}/loss/{t.term}": t.loss for t in shares.terms.values()}
        flat[f"{player}/cancelled"] = shares.cancelled
        layers = sorted(shares.layers.values())
        flat[f"{player}/relative_step"] = layers[len(layers) // 2] if layers else 0.0
    return flat


def _of_trades(found: dict[str, TradeOffs]) -> Numbers:
    return {f"{p}/gain/{term}": t.gain(term) for p, t in found.items() for term in t.values}


def _of_noise(found: dict[str, UpdateNoise]) -> Numbers:
    flat: Numbers = {}
    for p, n in found.items():
        flat |= {f"{p}/potential": n.potential, f"{p}/spread": n.spread, f"{p}/batches": n.batches}
    return flat


def _of_futures(found: dict[str, Futures]) -> Numbers:
    return {f"{p}/{k}": v for p, f in found.items() for k, v in (("change", f.change), ("spread", f.spread))}


def _of_response(found: BestResponse) -> Numbers:
    flat = {f"{p}/gain": g.gain_train for p, g in found.gains.items()}
    flat |= {f"{p}/gain_held_out": g.gain_held_out for p, g in found.gains.items() if g.gain_held_out is not None}
    return {**flat, "gap": found.gap_train}
