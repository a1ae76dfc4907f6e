"""Twins read at two lengths, in outputs, and by player, against maps that are known."""

import math

import pytest
import torch
from torch import nn

from separatrix.dynamics import Roles, Run
from separatrix.errors import InputError
from separatrix.probes.twins import twins


def a_linear_run(matrix: torch.Tensor, **roles: object) -> tuple[Run, torch.Tensor]:
    x = torch.ones(len(matrix), dtype=torch.float64)
    return Run(lambda: x.copy_(matrix @ x), {"x": x}, roles=Roles(**roles)), x  # type: ignore[arg-type]


def test_a_linear_map_grows_alike_at_both_lengths_and_in_an_output() -> None:
    c, s = math.cos(0.4), math.sin(0.4)
    matrix = torch.zeros(4, 4, dtype=torch.float64)
    matrix[:2, :2] = 1.05 * torch.tensor([[c, -s], [s, c]], dtype=torch.float64)
    matrix[2, 2], matrix[3, 3], matrix[0, 3] = 0.5, -0.3, 2.0
    read = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = torch.ones(4, dtype=torch.float64)
    run = Run(lambda: x.copy_(matrix @ x), {"x": x}, roles=Roles(outputs={"seen": lambda: read @ x}))
    found = twins(run, steps=120, directions=2)
    assert sorted({(r.name, r.scale) for r in found.readings}) == [
        ("parameters", 0.1),
        ("parameters", 1.0),
        ("seen", 0.1),
        ("seen", 1.0),
    ]
    for reading in found.readings:
        assert reading.value == pytest.approx(math.log(1.05), rel=0.01), (reading.name, reading.scale)
    assert found.reading().value == found.value
    assert found.reading("seen").scale == 0.1
    assert "seen, 0.100 steps apart" in str(found)
    with pytest.raises(InputError, match="no reading 'loss'"):
        found.reading("loss")


def test_a_map_that_grows_near_a_point_and_not_far_from_it_is_told_by_its_two_lengths() -> None:
    # The cycle of |x| = 1 repels within and attracts beyond: x' = x + h (x - x^3), read next to 0.
    x = torch.full((1,), 1e-3, dtype=torch.float64)
    run = Run(lambda: x.add_(0.5 * (x - x**3)), {"x": x})
    found = twins(run, steps=3, directions=2, scales=(800.0, 0.1), burn_in=0)
    assert found.reading(scale=0.1).value == pytest.approx(math.log(1.5), rel=0.05)
    assert found.reading(scale=800.0).value < 0.2


def test_what_one_player_does_to_another_is_the_block_of_the_map_s_power() -> None:
    """``x' = 0.9 x``, ``y' = 0.8 y + 0.5 x``: ``x`` moves ``y`` and not the other way round."""
    x, y = torch.ones(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    matrix = torch.tensor([[0.9, 0.0], [0.5, 0.8]], dtype=torch.float64)

    def step() -> None:
        found = matrix @ torch.cat([x, y])
        x.copy_(found[:1])
        y.copy_(found[1:])

    run = Run(step, {"x": x, "y": y}, roles=Roles(players={"x": x, "y": y}))
    found = twins(run, steps=12, directions=2)
    power = torch.linalg.matrix_power(matrix, 12)
    lengths = {"x": [], "y": []}
    at = torch.ones(2, dtype=torch.float64)
    for _ in range(5):
        following = matrix @ at
        lengths["x"].append(abs(float(following[0] - at[0])))
        lengths["y"].append(abs(float(following[1] - at[1])))
        at = following
    step_of = {name: sorted(values)[2] for name, values in lengths.items()}
    got = {(i.of, i.on): i for i in found.influence}
    for of, column in (("x", 0), ("y", 1)):
        for on, row in (("x", 0), ("y", 1)):
            expected = abs(float(power[row, column])) * step_of[of] / step_of[on]
            assert got[of, on].value == pytest.approx(expected, rel=1e-6)
            assert got[of, on].steps == 12
    assert got["y", "x"].value == 0.0
    assert found.cost == 12 * (1 + 2 * 2) + 7 + 12 * (1 + 2 * 2) + 5
    assert "x moved by a step moves y by" in str(found)
    assert twins(run, steps=12, directions=2, influence=False).influence == ()


def test_reading_samples_of_a_network_with_buffers_and_noise_leaves_the_run_as_it_was() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    latents = torch.randn(16, 2)

    def step() -> None:
        optimizer.zero_grad()
        (net(torch.randn(16, 2)) - 1).square().mean().backward()
        optimizer.step()

    roles = Roles(outputs={"samples": lambda: net(latents + 0.01 * torch.randn(16, 2))})
    run = Run(step, [net, optimizer], roles=roles)
    before = run.snapshot()
    found = twins(run, steps=5, directions=2)
    assert not before.differences(run.snapshot())
    assert math.isfinite(found.reading("samples").value)
    plain = twins(Run(step, [net, optimizer]), steps=5, directions=2)
    assert torch.equal(plain.growth, found.growth)  # reading the outputs changes nothing of the run


def test_a_player_that_the_state_does_not_list_is_named() -> None:
    run, x = a_linear_run(torch.eye(2, dtype=torch.float64) * 0.5)
    other = torch.zeros(1)
    with pytest.raises(InputError, match="player 'b' moves tensors that the state of 'run' does not list"):
        twins(Run(run.step, {"x": x}, roles=Roles(players={"a": x, "b": other})))
