"""The mean-square operator against closed forms and against simulated noise."""

from __future__ import annotations

import pytest
import torch

from separatrix.dynamics import (
    SGD,
    Alternating,
    Extragradient,
    Frozen,
    Lookahead,
    Method,
    Mode,
    Optimistic,
    RungeKutta,
    Simultaneous,
)
from separatrix.fields import Space
from separatrix.linalg import Dense
from separatrix.probes import advise, leading, reduce
from separatrix.probes.advise_noise import APART_UP_TO, Draws, mean_square
from separatrix.probes.advise_range import Tried
from separatrix.probes.second_moments import FORMED_UP_TO
from separatrix.zoo import load


def tried(matrix, sizes, scheme, mode: Mode | None = None) -> Tried:
    operator, space = Dense(matrix), Space.of_sizes(sizes)
    small = reduce(operator, space, leading(operator, k=2))
    return Tried(small, scheme, {p: Frozen(1.0, mode or Mode()) for p in sizes}, 1.0)


def draws(matrices, offsets) -> Draws:
    n = matrices.shape[-1]
    return Draws(matrices, offsets, 0.0, torch.eye(n, dtype=torch.float64), 0.0)


def two_factors() -> tuple[torch.Tensor, Draws]:
    """``f = b x y`` with ``b = 3`` or ``-1``, and no additive noise."""
    turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    return turn, draws(torch.stack([3 * turn, -turn]), torch.zeros(2, 2, dtype=torch.float64))


@pytest.mark.parametrize(("ahead", "step"), [(1.0, 0.1), (5.0, 0.06), (2.0, 0.2)])
@pytest.mark.parametrize("same", [True, False])
def test_extragradient_with_one_draw_or_two_has_its_closed_form(same: bool, ahead: float, step: float):
    turn, sampled = two_factors()
    found = mean_square(tried(turn, {"x": 1, "y": 1}, Extragradient(same_draw=same, ahead=ahead)), sampled, step)
    eta, gamma = step, ahead * step
    if same:
        wanted = 1 - 10 * eta * gamma + 41 * eta**2 * gamma**2 + 5 * eta**2
    else:
        wanted = 1 - 2 * eta * gamma + 25 * eta**2 * gamma**2 + 5 * eta**2
    assert found.growth == pytest.approx(wanted, rel=1e-12)


def test_a_mean_that_contracts_can_grow_in_mean_square():
    """Equal steps with two draws grow at every step size, though the mean contracts: no step is advised as contracting."""
    problem = load("noisy-bilinear")
    found = advise(
        problem,
        candidates={
            "fresh": Method(SGD(0.1), Extragradient(same_draw=False)),
            "same": Method(SGD(0.1), Extragradient()),
        },
        noise=40,
    )
    assert found["fresh"].steps.growth < 1
    assert found["fresh"].noise.growth > 1
    assert found["fresh"].noisy_high == 0
    assert "no step that was tried contracts in mean square" in found["fresh"].why
    assert found["same"].noise.growth < 1
    assert found["same"].noisy_high > 0
    assert found.outside == pytest.approx(0, abs=1e-6)


SCHEMES = {
    "extragradient, one draw": Extragradient(),
    "simultaneous": Simultaneous(),
    "alternating": Alternating(),
    "alternating, one draw": Alternating(fresh=False),
    "optimistic": Optimistic(),
    "lookahead": Lookahead(Simultaneous(), every=2),
}


@pytest.mark.parametrize("name", SCHEMES)
def test_growth_and_floor_agree_with_simulated_noise(name: str):
    """Second moments of many copies, stepped by the scheme's own code with fresh draws."""
    g = torch.Generator().manual_seed(3)
    scheme, sizes, step, copies = SCHEMES[name], {"a": 1, "b": 2}, 0.3, 20_000
    mean = torch.tensor([[-0.5, 1.0, 0.2], [-1.0, -0.6, 0.3], [-0.2, 0.1, -0.8]], dtype=torch.float64)
    noise = 0.5 * torch.randn(6, 3, 3, generator=g, dtype=torch.float64)
    push = torch.randn(6, 3, generator=g, dtype=torch.float64)
    matrices, push = mean + noise - noise.mean(0), push - push.mean(0)
    model = tried(mean, sizes, scheme)
    found = mean_square(model, draws(matrices, push), step)
    assert found.growth < 1
    # A copy a column; each copy its own draw for each evaluation.
    space = model.reduced.space
    x = torch.zeros(3, copies, dtype=torch.float64)
    base = {p: Frozen(step, Mode()) for p in sizes}
    state = {p: {} for p in sizes}
    if memory := scheme.memory(space, torch.zeros(3, dtype=torch.float64), settled=True):
        state[""] = {
            k: v[:, None].expand(-1, copies).clone() if isinstance(v, torch.Tensor) else v for k, v in memory.items()
        }
    squares, count = 0.0, 0
    for k in range(400):
        drawn: dict[int, torch.Tensor] = {}

        def evaluate(at, players, draw, drawn=drawn):
            index = drawn.setdefault(draw, torch.randint(6, (copies,), generator=g))
            v = torch.einsum("cij,jc->ic", matrices[index], at) + push[index].T
            return {p: space.take(v, p) for p in players}

        x, state = scheme.step(evaluate, base, space, x, state)
        if k >= 100 and (k + 1) % scheme.cycle == 0:
            squares, count = squares + float(x.square().sum(0).mean()), count + 1
    assert found.floor == pytest.approx((squares / count) ** 0.5, rel=0.02)


def test_the_power_method_agrees_with_the_formed_operator():
    g = torch.Generator().manual_seed(0)
    n = FORMED_UP_TO + 4
    mean = torch.randn(n, n, generator=g, dtype=torch.float64) / n**0.5 - 1.5 * torch.eye(n, dtype=torch.float64)
    noise = 0.1 * torch.randn(4, n, n, generator=g, dtype=torch.float64)
    matrices = mean + noise - noise.mean(0)
    push = torch.randn(4, n, generator=g, dtype=torch.float64)
    model = tried(mean, {"a": n // 2, "b": n - n // 2}, Simultaneous())
    found = mean_square(model, draws(matrices, push - push.mean(0)), 0.2)
    maps = torch.eye(n, dtype=torch.float64) + 0.2 * matrices
    formed = torch.einsum("tij,tkl->ikjl", maps, maps).reshape(n * n, n * n) / 4
    assert found.growth == pytest.approx(float(torch.linalg.eigvals(formed).abs().max()), rel=1e-4)
    assert found.error < 1e-3
    pushes = 0.2 * (push - push.mean(0))
    rest = torch.linalg.solve(
        torch.eye(n * n, dtype=torch.float64) - formed, torch.einsum("ti,tj->ij", pushes, pushes).reshape(-1) / 4
    )
    assert found.floor == pytest.approx(float(rest.reshape(n, n).trace()) ** 0.5, rel=1e-4)
    assert found.floor_residual < 1e-5


@pytest.mark.parametrize("scheme", [Extragradient(), RungeKutta(4), Alternating(fresh=False)])
def test_where_a_draw_is_seen_twice_the_mean_rests_beside_the_equilibrium(scheme):
    """What it pushes leans on how it pulls: ``E[n] != 0``. The second moment of ``(z, 1)``, solved as it stands."""
    g = torch.Generator().manual_seed(5)
    mean = torch.tensor([[-0.3, 1.0], [-1.0, -0.3]], dtype=torch.float64)
    matrices, push = (torch.randn(4, *shape, generator=g, dtype=torch.float64) for shape in ((2, 2), (2,)))
    matrices, push = mean + 0.5 * (matrices - matrices.mean(0)), push - push.mean(0)
    step, space = 0.3, Space.of_sizes({"a": 1, "b": 1})
    found = mean_square(tried(mean, {"a": 1, "b": 1}, scheme), draws(matrices, push), step)
    wide = []
    for A, c in zip(matrices, push, strict=True):
        M = torch.eye(3, dtype=torch.float64)

        def evaluate(at, players, draw, A=A, c=c):
            return {p: space.take(A @ at + c[:, None], p) for p in players}

        base, states = {p: Frozen(step, Mode()) for p in "ab"}, {"a": {}, "b": {}}
        points = torch.cat([torch.eye(2, dtype=torch.float64), torch.zeros(2, 1, dtype=torch.float64)], 1)
        after = scheme.step(evaluate, base, space, points, states)[0]
        M[:2, 2] = after[:, 2]
        M[:2, :2] = after[:, :2] - after[:, 2:]
        wide.append(torch.kron(M, M))
    whole = sum(wide) / 4
    moments = torch.linalg.solve(torch.eye(8, dtype=torch.float64) - whole[:8, :8], whole[:8, 8])
    assert found.floor == pytest.approx(float(moments[0] + moments[4]) ** 0.5, rel=1e-6)


def test_the_steps_of_a_period_draw_by_themselves():
    """Three draws in 8 places: 6561 combinations, against the product of the operators of single steps."""
    g = torch.Generator().manual_seed(1)
    mean = torch.tensor([[-0.1, 1.0], [-1.0, -0.1]], dtype=torch.float64)
    noise = torch.randn(3, 2, 2, generator=g, dtype=torch.float64)
    matrices, push = mean + 0.5 * (noise - noise.mean(0)), torch.zeros(3, 2, dtype=torch.float64)
    every, step = 8, 0.2
    found = mean_square(tried(mean, {"a": 1, "b": 1}, Lookahead(every=every)), draws(matrices, push), step)
    one = torch.eye(4, dtype=torch.float64)
    maps = one.repeat(3, 1, 1)
    maps[:, :2, :2] += step * matrices
    back = torch.tensor([[0.5, 0.5], [0.5, 0.5]], dtype=torch.float64).kron(torch.eye(2, dtype=torch.float64))
    steps = torch.linalg.matrix_power(sum(torch.kron(m, m) for m in maps) / 3, every)
    wanted = float(torch.linalg.eigvals(torch.kron(back, back) @ steps).abs().max())
    assert found.growth == pytest.approx(wanted, rel=1e-10)
    assert found.error < 1e-9


def test_combinations_that_were_not_tried_are_part_of_the_error():
    """Eight draws in four moves: 64 combinations of 4096, against the product of the operators of single moves."""
    g = torch.Generator().manual_seed(1)
    mean = torch.tensor([[-0.1, 1.0], [-1.0, -0.1]], dtype=torch.float64)
    noise = torch.randn(8, 2, 2, generator=g, dtype=torch.float64)
    matrices, push = mean + 0.5 * (noise - noise.mean(0)), torch.zeros(8, 2, dtype=torch.float64)
    found = mean_square(tried(mean, {"a": 1, "b": 1}, Alternating(repeats={"b": 3})), draws(matrices, push), 0.2)
    whole = torch.eye(4, dtype=torch.float64)
    for player in (0, 1, 1, 1):
        maps = torch.eye(2, dtype=torch.float64).repeat(8, 1, 1)
        maps[:, player] += 0.2 * matrices[:, player]
        whole = sum(torch.kron(m, m) for m in maps) / 8 @ whole
    wanted = float(torch.linalg.eigvals(whole).abs().max())
    assert 1e-6 < abs(found.growth - wanted) < 5 * found.error


def test_a_large_model_tries_combinations_of_the_steps_of_a_period():
    """28 numbers under lookahead: against the product of the operators of single steps, growth and floor."""
    g = torch.Generator().manual_seed(2)
    n, every, step = 14, 3, 0.2
    assert 2 * n > APART_UP_TO
    mean = torch.randn(n, n, generator=g, dtype=torch.float64) / n**0.5
    mean = mean - mean.T - 0.4 * torch.eye(n, dtype=torch.float64)
    noise = 0.6 * torch.randn(4, n, n, generator=g, dtype=torch.float64) / n**0.5
    matrices = mean + noise - noise.mean(0)
    push = torch.randn(4, n, generator=g, dtype=torch.float64)
    push = push - push.mean(0)
    scheme = Lookahead(every=every)
    found = mean_square(tried(mean, {"a": n // 2, "b": n // 2}, scheme), draws(matrices, push), step)
    one = torch.eye(2 * n, dtype=torch.float64)
    maps = one.repeat(4, 1, 1)
    maps[:, :n, :n] += step * matrices
    back = torch.full((2, 2), 0.5, dtype=torch.float64).kron(torch.eye(n, dtype=torch.float64))
    whole = sum(torch.kron(m, m) for m in maps) / 4
    added = torch.zeros(2 * n, 2 * n, dtype=torch.float64)
    added[:n, :n] = step**2 * push.T @ push / 4
    period, noise = torch.kron(back, back), added.reshape(-1)
    pushed = torch.zeros_like(noise)
    for _ in range(every):
        pushed = whole @ pushed + noise
    period, pushed = torch.kron(back, back) @ torch.linalg.matrix_power(whole, every), torch.kron(back, back) @ pushed
    growth = float(torch.linalg.eigvals(period).abs().max())
    rest = torch.linalg.solve(torch.eye(len(noise), dtype=torch.float64) - period, pushed).reshape(2 * n, 2 * n)
    assert abs(found.growth - growth) < 5 * found.error
    assert found.growth == pytest.approx(growth, rel=0.02)
    assert found.floor == pytest.approx(float(rest[:n, :n].trace()) ** 0.5, rel=0.05)
