"""Theory models of GANs, small enough to know everything about. Float64; ``G`` and ``D`` minimise their losses; field sign throughout."""

from __future__ import annotations

from cmath import sqrt as root
from collections.abc import Iterator, Mapping, Sequence
from math import factorial, sqrt

import torch
from torch import Tensor

from separatrix.dynamics import SGD, Alternating, Fact, Method, Problem, Simultaneous
from separatrix.errors import InputError
from separatrix.fields import Game
from separatrix.zoo.limits import simultaneous_limit

TERMS = 12


def torus_gan(*, epsilon: float = 0.0) -> Problem:
    """``f = sin t sin w - epsilon cos 2t`` on the torus: ``G`` (``t``) minimises, ``D`` (``w``) maximises [gonzalezprieto2021].

    For ``epsilon = 0`` the flow conserves ``cos t cos w``: closed orbits around (0, 0), saddles at ``(+-pi/2, +-pi/2)``. A second
    harmonic makes the centre a spiral of rate ``2 epsilon``.

    Args:
        epsilon: of the second harmonic, from 0 to below 1/2.

    Raises:
        InputError: outside.
    """
    if not 0 <= epsilon < 0.5:
        raise InputError(f"epsilon must lie in [0, 1/2), got {epsilon}.")

    def losses(models: Mapping[str, Tensor], batch: None) -> dict[str, Tensor]:
        t, w = models["G"], models["D"]
        value = (torch.sin(t) * torch.sin(w) - epsilon * torch.cos(2 * t)).sum()
        return {"G": value, "D": -value}

    turn = sqrt(1 - 4 * epsilon**2)
    eigenvalues = [-2 * epsilon + 1j * turn, -2 * epsilon - 1j * turn]
    facts = [
        Fact("equilibrium", [0.0, 0.0], "both sines vanish"),
        Fact("eigenvalues", eigenvalues, "s^2 + 4 epsilon s + 1 = 0"),
        Fact("safe_step[simultaneous]", simultaneous_limit(eigenvalues), "2 |Re| / |.|^2 [mescheder2017, lemma 4]"),
    ]
    if not epsilon:
        facts.append(Fact("conserved", "cos t cos w", "t' = -cos t sin w, w' = sin t cos w"))
    return _problem("torus-gan", {"G": [1.0], "D": [0.5]}, losses, facts)


def variance_gan(*, s: float = 1.0, r1: float = 0.0) -> Problem:
    """``x = t z`` with normal ``z`` against data of standard deviation ``s``, ``D(x) = p x^2``: ``f = p (s^2 - t^2) - r1 p^2 / 2`` [zhang2022].

    Two solutions ``t = +-s``, ``p = 0``, which are centres of ``+-2 i s`` without the penalty; the flow then conserves
    ``s^2 ln|t| - t^2/2 - p^2``. With it there is a third equilibrium, a generator of no variance at ``p = s^2 / r1``, which repels.

    Args:
        s: positive.
        r1: weight of the penalty on ``p``, not negative.

    Raises:
        InputError: outside.
    """
    if not (s > 0 and r1 >= 0):
        raise InputError(f"s must be positive and r1 not negative, got s={s}, r1={r1}.")

    def losses(models: Mapping[str, Tensor], batch: None) -> dict[str, Tensor]:
        t, p = models["G"], models["D"]
        value = (p * (s**2 - t**2)).sum()
        return {"G": value, "D": -value + r1 / 2 * p.square().sum()}

    half = root(r1**2 / 4 - 4 * s**2)
    eigenvalues = [-r1 / 2 + half, -r1 / 2 - half]
    facts = [
        Fact("equilibrium", [s, 0.0], "the other one is (-s, 0)"),
        Fact("eigenvalues", eigenvalues, "v' = [[0, 2 s], [-2 s, -r1]]"),
        Fact("safe_step[simultaneous]", simultaneous_limit(eigenvalues), "2 |Re| / |.|^2 [mescheder2017, lemma 4]"),
    ]
    if r1:
        facts.append(Fact("repelling_equilibrium", [0.0, s**2 / r1], "eigenvalues 2 s^2 / r1 and -r1"))
    else:
        facts.append(Fact("conserved", "s^2 ln|t| - t^2/2 - p^2", "t' = 2 p t, p' = s^2 - t^2"))
    return _problem("variance-gan", {"G": [1.2 * s], "D": [0.3]}, losses, facts)


def covariance_gan(*, variances: Sequence[float] = (4.0, 1.0, 0.25)) -> Problem:
    """``f = <W, S - V V^T>``: a linear generator ``V`` against all quadratic discriminators ``W``, ``S`` a diagonal covariance [daskalakis2018].

    Solutions ``V V^T = S``, ``W = 0``, a manifold of rotations. At ``V = S^(1/2)`` the eigenvalues are ``+-i`` times the singular
    values of ``dV -> V dV^T + dV V^T``: ``2 sqrt(s_i)`` and ``sqrt(2 (s_i + s_j))``, and ``d (d - 1)`` zeros (rotations of ``V``,
    antisymmetric ``W``).

    Args:
        variances: the diagonal of ``S``, positive.

    Raises:
        InputError: none, or one that is not positive.
    """
    values = [float(v) for v in variances]
    if not values or min(values) <= 0:
        raise InputError(f"variances must be positive, got {values}.")
    target = torch.diag(torch.tensor(values, dtype=torch.float64))

    def losses(models: Mapping[str, Tensor], batch: None) -> dict[str, Tensor]:
        V, W = models["G"], models["D"]
        value = (W * (target.to(V) - V @ V.T)).sum()
        return {"G": value, "D": -value}

    d = len(values)
    turns = [2 * sqrt(v) for v in values]
    turns += [sqrt(2 * (values[i] + values[j])) for i in range(d) for j in range(i)]
    eigenvalues = [sign * 1j * turn for turn in turns for sign in (1, -1)] + [0j] * (d * (d - 1))
    solution = [*target.sqrt().flatten().tolist(), *[0.0] * d**2]
    facts = [
        Fact("equilibrium", solution, "one of V V^T = S, W = 0"),
        Fact("eigenvalues", eigenvalues, "singular values of dV -> V dV^T + dV V^T"),
    ]
    generator = torch.Generator().manual_seed(0)
    start = target.sqrt() + 0.1 * torch.randn(d, d, generator=generator, dtype=torch.float64)
    return _problem("covariance-gan", {"G": start, "D": torch.zeros(d, d, dtype=torch.float64)}, losses, facts)


def isolated_points(
    *, p: float = 1.0, q: float = 1.0, decay: float = 0.5, width: float = 1.0, rate: float = 1.0
) -> Problem:
    """A true point of mass ``p`` at 0, a generated point of mass ``q`` at ``u``, and a kernel discriminator, after [becker2022].

    ``f_t = p k(0, .) - q k(u, .) - decay f`` with ``k(x, y) = exp(-(x - y)^2 / (2 width^2))``, and ``u_t = rate f'(u)``. The kernel's space is
    spanned by ``exp(-x^2 / (2 width^2)) (x / width)^n / sqrt(n!)``, of which 12 are kept: more than enough near 0, and the
    linearisation is exact. ``D`` holds their coefficients.

    At ``u = 0`` it stands still with ``f = (p - q) / decay k(0, .)``. In ``(u, f'(0))``:
    ``v' = [[-rate (p - q) / (decay width^2), rate], [-q / width^2, -decay]]``, whose determinant ``rate p / width^2`` is positive. So the point
    is held, and a surplus ``q - p`` of generated mass with it, exactly up to ``q - p = decay^2 width^2 / rate``: more regularisation,
    or a wider kernel, make approximate collapse easier. Without decay it is never held.

    Args:
        p, q: masses, positive.
        decay: of the discriminator (its regularisation), positive.
        width: of the kernel, positive.
        rate: of the generator; the discriminator's is 1. Positive.

    Raises:
        InputError: a number that is not positive.
    """
    given = {"p": p, "q": q, "decay": decay, "width": width, "rate": rate}
    if wrong := {name: value for name, value in given.items() if not value > 0}:
        raise InputError(f"masses, decay, width and rate must be positive, got {wrong}.")
    scale = torch.tensor([sqrt(factorial(n)) for n in range(TERMS)], dtype=torch.float64)

    def features(x: Tensor) -> Tensor:
        z = x / width
        powers = [torch.ones_like(z)]  # one after the other: z ** n has no second derivative at 0 in torch
        for _ in range(TERMS - 1):
            powers.append(powers[-1] * z)
        return torch.exp(-z * z / 2) * torch.cat(powers) / scale.to(x)

    def losses(models: Mapping[str, Tensor], batch: None) -> dict[str, Tensor]:
        u, w = models["G"], models["D"]
        here, there = features(torch.zeros_like(u)), features(u)
        return {"G": -rate * (w @ there), "D": q * (w @ there) - p * (w @ here) + decay / 2 * w.square().sum()}

    middle = -(rate * (p - q) / (decay * width**2) + decay) / 2
    half = root(middle**2 - rate * p / width**2)
    eigenvalues = [middle + half, middle - half, *[-decay] * (TERMS - 1)]
    facts = [
        Fact("equilibrium", [0.0, (p - q) / decay, *[0.0] * (TERMS - 1)], "f = (p - q) / decay k(0, .)"),
        Fact("eigenvalues", eigenvalues, "the block of u and f'(0); the other coefficients decay"),
        Fact("largest_surplus", decay**2 * width**2 / rate, "the trace of the block changes its sign"),
        Fact("safe_step[simultaneous]", simultaneous_limit(eigenvalues), "2 |Re| / |.|^2 [mescheder2017, lemma 4]"),
    ]
    return _problem("isolated-points", {"G": [0.3], "D": [0.0] * TERMS}, losses, facts)


def noisy_bilinear() -> Problem:
    """``f = b x y``, where a minibatch sees ``b = 3`` or ``b = -1``, each half of the time: mean 1, mean square 5 [hsieh2020].

    On average the bilinear game. Extragradient with look-ahead ``gamma`` and step ``eta`` multiplies ``E |z|^2`` by
    ``1 - 2 eta gamma + 25 eta^2 gamma^2 + 5 eta^2`` with a fresh draw at each call, which for ``eta = gamma`` never contracts, and by
    ``1 - 10 eta gamma + 41 eta^2 gamma^2 + 5 eta^2`` with one draw for both.
    """

    def losses(models: Mapping[str, Tensor], b: Tensor) -> dict[str, Tensor]:
        value = b.mean() * (models["x"] * models["y"]).sum()
        return {"x": value, "y": -value}

    def stream(seed: int) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(seed)
        while True:
            yield torch.where(torch.rand(1, generator=generator) < 0.5, 3.0, -1.0).double()

    start = {name: torch.ones(1, dtype=torch.float64) for name in ("x", "y")}
    mean_square = "E |z|^2 after a step over E |z|^2 before, step eta = look-ahead gamma = 0.1"
    fresh, same = 1 - 0.02 + 0.0025 + 0.05, 1 - 0.1 + 0.0041 + 0.05
    return Problem(
        Game(start, losses, name="noisy-bilinear"),
        name="noisy-bilinear",
        data=torch.tensor([3.0, -1.0], dtype=torch.float64),
        stream=stream,
        method=Method(SGD(0.1), Simultaneous()),
        facts=(
            Fact("equilibrium", [0.0, 0.0], "for every b"),
            Fact("eigenvalues", [1j, -1j], "of the mean game"),
            Fact("mean_square[simultaneous]", 1 + 0.05, "1 + 5 h^2 at h = 0.1"),
            Fact("mean_square[extragradient, fresh]", fresh, mean_square),
            Fact("mean_square[extragradient, same draw]", same, mean_square),
        ),
    )


def _problem(
    name: str, start: Mapping[str, Sequence[float] | Tensor], losses: object, facts: Sequence[Fact]
) -> Problem:
    players = {player: torch.as_tensor(value, dtype=torch.float64) for player, value in start.items()}
    return Problem(
        Game(players, losses, name=name),  # type: ignore[arg-type]
        name=name,
        method=Method(SGD(0.05), Alternating(("D", "G"))),
        facts=tuple(facts),
    )
