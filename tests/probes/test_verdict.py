"""Verdicts about an operator, which are its certificate's, and the leading modes that they rest on."""

from dataclasses import replace

import pytest
import torch
from linear_games import linear, modes_of, random_matrix, setting_of

import separatrix as sx
from separatrix.dynamics import SGD, Alternating
from separatrix.errors import InputError
from separatrix.linalg import Dense, Formed
from separatrix.probes import certify, leading, reduce, signature
from separatrix.probes.verdict import verdict, verdict_section


def judged(matrix: torch.Tensor) -> tuple[str, str]:
    operator = Formed(Dense(matrix.double()))
    found = leading(operator, k=2)
    return verdict(found, certify(operator, found))


@pytest.mark.parametrize(("real", "name"), [(1e-6, "unstable"), (0.0, "marginal"), (-1e-6, "stable")])
def test_the_verdict_is_the_certificate_s_on_both_sides_of_zero(real: float, name: str) -> None:
    turning = torch.tensor([[real, -1.0, 5.0], [1.0, real, 0.0], [0.0, 0.0, -2.0]])
    assert judged(turning)[0] == name
    assert judged(turning - 4 * torch.eye(3))[0] == "contracting"


def test_without_a_certificate_nothing_is_decided_but_what_was_seen_is_told() -> None:
    found = leading(Dense(torch.diag(torch.tensor([0.5, -1.0], dtype=torch.float64))), k=1)
    name, sentence = verdict(found, None)
    assert name == "undecided"
    assert "the rightmost converged eigenvalue is 0.500" in sentence
    none = replace(found, converged=torch.zeros(len(found), dtype=torch.bool))
    assert "no eigenvalue converged" in verdict(none, None)[1]


def test_the_section_has_multipliers_in_the_plane_and_none_in_the_disc() -> None:
    for scheme, present in ((None, True), (Alternating(), False)):
        setting = setting_of(random_matrix(4, 0), {"a": 2, "b": 2}, SGD(0.1), *([scheme] if scheme else []))
        found = modes_of(setting)
        signed = signature(setting, found, reduce(setting.operator, setting.field.space, found))
        section = verdict_section(found, setting, signed)
        rows = section["rows"]
        assert all((row["multiplier"] is not None) == present for row in rows)  # type: ignore[attr-defined]
        assert section["complete"]
        if present:
            for row in rows:  # type: ignore[attr-defined]
                assert complex(*row["multiplier"]) == pytest.approx(1 + complex(row["real"], row["imag"]))
                assert row["growth"] == pytest.approx(abs(complex(*row["multiplier"])))


# The leading modes and the spectrum that the verdict reads.


def test_leading_modes_are_left_eigenvectors_sorted_from_the_right_with_the_ends_that_found_them() -> None:
    matrix = random_matrix(30, 3)
    found = leading(Dense(matrix), k=4)
    for value, y in zip(found.values.tolist(), found.vectors, strict=True):
        assert float((y @ matrix.to(y.dtype) - value * y).norm()) < 1e-12
    assert found.values.real.tolist() == sorted(found.values.real.tolist(), reverse=True)
    dense = torch.linalg.eigvals(matrix)
    right = int(found.values.real.argmax())
    assert float(found.values[right].real) == pytest.approx(float(dense.real.max()))
    assert "rightmost" in found.targets[right]
    assert len(set(found.values.tolist())) == len(found.values)
    assert all(value.imag >= 0 for value in found.values[found.upper()].tolist())


def test_eigenvalues_that_coincide_are_kept_as_often_as_one_end_found_them() -> None:
    found = leading(Dense(torch.diag(torch.tensor([-1.0, -1.0, -3.0], dtype=torch.float64))), k=3)
    assert found.values.real.tolist() == [-1.0, -1.0, -3.0]


def test_a_value_that_two_ends_want_stands_once_with_both_names() -> None:
    found = leading(
        Dense(torch.diag(torch.tensor([-1.0, -2.0], dtype=torch.float64))), k=1, targets=["largest", "leftmost"]
    )
    assert found.values.tolist() == [-2.0]
    assert found.targets == ("largest+leftmost",)


def test_a_spectrum_prints_what_was_measured_and_how_well() -> None:
    text = str(sx.spectrum(linear(random_matrix(4, 1)), k=2))
    assert "eigenvalues of: Jacobian, per unit of time" in text
    assert "residual" in text
    with pytest.raises(InputError, match="k must be at least 1, got 0"):
        sx.spectrum(linear(random_matrix(4, 1)), k=0)
    with pytest.raises(InputError, match="target"):
        sx.spectrum(linear(random_matrix(4, 1)), targets=("topmost",))
