"""Distilling a teacher along the student's own path descends nothing and need not converge; the expected entropy-regularised form is a gradient, converges, and learns fastest in most situations.

[czarnecki2019, theorems 1 and 2, section 5]

Checked: which variants are gradient fields on random tabular processes, and that three of them come to rest there; a student with
shared parameters that on-policy distillation never lets arrive; after how many sampled episodes the student first has nine tenths
of the teacher's gain over a uniform policy, in three situations, each variant at its best step.

Not reproduced: deep networks, actor-critic variants, adversarial teachers, and which technique to prefer for which task.

Paper and code: as exact fields entropy regularisation and its expected form are one; only the noise of sampled updates sets them
apart. Grids are 5 x 5 with a goal and two pits; at its best step (up to 30) a table copies what one episode shows, which favours
the plain cross-entropy. Field sign: -g of the paper.

Settings: 24 seeds a situation instead of 8, after a first full run that left the comparisons with plain entropy undecided.

Runtime: smoke 2 s, full 6 min.
"""

from collections.abc import Mapping
from statistics import median
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from separatrix.atlas import Outcome, Scale, Study, at_least, at_most
from separatrix.atlas.look import ACCENT, DECAY, GROW, INK, MUTED, UNSURE
from separatrix.dynamics import SGD, Method, Simultaneous, simulate
from separatrix.fields.policies import (
    DISTILLATIONS,
    TabularMDP,
    circling_distillation,
    distillation_field,
    grid_world,
    random_mdp,
    sample_distillation,
)

STUDY = Study(
    key="czarnecki2019",
    authors="Czarnecki, Wojciech Marian and Pascanu, Razvan and Osindero, Simon and Jayakumar, Siddhant M. and Swirszcz, Grzegorz and Jaderberg, Max",
    title="Distilling Policy Distillation",
    venue="International Conference on Artificial Intelligence and Statistics",
    year=2019,
    arxiv="1902.02186",
    question="Which policy distillation update descends something, and which one learns fastest?",
    methods=("policy distillation", "entropy regularisation"),
    symptoms=("not a gradient", "distillation does not converge"),
    picture="Left: asymmetry of the Jacobian of each variant on random processes. Right: the student's gain over the teacher's in "
    "one grid world, each variant at its best step.",
    seconds=3000.0,
)
LEARNERS = ("teacher", "on-policy", "entropy", "n-distill", "expected-entropy")
# Of a seed: the process, the uniform share of its teacher.
SITUATIONS = {
    "grid": lambda seed: (grid_world(seed=seed), 0.02),
    "grid, half-blind teacher": lambda seed: (grid_world(seed=seed), 0.5),
    "32 actions": lambda seed: (random_mdp(10, 32, seed=seed), 0.02),
}


def run(scale: Scale) -> Outcome:
    skew = {name: [asymmetry(name, s) for s in scale.seeds(2, 50)] for name in DISTILLATIONS}
    exact = [a for name, kind in DISTILLATIONS.items() if kind.gradient for a in skew[name]]
    left = {
        n: [field_left(n, s, scale.pick(20, 2000)) for s in scale.seeds(1, 5)]
        for n in ("teacher", "n-distill", "expected-entropy")
    }
    rates, most, seeds = scale.pick((1.0,), (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)), scale.pick(4, 150), scale.seeds(1, 24)
    curves = {
        (name, where): min(([learn(*make(s), name, rate, most) for s in seeds] for rate in rates), key=episodes)
        for name in LEARNERS
        for where, make in SITUATIONS.items()
    }
    soon = {key: [len(curve) - 1 + (curve[-1] < 0.9) for curve in found] for key, found in curves.items()}
    kept = {own: circling(own, scale.pick(300, 6000)) for own in (0.0, 0.1)}
    skewed, on = skew["on-policy"], "On-policy: asymmetry of the Jacobian"
    return Outcome(
        claims=(
            at_most("All but on-policy: asymmetry of the Jacobian.", exact, 1e-8, over="every", closed_form=True),
            at_least(f"{on}.", skewed, 0.05, over="every"),
            at_least("On-policy, shared parameters: distance from rest that is kept.", kept[0.0], 0.4),
            *(
                at_most(f"{n.capitalize()}: field left over the start's.", v, 1e-3, over="every")
                for n, v in left.items()
            ),
            *(
                at_most(
                    f"{where.capitalize()}: episodes to 90%, expected entropy over {other}.",
                    [a / b for a, b in zip(soon["expected-entropy", where], soon[other, where], strict=True)],
                    0.95,
                    over="median",
                )
                for where in SITUATIONS
                for other in ("teacher", "entropy")
            ),
        ),
        controls=(
            at_most(f"{on}, as of a gradient.", skewed, 1e-8, over="every"),
            at_least("Shared parameters, the start state's own loss added: distance kept.", kept[0.1], 0.4),
        ),
        figure={"skew": skew, "curves": {name: curves[name, "grid"][0] for name in LEARNERS}},
        notes=tuple(
            f"{where.capitalize()}, median episodes to 90%: "
            f"{', '.join(f'{name} {median(soon[name, where]):g}' for name in LEARNERS)} ({most + 1}: not reached)."
            for where in SITUATIONS
        ),
    )


def teacher_of(mdp: TabularMDP, uniform: float, temperature: float = 0.1) -> Tensor:
    """Nearly greedy in the optimal action values, with a share of the uniform policy."""
    greedy = (mdp.action_values(mdp.optimal()) / temperature).softmax(1)
    return (1 - uniform) * greedy + uniform / mdp.actions


def asymmetry(name: str, seed: int) -> float:
    mdp, generator = random_mdp(6, 4, seed=seed), torch.Generator().manual_seed(seed)
    theta = torch.randn(24, generator=generator, dtype=torch.float64)
    J = distillation_field(mdp, teacher_of(mdp, 0.02), name, theta).jacobian(checks=False).to_dense()
    return float((J - J.T).norm() / J.norm())


def field_left(name: str, seed: int, steps: int) -> float:
    mdp = random_mdp(6, 4, seed=seed)
    field = distillation_field(mdp, teacher_of(mdp, 0.02, temperature=1.0), name)
    last = simulate(Method(SGD(3.0), Simultaneous()), field, steps=steps, every=steps)[0]
    return float(field(last).norm() / field().norm())


def circling(own: float, steps: int) -> float:
    path = simulate(Method(SGD(0.02), Simultaneous()), circling_distillation(own=own, beta=6.0), steps=steps)[2]
    return float(path[steps // 2 :].norm(dim=1).min())


def learn(mdp: TabularMDP, uniform: float, name: str, rate: float, most: int) -> list[float]:
    """Gain over the uniform policy in units of the teacher's, before each episode, up to 90%."""
    teacher, generator = teacher_of(mdp, uniform), torch.Generator().manual_seed(0)
    low, high = (mdp.expected_return(p) for p in (torch.full_like(teacher, 1 / mdp.actions), teacher))
    theta, curve = torch.zeros(teacher.numel(), dtype=torch.float64), [0.0]
    while curve[-1] < 0.9 and len(curve) <= most:
        theta = theta + rate * sample_distillation(mdp, teacher, name, theta, episodes=1, horizon=40, seed=generator)[0]
        student = theta.reshape(teacher.shape).softmax(1)
        curve.append(float((mdp.expected_return(student) - low) / (high - low)))
    return curve


def episodes(curves: list[list[float]]) -> int:
    return sum(map(len, curves))


def draw(figure: Figure, data: Mapping[str, Any]) -> None:
    left, right = figure.subplots(1, 2)
    colours = dict(zip(DISTILLATIONS, (GROW, UNSURE, ACCENT, MUTED, DECAY, INK), strict=True))
    for place, (name, values) in enumerate(data["skew"].items()):
        left.semilogx([max(v, 1e-17) for v in values], [-place] * len(values), ".", color=colours[name], ms=4)
    left.set(yticks=range(0, -len(data["skew"]), -1), yticklabels=data["skew"], xlabel="asymmetry")
    for name, curve in data["curves"].items():
        right.plot(curve, color=colours[name], lw=1.2, label=name)
    right.axhline(0.9, color=MUTED, lw=0.6)
    right.set(xlabel="episodes", ylabel="gain / teacher's", ylim=(-0.5, 1.1))
    right.legend(fontsize=6)
