"""Diagnose a Run: what can be said of a training step without its losses or derivatives."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import replace
from math import isfinite
from typing import Any

import torch

from separatrix.dynamics import Run
from separatrix.errors import ComputationError, InputError
from separatrix.fields.surroundings import frozen_randomness
from separatrix.probes import findings as judge
from separatrix.probes.evidence import Effort, gather
from separatrix.probes.loss_reading import read_losses_at, summed
from separatrix.probes.numbers import number
from separatrix.probes.parting import Twins
from separatrix.probes.record import SEVERITIES, Diagnosis, Finding
from separatrix.probes.run_findings import findings_of
from separatrix.probes.run_response import best_response_of_run
from separatrix.probes.twins import twins
from separatrix.version import __version__

HIDDEN = "a Run hides its losses; give them as a Game for eigenvalues and predictions."
NEED_DERIVATIVES = (
    "spectrum", "signature", "interplay", "slice", "sharpness", "stability", "horizon", "forecast", "method",
)  # fmt: skip


def diagnose_run(
    run: Run,
    *,
    steps: int = 30,
    own_steps: int = 100,
    seed: int = 0,
    command: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> Diagnosis:
    """Whether a run replays, whether small differences in it grow, what its players still gain alone, and all other evidence
    that its roles allow.

    Args:
        run: the training step as a black box; it is put back where it stood. What needs to know losses, data, optimizers or a
            critic needs its roles to name them.
        steps: that the twins make together.
        own_steps: of each player alone, for the best responses.
        seed: of the twins' directions and the draws.
        command: how to reproduce it, for the record.
        progress: called with the name of each part as it begins.

    Cost: 2 steps for the replay, and those of :func:`twins`, :func:`best_response` and :func:`gather`.
    """
    say = progress or (lambda part: None)
    begun = time.process_time()
    findings: list[Finding] = []
    sections: dict[str, Any] = {"problem": {"name": run.name, "kind": "a training step as a black box"}}
    notes = [f"{part}: {HIDDEN}" for part in NEED_DERIVATIVES]
    notes.append("samples: a Run shows none; its outputs are read by the twins.")
    if run.roles.score is None:
        notes.append("score: the roles name none: sx.Roles(score=...).")
    say("replay")
    replay = run.check_replay()
    if not replay.value:
        findings.append(
            Finding(
                "not-replayable",
                "warning",
                "The step cannot be replayed",
                replay.sentence,
                source="two steps from one snapshot, compared bitwise",
                remedy="List in the state whatever the step reads: generators, data position, counters, averaged copies.",
            )
        )
    found: Twins | None = None
    try:
        say("twins")
        found = twins(run, steps=steps, seed=seed) if replay.value else None
    except (ComputationError, InputError) as error:
        notes.append(f"twins: {error}")
    if found is not None:
        sections["twins"] = {"rows": _readings(found), "sentence": found.sentence}
    elif not replay.value:
        notes.append("twins: they need a step that can be replayed.")
    made = 2 + (0 if found is None else found.cost)
    costs: list[dict[str, Any]] = [
        {"part": f"replay and twins ({made} steps)", "gradients": float(made), "seconds": time.process_time() - begun}
    ]
    if run.roles.losses is None or not run.roles.data:
        notes.append(
            "best_response: it needs the losses and batches: sx.Run(..., roles=sx.Roles(losses=..., data=[...]))."
        )
    else:
        say("best_response")
        begun = time.process_time()
        try:
            gained = best_response_of_run(run, steps=own_steps, players=None, draws=4, seed=seed)
            sections["best_response"] = gained.section()
            with run.kept() as start:
                losses = summed(read_losses_at(run, start, run.roles.data, seed))
            findings += judge.best_response_findings(gained.section()["rows"], losses)
            seconds = time.process_time() - begun
            costs.append({"part": "best response", "gradients": gained.gradients, "seconds": seconds})
        except (ComputationError, InputError) as error:
            notes.append(f"best_response: {error}")
    if replay.value:
        begun = time.process_time()
        evidence = gather(run, effort=replace(Effort(), twin_steps=0, response_steps=0), seed=seed, progress=say)
        sections["evidence"] = {"rows": evidence.rows(), "sentence": "Each measurement in its own words."}
        findings = [*findings_of(evidence), *findings]
        notes += evidence.notes
        costs.append({"part": "evidence", "gradients": None, "seconds": time.process_time() - begun})
    else:
        notes.append("evidence: measurements would change a run that cannot be put back.")
    if run.roles.score is not None:
        with run.kept(), frozen_randomness(seed):
            value = float(run.roles.score())
        sections["score"] = {"rows": [{"name": "score", "value": value, "sentence": f"{run.roles.better} is better"}]}
    sections["cost"] = {
        "rows": costs,
        "gradients": sum(row["gradients"] or 0.0 for row in costs),
        "seconds": sum(row["seconds"] for row in costs),
    }
    sections["reproduce"] = {
        "command": command or "sx.diagnose(sx.Run(step, state))",
        "seed": seed,
        "versions": versions(),
    }
    verdict = f"{findings[0].title}. {findings[0].sentence}" if findings else found.sentence if found else notes[-1]
    severity = max((f.severity for f in findings), key=SEVERITIES.index, default="ok")
    return Diagnosis(run.name, verdict, severity, tuple(findings), sections, tuple(notes))


def _readings(found: Twins) -> list[dict[str, Any]]:
    """A row for each thing that was read and each length; of the parameters' directions where there is nothing else."""
    rows = [
        {"name": f"{r.name}, {number(r.scale)} steps apart", "exponent": r.value, "stderr": _finite(r.stderr)}
        for r in found.readings
        if isfinite(r.value)
    ]
    plain = [{"name": "parameters", "exponent": found.value, "stderr": _finite(found.stderr)}]
    return rows or (plain if isfinite(found.value) else [])


def _finite(error: float) -> float | None:
    return error if isfinite(error) else None


def versions() -> dict[str, str]:
    """What a number may depend on."""
    return {"separatrix": __version__, "torch": torch.__version__, "python": platform.python_version()}
