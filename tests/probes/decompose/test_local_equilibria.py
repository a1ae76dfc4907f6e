"""Local Nash, local minimax and stable-but-not-Nash, on games whose answers are known, and on both sides of each."""

import pytest
import torch

from separatrix.errors import InputError, NonFiniteError
from separatrix.fields import FunctionField, Space
from separatrix.linalg import Block, Dense
from separatrix.probes.decompose import local_equilibrium, path_angle
from separatrix.probes.decompose.curvatures import SchurComplement, lowest_curvature, schur_curvature

TWO = Space.of_sizes({"x": 1, "y": 1})
SIX = Space.of_sizes({"x": 6, "y": 6})
ZERO = torch.zeros(2, dtype=torch.float64)


def zero_sum(fxx: float, fxy: float, fyy: float) -> Dense:
    """The field's Jacobian of ``f = fxx x^2/2 + fxy x y + fyy y^2/2``, x minimising, y maximising."""
    return Dense(torch.tensor([[-fxx, -fxy], [fxy, fyy]], dtype=torch.float64))


@pytest.mark.parametrize(
    ("game", "nash", "minimax", "stable", "drawn"),
    [
        # f = -x^2/2 + 2xy - y^2: gradient play attracted, no Nash, a minimax point with Schur complement 1.
        ((-1, 2, -2), "no", "yes", "yes", "yes"),
        # f = -3x^2 - y^2 + 4xy: minimax (Schur complement 2), but gradient play is driven away.
        ((-6, 4, -2), "no", "yes", "no", "no"),
        # f = 3x^2 + y^2 + 4xy: gradient play converges to a point that is nobody's maximum for y.
        ((6, 4, 2), "no", "no", "yes", "yes"),
        ((1, 1, -1), "yes", "yes", "yes", "no"),
        ((0, 1, 0), "undecided", "undecided", "undecided", "undecided"),
        ((-1, 1, -2), "no", "no", "no", "no"),  # Schur complement -1 + 1/2
        ((-1, 1, -1), "no", "undecided", "undecided", "undecided"),  # it is 0
    ],
)
def test_the_second_order_tests_know_the_textbook_games(game, nash, minimax, stable, drawn):
    found = local_equilibrium(zero_sum(*game), TWO, ZERO)
    assert (found.nash, found.minimax, found.stable, found.stable_but_not_nash) == (nash, minimax, stable, drawn)
    if minimax in ("yes", "no") and game[2] < 0:
        assert found.schur.lowest == pytest.approx(game[0] - game[1] ** 2 / game[2])


def test_the_leader_can_be_the_other_player():
    """f = x^2 + 2xy + y^2/4: with y leading, x answers -y, and f = -3/4 y^2 is a maximum for y."""
    found = local_equilibrium(zero_sum(2, 2, 0.5), TWO, ZERO, leader="y")
    assert (found.minimax, found.nash) == ("yes", "no")
    assert local_equilibrium(zero_sum(2, 2, 0.5), TWO, ZERO, leader="x").minimax == "no"


def test_where_the_field_moves_there_is_no_equilibrium():
    found = local_equilibrium(zero_sum(1, 1, -1), TWO, ZERO + 1e-3)
    assert (found.at_rest, found.nash, found.minimax, found.stable_but_not_nash) == (False, "no", "no", "no")
    assert "still moves" in found.sentence


def test_minimax_is_for_zero_sum_games_of_two():
    general = Dense(torch.tensor([[-1.0, 2.0], [1.0, -1.0]], dtype=torch.float64))
    assert local_equilibrium(general, TWO, ZERO).minimax is None
    three = Space.of_sizes({"a": 1, "b": 1, "c": 1})
    found = local_equilibrium(Dense(-torch.eye(3, dtype=torch.float64)), three, torch.zeros(3))
    assert (found.nash, found.minimax, found.leader) == ("yes", None, None)


def test_answers_do_not_depend_on_the_units_of_a_player():
    generator = torch.Generator().manual_seed(0)
    space = Space.of_sizes({"x": 3, "y": 4})
    for _ in range(10):
        h = torch.randn(7, 7, generator=generator, dtype=torch.float64)
        h = h + h.T + 2 * torch.diag(torch.tensor([1.0] * 3 + [-1.0] * 4))
        sign = torch.tensor([-1.0] * 3 + [1.0] * 4, dtype=torch.float64)
        jacobian = sign[:, None] * h
        scale = torch.rand(7, generator=generator, dtype=torch.float64) + 0.1
        plain = local_equilibrium(Dense(jacobian), space, torch.zeros(7))
        other = local_equilibrium(Dense(scale[:, None] * jacobian * scale), space, torch.zeros(7))
        assert (plain.nash, plain.minimax) == (other.nash, other.minimax)


def test_the_schur_complement_and_bounds_from_products_agree_with_dense_ones():
    generator = torch.Generator().manual_seed(3)
    space = Space.of_sizes({"x": 40, "y": 30})
    h = torch.randn(70, 70, generator=generator, dtype=torch.float64)
    h = h + h.T + torch.diag(torch.tensor([5.0] * 40 + [-40.0] * 30, dtype=torch.float64))
    sign = torch.tensor([-1.0] * 40 + [1.0] * 30, dtype=torch.float64)
    jacobian = Dense(sign[:, None] * h)
    wanted = h[:40, :40] - h[:40, 40:] @ torch.linalg.solve(h[40:, 40:], h[40:, :40])
    complement = SchurComplement(jacobian, space, "x", "y")
    assert torch.allclose(-complement.to_dense(), wanted, atol=1e-6)
    found = lowest_curvature(complement)
    lowest = float(torch.linalg.eigvalsh(wanted)[0])
    assert found.bound - 1e-6 <= lowest <= found.lowest + 1e-6
    assert found.lowest - found.bound < 0.01 * float(torch.linalg.eigvalsh(wanted)[-1] - lowest)
    own = lowest_curvature(Block(jacobian, slice(40, 70), slice(40, 70), tags={"symmetric"}))
    exact = float(torch.linalg.eigvalsh(-h[40:, 40:])[0])
    assert own.bound <= exact + 1e-10
    assert own.positive == "yes"
    assert exact > 0


@pytest.mark.parametrize(
    ("curvature", "answer"), [(1e-3, "yes"), (0.0, "undecided"), (-1e-3, "no"), (1e-16, "undecided")]
)
def test_curvatures_within_the_noise_are_undecided(curvature, answer):
    block = Dense(-torch.diag(torch.tensor([1.0, 2.0, curvature], dtype=torch.float64)), tags={"symmetric"})
    assert lowest_curvature(block).positive == answer


def test_shared_parameters_and_unknown_leaders_are_refused():
    shared = Space([("w", (2,), ("a", "b"))], ["a", "b"])
    with pytest.raises(InputError, match="share parameters"):
        local_equilibrium(Dense(torch.eye(2)), shared, torch.zeros(2))
    with pytest.raises(InputError, match="no player 'z' to lead"):
        local_equilibrium(zero_sum(1, 1, -1), TWO, ZERO, leader="z")


def linear(matrix):
    matrix = torch.tensor(matrix, dtype=torch.float64)
    return FunctionField(lambda x: matrix @ x, torch.zeros(2, dtype=torch.float64))


@pytest.mark.parametrize(
    ("matrix", "end", "label", "switch"),
    [
        ([[-1.0, 0], [0, -1]], (0.0, 0.0), "attraction", 1),
        ([[1.0, 0], [0, 1]], (0.0, 0.0), "repulsion", -1),
        ([[0.0, -1], [1, 0]], (0.0, 0.05), "rotation", 0),
        ([[0.0, -1], [1, 0]], (0.0, 0.0), "neither", 0),
        ([[-1.0, -3], [3, -1]], (0.0, 0.05), "attraction and rotation", 0.1**0.5),
    ],
)
def test_the_path_angle_tells_a_switch_from_a_bump(matrix, end, label, switch):
    field = linear(matrix)
    start = torch.tensor([3.0, 0.0], dtype=torch.float64)
    found = path_angle(field, start, torch.tensor(end, dtype=torch.float64))
    assert found.label == label
    assert found.switch == pytest.approx(switch, abs=0.06)
    assert found.gradients == 61
    # About the very centre of a rotation nothing switches, which is not to say that nothing turns.
    assert ("is across the line on both sides" if label == "neither" else label) in found.sentence


def test_a_path_angle_needs_two_points_and_both_sides():
    field = linear([[-1.0, 0], [0, -1]])
    start = torch.ones(2, dtype=torch.float64)
    with pytest.raises(InputError, match="the same point"):
        path_angle(field, start, start)
    with pytest.raises(InputError, match="both sides of the end"):
        path_angle(field, start, alphas=torch.linspace(0, 1, 5))


def players_of_six(generator: torch.Generator, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A singular curvature of rank three, a positive definite one, and a coupling."""
    A, B, C = (torch.randn(k, 6, generator=generator, dtype=dtype) for k in (3, 6, 6))
    return A.T @ A, B @ B.T + torch.eye(6, dtype=dtype), C


def jacobian(Hx: torch.Tensor, Hy: torch.Tensor, B: torch.Tensor) -> Dense:
    return Dense(torch.cat([torch.cat([-Hx, -B], 1), torch.cat([B.T, -Hy], 1)]))


@pytest.mark.parametrize("seed", range(5))
def test_rounding_of_a_float32_jacobian_decides_nothing(seed):
    """A curvature that is singular but for float32 rounding is undecided, though the test itself runs in float64."""
    singular, definite, across = players_of_six(torch.Generator().manual_seed(seed), torch.float32)
    found = local_equilibrium(jacobian(singular, definite, across), SIX, torch.zeros(12))
    assert (found.own["x"].positive, found.own["y"].positive, found.nash) == ("undecided", "yes", "undecided")


@pytest.mark.parametrize("seed", range(10))
def test_a_schur_complement_of_zero_is_undecided_however_ill_conditioned_the_follower_is(seed):
    singular, definite, across = players_of_six(torch.Generator().manual_seed(seed), torch.float64)
    follower = definite - 0.999 * torch.linalg.eigvalsh(definite)[0] * torch.eye(6, dtype=torch.float64)
    leader = singular - across @ torch.linalg.solve(follower, across.T)
    found = local_equilibrium(jacobian(leader, follower, across), SIX, torch.zeros(12))
    assert found.schur.positive == "undecided"
    assert found.minimax == "undecided"
    clear = local_equilibrium(jacobian(leader + torch.eye(6), follower, across), SIX, torch.zeros(12))
    assert clear.minimax == "yes"
    assert clear.schur.lowest == pytest.approx(1, abs=1e-6)


def test_the_matrix_free_schur_complement_of_zero_is_undecided():
    """What conjugate gradients leave of the follower's system counts as noise."""
    singular, definite, across = players_of_six(torch.Generator().manual_seed(0), torch.float64)
    leader = singular - across @ torch.linalg.solve(definite, across.T)
    operator = jacobian(leader, definite, across)
    below = lowest_curvature(Block(operator, SIX.index("y"), SIX.index("y"), tags={"symmetric"}))
    found = schur_curvature(Block(operator, torch.arange(12), torch.arange(12)), SIX, "x", "y", below, 2.2e-16, 50, 0)
    assert found.positive == "undecided"
    assert 1e-10 < found.noise < 1e-4


def test_a_field_that_is_small_everywhere_is_not_at_rest():
    """The same game in other units of the loss: a Newton step of length one stays one."""
    game = zero_sum(1, 1, -1)
    for scale in (1e-12, 1e-9, 1.0):
        assert not local_equilibrium(Dense(scale * game.matrix), TWO, ZERO + scale).at_rest
        assert local_equilibrium(Dense(scale * game.matrix), TWO, ZERO + 1e-7 * scale).at_rest


def test_what_is_not_finite_is_refused():
    broken = Dense(torch.tensor([[float("nan"), 1.0], [-1.0, -1.0]], dtype=torch.float64))
    with pytest.raises(NonFiniteError, match="1 of 4 entries of the Jacobian"):
        local_equilibrium(broken, TWO, ZERO)
    with pytest.raises(NonFiniteError, match="the velocity is not finite"):
        local_equilibrium(zero_sum(1, 1, -1), TWO, ZERO + float("inf"))
