"""Facts of the toys against the instrument: spectra to 1e-8, safe steps by update maps, and published paths."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from separatrix.dynamics import SGD, Alternating, Consensus, Extragradient, Method, Simultaneous, UpdateMap, simulate
from separatrix.errors import InputError
from separatrix.zoo import load
from separatrix.zoo.limits import alternating_limit, extragradient_limit, simultaneous_limit

SCHEMES = {"simultaneous": Simultaneous(), "alternating": Alternating(), "extragradient": Extragradient()}
WIDE = torch.randn(3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
TOYS = [
    ("dirac-gan", {}),
    ("dirac-gan", {"r1": 0.3}),
    ("dirac-gan", {"r1": 2.0}),
    ("dirac-gan", {"noise": 0.7}),
    ("dirac-gan", {"noise": 1.0, "r1": 0.1}),
    ("dirac-gan", {"loss": "non-saturating"}),
    ("dirac-gan", {"loss": "non-saturating", "r1": 0.4}),
    ("dirac-gan", {"loss": "wasserstein"}),
    ("dirac-gan", {"loss": "wasserstein", "r1": 0.5}),
    ("bilinear", {}),
    ("bilinear", {"sigma": 2.5}),
    ("bilinear", {"sigma": WIDE}),
    ("bilinear", {"sigma": WIDE[:, :3]}),
    ("quadratic", {}),
    ("quadratic", {"seed": 5, "departure": 3.0}),
    ("quadratic", {"spectrum": (-1 + 3j, -1 - 3j, -2.0), "departure": 0.5}),
    ("quadratic", {"spectrum": (-1.0, -4.0, -0.5)}),
    ("quadratic", {"spectrum": (-1.0, -4.0, -0.5, -2.0), "departure": 2.0}),
    ("quadratic", {"spectrum": (1j, -1j, -0.2 + 0.1j, -0.2 - 0.1j), "departure": 1.0}),
]


def equilibrium(problem):
    return torch.tensor(problem.fact("equilibrium"), dtype=torch.float64)


def distance(found, expected):
    rest, worst = list(expected), 0.0
    for value in found:
        nearest = min(range(len(rest)), key=lambda i: abs(rest[i] - value))
        worst = max(worst, abs(rest.pop(nearest) - value))
    return worst


@pytest.mark.parametrize(("name", "options"), TOYS)
def test_the_field_rests_at_the_equilibrium_and_has_the_known_eigenvalues(name, options):
    problem = load(name, **options)
    field, at = problem.field(), equilibrium(problem)
    assert field(at).norm() < 1e-14
    found = np.linalg.eigvals(field.jacobian(at).to_dense().numpy())
    known = problem.fact("eigenvalues")
    assert len(found) == len(known)
    assert distance(found, known) < 1e-8


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("name", "options"), TOYS)
def test_the_known_safe_steps_part_growth_from_decay_in_the_update_map(name, options, scheme):
    problem = load(name, **options)
    field, at = problem.field(), equilibrium(problem)

    def radius(h):
        return float(
            np.abs(np.linalg.eigvals(UpdateMap(Method(SGD(h), SCHEMES[scheme]), field, at).to_dense().numpy())).max()
        )

    limit = problem.fact(f"safe_step[{scheme}]")
    if limit == 0:
        assert all(radius(h) > 1 for h in (1e-3, 0.1, 1.0))
        return
    # Neutral modes sit on the circle; defective ones show the square root of rounding.
    assert all(radius(limit * share) < 1 + 1e-7 for share in (0.1, 0.5, 0.9, 1 - 1e-6))
    assert radius(limit * (1 + 1e-6)) > 1 + 1e-9
    assert radius(limit * 1.01) > 1.0001


@pytest.mark.parametrize(
    ("options", "known"),
    [
        ({}, (0.5j, -0.5j)),
        ({"noise": 0.7}, (-0.1225 + 0.48476j, -0.1225 - 0.48476j)),
        ({"noise": 1.0}, (-0.25 + 0.43301j, -0.25 - 0.43301j)),
        ({"r1": 1.0}, (-0.5, -0.5)),
        ({"r1": 2.0}, (-0.13397, -1.86603)),
    ],
)
def test_the_dirac_gans_have_their_published_spectra(options, known):
    assert distance(load("dirac-gan", **options).fact("eigenvalues"), known) < 1e-5


@pytest.mark.parametrize(("gamma", "known"), [(0.3, -0.075 + 0.5j), (1.0, -0.25 + 0.5j)])
def test_consensus_gives_the_dirac_gan_its_published_spectrum(gamma, known):
    field = Consensus(gamma)(load("dirac-gan").field())
    found = np.linalg.eigvals(field.jacobian(torch.zeros(2, dtype=torch.float64)).to_dense().numpy())
    assert distance(found, (known, known.conjugate())) < 1e-8


@pytest.mark.parametrize(
    ("options", "steps"),
    [({"r1": 0.3}, (1.2, 2.976)), ({"r1": 1.0}, (4.0, 1.6569)), ({"r1": 2.0}, (1.0718, 0.9443)), ({}, (0.0, 4.0))],
)
def test_the_dirac_gans_have_their_known_safe_steps(options, steps):
    problem = load("dirac-gan", **options)
    found = [problem.fact(f"safe_step[{s}]") for s in ("simultaneous", "alternating")]
    assert found == pytest.approx(steps, abs=5e-4)


@pytest.mark.parametrize(
    ("options", "norms"),
    [
        ({}, (3.097, 1.421, 1.845)),
        ({"noise": 0.7}, (5.7e-5, 4.0e-6, 4.0e-17)),
        ({"r1": 0.3}, (2.64e-6, 2.30e-7, 9e-34)),
        ({"loss": "non-saturating"}, (0.640, 0.2839, None)),
    ],
)
def test_500_steps_of_the_dirac_gan_end_at_the_published_norms(options, norms):
    """``h = 0.2`` from (1, 1): simultaneous, alternating, and with five discriminator steps [mescheder2018, figure 2]."""
    field = load("dirac-gan", **options).field()
    order = ("G", "D")
    schemes = (Simultaneous(), Alternating(order), Alternating(order, {"D": 5}))
    for scheme, known in zip(schemes, norms, strict=True):
        if known is not None:
            x, _, _ = simulate(Method(SGD(0.2), scheme), field, steps=500)
            assert float(x.norm()) == pytest.approx(known, rel=5e-4 if known > 0.01 else 0.06)


def test_simultaneous_steps_on_the_non_saturating_dirac_gan_settle_on_a_cycle():
    """Its radius is ``sqrt(2 h)``, which the spectrum at the equilibrium cannot see."""
    h = 0.2
    problem = load("dirac-gan", loss="non-saturating", theta=(2 * h) ** 0.5, psi=0.0)
    _, _, path = simulate(Method(SGD(h)), problem.field(), steps=1000)
    assert float((path[500:].square().sum(dim=1)).mean()) / h == pytest.approx(1.99574, abs=2e-3)
    assert problem.fact("cycle_radius_over_root_step") ** 2 == pytest.approx(2)


def test_the_instance_noise_is_integrated_exactly():
    field = load("dirac-gan", noise=0.7, theta=0.4, psi=0.9).field()
    e = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    weight = torch.exp(-e.square() / 2) / torch.exp(-e.square() / 2).sum()
    f = torch.nn.functional.logsigmoid
    expected = float(weight @ f(0.9 * (0.4 + 0.7 * e)) + weight @ f(-0.9 * 0.7 * e))
    assert field.losses()["D"]["adv"] == pytest.approx(-expected, rel=1e-12)


def test_the_bilinear_game_is_the_gradient_of_nothing():
    j = load("bilinear", sigma=WIDE).field().jacobian().to_dense()
    torch.testing.assert_close(j, -j.T)
    torch.testing.assert_close(j[:3, 3:], -WIDE)


@pytest.mark.parametrize("departure", [0.0, 0.7, 5.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_quadratic_game_departs_from_normality_as_asked(departure, seed):
    problem = load("quadratic", departure=departure, seed=seed)
    a = problem.field().jacobian().to_dense()
    found = a.square().sum() - sum(abs(z) ** 2 for z in problem.fact("eigenvalues"))
    assert float(found) == pytest.approx(departure**2, abs=1e-9)
    assert ((a @ a.T - a.T @ a).norm() < 1e-12) == (departure == 0)
    torch.testing.assert_close(a[:3, :3], a[:3, :3].T)
    torch.testing.assert_close(a[3:, 3:], a[3:, 3:].T)


def test_limits_have_their_special_cases():
    assert simultaneous_limit([-0.5]) == 4
    assert extragradient_limit([-2.0]) == pytest.approx(0.5, rel=1e-12)
    assert extragradient_limit([3j, -3j]) == pytest.approx(1 / 3, rel=1e-12)
    assert alternating_limit([3j, -3j]) == pytest.approx(2 / 3)
    growing = [0.1 + 1j]
    assert simultaneous_limit(growing) == extragradient_limit(growing) == alternating_limit(growing) == 0
    assert simultaneous_limit([0]) == float("inf")


@pytest.mark.parametrize("angle", np.linspace(np.pi / 2, np.pi, 9))
def test_the_limit_of_extragradient_is_the_first_exit(angle):
    mu = np.exp(1j * angle)
    limit = extragradient_limit([mu])
    z = np.linspace(1e-4, limit * (1 - 1e-9), 2000) * mu
    assert np.abs(1 + z + z * z).max() <= 1
    z = limit * (1 + 1e-6) * mu
    assert abs(1 + z + z * z) > 1


def test_bad_options_are_named():
    with pytest.raises(InputError, match=r"loss must be one of saturating, non-saturating, wasserstein, got 'hinge'"):
        load("dirac-gan", loss="hinge")
    with pytest.raises(InputError, match=r"must not be negative, got r1=-1.0, noise=0.0"):
        load("dirac-gan", r1=-1.0)
    with pytest.raises(InputError, match=r"noise goes with loss='saturating' only.* got loss='wasserstein'"):
        load("dirac-gan", loss="wasserstein", noise=0.1)
    with pytest.raises(InputError, match=r"non-zero number or a matrix \(p, q\), got shape \(2,\)"):
        load("bilinear", sigma=torch.ones(2))
    with pytest.raises(InputError, match=r"non-zero number"):
        load("bilinear", sigma=0.0)
    with pytest.raises(InputError, match=r"eigenvalues in conjugate pairs; give both of each, got"):
        load("quadratic", spectrum=(-1 + 1j, -1 + 1j))
    with pytest.raises(InputError, match=r"at least two eigenvalues, got \[\(-1\+0j\)\]"):
        load("quadratic", spectrum=(-1.0,))
    with pytest.raises(InputError, match=r"departure must not be negative, got -1"):
        load("quadratic", departure=-1.0)
