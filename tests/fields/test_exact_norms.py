"""Weight norm and spectral norm with right second derivatives, and copies of modules that have them."""

import pytest
import torch
from field_oracle import assert_products_are_right
from small_games import data, net
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize

from separatrix.dynamics import Consensus
from separatrix.errors import InputError
from separatrix.fields import Game, Loss, SpectralNorm, WeightNorm, with_exact_norms
from separatrix.fields.exact_norms import largest_singular_value
from untouched import untouched

NORMS = {
    "weight_norm": parametrizations.weight_norm,
    "old weight_norm": nn.utils.weight_norm,
    "spectral_norm": parametrizations.spectral_norm,
    "old spectral_norm": nn.utils.spectral_norm,
}
LAYERS = {
    "Linear": lambda: nn.Linear(4, 3),
    "Conv2d": lambda: nn.Conv2d(2, 3, 2),
    "ConvTranspose2d": lambda: nn.ConvTranspose2d(2, 3, 2),
}


def inputs(layer):
    return data(5, 4) if isinstance(layer, nn.Linear) else data(2, 2, 3, 3)


def settled(layer, times=200):
    """With singular vectors that the power iteration has found."""
    with torch.no_grad():
        for _ in range(times):
            layer(inputs(layer))
    return layer


def game(critic):
    """A generator against a critic whose first layer is normed; nothing of either is reached from outside."""

    def losses(models, batch):
        fake = models["G"](batch["z"]).view_as(batch["real"])
        on_fake, on_real = models["D"](fake), models["D"](batch["real"])
        return {"G": F.softplus(-on_fake).mean(), "D": F.softplus(on_fake).mean() + F.softplus(-on_real).mean()}

    real = inputs(critic[0])
    return Game({"G": net(2, real[0].numel()), "D": critic}, losses).on({"z": data(len(real), 2), "real": real})


def critic_of(layer):
    with torch.no_grad():
        width = layer(inputs(layer)).flatten(1).shape[1]
    return nn.Sequential(layer, nn.Tanh(), nn.Flatten(), net(width, 1, seed=2))


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("norm", NORMS)
def test_a_copy_with_exact_norms_has_right_second_derivatives_and_shares_everything(norm, layer):
    torch.manual_seed(0)
    critic = critic_of(settled(NORMS[norm](LAYERS[layer]().double())))
    with untouched(critic):
        exact = with_exact_norms(critic)
    field = game(exact)
    with untouched(critic):
        assert assert_products_are_right(field).findings == []
    torch.testing.assert_close(exact(inputs(critic[0])), critic(inputs(critic[0])), rtol=1e-6, atol=1e-8)
    assert [(n, id(p)) for n, p in exact.named_parameters()] == [(n, id(p)) for n, p in critic.named_parameters()]
    assert {id(b) for b in exact.buffers()} <= {id(b) for b in critic.buffers()}
    before = field.point
    with torch.no_grad():
        next(critic.parameters()).mul_(1.1)
    assert not torch.equal(field.point, before)


@pytest.mark.parametrize("norm", ["spectral_norm", "old spectral_norm"])
def test_a_settled_spectral_norm_has_the_exact_gradient(norm):
    """So the field that trains is the field that is measured; only its derivative was hidden."""
    torch.manual_seed(0)
    critic = critic_of(settled(NORMS[norm](nn.Linear(4, 3).double())))
    torch.testing.assert_close(game(critic)(), game(with_exact_norms(critic))(), rtol=1e-6, atol=1e-8)


def test_a_weight_norm_of_any_dimension_has_torchs_values_and_parameters():
    for dim in (0, 1, -1, None):
        torch.manual_seed(0)
        theirs = parametrizations.weight_norm(nn.Linear(4, 3).double(), dim=dim)
        torch.manual_seed(0)
        ours = nn.Linear(4, 3).double()
        parametrize.register_parametrization(ours, "weight", WeightNorm(dim))
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(a, b)
        torch.testing.assert_close(ours.weight, theirs.weight)
        torch.testing.assert_close(with_exact_norms(theirs).weight, theirs.weight)
        assert_products_are_right(Loss(ours, lambda m, b: m(b).tanh().square().mean()).on(data(5, 4)))


@pytest.mark.parametrize("dim", [0, 1])
def test_a_spectral_norm_registered_by_hand_has_norm_one_and_right_products(dim):
    layer = nn.Conv2d(2, 3, 2).double()
    parametrize.register_parametrization(layer, "weight", SpectralNorm(dim))
    flat = layer.weight.movedim(dim, 0).flatten(1)
    assert float(torch.linalg.matrix_norm(flat, 2).detach()) == pytest.approx(1.0)
    with untouched(layer):
        assert_products_are_right(Loss(layer, lambda m, b: m(b).tanh().square().mean()).on(data(2, 2, 3, 3)))


@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (5, 2), (1, 4), (4, 1)])
def test_the_largest_singular_value_is_right_up_to_third_derivatives(shape):
    matrix = data(*shape, seed=7).requires_grad_()
    torch.testing.assert_close(largest_singular_value(matrix), torch.linalg.matrix_norm(matrix, 2))
    assert torch.autograd.gradcheck(largest_singular_value, matrix)
    assert torch.autograd.gradgradcheck(largest_singular_value, matrix)

    def slope_along(matrix):
        (slope,) = torch.autograd.grad(largest_singular_value(matrix), matrix, create_graph=True)
        return (slope * data(*shape, seed=8)).sum()

    assert torch.autograd.gradgradcheck(slope_along, matrix)


def test_equal_smaller_singular_values_do_no_harm():
    """Derivatives of a singular value decomposition are not finite there."""
    matrix = torch.diag(torch.tensor([3.0, 1.0, 1.0, 0.0, 0.0], dtype=torch.float64))
    assert torch.autograd.gradgradcheck(largest_singular_value, matrix.requires_grad_())
    (slope,) = torch.autograd.grad(torch.linalg.svdvals(matrix)[0], matrix, create_graph=True)
    assert not torch.autograd.grad(slope.square().sum() + slope[1, 2] + slope[2, 1], matrix)[0].isfinite().all()


def test_a_kink_of_the_spectral_norm_is_a_finding():
    layer = nn.Linear(3, 3).double()
    with torch.no_grad():
        layer.weight.copy_(torch.eye(3))
    parametrize.register_parametrization(layer, "weight", SpectralNorm())
    J = Loss(layer, lambda m, b: m(b).tanh().square().mean()).on(data(5, 3)).jacobian()
    assert [f.split(":")[0] for f in J.findings] == ["discontinuous"]


def test_third_derivatives_serve_the_jacobian_of_consensus():
    critic = with_exact_norms(critic_of(parametrizations.spectral_norm(nn.Linear(4, 3).double())))
    assert_products_are_right(Consensus(0.5)(game(critic)), tolerance=1e-6)


def test_a_normed_rnn_is_copied_too():
    torch.manual_seed(0)
    rnn = parametrizations.weight_norm(nn.GRU(3, 4, batch_first=True).double(), "weight_hh_l0")
    exact = with_exact_norms(rnn)
    field = Loss(exact, lambda m, b: m(b)[0].square().mean()).on(data(2, 4, 3))
    assert_products_are_right(field)
    torch.testing.assert_close(exact(data(2, 4, 3))[0], rnn(data(2, 4, 3))[0])


def test_a_module_without_such_norms_comes_back_as_it_is():
    plain = net(3, 2)
    assert with_exact_norms(plain) is plain


def test_a_module_that_cannot_be_copied_is_named_with_the_way_round():
    critic = nn.Sequential(parametrizations.spectral_norm(nn.Linear(3, 2)))
    critic.stream = (i for i in range(3))
    with (
        untouched(critic[0]),
        pytest.raises(InputError, match=r"Sequential cannot be copied.*register_parametrization"),
    ):
        with_exact_norms(critic)
