"""Extragradient and its relatives, Runge-Kutta and Lookahead against closed forms and hand-written loops.

``z = h lambda`` in field sign; the bilinear game has ``lambda = +-i``.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from dynamics_games import linear_field, shared_game, smooth_gan

from separatrix.dynamics import (
    SGD,
    Adam,
    Extragradient,
    ExtragradientPlus,
    Lookahead,
    Method,
    Mode,
    Optimistic,
    PastExtragradient,
    Reflected,
    RungeKutta,
    Scheme,
    Simultaneous,
    UpdateMap,
    multipliers,
    simulate,
)
from separatrix.dynamics.schemes import SCHEME
from separatrix.errors import ComputationError, InputError
from untouched import untouched


def radius(scheme: Scheme, z: complex) -> float:
    return float(multipliers(scheme, z)[0].abs())


def limit(scheme: Scheme, z: complex) -> float:
    """The largest multiple of ``z`` that does not grow."""
    low, high = 1e-3, 100.0
    for _ in range(50):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if radius(scheme, middle * z) <= 1 + 1e-12 else (low, middle)
    return low


SINGLE_CALL = [PastExtragradient(), Optimistic(), Reflected()]


@pytest.mark.parametrize("scheme", SINGLE_CALL)
def test_single_call_methods_have_the_roots_of_their_polynomial(scheme: Scheme) -> None:
    for z in (-0.1 + 0.3j, 0.2j, -0.7):
        roots = np.roots([1, -(1 + 2 * z), z])
        assert np.sort_complex(multipliers(scheme, z).numpy()) == pytest.approx(np.sort_complex(roots), abs=1e-12)


@pytest.mark.parametrize("scheme", SINGLE_CALL)
def test_single_call_methods_on_the_bilinear_game(scheme: Scheme) -> None:
    assert radius(scheme, 0.1j) == pytest.approx(0.994936, abs=1e-6)
    assert radius(scheme, 0.5j) == pytest.approx(0.707107, abs=1e-6)
    assert limit(scheme, 1j) == pytest.approx(1 / np.sqrt(3), abs=1e-6)


@pytest.mark.parametrize("a", [0.3, 1.7])
def test_a_separate_extrapolation_step_enters_as_it_should(a: float) -> None:
    z = -0.05 + 0.2j
    for scheme in (PastExtragradient(a), Optimistic(a), Reflected(a)):
        assert np.polyval([1, -(1 + (1 + a) * z), a * z], multipliers(scheme, z).numpy()) == pytest.approx(0, abs=1e-12)
    assert multipliers(Extragradient(ahead=a), z)[0] == pytest.approx(1 + z * (1 + a * z), abs=1e-14)


@pytest.mark.parametrize(("c", "part", "expected"), [(1 / 3, 0.3, 0.98658), (1 / 3, 0.5, 1.10554), (0.25, 0.5, 1.0)])
def test_eg_plus_at_the_border_of_weak_minty(c: float, part: float, expected: float) -> None:
    """``F = [[b, a], [-a, b]]`` with ``b = -c L``, step ``1 / L``: converges exactly where ``2 c + part < 1``."""
    L = 3.0
    b = -c * L
    lam = -(b + 1j * np.sqrt(L**2 - b**2))
    assert radius(ExtragradientPlus(part), lam / L) == pytest.approx(expected, abs=1e-5)


def test_eg_plus_on_the_bilinear_game() -> None:
    for part, y in ((0.5, 0.9), (0.3, 1.2)):
        assert radius(ExtragradientPlus(part), 1j * y) == pytest.approx(np.hypot(1 - part * y**2, part * y), abs=1e-12)
    assert limit(ExtragradientPlus(0.4), 1j) == pytest.approx(np.sqrt(2 / 0.4 - 1), abs=1e-6)


def test_runge_kutta_multiplies_by_the_beginning_of_the_exponential_series() -> None:
    for z in (-0.4 + 0.9j, 0.3j):
        assert multipliers(RungeKutta(2), z)[0] == pytest.approx(1 + z + z**2 / 2, abs=1e-14)
        assert multipliers(RungeKutta(4), z)[0] == pytest.approx(1 + z + z**2 / 2 + z**3 / 6 + z**4 / 24, abs=1e-14)
    found = [radius(RungeKutta(4), 1j * y) for y in (0.5, 1, 2, 2.8, 2.83)]
    assert found == pytest.approx([0.999895, 0.993905, 0.745356, 0.930667, 1.00396], abs=1e-5)
    assert limit(RungeKutta(4), 1j) == pytest.approx(2 * np.sqrt(2), abs=1e-6)
    assert all(radius(RungeKutta(2), 1j * y) > 1 for y in (0.01, 0.1, 1.0))


@pytest.mark.parametrize(
    ("every", "h", "expected"),
    [(5, 0.1, 0.981327), (6, 0.1, 0.970118), (10, 0.1, 0.900861), (5, 0.3, 0.839587), (20, 0.1, 0.573183)],
)
def test_lookahead_makes_simultaneous_steps_converge_on_a_rotation(every: int, h: float, expected: float) -> None:
    scheme = Lookahead(every=every)
    assert radius(scheme, 1j * h) == pytest.approx(expected, abs=1e-6)
    field = linear_field(torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64), {"x": 1, "y": 1})
    _, _, path = simulate(Method(SGD(h), scheme), field, steps=20 * every, every=every)
    assert float(path[20].norm() / path[0].norm()) == pytest.approx(expected**20, rel=1e-4)


def four_players(epsilon: float) -> torch.Tensor:
    """``A`` of the field of ``l_i = epsilon / 2 w_i^2 + sum_{j > i} w_i w_j - sum_{j < i} w_j w_i`` [balduzzi2018]."""
    upper = torch.triu(torch.ones(4, 4, dtype=torch.float64), 1)
    return -(epsilon * torch.eye(4, dtype=torch.float64) + upper - upper.T)


@pytest.mark.parametrize(
    ("scheme", "epsilon", "safe", "best", "at"),
    [
        (Extragradient(), 0.0, 0.414214, 0.98602, 0.4082),
        (Optimistic(), 0.0, 0.239146, 0.99507, 0.2383),
        (Simultaneous(), 0.01, 0.0034314, None, None),
        (Extragradient(), 0.01, 0.41757, 0.98164, None),
        (Optimistic(), 0.01, 0.23964, 0.99265, None),
    ],
)
def test_the_four_player_game(
    scheme: Scheme, epsilon: float, safe: float, best: float | None, at: float | None
) -> None:
    values = torch.linalg.eigvals(four_players(epsilon))

    def worst(h: float) -> float:
        return float(multipliers(scheme, h * values)[:, 0].abs().max())

    assert worst(safe * (1 - 3e-4)) < 1 < worst(safe * (1 + 3e-4))
    if best is not None:
        found = {h: worst(h) for h in np.linspace(0.7 * safe, safe, 1000)}
        assert min(found.values()) == pytest.approx(best, abs=2e-5)
        if at is not None:
            assert min(found, key=found.get) == pytest.approx(at, abs=5e-4)
    if epsilon:
        expected = {"simultaneous": 1.02776, "extragradient": 0.998142, "optimistic": 0.998139}
        assert worst(0.1) == pytest.approx(expected[scheme.name], abs=1e-5)


@pytest.mark.parametrize("moments", ["roll back", "freeze", "commit"])
def test_past_extragradient_over_adam_is_the_loop_that_one_would_write(moments: str) -> None:
    field, adam = smooth_gan(), Adam(1e-2, (0.5, 0.9))
    x, _, _ = simulate(Method(adam, PastExtragradient(1.5, moments)), field, steps=6)
    at = field.point
    states = {p: adam.init(field.space.take(at, p)) for p in field.players}
    past = None
    for _ in range(6):
        ahead = at.clone()
        for p in field.players:
            if past is None:
                break
            index, own = field.space.index(p), field.space.take(at, p)
            if moments == "freeze":
                square = states[p]["square"] / (1 - 0.9 ** states[p]["step"])
                moved = own + adam.lr * past[p] / (square.sqrt() + adam.eps)
            else:
                moved, after = adam.step(past[p], own, states[p])
                if moments == "commit":
                    states[p] = after
            ahead[index] = own + 1.5 * (moved - own)
        past = field.directions(ahead)
        after = at.clone()
        for p in field.players:
            after[field.space.index(p)], states[p] = adam.step(past[p], field.space.take(at, p), states[p])
        at = after
    torch.testing.assert_close(x, at, rtol=0, atol=1e-14)


def test_optimistic_adam_is_twice_this_step_less_the_last_one_and_begins_with_a_plain_step() -> None:
    field, adam = smooth_gan(), Adam(1e-2, (0.5, 0.9))
    _, _, path = simulate(Method(adam, Optimistic()), field, steps=5)
    assert torch.equal(path[1], simulate(Method(adam), field, steps=1)[0]), "the first step is doubled or halved"
    at, last = field.point, None
    states = {p: adam.init(field.space.take(at, p)) for p in field.players}
    for step in range(5):
        v, u = field.directions(at), torch.zeros_like(at)
        for p in field.players:
            own = field.space.take(at, p)
            moved, states[p] = adam.step(v[p], own, states[p])
            u[field.space.index(p)] = moved - own
        at = at + 2 * u - (u if last is None else last)
        last = u
        torch.testing.assert_close(path[step + 1], at, rtol=0, atol=1e-14)


def test_optimistic_stands_where_past_extragradient_evaluates() -> None:
    field, a, h = smooth_gan(), 1.3, 0.2
    past = Method(SGD(h), PastExtragradient(a))
    x, states = past.init(field)
    x, states = past.step(field, x, states)
    ahead = {p: h * states[SCHEME][f"direction:{p}"] for p in field.players}
    method = Method(SGD(h), Optimistic(a))
    y = x + a * torch.cat([ahead[p] for p in field.players])
    seen = {**method.init(field)[1], SCHEME: {"count": 1, **{f"step:{p}": ahead[p] for p in ahead}}}
    for _ in range(5):
        x, states = past.step(field, x, states)
        y, seen = method.step(field, y, seen)
        there = x + a * h * torch.cat([states[SCHEME][f"direction:{p}"] for p in field.players])
        torch.testing.assert_close(y, there, rtol=0, atol=1e-13)


def test_reflected_gradient_is_the_loop_that_one_would_write() -> None:
    field = smooth_gan()
    x, _, _ = simulate(Method(SGD(0.1), Reflected(0.7)), field, steps=5)
    at = before = field.point
    for _ in range(5):
        at, before = at + 0.1 * field(at + 0.7 * (at - before)), at
    torch.testing.assert_close(x, at, rtol=0, atol=1e-14)


@pytest.mark.parametrize("order", [2, 4])
def test_runge_kutta_has_its_order_on_a_bent_field(order: int) -> None:
    field = smooth_gan()

    def after(h: float) -> torch.Tensor:
        return simulate(Method(SGD(h), RungeKutta(order)), field, steps=round(0.8 / h))[0]

    exact = after(0.8 / 64)
    errors = [float((after(h) - exact).norm()) for h in (0.8, 0.4)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.7)


def test_lookahead_averages_every_so_many_steps_and_leaves_the_moments_alone() -> None:
    field, adam = smooth_gan(), Adam(1e-2)
    x, states, path = simulate(Method(adam, Lookahead(every=4, weight=0.3)), field, steps=5)
    plain, moments, _ = simulate(Method(adam), field, steps=4)
    start = field.point
    torch.testing.assert_close(path[4], start + 0.3 * (plain - start), rtol=0, atol=0)
    expected, after, _ = simulate(Method(adam), field, steps=1, x=path[4], states=moments)
    assert torch.equal(x, expected)
    assert torch.equal(states["G"]["mean"], after["G"]["mean"])
    assert states[SCHEME]["since"] == 1


SCHEMES = {
    "EG, long": Extragradient("freeze", ahead=1.7),
    "EG+": ExtragradientPlus(0.4, "commit"),
    "past": PastExtragradient(1.4),
    "past, freeze": PastExtragradient(1.0, "freeze"),
    "past, commit": PastExtragradient(1.0, "commit"),
    "optimistic": Optimistic(0.8),
    "reflected": Reflected(),
    "heun": RungeKutta(2),
    "runge-kutta": RungeKutta(4, "freeze"),
    "lookahead": Lookahead(PastExtragradient(), 2, 0.6),
}


@pytest.mark.parametrize("base", [SGD(0.1, momentum=0.4), Adam(0.02, (0.5, 0.9))], ids=["momentum", "adam"])
@pytest.mark.parametrize("name", SCHEMES)
def test_the_exact_tangent_is_the_derivative_of_the_real_period(name: str, base) -> None:
    """Against fourth-order central differences of the step itself, second moments and memory included."""
    field, method = smooth_gan(), Method(base, SCHEMES[name])
    x, states, _ = simulate(method, field, steps=4)
    operator = UpdateMap(method, field, x, states)
    sizes = [size for _, size in operator.layout]
    keys = [(o, k) for o, s in states.items() for k, v in s.items() if isinstance(v, torch.Tensor)]
    z = torch.cat([x, *(states[o][k] for o, k in keys)])

    def period(z: torch.Tensor) -> torch.Tensor:
        x, *pieces = z.split(sizes)
        now = {o: dict(s) for o, s in states.items()}
        for (o, k), piece in zip(keys, pieces, strict=True):
            now[o][k] = piece
        for _ in range(method.scheme.cycle):
            x, now = method.step(field, x, now)
        return torch.cat([x, *(now[o][k] for o, k in keys)])

    torch.testing.assert_close(operator.after, period(z), rtol=1e-13, atol=1e-14)
    u = torch.randn(len(z), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u = torch.cat(
        [
            p * q if k == "square" else p
            for p, q, (_, k) in zip(u.split(sizes), z.split(sizes), [("", ""), *keys], strict=True)
        ]
    )
    h = 2e-5
    steps = [period(z + k * h * u) for k in (-2, -1, 1, 2)]
    expected = (steps[0] - 8 * steps[1] + 8 * steps[2] - steps[3]) / (12 * h)
    found = operator @ u
    assert float((found - expected).norm() / expected.norm()) < 1e-6
    w = torch.randn(len(z), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert float(w @ found) == pytest.approx(float(u @ (operator.T @ w)), rel=1e-10)


@pytest.mark.parametrize("name", SCHEMES)
def test_players_may_share_a_tensor_and_nothing_of_the_users_moves(name: str) -> None:
    field = shared_game()
    method = Method(SGD(0.02), SCHEMES[name])
    with untouched(*field.game.parameters):
        x, _, _ = simulate(method, field, steps=4)
        dense = UpdateMap(method, field, frozen=True).to_dense()
    assert bool(torch.isfinite(x).all() and torch.isfinite(dense).all())
    # A shared coordinate moves as a player's alone would: by the sum of its owners' directions.
    alone = linear_field(field.jacobian().to_dense())
    expected = UpdateMap(Method(SGD(0.02), SCHEMES[name]), alone, frozen=True)
    ours, theirs = (np.abs(np.linalg.eigvals(m.numpy())).max() for m in (dense, expected.to_dense()))
    assert ours == pytest.approx(theirs, rel=1e-9)


def test_momentum_enters_the_multipliers_of_every_scheme() -> None:
    z = -0.2 + 0.1j
    for kind, polynomial in (("heavy-ball", [1, -(1.5 + z * (1 + z)), 0.5]), ("averaged", None)):
        found = multipliers(Extragradient("freeze"), z, Mode(kind, 0.5))
        assert len(found) == 2
        if polynomial is not None:
            assert np.abs(np.polyval(polynomial, found.numpy())).max() < 1e-12


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(InputError, match=r"ahead must be positive and finite, got 0"):
        Extragradient(ahead=0)
    with pytest.raises(InputError, match=r"part must lie in \(0, 1\], got 1.5"):
        ExtragradientPlus(1.5)
    with pytest.raises(InputError, match=r"moments must be one of 'roll back', 'freeze', got 'commit'"):
        RungeKutta(4, "commit")
    with pytest.raises(InputError, match=r"the order must be 2 or 4, got 3"):
        RungeKutta(3)
    with pytest.raises(InputError, match=r"every must be at least 1, a whole number, got 0"):
        Lookahead(every=0)
    with pytest.raises(InputError, match=r"weight must lie in \(0, 1\], got 0"):
        Lookahead(weight=0.0)
    from separatrix.dynamics import Alternating

    with pytest.raises(ComputationError, match="no multiplier of its own under alternating"):
        multipliers(Alternating(), 0.1)
