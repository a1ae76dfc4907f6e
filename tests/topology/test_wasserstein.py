"""Distances, embeddings and tangent spaces of families of measures against closed forms."""

import builtins
import math
from itertools import pairwise

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from separatrix import topology
from separatrix.errors import ComputationError, InputError
from separatrix.topology.wasserstein import match_quantiles, optimal_plan

ot = pytest.importorskip("ot")

BENT = torch.tensor([4.0, 1.0], dtype=torch.float64)  # the eigenvalues of the covariance that is turned


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def rotation(angle: Tensor) -> Tensor:
    c, s = torch.cos(angle), torch.sin(angle)
    return torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2)


def turned(angles: Tensor) -> Tensor:
    R = rotation(angles)
    return R @ torch.diag(BENT) @ R.mT


def procrustes(points: Tensor, truth: Tensor) -> float:
    """The largest coordinate error after the best rigid motion."""
    centred, truth = points - points.mean(0), truth - truth.mean(0)
    turn, _ = scipy.linalg.orthogonal_procrustes(centred.numpy(), truth.numpy())
    return float((centred @ torch.from_numpy(turn) - truth).abs().max())


def translation_grid() -> Tensor:
    return torch.cartesian_prod(
        torch.linspace(-1, 1, 5, dtype=torch.float64), torch.linspace(-1, 1, 4, dtype=torch.float64)
    )


# Distances


def test_translates_lie_as_far_apart_as_their_shifts_and_embed_as_the_grid() -> None:
    cloud, grid = normal(60, 2), translation_grid()
    found = topology.wasserstein_distances([cloud + shift for shift in grid])
    off = (found.squared - torch.cdist(grid, grid) ** 2).abs()
    assert off.max() < 2e-14
    assert bool((off <= found.error).all())
    assert found.error.max() < 1e-11
    embedded = topology.embed_distances(found.values, dimension=2)
    torch.testing.assert_close(
        embedded.eigenvalues[:3], torch.tensor([100 / 9, 10, 0], dtype=torch.float64), atol=1e-12, rtol=0
    )
    assert procrustes(embedded.points, grid) < 1e-13
    assert embedded.residual < 1e-13


def test_axis_dilations_are_flat_with_the_second_moments_as_metric() -> None:
    cloud = normal(60, 2)
    scales = torch.cartesian_prod(torch.tensor([0.5, 1, 2]).double(), torch.tensor([1, 1.5]).double())
    found = topology.wasserstein_distances([cloud * scale for scale in scales])
    moments = cloud.square().mean(0)
    expected = ((scales[:, None] - scales) ** 2 * moments).sum(-1)
    assert (found.squared - expected).abs().max() < 2e-14
    assert procrustes(topology.embed_distances(found.values, dimension=2).points, scales * moments.sqrt()) < 1e-13


def test_rotations_of_an_anisotropic_cloud_are_not_flat() -> None:
    cloud = normal(60, 2) * torch.tensor([3, 0.5])
    angles = torch.arange(12, dtype=torch.float64) * math.pi / 12
    found = topology.wasserstein_distances([cloud @ rotation(angle).mT for angle in angles])
    embedded = topology.embed_distances(found.values, dimension=2)
    assert float(embedded.eigenvalues[-1]) == pytest.approx(-1.795, abs=5e-4)
    assert embedded.stress > 0.01


@pytest.mark.parametrize(
    ("angle", "squared", "within"),
    [
        (0.01, 1.79996e-4, 5e-10),
        (0.1, 0.0179562, 5e-8),
        (0.5, 0.4226600, 5e-8),
        (1.0, 1.3681197, 5e-8),
        (math.pi / 2, 2.0, 1e-14),
    ],
)
def test_turned_gaussians_have_the_bures_distance(angle: float, squared: float, within: float) -> None:
    found = topology.bures_distances(turned(torch.tensor([0.0, angle], dtype=torch.float64)))
    assert float(found.squared[0, 1]) == pytest.approx(squared, abs=within)  # half a unit of the last digit given
    assert float(found.error[0, 1]) < 1e-12


def test_commuting_gaussians_are_as_far_apart_as_their_deviations_and_means() -> None:
    deviations, means = normal(4, 3, seed=1).abs(), normal(4, 3, seed=2)
    found = topology.bures_distances(torch.diag_embed(deviations**2), means=means)
    expected = torch.cdist(torch.cat([deviations, means], 1), torch.cat([deviations, means], 1)) ** 2
    assert bool(((found.squared - expected).abs() <= found.error + 1e-14).all())


def test_gaussians_agree_with_pot_and_with_singular_ones_within_the_error() -> None:
    factors = normal(4, 3, 3, seed=3)
    factors[3, :, 0] = 0  # of rank two
    covariances, means = factors @ factors.mT, normal(4, 3, seed=4)
    found = topology.bures_distances(covariances, means=means)
    for i in range(3):
        for j in range(i):
            ours, theirs = (
                float(found.values[i, j]),
                ot.gaussian.bures_wasserstein_distance(means[i], means[j], covariances[i], covariances[j]),
            )
            assert ours == pytest.approx(float(theirs), rel=1e-10)
    line = torch.diag_embed(torch.tensor([[4.0, 0.0], [1.0, 0.0]]))
    flat = topology.bures_distances(line.double())
    assert abs(float(flat.squared[0, 1]) - 1) <= float(flat.error[0, 1]) < 1e-6


def test_float32_covariances_are_taken_up_to_their_rounding() -> None:
    exact, rounded = turned(torch.tensor([0.0, 0.7]).double()), turned(torch.tensor([0.0, 0.7]).double()).float()
    one, other = (float(topology.bures_distances(c).squared[0, 1]) for c in (exact, rounded))
    assert one == pytest.approx(other, rel=1e-6)


def test_quantiles_are_the_transport_on_the_line() -> None:
    x, y = normal(30, 1, seed=5), normal(20, 1, seed=6)
    a, b = (torch.softmax(normal(n, seed=n), 0) for n in (30, 20))
    found = topology.wasserstein_distances([x, y], weights=[a, b])
    theirs = ot.emd2(a.numpy(), b.numpy(), ((x - y.mT) ** 2).numpy())
    assert float(found.squared[0, 1]) == pytest.approx(float(theirs), rel=1e-12)
    source, target, mass = match_quantiles(x[:, 0].numpy(), y[:, 0].numpy(), a.numpy(), b.numpy())
    np.testing.assert_allclose(np.bincount(source, mass, 30), a, atol=1e-15)
    np.testing.assert_allclose(np.bincount(target, mass, 20), b, atol=1e-15)
    # The same measures on a line in the plane go through the linear program.
    flat = topology.wasserstein_distances([torch.cat([c, 0 * c], 1) for c in (x, y)], weights=[a, b])
    assert float(flat.squared[0, 1]) == pytest.approx(float(theirs), rel=1e-12)


def test_histograms_may_have_empty_bins() -> None:
    support = torch.cartesian_prod(torch.arange(3.0), torch.arange(3.0))
    corner, opposite, both = torch.zeros(3, 9)
    corner[0], opposite[8], both[0], both[8] = 1, 1, 0.5, 0.5
    found = topology.wasserstein_distances([support] * 3, weights=[corner, opposite, both])
    expected = torch.tensor([[0, 8, 4], [8, 0, 4], [4, 4, 0]])
    assert ((found.squared - expected).abs() <= found.error).all()


def test_the_error_is_a_gap_to_a_lower_bound() -> None:
    """For random clouds of different sizes; potentials that were wrong would leave a wide gap."""
    for seed in range(5):
        x, y = normal(40, 3, seed=seed).numpy(), normal(25, 3, seed=seed + 99).numpy()
        plan = optimal_plan(x, y, np.full(40, 1 / 40), np.full(25, 1 / 25), 100_000)
        assert 0 < plan.error < 1e-11
        np.testing.assert_allclose(np.bincount(plan.source, plan.mass, 40), 1 / 40, atol=1e-15)


def test_inputs_stay_as_they_are() -> None:
    cloud = normal(5, 2).requires_grad_()
    before = cloud.detach().clone()
    topology.wasserstein_distances([cloud, cloud + 1])
    topology.cloud_displacements(cloud, [cloud + 1])
    assert torch.equal(cloud, before)
    assert cloud.grad is None


# Geodesics


def test_the_graph_of_a_curve_has_its_length() -> None:
    angles = torch.linspace(0, math.pi / 2, 21, dtype=torch.float64)
    found = topology.bures_distances(turned(angles))
    step = float(found.values[0, 1])
    graph = topology.geodesic_graph(found.values, radius=1.5 * step)
    assert graph.edges.tolist() == [list(pair) for pair in pairwise(range(21))]
    length = float(graph.distances[0, -1])
    assert length == pytest.approx(2.105862, abs=5e-7)
    assert length < math.sqrt(1.8) * math.pi / 2
    assert float(found.values[0, -1]) == pytest.approx(math.sqrt(2), abs=1e-12)


def test_geodesics_unroll_a_rotation_that_distances_bend() -> None:
    """The angle comes back up to the share of a chord that is missing, 8e-4 for these steps."""
    angles = torch.linspace(0, math.pi / 2, 21, dtype=torch.float64)
    distances = topology.bures_distances(turned(angles)).values
    truth = (math.sqrt(1.8) * angles)[:, None]
    graph = topology.geodesic_graph(distances, radius=0.16)
    unrolled = topology.embed_distances(graph.distances, dimension=1)
    assert procrustes(unrolled.points, truth) < 1e-3
    assert unrolled.residual < 1e-12
    bent = topology.embed_distances(distances, dimension=1)
    assert procrustes(bent.points, truth) > 0.1
    assert bent.residual > 0.05


def test_a_point_cloud_that_turns_is_unrolled_too() -> None:
    """20 clouds in 9 degrees: the parameter to 1 %, up to its scale, which depends on the cloud."""
    cloud = normal(40, 2, seed=8) * torch.tensor([2.0, 1.0])
    angles = torch.linspace(0, math.pi / 20, 20, dtype=torch.float64)
    distances = topology.wasserstein_distances([cloud @ rotation(angle).mT for angle in angles]).values
    graph = topology.geodesic_graph(distances, radius=1.5 * float(distances.diagonal(1).max()))
    line = topology.embed_distances(graph.distances, dimension=1).points[:, 0]
    assert abs(float(torch.corrcoef(torch.stack([line, angles]))[0, 1])) > 0.99**0.5


def test_measures_that_coincide_are_joined() -> None:
    places = torch.tensor([0.0, 0.0, 1.0])
    graph = topology.geodesic_graph((places[:, None] - places).abs(), radius=0.5 + 1)
    assert graph.distances.tolist() == [[0, 0, 1], [0, 0, 1], [1, 1, 0]]


# Tangent spaces


@pytest.mark.parametrize(("eps", "ratio"), [(0.4, 0.0780), (0.2, 0.01865), (0.1, 0.00461), (0.05, 0.00115)])
def test_the_tangent_of_a_rotation_is_found_and_bending_fades_with_the_square(eps: float, ratio: float) -> None:
    angles = torch.linspace(-eps, eps, 41, dtype=torch.float64)
    (base,) = turned(torch.zeros(1, dtype=torch.float64))
    found = topology.tangent_space(topology.gaussian_displacements(base, turned(angles)))
    first, second = (found.singular_values**2)[:2].tolist()
    assert second / first == pytest.approx(ratio, abs=5e-6 if eps < 0.4 else 5e-5)
    assert (found.dimension, found.status) == (1, "gap")
    B = torch.tensor([[0, 0.6], [0.6, 0]], dtype=torch.float64)
    assert float(torch.trace(B @ base @ B)) == pytest.approx(1.8)
    cosine = torch.trace(found.fields[0, :, :2] @ base @ B) / math.sqrt(1.8)
    assert abs(float(cosine)) == pytest.approx(1, abs=1e-12)
    assert found.angle_error < 1e-11


def test_halving_the_radius_quarters_the_ratio() -> None:
    angles = torch.linspace(-0.4, 0.4, 401, dtype=torch.float64)
    (base,) = turned(torch.zeros(1, dtype=torch.float64))
    moved = topology.gaussian_displacements(base, turned(angles))
    wide, narrow = (topology.tangent_space(moved, radius=r).singular_values ** 2 for r in (0.4, 0.2))
    assert float((wide[1] / wide[0]) / (narrow[1] / narrow[0])) == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("with_means", [False, True])
def test_all_gaussians_near_one_have_as_many_directions_as_parameters(d: int, with_means: bool) -> None:
    raw = normal(60, d, d, seed=d)
    near = torch.eye(d).double() + 0.05 * (raw + raw.mT)
    means = 0.1 * normal(60, d, seed=9) if with_means else None
    found = topology.tangent_space(topology.gaussian_displacements(torch.eye(d).double(), near @ near, means=means))
    assert found.dimension == d * (d + 1) // 2 + d * with_means


def test_clouds_that_shift_and_stretch_have_three_directions() -> None:
    cloud = normal(50, 2, seed=10)
    parameters = 0.1 * normal(30, 3, seed=11)
    stretch = torch.tensor([1.0, 0.0])
    family = [cloud * (1 + p[2] * stretch) + p[:2] for p in parameters]
    moved = topology.cloud_displacements(cloud, family)
    found = topology.tangent_space(moved)
    assert found.dimension == 3
    assert moved.spread.max() < 1e-12
    assert found.angle_error < 1e-5
    gram = torch.einsum("apd,bpd->ab", found.fields, found.fields) / len(cloud)
    torch.testing.assert_close(gram, torch.eye(3).double(), atol=1e-12, rtol=0)
    # The space is spanned by the two shifts and the stretch.
    truth = torch.stack([torch.ones(50, 1) * torch.tensor(e) for e in ([1, 0], [0, 1])] + [cloud * stretch]).double()
    truth = torch.linalg.qr(truth.flatten(1).mT)[0]
    angles = torch.linalg.svdvals(truth.mT @ found.fields.flatten(1).mT / len(cloud) ** 0.5)
    torch.testing.assert_close(angles, torch.ones(3).double(), atol=1e-12, rtol=0)


def test_noise_has_no_gap() -> None:
    cloud = normal(50, 2, seed=12)
    noisy = [cloud + 0.01 * normal(50, 2, seed=100 + k) for k in range(30)]
    found = topology.tangent_space(topology.cloud_displacements(cloud, noisy))
    assert (found.dimension, found.status, found.angle_error) == (None, "no gap", 1.0)
    assert found.fields.shape == (0, 50, 2)
    drawn = [normal(50, 2, seed=200 + k) for k in range(30)]  # independent draws of one measure
    assert topology.tangent_space(topology.cloud_displacements(cloud, drawn)).dimension is None


def test_the_gap_is_judged_on_both_sides_of_its_threshold_and_on_it() -> None:
    def spectrum(ratio: float, spread: float = 0.0) -> topology.Displacements:
        coordinates = torch.diag(torch.tensor([1, *(k * ratio**-0.5 for k in (1, 0.9, 0.8))], dtype=torch.float64))
        return topology.Displacements(coordinates[:, :, None], coordinates, torch.full((4,), spread).double())

    assert topology.tangent_space(spectrum(10.1)).dimension == 1
    assert topology.tangent_space(spectrum(9.9)).status == "no gap"
    assert topology.tangent_space(spectrum(10.0)).status == "undecided"  # within rounding
    assert topology.tangent_space(spectrum(10.1, spread=1e-4)).status == "undecided"
    assert topology.tangent_space(spectrum(9.9), min_gap=5).dimension == 1


def test_a_map_that_splits_mass_is_reported_as_spread() -> None:
    """One point sent to two: the barycentre stays, and all of W^2 is spread."""
    base, split = torch.zeros(1, 2), torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    moved = topology.cloud_displacements(base, [split])
    assert moved.fields.abs().max() == 0
    assert moved.spread.tolist() == [1.0]
    assert moved.distances.tolist() == [1.0]


def test_weights_of_base_and_samples_are_used() -> None:
    base, weights = torch.tensor([[0.0], [1.0]]), torch.tensor([0.25, 0.75])
    moved = topology.cloud_displacements(base, [base + 2], base_weights=weights, weights=[weights])
    torch.testing.assert_close(moved.fields, torch.full((1, 2, 1), 2.0).double())
    assert float(moved.distances) == pytest.approx(2)


# Bad input

CLOUD = torch.zeros(3, 2)
NAN = torch.tensor([[0.0, float("nan")]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: topology.wasserstein_distances([]), "at least 1 point cloud"),
        (lambda: topology.wasserstein_distances([torch.zeros(3)]), r"clouds\[0\] must be real points \(p, d\), got"),
        (lambda: topology.wasserstein_distances([CLOUD, NAN]), r"clouds\[1\] must be finite, got nan at \(0, 1\)"),
        (lambda: topology.wasserstein_distances([CLOUD, CLOUD[:, :1]]), r"clouds\[1\] lies in dimension 1"),
        (lambda: topology.wasserstein_distances([CLOUD], weights=[]), "one entry for each of 1 clouds, got 0"),
        (lambda: topology.wasserstein_distances([CLOUD], weights=[torch.ones(2)]), r"must have shape \(3,\)"),
        (lambda: topology.wasserstein_distances([CLOUD], weights=[torch.ones(3)]), "sum 3; divide a histogram"),
        (
            lambda: topology.wasserstein_distances([CLOUD], weights=[torch.tensor([2.0, -1.0, 0.0])]),
            "nonnegative with sum 1, got smallest -1",
        ),
        (lambda: topology.bures_distances(torch.eye(2)), r"square matrices \(n, d, d\), got \(2, 2\)"),
        (lambda: topology.bures_distances(torch.tensor([[[1.0, 1.0], [0.0, 1.0]]])), r"covariances\[0\] is not symm"),
        (lambda: topology.bures_distances(-torch.eye(2)[None]), "negative eigenvalue -1: it is no covariance"),
        (lambda: topology.bures_distances(torch.eye(2)[None], means=torch.zeros(2)), r"shape \(1, 2\) like"),
        (lambda: topology.geodesic_graph(torch.ones(2, 3), radius=1), r"\(n, n\) matrix .* got \(2, 3\)"),
        (lambda: topology.geodesic_graph(1 - torch.eye(3), radius=0.5), "3 pieces; .* for a radius above 1"),
        (lambda: topology.embed_distances(torch.tensor([[0.0, 1.0], [2.0, 0.0]]), dimension=1), "must be symmetric"),
        (lambda: topology.embed_distances(-torch.ones(2, 2), dimension=1), "finite and nonnegative"),
        (lambda: topology.embed_distances(1 - torch.eye(3), dimension=3), r"lie in 1..2 for 3 measures, got 3"),
        (
            lambda: topology.embed_distances((torch.arange(4.0)[:, None] - torch.arange(4.0)).abs(), dimension=2),
            "span 1 dimensions, not dimension=2",
        ),
        (lambda: topology.cloud_displacements(CLOUD, []), "at least 2 point cloud"),
        (
            lambda: topology.cloud_displacements(CLOUD, [CLOUD], base_weights=torch.tensor([0.5, 0.0, 0.5])),
            r"base_weights\[1\] is zero",
        ),
        (lambda: topology.gaussian_displacements(torch.zeros(2, 2), torch.eye(2)[None]), "covariance must be regular"),
        (lambda: topology.gaussian_displacements(torch.eye(3), torch.eye(2)[None]), "has dimension 3, but covariances"),
        (
            lambda: topology.tangent_space(topology.cloud_displacements(CLOUD, [CLOUD] * 3)),
            "All samples coincide with the base",
        ),
        (
            lambda: topology.tangent_space(topology.cloud_displacements(CLOUD, [CLOUD + 1] * 3), radius=0.1),
            "at least two samples, got 0 within radius=0.1",
        ),
        (
            lambda: topology.tangent_space(topology.cloud_displacements(CLOUD, [CLOUD + 1] * 3), min_gap=1),
            "min_gap must be above 1, got 1",
        ),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_a_linear_program_that_is_stopped_has_no_answer() -> None:
    with pytest.raises(ComputationError, match=r"1 iterations did not solve .* between 200 and 200 points; raise max"):
        topology.wasserstein_distances([normal(200, 2), normal(200, 2, seed=1)], max_iterations=1)


def test_without_pot_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: object) -> object:
        if name == "ot":
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'separatrix\[transport\]'$"):
        topology.wasserstein_distances([CLOUD, CLOUD + 1])
    line = topology.wasserstein_distances([CLOUD[:, :1], CLOUD[:, :1] + 1])  # needs no solver
    assert float(line.squared[0, 1]) == 1
