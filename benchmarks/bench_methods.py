"""What a step of each method costs on the digits GAN, one thread.

Stated gradient-equivalents beside CPU time over that of one gradient on a minibatch; in every round each method makes one step, in
random order; medians over rounds with quartiles.

    python benchmarks/bench_methods.py [--rounds 15] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from statistics import quantiles
from typing import Any

import torch

import separatrix as sx
from separatrix.dynamics import (
    SGD,
    Adam,
    Alternating,
    Competitive,
    Consensus,
    CurvatureClipped,
    Extragradient,
    ExtragradientPlus,
    JacobianRegularisation,
    Lookahead,
    Method,
    Optimistic,
    PastExtragradient,
    Proximal,
    Reflected,
    RungeKutta,
    Simultaneous,
    Stabilised,
    SymplecticAdjustment,
)
from separatrix.dynamics.live_step import LiveStep
from separatrix.probes.record import write_text
from separatrix.zoo import load

RESULTS = Path(__file__).parent / "results" / "methods.json"
ADAM = Adam(2e-4, (0.0, 0.99))
METHODS = {
    "simultaneous": Method(ADAM, Simultaneous()),
    "alternating": Method(ADAM, Alternating(("D", "G"))),
    "extragradient": Method(ADAM, Extragradient()),
    "extragradient plus": Method(ADAM, ExtragradientPlus()),
    "past extragradient": Method(ADAM, PastExtragradient()),
    "optimistic": Method(ADAM, Optimistic()),
    "reflected": Method(ADAM, Reflected()),
    "runge-kutta 2": Method(ADAM, RungeKutta(2)),
    "runge-kutta 4": Method(ADAM, RungeKutta(4)),
    "lookahead": Method(ADAM, Lookahead()),
    "stabilised": Method(ADAM, Stabilised()),
    "curvature clipped": Method(ADAM, CurvatureClipped()),
    "competitive (ACGD)": Method(ADAM, Competitive()),
    "proximal": Method(SGD(2e-4), Proximal()),
    "consensus": Method(ADAM, Simultaneous(), (Consensus(0.1),)),
    "symplectic adjustment": Method(ADAM, Simultaneous(), (SymplecticAdjustment(0.1),)),
    "Jacobian regularisation": Method(ADAM, Simultaneous(), (JacobianRegularisation(0.1),)),
}
Timed = Callable[[], Any]


def in_turns(contenders: dict[str, Timed], rounds: int) -> dict[str, list[float]]:
    """CPU-seconds of each contender, once a round, in random order."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    order, shuffle = list(contenders), random.Random(0)
    for _ in range(rounds):
        shuffle.shuffle(order)
        for name in order:
            begun = time.process_time()
            contenders[name]()
            seconds[name].append(time.process_time() - begun)
    return seconds


def spread(values: list[float]) -> list[float]:
    """Median, lower and upper quartile."""
    low, middle, high = quantiles(values, n=4)
    return [middle, low, high]


def costs(rounds: int) -> dict[str, Any]:
    """Every method's step on the digits GAN, after two steps."""
    contenders: dict[str, Timed] = {}
    stated: dict[str, list[float]] = {}
    for name, method in METHODS.items():
        problem = load("digits-gan")
        stepper, stream = LiveStep(problem.game), problem.minibatches(0)
        draws = method.scheme.draws(problem.game.players)
        held = {"states": method.init(stepper.field)[1]}
        stated[name] = []

        def step(name=name, method=method, stepper=stepper, stream=stream, draws=draws, held=held) -> None:  # type: ignore[no-untyped-def]
            held["states"], made = stepper.step(method, held["states"], list(islice(stream, draws)))
            stated[name].append(made.gradients)

        for _ in range(2):
            step()
        contenders[name] = step
    problem = load("digits-gan")
    live, batch = LiveStep(problem.game).field, next(iter(problem.minibatches(0)))

    def gradient() -> None:
        x = live.begin()
        live.batch = batch
        live.directions(x)

    gradient()
    contenders["gradient"] = gradient
    seconds = in_turns(contenders, rounds)
    unit = seconds["gradient"]
    return {
        name: {
            "gradients": spread(stated[name][2:]),
            "seconds": spread(seconds[name]),
            "times a gradient": spread([s / u for s, u in zip(seconds[name], unit, strict=True)]),
        }
        for name in METHODS
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    found = {"steps": costs(options.rounds)}
    versions = {"torch": torch.__version__, "python": platform.python_version(), "separatrix": sx.__version__}
    write_text(options.out, json.dumps({"results": found, "versions": versions, "threads": 1}, indent=1))
    for name, row in found["steps"].items():
        print(
            f"{name:26} {row['gradients'][0]:8.2f} gradients {1e3 * row['seconds'][0]:8.2f} ms {row['times a gradient'][0]:8.2f} times a gradient"
        )


if __name__ == "__main__":
    main()
