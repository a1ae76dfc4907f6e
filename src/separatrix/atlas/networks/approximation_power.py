"""A deep ReLU network of three neurons a layer interpolates the parabola with an error of 4^-(m+1) in m layers, far below the best shallow network of as many parameters; but training does not find it.

[davis2022, chapters 2 and 3; yarotsky2017]

Checked: the error of the composed sawtooth and the number of its linear pieces, counted on the exact complex; its advantage over the
best piecewise linear function that one hidden layer of as many parameters can make, a classical nonlinear method; and
what training the same architectures from random weights reaches.

Not reproduced: rates in Sobolev classes, density theorems, other targets and other nonlinear methods. That training misses the
construction is not the survey's claim, which speaks of what exists.

Paper and code: two neurons carry the hat g(t) = 2 t - 4 relu(t - 1/2), a third the remainder x - sum g_k / 4^k. The best continuous
function of n pieces misses x^2 by 1 / (8 n^2), and takes n neurons.

Runtime: smoke 2 s, full 1 min.
"""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from separatrix.atlas import Outcome, Scale, Study, at_least, at_most
from separatrix.atlas.look import DECAY, GROW, INK, MUTED
from separatrix.topology import relu_complex

STUDY = Study(
    key="davis2022",
    authors="Davis, Owen and Motamed, Mohammad",
    title="Approximation Power of Deep Neural Networks: an explanatory mathematical survey",
    venue="arXiv",
    year=2022,
    arxiv="2207.09511",
    question="What does depth buy for a smooth function, and does gradient descent find it?",
    methods=("ReLU complexes", "gradient descent"),
    symptoms=("depth or width",),
    picture="Left: error on the parabola against parameters: the construction, the best shallow network, and trained copies of both. Right: "
    "what the construction with four layers and the best trained copy miss.",
)


def run(scale: Scale) -> Outcome:
    nets = {m: sawtooth(m) for m in range(1, 11)}
    deep, shallow = {m: error(net) for m, net in nets.items()}, {m: error(polygon(size(nets[m]) // 3)) for m in nets}
    off, ratio = max(abs(e * 4 ** (m + 1) - 1) for m, e in deep.items()), {m: shallow[m] / deep[m] for m in deep}
    pieces = [abs(count_pieces(nets[m]) - 2**m) for m in range(1, scale.pick(5, 9))]
    best = [abs(8 * n**2 * error(polygon(n)) - 1) for n in (2, 5, 21)]
    steps, seeds = scale.pick(30, 3000), scale.seeds(2, 10)
    trained = [train(sawtooth(4), seed, steps) for seed in seeds]
    wide = [train(polygon(16), seed, steps) for seed in seeds]
    exact, gains = partial(at_most, closed_form=True), partial(at_least, bound=10)
    misses, spread = [error(net) / deep[4] for net in trained], [error(net) * 8 * 16**2 for net in wide]
    moved = abs(error(sawtooth(4, kink=0.51)) / deep[4] - 1)
    return Outcome(
        claims=(
            exact("Error of the construction, off 4^-(m+1).", off, 1e-9),
            exact("Linear pieces of the construction, off 2^m.", max(pieces), 0),
            exact("Best shallow network of n pieces: error off 1 / (8 n^2).", max(best), 1e-6),
            gains("Six layers: error of the best shallow network of equal size, over the deep one's.", ratio[6]),
            gains("Eight layers: the same.", ratio[8], closed_form=True),
            gains("Trained, four layers: error over the construction's.", misses, over="median"),
            at_least("The same, the best of all seeds.", min(misses), 2),
            at_least("Trained, one layer of 16: error over the best.", spread, 2, over="median"),
        ),
        controls=(
            at_most("A kink moved by a hundredth: error off 4^-(m+1).", moved, 1e-9),
            gains("Two layers: advantage over the best shallow network.", ratio[2]),
        ),
        figure={
            "construction": [[size(nets[m]), e] for m, e in deep.items()],
            "best shallow": [[size(nets[m]), e] for m, e in shallow.items()],
            "trained deep": [[size(net), error(net)] for net in trained],
            "trained shallow": [[size(net), error(net)] for net in wide],
            "misses": [missed(net, 129).tolist() for net in (nets[4], min(trained, key=error))],
        },
        notes=(
            f"Advantage over shallow networks: {', '.join(f'{ratio[m]:.3g} at {m} layers' for m in (4, 6, 7, 8, 10))}. The survey "
            "gives rates; a factor of ten at six layers was this study's own guess.",
        ),
    )


def sawtooth(m: int, kink: float = 0.5) -> nn.Sequential:
    """``x - sum_k g_k(x) / 4^k``, k up to m, on [0, 1].

    A layer's neurons are ``g + 1``, ``relu(g - kink)`` and the remainder plus 2; shifted, two of them never vanish.
    """
    hat, layers = [2.0, -4.0, 0.0], [linear([[1.0]] * 3, [1.0, -kink, 2.0]), nn.ReLU()]
    for k in range(1, m):
        rest = [-2 * 4.0**-k, 4 * 4.0**-k, 1.0]
        layers += [linear([hat, hat, rest], [-1.0, -2.0 - kink, 2 * 4.0**-k]), nn.ReLU()]
    return nn.Sequential(*layers, linear([[-2 * 4.0**-m, 4 * 4.0**-m, 1.0]], [2 * 4.0**-m - 2]))


def polygon(n: int) -> nn.Sequential:
    """The chords of x^2 over n equal pieces, lowered by half their error."""
    slopes = [1 / n] + [2 / n] * (n - 1)
    kinks = linear([[1.0]] * n, [-k / n for k in range(n)])
    return nn.Sequential(kinks, nn.ReLU(), linear([slopes], [-1 / (8 * n**2)]))


def linear(weight: list[list[float]], bias: list[float]) -> nn.Module:
    layer = nn.Linear(len(weight[0]), len(weight)).double()
    layer.weight.data, layer.bias.data = (torch.tensor(a, dtype=torch.float64) for a in (weight, bias))
    return layer


def missed(net: nn.Module, points: int) -> Tensor:
    x = torch.linspace(0, 1, points, dtype=torch.float64)[:, None]
    with torch.no_grad():
        found: Tensor = (net(x) - x**2)[:, 0]
    return found


def error(net: nn.Sequential) -> float:
    """The largest on a grid of at least 1024 pieces, with the knots and their middles."""
    neurons = size(net) // 3 if len(net) == 3 else 1024
    return float(missed(net, 4 * neurons * math.ceil(1024 / neurons) + 1).abs().max())


def size(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def count_pieces(net: nn.Sequential) -> int:
    """Within (0, 1): vertices of the exact complex, plus one."""
    x = relu_complex(net).vertices[:, 0]
    return int(((x > 1e-12) & (x < 1 - 1e-12)).sum()) + 1


def train(net: nn.Sequential, seed: int, steps: int) -> nn.Sequential:
    """From random weights, by Adam with a cosine schedule, on 257 points."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net.apply(lambda layer: layer.reset_parameters() if isinstance(layer, nn.Linear) else None)
    x = torch.linspace(0, 1, 257, dtype=torch.float64)[:, None]
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        (net(x) - x**2).square().mean().backward()
        optimizer.step()
        schedule.step()
    return net


def draw(figure: Figure, data: Mapping[str, Any]) -> None:
    left, right = figure.subplots(1, 2)
    for name, style, colour in zip(data, ("o-", "s-", "o", "s"), (DECAY, GROW, DECAY, GROW), strict=False):
        left.loglog(*zip(*data[name], strict=True), style, color=colour, mfc="none", ms=4, lw=1, label=name)
    left.set(xlabel="parameters", ylabel="largest error")
    left.legend(fontsize=7)
    for values, colour, name in zip(data["misses"], (INK, MUTED), ("construction", "trained"), strict=True):
        right.plot([k / (len(values) - 1) for k in range(len(values))], values, color=colour, lw=1.2, label=name)
    right.set(xlabel="x", ylabel="network minus x^2")
    right.legend(fontsize=7)
