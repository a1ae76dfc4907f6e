"""The price of one Jacobian product, in evaluations of the field (gradient-equivalents) and in floating-point operations.

Two GANs with non-saturating losses and nothing detached: an MLP GAN (313 153 parameters, batch 256) and a small DCGAN
(2.1 million, batch 32, BatchNorm on batch statistics). Contenders: separatrix's retained graphs, ``torch.func.jvp`` of
``torch.func.grad``, and double backward built anew for each product. In every round each contender runs once, in random
order, on one thread; its CPU time is divided by the field's in the same round. Medians over rounds, with quartiles.
Operations are counted by torch's ``FlopCounterMode`` and free of noise. All contenders must give the same numbers.

    python benchmarks/bench_jacobian.py [--rounds 15] [--quick] [--out FILE]
"""

import argparse
import json
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.utils.flop_counter import FlopCounterMode

from separatrix import Game
from separatrix.fields import Jacobian

RESULTS = Path(__file__).parent / "results" / "jacobian.json"
Contenders = dict[str, Callable[[], Tensor]]


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


def contenders(models: dict[str, nn.Module], batch: tuple[Tensor, Tensor], vector: Tensor) -> Contenders:
    """What is timed, by name; the products with ``J`` all give the same vector, and so do those with its transpose."""
    game = Game(models, losses, name="gan")
    field = game.on(batch)
    jacobian = Jacobian(
        field, checks=False
    )  # ``field.jacobian()`` with the self-tests off: they cost once, not a product
    space, pieces = field.space, field.space.split(vector)
    parameters = [{name: p.detach() for name, p in m.named_parameters()} for m in models.values()]
    tangents = [{n: g for (n, _), g in zip(m.named_parameters(), part, strict=True)} for m, part in _by(models, pieces)]

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

    def functional_product() -> Tensor:
        _, moved = torch.func.jvp(functional_field, tuple(parameters), tuple(tangents))
        return -torch.cat([t.reshape(-1) for part in moved for t in part.values()])

    leaves = [p for m in models.values() for p in m.parameters()]
    counts = [len(list(m.parameters())) for m in models.values()]

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

    found = {
        "field": lambda: field(),
        "separatrix J.T @ u": lambda: jacobian.T @ vector,
        "separatrix J @ u": lambda: jacobian @ vector,
        "J @ u, torch.func.jvp of torch.func.grad": functional_product,
        "J.T @ u, double backward built anew": rebuilt_transpose,
        "J @ u, double backward built anew": rebuilt_product,
    }
    answers = {name: product() for name, product in found.items()}  # also builds what is built once
    for ours in ("separatrix J.T @ u", "separatrix J @ u"):
        side = ours.removeprefix("separatrix ")
        for name, answer in answers.items():
            if name.startswith(side):
                gap = float((answer - answers[ours]).norm() / answers[ours].norm())
                assert gap < 1e-4, f"{name} and {ours} differ by {gap:.2g}"
    return found


def _by(models: dict[str, nn.Module], pieces: list[Tensor]) -> list[tuple[nn.Module, list[Tensor]]]:
    """The pieces of a flat vector by module, in the order of its parameters."""
    found, start = [], 0
    for module in models.values():
        size = len(list(module.parameters()))
        found.append((module, pieces[start : start + size]))
        start += size
    return found


def count_operations(found: Contenders) -> dict[str, float]:
    """Floating-point operations over those of the field."""
    operations = {}
    for name, product in found.items():
        with FlopCounterMode(display=False) as counter:
            product()
        operations[name] = float(counter.get_total_flops())
    return {name: count / operations["field"] for name, count in operations.items()}


def time_rounds(found: Contenders, rounds: int) -> tuple[dict[str, list[float]], float]:
    """CPU time over the field's in the same round, ``{name: [first quartile, median, third]}``, and the field's median."""
    ratios: dict[str, list[float]] = {name: [] for name in found}
    field_seconds = []
    order = list(found)
    for _ in range(rounds):
        seconds = {}
        random.shuffle(order)
        for name in order:
            start = time.process_time()
            found[name]()
            seconds[name] = time.process_time() - start
        field_seconds.append(seconds["field"])
        for name in found:
            ratios[name].append(seconds[name] / seconds["field"])
    return {n: statistics.quantiles(r, n=4, method="inclusive") for n, r in ratios.items()}, statistics.median(
        field_seconds
    )


def measure(name: str, *, batch: int, rounds: int) -> dict[str, Any]:
    """One network's record."""
    torch.manual_seed(0)
    models, data = {"mlp": mlp_gan, "dcgan": dcgan}[name](batch)
    n = sum(p.numel() for m in models.values() for p in m.parameters())
    found = contenders(models, data, torch.randn(n))
    operations = count_operations(found)
    times, seconds = time_rounds(found, rounds)
    rows = {
        k: {"operations": operations[k], "time": dict(zip(("q1", "median", "q3"), times[k], strict=True))}
        for k in found
    }
    return {"parameters": n, "batch": batch, "rounds": rounds, "field_cpu_seconds": seconds, "contenders": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="interleaved rounds (default 15)")
    parser.add_argument("--quick", action="store_true", help="two rounds on small batches: operations, no usable times")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the JSON goes")
    options = parser.parse_args()
    torch.set_num_threads(1)
    random.seed(0)
    rounds, batches = (2, {"mlp": 64, "dcgan": 4}) if options.quick else (options.rounds, {"mlp": 256, "dcgan": 32})
    record = {
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "threads": 1},
        "quick": options.quick,
        "networks": {name: measure(name, batch=batch, rounds=rounds) for name, batch in batches.items()},
    }
    for name, network in record["networks"].items():
        print(
            f"{name}: {network['parameters']} parameters, batch {network['batch']}, field {network['field_cpu_seconds']:.4f} s"
        )
        print(f"  {'':<42} {'operations':>10}   CPU time, median [quartiles]")
        for contender, row in network["contenders"].items():
            q = row["time"]
            print(f"  {contender:<42} {row['operations']:>10.2f}   {q['median']:.2f} [{q['q1']:.2f}, {q['q3']:.2f}]")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
