"""Diagnose a Run: what can be said of a training step without its losses or derivatives."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import torch

from separatrix.dynamics import Run
from separatrix.errors import ComputationError, InputError
from separatrix.probes.parting import Twins
from separatrix.probes.record import Diagnosis, Finding
from separatrix.probes.twins import twins


def diagnose_run(
    run: Run,
    *,
    steps: int = 30,
    seed: int = 0,
    command: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> Diagnosis:
    """Whether a run replays, and whether small differences in it grow.

    Args:
        run: the training step as a black box; it is put back where it stood.
        steps: that the twins make together.
        seed: of the twins' directions.
        command: how to reproduce it, for the record.
        progress: called with the name of each part as it begins.

    Cost: 2 steps for the replay, ``4 steps + 5`` for the twins.
    """
    say = progress or (lambda part: None)
    begun = time.process_time()
    findings: list[Finding] = []
    sections: dict[str, Any] = {"problem": {"name": run.name, "kind": "a training step as a black box"}}
    notes = ["spectrum: a Run hides its losses; give the losses as a Game for eigenvalues and predictions."]
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
        rows = [{"name": "parameters", "exponent": found.value, "stderr": found.stderr}]
        sections["twins"] = {"rows": rows, "sentence": found.sentence}
    elif not replay.value:
        notes.append("twins: they need a step that can be replayed.")
    made = 2 + (0 if found is None else found.cost)
    seconds = time.process_time() - begun
    sections["cost"] = {
        "rows": [{"part": f"replay and twins ({made} steps)", "gradients": float(made), "seconds": seconds}],
        "gradients": float(made),
        "seconds": seconds,
    }
    sections["reproduce"] = {
        "command": command or "sx.diagnose(sx.Run(step, state))",
        "seed": seed,
        "versions": versions(),
    }
    verdict = findings[0].sentence if findings else (found.sentence if found is not None else notes[-1])
    return Diagnosis(run.name, verdict, "warning" if findings else "ok", tuple(findings), sections, tuple(notes))


def versions() -> dict[str, str]:
    """What a number may depend on."""
    return {"separatrix": version("separatrix"), "torch": torch.__version__, "python": platform.python_version()}
