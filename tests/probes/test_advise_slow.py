"""Modes that are too slow to count, and spaces parted without a basis of eigenvectors."""

from __future__ import annotations

import pytest
import torch

from separatrix.dynamics import Extragradient, Frozen, Lookahead, Mode, Reflected, RungeKutta, Simultaneous
from separatrix.fields import FunctionField, Space
from separatrix.linalg import Dense
from separatrix.probes import advise, leading, reduce
from separatrix.probes.advise_noise import Draws, mean_square
from separatrix.probes.advise_range import Tried, safe_steps
from separatrix.probes.advise_slow import parted
from separatrix.probes.advise_transient import transient

# On the negative axis where the multiplier comes by 1 once more.
RK4_LIMIT = 2.785293563405282


def tried(matrix, sizes, scheme, neutral=0) -> Tried:
    matrix = torch.as_tensor(matrix, dtype=torch.float64)
    operator, space = Dense(matrix), Space.of_sizes(sizes)
    small = reduce(operator, space, leading(operator, k=3))
    return Tried(small, scheme, {p: Frozen(1.0, Mode()) for p in sizes}, 1.0, neutral)


@pytest.mark.parametrize(
    ("scheme", "limit"), [(Extragradient(), 1.0), (RungeKutta(2), 2.0), (RungeKutta(4), RK4_LIMIT)]
)
@pytest.mark.parametrize("slow", [-9e-4, -1e-9, 0.0, 1e-9, 5e-4])
def test_a_slow_mode_is_not_confused_with_a_fast_one_whose_multiplier_comes_by_one(scheme, limit: float, slow: float):
    """Of whichever sign: a slow mode that grows, if only by rounding, is left out once and not twice."""
    found = safe_steps(tried([[-1.0, 0.0], [0.0, slow]], {"G": 1, "D": 1}, scheme, neutral=1))
    alone = safe_steps(tried([[-1.0]], {"G": 1}, scheme))
    assert found.high == pytest.approx(limit, rel=3e-6)
    assert found.growth == pytest.approx(alone.growth, abs=1e-6)


def test_slow_modes_that_are_not_resolved_take_no_other_with_them():
    """Three pairs that damp at a rate of their own, and many slow coordinates of which the model holds a few, unresolved."""
    g = torch.Generator().manual_seed(0)
    k, fast = 30, 3
    left, right = (torch.linalg.qr(torch.randn(k, k, generator=g, dtype=torch.float64))[0] for _ in range(2))
    coupling, decay = torch.full((k,), 3e-4, dtype=torch.float64), torch.zeros(k, dtype=torch.float64)
    coupling[:fast], decay[:fast] = torch.tensor([0.9, 0.6, 0.3]), torch.tensor([0.2, 0.1, 0.05])
    mixed = 1e-4 * torch.randn(2 * k, 2 * k, generator=g, dtype=torch.float64)
    across, own = left @ coupling.diag() @ right.T, right @ decay.diag() @ right.T
    matrix = torch.cat([torch.cat([0 * across, across], 1), torch.cat([-across.T, -own], 1)]) + mixed
    model = tried(matrix, {"G": k, "D": k}, Simultaneous())
    rates = torch.linalg.eigvals(model.reduced.matrix)
    slow = int((rates.abs() < 2e-3).sum())
    assert slow > 2, "the model holds slow directions"
    found = safe_steps(Tried(model.reduced, model.scheme, model.bases, 1.0, slow))
    counting = torch.linalg.eigvals(matrix)
    counting = counting[counting.abs() > 0.1]
    assert len(counting) == 2 * fast
    growth = (1 + found.best * counting).abs().max()
    assert found.growth == pytest.approx(float(growth), abs=1e-5)


def jordan(size: int) -> torch.Tensor:
    return torch.diag(torch.ones(size - 1, dtype=torch.float64), 1) - torch.eye(size, dtype=torch.float64)


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("turned", [False, True])
def test_second_moments_need_no_basis_of_eigenvectors(size: int, turned: bool):
    """Equal rates of players of whom one does not see the other, beside a coordinate that nothing moves."""
    g = torch.Generator().manual_seed(1)
    n, step = size + 1, 0.3
    matrix = torch.zeros(n, n, dtype=torch.float64)
    matrix[:size, :size] = jordan(size)
    matrix[:size, size] = 0.3
    basis = torch.linalg.qr(torch.randn(n, n, generator=g, dtype=torch.float64))[0] if turned else torch.eye(n).double()
    matrix = basis @ matrix @ basis.T
    noise = 0.05 * torch.randn(4, n, n, generator=g, dtype=torch.float64)
    push = torch.randn(4, n, generator=g, dtype=torch.float64)
    matrices, push = matrix + noise - noise.mean(0), push - push.mean(0)
    model = tried(matrix, {"G": 1, "D": n - 1}, Simultaneous(), neutral=1)
    found = mean_square(model, Draws(matrices, push, 0.0, torch.eye(n).double(), 0.0), step)
    # By hand: columns e_1 .. e_size, and rows that vanish on the coordinate at rest, (-A^-1 a, 1).
    right = basis[:, :size]
    at_rest = torch.linalg.solve(jordan(size), torch.full((size, 1), -0.3).double())
    left = torch.cat([torch.eye(size).double(), -at_rest], 1) @ basis.T
    maps, pushes = left @ (torch.eye(n).double() + step * matrices) @ right, step * push @ left.T
    formed = sum(torch.kron(m, m) for m in maps) / 4
    assert found.growth == pytest.approx(float(torch.linalg.eigvals(formed).abs().max()), rel=1e-7)
    rest = torch.linalg.solve(torch.eye(size**2).double() - formed, (pushes.T @ pushes / 4).reshape(-1))
    assert found.floor == pytest.approx(float(rest.reshape(size, size).trace()) ** 0.5, rel=1e-5)
    powers = [torch.linalg.matrix_power(torch.eye(size).double() + step * jordan(size), k) for k in range(64)]
    wanted = max(float(torch.linalg.matrix_norm(p, 2)) for p in powers)
    assert transient(model, step, steps=63).value == pytest.approx(wanted, rel=1e-10)


def test_rows_and_columns_are_dual_and_invariant():
    g = torch.Generator().manual_seed(2)
    for n in range(2, 12):
        matrix = torch.randn(n, n, generator=g, dtype=torch.float64)
        values = torch.linalg.eigvals(matrix)
        ordered = values[values.abs().argsort(descending=True)]
        rows, columns = parted(matrix, ordered[: n // 2])
        k = len(rows)
        assert k - n // 2 in (0, 1), "at most the other half of a pair more"
        inside = rows @ matrix @ columns
        torch.testing.assert_close(rows @ columns, torch.eye(k).double(), atol=1e-10, rtol=0)
        torch.testing.assert_close(rows @ matrix, inside @ rows, atol=1e-9, rtol=1e-9)
        torch.testing.assert_close(matrix @ columns, columns @ inside, atol=1e-9, rtol=1e-9)
        torch.testing.assert_close(
            torch.linalg.eigvals(inside).abs().sort().values, ordered[:k].abs().sort().values, atol=1e-9, rtol=1e-9
        )
    rows, columns = parted(matrix, ordered[:0])
    assert rows.shape == (0, n)
    assert columns.shape == (n, 0)


@pytest.mark.parametrize("slow", [5e-4, 1e-8])
def test_a_slow_mode_that_grows_is_named_once_and_is_no_mode_that_settles(slow: float):
    rates = torch.tensor([-1.0, -0.3, slow], dtype=torch.float64)
    field = FunctionField(lambda x: rates * x, torch.zeros(3, dtype=torch.float64), players={"G": 2, "D": 1})
    found = advise(field, remaining=1000)
    assert (found.growing, found.neutral) == (0, 1)
    row = found["simultaneous, no momentum"]
    # 1 - s and 1 - 0.3 s: best where they are as large.
    assert row.steps.best == pytest.approx(2 / 1.3, rel=1e-3)
    assert row.steps.growth == pytest.approx(0.7 / 1.3, abs=1e-3)
    assert not row.attracts
    assert "the flow itself leaves" not in row.why


def test_a_transient_starts_with_the_memories_of_the_point_at_the_point():
    """Lookahead's slow copy and reflection's last point stand where the players start, not at rest; it grows within its rounds."""
    g = torch.Generator().manual_seed(3)
    one = torch.eye(4, dtype=torch.float64)
    for _ in range(4):
        turn = torch.randn(4, 4, generator=g, dtype=torch.float64)
        matrix = turn - turn.T - 0.1 * one + torch.randn(4, 4, generator=g, dtype=torch.float64).triu(1)
        rates = torch.linalg.eigvals(matrix)
        matrix = matrix - max(0.0, float(rates.real.max()) + 0.05) * one
        step = 0.5 / float(torch.linalg.eigvals(matrix).abs().max())
        period = 0.5 * one + 0.5 * torch.linalg.matrix_power(one + step * matrix, 5)
        within = [torch.linalg.matrix_power(one + step * matrix, j) for j in range(5)]
        on_the_way = [w @ torch.linalg.matrix_power(period, k) for k in range(60) for w in within]
        wanted = max(float(torch.linalg.matrix_norm(p, 2)) for p in on_the_way)
        model = tried(matrix, {"G": 2, "D": 2}, Lookahead())
        assert transient(model, step, steps=300).value == pytest.approx(wanted, rel=1e-8)
        before = after = one
        sizes = [1.0]
        for _ in range(60):
            before, after = after, after + step * matrix @ (2 * after - before)
            sizes.append(float(torch.linalg.matrix_norm(after, 2)))
        model = tried(matrix, {"G": 2, "D": 2}, Reflected())
        assert transient(model, step, steps=60).value == pytest.approx(max(sizes), rel=1e-8)


@pytest.mark.parametrize("matrix", [[[0.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [0.0, 0.0]]])
def test_where_nothing_has_a_rate_no_mode_counts(matrix):
    matrix = torch.tensor(matrix, dtype=torch.float64)
    point = torch.zeros(2, dtype=torch.float64)
    found = advise(FunctionField(lambda x: matrix @ x, point, players={"G": 1, "D": 1}))
    assert found["simultaneous, no momentum"].why.startswith("No mode counts")
