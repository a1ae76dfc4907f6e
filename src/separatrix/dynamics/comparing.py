"""Methods side by side: the same start, seeds and data, at equal gradient cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from torch import Tensor

from separatrix.dynamics.method import Method
from separatrix.dynamics.problem import Problem, scores
from separatrix.dynamics.progress import progress_bar
from separatrix.dynamics.snapshot import Snapshot
from separatrix.dynamics.training import Training, train
from separatrix.errors import ComputationError, InputError
from separatrix.fields import Field, Game

Predict = Callable[[Method, Field], Any]
LAST = 0.1  # the share of a run over which its losses are averaged


@dataclass(frozen=True)
class Spread:
    """One number over seeds: median, smallest, largest, and the values in the order of the seeds."""

    median: float
    low: float
    high: float
    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of some values; those that are NaN (a run that was stopped) stay out of it."""
        found = [v for v in values if v == v] or [float("nan")]
        return cls(median(found), min(found), max(found), tuple(values))


@dataclass(frozen=True)
class Observed:
    """What one method did.

    Attributes:
        name: as given.
        method: its description.
        steps: periods made, by seed.
        gradients: gradient-equivalents spent, by seed.
        score: the problem's own score at the end, by name.
        losses: by ``player.term``, mean over the last tenth of the run, on minibatches.
        field_norm: length of the field at the end, on all training data with a fixed draw; NaN where it is not finite.
        growth: factor per gradient-equivalent by which that length changed over about the last half of the run, when what
            fades early has faded; NaN where it is not finite, or the run had no middle.
        status: ``done`` or ``non-finite`` by seed, the latter with its message.
        prediction: what ``predict`` said beforehand.
        seconds: of the clock, all seeds together.
        averaged_score: the same score of the players' averages; empty where the problem has none.
    """

    name: str
    method: dict[str, Any]
    steps: tuple[int, ...]
    gradients: tuple[float, ...]
    score: dict[str, Spread]
    losses: dict[str, Spread]
    field_norm: Spread
    growth: Spread
    status: tuple[str, ...]
    prediction: Any
    seconds: float
    averaged_score: dict[str, Spread] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """Methods side by side.

    Attributes:
        problem: its name.
        budget: gradient-equivalents that each method had.
        seeds: of minibatches and noise.
        rows: one a method, in the order given.
        better: for each score, ``higher`` or ``lower``.
    """

    problem: str
    budget: float
    seeds: tuple[int, ...]
    rows: tuple[Observed, ...]
    better: dict[str, str]

    def __getitem__(self, name: str) -> Observed:
        return next(row for row in self.rows if row.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def compare(
    problem: Problem,
    methods: Mapping[str, Method],
    *,
    steps: int | None = None,
    gradients: float | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    predict: Predict | None = None,
    progress: bool | None = None,
) -> Comparison:
    """Train a problem with each method from where it stands, and put its modules back.

    Args:
        problem: what is trained.
        methods: by the name they are to have.
        steps: the budget in steps of the first method; or
        gradients: in gradient-equivalents.
        seeds: of minibatches and noise, the same for all methods; the start is one and the same.
        predict: ``predict(method, field)``, asked at the start, on the training data; a
            :class:`~separatrix.errors.ComputationError` becomes a sentence.
        progress: a bar on stderr; only on a terminal where ``None``.

    Raises:
        InputError: nothing to compare, no budget, or one too small for a step.

    A run that leaves the finite numbers is an observation and not an error. The problem's modules, averaged copies and
    other state are put back whatever happens. Cost: the budget times methods times seeds.
    """
    if isinstance(seeds, int):
        raise InputError(f"seeds are numbers to start from, such as range({seeds}), got {seeds}.")
    if not methods or not seeds:
        raise InputError("a comparison needs at least one method and one seed.")
    field = problem.field(seed=0)
    costs = {name: method.gradients(field) for name, method in methods.items()}
    budget = _budget(next(iter(costs.values())), steps, gradients)
    if too_dear := [name for name, cost in costs.items() if cost > budget * (1 + 1e-9)]:
        raise InputError(
            f"a step of {too_dear[0]!r} costs {costs[too_dear[0]]:.3g} gradients, the budget is {budget:.3g}; give more."
        )
    start = Snapshot.of(trained_state(problem))
    rows: list[Observed] = []
    total = len(methods) * len(seeds)
    try:
        with progress_bar(f"comparing on {problem.name}", total, progress=progress) as show:
            for name, method in methods.items():
                start.restore()  # what is predicted is predicted at the start, and not where the last method went
                prediction = _predicted(predict, method, field)
                runs: list[_Run] = []
                for seed in seeds:
                    show(len(rows) * len(seeds) + len(runs), f"{name}, seed {seed}")
                    start.restore()
                    runs.append(_observe(problem, method, int(budget / costs[name] + 1e-9), seed, field))
                rows.append(_row(name, method, runs, prediction))
            show(total, "")
    finally:
        start.restore()
    return Comparison(problem.name, budget, tuple(seeds), tuple(rows), dict(problem.better or {}))


@dataclass(frozen=True)
class _Run:
    training: Training
    score: dict[str, float]
    averaged: dict[str, float]
    norm: float
    growth: float


def _budget(first: float, steps: int | None, gradients: float | None) -> float:
    if (steps is None) == (gradients is None):
        raise InputError("give the budget either as steps= (of the first method) or as gradients=.")
    budget = first * steps if steps is not None else float(gradients or 0)
    if not budget > 0:
        raise InputError(f"the budget must be positive, got {steps if steps is not None else gradients}.")
    return budget


def trained_state(problem: Problem) -> list[Any]:
    """What training moves."""
    # The arena holds the players and the modules that the losses reach besides.
    players = [problem.subject.arena] if isinstance(problem.subject, Game) else []
    return [*players, *(problem.averages or {}).values(), *(problem.state or {}).values()]


def _predicted(predict: Predict | None, method: Method, field: Field) -> Any:
    if predict is None:
        return None
    try:
        return predict(method, field)
    except ComputationError as error:
        return str(error) if str(error).startswith("no prediction") else f"no prediction: {error}"


def _observe(problem: Problem, method: Method, steps: int, seed: int, field: Field) -> _Run:
    training = train(problem, steps, method=method, seed=seed, points=4, throw=False, progress=False)
    norm = _norm(field, training.x)
    growth = float("nan")
    # The kept point nearest the middle: the thinning keeps one between a quarter and three quarters.
    middle, at = min(enumerate(training.path_steps), key=lambda pair: abs(2 * pair[1] - training.steps), default=(0, 0))
    if 0 < at < training.steps:
        before = _norm(field, training.path[middle].to(training.x))
        spent = training.gradients * (training.steps - at) / training.steps
        growth = (norm / before) ** (1 / spent) if before > 0 else float("nan")
    found = scores(problem)
    return _Run(training, found.get("raw", {}), found.get("averaged", {}), norm, growth)


def _norm(field: Field, x: Tensor) -> float:
    try:
        return float(field(x).norm())
    except (ComputationError, InputError):  # losses that are not finite here are part of the observation
        return float("nan")


def _row(name: str, method: Method, runs: Sequence[_Run], prediction: Any) -> Observed:
    finals = [_last_losses(run.training.losses) for run in runs]
    return Observed(
        name,
        method.describe(),
        tuple(run.training.steps for run in runs),
        tuple(run.training.gradients for run in runs),
        {key: Spread.of([run.score[key] for run in runs]) for key in runs[0].score},
        {
            key: Spread.of([f.get(key, float("nan")) for f in finals])
            for key in dict.fromkeys(k for f in finals for k in f)
        },
        Spread.of([run.norm for run in runs]),
        Spread.of([run.growth for run in runs]),
        tuple(run.training.message or run.training.status for run in runs),
        prediction,
        sum(run.training.seconds for run in runs),
        {key: Spread.of([run.averaged[key] for run in runs]) for key in runs[0].averaged},
    )


def _last_losses(losses: Mapping[str, Mapping[str, Tensor]]) -> dict[str, float]:
    return {
        f"{player}.{term}": float(series[-max(1, round(LAST * len(series))) :].nanmean())
        for player, terms in losses.items()
        for term, series in terms.items()
        if len(series)
    }
