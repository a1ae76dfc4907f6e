"""What bench_jacobian.py measures: two GANs with products of their Jacobian, two classifiers with Hessian products.

A case is the network, its data, and contenders: functions that build a product and return it with the number of vectors
that one call takes. Peers that are not installed raise ImportError when built and are reported as absent.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softplus

from separatrix import Game, Loss
from separatrix.fields import Jacobian

Product = Callable[[], Tensor]
BLOCK = 8


@dataclass(frozen=True)
class Case:
    """A network with its contenders: ``name -> build``, where ``build()`` gives ``(product, vectors a call)``."""

    parameters: int
    batch: int
    contenders: Mapping[str, Callable[[], tuple[Product, int]]]


def mlp_gan(batch: int) -> tuple[dict[str, nn.Module], tuple[Tensor, Tensor]]:
    """G 64-256-256-256-64 and D 64-256-256-256-1, LeakyReLU 0.2; a batch of (real, latents)."""

    def perceptron(out: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for wide, narrow in ((64, 256), (256, 256), (256, 256)):
            layers += [nn.Linear(wide, narrow), nn.LeakyReLU(0.2)]
        return nn.Sequential(*layers, nn.Linear(256, out))

    return {"G": perceptron(64), "D": perceptron(1)}, (torch.randn(batch, 64), torch.randn(batch, 64))


def dcgan(batch: int) -> tuple[dict[str, nn.Module], tuple[Tensor, Tensor]]:
    """Four transposed convolutions against three convolutions and two linear layers, images 3 x 32 x 32."""

    def norm(channels: int) -> nn.BatchNorm2d:
        return nn.BatchNorm2d(channels, track_running_stats=False)  # torch.func.jvp refuses running statistics

    generator = nn.Sequential(
        nn.Unflatten(1, (100, 1, 1)),
        *(nn.ConvTranspose2d(100, 256, 4, 1, 0, bias=False), norm(256), nn.ReLU()),
        *(nn.ConvTranspose2d(256, 128, 4, 2, 1, bias=False), norm(128), nn.ReLU()),
        *(nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False), norm(64), nn.ReLU()),
        *(nn.ConvTranspose2d(64, 3, 4, 2, 1), nn.Tanh()),
    )
    discriminator = nn.Sequential(
        *(nn.Conv2d(3, 64, 4, 2, 1), nn.LeakyReLU(0.2)),
        *(nn.Conv2d(64, 128, 4, 2, 1, bias=False), norm(128), nn.LeakyReLU(0.2)),
        *(nn.Conv2d(128, 256, 4, 2, 1, bias=False), norm(256), nn.LeakyReLU(0.2)),
        *(nn.Flatten(), nn.Linear(4096, 96), nn.LeakyReLU(0.2), nn.Linear(96, 1)),
    )
    return {"G": generator, "D": discriminator}, (torch.rand(batch, 3, 32, 32) * 2 - 1, torch.randn(batch, 100))


def losses(models: Mapping[str, Any], batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    real, latents = batch
    fake = models["G"](latents)
    on_real, on_fake = models["D"](real), models["D"](fake)
    return {"G": softplus(-on_fake).mean(), "D": softplus(-on_real).mean() + softplus(on_fake).mean()}


def gan_case(models: dict[str, nn.Module], batch: tuple[Tensor, Tensor]) -> Case:
    """Non-saturating losses, nothing detached. Products whose names begin alike give the same vector."""
    field = Game(models, losses, name="gan").on(batch)
    space = field.space
    vector = torch.randn(space.n)
    block = torch.cat([vector[None], torch.randn(BLOCK - 1, space.n)])
    pieces = space.split(vector)
    parameters = [{name: p.detach() for name, p in m.named_parameters()} for m in models.values()]
    counts = [len(part) for part in parameters]
    leaves = [p for m in models.values() for p in m.parameters()]

    def by_player(tensors: list[Tensor]) -> tuple[dict[str, Tensor], ...]:
        halves = tensors[: counts[0]], tensors[counts[0] :]
        return tuple(dict(zip(part, half, strict=True)) for part, half in zip(parameters, halves, strict=True))

    def flat(parts: tuple[dict[str, Tensor], ...]) -> Tensor:
        return torch.cat([t.reshape(-1) for part in parts for t in part.values()])

    def call(player: str, own: dict[str, Tensor], *inputs: Tensor) -> Tensor:
        output: Tensor = torch.func.functional_call(models[player], own, inputs)
        return output

    def loss_g(generator: dict[str, Tensor], discriminator: dict[str, Tensor]) -> Tensor:
        return softplus(-call("D", discriminator, call("G", generator, batch[1]))).mean()

    def loss_d(generator: dict[str, Tensor], discriminator: dict[str, Tensor]) -> Tensor:
        on_real = call("D", discriminator, batch[0])
        on_fake = call("D", discriminator, call("G", generator, batch[1]))
        return softplus(-on_real).mean() + softplus(on_fake).mean()

    def functional_field(generator: dict[str, Tensor], discriminator: dict[str, Tensor]) -> tuple[Any, Any]:
        # Each player's loss alone, so that nothing is evaluated that its gradient does not need.
        of_g, of_d = torch.func.grad(loss_g, argnums=0), torch.func.grad(loss_d, argnums=1)
        return of_g(generator, discriminator), of_d(generator, discriminator)

    def functional_jvp() -> Tensor:
        _, moved = torch.func.jvp(functional_field, tuple(parameters), by_player(pieces))
        return -flat(moved)

    def directions() -> list[Tensor]:
        found = losses(models, batch)
        first = torch.autograd.grad(found["G"], leaves[: counts[0]], create_graph=True)
        second = torch.autograd.grad(found["D"], leaves[counts[0] :], create_graph=True)
        return [-g for g in (*first, *second)]

    def rebuilt_transpose() -> Tensor:
        return space.join(list(torch.autograd.grad(directions(), leaves, pieces)))

    def rebuilt_product() -> Tensor:
        rows = directions()
        dummies = [torch.zeros_like(r, requires_grad=True) for r in rows]
        pulled = torch.autograd.grad(rows, leaves, dummies, create_graph=True)
        return space.join(list(torch.autograd.grad(pulled, dummies, pieces)))

    # The self-tests are left out: they cost once, not a product.
    def kept_transpose() -> tuple[Product, int]:
        J = Jacobian(field, checks=False)
        return lambda: J.T @ vector, 1

    def kept_product() -> tuple[Product, int]:
        J = Jacobian(field, checks=False)
        return lambda: J @ vector, 1

    def streamed_transpose() -> tuple[Product, int]:
        J = Jacobian(field, route="stream", checks=False)
        return lambda: J.T.rows(block), BLOCK

    def streamed_product() -> tuple[Product, int]:
        J = Jacobian(field, route="stream", checks=False)
        return lambda: J.rows(block), BLOCK

    def dual_product() -> tuple[Product, int]:
        J = Jacobian(field, route="dual", checks=False)
        return lambda: J @ vector, 1

    def functional_vjp() -> tuple[Product, int]:
        _, pull = torch.func.vjp(functional_field, *parameters)
        return lambda: -flat(pull(by_player(pieces))), 1

    contenders = {
        "field": lambda: (field, 1),
        "J.T @ u, separatrix": kept_transpose,
        "J.T @ u, separatrix, streamed, 8 at a time": streamed_transpose,
        "J.T @ u, torch.func.vjp applied again": functional_vjp,
        "J.T @ u, double backward built anew": lambda: (rebuilt_transpose, 1),
        "J @ u, separatrix": kept_product,
        "J @ u, separatrix, streamed, 8 at a time": streamed_product,
        "J @ u, separatrix, dual": dual_product,
        "J @ u, torch.func.jvp of torch.func.grad": lambda: (functional_jvp, 1),
        "J @ u, double backward built anew": lambda: (rebuilt_product, 1),
    }
    return Case(space.n, len(batch[0]), contenders)


def mlp_classifier(batch: int) -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    """64-384-384-384-10 with ReLU."""
    model = nn.Sequential(
        *(m for a, b in ((64, 384), (384, 384), (384, 384)) for m in (nn.Linear(a, b), nn.ReLU())), nn.Linear(384, 10)
    )
    return model, (torch.randn(batch, 64), torch.randint(10, (batch,)))


def conv_classifier(batch: int) -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    """Four convolutions and two linear layers on images 3 x 32 x 32, ReLU."""
    model = nn.Sequential(
        *(nn.Conv2d(3, 64, 3, 1, 1), nn.ReLU(), nn.Conv2d(64, 64, 3, 2, 1), nn.ReLU()),
        *(nn.Conv2d(64, 128, 3, 2, 1), nn.ReLU(), nn.Conv2d(128, 128, 3, 2, 1), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(2048, 384), nn.ReLU(), nn.Linear(384, 10)),
    )
    return model, (torch.randn(batch, 3, 32, 32), torch.randint(10, (batch,)))


def hessian_case(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Case:
    """Cross-entropy on one batch. Every library gets a copy of the model: some write to ``.grad`` and to modes."""
    field = Loss(model, lambda m, b: cross_entropy(m(b[0]), b[1])).on(batch)
    vector = torch.randn(field.space.n)
    pieces = [p.clone() for p in field.space.split(vector)]

    def copied() -> tuple[nn.Module, list[nn.Parameter]]:
        other = deepcopy(model)
        return other, list(other.parameters())

    def kept() -> tuple[Product, int]:
        J = Jacobian(field, checks=False)
        return lambda: -(J.T @ vector), 1

    def curvlinops() -> tuple[Product, int]:
        from curvlinops import HessianLinearOperator

        other, parameters = copied()
        H = HessianLinearOperator(other, nn.CrossEntropyLoss(), parameters, [batch], check_deterministic=False)
        return lambda: H @ vector, 1

    def pyhessian() -> tuple[Product, int]:
        from pyhessian import hessian
        from pyhessian.utils import hessian_vector_product

        other, _ = copied()
        H = hessian(other, nn.CrossEntropyLoss(), data=batch, cuda=False)
        return lambda: field.space.join(list(hessian_vector_product(H.gradsH, H.params, pieces))), 1

    def eigenthings() -> tuple[Product, int]:
        from hessian_eigenthings import HessianOperator

        other, _ = copied()
        H = HessianOperator(other, [batch], lambda m, b: cross_entropy(m(b[0]), b[1]))
        return lambda: H.matvec(vector), 1

    def backpack() -> tuple[Product, int]:
        from backpack.hessianfree.hvp import hessian_vector_product

        other, parameters = copied()
        loss = cross_entropy(other(batch[0]), batch[1])
        slopes = torch.autograd.grad(loss, parameters, create_graph=True)
        return lambda: field.space.join(list(hessian_vector_product(loss, parameters, pieces, slopes))), 1

    def functional() -> Tensor:
        own = {name: p.detach() for name, p in model.named_parameters()}

        def loss(parameters: dict[str, Tensor]) -> Tensor:
            return cross_entropy(torch.func.functional_call(model, parameters, (batch[0],)), batch[1])

        tangents = dict(zip(own, pieces, strict=True))
        _, moved = torch.func.jvp(torch.func.grad(loss), (own,), (tangents,))
        return field.space.join(list(moved.values()))

    contenders = {
        "gradient": lambda: (field, 1),
        "H @ u, separatrix": kept,
        "H @ u, curvlinops": curvlinops,
        "H @ u, PyHessian, one batch": pyhessian,
        "H @ u, hessian-eigenthings": eigenthings,
        "H @ u, BackPACK, gradient kept": backpack,
        "H @ u, torch.func.jvp of torch.func.grad": lambda: (functional, 1),
    }
    return Case(field.space.n, len(batch[0]), contenders)


# name -> (make, batch, batch of a quick run)
CASES: dict[str, tuple[Callable[[int], Case], int, int]] = {
    "mlp": (lambda batch: gan_case(*mlp_gan(batch)), 256, 64),
    "dcgan": (lambda batch: gan_case(*dcgan(batch)), 32, 4),
    "mlp classifier": (lambda batch: hessian_case(*mlp_classifier(batch)), 256, 64),
    "conv classifier": (lambda batch: hessian_case(*conv_classifier(batch)), 32, 4),
}
