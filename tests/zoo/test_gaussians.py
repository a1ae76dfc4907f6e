"""Eight Gaussians: eight distinct centres, the networks of the setting, and a score on constructed samples."""

from __future__ import annotations

from math import log

import pytest
import torch
from torch import nn

from separatrix.dynamics import Consensus, Method, RMSprop, simulate
from separatrix.zoo import load
from separatrix.zoo.gaussians import centres, ring, score_points


def test_the_eight_centres_are_distinct_and_evenly_spread():
    at = centres()
    away = torch.cdist(at, at) + 10 * torch.eye(8)
    assert at.shape == (8, 2)
    torch.testing.assert_close(at.norm(dim=1), torch.ones(8, dtype=torch.float64))
    torch.testing.assert_close(away.min(dim=1).values, torch.full((8,), 0.7653668647301796, dtype=torch.float64))


def test_the_data_cover_all_modes_with_their_width():
    problem = load("eight-gaussians")
    for points in (problem.data, problem.held_out, torch.cat([next(problem.minibatches(s)) for s in range(8)])):
        assert score_points(points) == {"modes": 8.0, "good": 1.0}
        offset = points.double()[:, None] - centres()
        nearest = offset.norm(dim=2).argmin(dim=1)
        spread = offset[torch.arange(len(points)), nearest].std()
        assert spread == pytest.approx(0.01, rel=0.05)
        assert nearest.bincount().min() > 0.08 * len(points)
    assert not torch.equal(problem.data, problem.held_out)
    assert next(problem.minibatches(0)).shape == (512, 2)


def test_the_networks_have_four_hidden_layers_of_sixteen():
    models = load("eight-gaussians").game.models
    sizes = {p: [tuple(w.shape) for w in m.parameters() if w.ndim == 2] for p, m in models.items()}
    middle = [(16, 16)] * 3
    assert sizes == {"G": [(16, 16), *middle, (2, 16)], "D": [(16, 2), *middle, (1, 16)]}
    assert any(isinstance(layer, nn.ReLU) for layer in models["G"])
    smooth = load("eight-gaussians-smooth").game.models
    assert not any(isinstance(layer, nn.ReLU) for m in smooth.values() for layer in m)


@pytest.mark.parametrize("modes", [0, 1, 5, 8])
def test_the_score_counts_the_modes_that_samples_lie_at(modes):
    points = ring(4096, torch.Generator().manual_seed(0)) * 3  # far out
    points[: 41 * modes] = centres()[:modes].float().repeat(41, 1)
    assert score_points(points) == {"modes": modes, "good": pytest.approx(41 * modes / 4096)}


def test_forty_of_4096_samples_are_no_mode_and_forty_one_are():
    points = torch.full((4096, 2), 5.0)
    points[:40] = centres()[3].float()
    assert score_points(points)["modes"] == 0
    points[40] = centres()[3].float() + torch.tensor([0.0, 0.099])
    assert score_points(points)["modes"] == 1
    points[40] = centres()[3].float() + torch.tensor([0.0, 0.101])
    assert score_points(points)["modes"] == 0


def test_an_untrained_generator_covers_one_mode_at_most():
    for seed in range(3):
        problem = load("eight-gaussians", seed=seed)
        assert problem.score(problem.game.models)["modes"] <= 1
        assert problem.samples(problem.game.models).shape == (512, 2)


def test_a_flat_discriminator_shows_the_losses_of_convergence():
    problem = load("eight-gaussians")
    with torch.no_grad():
        for w in problem.game.models["D"][-1].parameters():
            w.zero_()
    losses = problem.field().losses()
    assert losses["G"]["loss"] == pytest.approx(log(2), rel=1e-6)
    assert losses["D"]["loss"] == pytest.approx(2 * log(2), rel=1e-6)
    assert problem.score(problem.game.models)["modes"] <= 1


def test_consensus_runs_on_it():
    problem = load("eight-gaussians", lr=1e-3)
    base = RMSprop(1e-3, alpha=0.9, eps=1e-10)
    assert problem.method.bases == {"G": base, "D": base}
    field = problem.field()
    x, _, _ = simulate(Method(base, transforms=(Consensus(10.0),)), field, steps=10)
    # RMSprop steps by the signs at first; ten steps shrink the field's norm if consensus has the right sign.
    assert field(x).norm() < field().norm()
