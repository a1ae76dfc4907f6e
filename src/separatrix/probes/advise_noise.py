"""What minibatch noise does to a method: the mean-square operator over sampled draws, and the floor that it leaves.

With draws ``z' = M_b z + n_b`` the mean follows ``m' = E[M_b] m + E[n_b]`` and the second moment ``X' = E[M_b X M_b^T] + E[M_b m n_b^T] +
E[n_b m^T M_b^T] + E[n_b n_b^T]``. Its growth is the spectral radius of ``X -> E[M X M^T]``, which no eigenvalue of the mean map tells:
noise that multiplies the field can make a method diverge whose mean contracts. Where it contracts, ``X`` goes to a floor. Draws are
those of the sample, each as likely. Where one draw is seen twice, as extragradient's may be, what it pushes leans on how it pulls,
and the mean rests beside the equilibrium.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as attribute
from itertools import islice, product
from math import inf, isfinite

import torch
from scipy.linalg import matrix_balance
from scipy.special import stdtrit
from torch import Tensor

from separatrix.dynamics import Problem
from separatrix.dynamics.linear_period import drawn_steps
from separatrix.dynamics.method import Method
from separatrix.fields import Field
from separatrix.probes.advise_range import Tried, counting
from separatrix.probes.reduced import Reduced
from separatrix.probes.second_moments import SecondMoments, Stage, at_rest, spectral_radius

# Combinations of draws of one step: all of them up to so many, else so many at random.
COMBINATIONS = 64
# Up to this size of the map the steps of a period are kept apart, each with all its draws; beyond, as many combinations of all of them.
APART_UP_TO = 24
# Groups of combinations for the jackknife; rounds that hold every draw once, at least.
GROUPS, FEWEST = 8, 4


@dataclass(frozen=True)
class Draws:
    """Sampled minibatches in the coordinates of a small model.

    Attributes:
        matrices: ``W^T P_b W``, ``(b, r, r)``.
        offsets: ``W^T D^(1/2) (v_b - v)`` about their mean, ``(b, r)``.
        outside: how much of the batches' deviations from the mean leads out of the model, a share of their size in ``[0, 1]``;
            what comes back from there is not seen.
        metric: ``W^T D W``, ``(r, r)``: turns second moments of the model into squared distances of the parameters.
        gradients: spent, of the batches' own size.
        terms: what each lazy term of the model adds to ``matrices`` and ``offsets``.
    """

    matrices: Tensor
    offsets: Tensor
    outside: float
    metric: Tensor
    gradients: float
    terms: Mapping[str, tuple[Tensor, Tensor]] = attribute(default_factory=dict)

    def __len__(self) -> int:
        return len(self.matrices)


def sample_draws(
    problem: Problem,
    method: Method,
    x: Tensor,
    scale: Tensor,
    decay: Tensor,
    reduced: Reduced,
    *,
    draws: int,
    seed: int,
) -> Draws:
    """Linearise the field on single minibatches.

    Args:
        problem: whose minibatches are drawn, each with a draw of its own for the noise in the losses.
        method: whose transforms are applied.
        x: the point.
        scale, decay: ``D``, and ``D`` times the coupled decay, ``(n,)``.
        reduced: the model of the mean.
        draws: how many; more than one.
        seed: of the minibatches.

    Cost: for each draw one gradient, the build of a Jacobian without self-tests, and a product for each row of ``W``; as
    much again for each lazy term.
    """
    root = scale.sqrt()
    space = problem.game.space
    rows = torch.zeros(reduced.space.n, space.n, dtype=x.dtype, device=x.device)
    at = 0
    for player, basis in reduced.basis.items():
        rows[at : at + len(basis), space.index(player)] = basis
        at += len(basis)
    pulled, pushes, spent = [], [], 0.0
    free: dict[str, list[tuple[Tensor, Tensor]]] = {term: [] for term in reduced.terms}

    def read(field: Field) -> tuple[Tensor, Tensor]:
        jacobian = field.jacobian(x, checks=False)
        pulled = (root * jacobian.T.rows(root * rows) - decay * rows).double().cpu()
        return pulled, (rows @ (root * field(x))).double().cpu()

    for number, batch in enumerate(islice(problem.minibatches(seed), draws)):
        field: Field = method.field(problem.game.on(batch, seed=seed + number))
        matrix, push = read(field)
        pulled.append(matrix)
        pushes.append(push)
        for term in free:
            without, still = read(field.weighted({term: 0.0}))
            free[term].append((matrix - without, push - still))
        spent += field.gradients + getattr(field, "inner", field).gradients * (
            field is not getattr(field, "inner", field)
        )
    W = rows.double().cpu()
    matrices = torch.stack([p @ W.T for p in pulled])
    deviations = torch.stack(pulled) - torch.stack(pulled).mean(0)
    inside = deviations @ W.T
    whole = float(deviations.square().sum())
    outside = max(0.0, 1 - float(inside.square().sum()) / whole) ** 0.5 if whole > 0 else 0.0
    offsets = torch.stack(pushes)
    metric = (W * scale.double().cpu()) @ W.T
    # The mean of the sample is shifted to the model's own, so that both speak of the same mean field.
    matrices = matrices - matrices.mean(0) + reduced.matrix
    terms = {}
    for term, parts in free.items():
        more, push = torch.stack([m @ W.T for m, _ in parts]), torch.stack([p for _, p in parts])
        terms[term] = more - more.mean(0) + reduced.terms[term], push - push.mean(0)
    return Draws(matrices, offsets - offsets.mean(0), outside, metric, spent, terms)


@dataclass(frozen=True)
class MeanSquare:
    """What noise does to a method at one step size.

    Attributes:
        growth: of ``E|z|^2`` per period; below 1 it contracts.
        error: of the eigenvalue, from its backward error and condition; where only some of the combinations of draws were tried,
            half of a 95% interval about all of them besides, from a jackknife. 0 where no floor was asked for.
        floor: root mean square distance of the parameters from rest that additive noise keeps up, within the model; infinite
            where ``growth`` is not below 1; ``None`` where it was not asked for.
        floor_residual: of the equation for the second moments, relative.
        floor_error: half of the same interval about the floor; infinite where some of the combinations without others grow.
    """

    growth: float
    error: float
    floor: float | None = None
    floor_residual: float = 0.0
    floor_error: float = 0.0


def mean_square(tried: Tried, draws: Draws, step: float, *, floor: bool = True, seed: int = 0) -> MeanSquare:
    """Growth of the second moment, and its floor. Cost: no gradients.

    Modes that do not count (:mod:`~separatrix.probes.advise_range`) are held still: the maps are read in the eigenvectors
    of the mean map that count.
    """
    stages, groups = _stages(tried, draws, step, seed)
    n, count = tried.reduced.space.n, stages[0][0].shape[-1]
    weight = torch.zeros(count, count, dtype=stages[0][0].dtype)
    weight[:n, :n] = draws.metric
    kept = counting(tried, step)
    if kept is not None:
        left, right = kept
        weight = right.T @ weight @ right
        stages[0] = stages[0][0] @ right, stages[0][1]
        stages[-1] = left @ stages[-1][0], stages[-1][1] @ left.T
    if not len(weight):
        return MeanSquare(0.0, 0.0, 0.0)
    stages, weight = _balanced(stages, weight)
    moments = SecondMoments([maps for maps, _ in stages])
    growth, error = spectral_radius(moments, judged=floor)
    if not floor:
        return MeanSquare(growth, error)
    length, residual = _floor(moments, stages, weight) if growth < 1 else (inf, 0.0)
    if not groups:
        return MeanSquare(growth, error, length, residual)
    found = []
    for group in groups:
        left_over = torch.ones(len(stages[0][0]), dtype=torch.bool)
        left_over[group] = False
        fewer = [(maps[left_over], pushes[left_over]) for maps, pushes in stages]
        moments = SecondMoments([maps for maps, _ in fewer])
        grown = spectral_radius(moments, judged=False)[0]
        found.append((grown, _floor(moments, fewer, weight)[0] if max(grown, growth) < 1 else inf))
    rates, lengths = zip(*found, strict=True)
    return MeanSquare(growth, error + half_interval(rates), length, residual, half_interval(lengths))


def half_interval(without: Sequence[float]) -> float:
    """Half of a 95% interval by the jackknife: from the estimates without one group each, by Student's t."""
    count, mean = len(without), sum(without) / len(without)
    if not isfinite(mean):
        return inf
    squares = sum((value - mean) ** 2 for value in without)
    return float(stdtrit(count - 1, 0.975) * ((count - 1) / count * squares) ** 0.5)


def _floor(moments: SecondMoments, stages: list[tuple[Tensor, Tensor]], weight: Tensor) -> tuple[float, float]:
    rest, residual = at_rest(moments, _added(stages))
    return max(0.0, float((weight * rest).sum())) ** 0.5, residual


def _stages(tried: Tried, draws: Draws, step: float, seed: int) -> tuple[list[tuple[Tensor, Tensor]], Sequence[Tensor]]:
    """The maps of each step of a period, ``(t, N, N)`` and ``(t, N)``; where only some combinations of draws are among them, groups of them.

    Steps draw independently of each other, so their combinations need not be listed; in large models the period is taken as
    one step, whose maps cost less.
    """
    scheme, space = tried.scheme, tried.reduced.space
    each, b = scheme.draws(space.players), len(draws)
    sampled = each > 1 and b**each > COMBINATIONS
    generator = torch.Generator().manual_seed(seed)
    if sampled:
        # Every draw equally often in every place, in random company.
        rounds = max(-(-COMBINATIONS // b), FEWEST)
        chosen = torch.stack(
            [torch.cat([torch.randperm(b, generator=generator) for _ in range(rounds)]) for _ in range(each)], 1
        )
    else:
        chosen = torch.tensor(list(product(range(b), repeat=each)))
    terms = {term: (more[chosen], push[chosen]) for term, (more, push) in draws.terms.items()}
    matrices, offsets = draws.matrices[chosen], draws.offsets[chosen]
    stages = drawn_steps(matrices, offsets, scheme, tried.at(step), space, terms=terms)
    if len(stages) == 1 or stages[0][0].shape[-1] <= APART_UP_TO:
        return stages, _groups(len(chosen), b) if sampled else ()
    maps, pushes = _picked(stages[0], generator)
    for stage in stages[1:]:
        more, push = _picked(stage, generator)
        maps, pushes = more @ maps, torch.einsum("tij,tj->ti", more, pushes) + push
    return [(maps, pushes)], _groups(len(maps), len(chosen))


def _groups(combinations: int, round_of: int) -> Sequence[Tensor]:
    """Numbers of combinations that are alike by chance: whole rounds, in which each is there once, where there are enough."""
    rounds = -(-combinations // round_of)
    if rounds < FEWEST:
        return torch.arange(combinations).tensor_split(GROUPS)
    each = torch.split(torch.arange(combinations), round_of)
    return [torch.cat([each[i] for i in part]) for part in torch.arange(rounds).tensor_split(min(GROUPS, rounds))]


def _picked(stage: tuple[Tensor, Tensor], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """As many of a step's maps as there are to be combinations, each equally often, in random order."""
    t = len(stage[0])
    places = torch.cat([torch.randperm(t, generator=generator) for _ in range(-(-COMBINATIONS // t))])[:COMBINATIONS]
    return stage[0][places], stage[1][places]


def _balanced(stages: list[tuple[Tensor, Tensor]], weight: Tensor) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
    """The same in units in which the mean map has rows and columns of like length: points and past directions have other sizes.

    The units are powers of two, so that nothing is rounded.
    """
    whole = torch.eye(len(weight), dtype=weight.dtype)
    for maps, _ in stages:
        whole = maps.mean(0) @ whole
    _, (units, _) = matrix_balance(whole.numpy(), permute=False, separate=True)
    d = torch.from_numpy(units).to(weight.dtype)
    found = list(stages)
    found[0] = found[0][0] * d, found[0][1]
    found[-1] = found[-1][0] / d[:, None], found[-1][1] / d
    return found, d[:, None] * weight * d


def _added(stages: list[tuple[Tensor, Tensor]]) -> Tensor:
    """What a period adds to the second moment where the mean is at rest, ``(n, n)``."""
    n = stages[0][0].shape[-1]
    whole, still = torch.eye(n, dtype=stages[0][0].dtype), stages[0][0].new_zeros(n)
    for maps, pushes in stages:
        whole, still = maps.mean(0) @ whole, maps.mean(0) @ still + pushes.mean(0)
    mean = torch.linalg.solve(torch.eye(n, dtype=whole.dtype) - whole, still)
    added = whole.new_zeros(n, n)
    for maps, pushes in stages:
        across = (maps @ mean).T @ pushes
        added = Stage(maps)(added) + (pushes.T @ pushes + across + across.T) / len(maps)
        mean = maps.mean(0) @ mean + pushes.mean(0)
    return added
