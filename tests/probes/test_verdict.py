"""Verdicts about an operator: a constructed spectrum on each side of every threshold and on it."""

import pytest
import torch
from linear_games import linear, modes_of, random_matrix, setting_of

import separatrix as sx
from separatrix.dynamics import SGD, Alternating
from separatrix.errors import InputError
from separatrix.linalg import Dense
from separatrix.probes import Leading, leading, reduce, signature
from separatrix.probes.verdict import MARGIN, verdict, verdict_section


def modes(
    *values: complex, residual: float = 1e-6, converged: tuple[bool, ...] | None = None, complete: bool = True
) -> Leading:
    k = len(values)
    flags = torch.tensor(converged or (True,) * k)
    return Leading(
        torch.tensor(values, dtype=torch.complex128),
        torch.full((k,), residual, dtype=torch.float64),
        flags,
        torch.zeros(k, k, dtype=torch.complex128),
        ("largest",) * k,
        complete,
        17,
        0.0,
    )


@pytest.mark.parametrize(
    ("real", "name"),
    [
        (1.001 * MARGIN * 1e-6, "unstable"),
        (MARGIN * 1e-6, "marginal"),
        (0.0, "marginal"),
        (-MARGIN * 1e-6, "marginal"),
        (-1.001 * MARGIN * 1e-6, "stable"),
    ],
)
def test_the_error_bar_decides_on_both_sides_of_zero(real: float, name: str) -> None:
    assert verdict(modes(complex(real, 1.0), -2.0))[0] == name


def test_rounding_of_the_largest_eigenvalue_is_an_error_too() -> None:
    assert verdict(modes(0.9e-9, -1.0, residual=0.0))[0] == "marginal"
    assert verdict(modes(1.1e-9, -1.0, residual=0.0))[0] == "unstable"


def test_only_a_whole_spectrum_is_called_stable() -> None:
    name, sentence = verdict(modes(-0.1, -1.0, complete=False))
    assert name == "no unstable mode found"
    assert "in 17 products" in sentence


def test_what_did_not_converge_decides_nothing_but_leaves_it_undecided_right_of_zero() -> None:
    assert verdict(modes(0.5, -0.1, converged=(False, True), complete=False))[0] == "undecided"
    assert verdict(modes(-0.05, -0.1, converged=(False, True), complete=False))[0] == "no unstable mode found"
    assert verdict(modes(0.5, 0.1, converged=(False, True), complete=False))[0] == "unstable"
    assert verdict(modes(0.5, converged=(False,)))[0] == "undecided"


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
