"""The critic's numbers where they are known: separated scores, memory, slopes, dead units, coverage."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from separatrix.dynamics import Roles, Run
from separatrix.errors import InputError
from separatrix.probes import critic
from separatrix.probes.coverage import coverage
from separatrix.probes.critic import auc
from separatrix.probes.critic_units import live_units


def normal(count: int, mean: float, seed: int, d: int = 2) -> Tensor:
    return torch.randn(count, d, generator=torch.Generator().manual_seed(seed)) + mean


def a_run(module: Any, **roles: Any) -> Run:
    given = {"real": normal(400, 1.0, 0), "real_held_out": normal(400, 1.0, 1), "generated": lambda: torch.randn(64, 2)}
    return Run(
        lambda: None, [module] if isinstance(module, nn.Module) else [], roles=Roles(critic=module, **given | roles)
    )


def test_the_probability_of_a_right_ranking_is_that_of_two_normals_and_its_error_covers_it() -> None:
    """``P(a > b) = Phi(d / sqrt 2)`` for unit normals ``d`` apart."""
    expected = 0.5 * (1 + math.erf(1.0 / 2))
    inside = 0
    for seed in range(40):
        value, error = auc(normal(200, 1.0, seed, 1)[:, 0], normal(300, 0.0, 1000 + seed, 1)[:, 0])
        inside += abs(value - expected) < 2 * error
    assert inside >= 33
    assert auc(torch.ones(3), torch.ones(4)) == (0.5, 0.0)


def test_a_linear_critic_has_the_numbers_of_its_formula() -> None:
    """``D(x) = 2 x_1``: scores differ by 2 between the means, slopes are 2 everywhere."""
    found = critic(a_run(lambda x: 2 * x[:, 0]), count=400)
    assert found.scores["real"][0] - found.scores["generated"][0] == pytest.approx(2.0, abs=0.4)
    assert found.slopes == {"real": 2.0, "held_out": 2.0, "generated": 2.0}
    assert found.auc == pytest.approx(0.5 * (1 + math.erf(0.5)), abs=3 * found.auc_stderr)
    assert found.memory == pytest.approx(0.5, abs=3 * found.memory_stderr)  # type: ignore[operator]
    assert abs(found.r_v) < 3 * found.r_v_stderr  # type: ignore[operator, arg-type]
    assert found.flat == 0.0
    assert found.counts == {"real": 400, "held_out": 400, "generated": 400}
    assert "r_v = " in found.sentence


def test_a_critic_that_remembers_is_told_by_both_numbers() -> None:
    real = normal(100, 1.0, 0)

    def remembering(x: Tensor) -> Tensor:
        return ((x[:, None] - real).norm(dim=2).amin(dim=1) < 1e-6).float() + 1e-3 * x[:, 0]

    found = critic(a_run(remembering, real=real), count=100)
    assert found.r_v == pytest.approx(1.0, abs=0.01)
    assert found.memory == 1.0
    assert found.auc < 0.85
    half = critic(a_run(lambda x: remembering(x) + 1.0 * (x[:, 0] > 0.5), real=real), count=100)
    assert 0.2 < half.r_v < 1.0  # type: ignore[operator]


def test_without_held_out_samples_nothing_is_said_of_memory() -> None:
    found = critic(a_run(lambda x: x[:, 0], real_held_out=None))
    assert found.r_v is None
    assert found.memory is None
    assert found.counts["real"] == 400
    blind = critic(a_run(lambda x: 0 * x[:, 0]))
    assert blind.r_v is None
    assert blind.auc == 0.5
    assert blind.flat == 1.0


def test_dead_and_saturated_units_are_counted_layer_by_layer_for_modules_and_functions() -> None:
    net = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 1))
    with torch.no_grad():
        net[0].bias[:2] = -100.0  # never active
        net[0].bias[2:] = 20.0
        net[2].weight.mul_(0.1)
        net[2].weight[0] = 0.0
        net[2].bias[0] = 50.0  # tanh in float32 has no slope left: dead
        net[2].weight[1] = 0.0
        net[2].bias[1] = 4.0  # derivative 0.0013
    x = torch.randn(100, 2)
    found = live_units(net, net, [x[:50], x[50:]])
    assert (found["0"].count, found["0"].dead, found["0"].saturated) == (6, 2, 0)
    assert (found["2"].count, found["2"].dead, found["2"].saturated) == (5, 1, 1)
    assert found["0"].lost == pytest.approx(1 / 3)
    assert found["4"].dead == 0
    assert net[0]._forward_hooks == {}

    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.out = nn.Conv2d(1, 3, 2), nn.Linear(3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(relu(self.conv(x)).mean(dim=(2, 3)))

    conv = Functional()
    with torch.no_grad():
        conv.conv.bias.copy_(torch.tensor([-100.0, 5.0, 5.0]))
    found = live_units(conv, conv, [torch.randn(10, 1, 4, 4)])
    assert (found["conv"].count, found["conv"].dead) == (3, 1)


def test_coverage_is_that_of_the_clusters_that_are_made() -> None:
    g = torch.Generator().manual_seed(0)
    centres = 10 * torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])

    def cloud(count: int, clusters: int) -> Tensor:
        return centres[torch.arange(count) % clusters] + 0.3 * torch.randn(count, 2, generator=g)

    real, other = cloud(400, 4), cloud(400, 4)
    full, half, point = (coverage(real, cloud(400, k), other) for k in (4, 2, 1))
    assert full.relative == pytest.approx(1.0, abs=0.05)
    assert half.relative == pytest.approx(0.5, abs=0.05)
    assert point.relative == pytest.approx(0.25, abs=0.04)
    assert point.spread < 0.01 < full.spread
    assert coverage(real, real[:1].expand(400, 2), other).value < 0.05
    with pytest.raises(InputError, match="more than 5 real samples"):
        coverage(real[:4], real)


def test_a_generator_that_collapsed_is_seen_in_the_features_and_the_run_is_untouched() -> None:
    torch.manual_seed(0)
    d = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.LeakyReLU(), nn.Dropout(0.3), nn.Linear(8, 1))
    generator = torch.Generator().manual_seed(5)
    run = Run(
        lambda: None,
        [d, generator],
        roles=Roles(
            critic=d,
            real=normal(300, 0.0, 0),
            real_held_out=normal(300, 0.0, 1),
            generated=lambda: 0.01 * torch.randn(100, 2, generator=generator),
            features=lambda x: x,
        ),
    )
    before = run.snapshot()
    found = critic(run)
    assert not before.differences(run.snapshot())
    assert found.coverage is not None
    assert found.coverage.relative < 0.2
    assert found == critic(run)
    assert set(found.units) == {"0", "4"}
    assert "cover" in found.sentence


@pytest.mark.parametrize(
    ("roles", "words"),
    [
        ({"real": None}, "a critic needs to know real"),
        ({"critic": lambda x: x.sum()}, "one score a sample, got"),
        ({"critic": lambda x: x[:, 0] / 0}, "scores of real samples are not finite"),
        ({"generated": lambda: torch.zeros(0, 2)}, r"generated\(\) must return samples .* got shape \(0, 2\)"),
    ],
)
def test_what_does_not_fit_is_named(roles: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        critic(a_run(roles.pop("critic", lambda x: x[:, 0]), **roles))
