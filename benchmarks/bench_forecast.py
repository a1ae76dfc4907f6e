"""Is what the linearised method says true of the method that runs? Forecast against fact on trained GANs.

For every problem, scheme and base: train with minibatches in float32, go over to float64 and the full batch, then

- tangent: the exact tangent of one period (``UpdateMap``) against central differences of the real period; 1e-6 wanted,
- horizon: for how many periods the linear picture is trusted along the method's own path,
- modes: a small difference (1e-3 of a step) between two real runs, read along the left vectors of the leading modes over the
  horizon, against ``m^T``: error of the complex logarithm, 10% wanted, and skill against "nothing changes",
- for piecewise-linear networks: the same with a difference as long as a step, since there the derivative at a point does
  not decide; and the gap between the tangent and the finite difference at that scale.

Whatever is wanted and not reached is listed by name.

    python benchmarks/bench_forecast.py [--steps 300] [--problems NAME ...] [--out FILE]
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import separatrix as sx
from separatrix.dynamics import SGD, Adam, AdamW, Alternating, Base, Extragradient, RMSprop, Scheme, Simultaneous
from separatrix.dynamics.schemes import States
from separatrix.dynamics.update_map import UpdateMap
from separatrix.errors import ComputationError
from separatrix.fields import Field
from separatrix.probes import forecast, horizon, leading, reduce, settle, signature
from separatrix.zoo import load

RESULTS = Path(__file__).parent / "results" / "forecast.json"
SMOOTH = ("eight-gaussians-smooth", "digits-gan-smooth")
PIECEWISE = ("eight-gaussians", "digits-gan")
BASES: dict[str, Base] = {
    "SGD": SGD(0.01),
    "momentum": SGD(0.005, momentum=0.5),
    "RMSprop": RMSprop(2e-4),
    "Adam": Adam(2e-4, (0.5, 0.999)),
    "AdamW": AdamW(2e-4, (0.5, 0.999)),
}
SCHEMES: dict[str, Scheme] = {
    "simultaneous": Simultaneous(),
    "alternating": Alternating(("D", "G")),
    "extragradient": Extragradient(),
}
TANGENT, GROWTH = 1e-6, 0.1


@dataclass(frozen=True)
class Trained:
    """A method on a float64 field, at the state that training with minibatches led to."""

    method: sx.Method
    field: Field
    x: Tensor
    states: States


def trained(name: str, method: sx.Method, steps: int, samples: int | None) -> Trained:
    problem = load(name)
    run = sx.train(problem, steps, method=method, points=0, progress=False)
    states: States = {
        p: {k: v.double() if isinstance(v, Tensor) else v for k, v in s.items()} for p, s in run.states.items()
    }
    return Trained(method, problem.game.on(problem.data[:samples], dtype=torch.float64), run.x.double(), states)


def tangent_gap(case: Trained, *, scale: float, seed: int = 0) -> float:
    """``|M d - (F(z + d) - F(z - d)) / 2| / |M d|`` for a random ``d`` of ``scale`` step lengths, state included."""
    exact = UpdateMap(case.method, case.field, case.x, case.states)
    names = [name for name, _ in exact.layout]

    def pack(x: Tensor, states: Mapping[str, Any]) -> Tensor:
        return torch.cat([x, *(states[n.rsplit(".", 1)[0]][n.rsplit(".", 1)[1]] for n in names[1:])])

    def after(z: Tensor) -> Tensor:
        parts = dict(zip(names, torch.split(z, [size for _, size in exact.layout]), strict=True))
        states = {
            p: {k: parts[f"{p}.{k}"] if isinstance(v, Tensor) else v for k, v in s.items()}
            for p, s in case.states.items()
        }
        return pack(*case.method.step(case.field, parts["x"], states))

    z = pack(case.x, case.states)
    move = exact.point_part(after(z)) - case.x
    noise = torch.randn(len(z), generator=torch.Generator().manual_seed(seed), dtype=z.dtype)
    pieces = []
    for (name, size), piece in zip(exact.layout, torch.split(noise, [size for _, size in exact.layout]), strict=True):
        # Second moments must stay positive, and momenta are in units of their own.
        reference = move if name == "x" else case.states[name.rsplit(".", 1)[0]][name.rsplit(".", 1)[1]]
        pieces.append(piece * reference.abs() if name != "x" else piece * float(move.norm()) / size**0.5)
    d = scale * torch.cat(pieces)
    linear, difference = exact @ d, (after(z + d) - after(z - d)) / 2
    point = exact.layout[0][1]
    gaps = [
        float((linear[part] - difference[part]).norm() / linear[part].norm())
        for part in (slice(0, point), slice(0, None))
    ]
    return max(gaps)


def measure(
    name: str, scheme: str, base: str, *, steps: int, samples: int | None, k: int, scale: float, most: int
) -> dict[str, Any]:
    case = trained(name, sx.Method(BASES[base], SCHEMES[scheme]), steps, samples)
    begun = time.process_time()
    small = name in SMOOTH
    row: dict[str, Any] = {"problem": name, "scheme": scheme, "base": base}
    row["tangent_gap"] = tangent_gap(case, scale=1e-4 if small else 1.0)
    setting = settle(case.field, case.method, x=case.x, states=case.states)
    trust = horizon(setting, most=most)
    row |= {
        "horizon": trust.steps,
        "reached": trust.reached,
        "error_first": trust.curve[0][1],
        "drift_first": trust.drift[0][1],
    }
    modes = leading(setting.operator, k=k, max_products=150)
    found = signature(setting, modes, reduce(setting.operator, setting.field.space, modes))
    try:
        tried = forecast(setting, found, steps=max(trust.steps, 1), scale=scale, most=4)
    except ComputationError as error:
        tried, row["failed"] = [], str(error)
    row["modes"] = [
        {
            "multiplier": [f.multiplier.real, f.multiplier.imag],
            "steps": f.steps,
            "predicted": [f.predicted.real, f.predicted.imag],
            "observed": [f.observed.real, f.observed.imag],
            "error": f.error,
            "skill": f.skill,
        }
        for f in tried
    ]
    row["seconds"] = time.process_time() - begun
    return row


def show(row: Mapping[str, Any]) -> None:
    amount = f"{'>=' if row['reached'] else ''}{row['horizon']}"
    print(
        f"{row['problem']:<24} {row['scheme']:<14} {row['base']:<9} tangent {row['tangent_gap']:.1e}  horizon {amount:>4} "
        f"(after one step {row['error_first']:.1%}, drift {row['drift_first']:.1%})"
    )
    for mode in row["modes"]:
        m = complex(*mode["multiplier"])
        print(
            f"    m = {m.real:.4f} {m.imag:+.4f}i  error {mode['error']:7.1%}  skill {mode['skill']:6.3f}  ({mode['steps']} steps)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300, help="of training with minibatches (default 300)")
    parser.add_argument(
        "--samples", type=int, help="measure on so many of the samples (default all), as one full batch"
    )
    parser.add_argument("--problems", nargs="+", default=[*SMOOTH, *PIECEWISE])
    parser.add_argument("--schemes", nargs="+", default=list(SCHEMES))
    parser.add_argument("--bases", nargs="+", default=list(BASES))
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the JSON goes")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows, missed = [], []
    for name in options.problems:
        for scheme in options.schemes:
            for base in options.bases:
                scale = 1e-3 if name in SMOOTH else 1.0
                row = measure(
                    name, scheme, base, steps=options.steps, samples=options.samples, k=4, scale=scale, most=32
                )
                show(row)
                rows.append(row)
                if name in SMOOTH and row["tangent_gap"] > TANGENT:
                    missed.append(f"{name}, {scheme}, {base}: tangent off by {row['tangent_gap']:.1e}")
                if row["horizon"] >= 1 and name in SMOOTH:
                    missed += [
                        f"{name}, {scheme}, {base}: mode {mode['multiplier'][0]:.4f} {mode['multiplier'][1]:+.4f}i off by {mode['error']:.0%}"
                        for mode in row["modes"]
                        if mode["error"] > GROWTH
                    ]
    print("\nWanted and not reached:", *(missed or ["nothing"]), sep="\n  ")
    record = {
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "threads": 1},
        "training_steps": options.steps,
        "samples": options.samples,
        "seed": 0,
        "wanted": {"tangent_gap": TANGENT, "error": GROWTH},
        "rows": rows,
        "missed": missed,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
