"""Consensus against its formula, with dense matrices and on shared players."""

from __future__ import annotations

import pytest
import torch
from dynamics_games import linear_field, shared_game, smooth_gan

from separatrix.dynamics import Consensus, TransformedField
from separatrix.errors import InputError
from untouched import untouched


@pytest.mark.parametrize("make", [smooth_gan, shared_game])
def test_consensus_is_the_field_minus_gamma_times_its_transposed_jacobian_on_it(make):
    field = make()
    v, j = field(), field.jacobian().to_dense()
    for gamma in (0.0, 0.3, 10.0):
        torch.testing.assert_close(Consensus(gamma)(field)(), v - gamma * j.T @ v, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("make", [smooth_gan, shared_game])
def test_consensus_descends_the_squared_norm_of_the_field(make):
    """Against central differences of ``|v|^2 / 2``, which share nothing with second derivatives."""
    field = make()
    x = field.point
    pull = (field() - Consensus(1.0)(field)()).clone()
    u = torch.randn(len(x), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ahead, behind = (field(x + s * 1e-5 * u).square().sum() / 2 for s in (1, -1))
    assert float(pull @ u) == pytest.approx(float(ahead - behind) / 2e-5, rel=1e-7)


@pytest.mark.parametrize("make", [smooth_gan, shared_game])
def test_the_jacobian_of_consensus_agrees_with_differences(make):
    field = Consensus(0.5)(make())
    j, x = field.jacobian().to_dense(), field.point
    for u in torch.eye(len(x), dtype=torch.float64)[::5]:
        expected = (field(x + 1e-5 * u) - field(x - 1e-5 * u)) / 2e-5
        assert (j @ u - expected).norm() < 1e-7 * (1 + expected.norm())


def test_consensus_of_a_linear_field_is_linear_also_without_gradient_mode_around_it():
    matrix = torch.tensor([[0.2, -1.0], [3.0, -0.5]], dtype=torch.float64)
    field = Consensus(0.7)(linear_field(matrix, {"x": 1, "y": 1}))
    expected = matrix - 0.7 * matrix.T @ matrix
    with torch.no_grad():
        torch.testing.assert_close(field.jacobian().to_dense(), expected)
    torch.testing.assert_close(Consensus(0.1)(field).jacobian().to_dense(), expected - 0.1 * expected.T @ expected)


def test_directions_of_one_player_are_its_part_of_all():
    field = Consensus(0.4)(smooth_gan())
    everything = field.directions()
    assert torch.equal(field.directions(players=["D"])["D"], everything["D"])
    assert set(field.directions(players=["D"])) == {"D"}


def test_a_transformed_field_is_a_field_at_a_price():
    inner = smooth_gan()
    field = Consensus(0.4)(inner)
    assert isinstance(field, TransformedField)
    assert (field.space, field.players, field.dtype) == (inner.space, inner.players, inner.dtype)
    assert field.name == "Consensus(game)"
    assert field.share() == field.share(["D"]) == 3.0
    assert Consensus(1.0)(field).share() == 9.0
    with untouched(*inner.game.models.values(), *inner.batches):
        field()
    assert field.gradients == 3.0
    assert Consensus(0.4).describe() == {"kind": "Consensus", "gamma": 0.4}


def test_consensus_leaves_equilibria_where_they_are():
    field = linear_field(torch.randn(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    assert not Consensus(5.0)(field)(torch.zeros(4, dtype=torch.float64)).any()


def test_a_negative_weight_is_named():
    with pytest.raises(InputError, match=r"gamma must not be negative, got -1"):
        Consensus(-1.0)
    with pytest.raises(InputError, match=r"gamma must not be negative, got nan"):
        Consensus(float("nan"))
