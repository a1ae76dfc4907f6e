"""The gauge split of scores: closed forms, tests that tell a harmless rest from a wrong score, and the dimension."""

import math

import pytest
import torch

from separatrix.errors import InputError
from separatrix.fields import FunctionField
from separatrix.probes.decompose import (
    flow_dimension,
    gauge_split,
    polynomial_features,
    random_features,
)

TURN = torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
VARIANCE = torch.tensor([4.0, 1.0], dtype=torch.float64)
CENTRES = torch.tensor([[2.0, 0.0], [-1.0, 1.7], [-1.0, -1.7]], dtype=torch.float64)


def draw(count, seed=0):
    return torch.randn(count, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gaussian(count, seed=0):
    return draw(count, seed) * VARIANCE.sqrt()


def gaussian_score(x):
    return -x / VARIANCE


def mixture(count, sigma, seed=0):
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randint(0, 3, (count,), generator=generator)
    return CENTRES[chosen] + sigma * torch.randn(count, 2, generator=generator, dtype=torch.float64)


def mixture_score(sigma):
    def score(x):
        off = CENTRES - x[:, None, :]
        weight = (-off.square().sum(2) / (2 * sigma**2)).softmax(1)
        return (weight[:, :, None] * off).sum(1) / sigma**2

    return score


def test_a_gaussian_with_a_known_gauge_has_its_known_share():
    """``r = J Sigma^-1 x``: ``div(p r) = 0``, ``E|r|^2 = tr(J Sigma^-1 J^T) = 1.25``, and so is ``E|s|^2``."""
    x = gaussian(8000)

    def score(x):
        return gaussian_score(x) + 0.6 * (x / VARIANCE) @ TURN.T

    found = gauge_split(score, x, polynomial_features(x, 2), true_score=gaussian_score)
    wanted = 0.36 * 1.25 / (1.25 + 0.36 * 1.25)
    assert abs(found.gauge_share.value - wanted) <= 3 * found.gauge_share.stderr
    assert found.gauge_share.stderr < 0.02
    assert found.gauge.holds == found.density_survives.holds == "yes"
    assert found.score_error.value < 0.01
    assert found.drift < 1e-12
    # J = -Sigma^-1 + 0.6 TURN Sigma^-1: |A|^2 = (0.6 (1/4 + 1) / 2)^2 * 2
    matrix = -torch.diag(1 / VARIANCE) + 0.6 * TURN / VARIANCE
    share = float(((matrix - matrix.T) / 2).square().sum() / matrix.square().sum())
    assert found.rotation_share == pytest.approx(share, rel=1e-10)
    assert torch.allclose(found.rest(score, x[:5]), score(x[:5]) - found.conservative.gradient(x[:5]))
    assert "survive" in found.status


def test_a_gradient_that_is_the_wrong_score_does_not_survive():
    """Being a gradient is not sufficient: the score of a wider Gaussian has no gauge part, and is wrong."""
    x = gaussian(4000, seed=1)
    found = gauge_split(lambda x: gaussian_score(x) / 1.2, x, polynomial_features(x, 2), true_score=gaussian_score)
    assert found.gauge_share.value < 1e-10
    assert found.density_survives.holds == "no"
    assert found.drift > 0.1
    assert "sampling and density are off" in found.status


def test_a_rotation_that_is_no_gauge_is_refused():
    """A rigid rotation of an anisotropic Gaussian moves density, unlike the gauge ``J Sigma^-1 x``."""
    x = gaussian(4000, seed=2)
    found = gauge_split(
        lambda x: gaussian_score(x) + 0.4 * x @ TURN.T, x, polynomial_features(x, 2), true_score=gaussian_score
    )
    assert found.density_survives.holds == "no"
    assert found.drift > 0.1


def test_right_scores_are_kept_and_slightly_wrong_ones_refused():
    kept = refused = 0
    for seed in range(20):
        x = gaussian(2000, seed=10 + seed)
        features = polynomial_features(x, 2)
        good = gauge_split(lambda x: gaussian_score(x) + (x / VARIANCE) @ TURN.T, x, features, seed=seed)
        bad = gauge_split(lambda x: 0.75 * gaussian_score(x) + (x / VARIANCE) @ TURN.T, x, features, seed=seed)
        kept += good.density_survives.holds != "no"
        refused += bad.density_survives.holds == "no"
    assert kept == 20
    assert refused >= 18


def test_a_mixture_keeps_its_law_under_a_gauge_and_the_simulation_agrees():
    """``R grad log p`` with ``R`` antisymmetric: samples stay where they were, by simulation and by the test."""
    true = mixture_score(0.5)

    def gauged(x):
        return true(x) + true(x) @ TURN.T

    x = mixture(6000, 0.5)
    found = gauge_split(gauged, x, random_features(x, 120, width=2.0), true_score=true)
    assert found.gauge.holds != "no"
    assert found.density_survives.holds == "yes"
    assert found.drift < 1e-10
    assert found.rotation_share > 0.1
    assert found.gauge_share.value > 0.3
    # The flow dx/dsigma = -sigma (score + gauge) from sigma 1.5 to 0.5 against fresh samples at 0.5.
    y, steps = mixture(2000, 1.5, seed=3), 250
    for k in range(steps):
        sigma = 1.5 - k / steps
        score = mixture_score(sigma - 0.5 / steps)
        middle = y + 0.5 / steps * sigma * (score(y) + score(y) @ TURN.T)
        y = y + sigma / steps * (score(middle) + score(middle) @ TURN.T)
    fresh = mixture(2000, 0.5, seed=4)
    assert energy_distance(y, fresh) < 3 * energy_distance(mixture(2000, 0.5, seed=5), fresh) + 0.01


def energy_distance(a, b):
    return float(2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean())


def test_a_basis_that_is_too_small_is_said():
    true = mixture_score(0.5)
    x = mixture(4000, 0.5, seed=7)
    found = gauge_split(true, x, polynomial_features(x, 2))
    assert found.gauge.holds == "no"
    assert "larger basis" in found.status
    assert found.density_survives.holds == "yes"  # that test does not use the basis


def test_fields_are_taken_as_scores():
    x = gaussian(1000, seed=8)
    field = FunctionField(lambda p: -p / VARIANCE, torch.zeros(2, dtype=torch.float64))
    found = gauge_split(field, x, polynomial_features(x, 2))
    assert found.gauge_share.value < 1e-10
    assert found.rotation_share == 0


def test_too_few_samples_and_other_shapes_are_refused():
    x = gaussian(40)
    with pytest.raises(
        InputError, match="20 held-out samples are too few to test 10 functions; 40 are needed: give 80"
    ):
        gauge_split(gaussian_score, x, polynomial_features(x, 2))
    with pytest.raises(InputError, match=r"samples have shape \(m, n\)"):
        gauge_split(gaussian_score, x[:, 0], polynomial_features(x, 2))
    with pytest.raises(InputError, match="it must keep the shape"):
        gauge_split(lambda x: x[:, :1], x, polynomial_features(x, 2))


@pytest.mark.parametrize("omega", [0.0, 2.0])
def test_the_dimension_of_a_plane_is_two_also_under_an_exact_gauge(omega):
    """``N(0, diag(1, 1, 0) + sigma^2)`` in three dimensions, sigma from 20 to 0.01; singular values times sqrt(401)."""
    turn = torch.zeros(3, 3, dtype=torch.float64)
    turn[0, 2], turn[2, 0] = 1.0, -1.0

    def score(x, sigma):
        inverse = 1 / (torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64) + sigma**2)
        return -inverse * x - omega * turn @ (inverse * x)

    start = torch.tensor([5.0, -3.0, 10.0], dtype=torch.float64)
    found = flow_dimension(score, start, sigma_max=20.0, sigma_min=0.01, steps=300)
    assert found.value == 2
    scaled = found.singular_values * math.sqrt(401)
    assert scaled[:2].tolist() == pytest.approx([1.0, 1.0], abs=2e-3)
    assert float(scaled[2]) == pytest.approx(0.01, rel=0.01)
    assert found.error < 1e-3


def test_a_full_space_shows_no_gap():
    found = flow_dimension(
        lambda x, sigma: -x / (1 + sigma**2), torch.ones(2, dtype=torch.float64), sigma_max=5.0, sigma_min=0.1, steps=40
    )
    assert found.value is None
    assert "no gap" in found.status
    with pytest.raises(InputError, match="noise falls"):
        flow_dimension(lambda x, sigma: -x, torch.ones(2), sigma_max=0.1, sigma_min=5.0)


def test_the_weak_tests_refuse_true_hypotheses_about_as_rarely_as_they_say():
    """A true score with a gauge part: p-values are uniform, so one in ten lies below 0.1 and next to none below 0.001."""
    variance = torch.tensor([4.0, 1.0], dtype=torch.float64)
    gauge, density = [], []
    for seed in range(60):
        x = torch.randn(600, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * variance.sqrt()
        found = gauge_split(lambda p: -p / variance + (p / variance) @ TURN.T, x, polynomial_features(x, 2), seed=seed)
        gauge.append(found.gauge.p_value)
        density.append(found.density_survives.p_value)
    for values in (torch.tensor(gauge), torch.tensor(density)):
        assert (values < 1e-3).double().mean() <= 1 / 60
        assert (values < 0.1).double().mean() <= 0.2
        assert 0.3 < (values < 0.5).double().mean() < 0.7


def test_a_rest_of_rounding_holds_no_gradient():
    """A linear score is fitted exactly by a quadratic; what is left is rounding and says nothing about the basis."""
    x = torch.randn(400, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert gauge_split(lambda p: -0.7 * p, x, polynomial_features(x, 2)).gauge.holds == "yes"
