"""Jacobians that need third derivatives: of losses that hold a gradient, and of fields under a transform."""

import pytest
import torch
from field_oracle import assert_products_are_right, differences
from module_cases import KINKED, SMOOTH, against_a_critic
from small_games import data, net, small_gan
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint

from separatrix.dynamics import Consensus
from separatrix.errors import UnsupportedOperatorError, WrongDerivativeError
from separatrix.fields import Game, Jacobian
from separatrix.fields.flops import counted
from separatrix.fields.normalisation import FORMULAS, WrittenOut
from untouched import untouched

DOUBLE = torch.float64
NORMS = {
    "LayerNorm": lambda: nn.LayerNorm([4, 3]),
    "LayerNorm without bias": lambda: nn.LayerNorm(3, bias=False),
    "BatchNorm": lambda: nn.BatchNorm1d(4, track_running_stats=False),
    "BatchNorm, running statistics": lambda: nn.BatchNorm1d(4),
    "BatchNorm, eval": lambda: nn.BatchNorm1d(4).eval(),
    "InstanceNorm": lambda: nn.InstanceNorm1d(4, affine=True, track_running_stats=True),
    "GroupNorm": lambda: nn.GroupNorm(2, 4),
    "RMSNorm": lambda: nn.RMSNorm(3),
}


def normed(norm):
    torch.manual_seed(0)
    layer = NORMS[norm]().double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, 1.0, 0.3)
    return nn.Sequential(net(3, 12), nn.Unflatten(1, (4, 3)), layer, nn.Tanh(), nn.Flatten(), net(12, 1, seed=2))


def slope(critic, real):
    real = real.detach().requires_grad_()
    (found,) = torch.autograd.grad(critic(real).sum(), real, create_graph=True)
    return found.square().sum(1).mean()


def slope_by_functions(critic, real):
    return torch.func.grad(lambda x: critic(x).sum())(real).square().sum(1).mean()


def penalised(critic, penalty=slope):
    def losses(models, batch):
        real, z = batch
        fake = models["G"](z)
        d = models["D"](fake).mean() - models["D"](real).mean() + penalty(models["D"], real)
        return {"G": -models["D"](fake).mean(), "D": d}

    return Game({"G": net(2, 4, 3), "D": critic}, losses).on((data(5, 3), data(5, 2, seed=4)))


@pytest.mark.parametrize("norm", NORMS)
def test_a_formula_has_the_values_and_the_side_effects_of_the_fused_one(norm):
    x = data(5, 4, 3)
    fused, written = (normed(norm)[2] for _ in range(2))
    expected = fused(x)
    with WrittenOut():
        found = written(x)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    for a, b in zip(fused.buffers(), written.buffers(), strict=True):
        assert torch.equal(a, b)


def test_a_formula_in_half_precision_computes_in_float32_as_the_fused_one():
    x = 100 + data(2, 64).bfloat16()
    with WrittenOut():
        found = F.layer_norm(x, (64,))
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, F.layer_norm(x, (64,)))


def test_the_formulas_check_what_the_fused_ones_check():
    with WrittenOut(), pytest.raises(ValueError, match="more than 1 value per channel"):
        F.batch_norm(data(1, 3), None, None, training=True)


@pytest.mark.parametrize("norm", NORMS)
def test_a_gradient_penalty_on_a_normalised_critic_agrees_with_differences(norm):
    field = penalised(normed(norm))
    with untouched(*field.game.models.values()):
        assert assert_products_are_right(field).findings == []
    assert field.differentiates


@pytest.mark.parametrize("route", ["stream", "dense"])
def test_it_does_so_on_every_route(route):
    assert_products_are_right(penalised(normed("LayerNorm")), route=route)


def test_a_gradient_penalty_by_functions_agrees_with_differences_too():
    field = penalised(normed("LayerNorm"), slope_by_functions)
    assert_products_are_right(field)
    assert field.differentiates


def test_the_fused_formulas_would_be_wrong_there(monkeypatch):
    """So the test above can fail, and the self-tests see it."""
    for formula in list(FORMULAS):
        monkeypatch.delitem(FORMULAS, formula)
    with pytest.raises(WrongDerivativeError):
        penalised(normed("LayerNorm")).jacobian()


class Seen(TorchFunctionMode):
    """Counts the fused kernels that run."""

    def __init__(self):
        super().__init__()
        self.fused = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.fused += func in FORMULAS
        return func(*args, **(kwargs or {}))


def test_where_no_third_derivative_is_taken_the_fused_kernels_run():
    """They keep less memory; and a training step is to the last bit what it was."""

    def losses(models, batch):
        real, z = batch
        return {
            "G": -models["D"](models["G"](z)).mean(),
            "D": models["D"](models["G"](z)).mean() - models["D"](real).mean(),
        }

    batch = (data(5, 3), data(5, 2, seed=4))
    plain = Game({"G": net(2, 4, 3), "D": normed("LayerNorm")}, losses).on(batch)
    harsh = penalised(normed("LayerNorm"))
    for field, create_graph, expected in (
        (plain, True, 3),
        (harsh, False, 4),
        (harsh, True, 0),
        (Consensus(0.1)(plain), True, 3),
    ):
        field.trace(field.leaves())  # what the losses do is seen at the first evaluation
        with Seen() as seen:
            field.trace(field.leaves(), create_graph=create_graph)
        assert seen.fused == expected
    with Seen() as seen:
        Jacobian(Consensus(0.1)(plain), checks=False) @ plain.point
    assert seen.fused == 0


@pytest.mark.parametrize("name", SMOOTH | KINKED)
def test_the_jacobian_of_consensus_goes_right_through_every_module(name):
    field = Consensus(0.5)(against_a_critic(*(SMOOTH | KINKED)[name], DOUBLE))
    z, u = torch.randn(2, field.space.n, generator=torch.Generator().manual_seed(2), dtype=DOUBLE)
    expected = differences(field, z, step=1e-5 if name in SMOOTH else 1e-7)
    scale = (1e-7 if name in SMOOTH else 1e-5) * float(expected.norm())
    with untouched(*field.inner.game.models.values()):
        J = field.jacobian(checks=False)
        assert float((J @ z - expected).norm()) <= scale
        assert abs(float((J.T @ u) @ z - u @ expected)) <= scale * float(u.norm())


def test_consensus_on_a_penalised_normalised_critic_agrees_with_differences():
    """Three derivatives for the field, four for its Jacobian."""
    field = Consensus(0.5)(penalised(normed("BatchNorm, running statistics")))
    assert_products_are_right(field, tolerance=1e-6)


class Checkpointed(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return checkpoint(self.inner, x, use_reentrant=False)


def test_checkpointing_under_a_transform_is_right_or_refused_by_name():
    field = against_a_critic(lambda: Checkpointed(net(3, 4, 3)), lambda: data(5, 3), DOUBLE)
    assert_products_are_right(Consensus(0.5)(field))
    field = against_a_critic(lambda: Checkpointed(normed("LayerNorm")), lambda: data(5, 3), DOUBLE)
    with pytest.raises(
        UnsupportedOperatorError, match=r"checkpointing that does not recompute.*switch checkpointing off"
    ):
        Consensus(0.5)(field).jacobian()


def test_a_transformed_field_in_float32_is_tested_against_its_float64_twin():
    field = Consensus(0.5)(small_gan(torch.float32).on(data(6, 3).float()))
    assert field.jacobian().findings == []

    class Hidden(torch.autograd.Function):
        """Right to second order; its third derivative is missing."""

        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return Slope.apply(x) * grad

    class Slope(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.kept = x.detach()
            return 3 * x**2

        @staticmethod
        def backward(ctx, grad):
            return 6 * ctx.kept * grad

    def losses(models, batch):
        out = Hidden.apply(models["a"](batch)).mean()
        return {"a": out}

    for dtype in (torch.float32, DOUBLE):
        inner = Game({"a": net(3, 2).to(dtype)}, losses).on(data(4, 3).to(dtype))
        assert inner.jacobian().findings == []
        with pytest.raises(WrongDerivativeError, match=r"'Consensus\(game\)' contradicts its field"):
            Consensus(0.5)(inner).jacobian()


def test_what_is_refused_is_refused_under_a_transform_too():
    critic = nn.Sequential(
        nn.utils.parametrizations.spectral_norm(nn.Linear(3, 4)), nn.Tanh(), nn.Linear(4, 1)
    ).double()
    field = penalised(critic, penalty=lambda critic, real: 0)
    with pytest.raises(UnsupportedOperatorError, match=r"player 'D', module '0': spectral_norm in train mode"):
        Consensus(0.5)(field).jacobian()


def test_the_price_of_a_transformed_jacobian_is_the_stated_one():
    """Operations are counted, in evaluations of the field underneath; conv double backward adds to ``J @ u``."""
    torch.manual_seed(0)
    sizes = ((8, 64), (64, 64), (64, 8))
    G = nn.Sequential(*(m for a, b in sizes for m in (nn.Linear(a, b), nn.Tanh())))
    D = nn.Sequential(*(m for a, b in sizes for m in (nn.Linear(a, b), nn.Tanh())), nn.Linear(8, 1))

    def losses(models, batch):
        real, z = batch
        on_fake, on_real = models["D"](models["G"](z)), models["D"](real)
        return {"G": F.softplus(-on_fake).mean(), "D": (F.softplus(on_fake) + F.softplus(-on_real)).mean()}

    inner = Game({"G": G, "D": D}, losses).on((torch.randn(64, 8), torch.randn(64, 8)))
    one = counted(lambda: inner())[1]
    field = Consensus(0.1)(inner)
    J, u = field.jacobian(checks=False), inner.point
    J @ u
    for call, stated in ((lambda: field(), 3.0), (lambda: J.T @ u, 6.0), (lambda: J @ u, 7.8)):
        before = field.gradients
        operations = counted(call)[1] / one
        assert field.gradients - before == pytest.approx(stated)
        assert 0.7 * stated < operations < 1.05 * stated
