"""Five small training loops with causes planted in them, and their healthy twins; plain PyTorch, as people write it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softplus

from separatrix.dynamics import Roles, Run
from separatrix.zoo.digits_data import digits
from separatrix.zoo.patch_networks import discriminator, generator
from separatrix.zoo.patches_data import patches


@dataclass(frozen=True)
class Bed:
    """A run, and how many steps it makes before it is looked at."""

    run: Run
    steps: int


class Batches:
    """Random batches of a fixed size, with a generator of their own; a part of the state."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def of(self, count: int, size: int) -> Tensor:
        return torch.randint(count, (size,), generator=self.generator)


def digits_gan(cause: str, seed: int) -> Bed:
    """Perceptrons on 8x8 digits, the non-saturating loss with R1, Adam without momentum."""
    torch.manual_seed(seed)
    data = digits()
    train = data.images[:48] if cause == "critic-overfits" else data.images
    g = nn.Sequential(nn.Linear(32, 128), nn.LeakyReLU(0.2), nn.Linear(128, 64), nn.Tanh())
    act: Callable[[], nn.Module] = nn.ReLU if cause == "critic-dead" else lambda: nn.LeakyReLU(0.2)
    d = nn.Sequential(nn.Linear(64, 128), act(), nn.Linear(128, 64), act(), nn.Linear(64, 1))
    rates = {"G": 1e-3, "D": 1e-3}
    gamma, turns, narrow = 1.0, 1, 1.0
    if cause == "critic-overfits":
        gamma = 0.0
    elif cause == "critic-too-weak":
        rates["D"] = 1e-6
    elif cause == "critic-too-strong":
        gamma, turns, rates = 0.0, 5, {"G": 2e-5, "D": 2e-3}
    elif cause == "step-beyond-limit":
        rates["D"] = 0.05
    elif cause == "mode-collapse":
        narrow = 0.02
    elif cause == "critic-dead":
        rates["D"] = 1e-3
        with torch.no_grad():
            d[2].bias.fill_(-50.0)
    opts = {p: torch.optim.Adam(m.parameters(), lr=rates[p], betas=(0.0, 0.99)) for p, m in (("D", d), ("G", g))}
    batches = Batches(seed)

    def latents(count: int) -> Tensor:
        return narrow * torch.randn(count, 32)

    def critic_loss(real: Tensor) -> dict[str, Tensor]:
        if gamma > 0:
            real = real.detach().requires_grad_()
        on_real = d(real)
        terms = {"adv": softplus(-on_real).mean() + softplus(d(g(latents(len(real))).detach())).mean()}
        if gamma > 0:
            (slope,) = torch.autograd.grad(on_real.sum(), real, create_graph=True)
            terms["r1"] = gamma / 2 * slope.square().sum(dim=1).mean()
        return terms

    def generator_loss(real: Tensor) -> dict[str, Tensor]:
        return {"adv": softplus(-d(g(latents(len(real))))).mean()}

    def step() -> None:
        for _ in range(turns):
            _descend(opts["D"], critic_loss(train[batches.of(len(train), 64)]))
        _descend(opts["G"], generator_loss(train[batches.of(len(train), 64)]))

    roles = Roles(
        optimizers=opts,
        players={"D": d, "G": g},
        losses={"D": critic_loss, "G": generator_loss},
        data=[train[i : i + 64] for i in range(0, min(len(train), 256), 64)],
        held_out=[data.held_images],
        critic=d,
        critic_player="D",
        real=train,
        real_held_out=data.held_images,
        generated=lambda: g(latents(360)),
        features=lambda x: x,
        outputs={"samples": _fixed(lambda z: g(narrow * z), 64, 32)},
    )
    state = {"g": g, "d": d, "opts": opts, "draws": batches.generator}
    return Bed(Run(step, state, roles=roles, name=f"digits GAN, {cause}"), 800)


def patch_gan(cause: str, seed: int) -> Bed:
    """Convolutions on photographs, the non-saturating loss with R1, RMSprop-like Adam; small."""
    torch.manual_seed(seed)
    data = patches()
    g, d = generator(32, 6, False), discriminator(6, False)
    gamma = 2e5 if cause == "term-imbalance" else 10.0
    opts = {p: torch.optim.Adam(m.parameters(), lr=5e-4, betas=(0.0, 0.99)) for p, m in (("D", d), ("G", g))}
    batches = Batches(seed)

    def critic_loss(real: Tensor) -> dict[str, Tensor]:
        real = real.detach().requires_grad_()
        on_real = d(real)
        (slope,) = torch.autograd.grad(on_real.sum(), real, create_graph=True)
        fake = g(torch.randn(len(real), 32)).detach()
        return {
            "adv": softplus(-on_real).mean() + softplus(d(fake)).mean(),
            "r1": gamma / 2 * slope.square().flatten(1).sum(dim=1).mean(),
        }

    def generator_loss(real: Tensor) -> dict[str, Tensor]:
        return {"adv": softplus(-d(g(torch.randn(len(real), 32)))).mean()}

    def step() -> None:
        _descend(opts["D"], critic_loss(data.images[batches.of(len(data.images), 16)]))
        _descend(opts["G"], generator_loss(data.images[:16]))

    roles = Roles(
        optimizers=opts,
        players={"D": d, "G": g},
        losses={"D": critic_loss, "G": generator_loss},
        data=list(data.images[::24][:48].split(16)),
        held_out=[data.held_images[::8][:64]],
        critic=lambda x: d(x)[:, 0],
        critic_player="D",
        real=data.images[::12][:192],
        real_held_out=data.held_images[::4][:192],
        generated=lambda: g(torch.randn(192, 32)),
        outputs={"samples": _fixed(g, 16, 32)},
    )
    state = {"g": g, "d": d, "opts": opts, "draws": batches.generator}
    return Bed(Run(step, state, roles=roles, name=f"patch GAN, {cause}"), 120)


class Reverse(torch.autograd.Function):
    """The identity, whose gradient is turned round and scaled."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return -ctx.scale * gradient, None


def domain_adversarial(cause: str, seed: int) -> Bed:
    """Digits and inverted, blurred digits: a classifier whose features a domain critic must not tell apart, by gradient reversal."""
    torch.manual_seed(seed)
    data = digits()
    images, labels = data.images, data.labels
    strength = 1e-3 if cause == "term-imbalance" else 0.1
    rates = {"features": 1e-3, "domain": 1e-6 if cause == "critic-too-weak" else 1e-3}
    features = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.Tanh())
    head = nn.Linear(32, 10)
    domain = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
    opts = {
        "features": torch.optim.Adam([*features.parameters(), *head.parameters()], lr=rates["features"]),
        "domain": torch.optim.Adam(domain.parameters(), lr=rates["domain"]),
    }
    batches = Batches(seed)

    def shifted(x: Tensor) -> Tensor:
        return -0.7 * x + 0.2 * torch.randn_like(x)

    def told_apart(x: Tensor, other: Tensor) -> Tensor:
        return softplus(-domain(x)).mean() + softplus(domain(other)).mean()

    def step() -> None:
        i, j = batches.of(len(images), 64), batches.of(len(images), 64)
        x, other = features(images[i]), features(shifted(images[j]))
        for opt in opts.values():
            opt.zero_grad()
        reversed_ = told_apart(Reverse.apply(x, strength), Reverse.apply(other, strength))  # type: ignore[no-untyped-call]
        (cross_entropy(head(x), labels[i]) + reversed_).backward()
        for opt in opts.values():
            opt.step()

    def losses(batch: tuple[Tensor, Tensor, Tensor]) -> dict[str, Any]:
        source, target, wanted = batch
        x, other = features(source), features(target)
        apart = told_apart(x, other)
        return {
            "features": {"labels": cross_entropy(head(x), wanted), "confusion": -strength * apart},
            "domain": apart,
        }

    target = shifted(images)
    held = shifted(data.held_images)
    roles = Roles(
        optimizers=opts,
        players={"features": [features, head], "domain": domain},
        losses=losses,
        data=[(images[i : i + 64], target[512 + i : 576 + i], labels[i : i + 64]) for i in range(0, 512, 64)],
        held_out=[(data.held_images, held, data.held_labels)],
        critic=lambda x: domain(features(x))[:, 0],
        critic_player="domain",
        real=images[:360],
        real_held_out=data.held_images,
        generated=lambda: held,
    )
    state = {"features": features, "head": head, "domain": domain, "opts": opts, "draws": batches.generator}
    return Bed(Run(step, state, roles=roles, name=f"domain-adversarial, {cause}"), 400)


def physics_informed(cause: str, seed: int) -> Bed:
    """``u'' = -pi^2 sin(pi x)`` on [0, 1] with ``u(0) = 0``, ``u(1) = 0`` and a few measured values; Adam."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    weights = {"equation": 0.01, "border": 1.0, "measured": 1.0}
    if cause == "term-imbalance":
        weights = {"equation": 10.0, "border": 1e-5, "measured": 1e-5}
    places = torch.linspace(0.1, 0.9, 9)[:, None]
    values = torch.sin(torch.pi * places) * (-1.0 if cause == "conflicting-objectives" else 1.0)
    if cause == "conflicting-objectives":
        weights["equation"] = 0.05
    ends = torch.tensor([[0.0], [1.0]])
    draws = torch.Generator().manual_seed(seed)

    def losses(points: Tensor) -> dict[str, dict[str, Tensor]]:
        x = points.detach().requires_grad_()
        u = net(x)
        (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        (bend,) = torch.autograd.grad(slope.sum(), x, create_graph=True)
        return {
            "net": {
                "equation": weights["equation"] * (bend + torch.pi**2 * torch.sin(torch.pi * x)).square().mean(),
                "border": weights["border"] * net(ends).square().mean(),
                "measured": weights["measured"] * (net(places) - values).square().mean(),
            }
        }

    def step() -> None:
        _descend(opt, losses(torch.rand(32, 1, generator=draws))["net"])

    fixed = torch.Generator().manual_seed(1000 + seed)
    roles = Roles(
        optimizers={"net": opt},
        players={"net": net},
        losses=losses,
        data=[torch.rand(32, 1, generator=fixed) for _ in range(8)],
        outputs={"solution": _fixed(lambda z: net(torch.linspace(0, 1, 33)[:, None]), 1, 1)},
    )
    return Bed(Run(step, {"net": net, "opt": opt, "draws": draws}, roles=roles, name=f"physics, {cause}"), 600)


def matching_pennies(cause: str, seed: int) -> Bed:
    """Two softmax policies of one logit pair each, REINFORCE on sampled plays; entropy damps the healthy one."""
    torch.manual_seed(seed)
    logits = {"even": (0.8 * torch.randn(2)).requires_grad_(), "odd": (0.8 * torch.randn(2)).requires_grad_()}
    plays = 1 if cause == "noise-dominated" else 2048
    damping = 0.0 if cause == "undamped-rotation" else 0.25
    lr = 0.3
    opts = {p: torch.optim.SGD([t], lr=lr) for p, t in logits.items()}
    payoff = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])

    def chances() -> dict[str, Tensor]:
        return {p: t.softmax(dim=0) for p, t in logits.items()}

    def entropies() -> dict[str, Tensor]:
        return {p: -(c * c.log()).sum() for p, c in chances().items()}

    def losses(_: Any) -> dict[str, Tensor]:
        """Score-function surrogates: their gradients are right, their values say nothing."""
        actions = {p: torch.multinomial(c.detach(), plays, replacement=True) for p, c in chances().items()}
        won = payoff[actions["even"], actions["odd"]]
        logs = {p: t.log_softmax(dim=0)[actions[p]] for p, t in logits.items()}
        return {
            p: -(logs[p] * (won if p == "even" else -won)).mean() - damping * entropies()[p] for p in ("even", "odd")
        }

    def objective(_: Any) -> dict[str, Tensor]:
        chance = chances()
        value = chance["even"] @ payoff @ chance["odd"]
        return {"even": -value - damping * entropies()["even"], "odd": value - damping * entropies()["odd"]}

    def step() -> None:
        found = losses(None)
        for p, opt in opts.items():
            opt.zero_grad()
            found[p].backward()
        for opt in opts.values():
            opt.step()

    roles = Roles(
        optimizers=opts,
        players=logits,
        losses=losses,
        objective=objective,
        data=[None],
        outputs={"chances": lambda: torch.stack(list(chances().values()))},
    )
    return Bed(Run(step, {"logits": logits, "opts": opts}, roles=roles, name=f"matching pennies, {cause}"), 200)


def _descend(optimizer: torch.optim.Optimizer, terms: dict[str, Tensor]) -> None:
    optimizer.zero_grad()
    sum(terms.values()).backward()  # type: ignore[union-attr]
    optimizer.step()


def _fixed(make: Callable[[Tensor], Tensor], count: int, size: int) -> Callable[[], Tensor]:
    latents = torch.randn(count, size, generator=torch.Generator().manual_seed(0))
    return lambda: make(latents)


HEALTHY = "healthy"
BEDS: dict[str, tuple[Callable[[str, int], Bed], tuple[str, ...]]] = {
    "digits-gan": (
        digits_gan,
        (
            "critic-overfits",
            "critic-too-weak",
            "critic-too-strong",
            "critic-dead",
            "step-beyond-limit",
            "mode-collapse",
        ),
    ),
    "patch-gan": (patch_gan, ("term-imbalance",)),
    "domain-adversarial": (domain_adversarial, ("term-imbalance", "critic-too-weak")),
    "physics-informed": (physics_informed, ("term-imbalance", "conflicting-objectives")),
    "matching-pennies": (matching_pennies, ("undamped-rotation", "noise-dominated")),
}
