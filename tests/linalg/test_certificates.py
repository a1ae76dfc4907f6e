import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix_families import gaussian, grcar, non_normal, orthogonal, planted_pair, wishart_plus_skew

from separatrix.errors import InputError, NonFiniteError
from separatrix.linalg import (
    Dense,
    Diagonal,
    Formed,
    Tagged,
    condition_numbers,
    eigenvalues,
    extremes,
    inner_numerical_range,
    inner_pseudospectrum,
    numerical_range,
    pseudospectrum,
    stability,
)
from separatrix.linalg.counting import Counted

N = 250


def block(*rows):
    return Dense(torch.tensor(rows, dtype=torch.float64))


# ends of a symmetric spectrum


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), steps=st.integers(1, 60))
def test_the_bounds_enclose_the_spectrum_after_any_number_of_steps(seed, steps):
    a = wishart_plus_skew(80, seed, skew=0.0)
    true = torch.linalg.eigvalsh(a)
    found = extremes(Tagged(Dense(a), {"symmetric"}), max_products=steps, seed=seed)
    assert found.lower_bound - 1e-12 <= true[0] <= found.lowest + 1e-9
    assert found.highest - 1e-9 <= true[-1] <= found.upper_bound + 1e-12


def test_the_bounds_fail_as_often_as_they_say():
    """One step in the plane: the start (cos a, sin a) fails where |tan| < d, with P(|cos| < d) = 0.2."""
    d = math.sin(0.2 * math.pi / 2)
    expected = math.atan(d) * 2 / math.pi
    line = Diagonal(torch.tensor([1.0, 0.0], dtype=torch.float64))
    wrong = sum(extremes(line, max_products=1, failure=0.4, seed=seed).upper_bound < 1 for seed in range(400))
    assert abs(wrong / 400 - expected) < 3 * (expected * (1 - expected) / 400) ** 0.5


def test_the_margin_shrinks_with_steps():
    s = Tagged(Dense(wishart_plus_skew(N, 1, skew=0.0)), {"symmetric"})
    widths = [extremes(s, max_products=steps).upper_bound for steps in (10, 20, 40, 80)]
    assert widths == sorted(widths, reverse=True)


def test_the_whole_space_gives_bounds_without_failure():
    found = extremes(Diagonal(torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)))
    assert found.failure == 0
    assert found.upper_bound == pytest.approx(5, abs=1e-12)
    assert found.lower_bound == pytest.approx(1, abs=1e-12)


def test_extremes_refuse_a_matrix_without_the_tag_and_a_failure_probability_of_zero():
    with pytest.raises(InputError, match=r"tagged 'symmetric'.*operator\.sym"):
        extremes(block([1.0, 2.0], [0.0, 1.0]))
    with pytest.raises(InputError, match="failure must lie between 0 and 1"):
        extremes(Diagonal(torch.ones(3)), failure=0.0)


# condition numbers


@pytest.mark.parametrize("dense", [True, False])
def test_condition_numbers_agree_with_the_inverse_of_the_eigenvector_matrix(dense):
    a = non_normal(60, 2, departure=2.0)
    limit = 2000 if dense else 0
    right = eigenvalues(Dense(a), 4, tol=1e-11, dense_up_to=limit)
    left = eigenvalues(Dense(a).T, 4, tol=1e-11, dense_up_to=limit)
    values, x = torch.linalg.eig(a)
    rows = torch.linalg.vector_norm(torch.linalg.inv(x), dim=1)
    true = rows[(right.values[:, None] - values[None, :]).abs().argmin(dim=1)]
    assert torch.allclose(condition_numbers(right, left), true, rtol=1e-5)


def test_a_normal_matrix_is_perfectly_conditioned_even_where_eigenvalues_coincide():
    a = orthogonal(60, 3) @ torch.diag(torch.arange(60.0).double() // 3) @ orthogonal(60, 3).T
    right, left = (eigenvalues(op, 6, dense_up_to=0, tol=1e-10) for op in (Dense(a), Dense(a).T))
    assert condition_numbers(right, left).max() < 1 + 1e-6


def test_unmatched_values_have_infinite_condition():
    right = eigenvalues(Diagonal(torch.tensor([1.0, 2.0])), 1)
    left = eigenvalues(Diagonal(torch.tensor([1.0, 3.0])), 1)
    assert condition_numbers(right, left).tolist() == [math.inf]


# numerical range


def test_the_range_of_a_nilpotent_block_is_a_disc():
    found = numerical_range(block([0.0, 2.0], [0.0, 0.0]), 5)
    assert found.support.tolist() == pytest.approx([1] * 5, abs=1e-12)
    assert torch.allclose(found.points, torch.exp(1j * found.angles), atol=1e-9)


@pytest.mark.parametrize("dense_up_to", [0, 300])
@pytest.mark.parametrize("matrix", [grcar(120), wishart_plus_skew(120, 4)], ids=["grcar", "wishart plus skew"])
def test_the_range_holds_every_eigenvalue_and_its_own_boundary(matrix, dense_up_to):
    found = numerical_range(Dense(matrix), dense_up_to=dense_up_to)
    assert found.holds(torch.linalg.eigvals(matrix)).all()
    assert found.holds(found.points, slack=1e-9).all()
    assert not found.holds(found.points * 1.03).all()
    edge = torch.linalg.eigvalsh((matrix + matrix.T) / 2)[-1].item()
    assert edge - 1e-12 <= found.support[0] <= edge + 0.05
    assert found.points[0].real == pytest.approx(edge, abs=0.02)


def test_a_range_with_too_few_products_is_wide_but_right_and_says_so():
    a = wishart_plus_skew(120, 4)
    found = numerical_range(Dense(a), 5, max_products=160, dense_up_to=0)
    assert found.products <= 160 + 2 * 5
    assert "raise max_products" in found.status
    assert found.holds(torch.linalg.eigvals(a)).all()


def test_the_inner_range_of_a_krylov_form_lies_inside_and_between_the_lines_of_the_symmetric_part():
    a = wishart_plus_skew(N, 12)
    found = stability(Dense(a), k=4, dense_up_to=0, max_products=900)
    inner = inner_numerical_range(found.eigenvalues.krylov, symmetric=found.numerical_abscissa)
    assert numerical_range(Dense(a)).holds(inner.points).all()
    assert inner.holds(torch.linalg.eigvals(a)).all()
    ends = torch.linalg.eigvalsh((a + a.T) / 2)
    assert inner.support[0] >= ends[-1] - 1e-12
    assert inner.support[-1] >= -ends[0] - 1e-12
    assert torch.isinf(inner.support[1:-1]).all()
    whole = inner_numerical_range(krylov_schur_of_the_whole_space(a[:40, :40]))
    assert torch.allclose(whole.points, numerical_range(Dense(a[:40, :40]), 33).points, atol=1e-8)


def krylov_schur_of_the_whole_space(a):
    return eigenvalues(Dense(a), len(a), dense_up_to=0, basis_size=len(a)).krylov


# pseudospectra


def test_a_dense_pseudospectrum_is_the_smallest_singular_value():
    a = grcar(40)
    z = torch.tensor([0.5 + 1j, 2 + 2j, -1 + 0j])
    true = [torch.linalg.svdvals(complex(p) * torch.eye(40, dtype=torch.complex128) - a)[-1] for p in z]
    assert torch.allclose(pseudospectrum(Dense(a)).at(z), torch.stack(true), atol=1e-12)


@pytest.mark.parametrize("matrix", [grcar(120), planted_pair(120, 5)], ids=["grcar", "planted pair"])
def test_an_inner_pseudospectrum_never_claims_too_much(matrix):
    grid = torch.complex(*torch.meshgrid(torch.linspace(-1, 3, 7), torch.linspace(0, 3, 7), indexing="ij"))
    outer = pseudospectrum(Dense(matrix)).at(grid)
    for steps in (5, 30, 60):
        found = pseudospectrum(Dense(matrix), steps=steps, dense_up_to=0)
        assert not found.exact
        assert (found.at(grid) >= outer - 1e-12).all()
    assert (found.at(grid) < 1.5 * outer + 1e-2).any()


@pytest.mark.parametrize("dense_up_to", [0, 200])
def test_the_kreiss_bound_is_below_the_true_transient_growth(dense_up_to):
    a = grcar(60) - 2.5 * torch.eye(60, dtype=torch.float64)
    bound, z = pseudospectrum(Dense(a), dense_up_to=dense_up_to, steps=40).kreiss()
    growth = max(torch.linalg.matrix_norm(torch.linalg.matrix_exp(t * a), 2).item() for t in range(1, 40))
    assert z.real > 0
    assert (3 if dense_up_to == 0 else 5) < bound <= growth


def test_a_contracting_matrix_has_no_transient_growth():
    assert pseudospectrum(Dense(wishart_plus_skew(60, 6))).kreiss()[0] == pytest.approx(1, abs=1e-2)
    assert pseudospectrum(Dense(torch.zeros(3, 3))).kreiss() == (1.0, 0j)


def test_a_pseudospectrum_comes_free_with_a_krylov_run():
    found = eigenvalues(Dense(planted_pair(N, 7)), 2, dense_up_to=0)
    at_eigenvalue, away = inner_pseudospectrum(found.krylov, noise=found.noise).at(
        torch.tensor([0.05 + 0.4j, 0.05 + 2j], dtype=torch.complex128)
    )
    assert at_eigenvalue < 1e-5
    assert away > 0.1


# the six verdicts


@pytest.mark.parametrize(
    ("matrix", "verdict"),
    [
        (block([1e-6, 1.0], [-1.0, 1e-6]), "unstable"),
        (block([-1e-6, 1.0], [-1.0, -1e-6]), "contracting"),
        (block([0.0, 1.0], [-1.0, 0.0]), "marginal"),
        (block([-1.0, 1.99], [0.0, -1.0]), "contracting"),
        (block([-1.0, 2.01], [0.0, -1.0]), "stable"),
        (block([-1.0, 2.0], [0.0, -1.0]), "stable"),
        (block([0.0, 3.0], [0.0, -1.0]), "marginal"),
        (block([1e-3, 3.0], [0.0, -1.0]), "unstable"),
        (Dense(torch.zeros(3, 3)), "marginal"),
        (Dense(-torch.eye(3)), "contracting"),
        (Dense(grcar(150) - 2.27 * torch.eye(150, dtype=torch.float64)), "undecided"),
    ],
)
def test_dense_verdicts_on_both_sides_of_each_threshold(matrix, verdict):
    assert stability(matrix).verdict == verdict


def with_spectrum(values, seed, *, coupling=0.0):
    """Eigenvalues as given, turned, with a strictly upper part that leaves them."""
    n = len(values)
    t = torch.diag(values.double()) + coupling * torch.triu(gaussian(n, n, seed), 1) / n**0.5
    q = orthogonal(n, seed + 1)
    return Dense(q @ t @ q.T)


@pytest.mark.parametrize(
    ("top", "coupling", "verdict"),
    [
        (0.01, 0.3, "unstable"),
        (-0.01, 0.3, "no unstable mode found"),
        (0.0, 0.3, "marginal"),
        (-0.01, 0.0, "contracting"),
    ],
)
def test_krylov_verdicts_on_both_sides_of_each_threshold(top, coupling, verdict):
    values = torch.cat([torch.tensor([top]), torch.linspace(-3, -1, N - 1)])
    found = stability(with_spectrum(values, 8, coupling=coupling), k=2, dense_up_to=0)
    assert found.verdict == verdict
    assert found.eigenvalues.values[0].real == pytest.approx(top, abs=1e-6)
    assert found.numerical_abscissa.upper_bound >= top


def test_a_symmetric_tag_needs_no_left_vectors():
    a = Tagged(with_spectrum(torch.linspace(-3, -0.01, N), 9), {"symmetric"})
    found = stability(a, k=2, dense_up_to=0)
    assert found.verdict == "contracting"
    assert found.condition.tolist() == [1.0] * len(found.condition)


def test_too_small_a_budget_is_undecided_and_says_so():
    found = stability(Dense(grcar(N)), k=2, max_products=30, dense_up_to=0)
    assert found.verdict == "undecided"
    assert not found.eigenvalues.converged.any()


def test_eigenvalues_that_are_known_are_not_searched_again():
    a = Dense(planted_pair(N, 13))
    known = eigenvalues(a, 4, dense_up_to=0)
    found = stability(a, known=known, dense_up_to=0, max_products=800)
    assert found.eigenvalues is known
    assert found.verdict == "unstable"
    assert known.products < found.products <= known.products + 800
    plain = stability(a, 4, dense_up_to=0, max_products=2400)
    assert torch.allclose(found.condition[:2], plain.condition[:2], rtol=1e-4)


@pytest.mark.parametrize(("products", "converged"), [(40, False), (160, True)])
def test_ritz_values_right_of_zero_certify_no_instability_without_left_vectors_to_match(products, converged):
    """Grcar's matrix, all of it left of zero: even a residual of 1e-7 says little where nothing is well conditioned."""
    a = Dense(grcar(N) - 2.3 * torch.eye(N, dtype=torch.float64))
    known = eigenvalues(a, 1, dense_up_to=0, max_products=products)
    assert known.values[0].real > 0.1
    assert bool(known.converged.all()) == converged
    found = stability(a, known=known, dense_up_to=0, max_products=2 * products)
    assert found.verdict == "undecided"


def test_a_formed_operator_is_formed_once_and_keeps_its_products():
    a = Counted(Dense(non_normal(60, 15, departure=1.0)))
    formed = Formed(a)
    assert a.spent == 60
    one, two = eigenvalues(formed, 3), stability(formed.T, 3)
    assert a.spent <= 60 + 2 * (2 * 3 + 1)
    assert formed.T.T is formed
    assert torch.allclose(one.values.real, two.eigenvalues.values.real)
    assert torch.equal(formed.T.matrix, a.inner.matrix.T)
    assert formed.decomposition is formed.decomposition


def test_a_planted_unstable_pair_is_certified():
    found = stability(Dense(planted_pair(N, 10)), k=2, dense_up_to=0)
    assert found.verdict == "unstable"
    assert found.rightmost == pytest.approx(0.05 + 0.4j, abs=1e-6)
    assert found.products <= 3000
    assert "0.05 ±" in found.status


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), shift=st.floats(-3, 3), departure=st.floats(0, 3), dense=st.booleans())
def test_no_verdict_contradicts_the_true_spectrum(seed, shift, departure, dense):
    a = non_normal(60, seed, departure=departure) + shift * torch.eye(60, dtype=torch.float64)
    abscissa = 1 + shift
    verdict = stability(Dense(a), k=3, dense_up_to=2000 if dense else 0).verdict
    if verdict == "unstable":
        assert abscissa > 0
    elif verdict in ("contracting", "stable", "no unstable mode found"):
        assert abscissa < 0
    elif verdict == "marginal":
        assert abs(abscissa) < 1e-4


def test_float32_verdicts_respect_the_products_noise():
    tiny = block([1e-9, 1.0], [-1.0, 1e-9]).matrix.float()
    assert stability(Dense(tiny)).verdict == "marginal"
    assert stability(Dense(tiny + 1e-3 * torch.eye(2))).verdict == "unstable"


def test_a_nan_stops_every_certificate():
    bad = Dense(torch.full((3, 3), math.nan))
    for certificate in (stability, pseudospectrum, numerical_range, lambda a: extremes(a.sym)):
        with pytest.raises(NonFiniteError, match="non-finite"):
            certificate(bad)


def test_certificates_repeat_with_their_seed():
    a = Dense(wishart_plus_skew(N, 11))
    one, two = (stability(a, k=2, dense_up_to=0, seed=4, max_products=600) for _ in range(2))
    assert str(one) == str(two)
    assert one.numerical_abscissa == two.numerical_abscissa
    assert one.seed == 4
