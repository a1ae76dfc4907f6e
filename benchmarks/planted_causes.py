"""Are planted causes named? Ten seeds of each cause and of each healthy twin; results in ``results/planted_causes.json``.

    python benchmarks/planted_causes.py            # the seeds that count, 0 to 9
    python benchmarks/planted_causes.py --tuning   # 100 to 102, on which thresholds and beds were chosen; nothing is stored
    python benchmarks/planted_causes.py --collect  # the results of what has finished, without running more

A cause is named when it is among the first two findings. A healthy run with any finding is a false alarm. Every finished run
is a file in the folder given by ``--pieces``, so that a stopped study goes on; seed after seed, so that a study that is stopped
for good has as many of each. About twenty minutes of one core.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from planted_beds import BEDS, HEALTHY

from separatrix.probes.evidence import Effort, gather
from separatrix.probes.record import write_text
from separatrix.probes.run_findings import findings_of

HERE = Path(__file__).parent
SEEDS, TUNING = range(10), range(100, 103)
# Less than usual, so that the study stays short; twins and best responses decide none of these findings.
USUAL = Effort(
    twin_steps=0,
    response_steps=0,
    own_steps=20,
    averaged=2,
    critical_steps=5,
    critic_steps=40,
    samples=360,
    recorded=120,
)
EFFORTS = {
    "patch-gan": replace(USUAL, own_steps=16, future_steps=10, critic_steps=12, samples=192, recorded=64, every=2),
    "matching-pennies": replace(USUAL, averaged=8, recorded=400),
}
ABOUT = (
    "Thresholds, beds and efforts were chosen on seeds from 100 on; none of them was changed after a seed that counts had been seen. "
    "On those seeds three plants were given up: a large step of the patch GAN's critic (it blows up once and then decays, which is "
    "not what the finding says), the same in the physics-informed network (Adam still solves it), and a domain critic of 30 times "
    "the usual strength (some seeds saturate the features instead). While the study ran, another loop showed that an update which goes "
    "uphill from its start (a critical step of 1/16) is no step beyond the limit, and the finding was narrowed. The rows are those of "
    "the code before; one of them (physics-informed, conflicting-objectives, seed 7) has such a finding ahead of the cause, which was "
    "named second and would now be first."
)


def look(bed: str, cause: str, seed: int) -> dict[str, Any]:
    """One run, and what is found in it."""
    begun = time.process_time()
    made = BEDS[bed][0](cause, seed)
    for _ in range(made.steps):
        made.run.step()
    evidence = gather(made.run, effort=EFFORTS.get(bed, USUAL), seed=seed)
    return {
        "findings": {f.code: float(f"{f.value:.3g}") if f.value is not None else None for f in findings_of(evidence)},
        "notes": list(evidence.notes),
        "seconds": round(time.process_time() - begun, 1),
    }


def runs(seeds: range) -> Iterator[tuple[str, str, int]]:
    """Bed, cause and seed; all of one seed before the next."""
    for seed in seeds:
        for bed, (_, causes) in BEDS.items():
            for cause in (HEALTHY, *causes):
                yield bed, cause, seed


def summary(found: dict[tuple[str, str, int], dict[str, Any]]) -> dict[str, Any]:
    """Named out of how many, by bed and cause; and false alarms, by bed."""
    named: dict[str, dict[str, int]] = {}
    alarms: dict[str, dict[str, Any]] = {}
    for (bed, cause, _), row in sorted(found.items()):
        first_two = list(row["findings"])[:2]
        if cause == HEALTHY:
            counted = alarms.setdefault(bed, {"alarms": 0, "of": 0, "findings": []})
            counted["alarms"] += bool(first_two)
            counted["findings"] += list(row["findings"])
        else:
            counted = named.setdefault(f"{bed}: {cause}", {"named": 0, "first": 0, "of": 0})
            counted["named"] += cause in first_two
            counted["first"] += first_two[:1] == [cause]
        counted["of"] += 1
    return {"named": named, "healthy": alarms}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tuning", action="store_true", help="seeds 100 to 102 in place of 0 to 9")
    parser.add_argument("--collect", action="store_true", help="run nothing more")
    parser.add_argument("--pieces", type=Path, default=HERE / "results" / "planted_causes_pieces")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "planted_causes.json")
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.pieces.mkdir(parents=True, exist_ok=True)
    found: dict[tuple[str, str, int], dict[str, Any]] = {}
    for bed, cause, seed in runs(TUNING if given.tuning else SEEDS):
        piece = given.pieces / f"{bed}-{cause}-{seed}.json"
        if not piece.exists():
            if given.collect:
                continue
            write_text(piece, json.dumps(look(bed, cause, seed)))
        row = found[bed, cause, seed] = json.loads(piece.read_text())
        print(f"{bed:20} {cause:24} {seed:4} {', '.join(row['findings']) or '-'}  {row['notes'] or ''}", flush=True)
    told = summary(found)
    print(json.dumps(told, indent=1))
    if not given.tuning:
        versions = {"torch": torch.__version__, "python": platform.python_version(), "machine": platform.machine()}
        rows = [{"bed": bed, "cause": cause, "seed": seed, **row} for (bed, cause, seed), row in sorted(found.items())]
        head = {
            "about": ABOUT,
            "versions": versions,
            "cpu_seconds": round(sum(row["seconds"] for row in found.values())),
        }
        lines = ",\n  ".join(json.dumps(row) for row in rows)
        text = json.dumps({**head, "summary": told}, indent=1)
        write_text(given.out, f'{text[:-2]},\n "rows": [\n  {lines}\n ]\n}}\n')


if __name__ == "__main__":
    main()
