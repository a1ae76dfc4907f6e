"""Norms of both parts, the potentialness in every unit, and the planes of rotation, against dense matrices."""

import math

import pytest
import torch

from separatrix.dynamics import SGD, Method, Simultaneous
from separatrix.errors import InputError
from separatrix.fields import FunctionField, Space
from separatrix.linalg import Dense
from separatrix.probes import settle
from separatrix.probes.decompose import balance, local_split, rotation_planes
from separatrix.zoo.digits import digits_gan


def random_field(seed: int, n: int = 400) -> FunctionField:
    """A smooth game of three players, ``v = M tanh(B x)``, whose mixture of both parts changes with the seed."""
    generator = torch.Generator().manual_seed(seed)
    m, b = (torch.randn(n, n, generator=generator, dtype=torch.float64) / n**0.5 for _ in range(2))
    lean = torch.rand(1, generator=generator).item() * 2 - 1
    m = m + lean * b.T
    point = torch.randn(n, generator=generator, dtype=torch.float64)
    sizes = {"a": n // 4, "b": n // 4, "c": n - 2 * (n // 4)}
    return FunctionField(lambda x: m @ torch.tanh(b @ x), point, players=sizes)


def dense_parts(matrix):
    return float((matrix + matrix.T).norm()) / 2, float((matrix - matrix.T).norm()) / 2


def test_norms_lie_within_three_standard_errors_of_the_dense_ones_on_fifty_games():
    inside = total = 0
    for seed in range(50):
        field = random_field(seed, n=60)
        matrix = torch.func.jacrev(field.function)(field.point)
        found = local_split(Dense(matrix), probes=24, seed=seed)
        symmetric, turning = dense_parts(matrix)
        share = symmetric**2 / (symmetric**2 + turning**2)
        for value, error, wanted in (
            (found.symmetric.value, found.symmetric.stderr, symmetric),
            (found.antisymmetric.value, found.antisymmetric.stderr, turning),
            (found.potentialness.value, found.potentialness.stderr, share),
        ):
            assert error > 0
            inside += abs(value - wanted) <= 3 * error
            total += 1
    assert inside >= 0.97 * total, f"{inside} of {total}"


def test_the_digits_gan_is_split_in_its_optimisers_metric():
    problem = digits_gan(width=4, smooth=True)
    field = problem.game.on(problem.data[:64])
    setting = settle(field, Method({"G": SGD(0.2), "D": SGD(0.05)}, Simultaneous()))
    assert setting.frozen is not None
    matrix = setting.operator.to_dense().double()
    symmetric, turning = dense_parts(matrix)
    found = local_split(setting.operator, field.space, probes=40)
    assert not found.symmetric.exact
    assert abs(found.symmetric.value - symmetric) <= 3 * found.symmetric.stderr
    assert abs(found.antisymmetric.value - turning) <= 3 * found.antisymmetric.stderr
    share, split = found.potentialness, space_norms(matrix, field.space).square()
    wanted = (1 + float((matrix * matrix.T).sum()) / balance(split).square) / 2
    assert abs(share.balanced - wanted) <= 3 * share.balanced_stderr


def space_norms(matrix, space):
    index = [space.index(p) for p in space.players]
    return torch.stack([torch.stack([matrix[i][:, j].norm() for j in index]) for i in index])


def test_potentials_and_rotations_are_the_two_ends():
    matrix = torch.randn(30, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    space = Space.of_sizes({"a": 12, "b": 18})
    for part, wanted in ((matrix + matrix.T, 1.0), (matrix - matrix.T, 0.0)):
        found = local_split(Dense(part), space, probes=5).potentialness
        assert found.value == pytest.approx(wanted, abs=1e-14)
        assert found.balanced == pytest.approx(wanted, abs=1e-14)
        assert (found.least, found.most) == pytest.approx((min(wanted, 0.5), max(wanted, 0.5)), abs=1e-14)


def test_no_change_of_units_leaves_the_stated_range():
    """``T^-1 P T`` for many random player scalings: the potentialness stays between one half and the balanced one."""
    space = Space.of_sizes({"a": 2, "b": 3, "c": 1})
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        matrix = torch.randn(6, 6, generator=generator, dtype=torch.float64)
        found = local_split(Dense(matrix), space).potentialness
        assert found.stderr == found.balanced_stderr == 0
        for _ in range(50):
            t = torch.exp(torch.randn(3, generator=generator, dtype=torch.float64) * 2)
            units = t.repeat_interleave(torch.tensor([2, 3, 1]))
            symmetric, turning = dense_parts(matrix * units / units[:, None])
            share = symmetric**2 / (symmetric**2 + turning**2)
            assert found.least - 1e-12 <= share <= found.most + 1e-12
        scales = torch.tensor(list(found.scales.values())).repeat_interleave(torch.tensor([2, 3, 1]))
        symmetric, turning = dense_parts(matrix * scales / scales[:, None])
        assert found.balanced == pytest.approx(symmetric**2 / (symmetric**2 + turning**2), rel=1e-10)


def test_a_weighted_potential_is_one_in_balanced_units():
    """``diag(w) P`` symmetric: not a potential as it stands, one after a change of units."""
    generator = torch.Generator().manual_seed(0)
    symmetric = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    matrix = (symmetric + symmetric.T) / torch.tensor([1.0, 1.0, 30.0, 30.0, 30.0])[:, None]
    found = local_split(Dense(matrix), Space.of_sizes({"a": 2, "b": 3})).potentialness
    assert found.value < 0.95
    assert found.balanced == pytest.approx(1, abs=1e-12)
    assert found.scales["a"] / found.scales["b"] == pytest.approx(30**0.5, rel=1e-10)


def test_a_player_that_only_listens_is_balanced_in_the_limit():
    found = balance(torch.tensor([[1.0, 9.0], [0.0, 4.0]]))
    assert found.square == 5
    assert not found.attained


def test_sampled_balanced_shares_carry_their_error():
    inside = 0
    for seed in range(12):
        field = random_field(seed)
        matrix = torch.func.jacrev(field.function)(field.point)
        found = local_split(Dense(matrix), field.space, probes=20, seed=seed).potentialness
        squares = space_norms(matrix, field.space).square()
        wanted = (1 + float((matrix * matrix.T).sum()) / balance(squares).square) / 2
        inside += abs(found.balanced - wanted) <= 3 * found.balanced_stderr
    assert inside >= 11


def test_one_player_and_shared_parameters_have_no_units_of_their_own():
    matrix = torch.tensor([[1.0, 2.0], [0.0, 1.0]], dtype=torch.float64)
    alone = local_split(Dense(matrix), Space.of_sizes({"x": 2})).potentialness
    assert alone.value == alone.balanced == alone.least == alone.most == pytest.approx(4 / 6)
    shared = Space([("w", (2,), ("a", "b"))], ["a", "b"])
    found = local_split(Dense(matrix), shared)
    assert found.potentialness.scales is None
    assert "share parameters" in found.status


def test_units_change_nothing_where_nobody_acts_on_anybody():
    matrix = torch.block_diag(torch.tensor([[0.0, -1.0], [1.0, 0.0]]), torch.eye(2)).double()
    found = local_split(Dense(matrix), Space.of_sizes({"a": 2, "b": 2}))
    share = found.potentialness
    assert share.value == share.balanced == share.least == share.most == 0.5
    assert found.status == "50.0% of the squared norm of the Jacobian could come from a potential, the rest turns."


def test_nothing_is_said_where_nothing_changes():
    found = local_split(Dense(torch.zeros(3, 3)), Space.of_sizes({"a": 1, "b": 2}))
    assert math.isnan(found.potentialness.value)
    assert "nothing descends and nothing turns" in found.status
    assert found.section()["potentialness"]["value"] is None
    assert rotation_planes(Dense(torch.zeros(3, 3))) == ()


def test_a_space_of_another_size_is_refused():
    with pytest.raises(InputError, match="the operator is 3 x 3, the space has n=2"):
        local_split(Dense(torch.zeros(3, 3)), Space.of_sizes({"a": 2}))


def test_planes_are_those_of_the_antisymmetric_part():
    generator = torch.Generator().manual_seed(1)
    turns = torch.block_diag(*[torch.tensor([[0.0, -w], [w, 0.0]], dtype=torch.float64) for w in (5.0, 3.0, 1.0)])
    q = torch.linalg.qr(torch.randn(6, 6, generator=generator, dtype=torch.float64)).Q
    s = torch.randn(6, 6, generator=generator, dtype=torch.float64)
    turning = q @ turns @ q.T
    planes = rotation_planes(Dense(turning + s + s.T), Space.of_sizes({"a": 2, "b": 4}), 2)
    assert [p.rate for p in planes] == pytest.approx([5, 3], rel=1e-12)
    assert [p.share for p in planes] == pytest.approx([25 / 35, 9 / 35], rel=1e-12)
    for plane in planes:
        one, two = plane.basis
        assert torch.allclose(plane.basis @ plane.basis.T, torch.eye(2, dtype=torch.float64), atol=1e-12)
        assert torch.allclose(turning @ one, plane.rate * two, atol=1e-10)
        assert torch.allclose(turning @ two, -plane.rate * one, atol=1e-10)
        assert sum(plane.players.values()) == pytest.approx(1)
        assert plane.players["a"] == pytest.approx(float(plane.basis[:, :2].square().sum()) / 2)


def test_planes_are_found_from_products_alone():
    n, rates = 2500, torch.tensor([9.0, 6.0])
    generator = torch.Generator().manual_seed(2)
    q = torch.linalg.qr(torch.randn(n, 4, generator=generator, dtype=torch.float64)).Q

    class Few(Dense):
        def __init__(self):
            super().__init__(torch.zeros(1, 1, dtype=torch.float64))
            self.shape = (n, n)

        def _apply(self, u):
            p = q.T @ u
            return q @ torch.stack([-rates[0] * p[1], rates[0] * p[0], -rates[1] * p[3], rates[1] * p[2]])

        def _apply_transpose(self, u):
            return -self._apply(u)

    Few._apply_rows = lambda self, block: torch.stack([self._apply(u) for u in block])
    Few._apply_transpose_rows = lambda self, block: -self._apply_rows(block)
    planes = rotation_planes(Few(), k=2, total=(2 * (81 + 36)) ** 0.5)
    assert [p.rate for p in planes] == pytest.approx([9, 6], rel=1e-4)
    assert all(p.converged for p in planes)
    assert sum(p.share for p in planes) == pytest.approx(1, rel=1e-3)
