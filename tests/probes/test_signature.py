"""Multipliers and left vectors of the running method against its dense period map."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from linear_games import assert_same_spectrum, modes_of, random_matrix, setting_of
from test_reduced import a_large_case

from separatrix.dynamics import SGD, Alternating, Base, Extragradient, Frozen, Mode, Scheme, Simultaneous, linear_period
from separatrix.errors import ComputationError
from separatrix.probes import Setting, Signature, reduce, signature
from separatrix.probes.signature import (
    STEPS,
    has_region,
    lift,
    plane_mode,
    signature_section,
    signature_sentence,
    slider_table,
)
from separatrix.probes.stability import unit_bases

PLAYERS = {"a": 2, "b": 3}
AVERAGED = Frozen(0.2, Mode("averaged", 0.5))


def signed(setting: Setting) -> Signature:
    modes = modes_of(setting)
    return signature(setting, modes, reduce(setting.operator, setting.field.space, modes))


def assert_left_eigenvectors(found: Signature, setting: Setting, tol: float) -> None:
    period = setting.update_map().to_dense().to(torch.complex128)
    for m, y in zip(found.multipliers.tolist(), found.vectors.to(torch.complex128), strict=True):
        gap = float((y @ period - m * y).norm() / y.norm())
        assert gap <= tol, f"multiplier {m}: residual {gap:.1e}"


@pytest.mark.parametrize(
    ("scheme", "base"),
    [
        (Simultaneous(), SGD(0.2)),
        (Simultaneous(), SGD(0.2, momentum=0.6)),
        (Simultaneous(), SGD(0.2, momentum=-0.3)),
        (Simultaneous(), AVERAGED),
        (Extragradient(), SGD(0.2)),
    ],
    ids=str,
)
def test_in_the_plane_multipliers_and_left_vectors_are_those_of_the_period_map(scheme: Scheme, base: Base) -> None:
    setting = setting_of(random_matrix(5, 1, radius=3.0), PLAYERS, base, scheme)
    found = signed(setting)
    assert found.kind == "plane"
    assert torch.equal(found.points, modes_of(setting).values)
    dense = torch.linalg.eigvals(setting.update_map().to_dense())
    for m in found.multipliers.tolist():
        assert float((dense - m).abs().min()) < 1e-10
    # Of a mode with two roots the larger one is shown, so the largest of all is among them.
    assert float(found.multipliers.abs().max()) == pytest.approx(float(dense.abs().max()), rel=1e-12)
    assert_left_eigenvectors(found, setting, 1e-10)


@pytest.mark.parametrize(
    ("scheme", "base"),
    [
        (Alternating(), SGD(0.2)),
        (Alternating(repeats={"b": 3}), AVERAGED),
        (Alternating(), Frozen(0.2, Mode("averaged", 0.5, decay=0.01))),
        (Simultaneous(), SGD(0.2, momentum=0.5, nesterov=True)),
        (Extragradient(), SGD(0.2, momentum=0.5)),
        (Extragradient(moments="commit"), AVERAGED),
        (Extragradient(), SGD(0.2, weight_decay=0.5)),
    ],
    ids=str,
)
def test_in_the_disc_all_multipliers_of_a_small_problem_are_those_of_the_period_map(scheme: Scheme, base: Base) -> None:
    setting = setting_of(random_matrix(5, 1, radius=3.0), PLAYERS, base, scheme)
    found = signed(setting)
    assert found.kind == "disc"
    assert_same_spectrum(found.multipliers, torch.linalg.eigvals(setting.update_map().to_dense()), 1e-9)
    assert_left_eigenvectors(found, setting, 1e-10)
    assert bool(found.converged.all())
    assert found.model_gap is not None
    assert found.model_gap < 1e-12 or base == SGD(0.2, weight_decay=0.5)


def test_players_with_different_momenta_are_shown_in_the_disc() -> None:
    setting = setting_of(random_matrix(5, 2), PLAYERS, {"a": SGD(0.2), "b": SGD(0.1, momentum=0.5)})
    found = signed(setting)
    assert found.kind == "disc"
    assert_same_spectrum(found.multipliers, torch.linalg.eigvals(setting.update_map().to_dense()), 1e-10)


def test_refined_multipliers_of_a_large_problem_have_true_residuals_on_the_dense_map() -> None:
    setting, modes = a_large_case(Alternating())
    found = signature(setting, modes, reduce(setting.operator, setting.field.space, modes))
    assert found.kind == "disc"
    period = setting.update_map().to_dense().to(torch.complex128)
    dense = torch.linalg.eigvals(period)
    assert int(found.converged.sum()) >= 6
    for m, r, y in zip(found.multipliers.tolist(), found.residuals.tolist(), found.vectors, strict=True):
        y = y.to(torch.complex128)
        assert float((y @ period - m * y).norm() / y.norm()) == pytest.approx(r, rel=0.05, abs=1e-12)
        assert r > 1e-3 or float((dense - m).abs().min()) < 1e-3
    # The gap that is reported is the worst residual of what the small model said of the real map.
    assert found.model_gap is not None
    assert found.model_gap < 0.05


def test_without_a_resolved_multiplier_the_disc_says_so() -> None:
    setting, modes = a_large_case(Alternating())
    small = reduce(setting.operator, setting.field.space, modes)
    leaky = replace(small, leak=1e6 * torch.eye(len(small.leak), dtype=torch.float64))
    with pytest.raises(ComputationError, match="no multiplier of the small model is resolved; ask for more"):
        signature(setting, modes, leaky)
    with pytest.raises(ComputationError, match="need a small model"):
        signature(setting, modes, None)


def test_the_slider_at_the_present_step_and_momentum_is_the_small_model() -> None:
    setting = setting_of(random_matrix(5, 1), PLAYERS, AVERAGED, Alternating())
    small = reduce(setting.operator, setting.field.space, modes_of(setting))
    bases = unit_bases(setting.frozen)  # type: ignore[arg-type]
    table = slider_table(small, Alternating(), bases)
    i, j = table["steps"].index(1.0), table["momenta"].index(0.5)  # type: ignore[attr-defined]
    shown = torch.tensor([complex(*m) for m in table["multipliers"][i][j]], dtype=torch.complex128)  # type: ignore[index]
    assert_same_spectrum(shown, small.multipliers(Alternating(), bases), 1e-12)
    # Elsewhere it is the dense map of the method with that step and momentum.
    i, j = next(i for i, s in enumerate(STEPS) if abs(s - 2) < 1e-12), table["momenta"].index(0.9)  # type: ignore[attr-defined]
    other = setting_of(random_matrix(5, 1), PLAYERS, Frozen(0.4, Mode("averaged", 0.9)), Alternating())
    shown = torch.tensor([complex(*m) for m in table["multipliers"][i][j]], dtype=torch.complex128)  # type: ignore[index]
    assert_same_spectrum(shown, torch.linalg.eigvals(other.update_map().to_dense()), 1e-9)


def test_there_is_no_slider_for_a_momentum_that_is_not_there_or_not_common() -> None:
    for bases, momenta in ((SGD(0.1), [0.0]), ({"a": SGD(0.1), "b": SGD(0.1, momentum=0.5)}, [0.5])):
        setting = setting_of(random_matrix(5, 1), PLAYERS, bases, Alternating())  # type: ignore[arg-type]
        small = reduce(setting.operator, setting.field.space, modes_of(setting))
        assert slider_table(small, Alternating(), unit_bases(setting.frozen))["momenta"] == momenta  # type: ignore[arg-type]


def test_lifting_an_eigenvector_of_an_exact_model_gives_one_of_the_real_map() -> None:
    setting = setting_of(random_matrix(5, 3), PLAYERS, {"a": SGD(0.2), "b": AVERAGED}, Alternating())
    small = reduce(setting.operator, setting.field.space, modes_of(setting))
    bases = unit_bases(setting.frozen)  # type: ignore[arg-type]
    values, vectors = torch.linalg.eig(small.period(Alternating(), bases).T)
    layout = linear_period(small.matrix, Alternating(), bases, small.space).layout
    period = setting.update_map().to_dense().to(torch.complex128)
    for m, y in zip(values.tolist(), vectors.T, strict=True):
        lifted = lift(y, setting, small, layout)
        assert float((lifted @ period - m * lifted).norm()) < 1e-12


def test_only_one_common_undecayed_momentum_of_a_simultaneous_scheme_has_a_region() -> None:
    yes = [(Simultaneous(), Mode(kind, 0.5 * (kind != "none"))) for kind in ("none", "heavy-ball", "averaged")]
    yes.append((Extragradient(), Mode("none")))  # type: ignore[arg-type]
    no: list[tuple[Scheme, Mode | None]] = [
        (Alternating(), Mode("none")),
        (Simultaneous(), None),
        (Simultaneous(), Mode("nesterov", 0.5)),
        (Simultaneous(), Mode("none", decay=0.1)),
        (Extragradient(), Mode("heavy-ball", 0.5)),
    ]
    assert all(has_region(scheme, mode) for scheme, mode in yes)
    assert not any(has_region(scheme, mode) for scheme, mode in no)


def test_two_conjugate_roots_of_a_real_mode_are_shown_by_the_upper_one() -> None:
    m, _ = plane_mode(Simultaneous(), Mode("heavy-ball", 0.5), -1.0)
    assert m.imag > 0
    assert abs(m) == pytest.approx(np.sqrt(0.5), rel=1e-12)


def a_signature(*multipliers: complex, residual: float = 1e-8, converged: bool = True) -> Signature:
    m = torch.tensor(multipliers, dtype=torch.complex128)
    return Signature("plane", m, torch.full((len(m),), residual), torch.full((len(m),), converged), m, m[:, None])


def test_a_multiplier_grows_where_it_leaves_the_circle_by_more_than_its_residual_and_rounding() -> None:
    assert a_signature(1 + 2e-6, residual=1e-6).grows(0)
    assert not a_signature(1 + 0.5e-6, residual=1e-6).grows(0)
    assert not a_signature(1 + 1e-14, residual=0.0).grows(0)
    assert not a_signature(1.1, converged=False).grows(0)


def test_the_period_of_a_mode_is_one_turn_and_there_is_none_without_turning() -> None:
    found = a_signature(np.exp(2j * np.pi / 12), 0.9, -0.9)
    assert found.period_steps(0) == pytest.approx(12)
    assert found.period_steps(1) is None
    assert found.period_steps(2) is None


def test_the_sentence_counts_what_grows_over_the_steps_that_remain_and_what_is_neutral() -> None:
    turn = np.exp(0.1j)
    growing = a_signature(1.01 * turn, 1.01 / turn, 0.9)
    told = signature_sentence(growing, 1000)
    assert told == "2 of 3 resolved multipliers grow, the fastest by 1.00% per step, turning once in 63 steps."
    assert signature_sentence(growing, 90).endswith("2 are neutral over the 90 steps to go.")
    assert "without turning" in signature_sentence(a_signature(1.01), 1000)
    assert "None of the 2 resolved multipliers grows; the largest has modulus 0.9900" in signature_sentence(
        a_signature(0.99 * turn, 0.99 / turn), 1000
    )
    assert (
        signature_sentence(a_signature(1.5, converged=False), 9) == "No multiplier converged. 1 more did not converge."
    )


def test_a_bilinear_game_that_turns_on_the_circle_is_not_said_to_grow() -> None:
    setting = setting_of(
        torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64), {"a": 1, "b": 1}, SGD(0.1), Alternating()
    )
    assert signature_sentence(signed(setting), 1000).startswith("None of the 2 resolved multipliers grows")


def test_the_section_holds_the_points_the_settings_and_the_table() -> None:
    setting = setting_of(random_matrix(5, 1), PLAYERS, AVERAGED, Alternating())
    section = signature_section(signed(setting), setting, "words", 1000)
    assert (section["kind"], section["scheme"], section["base"], section["momentum"]) == (
        "disc",
        "alternating",
        "Adam",
        0.5,
    )
    assert len(section["points"]) == 10  # type: ignore[arg-type]
    assert set(section) >= {"table", "model_gap", "sentence", "step_scale"}
