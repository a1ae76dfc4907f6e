"""The competitive step of two players: against dense solutions, with counted products, and judged where a product is wrong."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from separatrix.dynamics import optim
from separatrix.dynamics.live import LiveField
from separatrix.dynamics.near import FieldNear
from separatrix.dynamics.pair import BELIEVED, solve_general_pair, solve_scalar_pair
from separatrix.errors import NonFiniteError
from separatrix.fields import Game
from separatrix.linalg import Dense


class Counted(Dense):
    """A matrix that counts its products, one of which may be wrong by a factor."""

    def __init__(self, matrix: Tensor, *, wrong_at: int = -1, factor: float = 1.0) -> None:
        super().__init__(matrix)
        self.calls, self.wrong_at, self.factor = 0, wrong_at, factor

    def _apply(self, u: Tensor) -> Tensor:
        self.calls += 1
        found = super()._apply(u)
        return self.factor * found if self.calls == self.wrong_at else found


class Case:
    """Random cross blocks, step sizes over four decades, and steps."""

    def __init__(self, seed: int, *, a: int = 7, b: int = 11, strength: float = 1.0, dtype=torch.float64) -> None:
        g = torch.Generator().manual_seed(seed)
        self.K_ba = torch.randn(b, a, generator=g, dtype=torch.float64).to(dtype) * strength
        self.other = torch.randn(a, b, generator=g, dtype=torch.float64).to(dtype) * strength
        self.S_a, self.S_b = (10 ** (4 * torch.rand(k, generator=g, dtype=torch.float64) - 3).to(dtype) for k in (a, b))
        self.d_a, self.d_b = (torch.randn(k, generator=g, dtype=torch.float64).to(dtype) for k in (a, b))

    @property
    def parts(self) -> tuple[Tensor, ...]:
        return self.d_a, self.d_b, self.S_a, self.S_b

    def dense(self, K_ab: Tensor) -> Tensor:
        a, b = len(self.d_a), len(self.d_b)
        K = torch.zeros(a + b, a + b, dtype=K_ab.dtype)
        K[:a, a:], K[a:, :a] = K_ab, self.K_ba
        return torch.eye(a + b, dtype=K.dtype) - torch.cat([self.S_a, self.S_b])[:, None] * K

    def residual(self, K_ab: Tensor, u_a: Tensor, u_b: Tensor) -> float:
        d = torch.cat([self.d_a, self.d_b])
        return float((d - self.dense(K_ab) @ torch.cat([u_a, u_b])).norm() / d.norm())


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("zero_sum", [True, False])
def test_the_step_is_the_dense_solution(seed: int, zero_sum: bool) -> None:
    case = Case(seed, a=1 + seed, b=9, strength=0.3 + seed)
    K_ab = -case.K_ba.T.contiguous() if zero_sum else case.other
    to_a, to_b = Dense(K_ab), Dense(case.K_ba)
    if zero_sum:
        u_a, u_b, residual = solve_scalar_pair(to_a._apply, to_b._apply, *case.parts, tol=1e-12, max_products=500)
    else:
        u_a, u_b, residual = solve_general_pair(to_a, to_b, *case.parts, tol=1e-12, max_products=500)
    assert residual <= 1e-12
    assert case.residual(K_ab, u_a, u_b) < 5e-12
    expected = torch.linalg.solve(case.dense(K_ab), torch.cat([case.d_a, case.d_b]))
    torch.testing.assert_close(torch.cat([u_a, u_b]), expected, rtol=1e-8, atol=1e-10)


def test_conjugate_gradients_take_one_product_and_two_for_each_iteration() -> None:
    """A coupling of rank r is solved in r + 1 iterations, each with one product of either kind; the first takes one more."""
    for rank in (1, 2, 3):
        case = Case(rank)
        case.K_ba = case.K_ba[:, :rank] @ case.other[:rank, :7]
        to_a, to_b = Counted(-case.K_ba.T.contiguous()), Counted(case.K_ba)
        u_a, u_b, residual = solve_scalar_pair(to_a._apply, to_b._apply, *case.parts, tol=1e-9, max_products=500)
        iterations = to_b.calls
        assert 1 <= iterations <= rank + 1
        assert to_a.calls == iterations + 1
        assert case.residual(to_a.matrix, u_a, u_b) == pytest.approx(residual, rel=0.1, abs=1e-14)


def test_gmres_takes_one_more_product_of_each_kind_to_judge_and_none_for_the_other_player() -> None:
    case = Case(0, a=1, b=1)
    to_a, to_b = Counted(case.other), Counted(case.K_ba)
    *_, residual = solve_general_pair(to_a, to_b, *case.parts, tol=1e-9, max_products=500)
    assert residual <= 1e-9
    assert (to_a.calls, to_b.calls) == (1 + 1 + 1, 1 + 1)


def test_an_optimizer_s_step_takes_as_many_products_as_it_is_billed_for() -> None:
    """Two players of one coordinate each: a single iteration, three products of a gradient each, and the gradient."""
    x, y = torch.tensor([1.0], dtype=torch.float64), torch.tensor([2.0], dtype=torch.float64)
    opt = optim.ACGD(Game({"x": x, "y": y}, lambda m, _: (m["x"] * m["y"]).sum()), lr=0.1)
    assert opt.step(None).gradients == 1 + 3
    general = Game(
        {"x": x, "y": y}, lambda m, _: {p: (m["x"] * m["y"]).sum() * s for p, s in (("x", 1.0), ("y", -1.0))}
    )
    assert optim.ACGD(general, lr=0.1).step(None).gradients > 1 + 5


@pytest.mark.parametrize("wrong_at", [1, 3, 6])
def test_a_wrong_product_on_the_way_does_not_hide_in_the_residual(wrong_at: int) -> None:
    """The recurrences of textbook CG would go on from it unaware."""
    case = Case(4, a=30, b=30, strength=0.3)
    K_ab = -case.K_ba.T.contiguous()
    to_a = Counted(K_ab, wrong_at=wrong_at, factor=1.3)
    u_a, u_b, residual = solve_scalar_pair(
        to_a._apply, Dense(case.K_ba)._apply, *case.parts, tol=1e-9, max_products=300
    )
    assert residual <= 1e-9
    assert case.residual(K_ab, u_a, u_b) < 2e-9


def test_in_a_long_solve_a_wrong_product_with_the_other_block_does_not_hide_either() -> None:
    case = Case(4, a=60, b=60, strength=0.5)
    K_ab = -case.K_ba.T.contiguous()
    to_b = Counted(case.K_ba, wrong_at=BELIEVED - 2, factor=1.3)
    u_a, u_b, residual = solve_scalar_pair(Dense(K_ab)._apply, to_b._apply, *case.parts, tol=1e-9, max_products=500)
    assert to_b.calls > BELIEVED
    assert residual <= 1e-9
    assert case.residual(K_ab, u_a, u_b) < 2e-9


def test_in_float32_the_stated_residual_is_that_of_all_rows() -> None:
    """Also after sixty and more iterations; the rounding of the float32 products themselves allows for a half."""
    case = Case(6, a=200, b=300, strength=0.1, dtype=torch.float32)
    K_ab = -case.K_ba.T.contiguous()
    to_b = Counted(case.K_ba)
    u_a, u_b, residual = solve_scalar_pair(Dense(K_ab)._apply, to_b._apply, *case.parts, tol=3e-6, max_products=2000)
    assert to_b.calls > 40
    assert residual <= 3e-6
    for name in ("K_ba", "d_a", "d_b", "S_a", "S_b"):
        setattr(case, name, getattr(case, name).double())
    assert case.residual(K_ab.double(), u_a.double(), u_b.double()) < 1.5 * 3e-6


def test_what_rounding_does_not_allow_is_given_up_early_and_said() -> None:
    case = Case(1, dtype=torch.float32)
    to_a, to_b = Counted(-case.K_ba.T.contiguous()), Counted(case.K_ba)
    *_, residual = solve_scalar_pair(to_a._apply, to_b._apply, *case.parts, tol=1e-12, max_products=2000)
    assert 1e-12 < residual < 1e-4
    assert to_b.calls < 100


def test_the_budget_is_kept() -> None:
    case = Case(4, a=30, b=30)
    to_a, to_b = Counted(-case.K_ba.T.contiguous()), Counted(case.K_ba)
    *_, residual = solve_scalar_pair(to_a._apply, to_b._apply, *case.parts, tol=1e-12, max_products=5)
    assert (to_a.calls, to_b.calls) == (5, 4)
    assert residual > 1e-12


def test_coordinates_at_rate_zero_stay_and_steps_of_zero_cost_nothing() -> None:
    case = Case(2)
    case.S_a[:3] = case.d_a[:3] = 0
    K_ab = -case.K_ba.T.contiguous()
    to_a, to_b = Counted(K_ab), Counted(case.K_ba)
    u_a, u_b, residual = solve_scalar_pair(to_a._apply, to_b._apply, *case.parts, tol=1e-12, max_products=99)
    assert torch.equal(u_a[:3], torch.zeros(3, dtype=torch.float64))
    assert residual <= 1e-12
    assert case.residual(K_ab, u_a, u_b) < 5e-12
    to_a.calls = to_b.calls = 0
    zero = torch.zeros_like(case.d_a), torch.zeros_like(case.d_b), case.S_a, case.S_b
    for found in (
        solve_scalar_pair(to_a._apply, to_b._apply, *zero, tol=1e-12, max_products=9),
        solve_general_pair(to_a, to_b, *zero, tol=1e-12, max_products=9),
    ):
        assert [float(part.norm()) for part in found[:2]] == [0.0, 0.0]
        assert found[2] == 0
    assert (to_a.calls, to_b.calls) == (0, 0)


def test_a_product_that_is_not_finite_is_named() -> None:
    case = Case(3)
    broken = Counted(-case.K_ba.T.contiguous(), wrong_at=2, factor=float("nan"))
    with pytest.raises(NonFiniteError, match="a product with a cross block is not finite"):
        solve_scalar_pair(broken._apply, Dense(case.K_ba)._apply, *case.parts, tol=1e-12, max_products=9)


def test_small_steps_are_not_rounded_as_the_point_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without coupling the step is ``S v`` to the last bit of the step; on the way to ``x + S v`` and back four digits are lost."""
    x, y = torch.full((3,), 100.0), torch.full((2,), 3.0)
    seen = []

    def value(models, _):
        return (models["x"] - 99.0).square().sum() - models["y"].square().sum()

    opt = optim.Competitive(Game({"x": x, "y": y}, value), torch.optim.SGD, lr=1e-3)
    solve = FieldNear.solve

    def spy(self, d, scale, **settings):
        seen.append(d)
        return solve(self, d, scale, **settings)

    monkeypatch.setattr(FieldNear, "solve", spy)
    opt.step(None)
    torch.testing.assert_close(seen[0], torch.tensor([-2e-3] * 3 + [-6e-3] * 2), rtol=2e-7, atol=0)


def test_one_pass_back_gives_the_gradients_that_two_give() -> None:
    """Of one scalar; as directions of both players, whose second derivatives come from them."""
    g = torch.Generator().manual_seed(0)
    x, y = (torch.randn(k, generator=g, dtype=torch.float64) for k in (3, 4))
    M = torch.randn(3, 4, generator=g, dtype=torch.float64)

    def value(models, _):
        return torch.tanh(models["x"] @ M @ models["y"]) + models["x"].square().sum() - models["y"].pow(4).sum()

    rows = []
    for losses in (value, lambda m, b: {"x": value(m, b), "y": -value(m, b)}):
        field = LiveField(Game({"x": x, "y": y}, losses))
        found = field.trace(field.leaves(field.begin()), create_graph=True)
        assert all(row.requires_grad for row in found.values())
        rows.append(found)
    assert rows[0].keys() == rows[1].keys()
    for key, row in rows[0].items():
        torch.testing.assert_close(row, rows[1][key], rtol=1e-14, atol=0)
