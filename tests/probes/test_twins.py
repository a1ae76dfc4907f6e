"""Twins on maps whose growth is known, and on real loops."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from separatrix.dynamics import SGD, Adam, Alternating, Method, Run, Snapshot, UpdateMap, optim
from separatrix.errors import InputError, NonFiniteError
from separatrix.fields import FunctionField, Game
from separatrix.probes.twins import Twins, twins, twins_of_method


def a_matrix(radius: float, *, rotating: bool, seed: int = 0) -> Tensor:
    """A random non-normal 6 x 6 matrix of known spectral radius, with a leading pair or a leading real eigenvalue."""
    g = torch.Generator().manual_seed(seed)
    q = torch.eye(6, dtype=torch.float64) + 0.3 * torch.randn(6, 6, generator=g, dtype=torch.float64)
    core = torch.diag(torch.tensor([radius, 0.6, 0.5, 0.4, 0.3, 0.2], dtype=torch.float64))
    if rotating:
        c, s = math.cos(0.7), math.sin(0.7)
        core[:2, :2] = radius * torch.tensor([[c, -s], [s, c]], dtype=torch.float64)
    return q @ core @ torch.linalg.inv(q)


@pytest.mark.parametrize("rotating", [False, True])
@pytest.mark.parametrize("radius", [0.8, 1.3])
def test_a_linear_map_gives_the_logarithm_of_its_spectral_radius_to_one_percent(radius: float, rotating: bool) -> None:
    a = a_matrix(radius, rotating=rotating)
    x = torch.ones(6, dtype=torch.float64)
    run = Run(lambda: x.copy_(a @ x), {"x": x})
    found = twins(run, steps=200, directions=3)
    assert found.value == pytest.approx(math.log(radius), rel=0.01)
    assert found.stderr < 0.01
    assert x.tolist() == [1.0] * 6
    assert found.growth.shape == (3, 200)
    assert found.cost == 200 * (1 + 3 * 2) + 5 + 2
    assert ("grows" in found.sentence) is (radius > 1)
    assert not found.neutral
    shown = str(found)
    assert repr(found) == shown
    assert "direction 3" in shown
    assert "tensor(" not in shown


def test_a_method_s_growth_is_the_spectral_radius_of_its_update_map_momentum_included() -> None:
    b = torch.tensor([[-0.3, 1.0, 0.2], [-1.1, -0.2, 0.4], [0.1, -0.5, -0.9]], dtype=torch.float64)
    field = FunctionField(lambda x: b @ x, torch.ones(3, dtype=torch.float64), players={"a": 1, "b": 2})
    for method in (
        Method(SGD(0.1, momentum=0.8)),
        Method({"a": SGD(0.2), "b": SGD(0.1, momentum=0.5)}, Alternating(("b", "a"))),
    ):
        _, states = method.init(field)
        started = method.step(field, field.point, states)  # the first step of torch's momentum is another map
        dense = UpdateMap(method, field, *started).to_dense()
        radius = float(torch.linalg.eigvals(dense).abs().max())
        found = twins_of_method(method, field, *started, steps=300, burn_in=100)
        assert found.value == pytest.approx(math.log(radius), rel=0.01, abs=1e-4)


def test_a_run_and_the_same_method_on_the_field_agree() -> None:
    def build() -> Game:
        torch.manual_seed(0)
        x, y = (torch.randn(3, dtype=torch.float64).requires_grad_() for _ in range(2))
        return Game({"x": x, "y": y}, lambda m, _: m["x"] @ m["y"] + 0.1 * (m["x"] ** 4).sum())

    game = build()
    opt = optim.Simultaneous(game, Adam(0.05, (0.5, 0.9)))
    for _ in range(5):
        opt.step(None)
    run = Run(lambda: opt.step(None), {"x": game.models["x"], "y": game.models["y"], "opt": opt})
    by_run = twins(run, steps=20, directions=2)
    by_method = twins_of_method(opt.method, game.on(), None, opt.states, steps=20, directions=2)
    assert by_run.step_length == pytest.approx(by_method.step_length, rel=1e-9)
    assert abs(by_run.value - by_method.value) < 0.05 + 4 * (by_run.stderr + by_method.stderr)


def a_loop(fail_at: int = -1) -> tuple[Run, nn.Module]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    position = [0]
    calls = [0]
    data = torch.randn(64, 3)

    def step() -> None:
        calls[0] += 1
        if calls[0] == fail_at:
            raise RuntimeError("the user's own")
        x = data[(8 * position[0]) % 64 :][:8]
        position[0] += 1
        optimizer.zero_grad()
        (net(x) - x.sum(1, keepdim=True)).square().mean().backward()
        optimizer.step()

    return Run(step, {"net": net, "optimizer": optimizer, "position": position}), net


def test_twins_of_an_ordinary_loop_from_its_first_step_leave_it_as_it_was() -> None:
    run, _ = a_loop()
    before = run.snapshot()
    found = twins(run, steps=8, directions=2)
    assert math.isfinite(found.value)
    assert not before.differences(run.snapshot())
    again = twins(run, steps=8, directions=2)
    assert torch.equal(again.growth, found.growth)


def test_the_state_is_put_back_also_after_an_exception() -> None:
    run, _ = a_loop(fail_at=11)
    before = run.snapshot()
    with pytest.raises(RuntimeError, match="the user's own"):
        twins(run, steps=8)
    assert not before.differences(run.snapshot())


def test_a_run_that_leaves_the_finite_numbers_says_where() -> None:
    x = torch.full((2,), 1e30)
    with pytest.raises(NonFiniteError, match="'weights' became non-finite"):
        twins(Run(lambda: x.mul_(1e5), {"weights": x}), steps=4)
    assert x[0].item() == pytest.approx(1e30)


def test_twins_that_become_equal_are_told_by_minus_infinity() -> None:
    x = torch.ones(2)
    assert twins(Run(lambda: x.zero_(), {"x": x}), steps=4).value == -math.inf


@pytest.mark.parametrize("bad", [{"steps": 0}, {"directions": 0}, {"scales": (0.0,)}, {"burn_in": 30}])
def test_bad_arguments_are_named(bad: dict[str, Any]) -> None:
    x = torch.ones(2)
    with pytest.raises(InputError, match="steps > burn_in"):
        twins(Run(lambda: None, {"x": x}), **bad)
    with pytest.raises(InputError, match="no floating-point tensor"):
        twins(Run(lambda: None, {"n": 1}))


def test_second_moments_stay_non_negative_beside_the_run() -> None:
    run, _ = a_loop()
    for _ in range(3):
        run.step()
    from separatrix.probes.twin_pairs import shifted

    floats = Snapshot.of(run.state).floats()
    read = sorted(run.snapshot().parameters())
    moved = shifted(floats, {n: -t - 1 for n, t in floats.items()}, read)
    assert all(bool((moved[n] >= 0).all()) for n in floats if "exp_avg_sq" in n or n.endswith("running_var"))
    assert all(torch.allclose(moved[n], -torch.ones_like(moved[n])) for n in read)


def test_a_run_that_forgets_part_of_its_state_is_refused_and_not_measured_wrongly() -> None:
    x = torch.ones(3, dtype=torch.float64)
    hidden = torch.zeros(3, dtype=torch.float64)

    def step() -> None:
        hidden.add_(x)
        x.mul_(0.9).add_(hidden, alpha=0.01)

    with pytest.raises(InputError, match="twins need a step that can be replayed"):
        twins(Run(step, {"x": x}))
    assert x.tolist() == [1.0] * 3


def told(value: float, stderr: float, steps: int) -> str:
    growth = torch.full((2, steps), value, dtype=torch.float64)
    return Twins(value, stderr, growth, 0.1, 1.0, 0, 0).sentence


def test_growth_is_told_with_its_error_and_is_neutral_by_what_it_amounts_to_over_the_steps_that_were_run() -> None:
    # T |log |m|| on each side of 1, for a growth far beyond its error.
    clear = told(0.0499, 0.005, 20)
    assert "grows by 5.1% a step" in clear
    assert "10.0 standard errors from 0" in clear
    assert "factor of 2.7: neutral, since T |log |m|| = 1.00 is below 1; a factor e would take 21 steps" in clear
    beyond = told(0.0501, 0.005, 20)
    assert "the run depends on where it started" in beyond
    assert "neutral" not in beyond
    assert "drawn to one path" in told(-0.0501, 0.005, 20)
    assert "neutral" in told(-0.0499, 0.005, 20)
    within = told(0.001, 0.001, 20)
    assert "neither grows nor shrinks beyond the error" in within
    assert "neutral" in within
    assert "undecided; take more steps" in told(0.06, 0.04, 20)
    assert "its error is unknown" in told(0.06, math.nan, 20)
    assert "became equal" in told(-math.inf, math.nan, 20)


@pytest.mark.parametrize("given", [lambda: None, nn.Linear(1, 1)])
def test_what_is_no_run_is_told_how_to_become_one(given: Any) -> None:
    with pytest.raises(InputError, match=r"twins take a Run, got a \w+; make one .* sx\.Run\(step, "):
        twins(given)
