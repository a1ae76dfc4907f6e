"""SAN's last layer: the same function, a direction on the sphere, each part's own gradient, and two honest players."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from separatrix.errors import InputError
from separatrix.fields import Game, NormalisedDirection, gan_losses, san_outputs, san_players, to_san
from untouched import untouched

X = torch.randn(12, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
G = torch.randn(12, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def number(x) -> float:
    return torch.as_tensor(x).detach().item()


def discriminator(seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 1)).double()


@pytest.mark.parametrize("bias", [True, False])
def test_the_converted_copy_is_the_same_function(bias):
    plain = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 1, bias=bias)).double()
    with untouched(plain):
        san = to_san(plain)
    assert isinstance(san[2], NormalisedDirection)
    torch.testing.assert_close(san(X), plain(X))
    torch.testing.assert_close(san_outputs(san, X).function, plain(X))
    assert number(san[2].weight.norm()) == pytest.approx(1)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("norm", [nn.utils.weight_norm, nn.utils.spectral_norm])
@pytest.mark.parametrize("moment", ["fresh", "after a pass", "after a step"])
def test_an_old_norm_ends_with_the_weight_of_the_next_pass(norm, moment):
    """Such a layer holds the weight of the last forward pass, with its graph, until the next one."""
    plain = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), norm(nn.Linear(7, 1))).double()
    if moment != "fresh":
        plain(X).square().sum().backward()
    if moment == "after a step":
        torch.optim.SGD(plain.parameters(), lr=0.5).step()
    with untouched(plain):
        san = to_san(plain)
    torch.testing.assert_close(san(X), plain(X))


def test_a_convolution_is_converted_too():
    layers = [nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Conv2d(4, 1, 3, stride=2, padding=1, dilation=2)]
    plain = nn.Sequential(*layers, nn.Flatten()).double()
    images = torch.randn(2, 3, 9, 9, dtype=torch.float64)
    san = to_san(plain)
    torch.testing.assert_close(san(images), plain(images))
    function, direction = san_outputs(san, images)
    torch.testing.assert_close(direction.flatten(1) + san[2].bias, function)


def test_the_direction_stays_on_the_sphere_after_every_step():
    san = to_san(discriminator())
    optimizer = torch.optim.SGD(san.parameters(), lr=0.5)
    for _ in range(5):
        before = san(X).detach()
        real, fake = san_outputs(san, X), san_outputs(san, G)
        loss = gan_losses(real.function, fake.function, kind="hinge").discriminator
        loss = loss + gan_losses(real.direction, fake.direction, kind="wasserstein").discriminator
        optimizer.zero_grad()
        loss.backward()
        tangent = san[2].weight.grad
        assert abs(number((tangent * san[2].weight).sum())) < 1e-12 * (1 + number(tangent.norm()))
        optimizer.step()
        assert number(san[2].weight.detach().norm()) > 1
        after = san(X).detach()
        san[2].normalise()
        assert number(san[2].weight.detach().norm()) == pytest.approx(1, rel=1e-14)
        torch.testing.assert_close(san(X).detach(), after)
        assert not torch.allclose(before, after)


def test_the_directions_gradient_is_the_tangent_of_the_difference_of_means():
    san = to_san(discriminator())
    h = nn.Sequential(san[0], san[1])
    real, fake = san_outputs(san, X).direction, san_outputs(san, G).direction
    (slope,) = torch.autograd.grad(fake.mean() - real.mean(), san[2].weight)
    apart = h(X).mean(0) - h(G).mean(0)
    w = san[2].weight[0]
    expected = -san[2].scale * (apart - (apart @ w) * w)
    torch.testing.assert_close(slope[0], expected)
    assert torch.autograd.grad(real.mean(), san[0].weight, allow_unused=True)[0] is None


def test_the_functions_gradient_is_the_plain_gans_and_leaves_the_direction_alone():
    plain = discriminator()
    san = to_san(plain)
    loss = gan_losses(san_outputs(san, X).function, san_outputs(san, G).function).discriminator
    theirs = torch.autograd.grad(gan_losses(plain(X), plain(G)).discriminator, plain[0].weight)[0]
    torch.testing.assert_close(torch.autograd.grad(loss, san[0].weight, retain_graph=True)[0], theirs)
    assert torch.autograd.grad(loss, san[2].weight, allow_unused=True)[0] is None


def test_as_two_players_each_gradient_is_the_same_and_the_jacobian_sees_both():
    san, generator = to_san(discriminator()), nn.Linear(5, 5).double()
    function, direction = san_players(san)
    assert set(direction) == {"2.weight"}
    assert set(function) == {"0.weight", "0.bias", "2.scale", "2.bias"}

    def losses(models, batch):
        on_real, on_fake = san(X), san(models["G"](G))
        usual = gan_losses(on_real, on_fake, kind="hinge")
        return {"G": usual.generator, "D": usual.discriminator, "w": on_fake.mean() - on_real.mean()}

    field = Game({"G": generator, "D": function, "w": direction}, losses).on()
    real, fake = san_outputs(san, X), san_outputs(san, generator(G))
    loss = gan_losses(real.function, fake.function, kind="hinge").discriminator
    loss = loss + fake.direction.mean() - real.direction.mean()
    expected = torch.autograd.grad(loss, list(san.parameters()))
    v = field.directions(field.point)
    named = dict(zip([n for n, _ in san.named_parameters()], expected, strict=True))
    torch.testing.assert_close(-v["D"], torch.cat([named[n].flatten() for n in function]))
    torch.testing.assert_close(-v["w"], named["2.weight"].flatten())
    jacobian = field.jacobian()
    assert not jacobian.findings
    u = torch.randn(field.space.n, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    differences = (field(field.point + 1e-6 * u) - field(field.point - 1e-6 * u)) / 2e-6
    torch.testing.assert_close(jacobian @ u, differences, rtol=1e-5, atol=1e-8)


def test_a_pass_that_fails_leaves_nothing_behind():
    san = to_san(discriminator())
    with pytest.raises(RuntimeError), untouched(san):
        san_outputs(san, X[:, :2])
    with untouched(san):
        san_outputs(san, X)


def test_what_cannot_be_converted_is_refused():
    with pytest.raises(InputError, match="one output, got Linear"):
        to_san(nn.Linear(3, 2))
    with pytest.raises(InputError, match=r"no nn\.Linear or nn\.Conv2d layer"):
        to_san(nn.Tanh())
    zero = nn.Linear(3, 1)
    nn.init.zeros_(zero.weight)
    with pytest.raises(InputError, match="zero and has no direction"):
        NormalisedDirection(zero)
    with pytest.raises(InputError, match="padding_mode='reflect'"):
        NormalisedDirection(nn.Conv2d(2, 1, 3, padding=1, padding_mode="reflect"))
    with pytest.raises(InputError, match=r"must hold one NormalisedDirection, it holds 0; make one with"):
        san_outputs(discriminator(), X)

    class Unused(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = NormalisedDirection(nn.Linear(5, 1).double())

        def forward(self, x):
            return x.sum(1)

    with pytest.raises(InputError, match="does not reach its NormalisedDirection"):
        san_outputs(Unused(), X)
