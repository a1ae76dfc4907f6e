"""Potentials fitted to samples: derivatives of the bases, exact fits, shares with errors, and too few samples."""

import pytest
import torch

from separatrix.errors import InputError
from separatrix.probes.decompose import decompose_samples, polynomial_features, radial_features, random_features


def draw(m, n, seed=0):
    return torch.randn(m, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


BASES = {
    "polynomial": lambda x: polynomial_features(x, 3),
    "radial": lambda x: radial_features(x, 7),
    "random": lambda x: random_features(x, 7),
}


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("n", [1, 3])
def test_derivatives_are_those_of_the_values(name, n):
    features = BASES[name](draw(40, n) * 2 + 1)
    x = draw(5, n, seed=1)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda p: features.values(p[None])[0]))(x)
    assert torch.allclose(features.gradients(x), jacobian.transpose(1, 2), atol=1e-12)
    hessian = torch.func.vmap(torch.func.hessian(lambda p: features.values(p[None])[0]))(x)
    assert torch.allclose(features.laplacians(x), hessian.diagonal(dim1=2, dim2=3).sum(2), atol=1e-11)
    assert features.values(x).shape == (5, features.count)


def test_a_polynomial_potential_is_found_exactly():
    x = draw(300, 3)
    U = lambda p: p[0] ** 4 / 4 - p[0] * p[1] * p[2] + p[2]  # noqa: E731
    slope = torch.func.vmap(torch.func.grad(U))
    found = decompose_samples(x, -slope(x), polynomial_features(x, 4))
    assert found.explained.value == pytest.approx(1, abs=1e-12)
    assert found.turning.value == pytest.approx(0, abs=1e-12)
    fresh = draw(20, 3, seed=9)
    assert torch.allclose(found.gradient(fresh), -slope(fresh), atol=1e-9)
    gap = found.potential(fresh) - torch.func.vmap(U)(fresh)
    assert float(gap.std()) < 1e-9
    assert found.residual < 1e-12
    laplacian = torch.func.vmap(torch.func.hessian(U))(fresh).diagonal(dim1=1, dim2=2).sum(1)
    assert torch.allclose(found.laplacian(fresh), laplacian, atol=1e-8)


def test_a_rotation_is_told_from_what_is_beyond_the_basis():
    x = draw(2000, 2)
    turning = torch.stack([-x[:, 1], x[:, 0]], dim=1)
    # Under an isotropic density a rotation and a radial gradient are orthogonal: the shares are 1/2 each.
    half = decompose_samples(x, turning - x, polynomial_features(x, 2))
    assert half.explained.value == pytest.approx(0.5, abs=3 * half.explained.stderr + 1e-3)
    assert half.turning.value == pytest.approx(0.5, abs=3 * half.turning.stderr + 1e-3)
    assert abs(half.unexplained.value) < 1e-12
    # tanh(10 x) is a gradient, but no polynomial of degree 2 says so: what is missing is called unexplained.
    steep = decompose_samples(x, torch.tanh(10 * x), polynomial_features(x, 2))
    assert steep.unexplained.value > 0.1
    assert abs(steep.turning.value) < 0.02
    assert "beyond this basis" in steep.status


def test_the_rest_is_orthogonal_to_every_gradient_of_the_basis_under_the_samples():
    x = draw(500, 3, seed=4) * torch.tensor([1.0, 3.0, 0.2], dtype=torch.float64)
    v = torch.sin(x @ draw(3, 3, seed=5)) + x.square()
    for make in BASES.values():
        features = make(x)
        found = decompose_samples(x, v, features, held_out=0.01)
        assert found.residual < 1e-10


@pytest.mark.parametrize("make", [lambda x: radial_features(x, 150), lambda x: random_features(x, 150)])
def test_smooth_bases_find_a_smooth_potential(make):
    x = 4 * torch.rand(1200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 2
    U = lambda p: torch.sin(p[0]) * torch.cos(p[1]) + torch.tanh(p[0] + p[1])  # noqa: E731
    found = decompose_samples(x, -torch.func.vmap(torch.func.grad(U))(x), make(x))
    assert found.explained.value > 0.999


def test_held_out_shares_fall_within_their_errors():
    """The held-out share on small samples against that on a very large one, for one fitted potential."""
    hits = 0
    for seed in range(20):
        x = draw(260, 2, seed=seed)
        v = torch.sin(3 * x) - x + torch.stack([-x[:, 1], x[:, 0]], dim=1)
        found = decompose_samples(x, v, polynomial_features(x, 3), seed=seed)
        fresh = draw(20000, 2, seed=1000 + seed)
        w = torch.sin(3 * fresh) - fresh + torch.stack([-fresh[:, 1], fresh[:, 0]], dim=1)
        truth = 1 - float((w - found.gradient(fresh)).square().sum() / w.square().sum())
        hits += abs(found.explained.value - truth) <= 3 * found.explained.stderr
    assert hits >= 18


def test_overfitting_shows_on_held_out_samples():
    x = draw(60, 2)
    noise = draw(60, 2, seed=1)
    found = decompose_samples(x, noise, polynomial_features(x, 5))
    assert found.trained > 0.15
    assert found.explained.value < 0.1


def test_too_few_samples_say_how_many_are_needed():
    x = draw(12, 2)
    features = polynomial_features(x, 4)  # 14 unknowns, so 14 samples to fit
    with pytest.raises(
        InputError, match=r"12 samples are too few .* \(14 unknowns\): 9 are left .* 14 are needed; take 18"
    ):
        decompose_samples(x, x, features)
    x = draw(18, 2)
    assert decompose_samples(x, x, features).training >= 14


def test_what_does_not_fit_is_refused():
    x = draw(50, 2)
    features = polynomial_features(x, 2)
    with pytest.raises(InputError, match=r"one shape \(m, 2\)"):
        decompose_samples(x, x[:, :1], features)
    with pytest.raises(InputError, match="must be finite"):
        decompose_samples(x, x * torch.nan, features)
    with pytest.raises(InputError, match="held_out is a share"):
        decompose_samples(x, x, features, held_out=1.0)
    with pytest.raises(InputError, match="between 1 and the 50 points"):
        radial_features(x, 51)
    with pytest.raises(InputError, match="degree must be at least 1"):
        polynomial_features(x, 0)


def test_a_field_of_zeros_is_said_in_words():
    x = torch.randn(100, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = decompose_samples(x, torch.zeros_like(x), polynomial_features(x, 2))
    assert found.status == "The field is zero on the 20 held-out samples: there is nothing to explain."
