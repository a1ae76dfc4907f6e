"""The slice of a linear field through the plane of a mode."""

import cmath
import math

import pytest
import torch
from linear_games import linear, modes_of, random_matrix, setting_of
from torch import Tensor

import separatrix as sx
from separatrix.dynamics import SGD, Alternating
from separatrix.fields import FunctionField
from separatrix.probes import Signature, reduce, settle, signature
from separatrix.probes.eigenplane import Eigenplane, eigenplane, spoken_of
from separatrix.probes.leading import Leading
from separatrix.probes.numbers import complex_number


def a_plane() -> tuple[Eigenplane, sx.probes.Setting, torch.Tensor]:
    field = linear(random_matrix(6, 2, radius=2.0), {"a": 3, "b": 3}, at=torch.zeros(6, dtype=torch.float64))
    setting = settle(field, sx.Method({"a": SGD(0.1), "b": SGD(0.4)}))
    modes = modes_of(setting)
    which = int(modes.values.imag.abs().argmax())
    plane = torch.linalg.qr(torch.stack([modes.vectors[which].real, modes.vectors[which].imag]).T)[0].T
    return eigenplane(setting, modes, grid=5), setting, plane


def test_the_drawn_velocities_are_the_two_by_two_block_of_the_mode() -> None:
    """``Q^T P Q`` with ``Q`` an orthonormal basis of the left plane; the other coordinates do not matter."""
    found, setting, plane = a_plane()
    block = plane @ setting.operator.to_dense() @ plane.T
    values = torch.linalg.eigvals(block).tolist()
    assert min(abs(v - found.value) for v in values) < 1e-12
    for row, b in enumerate(found.axis.tolist()):
        for column, a in enumerate(found.axis.tolist()):
            wanted = block @ torch.tensor([a, b], dtype=torch.float64)
            assert float(found.u[row, column]) == pytest.approx(float(wanted[0]), abs=1e-12)
            assert float(found.v[row, column]) == pytest.approx(float(wanted[1]), abs=1e-12)


def test_the_amplitude_obeys_the_mode_whatever_the_other_coordinates_do() -> None:
    _, setting, plane = a_plane()
    p = setting.operator.to_dense()
    elsewhere = torch.randn(6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    other = elsewhere - plane.T @ (plane @ elsewhere)
    assert float((plane @ p @ other).abs().max()) < 1e-12


def test_the_path_is_drawn_in_the_metric_and_ends_at_the_point() -> None:
    setting = setting_of(torch.tensor([[-0.1, -1.0], [1.0, -0.1]], dtype=torch.float64), {"a": 1, "b": 1}, SGD(0.25))
    modes = modes_of(setting)
    path = torch.tensor([[3.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    found = eigenplane(setting, modes, path=path, grid=3)
    assert found.path.shape == (3, 2)
    assert not bool(found.path[-1].any())
    # The whole plane is drawn, so lengths are those of x / sqrt(D): twice those of x for a rate of 1/4.
    assert found.path[:2].norm(dim=1).tolist() == pytest.approx((2 * (path - 1).norm(dim=1)).tolist())
    assert float(found.axis.max()) == pytest.approx(1.1 * float(found.path.abs().max()))


def a_leading(values: list[complex], vectors: torch.Tensor) -> Leading:
    k = len(values)
    none = torch.zeros(k, dtype=torch.float64)
    return Leading(
        torch.tensor(values, dtype=torch.complex128),
        none,
        none == 0,
        vectors.to(torch.complex128),
        ("x",) * k,
        True,
        0,
        0.0,
    )


def test_one_real_mode_is_drawn_against_the_direction_of_the_field_without_touching_random_streams() -> None:
    setting = setting_of(torch.diag(torch.tensor([-1.0, -2.0, -3.0], dtype=torch.float64)))
    only = a_leading([-0.1], torch.tensor([[1.0, 0.0, 0.0]]))
    before = torch.get_rng_state()
    first, again = (eigenplane(setting, only, grid=3) for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first.u, again.u)
    assert "of the real mode −0.100 and a second direction" in str(first.section()["sentence"])


def test_where_the_field_is_not_finite_the_picture_has_a_hole() -> None:
    def broken(x: torch.Tensor) -> torch.Tensor:
        return torch.where(x.norm() > 3, torch.nan, 1.0) * torch.stack([-x[1], x[0]])

    setting = settle(FunctionField(broken, torch.tensor([0.1, 0.0], dtype=torch.float64)), sx.Method(SGD(1.0)))
    found = eigenplane(setting, modes_of(setting), path=torch.full((1, 2), 3.0), grid=5)
    assert bool(found.u.isnan().any())
    assert bool(found.u.isfinite().any())


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (-0.09 + 1j, "and is hardly damped"),
        (-0.1 + 1j, "and shrinks"),
        (-0.2 + 1j, "and shrinks"),
        (0.1 + 1j, "and grows"),
        (1e-9 + 1j, "and is hardly damped"),
        (0.05 + 1j, "and grows"),  # by 37% a turn
    ],
)
def test_the_sentence_tells_damping_on_each_side_of_a_tenth(value: complex, words: str) -> None:
    none = torch.zeros(1)
    assert words in str(Eigenplane(none, none, none, none, value).section()["sentence"])


def a_signature(multipliers: list[complex], vectors: Tensor, converged: list[bool] | None = None) -> Signature:
    values = torch.tensor(multipliers, dtype=torch.complex128)
    none = torch.zeros(len(multipliers), dtype=torch.float64)
    flags = torch.tensor(converged or [True] * len(multipliers))
    return Signature("disc", values, none, flags, values, vectors.to(torch.complex128))


TURNING, STRAIGHT, DAMPED = 1.01 * cmath.exp(0.1j), 1.3 + 0j, 0.9 + 0.1j


@pytest.mark.parametrize(
    ("multipliers", "converged", "wanted"),
    [
        ([STRAIGHT, TURNING, DAMPED], None, 1),
        ([STRAIGHT, TURNING, DAMPED], [True, False, True], 0),
        ([DAMPED, 0.95 + 0j], None, 1),
        ([DAMPED], [False], None),
    ],
)
def test_the_mode_spoken_of_is_the_rotation_that_grows_and_else_the_largest(
    multipliers: list[complex], converged: list[bool] | None, wanted: int | None
) -> None:
    assert spoken_of(a_signature(multipliers, torch.eye(len(multipliers)), converged)) == wanted


def test_the_plane_of_a_mode_of_the_method_is_that_of_its_part_in_the_parameters() -> None:
    """Alternation of a pure rotation under momentum: the left vectors of the period map have a part for the buffers."""
    matrix = torch.tensor([[-0.1, -1.0], [1.0, -0.1]], dtype=torch.float64)
    setting = setting_of(matrix, {"a": 1, "b": 1}, SGD(0.2, momentum=0.5), Alternating())
    modes = modes_of(setting)
    found = signature(setting, modes, reduce(setting.operator, setting.field.space, modes))
    assert found.vectors.shape[1] == 4
    plane = eigenplane(setting, modes, signature=found, grid=3)
    assert plane.of_method
    assert abs(plane.value) == pytest.approx(max(found.growth(i) for i in range(4)))
    sentence = str(plane.section()["sentence"])
    assert sentence.startswith(
        f"The plane of the mode m = {complex_number(plane.value.real, plane.value.imag)}, which "
    )
    assert f"turns once in {2 * math.pi / cmath.phase(plane.value):.0f} steps" in sentence
    assert plane.section()["x_label"] == "along Re w (optimizer's units)"
    assert not eigenplane(setting, modes, which=0, signature=found, grid=3).of_method


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1.5 + 0j, "which grows by 50% per step of the running method without turning, and a second direction."),
        (3.0 + 0j, "which is multiplied by 3.00 per step of the running method without turning"),
        (-0.5 + 0j, "which shrinks by 50% per step of the running method and changes sign"),
        (cmath.exp(0.1j), "which neither grows nor shrinks and turns once in 63 steps."),
    ],
)
def test_the_sentence_tells_what_the_method_does_to_the_mode(value: complex, words: str) -> None:
    none = torch.zeros(1)
    assert words in str(Eigenplane(none, none, none, none, value, of_method=True).section()["sentence"])
