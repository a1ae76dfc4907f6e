"""GAN training stalls because its field's Jacobian has eigenvalues with zero real part and large imaginary part; consensus optimisation moves them left.

[mescheder2017, sections 3 to 5]

Checked: real parts at the equilibria of zero-sum games; how the largest safe step shrinks as rotation grows, against the formula;
how far consensus moves the numerical range of random games; where three methods end on the Dirac-GAN; and the modes that RMSProp
covers on the ring of eight Gaussians, networks and settings as in the paper, with and without consensus (gamma 10), after 20 000 of
its 50 000 steps.

Not reproduced: image GANs at the paper's size; patches of photographs at ours are a benchmark, docs/numerics_of_gans.md.

Paper and code: consensus is v - gamma v'^T v in the field's own metric, before RMSProp divides by its second moments, as in the
authors' code; so the theorem about the numerical range speaks of the bare field.

Runtime: smoke 3 s, full 10 min.
"""

from collections.abc import Mapping
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from separatrix.atlas import Outcome, Scale, Study, at_least, at_most
from separatrix.atlas.look import ACCENT, DECAY, GROW, INK, MUTED
from separatrix.dynamics import SGD, Alternating, Consensus, Method, Simultaneous, simulate, train
from separatrix.fields import FunctionField
from separatrix.zoo.gaussians import centres, eight_gaussians
from separatrix.zoo.toys import dirac_gan

STUDY = Study(
    key="mescheder2017",
    authors="Mescheder, Lars and Nowozin, Sebastian and Geiger, Andreas",
    title="The Numerics of GANs",
    venue="Advances in Neural Information Processing Systems",
    year=2017,
    arxiv="1705.10461",
    question="Why does GAN training fail to converge, and what does a step along the field's own squared norm do about it?",
    methods=("consensus optimisation", "simultaneous gradient descent", "alternating gradient descent", "RMSProp"),
    symptoms=("cycles", "mode collapse"),
    picture="Left: eigenvalues of a random zero-sum game without and with consensus. Middle: distance to the equilibrium of the Dirac-GAN. "
    "Right: samples on the ring of eight Gaussians.",
    size=(9.6, 3.0),
    seconds=1500.0,
)
STEP, GAMMA, ROTATIONS = 0.1, 10.0, (0.0, 1.0, 3.0, 10.0)
METHODS = {
    "simultaneous": Method(SGD(STEP), Simultaneous()),
    "alternating": Method(SGD(STEP), Alternating(("D", "G"))),
    "consensus": Method(SGD(STEP), Simultaneous(), (Consensus(GAMMA),)),
}


def run(scale: Scale) -> Outcome:
    pairs = [spectra(seed) for seed in scale.seeds(5, 50)]
    dirac = torch.linalg.eigvals(dirac_gan().game.on().jacobian(torch.zeros(2, dtype=torch.float64)).to_dense())
    paths = {name: distances(method, 500) for name, method in METHODS.items()}
    seeds, steps = scale.seeds(1, 3), scale.pick(10, 20_000)
    plain = [ring(seed, steps, consensus=False) for seed in seeds]
    helped = [ring(seed, steps, consensus=True) for seed in seeds]
    stuck, left = "Dirac-GAN, steps of 0.1: least distance left after 500 {} steps.", "The same with consensus."
    return Outcome(
        claims=(
            at_most(
                "Dirac-GAN: real over imaginary parts.",
                float(abs(dirac.real / dirac.imag).max()),
                1e-8,
                closed_form=True,
            ),
            at_most(
                "Random zero-sum games without own curvature: largest real part over the modulus.",
                max(float(p["plain"].real.abs().max() / p["plain"].abs().max()) for p in pairs),
                1e-10,
                closed_form=True,
            ),
            at_most(
                "Largest safe step off 2 |Re| / |lambda|^2, relative, where rotation is 0 to 10 times the contraction.",
                max(abs(largest_step(w) * (1 + w * w) / 2 - 1) for w in ROTATIONS),
                1e-4,
                closed_form=True,
            ),
            at_most(
                "Consensus: top of the symmetric part above -gamma sigma_min^2, over random zero-sum games.",
                max(p["excess"] for p in pairs),
                1e-10,
                closed_form=True,
            ),
            at_least(stuck.format("simultaneous"), min(paths["simultaneous"]), 0.9, closed_form=True),
            at_least(stuck.format("alternating"), min(paths["alternating"]), 0.9, closed_form=True),
            at_most(left, paths["consensus"][-1], 1e-3, closed_form=True),
            at_least("Eight Gaussians, consensus: modes covered.", [r["modes"] for r in helped], 8, over="every"),
            at_most("Eight Gaussians, RMSProp alone: modes covered.", [r["modes"] for r in plain], 2, over="every"),
        ),
        controls=(
            at_most("Without consensus: distance left on the Dirac-GAN.", paths["simultaneous"][-1], 1e-3),
            at_most("Without consensus: top of the symmetric part.", max(p["top"] for p in pairs), -1e-3),
            at_least("RMSProp alone covers all eight, too.", [r["modes"] for r in plain], 8, over="every"),
        ),
        figure={
            "plain": [[z.real, z.imag] for z in pairs[0]["plain"].tolist()],
            "moved": [[z.real, z.imag] for z in pairs[0]["moved"].tolist()],
            "paths": {name: path[::10] for name, path in paths.items()},
            "samples": {"alone": plain[0]["samples"], "with consensus": helped[0]["samples"]},
        },
        gradients=len(seeds) * steps * 4.0,
    )


def spectra(seed: int, n: int = 6, gamma: float = 1.0) -> dict[str, Any]:
    """Of ``f(x, y) = x^T B y`` for a random ``B``, without and with consensus, through the field's own products."""
    b = torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    start = torch.zeros(2 * n, dtype=torch.float64)
    field = FunctionField(lambda x: torch.cat([-b @ x[n:], b.T @ x[:n]]), start, players={"G": n, "D": n})
    plain, moved = field.jacobian().to_dense(), Consensus(gamma)(field).jacobian().to_dense()
    top = float(torch.linalg.eigvalsh((moved + moved.T) / 2).max())
    return {
        "plain": torch.linalg.eigvals(plain),
        "moved": torch.linalg.eigvals(moved),
        "top": float(torch.linalg.eigvalsh((plain + plain.T) / 2).max()),
        "excess": top + gamma * float(torch.linalg.svdvals(plain).min()) ** 2,
    }


def largest_step(rotation: float) -> float:
    """By bisection: up to which step does ``dz/dt = (-1 + i rotation) z`` shrink under simultaneous steps?"""
    matrix = torch.tensor([[-1.0, -rotation], [rotation, -1.0]], dtype=torch.float64)
    start = torch.tensor([1.0, 0.0], dtype=torch.float64)
    field = FunctionField(lambda x: matrix @ x, start)
    low, high = 0.0, 4.0
    while high - low > 1e-7:
        middle = (low + high) / 2
        end = simulate(Method(SGD(middle), Simultaneous()), field, steps=1, x=start)[0]
        low, high = (middle, high) if float(end.norm()) < 1 else (low, middle)
    return low


def distances(method: Method, steps: int) -> list[float]:
    """To the equilibrium of the Dirac-GAN, over that of the start."""
    start = torch.tensor([0.2, 0.2], dtype=torch.float64)
    path = simulate(method, dirac_gan().game.on(), steps=steps, x=start)[2]
    return [float(d) for d in path.norm(dim=1) / start.norm()]


def ring(seed: int, steps: int, *, consensus: bool) -> dict[str, Any]:
    """Modes covered and a few samples after training with RMSProp."""
    problem = eight_gaussians(seed=seed)
    assert problem.method is not None
    method = Method(problem.method.bases, Simultaneous(), (Consensus(GAMMA),)) if consensus else problem.method
    train(problem, steps, method=method, seed=seed, points=0, progress=False)
    assert problem.score is not None
    assert problem.samples is not None
    samples: Tensor = problem.samples(problem.game.models)[:150]
    return {"modes": problem.score(problem.game.models)["modes"], "samples": samples.tolist()}


def draw(figure: Figure, data: Mapping[str, Any]) -> None:
    left, middle, right = figure.subplots(1, 3)
    for key, marker, colour, name in (("plain", "x", GROW, "without"), ("moved", "o", DECAY, "with consensus")):
        left.plot([z[0] for z in data[key]], [z[1] for z in data[key]], marker, color=colour, ms=5, label=name)
    left.axvline(0, color=MUTED, lw=0.8)
    left.set(xlabel="real part", ylabel="imaginary part")
    left.legend()
    for (name, path), colour in zip(data["paths"].items(), (GROW, INK, DECAY), strict=True):
        middle.semilogy([10 * i for i in range(len(path))], path, color=colour, label=name)
    middle.set(xlabel="steps", ylabel="distance left")
    middle.legend()
    right.plot(*centres().T.tolist(), "+", color=INK, ms=12)
    for (name, points), colour in zip(data["samples"].items(), (GROW, ACCENT), strict=True):
        right.plot([p[0] for p in points], [p[1] for p in points], ".", ms=3, color=colour, label=name)
    right.set(aspect="equal", xlim=(-1.6, 1.6), ylim=(-1.6, 1.6))
    right.legend(loc="center")
