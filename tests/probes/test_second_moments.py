"""Growth of second moments where eigenvectors are nearly parallel or rotations nearly as large; intervals from sampled combinations."""

from __future__ import annotations

from math import cos, isfinite, sin

import pytest
import torch

from separatrix.dynamics import Alternating, Frozen, Mode
from separatrix.fields import Space
from separatrix.linalg import Dense
from separatrix.probes import leading, reduce
from separatrix.probes.advise_noise import Draws, mean_square
from separatrix.probes.advise_range import Tried
from separatrix.probes.second_moments import FORMED_UP_TO, SecondMoments, spectral_radius


def rotated(matrix: torch.Tensor, seed: int) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    q = torch.linalg.qr(torch.randn(len(matrix), len(matrix), generator=g, dtype=torch.float64))[0]
    return q @ matrix @ q.T


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("gap", [0.0, 1e-12, 1e-8, 1e-4])
@pytest.mark.parametrize("coupling", [1.0, 100.0])
def test_the_error_holds_where_eigenvectors_are_nearly_parallel(n: int, gap: float, coupling: float):
    """One map with eigenvalues 0.9, 0.9 - gap, ...; its second moments grow by 0.81, and a rounding moves that by a root of itself."""
    matrix = torch.diag(0.9 - gap * torch.arange(n, dtype=torch.float64))
    matrix += coupling * torch.diag(torch.ones(n - 1, dtype=torch.float64), 1)
    growth, error = spectral_radius(SecondMoments([rotated(matrix, n)[None]]))
    assert abs(growth - 0.81) <= error


def test_the_error_is_small_where_the_eigenvectors_are_apart():
    growth, error = spectral_radius(
        SecondMoments([rotated(torch.tensor([0.9, 0.5, 0.2], dtype=torch.float64).diag(), 1)[None]])
    )
    assert abs(growth - 0.81) <= error < 1e-13


@pytest.mark.parametrize("seed", range(3))
def test_a_rotation_that_is_nearly_as_large_is_not_taken_for_the_growth(seed: int):
    """Every pair of multipliers has one combination that does not turn and two of nearly the same size that do; coordinates differ in size."""
    g = torch.Generator().manual_seed(seed)
    n = FORMED_UP_TO + 2
    turns = [torch.tensor([[cos(a), -sin(a)], [sin(a), cos(a)]], dtype=torch.float64) for a in (0.3, 0.9, 1.3, 2.0)]
    base = torch.block_diag(*(0.9 * turn for turn in turns), 0.5 * torch.eye(n - 8, dtype=torch.float64))
    units = 30 ** torch.linspace(-1, 1, n, dtype=torch.float64)[torch.randperm(n, generator=g)]
    noise = 0.005 * torch.randn(8, n, n, generator=g, dtype=torch.float64) / n**0.5
    maps = units[:, None] * (base + noise - noise.mean(0)) / units
    whole = torch.einsum("tij,tkl->ikjl", maps, maps).reshape(n * n, n * n) / len(maps)
    growth, error = spectral_radius(SecondMoments([maps]))
    assert abs(growth - float(torch.linalg.eigvals(whole).abs().max())) <= error < 0.2 * growth


def test_the_intervals_about_sampled_combinations_cover_what_all_of_them_give():
    """Eight draws in three moves, 64 combinations of 512, against the product of the operators of the moves: 95% intervals."""
    covered = []
    for seed in range(60):
        g = torch.Generator().manual_seed(seed)
        mean = torch.randn(3, 3, generator=g, dtype=torch.float64)
        mean = (mean - mean.T) / 2 - 0.3 * torch.eye(3, dtype=torch.float64)
        noise = 1.2 * torch.rand((), generator=g) * torch.randn(8, 3, 3, generator=g, dtype=torch.float64)
        push = torch.randn(8, 3, generator=g, dtype=torch.float64)
        matrices, push, step = mean + noise - noise.mean(0), push - push.mean(0), 0.2
        small = reduce(Dense(mean), Space.of_sizes({"a": 1, "b": 2}), leading(Dense(mean), k=2))
        tried = Tried(small, Alternating(repeats={"b": 2}), {p: Frozen(1.0, Mode()) for p in "ab"}, 1.0)
        draws = Draws(matrices, push, 0.0, torch.eye(3, dtype=torch.float64), 0.0)
        found = mean_square(tried, draws, step, seed=seed)
        whole, added = torch.eye(9, dtype=torch.float64), torch.zeros(9, dtype=torch.float64)
        for moving in (torch.tensor([1.0, 0, 0]), torch.tensor([0, 1.0, 1.0]), torch.tensor([0, 1.0, 1.0])):
            maps = torch.eye(3, dtype=torch.float64) + step * moving[:, None] * matrices
            pushes = step * moving * push
            one = torch.einsum("tij,tkl->ikjl", maps, maps).reshape(9, 9) / 8
            whole, added = one @ whole, one @ added + (pushes.T @ pushes / 8).reshape(-1)
        growth = float(torch.linalg.eigvals(whole).abs().max())
        if growth > 0.98 or not isfinite(found.floor):
            continue
        rest = torch.linalg.solve(torch.eye(9, dtype=torch.float64) - whole, added)
        floor = float(rest.reshape(3, 3).trace()) ** 0.5
        covered.append((abs(found.growth - growth) <= found.error, abs(found.floor - floor) <= found.floor_error))
    assert len(covered) >= 30
    for kind in zip(*covered, strict=True):
        assert sum(kind) >= 0.85 * len(covered)
