"""``sx.spectrum``: values, verdict with its certificate, and what is computed beside them."""

import json
import math
import sys
from typing import get_args

import pytest
import torch
from linear_games import linear, random_matrix

import separatrix as sx
from separatrix.errors import ComputationError, InputError, UnsupportedOperatorError
from separatrix.linalg import Dense, Formed, LinearOperator, Verdict, stability
from separatrix.probes import leading
from separatrix.probes.certificate import certify
from separatrix.probes.spectrum_data import spectrum_data
from separatrix.probes.surroundings import surroundings

VERDICTS = set(get_args(Verdict))
N = 2100  # beyond what is formed


class Wide(LinearOperator):
    """A small block of interest beside ``-x`` on thousands of coordinates; known by its products only."""

    def __init__(self, block, *, forward: bool = True):
        super().__init__((N, N), dtype=torch.float64, device=torch.device("cpu"))
        self.block, self.forward = block, forward

    def _through(self, block, u):
        k = len(block)
        rest = torch.linspace(-1, -0.5, N - k, dtype=u.dtype) * u[k:]
        return torch.cat([block @ u[:k], rest])

    def _apply(self, u):
        if not self.forward:
            raise UnsupportedOperatorError("no product from this side")
        return self._through(self.block, u)

    def _apply_transpose(self, u):
        return self._through(self.block.T, u)


def pair(real, imag, departure=0.0):
    return torch.tensor([[real, imag + departure], [-imag, real]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("block", "verdict"),
    [
        (pair(0.05, 3.0), "unstable"),
        (pair(-0.05, 3.0), "contracting"),
        (pair(-0.05, 3.0, departure=1.0), "no unstable mode found"),
        (pair(0.0, 3.0), "marginal"),
    ],
)
def test_leading_modes_are_certified_by_few_more_products(block, verdict):
    operator = Wide(block)
    modes = leading(operator, k=2, max_products=200, seed=1)
    found = certify(operator, modes, max_products=200)
    assert found.verdict == verdict
    assert found.verdict == stability(operator, 2, dense_up_to=0, tol=1e-3, max_products=900).verdict
    assert found.eigenvalues.values.real.max() == pytest.approx(float(block[0, 0]), abs=1e-3)
    assert found.products <= modes.products + 200


def test_without_the_rightmost_end_the_certificate_searches_for_it():
    operator = Wide(pair(0.05, 0.1))
    modes = leading(operator, k=1, targets=["largest"], max_products=100)
    assert modes.values.real.max() < 0
    assert certify(operator, modes, max_products=300).verdict == "unstable"


def test_modes_of_a_small_operator_are_certified_densely():
    matrix = torch.tensor([[-1.0, 5.0], [0.0, -2.0]], dtype=torch.float64)
    found = certify(Dense(matrix), leading(Dense(matrix)))
    assert found.verdict == "stable"
    assert found.eigenvalues.complete


def test_the_verdict_of_a_spectrum_is_its_certificates():
    field = linear(torch.tensor([[-1.0, 5.0], [0.0, -2.0]], dtype=torch.float64))
    found = sx.spectrum(field)
    assert found.verdict == "stable"
    assert found.certificate is not None
    assert found.sentence == f"Stable: {found.certificate.status}"
    assert "symmetric part ends below" in found.sentence
    plain = sx.spectrum(field, certificate=False)
    assert plain.certificate is None
    assert plain.verdict == "undecided"
    assert plain.products < 2 * found.products


def test_where_no_certificate_can_be_had_nothing_is_decided_and_it_is_said(monkeypatch):
    def refuse(*_, **__):
        raise ComputationError("no product from this side")

    monkeypatch.setattr(sys.modules["separatrix.probes.spectrum"], "certify", refuse)
    found = sx.spectrum(linear(random_matrix(4, 1) - 2 * torch.eye(4, dtype=torch.float64)))
    assert found.certificate is None
    assert found.verdict == "undecided"
    assert any("no product from this side" in finding for finding in found.findings)


def test_the_certificate_says_why_it_cannot_be_had():
    operator = Wide(pair(0.05, 3.0), forward=False)
    with pytest.raises(UnsupportedOperatorError, match="from this side"):
        certify(operator, leading(operator, k=2, max_products=100))


def test_the_record_is_plain_and_whole():
    matrix = random_matrix(6, 2) - 0.5 * torch.eye(6, dtype=torch.float64)
    found = sx.spectrum(linear(matrix), k=2, pseudospectrum=True, density=True)
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert data == json.loads(json.dumps(spectrum_data(found)))
    assert data["verdict"]["name"] in VERDICTS
    true = torch.linalg.eigvals(matrix)
    x = torch.linalg.inv(torch.linalg.eig(matrix).eigenvectors)
    for row in data["rows"]:
        value = complex(row["real"], row["imag"])
        nearest = int((true - value).abs().argmin())
        assert abs(complex(true[nearest]) - value) < 1e-10
        assert row["condition"] is None or row["condition"] == pytest.approx(float(x[nearest].norm()), rel=1e-6)
        if row["step_limit"]:
            assert abs(1 + row["step_limit"] * value) == pytest.approx(1, abs=1e-9)
    ends = torch.linalg.eigvalsh((matrix + matrix.T) / 2)
    assert data["certificate"]["symmetric_part"]["highest"] == pytest.approx(float(ends[-1]))
    assert data["range"]["support"][0] == pytest.approx(float(ends[-1]), abs=1e-9)
    assert data["density"]["above"] == pytest.approx(float((ends > 0).double().mean()), abs=1e-9)
    assert data["density"]["above"] + data["density"]["below"] == pytest.approx(1)
    grid = data["pseudospectrum"]["views"][0]
    z = complex(grid["x"][7], grid["y"][3])
    smallest = torch.linalg.svdvals(z * torch.eye(6, dtype=torch.complex128) - matrix)[-1]
    assert grid["log10"][3][7] == pytest.approx(math.log10(float(smallest)), abs=1e-3)


def test_what_surrounds_the_eigenvalues_comes_from_what_a_search_leaves_behind():
    operator = Wide(pair(-0.2, 1.0, departure=3.0))
    modes = leading(operator, k=2, max_products=120)
    certificate = certify(operator, modes, max_products=200)
    found = surroundings(operator, modes, certificate)
    assert found["range"]["support"][0] == certificate.numerical_abscissa.upper_bound
    reach = max(point[0] for point in found["range"]["points"])
    assert 0.5 < reach <= found["range"]["support"][0]
    true = max(
        float(torch.linalg.matrix_norm(torch.linalg.matrix_exp(t * operator.block), 2))
        for t in torch.linspace(0, 5, 26)
    )
    assert 1.1 < found["pseudospectrum"]["growth"] <= true
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    dense = Formed(Dense(operator.block))
    alone = surroundings(dense, leading(dense))
    assert alone["pseudospectrum"]["exact"]
    assert all(value is not None for value in alone["range"]["support"])


def test_a_spectrum_saves_and_prints_what_it_holds(tmp_path):
    found = sx.spectrum(linear(random_matrix(3, 3)), density=True, pseudospectrum=True)
    assert json.loads(found.save(tmp_path / "s.json").read_text())["title"] == "linear"
    assert "density from all eigenvalues" in str(found)
    assert repr(found) == str(found)
    with pytest.raises(InputError, match=r"the suffix must be one of .*\.json"):
        found.save(tmp_path / "s.pdf")
    with pytest.raises(InputError, match="does not exist"):
        found.save(tmp_path / "nowhere" / "s.json")


def test_one_target_may_be_given_by_its_name_and_parts_are_announced():
    heard: list[str] = []
    field = linear(torch.tensor([[-0.1, 1.0], [-1.0, -0.1]], dtype=torch.float64))
    found = sx.spectrum(field, targets="step-limit", pseudospectrum=True, density=True, progress=heard.append)
    assert "step-limit" in found.modes.targets[0]
    assert heard == ["Jacobian and self-tests", "eigenvalues", "certificate", "pseudospectrum", "density"]
    with pytest.raises(InputError, match="max_products must be at least 1, got 0"):
        sx.spectrum(field, max_products=0)


def test_a_large_field_is_measured_by_products_alone_and_repeats():
    """Beyond what is formed: a network field of 2306 parameters."""
    torch.manual_seed(0)
    models = {
        "G": torch.nn.Linear(33, 33),
        "D": torch.nn.Sequential(torch.nn.Linear(33, 33), torch.nn.Tanh(), torch.nn.Linear(33, 2)),
    }
    z, real = torch.randn(16, 33), torch.randn(16, 33)

    def losses(m, batch):
        on_real, on_fake = m["D"](real)[:, 0], m["D"](m["G"](z))[:, 0]
        soft = torch.nn.functional.softplus
        return {"G": soft(-on_fake).mean(), "D": soft(-on_real).mean() + soft(on_fake).mean()}

    field = sx.Game(models, losses).on()
    assert field.space.n > 2000
    one, two = (sx.spectrum(field, k=2, max_products=80, pseudospectrum=True, density=True, seed=3) for _ in range(2))
    data = one.to_dict()
    assert data == two.to_dict()
    assert not one.modes.complete
    assert one.certificate is not None
    assert one.numerical_range is not None
    inside = one.numerical_range.points.real
    assert float(inside.max()) <= one.certificate.numerical_abscissa.upper_bound + 1e-6
    assert one.products <= 3 * 80 + 10
    assert one.density is not None
    assert data["density"]["above"] is None
    assert (data["pseudospectrum"]["growth"] is None) == (one.verdict == "unstable")


@pytest.mark.parametrize("route", ["retained", "stream", "dual", "dense"])
def test_products_may_be_computed_by_any_route(route):
    torch.manual_seed(0)
    models = {"G": torch.nn.Linear(2, 2).double(), "D": torch.nn.Linear(2, 1).double()}
    game = sx.Game(models, lambda m, z: m["D"](m["G"](z)).tanh().mean())
    batches = list(torch.randn(2, 5, 2, dtype=torch.float64))
    spent = {}
    for chosen in {"retained", route}:
        field = game.on(batches=batches)
        spent[chosen] = sx.spectrum(field, k=1, route=chosen), field.gradients
    found, expected = spent[route][0], spent["retained"][0]
    torch.testing.assert_close(found.modes.values, expected.modes.values, rtol=1e-9, atol=1e-12)
    assert found.verdict == expected.verdict
    assert (spent[route][1] == spent["retained"][1]) == (route == "retained")  # each at its own price


def test_an_unknown_route_is_refused():
    field = linear(torch.tensor([[-0.1, 1.0], [-1.0, -0.1]], dtype=torch.float64))
    for measure in (sx.spectrum, sx.diagnose):
        with pytest.raises(InputError, match="route must be one of 'retained', 'stream', 'dual', 'dense', got 'fast'"):
            measure(field, route="fast")


@pytest.mark.parametrize(
    "given", [sx.Game({"x": torch.zeros(1)}, lambda m, b: (m["x"] ** 2).sum()), None, torch.eye(2)]
)
def test_what_is_no_field_is_refused_with_the_way_to_one(given):
    with pytest.raises(InputError, match=rf"takes a Field, got a {type(given).__name__}; .*game\.on\(batch\)"):
        sx.spectrum(given)


def test_only_the_ends_that_are_asked_for_are_shown():
    field = linear(torch.diag(torch.tensor([-1.0, -2.0, -3.0], dtype=torch.float64)))
    assert sx.spectrum(field, k=1, targets=["rightmost"]).modes.targets == ("rightmost",)
    assert "leftmost" in "+".join(sx.spectrum(field, k=1).modes.targets)
    with pytest.raises(InputError, match="give at least one target: 'largest', 'leftmost'"):
        sx.spectrum(field, targets=())
