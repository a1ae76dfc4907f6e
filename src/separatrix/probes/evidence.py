"""The evidence about a run: every measurement that its roles allow, taken where it stands."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from separatrix.dynamics import Run
from separatrix.errors import ComputationError, InputError
from separatrix.probes.best_response import best_response
from separatrix.probes.critic import Critic, critic
from separatrix.probes.critic_room import CriticRoom, critic_room
from separatrix.probes.critical_step import CriticalStep, critical_step
from separatrix.probes.futures import Futures, futures
from separatrix.probes.gains import BestResponse
from separatrix.probes.koopman import SlowModes, record, slow_modes
from separatrix.probes.parting import Twins
from separatrix.probes.trade_offs import TradeOffs, trade_offs
from separatrix.probes.twins import twins
from separatrix.probes.update_noise import UpdateNoise, update_noise
from separatrix.probes.update_shares import UpdateShares, update_shares


@dataclass(frozen=True)
class Effort:
    """How much is spent on each measurement; 0 leaves one out.

    Attributes:
        twin_steps: of the twins, with two directions.
        response_steps: of each player alone, for best responses.
        own_steps: of each player alone, for its noise and for smaller rates, and on each term alone.
        averaged: batches in an averaged gradient.
        future_steps: of the whole run, in five futures on other draws.
        critical_steps: steps at which the critical step is measured.
        critic_steps: of the critic alone at each of four rates.
        samples: of each kind, for the critic.
        recorded: steps of the recording for the slow modes.
        every: steps between its rows.
    """

    twin_steps: int = 20
    response_steps: int = 50
    own_steps: int = 30
    averaged: int = 4
    future_steps: int = 30
    critical_steps: int = 8
    critic_steps: int = 50
    samples: int = 512
    recorded: int = 400
    every: int = 4


@dataclass(frozen=True)
class Evidence:
    """What was measured; ``None`` or empty where the roles, or the effort, left it out.

    Attributes:
        twins, responses, critical_steps, shares, trade_offs, noise, futures, critic, room, modes: the measurements.
        notes: why something is missing, each with the name of the measurement and a colon.
        costs: rows of name and CPU-seconds.
    """

    twins: Twins | None = None
    responses: BestResponse | None = None
    critical_steps: dict[str, CriticalStep] = field(default_factory=dict)
    shares: dict[str, UpdateShares] = field(default_factory=dict)
    trade_offs: dict[str, TradeOffs] = field(default_factory=dict)
    noise: dict[str, UpdateNoise] = field(default_factory=dict)
    futures: dict[str, Futures] = field(default_factory=dict)
    critic: Critic | None = None
    room: CriticRoom | None = None
    modes: SlowModes | None = None
    notes: tuple[str, ...] = ()
    costs: tuple[tuple[str, float], ...] = ()

    def rows(self) -> list[dict[str, str]]:
        """A row for each measurement, for a record: its name and what it says."""
        one = {"twins": self.twins, "best response": self.responses, "critic": self.critic, "critic's room": self.room}
        several: dict[str, Mapping[str, Any]] = {
            "critical step": self.critical_steps,
            "update shares": self.shares,
            "trade-offs": self.trade_offs,
            "update noise": self.noise,
            "futures": self.futures,
        }
        told = [(name, found.sentence) for name, found in one.items() if found is not None]
        told += [(name, found.sentence) for name, by_player in several.items() for found in by_player.values()]
        told += [("slow modes", self.modes.sentence)] if self.modes is not None else []
        return [{"name": name, "sentence": sentence} for name, sentence in told]


def gather(
    run: Run, *, effort: Effort | None = None, seed: int = 0, progress: Callable[[str], None] | None = None
) -> Evidence:
    """Take every measurement that the roles of a run allow; it is put back where it stands.

    Args:
        run: the run; it must replay.
        effort: how much is spent on what; see :class:`Effort` for what is usual.
        seed: of directions and draws.
        progress: called with the name of each measurement as it begins.

    Cost: about 800 steps, and some hundred gradients a player, as far as the roles allow; see :class:`Effort`.
    """
    how = Effort() if effort is None else effort
    roles = run.roles
    notes: list[str] = []
    costs: list[tuple[str, float]] = []
    say = progress or (lambda name: None)

    def take(name: str, wanted: bool, measure: Callable[[], Any], otherwise: Any) -> Any:
        if not wanted:
            return otherwise
        say(name)
        begun = time.process_time()
        try:
            return measure()
        except (ComputationError, InputError) as error:
            notes.append(f"{name}: {error}")
            return otherwise
        finally:
            costs.append((name, time.process_time() - begun))

    losses = roles.losses is not None and bool(roles.data)
    stepping = losses and bool(roles.optimizers)
    samples = roles.critic is not None and roles.real is not None and roles.generated is not None
    found: dict[str, Any] = {
        "twins": take(
            "twins",
            how.twin_steps > 0,
            lambda: twins(run, steps=how.twin_steps, directions=2, influence=False, seed=seed),
            None,
        ),
        "critical_steps": take(
            "critical_step",
            losses and how.critical_steps > 0,
            lambda: critical_step(run, repeats=how.critical_steps, seed=seed),
            {},
        ),
        "responses": take(
            "best_response",
            stepping and how.response_steps > 0,
            lambda: best_response(run, steps=how.response_steps, players=tuple(roles.optimizers), draws=2, seed=seed),
            None,
        ),
        "noise": take(
            "update_noise",
            stepping and how.own_steps > 0,
            lambda: update_noise(run, steps=how.own_steps, averaged=how.averaged, seed=seed),
            {},
        ),
        "futures": take(
            "futures", losses and how.future_steps > 0, lambda: futures(run, steps=how.future_steps, seed=seed), {}
        ),
        "shares": take("update_shares", stepping, lambda: update_shares(run, seed=seed), {}),
        "trade_offs": take(
            "trade_offs", stepping and how.own_steps > 0, lambda: trade_offs(run, steps=how.own_steps, seed=seed), {}
        ),
        "critic": take("critic", samples, lambda: critic(run, count=how.samples, seed=seed), None),
        "room": take(
            "critic_room",
            samples and stepping and roles.critic_player in roles.optimizers and how.critic_steps > 0,
            lambda: critic_room(run, steps=how.critic_steps, count=how.samples, seed=seed),
            None,
        ),
        "modes": take(
            "slow_modes",
            how.recorded > 0,
            lambda: slow_modes(record(run, steps=how.recorded, every=how.every, seed=seed)),
            None,
        ),
    }
    return Evidence(**found, notes=tuple(notes), costs=tuple(costs))
