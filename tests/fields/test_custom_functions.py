"""Autograd functions of the user's own: right, a finding, or refused by name."""

import pytest
import torch
from field_oracle import assert_products_are_right
from small_games import data, net
from torch import nn
from torch.nn import functional as F

from separatrix.errors import UnsupportedOperatorError, WrongDerivativeError
from separatrix.fields import Game, Loss


def test_a_gradient_reversal_is_refused_by_name_with_the_remedy():
    """Its second derivative goes through the reversal again where the value goes through the identity."""

    class Reverse(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.view_as(x)

        @staticmethod
        def backward(ctx, grad):
            return -0.7 * grad

    torch.manual_seed(0)
    model = nn.ModuleDict({"trunk": net(3, 4, last=False), "task": net(4, 1, seed=1), "domain": net(4, 1, seed=2)})

    def loss(m, batch):
        features = m["trunk"](batch)
        return m["task"](features).square().mean() + F.softplus(m["domain"](Reverse.apply(features))).mean()

    with pytest.raises(
        WrongDerivativeError, match=r"Custom functions in the losses: Reverse\..*gradient reversal as two players"
    ):
        Loss(model, loss).on(data(6, 3)).jacobian()

    players = {"features": nn.ModuleList([model["trunk"], model["task"]]), "domain": model["domain"]}

    def as_two_players(m, batch):
        features = m["features"][0](batch)
        domain = F.softplus(m["domain"](features)).mean()
        return {"features": m["features"][1](features).square().mean() - 0.7 * domain, "domain": domain}

    J = assert_products_are_right(Game(players, as_two_players).on(data(6, 3)))
    assert J.findings == []


def test_a_custom_backward_that_turns_is_a_finding_and_no_hessian():
    class Turn(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.sum()

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return grad * torch.stack([-x[1], x[0]])

    field = Loss(torch.tensor([1.0, 2.0], dtype=torch.float64), lambda m, b: Turn.apply(m)).on()
    J = assert_products_are_right(field)
    assert [f.split(":")[0] for f in J.findings] == ["not-a-gradient"]
    assert "symmetric" not in J.tags
    assert "symmetric" not in J["model", "model"].tags
    torch.testing.assert_close(J.to_dense(), torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64))


class OldCube(torch.autograd.Function):
    """Its backward can be differentiated."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad


class NewCube(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return x**3

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad


class OnceCube(OldCube):
    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad


class HiddenCube(OldCube):
    """Its backward computes with saved numbers that autograd does not see: no second derivative, and no word of it."""

    @staticmethod
    def forward(ctx, x):
        ctx.slope = 3 * x.detach() ** 2
        return x**3

    @staticmethod
    def backward(ctx, grad):
        return ctx.slope * grad


@pytest.mark.parametrize("cube", [OldCube, NewCube])
def test_a_custom_function_agrees_with_differences(cube):
    assert_products_are_right(Loss(net(4, 5, 3), lambda m, b: cube.apply(m(b)).mean()).on(data(6, 4)))


@pytest.mark.parametrize("cube", [HiddenCube, OnceCube])
def test_a_custom_function_with_a_hidden_factor_is_refused_by_name(cube):
    with pytest.raises(
        WrongDerivativeError, match=f"contradicts its field.*Custom functions in the losses: {cube.__name__}"
    ):
        Loss(net(4, 5, 3), lambda m, b: cube.apply(m(b)).mean()).on(data(6, 4)).jacobian()


def test_a_custom_function_is_refused_on_the_dual_route():
    field = Loss(net(4, 5, 3), lambda m, b: OldCube.apply(m(b)).mean()).on(data(6, 4))
    J = field.jacobian(route="dual", checks=False)
    with pytest.raises(UnsupportedOperatorError, match=r"custom autograd\.Function.*use route='stream' or 'retained'"):
        J.rows_apply(J.x)
