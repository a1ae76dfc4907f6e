"""The numerics of GANs [mescheder2017] on a convolutional GAN without normalisation layers: which training converges?

Every method trains the patch GAN from the same start, on the same minibatches, for the same number of gradient-equivalents (of
its own losses; CPU-seconds stand beside them, since penalties make a gradient dearer). Scores of the raw and of the averaged
generator along the way; spectrum, best-response gap and twins before (first seed) and after.

    python benchmarks/numerics_of_gans.py [--gradients 2000] [--seeds 0 1 2] [--methods ...] [--width 16]

Finished runs are kept in ``--pieces`` and not made again; what was killed goes on with the next one.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import separatrix as sx
from separatrix.dynamics import Adam, Alternating, Consensus, Problem, RMSprop, Simultaneous
from separatrix.errors import ComputationError
from separatrix.probes.record import write_text
from separatrix.probes.twins import twins_of_method
from separatrix.zoo import load

RESULTS = Path(__file__).parent / "results" / "numerics_of_gans.json"
DECAY, POINTS = 0.998, 4
# Patches that spectra and best responses are measured on.
MEASURED = 96
ORDER = ("D", "G")


@dataclass(frozen=True)
class Recipe:
    """A row of the table: a method, and the losses that it needs."""

    method: Callable[[float], sx.Method]
    zoo: str = "patch-gan"
    options: Mapping[str, Any] = field(default_factory=dict)


RECIPES = {
    "simultaneous RMSProp": Recipe(lambda lr: sx.Method(RMSprop(lr), Simultaneous())),
    "alternating RMSProp": Recipe(lambda lr: sx.Method(RMSprop(lr), Alternating(ORDER))),
    "consensus, gamma 10": Recipe(lambda lr: sx.Method(RMSprop(lr), Simultaneous(), (Consensus(10.0),))),
    "consensus, gamma 0.1": Recipe(lambda lr: sx.Method(RMSprop(lr), Simultaneous(), (Consensus(0.1),))),
    "R1, gamma 1": Recipe(lambda lr: sx.Method(RMSprop(lr), Alternating(ORDER)), "patch-gan-r1"),
    "RpGAN + R1 + R2, beta1 0": Recipe(
        lambda lr: sx.Method(Adam(lr, (0.0, 0.99)), Alternating(ORDER)), "patch-gan-rp-r1-r2"
    ),
}


def measured(problem: Problem, method: sx.Method, states: Any, averaged: AveragedModel) -> dict[str, Any]:
    """Spectrum, best responses, twins and scores where the players stand."""
    problem = replace(problem, data=problem.data[:MEASURED], held_out=problem.held_out[:MEASURED])
    found = sx.diagnose(problem, method=method, states=states, k=3, max_products=90, own_steps=50, remaining=1000)
    row: dict[str, Any] = {
        "verdict": found.verdict,
        "findings": [[f.code, f.severity, f.value] for f in found.findings],
    }
    for part in ("signature", "horizon", "stability"):
        row[part] = found.sections.get(part, {}).get("sentence") if found.sections.get(part) else None
    points = (found.sections.get("spectrum") or {}).get("rows", [])
    row["spectrum"] = [[p["real"], p["imag"], p["residual"]] for p in points if p["converged"]]
    row["best_response"] = (found.sections.get("best_response") or {}).get("rows")
    try:
        pair = twins_of_method(method, problem.field(seed=0), states=states, steps=20, directions=2)
        row["twins"] = str(pair)
    except ComputationError as error:
        row["twins"] = str(error)
    row["score"] = scores(problem, averaged)
    return row


def scores(problem: Problem, averaged: AveragedModel) -> dict[str, Mapping[str, float]]:
    assert problem.score is not None
    models = problem.game.models
    return {"raw": problem.score(models), "averaged": problem.score({**models, "G": averaged.module})}


def one_run(name: str, seed: int, *, gradients: float, lr: float, width: int) -> dict[str, Any]:
    recipe = RECIPES[name]
    problem = load(recipe.zoo, seed=seed, width=width, **recipe.options)
    method, begun = recipe.method(lr), time.process_time()
    cost = method.gradients(problem.field(seed=0))
    generator = problem.game.models["G"]
    averaged = AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(DECAY))  # type: ignore[arg-type, no-untyped-call]
    steps, states, curve = int(gradients / cost), None, []
    warm = max(1, min(20, steps // 10))  # moments are unknown before
    row: dict[str, Any] = {"method": name, "seed": seed, "steps": steps, "gradients_per_step": cost}
    made, norms = 0, []
    for until in [warm, *[steps * i // POINTS for i in range(1, POINTS + 1)]]:
        run = sx.train(
            problem,
            until - made,
            method=method,
            states=states,
            seed=1000 * seed + made,
            points=0,
            progress=False,
            throw=False,
            each=lambda step: averaged.update_parameters(generator),  # type: ignore[arg-type]
        )
        states, made = run.states, until
        norms += run.norms.tolist()
        curve.append({"steps": made, "gradients": made * cost, **scores(problem, averaged)})
        if run.status != "done":
            row["stopped"] = run.message
            break
        if until == warm and seed == 0:  # the starts differ little
            row["before"] = measured(problem, method, states, averaged)
    row["after"] = None if "stopped" in row else measured(problem, method, states, averaged)
    tail = torch.tensor(norms[-len(norms) // 10 :])
    row |= {"curve": curve, "field_norm_last_tenth": float(tail.mean()), "cpu_seconds": time.process_time() - begun}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gradients", type=float, default=2000.0, help="gradient-equivalents for each run")
    parser.add_argument("--lr", type=float, default=2e-4)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", default=list(RECIPES), choices=list(RECIPES))
    parser.add_argument("--pieces", type=Path, default=Path("out") / "numerics_of_gans")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.pieces.mkdir(parents=True, exist_ok=True)
    settings = {"gradients": options.gradients, "lr": options.lr, "width": options.width, "decay": DECAY}
    rows = []
    for seed in options.seeds:
        for name in options.methods:
            piece = options.pieces / f"{name.replace(' ', '_').replace(',', '')}-{seed}.json"
            kept = json.loads(piece.read_text()) if piece.exists() else {}
            if kept.get("settings") != settings:
                kept = {
                    "settings": settings,
                    "row": one_run(name, seed, lr=options.lr, gradients=options.gradients, width=options.width),
                }
                write_text(piece, json.dumps(kept))
            rows.append(kept["row"])
            final = rows[-1]["curve"][-1]
            print(
                f"{name:<26} seed {seed}  raw {final['raw']}  averaged {final['averaged']}  {rows[-1]['cpu_seconds']:.0f} s",
                flush=True,
            )
    record = {
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "threads": 1},
        "settings": settings,
        "rows": rows,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_text(options.out, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
