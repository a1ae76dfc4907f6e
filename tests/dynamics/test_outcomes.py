"""Where methods end on games from the literature: convergence, divergence, and the wrong point.

Fields are written out, in field sign; ``x`` minimises, ``y`` maximises where a game has one function.
"""

from __future__ import annotations

import pytest
import torch
from dynamics_games import linear_field
from torch import Tensor

from separatrix.dynamics import (
    SGD,
    Adam,
    Alternating,
    Competitive,
    Consensus,
    Extragradient,
    ExtragradientPlus,
    Method,
    Optimistic,
    Simultaneous,
    SymplecticAdjustment,
    simulate,
)
from separatrix.dynamics.schemes import SCHEME
from separatrix.fields import FunctionField

PLAYERS = {"x": 1, "y": 1}


def of(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def end(method: Method, field: FunctionField, start: Tensor, steps: int) -> Tensor:
    return simulate(method, field, steps=steps, x=start)[0]


def with_step(h: float) -> dict[str, Method]:
    return {
        "GDA": Method(SGD(h)),
        "CGD": Method(SGD(h), Competitive(1e-12)),
        "OGDA": Method(SGD(h), Optimistic()),
        "SGA": Method(SGD(h), transforms=(SymplecticAdjustment(1.0),)),
        "CO": Method(SGD(h), transforms=(Consensus(1.0),)),
    }


# Norm after 50 steps of 0.2 from (0.5, 0.5); published for all but OGDA, which started from a past gradient of zero there.
TABLE = {
    ("bilinear", 1.0): {"GDA": 1.89, "CGD": 0.265, "SGA": 4.6e-5, "CO": 4.6e-5},
    ("bilinear", 3.0): {"GDA": 1540, "CGD": 3.2e-4, "SGA": 0.707, "CO": 0.707},
    ("bilinear", 6.0): {"GDA": 3.4e9, "CGD": 1.5e-10, "SGA": 7.4e39, "CO": 7.4e39},
    ("attracting", 1.0): {"GDA": 5.7e-12, "CGD": 5.7e-12, "SGA": 5.7e-12, "CO": 8e-36},
    ("attracting", 3.0): {"GDA": 8e-36, "CGD": 8e-36, "SGA": 8e-36, "CO": 2.0e43},
    ("attracting", 6.0): {"GDA": 1.4e7, "CGD": 1.4e7, "SGA": 1.4e7, "CO": 7.1e73},
    ("repelling", 1.0): {"GDA": 1.4e7, "CGD": 1.4e7, "SGA": 1.4e7, "CO": 5.7e-12},
}
OGDA = {("bilinear", 1.0): 0.260, ("bilinear", 3.0): 18.3, ("bilinear", 6.0): 2e18, ("attracting", 3.0): 6e14}


def cgd_game(kind: str, a: float) -> FunctionField:
    """``a x y``, ``a (x^2 - y^2)`` or ``-a (x^2 - y^2)`` [schaefer2019, section 4]."""
    matrix = {
        "bilinear": [[0.0, -a], [a, 0.0]],
        "attracting": [[-2 * a, 0.0], [0.0, -2 * a]],
        "repelling": [[2 * a, 0.0], [0.0, 2 * a]],
    }
    return linear_field(torch.tensor(matrix[kind], dtype=torch.float64), PLAYERS)


@pytest.mark.parametrize(("kind", "a"), TABLE)
def test_the_table_of_competitive_gradient_descent(kind: str, a: float) -> None:
    for name, expected in TABLE[kind, a].items():
        norm = float(end(with_step(0.2)[name], cgd_game(kind, a), of(0.5, 0.5), 50).norm())
        assert norm == pytest.approx(expected, rel=0.03), name


@pytest.mark.parametrize(("kind", "a"), OGDA)
def test_a_past_gradient_of_zero_is_what_those_tables_of_optimism_began_with(kind: str, a: float) -> None:
    """It doubles the first step; ours begins with a plain one."""
    field, method = cgd_game(kind, a), with_step(0.2)["OGDA"]
    _, states = method.init(field)
    jump = {**states, SCHEME: {"count": 1, "step:x": of(0.0), "step:y": of(0.0)}}
    found, _, _ = simulate(method, field, steps=50, x=of(0.5, 0.5), states=jump)
    assert float(found.norm()) == pytest.approx(OGDA[kind, a], rel=0.3)
    once = simulate(method, field, steps=1, x=of(0.5, 0.5), states=jump)[0]
    plain = simulate(method, field, steps=1, x=of(0.5, 0.5))[0]
    torch.testing.assert_close(once - of(0.5, 0.5), 2 * (plain - of(0.5, 0.5)))


def ridge_methods() -> dict[str, Method]:
    return {
        "SimGD": Method(SGD(0.05)),
        "AltGD": Method(SGD(0.05), Alternating()),
        "OGDA": Method(SGD(0.05), Optimistic()),
        "EG": Method(SGD(0.05), Extragradient()),
        "CGD": Method(SGD(0.05), Competitive(1e-10)),
        "CO": Method(SGD(0.05), transforms=(Consensus(0.1),)),
        "SGA": Method(SGD(0.01), transforms=(SymplecticAdjustment(1.0),)),
    }


@pytest.mark.parametrize("name", ridge_methods())
def test_follow_the_ridge_functions_one_and_two(name: str) -> None:
    """f1 = -3x^2 - y^2 + 4xy: 0 is a minimax point that repels the flow. f2 = 3x^2 + y^2 + 4xy: it is none and attracts [wang2020]."""
    method = ridge_methods()[name]
    f1 = linear_field(torch.tensor([[6.0, -4.0], [4.0, -2.0]], dtype=torch.float64), PLAYERS)
    f2 = linear_field(torch.tensor([[-6.0, -4.0], [4.0, 2.0]], dtype=torch.float64), PLAYERS)
    reached = float(end(method, f1, of(5.0, 7.0), 300).norm())
    assert (reached < 1e-2) if name in ("CO", "SGA") else (reached > 1e6), reached
    assert float(end(method, f2, of(6.0, 5.0), 400).norm()) < 0.1


def third_ridge(w: Tensor) -> Tensor:
    """``(0.4 x^2 - 0.1 (y - 3x + 0.05 x^3)^2 - 0.01 y^4) exp(-0.01 (x^2 + y^2))``."""
    x, y = w
    u = y - 3 * x + 0.05 * x**3
    e = torch.exp(-0.01 * (x**2 + y**2))
    f = (0.4 * x**2 - 0.1 * u**2 - 0.01 * y**4) * e
    fx = (0.8 * x - 0.2 * u * (-3 + 0.15 * x**2)) * e - 0.02 * x * f
    fy = (-0.2 * u - 0.04 * y**3) * e - 0.02 * y * f
    return torch.stack([-fx, fy])


@pytest.mark.parametrize("name", ridge_methods())
def test_follow_the_ridge_function_three_keeps_them_all_from_its_minimax_point(name: str) -> None:
    field = FunctionField(third_ridge, of(7.0, 5.0), players=PLAYERS)
    _, _, path = simulate(ridge_methods()[name], field, steps=250, every=5)
    assert float(path[10:].norm(dim=1).min()) > 0.5


def test_lase_and_nash_part_company() -> None:
    """f = -x^2/2 + 2xy - y^2: attracting, though x sits at a maximum of its own loss; spectrum (-1 +- i sqrt 7)/2."""
    field = linear_field(torch.tensor([[1.0, -2.0], [2.0, -2.0]], dtype=torch.float64), PLAYERS)
    values = torch.linalg.eigvals(field.jacobian().to_dense())
    assert sorted(v.imag for v in values.tolist()) == pytest.approx([-(7**0.5) / 2, 7**0.5 / 2])
    for method in with_step(0.1).values():
        assert float(end(method, field, of(1.0, 1.0), 200).norm()) < 1e-2


# Mean loss s^2 - s after 30 steps of 0.1 from N(0, 0.1^2), s = x + y; consensus after 31, when it is on the far side.
TANDEM = {"GDA": (0.0, 1e-4), "SGA": (0.0, 1e-4), "EG": (-3.5e-4, 3e-4), "CGD": (-8e-6, 1e-4), "CO": (2.05, 0.15)}


@pytest.mark.parametrize("name", TANDEM)
def test_the_tandem_game(name: str) -> None:
    """L1 = (x + y)^2 - 2x, L2 = (x + y)^2 - 2y; consensus of weight 1 has the multiplier -1 there and jumps to and fro [letcher2019]."""
    field = FunctionField(lambda w: 2 - 2 * w.sum() * torch.ones_like(w), of(0.0, 0.0), players=PLAYERS)
    method = {**with_step(0.1), "EG": Method(SGD(0.1), Extragradient())}[name]
    starts = 0.1 * torch.randn(8, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sums = torch.stack([end(method, field, start, 31 if name == "CO" else 30).sum() for start in starts])
    expected, error = TANDEM[name]
    assert float((sums**2 - sums).mean()) == pytest.approx(expected, abs=error)


@pytest.mark.parametrize(
    ("name", "low", "high"), [("GDA", 2.4, 4.0), ("CGD", 0.05, 0.4), ("EG", 0.02, 0.2), ("SGA", 0.05, 0.4)]
)
def test_matching_pennies_through_sigmoids(name: str, low: float, high: float) -> None:
    """Rate 1, 100 epochs from N(0, 1); the mean distance from the middle over 6 runs."""

    def field(w: Tensor) -> Tensor:
        p, q = torch.sigmoid(w)
        return torch.stack([-2 * p * (1 - p) * (2 * q - 1), 2 * q * (1 - q) * (2 * p - 1)])

    pennies = FunctionField(field, of(0.0, 0.0), players=PLAYERS)
    method = {**with_step(1.0), "EG": Method(SGD(1.0), Extragradient())}[name]
    starts = torch.randn(6, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = float(torch.stack([end(method, pennies, start, 100).norm() for start in starts]).mean())
    assert low < found < high, found


def test_an_optimism_that_the_rate_does_not_scale_solves_what_the_usual_one_does_not() -> None:
    """Libraries that step ``(lr + o) u_t - o u_{t-1}`` mean ``ahead = o / lr``; at the same rate the usual rule drifts out."""
    field = linear_field(torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64), PLAYERS)
    adam, o = Adam(0.01), 0.3
    usual = end(Method(adam, Optimistic()), field, of(1.0, 1.0), 1500)
    strong = end(Method(adam, Optimistic(o / adam.lr)), field, of(1.0, 1.0), 1500)
    assert float(usual.norm()) > 2**0.5
    assert float(strong.norm()) < 1e-3


def forsaken(w: Tensor) -> Tensor:
    """``f = x (y - 0.45) + phi(x) - phi(y)``, ``phi = z^2/4 - z^4/2 + z^6/6`` [hsieh2021]."""
    x, y = w
    slope = w / 2 - 2 * w**3 + w**5
    return torch.stack([-(y - 0.45) - slope[0], x - slope[1]])


def test_no_extragradient_of_fixed_steps_leaves_the_cycle_of_the_forsaken_game() -> None:
    field = FunctionField(forsaken, of(1.0, -0.8), players=PLAYERS)
    solution = of(0.0780267, 0.4119339)
    assert float(field(solution).norm()) < 1e-6
    L = 12.4026
    for method in (Method(SGD(0.05)), *(Method(SGD(1 / L), ExtragradientPlus(part)) for part in (1.0, 0.5))):
        _, _, path = simulate(method, field, steps=400, every=20)
        assert float((path[10:] - solution).norm(dim=1).min()) > 0.3
    near = end(Method(SGD(1 / L), Extragradient()), field, solution + 0.05, 400)
    assert float((near - solution).norm()) < 0.05


def global_forsaken(w: Tensor) -> Tensor:
    x, y = w
    slope = 4 * w**5 / 7 - 4 * w**3 / 3 + 2 * w / 3
    return torch.stack([-y - slope[0], x - slope[1]])


def test_eg_plus_solves_where_gradient_steps_cycle() -> None:
    """f = xy + phi(x) - phi(y), phi' = 4z^5/7 - 4z^3/3 + 2z/3 [pethick2022]; L is 3.03 on the box, from the whole Jacobian."""
    field = FunctionField(global_forsaken, of(1.0, 1.0), players=PLAYERS)
    plain = end(Method(SGD(0.05), Simultaneous()), field, of(1.0, 1.0), 600)
    assert float(plain.norm()) > 0.5
    for part in (1.0, 0.5):
        assert float(end(Method(SGD(0.33), ExtragradientPlus(part)), field, of(1.0, 1.0), 600).norm()) < 1e-3
