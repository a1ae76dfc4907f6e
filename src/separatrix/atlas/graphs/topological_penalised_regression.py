"""A fit in the eigenvectors of a graph Laplacian loses error and false bumps when it is charged for the persistence of its level sets, if the truth has few bumps.

[hacquard2022, the penalties of eigenvectors and of the estimate]

Checked: on a circle and a Swiss roll with noise as large as the signal, the error at unlabelled points of a lasso weighted by the
persistence of each eigenvector and of a fit charged for its own persistence, against ridge, ridge charged for smoothness and the
plain lasso on the same eigenvectors; and how often the fit has as many persistent maxima as the truth.

Not reproduced: the oracle inequality, the smoothness bound, real data.

Paper and code: the function on the roll is that of the authors' code, with three to seven persistent maxima, and the noise raised
to the signal; theirs takes 498 eigenvectors and alpha shapes, here there are 60 and triangles in the roll's own coordinates.
Persistence is that of sublevel sets; classes that never die count together as the range. Every weight is chosen by
cross-validation on the labelled half. The own penalty starts from the ridge fit, with 60 steps of Adam.

Settings: eigenvectors, steps and weights were chosen after a look at 3 seeds; the control's truth was first a single cosine, which is one
pair of eigenvectors and easy for any lasso.

Runtime: smoke 3 s, full 1 min.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.spatial import Delaunay
from sklearn.linear_model import LassoCV, RidgeCV
from sklearn.neighbors import kneighbors_graph
from torch import Tensor

from separatrix.atlas import Claim, Outcome, Scale, Study, at_least, at_most
from separatrix.atlas.look import ACCENT, DECAY, GROW, INK, MUTED, UNSURE
from separatrix.topology import CellComplex, SimplicialComplex, lower_star_gradient, persistence

STUDY = Study(
    key="hacquard2022",
    authors="Hacquard, Olympio and Balasubramanian, Krishnakumar and Blanchard, Gilles and Levrard, Clément and Polonik, Wolfgang",
    title="Topologically penalized regression on manifolds",
    venue="Journal of Machine Learning Research",
    year=2022,
    arxiv="2110.13749",
    question="Does a fit on a manifold get better when it pays for the bumps of its level sets?",
    methods=("persistence penalty", "graph Laplacian", "lasso", "ridge"),
    symptoms=("noise hides structure",),
    picture="Left: error of each fit over that of ridge, one point for each seed. Right: a circle's truth, the labels and two fits.",
    needs=("topology", "demo"),
)
POINTS, EIGENVECTORS = 300, 60
PLAIN = ("ridge", "smooth", "lasso")
COLOURS = {"smooth": UNSURE, "lasso": ACCENT, "weighted": DECAY, "own": INK}
Array = NDArray[Any]


def run(scale: Scale) -> Outcome:
    seeds, steps = scale.seeds(1, 15), scale.pick(3, 60)
    claims: list[Claim] = []
    figure: dict[str, Any] = {"ratios": {}}
    for place in scale.pick(("circle",), ("circle", "roll")):
        worlds = [World(place, seed) for seed in seeds]
        fits = [world.fits() | {"own": world.own(steps)} for world in worlds]
        errors = [{name: w.error(fit) for name, fit in found.items()} for w, found in zip(worlds, fits, strict=True)]
        over = {name: [e[name] / e["ridge"] for e in errors] for name in errors[0]}
        rival = [e["weighted"] / min(e[name] for name in PLAIN) for e in errors]
        right = [w.maxima(found["own"]) == w.maxima(w.truth) for w, found in zip(worlds, fits, strict=True)]
        here, median = place.capitalize() + ", ", partial(at_most, over="median")
        claims += [
            median(here + "weights by persistence: error over that of ridge.", over["weighted"], 0.9),
            median(here + "weights by persistence: error over the least of the fits without.", rival, 1.0),
            median(here + "own persistence: error over that of ridge.", over["own"], 0.9),
            at_least(here + "own persistence: as many persistent maxima as the truth.", right, 0.8, over="share"),
        ]
        figure["ratios"][place] = over
        shown = {"truth": worlds[0].truth, "labels": worlds[0].labels, **fits[0]}
        figure.setdefault("circle", {name: values.tolist() for name, values in shown.items()})
    rough = [(world, world.fits()) for world in (World("rough", seed) for seed in seeds)]
    lost = [w.error(found["weighted"]) / w.error(found["ridge"]) for w, found in rough]
    return Outcome(
        claims=(
            at_most("Circle: persistence of cos(k t), off 2 k.", off_cosines(), 1e-9, closed_form=True),
            *claims,
        ),
        controls=(
            at_most("Truth of many bumps, weights by persistence: error over ridge's.", lost, 0.9, over="median"),
        ),
        figure=figure,
    )


def charge(cells: CellComplex, f: Tensor) -> Tensor:
    """Lengths of all classes that die, and the range for those that do not."""
    return persistence(lower_star_gradient(cells, f)).total + f.max() - f.min()


class World:
    """Points of a manifold with a truth of mean zero, labels for half of them, and eigenvectors of mean square one."""

    def __init__(self, place: str, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        if place == "roll":
            t, h = 1.5 * np.pi * (1 + 2 * self.random.random(POINTS)), 21 * self.random.random(POINTS)
            x, simplices = np.stack([t * np.cos(t), h, t * np.sin(t)], 1), Delaunay(np.stack([t, h], 1)).simplices
            f = 4 * np.exp(-((h - 7) ** 2) / 20 - (t - 6) ** 2 / 5) + 2 * np.cos(t) ** 2 * np.sin(h) ** 2
        else:
            i = np.arange(POINTS)
            t = 2 * np.pi / POINTS * (i + self.random.random(POINTS))
            x, simplices = np.stack([np.cos(t), np.sin(t)], 1), np.stack([i, (i + 1) % POINTS], 1)
            f = np.cos(t) + 0.6 * np.cos(2 * t + 0.5)
            if place == "rough":
                f = np.cos(np.outer(t, np.arange(10, 30))) @ self.random.normal(size=20)
        self.cells = SimplicialComplex.from_simplices(torch.as_tensor(simplices, dtype=torch.int64)).cells
        self.truth = f - f.mean()
        self.labels = self.truth + f.std() * self.random.normal(size=POINTS)
        self.known = np.sort(self.random.permutation(POINTS)[: POINTS // 2])
        near = kneighbors_graph(x, 10).toarray()
        near = np.maximum(near, near.T)
        root = np.sqrt(near.sum(0))
        laplacian = np.eye(POINTS) - near / np.outer(root, root)
        self.eigenvalues, vectors = eigh(laplacian, subset_by_index=[1, EIGENVECTORS])
        self.basis = vectors / root[:, None] / np.sqrt(((vectors / root[:, None]) ** 2).mean(0))

    def error(self, fit: Array) -> float:
        """Mean square at the points without labels."""
        return float(np.delete((fit - self.truth) ** 2, self.known).mean())

    def maxima(self, f: Array) -> int:
        """Those that outlive a quarter of the range."""
        found = persistence(lower_star_gradient(self.cells, torch.as_tensor(-f)))
        return int(((found.dims == 0) & (found.lengths > np.ptp(f) / 4)).sum())

    def fits(self) -> dict[str, Array]:
        """Ridge, ridge charged for smoothness, lasso, lasso with weights by persistence."""
        weights = np.array([float(charge(self.cells, column)) for column in torch.as_tensor(self.basis.T.copy())])
        ridge, lasso = RidgeCV(np.logspace(-2, 4, 25)), LassoCV(cv=5, eps=1e-2, max_iter=100_000)
        models = {"ridge": (ridge, 1.0), "smooth": (ridge, self.eigenvalues**0.5), "lasso": (lasso, 1.0)}
        return {
            name: model.fit((self.basis / w)[self.known], self.labels[self.known]).predict(self.basis / w)
            for name, (model, w) in {**models, "weighted": (lasso, weights)}.items()
        }

    def own(self, steps: int) -> Array:
        """A fit that pays for its own persistence, as much as two of three folds advise."""
        folds = np.array_split(self.random.permutation(self.known), 3)[:2]

        def loss(price: float) -> float:
            fits = [self.paying(np.setdiff1d(self.known, fold), price, steps) for fold in folds]
            return sum(float(((fit - self.labels)[fold] ** 2).sum()) for fit, fold in zip(fits, folds, strict=True))

        return self.paying(self.known, min((0.03, 0.1, 0.3), key=loss), steps)

    def paying(self, known: Array, price: float, steps: int) -> Array:
        ridge = RidgeCV(np.logspace(-2, 4, 25)).fit(self.basis[known], self.labels[known])
        design, labels = torch.as_tensor(np.column_stack([self.basis, np.ones(POINTS)])), torch.as_tensor(self.labels)
        weights = torch.as_tensor(np.append(ridge.coef_, ridge.intercept_)).requires_grad_()
        optimizer = torch.optim.Adam([weights], 0.02)
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / steps)
            f = design @ weights
            optimizer.zero_grad()
            ((f - labels)[known].square().mean() + price * charge(self.cells, f)).backward()
            optimizer.step()
        return (design @ weights).detach().numpy()


def off_cosines() -> float:
    cells = SimplicialComplex.from_simplices([(i, (i + 1) % 240) for i in range(240)]).cells
    t = 2 * torch.pi * torch.arange(240, dtype=torch.float64) / 240
    return max(abs(float(charge(cells, torch.cos(k * t))) - 2 * k) for k in (1, 2, 3, 5))


def draw(figure: Figure, data: Mapping[str, Any]) -> None:
    left, right = figure.subplots(1, 2)
    for row, (place, ratios) in enumerate(data["ratios"].items()):
        for column, (name, colour) in enumerate(COLOURS.items()):
            left.plot(ratios[name], [row + 0.2 * column] * len(ratios[name]), "o", color=colour, ms=4, alpha=0.6)
            left.text(2.2, row + 0.2 * column, f"{place}, {name}", fontsize=7, va="center")
    left.axvline(1, color=MUTED, lw=0.8)
    left.set(xscale="log", xlim=(0.05, 2), xlabel="error over that of ridge", yticks=[])
    right.plot(data["circle"]["labels"], ".", color=MUTED, ms=2)
    for name, colour in (("truth", INK), ("ridge", GROW), ("own", DECAY)):
        right.plot(data["circle"][name], color=colour, lw=1.2, label=name)
    right.set(xlabel="point of the circle")
    right.legend(fontsize=7)
