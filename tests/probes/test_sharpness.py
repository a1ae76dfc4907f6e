"""Effective sharpness against dense eigenvalues, and the limits of the bases."""

from dataclasses import replace

import pytest
import torch
from linear_games import modes_of, random_matrix, setting_of
from torch import Tensor

from separatrix.dynamics import SGD, Alternating, Base, Extragradient, Frozen, Mode, Simultaneous
from separatrix.errors import ComputationError
from separatrix.probes import leading, settle, sharpness
from separatrix.probes.sharpness import Sharpness, real_limit, sharpness_section
from separatrix.zoo import load

PLAYERS = {"a": 3, "b": 4}


def symmetric_blocks(seed: int) -> Tensor:
    matrix = random_matrix(7, seed, radius=2.0)
    for part in (slice(0, 3), slice(3, 7)):
        matrix[part, part] = (matrix[part, part] + matrix[part, part].T) / 2
    return matrix


@pytest.mark.parametrize("seed", range(4))
def test_sharpness_is_the_dense_leftmost_eigenvalue_of_each_block_in_the_metric(seed: int) -> None:
    matrix = symmetric_blocks(seed)
    bases: dict[str, Base] = {"a": SGD(0.1), "b": SGD(0.3)}
    setting = setting_of(matrix, PLAYERS, bases)
    joint, a, b = sharpness(setting, modes_of(setting))
    scale = setting.scale
    assert a.value == pytest.approx(-float(torch.linalg.eigvalsh(0.1 * matrix[:3, :3])[0]), rel=1e-10)
    assert b.value == pytest.approx(-float(torch.linalg.eigvalsh(0.3 * matrix[3:, 3:])[0]), rel=1e-10)
    assert joint.value == pytest.approx(-float(torch.linalg.eigvals(scale[:, None] * matrix).real.min()), rel=1e-10)
    assert max(joint.residual, a.residual, b.residual) < 1e-10


def test_the_joint_value_is_the_leftmost_even_where_it_is_not_among_the_leading_modes() -> None:
    """Fast rotations are larger and further right than the stiff mode."""
    matrix = torch.diag(torch.tensor([-1.5, -0.1, -0.1, -0.1, -0.1, -0.1, -0.1], dtype=torch.float64))
    for i, turn in ((1, 5.0), (2, 6.0), (3, 7.0)):
        matrix[i, i + 3], matrix[i + 3, i] = -turn, turn
    setting = setting_of(matrix, PLAYERS, SGD(1.0))
    modes = leading(setting.operator, k=2)
    modes = replace(modes, complete=False, values=modes.values[:4], vectors=modes.vectors[:4])
    assert float(modes.values.real.min()) > -1.0
    assert sharpness(setting, modes)[0].value == pytest.approx(1.5, rel=1e-10)


def test_a_player_whose_field_is_no_gradient_is_not_taken_for_one() -> None:
    """A one-player spiral: the symmetric routines would see one triangle only."""
    setting = setting_of(torch.tensor([[-0.3, -2.0], [1.0, -0.3]], dtype=torch.float64), bases=SGD(1.0))
    assert [r.value for r in sharpness(setting, modes_of(setting))] == pytest.approx([0.3, 0.3], rel=1e-10)


@pytest.mark.parametrize(
    ("mode", "limit"),
    [
        (Mode("none"), 2.0),
        (Mode("heavy-ball", 0.9), 2 * 1.9),
        (Mode("heavy-ball", -0.5), 2 * 0.5),
        (Mode("nesterov", 0.9), 2 * 1.9 / 2.8),
        (Mode("averaged", 0.5), 2 * 1.5 / 0.5),
        (Mode("averaged", 0.9), 2 * 1.9 / 0.1),
    ],
)
def test_limits_are_those_of_the_base_for_schemes_in_which_every_evaluation_is_a_step(mode: Mode, limit: float) -> None:
    assert real_limit(Simultaneous(), mode) == pytest.approx(limit, rel=1e-12)
    assert real_limit(Alternating(), mode) == pytest.approx(limit, rel=1e-12)
    together = setting_of(symmetric_blocks(0), PLAYERS, Frozen(0.1, mode), Simultaneous())
    assert [r.limit for r in sharpness(together, modes_of(together))] == pytest.approx([limit] * 3, rel=1e-12)
    in_turn = setting_of(symmetric_blocks(0), PLAYERS, Frozen(0.1, mode), Alternating())
    joint, *alone = sharpness(in_turn, modes_of(in_turn))
    assert joint.limit is None  # alternation mixes the players' modes, so no single base limits all of them
    assert [r.limit for r in alone] == pytest.approx([limit] * 2, rel=1e-12)


def test_extragradient_has_a_limit_of_its_own() -> None:
    """``1 + z + z^2`` leaves the disc at -1, not at -2."""
    assert real_limit(Extragradient(), Mode("none")) == pytest.approx(1.0, rel=1e-8)
    momentum = Mode("heavy-ball", 0.5)
    limit = real_limit(Extragradient(), momentum)
    for share, stable in ((0.999, True), (1.001, False)):
        setting = setting_of(
            torch.tensor([[-share * limit]], dtype=torch.float64), bases=Frozen(1.0, momentum), scheme=Extragradient()
        )
        assert (float(torch.linalg.eigvals(setting.update_map().to_dense()).abs().max()) <= 1) == stable


def test_players_with_different_bases_have_no_common_limit() -> None:
    setting = setting_of(symmetric_blocks(0), PLAYERS, {"a": SGD(0.1), "b": SGD(0.1, momentum=0.5)})
    rows = sharpness(setting, modes_of(setting))
    assert [r.limit for r in rows] == [None, pytest.approx(2.0), pytest.approx(3.0)]
    assert rows[0].ratio is None


def test_without_linear_bases_there_is_none() -> None:
    setting = settle(load("bilinear").field())
    with pytest.raises(ComputationError, match="no method was given"):
        sharpness(setting, modes_of(setting))


@pytest.mark.parametrize(("value", "side"), [(1.99, "within"), (2.0, "within"), (2.01, "beyond")])
def test_the_sentence_says_on_which_side_of_the_limit_the_worst_lies(value: float, side: str) -> None:
    rows = [
        Sharpness("joint", 0.1, 0.0, None, True),
        Sharpness("a", value, 0.0, 2.0, True),
        Sharpness("b", 0.0, 0.0, 2.0, True),
    ]
    assert f"{side} the limit" in str(sharpness_section(rows)["sentence"])
    assert str(sharpness_section(rows)["sentence"]).startswith("Player a: ")
    assert sharpness_section(rows[:1])["sentence"] == "No limit is known for these bases."
