"""The folder of a monitored run as a Diagnosis: its findings, its last measurements, and its numbers along the run."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from separatrix.probes.record import SEVERITIES, Diagnosis
from separatrix.probes.run_diagnosis import versions
from separatrix.probes.run_folder import MonitoredRun, read_run


def diagnose_folder(place: str | Path, *, command: str | None = None) -> Diagnosis:
    """What a monitored run shows so far; its folder may still be written.

    Args:
        place: the folder that the monitor wrote.
        command: how to make this again, for the record.

    Raises:
        InputError: no folder of a monitored run.
    """
    run = read_run(place)
    ranked = sorted(run.findings or (), key=lambda f: -SEVERITIES.index(f.severity))
    worst = ranked[0].severity if ranked else "ok"
    latest = run.latest()
    if ranked:
        verdict = f"{ranked[0].title}. {ranked[0].sentence}"
        if len(ranked) > 1:
            verdict += " Also: " + "; ".join(f.title[0].lower() + f.title[1:] for f in ranked[1:]) + "."
    elif run.findings is None:
        worst, verdict = "note", f"Nothing has been measured yet, at step {run.step}."
    else:
        names = ", ".join(sorted(latest)).replace("_", " ")
        verdict = f"Nothing looks wrong in what was measured ({names}), at step {run.found_at}."
    rows = [{"part": name, "gradients": 0.0, "seconds": s} for name, s in _seconds(run).items()]
    sections: dict[str, Any] = {
        "problem": {
            "name": run.about["name"],
            "kind": "a monitored run",
            "step": run.step,
            "players": run.about.get("players"),
        },
        "evidence": {
            "rows": [
                {"name": m.name.replace("_", " "), "step": m.step, "sentence": m.sentence} for m in latest.values()
            ],
            "sentence": f"The last measurement of each kind, up to step {run.step}.",
        },
        "along": {"rows": _along(run), "sentence": f"{len(run.measured)} measurements in {run.step} steps."},
        "cost": {"rows": rows, "gradients": 0.0, "seconds": sum(row["seconds"] for row in rows)},
        "reproduce": {
            "command": command or f"separatrix report {place}",
            "seed": None,
            "started": _when(run.about.get("started")),
            "versions": versions(),
        },
    }
    return Diagnosis(str(run.about["name"]), verdict, worst, tuple(ranked), sections, ())


def _along(run: MonitoredRun) -> list[dict[str, Any]]:
    rows = []
    for name, points in run.series().items():
        values = [value for _, value in points]
        rows.append(
            {
                "name": name.partition("/")[2],
                "first": values[0],
                "last": values[-1],
                "low": min(values),
                "high": max(values),
            }
            | {"count": len(values)}
        )
    return rows


def _seconds(run: MonitoredRun) -> dict[str, float]:
    found: dict[str, float] = {}
    for m in run.measured:
        found[m.name.replace("_", " ")] = found.get(m.name.replace("_", " "), 0.0) + m.seconds
    return found


def _when(started: object) -> str | None:
    return (
        None
        if not isinstance(started, (int, float))
        else datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds")
    )
