"""A step of ACGD beside the PyPI package ``cgds``, from the same points on the same batches, with the accuracy that both reach.

Zero-sum GANs with the value ``E softplus(-D(x)) + E softplus(D(G(z)))``: the networks of the digits GAN at three rates, and those of
the patch GAN at half width, whose layers are convolutions. In every round all contenders are set to the same weights, those of the
first one's run, and make one step, in random order, one thread, CPU time; each keeps its own moments, of the same gradients.

- ``separatrix``: asked for a residual of 1e-6.
- ``cgds, cold``: asked for the same (it squares its ``tol``), of its own system, from a start at zero; ``cgds, warm`` starts at its
  last solution, as it comes.
- ``separatrix, as accurate``: asked for the residual that ``cgds, cold`` has just reached, whatever it was.
- ``passes alone``: what the step of ``separatrix`` cannot do without: the loss, one backward pass that keeps its graph, and as many
  products by ``torch.autograd.grad`` as that step took. Nothing that makes these products can be faster.

The residual is that of the whole equation ``(I - S K) u = S v``, relative, computed in float64 at the same point for every contender.

    python benchmarks/bench_acgd.py [--rounds 15] [--out FILE]
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import random
import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import CGDs.acgd
import CGDs.cgd_utils
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

import separatrix as sx
from separatrix.dynamics.near import FieldNear
from separatrix.probes.record import write_text
from separatrix.zoo import load
from separatrix.zoo.digits import LATENT as DIGITS_LATENT
from separatrix.zoo.patch_gan import LATENT as PATCHES_LATENT

RESULTS = Path(__file__).parent / "results" / "acgd.json"
BETA, EPS, TOL = 0.99, 1e-5, 1e-6
Models = dict[str, nn.Module]
Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Case:
    """Networks, batches with latents, and a rate."""

    name: str
    lr: float
    models: Models
    batches: Sequence[Batch]


def cases() -> list[Case]:
    found = []
    for name, latent, rates, settings in (
        ("digits-gan", DIGITS_LATENT, (1e-4, 1e-3, 1e-2), {}),
        ("patch-gan", PATCHES_LATENT, (1e-3,), {"width": 8}),
    ):
        problem = load(name, **settings)
        generator = torch.Generator().manual_seed(0)
        real = list(islice(problem.minibatches(0), 40))
        batches = [(x, torch.randn(len(x), latent, generator=generator)) for x in real]
        found += [Case(name, lr, dict(problem.game.models), batches) for lr in rates]
    return found


def value(models: Any, batch: Batch) -> Tensor:
    """What D lowers and G raises."""
    x, z = batch
    return softplus(-models["D"](x)).mean() + softplus(models["D"](models["G"](z))).mean()


def flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([t.detach().reshape(-1) for t in tensors])


def parameters(models: Models) -> dict[str, list[Tensor]]:
    return {player: list(models[player].parameters()) for player in ("D", "G")}


class System:
    """``v`` and the products with the cross blocks at a point, by autograd alone: ``v = (-grad_D, grad_G)`` of the value."""

    def __init__(self, models: Models, batch: Batch) -> None:
        self.own = parameters(models)
        both = torch.autograd.grad(value(models, batch), self.own["D"] + self.own["G"], create_graph=True)
        self.grads = {"D": both[: len(self.own["D"])], "G": both[len(self.own["D"]) :]}

    def product(self, player: str, u: Tensor) -> Tensor:
        """How ``player``'s direction changes as the other one moves by ``u``."""
        other, sign = ("G", -1.0) if player == "D" else ("D", 1.0)
        pieces = [
            piece.view_as(p)
            for piece, p in zip(u.split([p.numel() for p in self.own[other]]), self.own[other], strict=True)
        ]
        return sign * flat(torch.autograd.grad(self.grads[other], self.own[player], pieces, retain_graph=True))

    def residual(self, scale: dict[str, Tensor], u: dict[str, Tensor]) -> float:
        d = {"D": -scale["D"] * flat(self.grads["D"]), "G": scale["G"] * flat(self.grads["G"])}
        left = [d[p] - u[p] + scale[p] * self.product(p, u["G" if p == "D" else "D"]) for p in ("D", "G")]
        return float(torch.cat(left).norm() / torch.cat([d["D"], d["G"]]).norm())


class Ours:
    """``sx.optim.ACGD``; what its last step solved is kept."""

    def __init__(self, case: Case) -> None:
        self.models = deepcopy(case.models)
        game = sx.Game({p: self.models[p] for p in ("D", "G")}, value)
        self.opt = sx.optim.ACGD(game, lr=case.lr, beta=BETA, eps=EPS, tol=TOL, max_products=2000)
        self.space, self.products = game.space, 0

    def step(self, batch: Batch) -> None:
        self.made = self.opt.step(batch)

    def solved(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        self.products = round(self.made.gradients - 1)  # a product of either player's is half of two gradients
        scale, u = SOLVED[-1]
        return tuple({p: self.space.take(t, p) for p in ("D", "G")} for t in (scale, u))  # type: ignore[return-value]


class Theirs:
    """``CGDs.ACGD``; their eps stands outside of the bias correction, so that its first steps are other ones."""

    def __init__(self, case: Case, *, warm: bool, eps: float = EPS) -> None:
        self.models, self.warm, self.lr, self.eps, self.products = deepcopy(case.models), warm, case.lr, eps, 0
        G, D = (self.models[p].parameters() for p in ("G", "D"))
        self.peer = CGDs.acgd.ACGD(G, D, lr_max=case.lr, lr_min=case.lr, beta=BETA, eps=eps, tol=TOL**2)

    def step(self, batch: Batch) -> None:
        if not self.warm:
            self.peer.state["old_max"] = self.peer.state["old_min"] = None
        self.peer.step(value(self.models, batch))

    def solved(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        state, self.products = self.peer.state, PRODUCTS[0]
        correction = (1 - BETA ** state["step"]) ** 0.5
        sizes = {"G": "max", "D": "min"}
        scale = {p: correction * self.lr / (state[f"sq_exp_avg_{side}"].sqrt() + self.eps) for p, side in sizes.items()}
        sign = {"G": 1.0, "D": -1.0}
        return scale, {p: sign[p] * state[f"old_{side}"] * scale[p].sqrt() for p, side in sizes.items()}


# What the solves were given and found, and how many products the peer has taken in this step.
SOLVED: list[tuple[Tensor, Tensor]] = []
PRODUCTS = [0]


def watch() -> None:
    """Look at our solves and count their products, from outside."""
    solve, hvp = FieldNear.solve, CGDs.cgd_utils.Hvp_vec

    def seen(self: FieldNear, d: Tensor, scale: Tensor, **settings: Any) -> tuple[Tensor, float]:
        u, residual = solve(self, d, scale, **settings)
        SOLVED[:] = [(scale, u)]
        return u, residual

    def counted(*args: Any, **settings: Any) -> Tensor:
        PRODUCTS[0] += 1
        found: Tensor = hvp(*args, **settings)
        return found

    FieldNear.solve = seen  # type: ignore[method-assign, assignment]
    CGDs.cgd_utils.Hvp_vec = CGDs.acgd.Hvp_vec = counted


def passes_alone(models: Models, batch: Batch, products: int) -> None:
    system = System(models, batch)
    u = {p: flat(system.own[p]) for p in ("D", "G")}
    for number in range(products):
        system.product(*(("D", u["G"]) if number % 2 == 0 else ("G", u["D"])))


def compare(case: Case, rounds: int) -> dict[str, Any]:
    first = {"separatrix": Ours(case), "cgds, cold": Theirs(case, warm=False), "cgds, warm": Theirs(case, warm=True)}
    second = {"separatrix, as accurate": Ours(case)}
    master, shuffle = first["separatrix"], random.Random(0)
    seconds: dict[str, list[float]] = {name: [] for name in (*first, *second, "passes alone")}
    residuals: dict[str, list[float]] = {name: [] for name in (*first, *second)}
    products: dict[str, list[int]] = {name: [] for name in (*first, *second)}
    for number in range(rounds + 2):  # two to warm up
        batch = case.batches[number % len(case.batches)]
        start = deepcopy(master.models)
        exact = System({p: deepcopy(m).double() for p, m in start.items()}, tuple(t.double() for t in batch))
        for group in (first, {**second, "passes alone": None}):
            for name in shuffle.sample(list(group), len(group)):
                contender = group[name]
                if contender is None:
                    begun = time.process_time()
                    passes_alone(start, batch, products["separatrix"][-1])
                    seconds[name].append(time.process_time() - begun)
                    continue
                with torch.no_grad():
                    for p in ("D", "G"):
                        contender.models[p].load_state_dict(start[p].state_dict())
                if name in second:
                    contender.opt.scheme = replace(contender.opt.scheme, tol=residuals["cgds, cold"][-1])
                PRODUCTS[0] = 0
                begun = time.process_time()
                contender.step(batch)
                seconds[name].append(time.process_time() - begun)
                scale, u = contender.solved()
                products[name].append(contender.products)
                residuals[name].append(
                    exact.residual(*({p: t.double() for p, t in part.items()} for part in (scale, u)))
                )
    return {
        "networks": case.name,
        "lr": case.lr,
        "gap of a first step": gap(case),
        "contenders": {
            name: {
                "seconds": spread(took[2:]),
                "times separatrix": spread([t / o for t, o in zip(took[2:], seconds["separatrix"][2:], strict=True)]),
                "times separatrix, as accurate": spread(
                    [t / o for t, o in zip(took[2:], seconds["separatrix, as accurate"][2:], strict=True)]
                ),
                **(
                    {
                        "products": spread(products[name][2:]),
                        "residual": [median(residuals[name][2:]), max(residuals[name][2:])],
                    }
                    if name in products
                    else {}
                ),
            }
            for name, took in seconds.items()
        },
    }


def gap(case: Case) -> float:
    """How far apart a first step is, with their eps such that it is the same system."""
    steps = []
    for contender in (Ours(case), Theirs(case, warm=False, eps=EPS * (1 - BETA) ** 0.5)):
        contender.step(case.batches[0])
        u = contender.solved()[1]
        steps.append(torch.cat([u["D"], u["G"]]))
    return float((steps[0] - steps[1]).norm() / steps[1].norm())


def spread(values: Sequence[float]) -> list[float]:
    """Median, lower and upper quartile."""
    low, middle, high = quantiles(values, n=4)
    return [middle, low, high]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    watch()
    versions = {"torch": torch.__version__, "python": platform.python_version(), "separatrix": sx.__version__}
    versions["cgds"] = importlib.metadata.version("cgds")
    results: list[dict[str, Any]] = []
    for case in cases():
        results.append(compare(case, options.rounds if case.name == "digits-gan" else max(4, options.rounds // 2)))
        write_text(options.out, json.dumps({"results": results, "versions": versions, "threads": 1}, indent=1))
        print(case.name, case.lr, f"gap {results[-1]['gap of a first step']:.0e}")
        for name, row in results[-1]["contenders"].items():
            told = (
                f"{row['products'][0]:5.0f} products, residual {row['residual'][0]:.1e}, at most {row['residual'][1]:.1e}"
                if "products" in row
                else ""
            )
            low, high = row["times separatrix"][1:]
            print(
                f"  {name:24} {1e3 * row['seconds'][0]:8.2f} ms, {row['times separatrix'][0]:.2f} ({low:.2f} to {high:.2f}) of separatrix, "
                f"{row['times separatrix, as accurate'][0]:.2f} of it as accurate  {told}",
                flush=True,
            )


if __name__ == "__main__":
    main()
