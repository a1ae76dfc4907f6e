"""The trust horizon on fields whose nonlinearity and drift are known."""

import pytest
import torch
from linear_games import linear, random_matrix, setting_of
from torch import Tensor

import separatrix as sx
from separatrix.dynamics import SGD, Adam, Alternating, Extragradient, RMSprop, Scheme, Simultaneous
from separatrix.fields import FunctionField
from separatrix.probes import Horizon, horizon, settle
from separatrix.probes.horizon import THRESHOLD, rate_error


@pytest.mark.parametrize("scheme", [Simultaneous(), Alternating(), Extragradient()])
def test_a_linear_field_is_trusted_to_the_end(scheme: Scheme) -> None:
    found = horizon(setting_of(random_matrix(5, 0), {"a": 2, "b": 3}, SGD(0.05), scheme), most=40)
    assert found.reached
    assert found.steps == 40
    assert max(error for _, error in found.curve) < 1e-12
    assert max(drift for _, drift in found.drift) == 0.0
    assert "holds for at least 40 steps" in str(found.section()["sentence"])


def curved(x: Tensor) -> Tensor:
    return -x - 0.5 * x.square()


def a_curved_setting(at: float, lr: float = 0.1) -> sx.probes.Setting:
    return settle(FunctionField(curved, torch.tensor([at], dtype=torch.float64)), sx.Method(SGD(lr)))


def test_the_error_on_a_quadratic_field_is_its_second_order_term() -> None:
    """``v(x + d) - v(x) = -(1 + x) d - d^2 / 2``, so ``e = |d| / 2 / |1 + x + d / 2|``."""
    found = horizon(a_curved_setting(1.0), most=16)
    x = 1.0
    for step, error in found.curve:
        at = torch.tensor([x], dtype=torch.float64)
        for _ in range(step):
            at = at + 0.1 * curved(at)
        d = float(at) - x
        assert error == pytest.approx(abs(d) / 2 / abs(1 + x + d / 2), rel=1e-10)
    assert not found.reached
    assert found.errors[-1][1] > THRESHOLD >= found.errors[-2][1]
    assert found.steps == found.curve[-2][0]


def test_the_horizon_shrinks_with_the_step_and_near_an_equilibrium_there_is_no_end() -> None:
    steps = [horizon(a_curved_setting(1.0, lr)).steps for lr in (0.003, 0.03, 0.3)]
    assert steps == sorted(steps, reverse=True)
    assert steps[0] > steps[2] == 0
    assert horizon(a_curved_setting(1e-3)).reached
    assert horizon(a_curved_setting(0.0)).curve[0] == (1, 0.0)


@pytest.mark.parametrize("lr", [1e-3, 1e-5, 1e-6])
def test_rounding_of_tiny_steps_in_float32_is_not_taken_for_nonlinearity(lr: float) -> None:
    matrix = random_matrix(200, 1).float()
    x = torch.randn(200, generator=torch.Generator().manual_seed(2))
    field = FunctionField(lambda z: matrix @ z, x)
    assert horizon(settle(field, sx.Method(SGD(lr))), most=8).reached


def test_a_drifting_second_moment_ends_it_on_a_linear_field_too() -> None:
    """A constant field: ``J`` explains all, while the root of RMSprop's average falls towards its gradient."""
    base = RMSprop(0.1, alpha=0.9, eps=0.0)
    field = FunctionField(lambda x: -1 + 0 * x, torch.zeros(1, dtype=torch.float64))
    states = {"x": {"step": 1, "square": torch.tensor([2.0], dtype=torch.float64)}}
    found = horizon(settle(field, sx.Method(base), states=states))
    for step, drift in found.drift:
        square = 1 + 0.9**step
        assert drift == pytest.approx((2 / square) ** 0.5 - 1, rel=1e-12)
    assert found.curve[0][1] == 0.0
    assert found.steps == 1
    assert found.errors[1][1] == pytest.approx(rate_error(2, 0.0, found.drift[1][1]))


@pytest.mark.parametrize(("error", "steps"), [(0.9999, 1), (1.0, 1), (1.0001, 0)])
def test_the_threshold_counts_error_and_drift_together(error: float, steps: int) -> None:
    """A planted constant drift and a quadratic field: the first step on each side of 10% and on it."""
    drift_free = a_curved_setting(1.0)
    # e of the first step is d / 2 / |2 + d / 2| with d = -1.5 lr; choose lr so that it is the wanted share of the threshold.
    wanted = error * THRESHOLD / rate_error(1, 1.0, 0.0) * (1 - 1e-12)
    d = 4 * wanted / (1 + wanted)
    found = horizon(settle(drift_free.field, sx.Method(SGD(d / 1.5))), most=1)
    assert found.curve[0][1] == pytest.approx(wanted, rel=1e-9)
    assert found.steps == steps


def test_the_first_steps_of_adam_drift() -> None:
    field = linear(random_matrix(4, 1))
    x, states, _ = sx.simulate(sx.Method(Adam(0.1)), field, steps=3)
    found = horizon(settle(field, sx.Method(Adam(0.1)), x=x, states=states))
    assert found.curve[0][1] < 1e-10
    assert found.drift[0][1] > 0.01


def test_a_path_that_leaves_the_numbers_ends_the_horizon() -> None:
    field = FunctionField(lambda x: x * torch.exp(200 * x.square()), torch.ones(1, dtype=torch.float64))
    found = horizon(settle(field, sx.Method(SGD(1.0))))
    assert not found.reached
    assert found.steps == 0


def test_the_section_holds_the_error_that_is_compared_with_the_threshold() -> None:
    section = Horizon(1, ((1, 0.02), (2, 0.09)), ((1, 0.01), (2, 0.04)), False).section()
    assert [row["error"] for row in section["curve"]] == pytest.approx([0.08 / 3 + 0.03, 0.12 + 0.09])  # type: ignore[attr-defined]
    assert [row["error"] for row in section["unexplained"]] == [0.02, 0.09]  # type: ignore[attr-defined]
    assert "holds for 1 step:" in str(section["sentence"])
    assert "not one step could be made" in str(Horizon(0, (), (), False).section()["sentence"])
