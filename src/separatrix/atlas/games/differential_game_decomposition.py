"""A game splits into a part with a scalar potential, where gradient play finds an equilibrium, a part with a vector potential, where it recurs or diverges, and a part that moves nobody.

[zhou2024; monderer1996]

Checked: on random cubic games of two to four players, that the parts of both decompositions add up, that the scalar part's
Jacobian is symmetric and the vector part has no divergence; that what is a potential game is recognised as one; that gradient
play converges on potential games bounded below; and that on vector-potential games it does not, while the flow keeps volumes.

Not reproduced: the paper's inner product, of which only the abstract was at hand, and therefore its *near* parts.

Paper and code: *near* means orthogonal in a Gaussian weight here, an own choice; the *exact* parts are what the paper says. That
nothing converges is true but for starts on sets of volume zero.

Runtime: smoke 1 s, full 1 min.
"""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from separatrix.atlas import Outcome, Scale, Study, at_least, at_most
from separatrix.atlas.look import DECAY, GROW, INK
from separatrix.fields.polynomial_games import PolynomialGame, all_exponents, common_interest, random_polynomial_game
from separatrix.probes.decompose import decompose_polynomial_game

STUDY = Study(
    key="zhou2024",
    authors="Zhou, Nanxiang and Dong, Jing and Li, Yutian and Wang, Baoxiang",
    title="On the Decomposition of Differential Game",
    venue="arXiv",
    year=2024,
    arxiv="2411.03802",
    question="Which part of a differentiable game can gradient play solve, and which part keeps it turning?",
    methods=("Helmholtz decomposition", "gradient descent"),
    symptoms=("cycles", "not a gradient", "divergence"),
    picture="Left: gradient play on the scalar-potential part and on the vector-potential part of one random game, from the same "
    "starts. Right: share of the random games' squared length that has a potential, and that has no divergence.",
)
SHAPES = ({"x": 1, "y": 1}, {"x": 2, "y": 1}, {"a": 1, "b": 1, "c": 1}, {"a": 1, "b": 2, "c": 1, "d": 1})


def run(scale: Scale) -> Outcome:
    seeds = scale.seeds(1, 25)
    split = [
        decompose_polynomial_game(random_polynomial_game(shape, 3, seed=s))
        for shape in SHAPES[: scale.pick(3, 4)]
        for s in seeds
    ]
    wells = [well(shape, s) for shape in SHAPES[:3] for s in seeds]
    descents = [descend(game, start(game, 7), 0.01, scale.pick(300, 6000))[1] for game in wells]
    turning = [zero_sum(2, s) for s in seeds] + [d.vector for d in split if d.game.n <= 3]
    left = [settles(game, start(game, s), scale.pick(40, 2000)) for s, game in enumerate(turning)]
    volumes = [abs(volume(d.vector, start(d.vector, 3)) - 1) for d in split if d.game.n <= 3]
    disguised = [decompose_polynomial_game(disguise(game, s)).potentialness for s, game in enumerate(wells)]
    never = partial(at_most, over="every", closed_form=True)
    return Outcome(
        claims=(
            never("What is missing when the parts are added, relative.", [d.residual for d in split], 1e-10),
            never("Scalar part: asymmetry of its Jacobian, relative.", [asymmetry(d.scalar) for d in split], 1e-10),
            never("Vector part: divergence, relative to its Jacobian.", [divergence(d.vector) for d in split], 1e-8),
            never(
                "Potential games with terms that move nobody: share without a potential.",
                [1 - p for p in disguised],
                1e-10,
            ),
            at_most("Potential games bounded below: field left after gradient play.", descents, 1e-6, over="every"),
            at_most("Vector-potential games: runs of the flow that settle.", left, 0, over="every"),
            never("Vector part: how far the flow is from keeping volumes.", volumes, 1e-6),
        ),
        controls=(
            at_most("Whole games: asymmetry of the Jacobian.", [asymmetry(d.game) for d in split], 1e-10, over="every"),
            at_most(
                "Whole games: how far the flow is from keeping volumes.",
                [abs(volume(d.game, start(d.game, 3)) - 1) for d in split if d.game.n <= 3],
                1e-6,
                over="every",
            ),
            at_least(
                "Vector-potential games: runs of the flow that settle, as in potential games.", left, 1, over="every"
            ),
        ),
        figure={
            **portrait(),
            "shares": [[d.potentialness, d.divergence_free] for d in split],
        },
    )


def start(game: PolynomialGame, seed: int) -> Tensor:
    return 0.4 * torch.randn(game.n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def jacobian(game: PolynomialGame) -> Tensor:
    return game.field(start(game, 11)).jacobian(checks=False).to_dense()


def asymmetry(game: PolynomialGame) -> float:
    J = jacobian(game)
    return float((J - J.T).norm() / J.norm().clamp(min=1e-300))


def divergence(game: PolynomialGame) -> float:
    J = jacobian(game)
    return float(J.trace().abs() / J.norm().clamp(min=1e-300))


def well(shape: dict[str, int], seed: int) -> PolynomialGame:
    """Everybody minimises one random cubic plus the sum of fourth powers."""
    cubic = next(iter(random_polynomial_game({"all": sum(shape.values())}, 3, seed=seed).losses.values()))
    n = sum(shape.values())
    return common_interest({**cubic, **{tuple(4 * (i == j) for i in range(n)): 1.0 for j in range(n)}}, shape)


def disguise(game: PolynomialGame, seed: int) -> PolynomialGame:
    """Each loss gets terms in the others' coordinates only: still a potential game."""
    draws = torch.randn(200, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).tolist()
    losses = {}
    for player, loss in game.losses.items():
        own = game.coordinates(player)
        foreign = [e for e in all_exponents(game.n, 3) if not any(e[k] for k in own)]
        losses[player] = {**loss, **{e: loss.get(e, 0.0) + d for e, d in zip(foreign, draws, strict=False)}}
    return PolynomialGame(game.sizes, losses)


def zero_sum(n: int, seed: int) -> PolynomialGame:
    """f = x^T M y + b x + c y with a random matrix: no divergence, one rest point."""
    M = torch.randn(n + 1, n + 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    def unit(i: int, j: int) -> tuple[int, ...]:
        return tuple(int(k == i) + int(k == n + j) for k in range(2 * n))

    f = {unit(i if i < n else -1, j if j < n else n): float(M[i, j]) for i in range(n + 1) for j in range(n + 1)}
    return PolynomialGame({"x": n, "y": n}, {"x": f, "y": {e: -c for e, c in f.items()}})


def descend(game: PolynomialGame, x: Tensor, h: float, steps: int) -> tuple[Tensor, float]:
    v = game.field().function
    path = [x]
    for _ in range(steps):
        x = x + h * v(x)
        path.append(x)
    return torch.stack(path), float(v(x).norm())


def flow(game: PolynomialGame, x: Tensor, time: float, steps: int) -> list[Tensor]:
    """Runge-Kutta steps, stopped beyond a distance of 100."""
    v, h, path = game.field().function, time / steps, [x]
    for _ in range(steps):
        a = v(x)
        b = v(x + h / 2 * a)
        c = v(x + h / 2 * b)
        x = x + h / 6 * (a + 2 * b + 2 * c + v(x + h * c))
        path.append(x)
        if float(x.detach().abs().max()) > 100:
            break
    return path


def settles(game: PolynomialGame, x: Tensor, steps: int) -> bool:
    """Whether the flow ends at rest: its speed has fallen to a thousandth."""
    path = flow(game, x, 0.02 * steps, steps)
    v = game.field().function
    return bool(v(path[-1]).norm() < 1e-3 * v(x).norm())


def volume(game: PolynomialGame, x: Tensor) -> float:
    """Determinant of the flow's derivative after a short time."""
    speed = float(jacobian(game).norm())

    def moved(at: Tensor) -> Tensor:
        return flow(game, at, 0.3 / max(speed, 1e-9), 60)[-1]

    return float(torch.linalg.det(torch.func.jacfwd(moved)(x)))


def portrait() -> dict[str, Any]:
    found = decompose_polynomial_game(random_polynomial_game(SHAPES[0], 3, seed=4), scale=0.7)
    angles = [2 * math.pi * k / 6 for k in range(6)]
    starts = [torch.tensor([0.5 * math.cos(a), 0.5 * math.sin(a)], dtype=torch.float64) for a in angles]
    return {
        name: [[p.tolist() for p in flow(game, s, 3.0, 120) if float(p.abs().max()) < 3] for s in starts]
        for name, game in (("scalar", found.scalar), ("vector", found.vector))
    }


def draw(figure: Figure, data: Mapping[str, Any]) -> None:
    left, right = figure.subplots(1, 2)
    for name, colour in (("scalar", DECAY), ("vector", GROW)):
        for path in data[name]:
            left.plot(*zip(*path, strict=True), color=colour, lw=1.2, ls="-" if name == "scalar" else "--")
            left.plot(*path[0], "o", color=INK, ms=3)
        left.plot([], [], color=colour, ls="-" if name == "scalar" else "--", label=f"{name} part")
    left.set(xlabel="x", ylabel="y")
    left.legend(fontsize=7)
    right.plot([s[0] for s in data["shares"]], [s[1] for s in data["shares"]], "o", color=DECAY, ms=4)
    right.set(xlabel="share with a potential", ylabel="share without divergence", xlim=(0, 1), ylim=(0, 1))
