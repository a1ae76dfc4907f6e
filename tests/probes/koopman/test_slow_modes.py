"""Slow modes of runs whose modes are known, with and without noise, and of runs that have none."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from separatrix.dynamics import Roles, Run
from separatrix.errors import InputError, NonFiniteError
from separatrix.probes.koopman import Recording, Sketch, record, slow_modes


def an_oscillator(modulus: float, angle: float, noise: float, seed: int = 0, extra: int = 10, **roles: Any) -> Run:
    """A turning pair among fast decaying coordinates, in random axes."""
    g = torch.Generator().manual_seed(seed)
    n = 2 + extra
    matrix = torch.zeros(n, n, dtype=torch.float64)
    c, s = math.cos(angle), math.sin(angle)
    matrix[:2, :2] = modulus * torch.tensor([[c, -s], [s, c]])
    matrix[2:, 2:] = torch.diag(torch.rand(extra, generator=g, dtype=torch.float64) * 0.5)
    axes = torch.linalg.qr(torch.randn(n, n, generator=g, dtype=torch.float64)).Q
    matrix = axes @ matrix @ axes.T
    x = torch.randn(n, generator=g, dtype=torch.float64)
    draws = torch.Generator().manual_seed(seed + 1)

    def step() -> None:
        x.copy_(matrix @ x + noise * torch.randn(n, generator=draws, dtype=torch.float64))

    run = Run(step, {"x": x, "draws": draws}, roles=Roles(**roles))
    for _ in range(50):
        run.step()
    return run


def test_a_turning_pair_without_noise_is_found_exactly_and_the_run_is_put_back() -> None:
    run = an_oscillator(0.999, 0.05, 0.0)
    before = run.snapshot()
    recording = record(run, steps=800, every=4)
    assert not before.differences(run.snapshot())
    found = slow_modes(recording)
    assert not found.noise_seen
    turn = found.turning
    assert turn is not None
    assert turn.period == pytest.approx(2 * math.pi / 0.05, rel=1e-6)
    assert turn.growth == pytest.approx(0.999, rel=1e-6)
    assert turn.kept == pytest.approx(0.999 ** (2 * math.pi / 0.05), rel=1e-4)
    assert turn.residual < 1e-6
    assert turn.share[""] > 0.99
    assert recording.cost == 1600
    assert "turns once in 126" in found.sentence


@pytest.mark.parametrize(("modulus", "noise"), [(0.999, 0.05), (0.98, 0.1)])
def test_noise_does_not_hide_the_turn_and_the_errors_cover_the_truth(modulus: float, noise: float) -> None:
    found = slow_modes(record(an_oscillator(modulus, 0.05, noise), steps=1200, every=4))
    assert found.noise_seen
    turn = found.turning
    assert turn is not None
    assert abs(turn.period - 2 * math.pi / 0.05) < 3 * turn.period_stderr
    assert abs(turn.growth - modulus) < 3 * turn.growth_stderr
    assert turn.corrected is not None
    assert turn.corrected < turn.residual**2 / 5
    assert turn.share[""] > 0.5


def test_nothing_turns_in_noise_alone_nor_in_a_decay() -> None:
    still = slow_modes(record(an_oscillator(0.0, 0.1, 1.0), steps=800, every=4))
    assert still.turning is None
    assert any("noise alone" in m.why for m in still.modes)
    assert "no mode turns" in still.sentence
    x = torch.full((3,), 5.0, dtype=torch.float64)
    rates = torch.tensor([0.99, 0.98, 0.9], dtype=torch.float64)
    decay = slow_modes(record(Run(lambda: x.mul_(rates), {"x": x}), steps=300, every=2))
    assert decay.turning is None
    assert decay.accepted[0].growth == pytest.approx(0.99, rel=1e-6)
    assert decay.accepted[0].period == math.inf


def test_chaos_has_no_mode_to_believe() -> None:
    x = torch.tensor([0.3], dtype=torch.float64)
    found = slow_modes(record(Run(lambda: x.copy_(3.9 * x * (1 - x)), {"x": x}), steps=400, every=1), delays=3)
    assert found.turning is None
    assert any("residual" in m.why for m in found.modes)


def test_less_than_two_turns_are_not_enough() -> None:
    found = slow_modes(record(an_oscillator(1.0, 0.005, 0.0), steps=800, every=4))
    assert found.turning is None
    assert any(m.why == "less than two turns were seen" for m in found.modes)


def test_players_and_outputs_are_recorded_each_in_its_columns() -> None:
    torch.manual_seed(0)
    net, other = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.Linear(16, 1)), torch.zeros(3)
    opt = torch.optim.SGD(net.parameters(), lr=0.01)

    def step() -> None:
        other.add_(0.1)
        opt.zero_grad()
        net(torch.randn(8, 4)).square().mean().backward()
        opt.step()

    inputs = torch.randn(5, 4)
    roles = Roles(players={"net": net, "other": other}, outputs={"seen": lambda: net(inputs)})
    run = Run(step, {"net": net, "other": other, "opt": opt}, roles=roles)
    found = record(run, steps=12, every=2, width=8)
    assert found.columns == ("net",) * 8 + ("other",) * 3 + ("output:seen",) * 5
    assert found.values.shape == (7, 16)
    assert found.second is not None
    assert not torch.equal(found.second[:, :8], found.values[1:, :8])  # the batches were drawn anew
    torch.testing.assert_close(found.second[:, 8:11], found.values[1:, 8:11])  # what draws nothing went the same way
    plain = record(run, steps=12, every=2, width=8, pairs=False)
    assert torch.equal(plain.values, found.values)
    assert plain.cost == 12


def test_a_position_in_the_data_is_moved_by_the_user_s_function() -> None:
    data, x, position = torch.arange(50.0), torch.zeros(1), [0]

    def step() -> None:
        x.add_(data[position[0] % 50])
        position[0] += 1

    run = Run(step, {"x": x, "position": position}, roles=Roles(players={"x": x}))
    same = record(run, steps=8, every=2)
    assert same.second is not None
    assert torch.equal(same.second, same.values[1:])

    def elsewhere(number: int) -> None:
        position[0] = 7 * number + 11

    other = record(run, steps=8, every=2, redraw=elsewhere)
    assert other.second is not None
    assert not torch.equal(other.second, other.values[1:])
    assert torch.equal(other.values, same.values)
    assert position == [0]


def test_a_sketch_keeps_distances_on_average() -> None:
    g = torch.Generator().manual_seed(0)
    a: Tensor = torch.randn(5000, generator=g)
    ratios = []
    for seed in range(60):
        sketch = Sketch({"all": {"a": a, "b": torch.zeros(2, 3)}}, width=16, seed=seed)
        ratios.append(float(sketch({"all": {"a": a, "b": torch.zeros(2, 3)}}).norm() / a.norm()))
    assert sum(ratios) / 60 == pytest.approx(1.0, abs=0.1)
    small = Sketch({"few": {"a": torch.zeros(3)}}, width=16)
    assert torch.equal(
        small({"few": {"a": torch.tensor([1.0, 2.0, 3.0])}}), torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    )


def test_what_cannot_be_recorded_or_read_is_named() -> None:
    x = torch.ones(2)
    run = Run(lambda: x.mul_(0.5), {"x": x})
    with pytest.raises(InputError, match="steps >= 2 every"):
        record(run, steps=3, every=2)
    with pytest.raises(InputError, match="holds no floating-point tensor to record"):
        record(Run(lambda: None, {"n": [1]}), steps=4, every=1)
    with pytest.raises(InputError, match="at least 20 rows, got 4"):
        slow_modes(record(run, steps=4, every=1))
    with pytest.raises(InputError, match="stood still"):
        slow_modes(Recording(torch.ones(40, 2, dtype=torch.float64), None, 1, ("a", "a"), 40))
    y = torch.full((1,), 1e30)
    with pytest.raises(NonFiniteError, match="non-finite before row 2"):
        record(Run(lambda: y.mul_(1e6), {"y": y}), steps=8, every=1)
