"""A change of two grey levels along the sign of the gradient undoes a good classifier, a random one of the same size does nothing, and what the network dreams of a class resembles no sample.

[neupert2021, chapter on interpretability; goodfellow2015]

Checked: on scikit-learn's digits, ten networks: accuracy, what is left of it after sign-gradient and random-sign changes of the same
size, and images that maximise a class's probability against the distance between samples.

Not reproduced: every other chapter of an introduction that claims no numbers: principal components, t-SNE, recurrent and generative
networks, reinforcement learning.

Paper and code: the bounds are this study's. Images have grey levels from 0 to 16; a change moves every pixel and is not clipped to
the range, dreams are.

Runtime: smoke 1 s, full 30 s.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from separatrix.atlas import Outcome, Scale, Study, at_least, at_most
from separatrix.atlas.look import DECAY, GROW, MUTED
from separatrix.zoo.digits_data import digits

STUDY = Study(
    key="neupert2021",
    authors="Neupert, Titus and Fischer, Mark H. and Greplova, Eliska and Choo, Kenny and Denner, M. Michael",
    title="Introduction to Machine Learning for the Sciences",
    venue="arXiv",
    year=2021,
    arxiv="2102.04883",
    question="How small a change fools a good classifier of digits, and what does it see in a class?",
    methods=("sign-gradient perturbation", "activation maximisation"),
    symptoms=("adversarial examples",),
    picture="Left: accuracy of ten networks against the size of the change, along the sign of the gradient and along random signs. Right: "
    "what one network dreams of the digits 0 to 4, and the nearest sample to each.",
    size=(8.2, 3.0),
    needs=("demo",),
)
LEVEL = 2 / 16  # one grey level; images are scaled to [-1, 1]
LEVELS = (0, 0.5, 1, 1.5, 2, 3, 4)


def run(scale: Scale) -> Outcome:
    data, nets = digits(), [train(seed, scale.pick(60, 600)) for seed in scale.seeds(2, 10)]
    fooled = {k: [accuracy(net, shifted(net, k)) for net in nets] for k in (*LEVELS, 0.25)}
    jostled = {k: [accuracy(net, jostled_by(k, seed)) for seed, net in enumerate(nets)] for k in LEVELS}
    lost = [100 * (a - b) for a, b in zip(jostled[0], jostled[2], strict=True)]
    dreams = [dream(net, scale.pick(30, 400)) for net in nets]
    sure = [float(net(images).softmax(1).diagonal().min()) for net, images in zip(nets, dreams, strict=True)]
    usual = away(data.held_images).quantile(0.95)
    far = [float(away(images).min() / usual) for images in dreams]
    falls, strange = partial(at_most, bound=0.4, over="mean"), partial(at_least, bound=1)
    return Outcome(
        claims=(
            at_least("Accuracy on held-out digits.", fooled[0], 0.95, over="mean"),
            falls("Accuracy after two grey levels along the sign of the gradient.", fooled[2]),
            at_most("Points of accuracy lost to random signs of the same size.", lost, 3, over="mean"),
            at_least("Dreams: lowest probability of the class that is dreamt of.", sure, 0.99, over="every"),
            strange(
                "Dreams: least distance to a sample, over the 95th percentile of held-out digits.", far, over="every"
            ),
        ),
        controls=(
            falls("Accuracy after a quarter of a grey level along the sign of the gradient.", fooled[0.25]),
            strange(
                "Held-out digits: least distance to a sample, over the same.",
                float(away(data.held_images).min() / usual),
            ),
        ),
        figure={
            "fooled": [fooled[k] for k in LEVELS],
            "jostled": [jostled[k] for k in LEVELS],
            "dreams": dreams[0][:5].tolist(),
            "nearest": data.images[torch.cdist(dreams[0][:5], data.images).argmin(1)].tolist(),
        },
    )


def train(seed: int, steps: int) -> nn.Module:
    data = digits()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
        optimizer = torch.optim.Adam(net.parameters(), 3e-3)
        for _ in range(steps):
            batch = torch.randint(len(data.images), (128,))
            optimizer.zero_grad()
            cross_entropy(net(data.images[batch]), data.labels[batch]).backward()
            optimizer.step()
    return net.requires_grad_(False)


def accuracy(net: nn.Module, images: Tensor) -> float:
    return float((net(images).argmax(1) == digits().held_labels).double().mean())


def shifted(net: nn.Module, levels: float) -> Tensor:
    """Held-out images, moved along the sign of the gradient of their loss."""
    data = digits()
    images = data.held_images.requires_grad_()
    (slope,) = torch.autograd.grad(cross_entropy(net(images), data.held_labels, reduction="sum"), images)
    return images.detach() + levels * LEVEL * slope.sign()


def jostled_by(levels: float, seed: int) -> Tensor:
    images = digits().held_images
    signs = 2 * torch.randint(2, images.shape, generator=torch.Generator().manual_seed(seed)) - 1
    return images + levels * LEVEL * signs


def away(images: Tensor) -> Tensor:
    """Distance of each to the nearest image of the training set."""
    return torch.cdist(images, digits().images).min(1).values


def dream(net: nn.Module, steps: int) -> Tensor:
    """An image of every class, from a grey start, by ascent of the class's log-probability within the grey levels."""
    images = 0.1 * torch.randn(10, 64, generator=torch.Generator().manual_seed(0))
    for _ in range(steps):
        images = images.detach().requires_grad_()
        (slope,) = torch.autograd.grad(net(images).log_softmax(1).diagonal().sum(), images)
        images = (images + 0.1 * slope / slope.norm(dim=1, keepdim=True).clamp(min=1e-12)).clamp(-1, 1)
    return images.detach()


def draw(figure: Figure, data: Mapping[str, Any]) -> None:
    left, right = figure.subplots(1, 2, width_ratios=(3, 4))
    for key, colour, name in (("fooled", GROW, "sign of the gradient"), ("jostled", DECAY, "random signs")):
        lines = left.plot(LEVELS, data[key], color=colour, lw=0.8, alpha=0.6)
        lines[0].set_label(name)
    left.axvline(2, color=MUTED, lw=0.6)
    left.set(xlabel="grey levels of 16", ylabel="accuracy", ylim=(0, 1.02))
    left.legend(fontsize=7)
    rows = [torch.tensor(data[key]).reshape(-1, 8, 8) for key in ("dreams", "nearest")]
    tiles = [torch.cat([pad(image, (1, 1, 1, 1), value=-1.0) for image in row], dim=1) for row in rows]
    right.imshow(torch.cat(tiles).numpy(), cmap="gray_r")
    right.set(xticks=[], yticks=[4.5, 14.5], yticklabels=["dream", "nearest sample"])
