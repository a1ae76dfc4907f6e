"""What a step of each method costs, and a step of ACGD beside the PyPI package ``cgds`` at the same accuracy.

Steps: on the digits GAN, one thread. Stated gradient-equivalents beside CPU time over that of one gradient on a minibatch; in
every round each method makes one step, in random order; medians over rounds with quartiles.

ACGD: a zero-sum GAN of the digits GAN's networks, the value ``E softplus(-D(x)) + E softplus(D(G(z)))``. Both solve to a relative
residual of 1e-6 (``cgds`` squares its ``tol``), with the same rates and moments, from the same point on the same batches; both are
tried from a cold start, and ``cgds`` as it comes too, warm-started with its last solution. Without ``cgds`` this part is left out.

    python benchmarks/bench_methods.py [--rounds 15] [--out FILE]
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import random
import time
from collections.abc import Callable
from copy import deepcopy
from itertools import islice
from pathlib import Path
from statistics import quantiles
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

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
from separatrix.zoo.digits import LATENT

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


def zero_sum() -> tuple[dict[str, torch.nn.Module], Callable[[Any, Tensor], Tensor], list[Tensor]]:
    """Networks, the value that D lowers and G raises, and batches whose latents are part of them."""
    problem = load("digits-gan")
    generator = torch.Generator().manual_seed(0)
    real = list(islice(problem.minibatches(0), 40))
    batches = [torch.cat([x, torch.randn(len(x), LATENT, generator=generator)], 1) for x in real]

    def value(models: Any, batch: Tensor) -> Tensor:
        x, z = batch[:, :64], batch[:, 64:]
        return softplus(-models["D"](x)).mean() + softplus(models["D"](models["G"](z))).mean()

    return dict(problem.game.models), value, batches


def acgd(rounds: int, *, lr: float, beta: float = 0.99, eps: float = 1e-5) -> dict[str, Any]:
    """Steps of both, side by side, each on its own copy of the game; and how far apart a first step is."""
    from CGDs import ACGD as Peer

    models, value, batches = zero_sum()

    def ours() -> tuple[dict[str, torch.nn.Module], Callable[[Tensor], Any]]:
        own = deepcopy(models)
        game = sx.Game({"D": own["D"], "G": own["G"]}, value)
        return own, sx.optim.ACGD(game, lr=lr, beta=beta, eps=eps, tol=1e-6, max_products=2000).step

    def theirs(*, warm: bool) -> tuple[dict[str, torch.nn.Module], Callable[[Tensor], Any]]:
        own = deepcopy(models)
        peer = Peer(own["G"].parameters(), own["D"].parameters(), lr_max=lr, lr_min=lr, beta=beta, eps=eps, tol=1e-12)

        def step(batch: Tensor) -> int:
            if not warm:
                peer.state["old_max"] = peer.state["old_min"] = None
            peer.step(value(own, batch))
            return 0

        return own, step

    def point(own: dict[str, torch.nn.Module]) -> Tensor:
        return torch.cat([p.detach().reshape(-1) for name in ("D", "G") for p in own[name].parameters()])

    # Their eps stands outside of the bias correction: on the first step it is ten times ours.
    first, step = ours()
    before = point(first)
    probe = deepcopy(models)
    peer = Peer(
        probe["G"].parameters(),
        probe["D"].parameters(),
        lr_max=lr,
        lr_min=lr,
        beta=beta,
        eps=eps * (1 - beta) ** 0.5,
        tol=1e-12,
    )
    step(batches[0])
    peer.step(value(probe, batches[0]))
    moved, other = point(first) - before, point(probe) - before
    gap = float((moved - other).norm() / other.norm())

    runs = {"separatrix": ours()[1], "cgds, cold": theirs(warm=False)[1], "cgds, warm": theirs(warm=True)[1]}
    counters = dict.fromkeys(runs, 0)
    gradients: list[float] = []

    def next_step(name: str) -> None:
        batch = batches[counters[name] % len(batches)]
        counters[name] += 1
        made = runs[name](batch)
        if name == "separatrix":
            gradients.append(made.gradients)

    for name in runs:
        next_step(name)
    seconds = in_turns({name: lambda name=name: next_step(name) for name in runs}, rounds)
    return {
        "lr": lr,
        "gap of a first step": gap,
        "seconds": {name: spread(s) for name, s in seconds.items()},
        "gradients of separatrix": spread(gradients[1:]),
        "times faster": {
            name: spread([t / o for t, o in zip(seconds[name], seconds["separatrix"], strict=True)])
            for name in runs
            if name != "separatrix"
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    found: dict[str, Any] = {"steps": costs(options.rounds), "acgd": None}
    versions = {"torch": torch.__version__, "python": platform.python_version(), "separatrix": sx.__version__}
    try:
        versions["cgds"] = importlib.metadata.version("cgds")
        found["acgd"] = [acgd(options.rounds, lr=lr) for lr in (1e-4, 1e-3, 1e-2)]
    except (ImportError, importlib.metadata.PackageNotFoundError):
        print("cgds is not installed; the comparison is left out")
    write_text(options.out, json.dumps({"results": found, "versions": versions, "threads": 1}, indent=1))
    for name, row in found["steps"].items():
        print(
            f"{name:26} {row['gradients'][0]:8.2f} gradients {1e3 * row['seconds'][0]:8.2f} ms {row['times a gradient'][0]:8.2f} times a gradient"
        )
    print(json.dumps(found["acgd"], indent=1))


if __name__ == "__main__":
    main()
