"""Block norms, the share that turns and the angle between couplings."""

import sys

import pytest
import torch
from linear_games import random_matrix

from separatrix.errors import InputError
from separatrix.fields import Space
from separatrix.linalg import Dense
from separatrix.probes import Interplay, interplay

SPACE = Space.of_sizes({"a": 3, "b": 4})
PARTS = (slice(0, 3), slice(3, 7))


def test_block_norms_lie_within_three_standard_errors_of_the_dense_ones() -> None:
    inside = total = 0
    for seed in range(20):
        matrix = random_matrix(7, seed, radius=2.0)
        found = interplay(Dense(matrix), SPACE, probes=24, seed=seed)
        for i, row in enumerate(PARTS):
            for j, column in enumerate(PARTS):
                gap = abs(float(found.norms[i, j] - matrix[row, column].norm()))
                inside += gap <= 3 * float(found.stderr[i, j])
                total += 1
        antisymmetric = (matrix - matrix.T) / 2
        share = float(antisymmetric.norm() ** 2 / matrix.norm() ** 2)
        inside += abs(found.rotation_share - share) <= 3 * found.rotation_stderr
        total += 1
    assert inside >= 0.95 * total, f"{inside} of {total}"


def test_players_of_one_coordinate_are_measured_exactly() -> None:
    matrix = torch.tensor([[-1.0, 2.0], [-3.0, 0.5]], dtype=torch.float64)
    found = interplay(Dense(matrix), Space.of_sizes({"a": 1, "b": 1}), probes=2)
    assert torch.equal(found.norms, matrix.abs())
    assert not bool(found.stderr.any())
    assert found.rotation_share == pytest.approx(2 * 2.5**2 / float(matrix.square().sum()), rel=1e-14)
    assert found.rotation_stderr == pytest.approx(0.0, abs=1e-15)


def test_the_average_over_all_signs_is_exact() -> None:
    """Two coordinates have four sign vectors: the mean over many draws tends to the dense norm."""
    matrix = random_matrix(4, 1)
    found = interplay(Dense(matrix), Space.of_sizes({"a": 2, "b": 2}), probes=4000)
    assert float(found.norms[0, 1]) == pytest.approx(float(matrix[:2, 2:].norm()), rel=0.03)


def test_nothing_turns_in_a_potential_and_everything_in_a_rotation() -> None:
    matrix = random_matrix(7, 0)
    assert interplay(Dense(matrix + matrix.T), SPACE).rotation_share == pytest.approx(0.0, abs=1e-14)
    assert interplay(Dense(matrix - matrix.T), SPACE).rotation_share == pytest.approx(1.0, abs=1e-14)


def coupled(sign: float) -> Interplay:
    matrix = torch.zeros(7, 7, dtype=torch.float64)
    block = random_matrix(7, 5)[PARTS[0], PARTS[1]]
    matrix[PARTS[0], PARTS[1]], matrix[PARTS[1], PARTS[0]] = block, sign * block.T
    return interplay(Dense(matrix), SPACE)


def test_the_angle_is_0_for_a_zero_sum_game_and_180_for_a_common_interest() -> None:
    against, together = coupled(-1.0), coupled(1.0)
    assert against.angle_deg == pytest.approx(0.0, abs=1e-5)
    assert together.angle_deg == pytest.approx(180.0, abs=1e-5)
    assert "work against each other" in str(against.section()["sentence"])
    assert "work together with each other" in str(together.section()["sentence"])


@pytest.mark.parametrize(
    ("angle", "word"), [(59.9, "against"), (60.0, "across"), (120.0, "across"), (120.1, "together with")]
)
def test_the_words_for_the_angle_change_at_60_and_120_degrees(angle: float, word: str) -> None:
    none = torch.zeros(2, 2)
    section = Interplay(("a", "b"), none, none, 0.5, 0.1, angle, 3.0, 6).section()
    assert f"work {word} each other" in str(section["sentence"])


def test_one_sided_couplings_and_three_players_have_no_angle() -> None:
    matrix = torch.zeros(7, 7, dtype=torch.float64)
    matrix[PARTS[0], PARTS[1]] = 1.0
    assert interplay(Dense(matrix), SPACE).angle_deg is None
    assert interplay(Dense(random_matrix(7, 0)), Space.of_sizes({"a": 3, "b": 3, "c": 1})).angle_deg is None


def test_where_nothing_acts_nothing_turns() -> None:
    found = interplay(Dense(torch.zeros(7, 7, dtype=torch.float64)), SPACE)
    assert (found.rotation_share, found.rotation_stderr, found.angle_deg) == (0.0, 0.0, None)


def test_the_seed_decides_and_global_streams_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_rng_state()
    monkeypatch.setattr(sys.modules["separatrix.probes.interplay"], "EXACT_UP_TO", 0)
    first, again = (interplay(Dense(random_matrix(7, 0)), SPACE, seed=3).norms for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, interplay(Dense(random_matrix(7, 0)), SPACE, seed=4).norms)
    assert torch.equal(before, torch.get_rng_state())


def test_bad_input_is_refused() -> None:
    operator = Dense(torch.eye(2, dtype=torch.float64))
    with pytest.raises(InputError, match="probes must be at least 2, for a standard error, got 1"):
        interplay(operator, Space.of_sizes({"a": 1, "b": 1}), probes=1)
    with pytest.raises(InputError, match="players share parameters"):
        interplay(operator, Space([("t", (2,), ("a", "b"))], ["a", "b"]))
