"""Forecasts on linear fields, where they are exact, and what is left out."""

import cmath

import pytest
import torch
from linear_games import modes_of, random_matrix, setting_of

from separatrix.dynamics import SGD, Alternating, Base, Extragradient, Frozen, Mode, Scheme, Simultaneous
from separatrix.probes import Forecast, Setting, forecast, reduce, signature
from separatrix.probes.forecast import _log_near, forecast_section

PLAYERS = {"a": 2, "b": 3}


def tried(setting: Setting, **options: float) -> list[Forecast]:
    modes = modes_of(setting)
    found = signature(setting, modes, reduce(setting.operator, setting.field.space, modes))
    return forecast(setting, found, steps=int(options.pop("steps", 12)), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "scheme", [Simultaneous(), Alternating(), Alternating(repeats={"b": 2}), Extragradient()], ids=str
)
@pytest.mark.parametrize(
    "base",
    [
        SGD(0.2),
        SGD(0.1, momentum=0.5),
        SGD(0.1, momentum=0.5, nesterov=True),
        Frozen(0.2, Mode("averaged", 0.5, decay=0.01)),
    ],
    ids=["plain", "heavy ball", "nesterov", "averaged"],
)
def test_a_forecast_on_a_linear_field_is_exact(scheme: Scheme, base: Base) -> None:
    setting = setting_of(random_matrix(5, 4, radius=1.5), PLAYERS, base, scheme)
    for scale in (1.0, 1e-2):
        rows = tried(setting, scale=scale)
        assert len(rows) >= 3
        for row in rows:
            # A small difference loses as many digits as it is small.
            assert abs(row.observed - row.predicted) < 1e-8 / scale
            assert row.skill == pytest.approx(1.0, abs=1e-6)


def test_angles_go_on_over_several_turns() -> None:
    """A rotation by 2 rad a step: twelve steps are almost four turns."""
    matrix = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    setting = setting_of(1.2 * matrix, {"a": 1, "b": 1}, SGD(1.0), Alternating())
    (row,) = tried(setting)
    assert row.predicted.imag == pytest.approx(12 * cmath.log(row.multiplier).imag)
    assert abs(row.predicted.imag) > 2 * cmath.pi
    assert row.error < 1e-10


def test_the_branch_of_the_logarithm_is_the_one_nearest_to_what_is_expected() -> None:
    assert _log_near(cmath.exp(-3.1j), 3.1j).imag == pytest.approx(2 * cmath.pi - 3.1)
    assert _log_near(cmath.exp(0.5 + 3.1j), 3.0j) == pytest.approx(0.5 + 3.1j)


def test_where_the_method_stands_still_a_difference_of_unit_length_is_tried() -> None:
    matrix = random_matrix(5, 4)
    standing = setting_of(matrix, PLAYERS, SGD(0.2))
    from linear_games import linear

    from separatrix.dynamics import Method
    from separatrix.probes import settle

    still = settle(linear(matrix, PLAYERS, at=torch.zeros(5, dtype=torch.float64)), Method(SGD(0.2)))
    assert [r.multiplier for r in tried(still)] == [r.multiplier for r in tried(standing)]
    assert max(r.error for r in tried(still)) < 1e-10


def test_a_mode_that_is_gone_in_one_step_is_left_out_and_one_that_fades_is_read_while_it_can_be() -> None:
    setting = setting_of(torch.diag(torch.tensor([-1.0, -0.999, -0.5], dtype=torch.float64)), bases=SGD(1.0))
    rows = tried(setting, steps=40)
    assert sorted(round(r.multiplier.real, 3) for r in rows) == [0.001, 0.5]
    fading = min(rows, key=lambda r: abs(r.multiplier))
    assert 1 <= fading.steps < 10
    assert fading.error < 1e-3


def test_modes_that_live_in_the_momentum_alone_are_left_out() -> None:
    """A singular field: one multiplier is the momentum itself, and no difference of points excites it."""
    matrix = torch.tensor([[0.0, 0.0], [0.0, -0.5]], dtype=torch.float64)
    setting = setting_of(matrix, {"a": 1, "b": 1}, SGD(0.5, momentum=0.5), Alternating())
    assert all(abs(r.multiplier - 0.5) > 1e-6 for r in tried(setting, most=4))


def test_a_vector_whose_phase_hides_its_real_part_is_turned() -> None:
    from separatrix.probes.forecast import _turned

    y = torch.tensor([1j, 2j, 0.5j], dtype=torch.complex128)
    turned = _turned(y, 3)
    assert float(turned.real.norm()) == pytest.approx(float(y.abs().square().sum().sqrt()))
    assert float(turned.imag.norm()) < 1e-12


def test_skill_and_error_of_perfect_useless_and_wrong_forecasts() -> None:
    def row(predicted: complex, observed: complex) -> Forecast:
        return Forecast(1.1, 1, 1.0, predicted, observed)

    assert (row(0.1, 0.1).skill, row(0.1, 0.1).error) == (1.0, 0.0)
    assert row(0.0, 0.1).skill == 0.0
    assert row(-0.1, 0.1).skill == pytest.approx(-1.0)
    assert row(0.0, 0.1).error == float("inf")
    assert row(0.1, 0.0).skill == 0.0


def test_the_section_has_a_row_for_each_mode_and_words_for_none() -> None:
    section = forecast_section(
        [Forecast(1.1 + 0.1j, 3, 1e-3, 0.3 + 0.3j, 0.29 + 0.3j), Forecast(0.5, 2, 1e-3, -1.4, -1.4)]
    )
    assert section["steps"] == 3
    assert [row["steps"] for row in section["rows"]] == [3, 2]  # type: ignore[attr-defined]
    assert "over 3 steps with a difference of 0.001 step lengths" in str(section["sentence"])
    assert forecast_section([]) == {"rows": [], "sentence": "No mode could be tried."}
