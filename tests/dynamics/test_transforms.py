"""Consensus against its formula, with dense matrices and on shared players."""

from __future__ import annotations

import pytest
import torch
from dynamics_games import linear_field, shared_game, smooth_gan

from separatrix.dynamics import (
    Clip,
    Consensus,
    JacobianRegularisation,
    Normalise,
    StepRatio,
    SymplecticAdjustment,
    TransformedField,
)
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


@pytest.mark.parametrize("make", [smooth_gan, shared_game])
def test_symplectic_adjustment_is_the_field_minus_its_turned_part(make):
    field = make()
    v, j = field(), field.jacobian().to_dense()
    for weight in (0.0, 0.7, 3.0):
        expected = v - weight * (j - j.T).T / 2 @ v
        torch.testing.assert_close(SymplecticAdjustment(weight)(field)(), expected, rtol=1e-12, atol=1e-13)


def test_symplectic_adjustment_takes_the_sign_of_its_definition():
    """In the cost field ``xi = -v``, as the paper states it, on points where both signs turn up."""
    field, seen = smooth_gan(), set()
    for seed in range(12):
        x = field.point + 2 * torch.randn(34, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        v, j = field(x), field.jacobian(x, checks=False).to_dense()
        xi, cost = -v, -j
        a = (cost - cost.T) / 2
        pulled, turned = cost.T @ xi, a.T @ xi
        sign = torch.sign((xi @ pulled) * (turned @ pulled) / 34 + 0.1)
        seen.add(float(sign))
        found = SymplecticAdjustment(2.0, align=True)(field)(x)
        torch.testing.assert_close(found, -(xi + 2 * sign * turned), rtol=1e-10, atol=1e-12)
    steep = linear_field(torch.tensor([[3.0, -40.0], [40.0, 3.0]], dtype=torch.float64), {"x": 1, "y": 1})
    x = torch.tensor([1.0, 0.5], dtype=torch.float64)
    assert (SymplecticAdjustment(align=True)(steep)(x) - SymplecticAdjustment()(steep)(x)).abs().max() > 1
    assert 1.0 in seen


def test_symplectic_adjustment_leaves_potential_games_alone_and_conserves_the_norm_along_hamiltonian_ones():
    potential = linear_field(torch.tensor([[-2.0, 1.0], [1.0, -3.0]], dtype=torch.float64), {"x": 1, "y": 1})
    torch.testing.assert_close(SymplecticAdjustment(5.0)(potential)(), potential(), rtol=0, atol=1e-14)
    skew = torch.randn(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    turning = linear_field(skew - skew.T, {"x": 2, "y": 2})
    adjusted, plain = SymplecticAdjustment(1.0)(turning)(), turning()
    h = turning.jacobian().to_dense().T @ plain  # grad |v|^2 / 2
    assert float(plain @ h) == pytest.approx(0, abs=1e-13)
    assert float((adjusted - plain) @ h) == pytest.approx(-float(h @ h), rel=1e-12)


def test_jacobian_regularisation_descends_the_gradients_of_the_others():
    """Against central differences of the other player's squared gradient."""
    for field in (smooth_gan(), shared_game()):
        x, alpha = field.point, 0.8
        plain, found = field.directions(), JacobianRegularisation(alpha)(field).directions()
        for me, other in (field.players, field.players[::-1]):
            u = torch.zeros_like(x)
            u[field.space.index(me)] = torch.randn(
                field.space.size(me), generator=torch.Generator().manual_seed(0), dtype=torch.float64
            )
            ahead, behind = (field.directions(x + s * 1e-5 * u)[other].square().sum() / 2 for s in (1, -1))
            slope = float(ahead - behind) / 2e-5
            assert float((found[me] - plain[me]) @ field.space.take(u, me)) == pytest.approx(-alpha * slope, rel=1e-6)


def test_jacobian_regularisation_of_one_player_is_nothing():
    field = linear_field(torch.tensor([[-2.0]], dtype=torch.float64))
    assert torch.equal(JacobianRegularisation(3.0)(field)(), field())


@pytest.mark.parametrize("make", [smooth_gan, shared_game])
@pytest.mark.parametrize(
    "transform",
    [
        SymplecticAdjustment(0.6),
        JacobianRegularisation(0.6),
        Clip(0.05),
        Clip(100.0),
        Normalise(1e-3),
        StepRatio({}),
    ],
)
def test_the_jacobian_of_every_transform_agrees_with_differences(make, transform):
    field = transform(make())
    j, x = field.jacobian().to_dense(), field.point
    for u in torch.eye(len(x), dtype=torch.float64)[::5]:
        expected = (field(x + 1e-5 * u) - field(x - 1e-5 * u)) / 2e-5
        assert (j @ u - expected).norm() < 1e-6 * (1 + expected.norm())


def test_clipping_is_that_of_torch():
    field = smooth_gan()
    game = field.game
    for norm in (0.01, 10.0):
        clipped = Clip(norm, ("D",))(field).directions()
        module = game.models["D"]
        for p, piece in zip(module.parameters(), _pieces(field, field.directions()["D"], "D"), strict=True):
            p.grad = -piece.clone()
        torch.nn.utils.clip_grad_norm_(module.parameters(), norm)
        expected = torch.cat([-p.grad.reshape(-1) for p in module.parameters()])
        module.zero_grad()
        torch.testing.assert_close(clipped["D"], expected, rtol=1e-14, atol=0)
        assert torch.equal(clipped["G"], field.directions()["G"])


def _pieces(field, flat, player):
    entries = [field.space.entries[i] for i in field.space.owned(player)]
    return [part.view(e.shape) for part, e in zip(flat.split([e.numel for e in entries]), entries, strict=True)]


def test_normalised_directions_have_length_one_and_none_at_an_equilibrium():
    field = Normalise()(smooth_gan())
    assert all(float(v.norm()) == pytest.approx(1, abs=1e-6) for v in field.directions().values())
    still = linear_field(torch.eye(2, dtype=torch.float64), {"x": 1, "y": 1})
    assert not Normalise()(still)(torch.zeros(2, dtype=torch.float64)).any()


def test_ratios_scale_each_player():
    field = shared_game()
    plain, scaled = field.directions(), StepRatio({"B": 3.0})(field).directions()
    assert torch.equal(scaled["A"], plain["A"])
    assert torch.equal(scaled["B"], 3 * plain["B"])


def test_what_needs_no_products_costs_and_evaluates_no_more_than_the_player_asked_for():
    inner = smooth_gan()
    field = Clip(1.0)(Normalise()(inner))
    field.trace(field.leaves(), players=["D"])
    assert inner._inspected == {"D"}
    assert field.share() == 1.0
    assert field.share(["D"]) == inner.share(["D"])
    assert SymplecticAdjustment()(inner).share(["D"]) == 5.6


def test_unfit_settings_of_transforms_are_named():
    field = smooth_gan()
    with pytest.raises(InputError, match=r"Clip names unknown players \['E'\]; the players are \['G', 'D'\]"):
        Clip(1.0, ("E",))(field)
    with pytest.raises(InputError, match=r"StepRatio names unknown players \['E'\]"):
        StepRatio({"E": 2.0})(field)
    with pytest.raises(InputError, match=r"norm must be positive, got 0"):
        Clip(0)
    with pytest.raises(InputError, match=r"eps must be positive, got -1"):
        Normalise(-1)
    with pytest.raises(InputError, match=r"ratios must be positive and finite, got \{'G': -1\}"):
        StepRatio({"G": -1})
    with pytest.raises(InputError, match=r"weight must be finite and not negative, got -1"):
        SymplecticAdjustment(-1)
    with pytest.raises(InputError, match=r"alpha must be finite and not negative, got nan"):
        JacobianRegularisation(float("nan"))
