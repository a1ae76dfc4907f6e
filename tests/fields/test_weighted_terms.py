"""Terms of the losses with factors, and terms that are given as functions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from separatrix.errors import InputError, NonFiniteError, UnsupportedOperatorError
from separatrix.fields import FunctionField, Game, pure

CALLS: list[str] = []


def losses(m: dict[str, Tensor], batch: Any) -> dict[str, Any]:
    def pen() -> Tensor:
        CALLS.append("pen")
        return (m["y"].pow(4).sum() + (m["x"] * m["y"]).square().sum()) / 4

    turn = (m["x"] * m["y"]).sum()
    return {"x": {"adv": turn, "decay": m["x"].square().sum() / 2}, "y": {"adv": -turn, "pen": pen}}


def a_field() -> Any:
    x, y = (torch.tensor(v, dtype=torch.float64) for v in ([1.0, -2.0], [0.5, 3.0]))
    return Game({"x": x, "y": y}, losses, name="small").on()


def test_the_field_is_the_sum_of_its_terms_at_their_factors() -> None:
    """``v`` is linear in the factors, and closed forms of each part are known."""
    field = a_field()
    x, y = field.point.split(2)
    decay = torch.cat([-x, torch.zeros(2)])
    pen = torch.cat([torch.zeros(2), -(y.pow(3) + x.square() * y / 2)])
    turn = torch.cat([-y, x])
    for a, b in ((0.0, 0.0), (0.0, 1.0), (3.0, 0.0), (-2.0, 0.5)):
        found = field.weighted({"decay": a, "pen": b})()
        assert torch.allclose(found, turn + a * decay + b * pen, atol=1e-14)
    assert torch.equal(field.weighted({"pen": 1.0})(), field())


def test_the_jacobian_follows_the_factors() -> None:
    field = a_field()
    whole, without = field.jacobian().to_dense(), field.weighted({"pen": 0.0}).jacobian(checks=False).to_dense()
    strong = field.weighted({"pen": 4.0}).jacobian(checks=False).to_dense()
    assert torch.allclose(strong, without + 4 * (whole - without), atol=1e-12)
    assert torch.allclose(without[2:, 2:], torch.zeros(2, 2, dtype=torch.float64))
    assert float((whole - without).norm()) > 1


def test_a_term_that_is_a_function_is_called_where_it_is_wanted_and_not_where_it_is_left_out() -> None:
    field = a_field()
    field.weighted({"pen": 0.0})()  # counts the shares, once
    field.directions(players=["x"])
    CALLS.clear()
    field.weighted({"pen": 0.0})()
    assert CALLS == []
    field.directions(players=["x"])
    assert CALLS == []  # it is not a term of x
    field.losses()
    assert CALLS == ["pen"]


def test_losses_have_their_factors_and_leave_out_what_is_left_out() -> None:
    field = a_field()
    plain = field.losses()
    found = field.weighted({"decay": 2.0, "pen": 0.0}).losses()
    assert found == {"x": {"adv": plain["x"]["adv"], "decay": 2 * plain["x"]["decay"]}, "y": {"adv": plain["y"]["adv"]}}


def test_factors_of_a_weighted_field_multiply_and_stay_with_another_draw_or_dtype() -> None:
    field = a_field()
    twice = field.weighted({"pen": 2.0}).weighted({"pen": 3.0, "decay": 0.0})
    assert twice is field.weighted({"decay": 0.0, "pen": 6.0})
    assert twice.factors == {"pen": 6.0, "decay": 0.0}
    for other in (twice.with_seed(3), twice.with_dtype(torch.float32)):
        assert other.factors == twice.factors
        assert torch.allclose(other().double(), twice(), atol=1e-5)


def test_what_a_weighted_field_spends_is_billed_to_the_whole_by_its_share() -> None:
    linear = torch.nn.Linear(8, 8).double()
    batch = torch.randn(16, 8, dtype=torch.float64)

    def of_a_network(m: Any, batch: Any) -> Any:
        fit = m["net"](batch).square().mean()
        return {"net": {"fit": fit, "again": lambda: m["net"](2 * batch).square().mean()}}

    field = Game({"net": linear}, of_a_network).on(batch)
    bare = field.weighted({"again": 0.0})
    assert bare.share() == pytest.approx(0.5)  # the same network once instead of twice
    before = field.gradients
    bare()
    assert field.gradients - before == pytest.approx(0.5)
    assert bare.gradients == field.gradients


def test_a_pure_function_has_the_factors_too() -> None:
    field = a_field()
    points = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for factors in ({"pen": 0.0}, {"pen": 5.0, "decay": 0.0}):
        weighted = field.weighted(factors)
        assert torch.allclose(pure(weighted)(points), weighted(points), atol=1e-12)
    zero_sum = Game({p: torch.ones(1) for p in "ab"}, lambda m, batch: (m["a"] * m["b"]).sum()).on()
    assert pure(zero_sum.weighted({"loss": 3.0}))().tolist() == zero_sum.weighted({"loss": 3.0})().tolist() == [-3, 3]


def test_bad_factors_and_terms_are_named() -> None:
    field = a_field()
    for bad in (float("nan"), float("inf"), "2", True):
        with pytest.raises(InputError, match="the factor of the term 'pen' must be a finite number"):
            field.weighted({"pen": bad})
    with pytest.raises(
        InputError, match=r"no term 'penn'; did you mean 'pen'\? Their terms are x: 'adv', 'decay'; y: "
    ):
        field.weighted({"penn": 2.0})()
    with pytest.raises(InputError, match="is no sum of named loss terms"):
        FunctionField(lambda x: -x, torch.ones(2)).weighted({"pen": 0.0})


@pytest.mark.parametrize(
    ("term", "error", "message"),
    [
        (lambda: 1.0, InputError, "player 'x', term 'pen', is a float"),
        (lambda: torch.ones(2), InputError, r"player 'x', term 'pen', has shape \(2,\)"),
        (lambda: torch.tensor(float("nan")), NonFiniteError, "player 'x', term 'pen', is nan"),
        (lambda: {}["no"], InputError, r"player 'x', term 'pen', raised KeyError: 'no' \(.*test_weighted_terms"),
        (lambda m: m, InputError, "player 'x', term 'pen', raised TypeError: .*missing 1 required positional"),
    ],
)
def test_what_is_wrong_with_a_function_is_told_with_player_and_term(term: Any, error: Any, message: str) -> None:
    game = Game({"x": torch.ones(1)}, lambda m, batch: {"x": {"fit": m["x"].sum(), "pen": term}})
    with pytest.raises(error, match=message):
        game.on()()


def test_an_operator_without_second_derivatives_in_a_function_is_named() -> None:
    def pen(x: Tensor) -> Tensor:
        (slope,) = torch.autograd.grad(torch.cdist(x[None], x[None] + 1).sum(), x, create_graph=True)
        return torch.autograd.grad(slope.sum(), x, create_graph=True)[0].sum()

    game = Game({"x": torch.ones(1)}, lambda m, batch: {"x": {"fit": m["x"].sum(), "pen": lambda: pen(m["x"])}})
    with pytest.raises(
        UnsupportedOperatorError, match=r"torch\.cdist in the losses of 'pen' cannot be differentiated twice"
    ):
        game.on()()
