"""Competitive, proximal, curvature-clipped and stabilised steps against dense formulas and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from dynamics_games import linear_field, shared_game, smooth_gan
from torch import Tensor, nn

from separatrix.dynamics import (
    SGD,
    Adam,
    Competitive,
    CurvatureClipped,
    Frozen,
    Lookahead,
    Method,
    Mode,
    PastExtragradient,
    Proximal,
    RMSprop,
    Stabilised,
    UpdateMap,
    linear_period,
    multipliers,
    optim,
    simulate,
)
from separatrix.dynamics.schemes import SCHEME
from separatrix.errors import ComputationError, InputError, UnsupportedOperatorError
from separatrix.fields import FunctionField, Game, Space
from untouched import untouched

ROTATION = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)


def cross_part(field, x: Tensor) -> Tensor:
    """The Jacobian without the players' own blocks."""
    J = field.jacobian(x, checks=False).to_dense()
    for p in field.players:
        J[field.space.index(p), field.space.index(p)] = 0
    return J


def three_players() -> FunctionField:
    g = torch.Generator().manual_seed(3)
    a = torch.randn(6, 6, generator=g, dtype=torch.float64)
    point = torch.randn(6, generator=g, dtype=torch.float64)
    return FunctionField(lambda w: torch.sin(a @ w) - w**3, point, players={"a": 2, "b": 1, "c": 3})


@pytest.mark.parametrize("make", [smooth_gan, three_players])
@pytest.mark.parametrize("h", [0.05, 3.0])
def test_a_competitive_step_is_the_formula(make, h: float) -> None:
    """A general-sum game of two players, and one of three."""
    field = make()
    x = field.point
    K, n = cross_part(field, x), field.space.n
    expected = x + torch.linalg.solve(torch.eye(n, dtype=torch.float64) - h * K, h * field(x))
    found, _, _ = simulate(Method(SGD(h), Competitive(1e-13)), field, steps=1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)


def zero_sum(declared: bool) -> Game:
    """One scalar for both players, or the same losses player by player; sizes 3 and 5."""
    g = torch.Generator().manual_seed(0)
    x, y = (torch.randn(k, generator=g, dtype=torch.float64) for k in (3, 5))
    M = torch.randn(3, 5, generator=g, dtype=torch.float64)

    def f(models, _):
        x, y = models["x"], models["y"]
        return torch.tanh(x @ M @ y) + (x**4).sum() / 4 - (y**2).sum() + (x.sum() * y.sum()).sin()

    return Game({"x": x, "y": y}, f if declared else lambda m, b: {"x": f(m, b), "y": -f(m, b)})


def test_conjugate_gradients_and_gmres_agree_where_the_game_is_zero_sum() -> None:
    """The formula of the paper: ``-h (I + h^2 D_xy D_yx)^-1 (grad_x f + h D_xy grad_y f)`` [schaefer2019, eq. 4]."""
    h = 0.3
    fields = [zero_sum(declared).on() for declared in (True, False)]
    method = Method(SGD(h), Competitive(1e-13))
    steps = [method.step(field, *method.init(field))[0] for field in fields]
    assert fields[0].zero_sum
    assert not fields[1].zero_sum
    torch.testing.assert_close(steps[0], steps[1], rtol=0, atol=1e-12)
    v, J = fields[0](), fields[0].jacobian().to_dense()
    gx, gy, D = -v[:3], v[3:], -J[:3, 3:]  # in the paper's signs: y maximises
    inverse = torch.linalg.inv(torch.eye(3, dtype=torch.float64) + h**2 * D @ D.T)
    torch.testing.assert_close(steps[0][:3], fields[0].point[:3] - h * inverse @ (gx + h * D @ gy), rtol=0, atol=1e-12)


def test_zero_sum_by_declaration_costs_less() -> None:
    costs = [Method(SGD(0.3), Competitive()).gradients(zero_sum(declared).on()) for declared in (True, False)]
    assert costs[0] < costs[1]


@pytest.mark.parametrize("base", [RMSprop(0.01, 0.9), Adam(0.01, (0.0, 0.99), 1e-5)])
def test_over_second_moments_a_competitive_step_is_acgd(base) -> None:
    """``S = lr / (sqrt(V) + eps)`` with the moments that have seen this step's gradient."""
    field = smooth_gan()
    x, states, _ = simulate(Method(base, Competitive(1e-13)), field, steps=3)
    v = field(x)
    following = {p: base.step(field.space.take(v, p), field.space.take(x, p), states[p])[1] for p in field.players}
    S = torch.cat([base.frozen(following[p]).scale for p in field.players])
    inverse = torch.linalg.inv(torch.eye(34, dtype=torch.float64) - S[:, None] * cross_part(field, x))
    after, seen = Method(base, Competitive(1e-13)).step(field, x, states)
    torch.testing.assert_close(after, x + inverse @ (S * v), rtol=0, atol=1e-11)
    assert torch.equal(seen["G"]["square"], following["G"]["square"])


def test_acgd_is_what_the_optimizer_of_that_name_does() -> None:
    game, twin = zero_sum(True), zero_sum(True)
    opt = optim.ACGD(game, lr=0.02, beta=0.9, eps=1e-3, tol=1e-12)
    steps = [opt.step(None) for _ in range(4)]
    x, _, _ = simulate(Method(Adam(0.02, (0.0, 0.9), 1e-3), Competitive(1e-12)), twin.on(), steps=4)
    torch.testing.assert_close(game.on().point, x, rtol=0, atol=1e-11)
    assert all(0 <= s.residual < 1e-12 for s in steps)  # a small system may be solved exactly
    assert any(s.residual > 0 for s in steps)
    assert all(s.gradients > 1 for s in steps)


@pytest.mark.parametrize("h", [0.1, 1.0, 30.0])
def test_competitive_and_proximal_steps_on_the_bilinear_game(h: float) -> None:
    field = linear_field(ROTATION, {"x": 1, "y": 1})
    for scheme in (Competitive(1e-12), Proximal(1e-12)):
        dense = UpdateMap(Method(SGD(h), scheme), field).to_dense() if not scheme.solves else None
        assert dense is None
        dense = UpdateMap(Method(SGD(h), scheme), field, frozen=True).to_dense()
        assert np.abs(np.linalg.eigvals(dense.numpy())) == pytest.approx(1 / np.sqrt(1 + h * h), rel=1e-9)
    assert multipliers(Proximal(), -h + 2j)[0] == pytest.approx(1 / (1 + h - 2j), rel=1e-12)


@pytest.mark.parametrize("h", [0.3, 10.0])
@pytest.mark.parametrize("make", [smooth_gan, three_players])
def test_a_proximal_step_solves_its_equation(make, h: float) -> None:
    field = make()
    x = field.point
    found, _, _ = simulate(Method(SGD(h), Proximal(1e-9)), field, steps=1)
    left = x + h * field(found) - found
    assert float(left.norm()) < 1e-6 * h * float(field(x).norm()), float(left.norm())


def test_a_proximal_step_that_is_not_solved_says_how_far_it_came() -> None:
    game = zero_sum(True)
    opt = optim.Proximal(game, torch.optim.SGD, lr=50.0, max_newton=1)
    assert opt.step(None).residual > 1e-3
    exact = optim.Proximal(zero_sum(True), torch.optim.SGD, lr=0.2, tol=1e-10)
    assert exact.step(None).residual <= 1e-10


def test_a_proximal_step_over_adam_is_adams_step_with_the_direction_found_ahead() -> None:
    field, base = smooth_gan(), Adam(0.01, (0.5, 0.9))
    x, states, _ = simulate(Method(base, Proximal(1e-12)), field, steps=2)
    after, _ = Method(base, Proximal(1e-12)).step(field, x, states)
    S = torch.cat([base.frozen(states[p]).scale for p in field.players])
    z = x.clone()
    for _ in range(200):
        z = x + S * field(z)  # contracts for small steps
    v = field(z)
    expected = torch.cat(
        [base.step(field.space.take(v, p), field.space.take(x, p), states[p])[0] for p in field.players]
    )
    torch.testing.assert_close(after, expected, rtol=0, atol=1e-10)


def test_the_frozen_map_of_solving_schemes_is_the_derivative_at_an_equilibrium() -> None:
    """There the Jacobian's own derivative drops out; against central differences of the real step."""
    field = FunctionField(
        lambda w: torch.stack([-w[0] + 3 * w[1].sin(), -2 * w[0] - w[1] ** 3]),
        torch.zeros(2, dtype=torch.float64),
        players={"x": 1, "y": 1},
    )
    for scheme in (Competitive(1e-13), Proximal(1e-13), Lookahead(Competitive(1e-13), 2)):
        method = Method(SGD(0.4), scheme)
        dense = UpdateMap(method, field, frozen=True).to_dense()[:2, :2]
        columns = []
        for e in torch.eye(2, dtype=torch.float64):
            ends = [simulate(method, field, steps=scheme.cycle, x=s * 1e-5 * e)[0] for s in (1, -1)]
            columns.append((ends[0] - ends[1]) / 2e-5)
        if not isinstance(scheme, Lookahead):  # whose slow copy starts where the players do
            torch.testing.assert_close(dense, torch.stack(columns, 1), rtol=0, atol=1e-8)
    with pytest.raises(ComputationError, match="the exact tangent of competitive has third derivatives"):
        UpdateMap(Method(SGD(0.1), Competitive()), field)


def test_a_curvature_clipped_step_goes_to_the_bottom_and_no_further_than_allowed() -> None:
    """Own curvatures 4 and -1; rate 1: the bottom is at a quarter of the step, and where there is none the step is as long as it may be."""
    matrix = torch.tensor([[-4.0, 0.0, 0.7], [0.0, -4.0, 0.2], [-0.3, 0.1, 1.0]], dtype=torch.float64)
    field = linear_field(matrix, {"x": 2, "y": 1})
    x = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    v = matrix @ x
    after, _, _ = simulate(Method(SGD(1.0), CurvatureClipped(3.0)), field, steps=1, x=x)
    torch.testing.assert_close(after[:2], x[:2] + 0.25 * v[:2], rtol=1e-13, atol=0)
    torch.testing.assert_close(after[2], x[2] + 3.0 * v[2], rtol=1e-13, atol=0)
    short, _, _ = simulate(Method(SGD(0.01), CurvatureClipped(3.0)), field, steps=1, x=x)
    torch.testing.assert_close(short, x + 0.03 * v, rtol=1e-13, atol=0)
    turning = linear_field(ROTATION, {"x": 1, "y": 1})
    one, _, _ = simulate(Method(SGD(0.1), CurvatureClipped(1.0)), turning, steps=1)
    torch.testing.assert_close(one, turning.point + 0.1 * turning())


def test_a_momentum_that_points_uphill_is_not_followed() -> None:
    field = linear_field(torch.tensor([[-1.0]], dtype=torch.float64))
    method = Method(SGD(0.1, momentum=0.9), CurvatureClipped())
    x = torch.tensor([1.0], dtype=torch.float64)
    after, _ = method.step(field, x, {"x": {"step": 1, "buffer": torch.tensor([-50.0], dtype=torch.float64)}})
    assert torch.equal(after, x)


def test_there_is_no_prediction_for_curvature_clipped_steps() -> None:
    field = linear_field(ROTATION, {"x": 1, "y": 1})
    for ask in (
        lambda: UpdateMap(Method(SGD(0.1), CurvatureClipped()), field, frozen=True),
        lambda: multipliers(CurvatureClipped(), 0.1),
        lambda: UpdateMap(Method(SGD(0.1), Lookahead(CurvatureClipped())), field, frozen=True),
    ):
        with pytest.raises(ComputationError, match="no prediction for"):
            ask()


def team_game() -> FunctionField:
    """Matching pennies of two teams [kalogiannis2021]: unique interior equilibrium at 1/2, spectrum -1, -1, 1 +- 2i."""

    def u(z: Tensor) -> Tensor:
        a, b, c, d = z
        return -a * b - a * c - a * d + 1.5 * (a + b) - b * c - b * d + c * d + 0.5 * (c + d) - 1

    sign = torch.tensor([-1.0, -1.0, 1.0, 1.0], dtype=torch.float64)
    players = dict.fromkeys(("x1", "x2", "y1", "y2"), 1)
    point = torch.full((4,), 0.5, dtype=torch.float64)
    return FunctionField(lambda z: sign * torch.func.grad(u)(z), point, players=players, name="team pennies")


def test_a_team_game_is_stable_with_its_controller_only_and_up_to_the_predicted_step() -> None:
    field = team_game()
    assert float(field().norm()) < 1e-15
    J = field.jacobian().to_dense()
    values = torch.linalg.eigvals(J)
    assert np.sort_complex(values.numpy()) == pytest.approx(np.array([-1, -1, 1 - 2j, 1 + 2j]), abs=1e-7)

    def radius(h: float, **settings: float) -> float:
        found = UpdateMap(Method(SGD(h), Stabilised(**settings)), field, frozen=True)
        return float(np.abs(np.linalg.eigvals(found.to_dense().numpy())).max())

    def block(h: float, gain: float = -1.1, follow: float = 0.3) -> Tensor:
        """The 8 x 8 matrix on ``(x, theta)`` by hand."""
        eye = torch.eye(4, dtype=torch.float64)
        top = torch.cat([eye + h * J + h * gain * eye, -h * gain * eye], 1)
        return torch.cat([top, torch.cat([h * follow * eye, (1 - h * follow) * eye], 1)])

    for h in (0.01, 0.05, 0.3):
        assert radius(h) == pytest.approx(float(torch.linalg.eigvals(block(h)).abs().max()), rel=1e-12)
        assert radius(h, gain=0.0) > 1
    low, high = 0.01, 0.1
    assert radius(low) < 1 < radius(high)
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if radius(middle) <= 1 else (low, middle)
    assert low == pytest.approx(0.0469, abs=5e-4)
    apart = 1e-6 * torch.randn(4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for h in (0.9 * low, 1.1 * low):
        found, _, _ = simulate(Method(SGD(h), Stabilised()), field, steps=60, x=field.point + apart)
        expected = torch.linalg.matrix_power(block(h), 60) @ torch.cat([apart, apart])
        torch.testing.assert_close(found - 0.5, expected[:4], rtol=1e-4, atol=1e-11)


def test_theta_is_part_of_the_state_and_starts_where_the_players_stand() -> None:
    field = team_game()
    method = Method(SGD(0.1), Stabilised())
    x, states = method.init(field)
    assert set(states[SCHEME]) == {"theta:x1", "theta:x2", "theta:y1", "theta:y2"}
    assert float(states[SCHEME]["theta:x1"]) == 0.5
    start = x + 0.1
    after, following = method.step(field, start, {**states, SCHEME: method.scheme.memory(field.space, start)})
    torch.testing.assert_close(after, start + 0.1 * field(start))  # theta is there, so it does not pull yet
    assert float(following[SCHEME]["theta:x1"]) == pytest.approx(0.6)


@pytest.mark.parametrize("scheme", [Competitive(), Proximal(), CurvatureClipped()])
def test_players_that_share_a_tensor_are_refused_by_name(scheme) -> None:
    game = shared_game().game
    with pytest.raises(InputError, match=r"players 'A' and 'B' share A\['w'\]; give the tensor to one of them"):
        optim.GameOptimizer(game, SGD(0.1), scheme=scheme)
    with pytest.raises(InputError, match="players 'A' and 'B' share"):
        simulate(Method(SGD(0.1), Lookahead(scheme)), game.on(), steps=1)


def test_bases_that_do_not_fit_are_refused_by_name() -> None:
    game = zero_sum(True)
    with pytest.raises(InputError, match=r"the Adam of player 'x' has momentum 0.9; use SGD or RMSprop without it"):
        optim.Competitive(game, torch.optim.Adam, lr=1e-3)
    with pytest.raises(
        InputError, match="needs to know the step size of every coordinate, and the Adagrad of player 'x'"
    ):
        optim.Proximal(game, torch.optim.Adagrad, lr=1e-3)
    with pytest.raises(InputError, match="needs to know the step size"):
        optim.Stabilised(game, torch.optim.Adagrad, lr=1e-3)
    with pytest.raises(InputError, match="max_products must be at least 2, got 1"):
        Competitive(max_products=1)
    with pytest.raises(InputError, match="tol must be positive and finite, got 0"):
        Proximal(tol=0.0)
    with pytest.raises(InputError, match="gain must be finite, got nan"):
        Stabilised(gain=float("nan"))


class NoSecond(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        return 2 * ctx.saved_tensors[0] * g


@pytest.mark.parametrize(
    "make",
    [
        lambda g: optim.Competitive(g, torch.optim.SGD, lr=0.1),
        lambda g: optim.Proximal(g, torch.optim.SGD, lr=0.1),
        lambda g: optim.CurvatureClipped(g, torch.optim.SGD, lr=0.1),
        lambda g: optim.Consensus(g, torch.optim.SGD, lr=0.1, gamma=1.0),
        lambda g: optim.SymplecticAdjustment(g, torch.optim.SGD, lr=0.1),
    ],
)
def test_a_model_without_second_derivatives_is_named_and_kept(make) -> None:
    a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    game = Game({"a": a, "b": b}, lambda m, x: NoSecond.apply(m["a"](x)).sum() * m["b"](x).sum())
    opt = make(game)
    with (
        untouched(a, b),
        pytest.raises(
            UnsupportedOperatorError, match=r"Custom functions in the losses: NoSecond|cannot be differentiated twice"
        ),
    ):
        opt.step(torch.ones(3, 2))


def test_solving_schemes_under_lookahead_and_past_steps_keep_their_memory_apart() -> None:
    field = linear_field(ROTATION, {"x": 1, "y": 1})
    for inner in (Competitive(1e-12), PastExtragradient(), Stabilised()):
        method = Method(SGD(0.2), Lookahead(inner, 3))
        matrix = linear_period(ROTATION, method.scheme, {p: SGD(0.2).frozen({}) for p in "xy"}, field.space).matrix
        found = UpdateMap(method, field, frozen=True).to_dense()
        torch.testing.assert_close(found, matrix, rtol=0, atol=1e-11)


def test_a_step_whose_equation_is_singular_has_no_prediction():
    """``1 / (1 - z)`` has a pole where the step size is the inverse of an eigenvalue."""
    with pytest.raises(ComputationError, match="singular at this step size"):
        linear_period(
            torch.diag(torch.tensor([1.0, 0.5], dtype=torch.float64)),
            Proximal(),
            {p: Frozen(1.0, Mode()) for p in ("x", "y")},
            Space.of_sizes({"x": 1, "y": 1}),
        )


def test_a_player_without_parameters_takes_no_part():
    turning = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    bases = {p: Frozen(0.1, Mode()) for p in ("x", "y", "idle")}
    found = linear_period(turning, Competitive(), bases, Space.of_sizes({"x": 1, "y": 1, "idle": 0})).matrix
    wanted = linear_period(turning, Competitive(), bases, Space.of_sizes({"x": 1, "y": 1})).matrix
    torch.testing.assert_close(found, wanted)
