"""A game's field as a pure function: the same values, many points at once, and clear refusals."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from separatrix.errors import InputError
from separatrix.fields import FunctionField, Game, r1
from separatrix.fields.pure import pure
from separatrix.zoo import load
from untouched import untouched


@pytest.mark.parametrize(
    "name",
    [
        "dirac-gan",
        "bilinear",
        "quadratic",
        "forsaken",
        "four-players",
        "covariance-gan",
        "noisy-bilinear",
        "team-pennies",
    ],
)
def test_the_pure_function_has_the_values_of_the_field(name):
    field = load(name).field()
    points = field.point + torch.randn(
        7, field.space.n, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    with untouched(*field.game.models.values()):
        function = pure(field)
        values = function(points)
    torch.testing.assert_close(values, torch.stack([field(x) for x in points]))
    torch.testing.assert_close(function.jacobian().to_dense(), field.jacobian().to_dense())
    assert function.players == field.players


def test_modules_with_data_in_several_batches_and_terms():
    torch.manual_seed(0)
    models = {"T": nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)).double(), "D": nn.Linear(2, 1).double()}

    def losses(models, real):
        remade = models["T"](real)
        score = models["D"](remade).mean()
        return {"T": {"rec": (real - remade).square().mean(), "adv": -score}, "D": score - models["D"](real).mean()}

    field = Game(models, losses).on(batches=[torch.randn(3, 2).double(), torch.randn(5, 2).double()])
    points = torch.randn(4, field.space.n, dtype=torch.float64)
    torch.testing.assert_close(pure(field)(points), torch.stack([field(x) for x in points]))


def test_a_function_field_is_returned_as_it_is():
    field = FunctionField(lambda x: -x, torch.ones(2))
    assert pure(field) is field


def test_losses_that_are_no_plain_functions_are_refused():
    x, y = torch.ones(1), torch.ones(1)

    def refused(losses, message):
        game = Game({"x": x.clone(), "y": y.clone()}, losses)
        with pytest.raises(InputError, match=message):
            pure(game.on())

    refused(lambda m, b: (m["x"] * m["y"]).sum() * torch.randn(()), "no random draws")
    refused(lambda m, b: (m["x"] * m["y"]).sum() * (2 if float(m["x"].sum()) > 0 else 1), "no branches on values")


def test_slopes_with_respect_to_data_are_refused():
    critic = nn.Linear(2, 1).double()
    losses = {
        "x": lambda m, real: m["D"](m["x"]).sum(),
        "D": lambda m, real: r1(m["D"], real, 1.0) - m["D"](m["x"]).sum(),
    }
    game = Game({"x": torch.ones(4, 2).double(), "D": critic}, losses)
    with pytest.raises(InputError, match="no slopes with respect to data"):
        pure(game.on(torch.randn(6, 2).double()))
