"""In the ratios to the reference DPO pushes the rejected answer down harder than it lifts the chosen one, once it prefers the chosen one.

[feng2024, the gradient field of the loss; rafailov2023, eq. 7]

Checked: the ratio of the two partial derivatives and the arcs that the field's flow follows, in closed form; that in log-ratios,
another chart of the same loss, both pulls are equal; and what becomes of the claim where a model descends in its own
parameters: a table of logits, a linear softmax with similar answers, a small token model.

Not reproduced: language models of practical size, and the sensitivity to supervised fine-tuning.

Paper and code: the paper speaks of probabilities; its field is that of the ratios to the reference, as coordinates that
could be moved freely. No model moves them freely, so the claim is put to three models besides. The original plan counted the
fall of the chosen answer only; that it needs shared features is in the control.

Settings: step sizes and lengths were chosen while looking at the outcome on 40 linear and 3 token-model seeds, part of
those reported.

Runtime: smoke 1 s, full 1 min.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from separatrix.atlas import Outcome, Scale, Study, at_least, at_most
from separatrix.atlas.look import DECAY, GROW, INK, MUTED, UNSURE
from separatrix.fields.preferences import dpo, preference_field, pull

STUDY = Study(
    key="feng2024",
    authors="Feng, Duanyu and Qin, Bowen and Huang, Chen and Zhang, Zheng and Lei, Wenqiang",
    title="Towards Analyzing and Understanding the Limitations of DPO: A Theoretical Perspective",
    venue="arXiv",
    year=2024,
    arxiv="2404.04626",
    question="Does DPO lower the rejected answer faster than it raises the chosen one?",
    methods=("DPO", "phase portraits"),
    symptoms=("rejected log-probability falls faster", "chosen log-probability falls"),
    picture="Left: the field in the ratio chart, and its flow from the reference (1, 1) along a circle. Right: change of both "
    "log-probabilities in three models, one point for each pair; on the dashed line both move equally.",
    size=(7.4, 3.3),
)
BETA = 0.1


def run(scale: Scale) -> Outcome:
    loss, generator = dpo(BETA), torch.Generator().manual_seed(0)
    u, v = 4 * torch.rand(2, scale.pick(500, 10_000), generator=generator, dtype=torch.float64) - 2
    at = pull(loss, u, v)
    path = arc(scale.pick(400, 4000))
    models = {
        "table": [table_pair(seed) for seed in scale.seeds(4, 100)],
        "similar": [linear_pair(seed, 0.9) for seed in scale.seeds(4, 100)],
        "tokens": [pair for seed in scale.seeds(1, 6) for pair in token_pairs(seed, scale.pick(10, 40))],
    }
    apart = [linear_pair(seed, 0.0) for seed in scale.seeds(4, 100)]
    faster = {name: [-down > up for up, down in pairs] for name, pairs in models.items()}
    falls = {name: [up < 0 for up, _ in pairs] for name, pairs in models.items()}
    off_chart, off_logs = at.ratio_asymmetry / (u - v).exp() - 1, at.log_asymmetry - 1
    mostly = partial(at_least, bound=0.5, over="share")
    exact = partial(at_most, closed_form=True)
    return Outcome(
        claims=(
            exact(
                "Ratio chart: pull on rejected over pull on chosen, off x1 / x2.", float(off_chart.abs().max()), 1e-9
            ),
            exact(
                "Log chart: both pulls are equal; their ratio's largest deviation.", float(off_logs.abs().max()), 1e-12
            ),
            exact("The flow from (1, 1) leaves the circle x1^2 + x2^2 = 2 by.", off_circle(path), 1e-8),
            mostly(
                "Table of logits: the rejected log-probability falls by more than the chosen rises.", faster["table"]
            ),
            mostly("Linear softmax, similar answers: the same.", faster["similar"]),
            mostly("Small token model: the same.", faster["tokens"]),
            mostly("Similar answers: the chosen log-probability falls, too.", falls["similar"]),
            mostly("Token model: the chosen log-probability falls, too.", falls["tokens"]),
        ),
        controls=(
            mostly("Unrelated answers: the chosen log-probability falls, too.", [up < 0 for up, _ in apart]),
            at_most(
                "With a rotation added to the field, its flow leaves the circle by.",
                off_circle(arc(400, turn=0.05)),
                1e-8,
            ),
        ),
        figure={
            "arc": path[:: len(path) // 60].tolist(),
            **portrait(),
            "models": {k: [list(p) for p in v[:150]] for k, v in models.items()},
        },
        notes=(
            "A table of logits moves the log-probabilities by c (1 - p_chosen + p_rejected) and -c (1 - p_rejected + p_chosen): the "
            "less likely answer moves more, and training makes that the rejected one. So the claim holds there, for a reason "
            "that is not the chart's.",
        ),
    )


def arc(steps: int, turn: float = 0.0) -> Tensor:
    """The flow from (1, 1) by Runge-Kutta steps, until shortly before the rejected ratio reaches 0."""
    field = preference_field(dpo(BETA), "ratio").function

    def moved(x: Tensor) -> Tensor:
        return field(x) + turn * torch.stack([-x[1] + 1, x[0]])

    x, h = torch.ones(2, dtype=torch.float64), 9.8 / steps
    path = [x]
    for _ in range(steps):
        a = moved(x)
        b = moved(x + h / 2 * a)
        c = moved(x + h / 2 * b)
        x = x + h / 6 * (a + 2 * b + 2 * c + moved(x + h * c))
        path.append(x)
    return torch.stack(path)


def off_circle(path: Tensor) -> float:
    return float((path.square().sum(1) - 2).abs().max())


def descend(parameters: Sequence[Tensor], log_probabilities: Any, steps: int, lr: float) -> list[tuple[float, float]]:
    """DPO from the reference by plain gradient descent; the change of chosen and rejected log-probability of each pair."""
    reference = log_probabilities().detach()
    optimizer = torch.optim.SGD(parameters, lr)
    for _ in range(steps):
        optimizer.zero_grad()
        ratios = log_probabilities() - reference
        dpo(BETA)(ratios[:, 0], ratios[:, 1]).mean().backward()
        optimizer.step()
    change = (log_probabilities() - reference).detach()
    return [(float(a), float(b)) for a, b in change]


def table_pair(seed: int, answers: int = 10) -> tuple[float, float]:
    logits = torch.randn(
        1, answers, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    ).requires_grad_()
    return descend([logits], lambda: logits.log_softmax(1)[:, :2], 100, 20.0)[0]


def linear_pair(seed: int, similarity: float, answers: int = 50, width: int = 20) -> tuple[float, float]:
    """Answers as unit vectors; chosen and rejected have a cosine near ``similarity``."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(answers, width, generator=generator, dtype=torch.float64)
    features[1] = similarity * features[0] + math.sqrt(1 - similarity**2) * features[1]
    features = features / features.norm(dim=1, keepdim=True)
    weights = torch.randn(width, generator=generator, dtype=torch.float64).requires_grad_()
    return descend([weights], lambda: (features @ weights).log_softmax(0)[None, :2], 100, 20.0)[0]


def token_pairs(seed: int, steps: int, words: int = 12, length: int = 8, pairs: int = 16) -> list[tuple[float, float]]:
    """A recurrent model of sequences; a rejected answer differs from the chosen one in a quarter of its tokens."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        embed, cell, head = nn.Embedding(words + 1, 16), nn.GRU(16, 32, batch_first=True), nn.Linear(32, words)
        chosen = torch.randint(words, (pairs, length))
        other = torch.where(torch.rand(pairs, length) < 0.25, torch.randint(words, (pairs, length)), chosen)
        other[:, 0] = (chosen[:, 0] + 1) % words
        prompts = torch.randint(words, (pairs, 1))

    def log_probabilities() -> Tensor:
        both = []
        for answer in (chosen, other):
            inputs = torch.cat([prompts, answer[:, :-1]], dim=1)
            logits = head(cell(embed(inputs))[0]).log_softmax(2)
            both.append(logits.gather(2, answer[:, :, None]).sum(dim=(1, 2)))
        return torch.stack(both, dim=1)

    parameters = [p for m in (embed, cell, head) for p in m.parameters()]
    return descend(parameters, log_probabilities, steps, 2.0)


def portrait() -> dict[str, Any]:
    axis = torch.linspace(0.1, 1.9, 10, dtype=torch.float64)
    points = torch.cartesian_prod(axis, axis)
    v = preference_field(dpo(BETA), "ratio")(points)
    return {"points": points.tolist(), "directions": (v / v.norm(dim=1, keepdim=True)).tolist()}


def draw(figure: Figure, data: Mapping[str, Any]) -> None:
    left, right = figure.subplots(1, 2)
    (x, y), (u, v) = zip(*data["points"], strict=True), zip(*data["directions"], strict=True)
    left.quiver(x, y, u, v, color=MUTED, width=0.004)
    left.plot(*zip(*data["arc"], strict=True), color=DECAY, lw=2)
    left.set(xlabel="chosen ratio", ylabel="rejected ratio", xlim=(0, 2), ylim=(0, 2), aspect="equal")
    for (name, pairs), colour, marker in zip(data["models"].items(), (DECAY, GROW, UNSURE), "o^s", strict=True):
        right.plot([p[0] for p in pairs], [p[1] for p in pairs], marker, color=colour, ms=3, alpha=0.6, label=name)
    low = min(right.get_ylim()[0], -0.1)
    right.plot([0, -low], [0, low], "--", color=INK, lw=0.8)
    right.axvline(0, color=MUTED, lw=0.6)
    right.set(xlabel="change of chosen log-probability", ylabel="of rejected")
    right.legend()
