"""Race: which remedy helps? Each is tried briefly from where the run stands, at equal cost, on the same draws.

Branches are a remedy and a seed; all remedies see the same seeds, so that their scores are compared in pairs. After a quarter
and a half of the steps, a remedy whose paired differences to the leader are worse beyond doubt is stopped (one-sided t-test at
5% over all its comparisons). The run as it is always runs to the end. Finished pieces are files: a race that was killed goes on
where it stood when it is called again with the same folder.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from math import inf, isfinite, nan
from pathlib import Path

import numpy as np
from scipy import stats

from separatrix.dynamics import Run
from separatrix.dynamics.progress import progress_bar
from separatrix.errors import ComputationError, InputError
from separatrix.probes.numbers import number
from separatrix.probes.race_branch import Branch, Course, run_branches
from separatrix.probes.race_files import RaceFolder, fingerprint
from separatrix.probes.run_response import best_response_of_run

UNCHANGED = "unchanged"
RUNGS = (0.25, 0.5, 1.0)
LEVEL = 0.05


@dataclass(frozen=True)
class Remedy:
    """Something to try.

    Attributes:
        apply: changes the live objects of the run, a learning rate say, and returns nothing; or returns another Run whose state
            lists all it needs. Called before the first step and again when a branch goes on, always from the same state.
        cost: of one of its steps, in steps of the run; it makes that many fewer.
    """

    apply: Callable[[], Run | None]
    cost: float = 1.0


@dataclass(frozen=True)
class Lane:
    """How one remedy did.

    Attributes:
        name: its name; ``unchanged`` is the run as it is.
        score: mean over seeds at the last rung that it reached.
        stderr: standard error of that.
        gain: how much better than the run as it is at the same rung, mean of the paired differences; positive is better.
        low, high: 95% interval of the gain, by Student's t over the seeds; NaN for one seed.
        steps: made by each branch.
        seconds: of computing, all branches together.
        scores: by seed.
        status: ``done``, ``stopped`` (a loser), or what went wrong.
    """

    name: str
    score: float
    stderr: float
    gain: float
    low: float
    high: float
    steps: int
    seconds: float
    scores: tuple[float, ...]
    status: str


@dataclass(frozen=True, repr=False)
class Race:
    """What :func:`race` found; ``str()`` is a table.

    Attributes:
        lanes: best first: those that ran to the end by score, then the stopped and the failed.
        better: ``higher`` or ``lower`` scores.
        steps: of the run as it is.
        seeds: how many.
    """

    lanes: tuple[Lane, ...]
    better: str
    steps: int
    seeds: int

    def __getitem__(self, name: str) -> Lane:
        for lane in self.lanes:
            if lane.name == name:
                return lane
        raise InputError(f"no remedy {name!r} in this race; there are {[lane.name for lane in self.lanes]}.")

    @property
    def winner(self) -> Lane | None:
        """The best remedy, where its interval lies above the run as it is; ``None`` where none does."""
        sure = [lane for lane in self.lanes if lane.status == "done" and lane.name != UNCHANGED and lane.low > 0]
        return max(sure, key=lambda lane: lane.gain) if sure else None

    @property
    def sentence(self) -> str:
        """The same in words."""
        won = self.winner
        if won is None:
            return f"Within {self.steps} steps and {self.seeds} seeds no remedy is better than the run as it is beyond doubt."
        return (
            f"{won.name!r} is better than the run as it is by {number(won.gain)} ({number(won.low)} to {number(won.high)}) after "
            f"{won.steps} steps."
        )

    def __str__(self) -> str:
        rows = [("remedy", "score", "better by", "95% interval", "steps", "status")]
        for lane in self.lanes:
            interval = "" if lane.low != lane.low else f"{number(lane.low)} to {number(lane.high)}"
            rows.append((lane.name, number(lane.score), number(lane.gain), interval, str(lane.steps), lane.status))
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        lines = ["  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[5]]).rstrip() for row in rows]
        return "\n".join([self.sentence, "", *lines])

    def __repr__(self) -> str:
        return str(self)


def race(
    run: Run,
    remedies: Mapping[str, Remedy | Callable[[], Run | None]],
    steps: int,
    *,
    seeds: int = 4,
    folder: str | Path | None = None,
    workers: int | None = 1,
    own_steps: int = 30,
    progress: bool | None = None,
) -> Race:
    """Try remedies side by side and rank them; the run is put back where it stood.

    Args:
        run: with a ``score`` in its roles; without one the k-step best-response gap is the score (lower is better), which needs
            ``losses``, ``data`` and optimizers.
        remedies: by name; see :class:`Remedy`. A function alone costs as much as the run.
        steps: of the run as it is.
        seeds: paired repeats. The first goes on with the streams as they are; for the others the global streams and the
            generators in the state are seeded anew.
        folder: for finished pieces; a temporary one where ``None``.
        workers: processes at a time, forked, each with one thread; 0 runs in this process. A remedy can leave no trace behind
            in a forked one. Where forking is not possible (a GPU in use, no fork on the system) it is 0.
        own_steps: of each player, for the best-response gap.
        progress: on or off; only on a terminal where ``None``.

    Raises:
        InputError: no remedy, a name twice, no score, or a folder of another race; says what differs.
        ComputationError: the run as it is failed; with the message of its branch.

    Cost: ``seeds (1 + remedies) steps`` steps, less what is stopped early.
    """
    course = _course(run, remedies, steps, seeds, own_steps)
    with ExitStack() as stack:
        place = Path(folder) if folder is not None else Path(stack.enter_context(tempfile.TemporaryDirectory()))
        start = stack.enter_context(run.kept())
        described = {
            "state": fingerprint(start),
            "steps": steps,
            "seeds": seeds,
            "remedies": {name: remedy.cost for name, remedy in course.remedies.items()},
            "better": course.better,
        }
        files = RaceFolder(place, described)
        start = replace(start, streams=files.streams(start.streams))
        status = dict.fromkeys(course.remedies, "done")
        total = len(course.remedies) * seeds * len(RUNGS)
        show = stack.enter_context(progress_bar(f"racing {len(remedies)} remedies", total, progress=progress))
        for rung in range(len(RUNGS)):
            names = [name for name in course.remedies if status[name] == "done"]
            branches = [Branch(name, seed, rung) for name in names for seed in range(seeds)]
            run_branches(run, start, course, files, branches, workers, lambda note: show(files.finished(), note))
            _judge(course, files, rung, seeds, status)
        return _ranked(course, files, steps, seeds, status)


def _course(
    run: Run, remedies: Mapping[str, Remedy | Callable[[], Run | None]], steps: int, seeds: int, own_steps: int
) -> Course:
    if not remedies or steps < len(RUNGS) + 1 or seeds < 1:
        raise InputError(
            f"a race needs a remedy, at least {len(RUNGS) + 1} steps and a seed, got {len(remedies)} remedies, steps={steps}, "
            f"seeds={seeds}."
        )
    if UNCHANGED in remedies:
        raise InputError(f"the name {UNCHANGED!r} belongs to the run as it is, which always takes part; take another.")
    lined = {UNCHANGED: Remedy(lambda: None)}
    for name, given in remedies.items():
        remedy = given if isinstance(given, Remedy) else Remedy(given)
        if not callable(remedy.apply) or not remedy.cost > 0:
            raise InputError(f"remedy {name!r} must be a function without arguments, with a positive cost.")
        lined[name] = remedy
    if run.roles.score is not None:
        return Course(lined, [round(share * steps) for share in RUNGS], run.roles.score, run.roles.better)
    try:
        run.roles.needs("a race", "losses", "data", "optimizers")
    except InputError as error:
        raise InputError(
            f"a race needs a score, Roles(score=...), or what a best-response gap needs: {error}"
        ) from error

    def gap() -> float:
        found = best_response_of_run(run, steps=own_steps, players=None, draws=2, seed=0)
        return found.gap_train if found.gap_held_out is None else found.gap_held_out

    return Course(lined, [round(share * steps) for share in RUNGS], gap, "lower")


def _judge(course: Course, files: RaceFolder, rung: int, seeds: int, status: dict[str, str]) -> None:
    """Mark what failed, and what is worse than the leader beyond doubt."""
    scores: dict[str, np.ndarray] = {}
    for name in [n for n, s in status.items() if s == "done"]:
        pieces = [files.read(Branch(name, seed, rung)) for seed in range(seeds)]
        failed = next((str(p["error"]) for p in pieces if p.get("error")), "")
        values = np.array([p["score"] if p["score"] is not None else nan for p in pieces], dtype=float)
        if failed or not np.isfinite(values).all():
            status[name] = failed or "the score became non-finite"
            if name == UNCHANGED:
                raise ComputationError(f"the run as it is could not be raced: {status[name]}")
            continue
        scores[name] = values if course.better == "higher" else -values
    if rung == len(RUNGS) - 1 or seeds < 2:
        return
    leader = max(scores, key=lambda n: float(scores[n].mean()))
    comparisons = (len(RUNGS) - 1) * max(len(course.remedies) - 1, 1)
    for name, values in scores.items():
        if name not in (leader, UNCHANGED) and _below(scores[leader] - values) < LEVEL / comparisons:
            status[name] = "stopped"
            files.forget([Branch(name, seed, rung) for seed in range(seeds)])


def _below(differences: np.ndarray) -> float:
    """The probability of paired differences as large as these where there is none."""
    spread = float(differences.std(ddof=1))
    if spread == 0:
        return 0.0 if differences.mean() > 0 else 1.0
    t = float(differences.mean()) / (spread / len(differences) ** 0.5)
    return float(stats.t.sf(t, len(differences) - 1))


def _ranked(course: Course, files: RaceFolder, steps: int, seeds: int, status: dict[str, str]) -> Race:
    sign = 1.0 if course.better == "higher" else -1.0
    lanes = []
    for name, remedy in course.remedies.items():
        reached = [r for r in range(len(RUNGS)) if all(files.has(Branch(name, s, r)) for s in range(seeds))]
        pieces = [[files.read(Branch(name, s, r)) for s in range(seeds)] for r in reached]
        scored = [r for r, row in zip(reached, pieces, strict=True) if all(_known(p["score"]) for p in row)]
        seconds = sum(float(p["seconds"]) for row in pieces for p in row)
        if not scored:
            lanes.append(Lane(name, nan, nan, nan, nan, nan, 0, seconds, (), status[name]))
            continue
        last = scored[-1]
        scores = np.array([files.read(Branch(name, s, last))["score"] for s in range(seeds)], dtype=float)
        base = np.array([files.read(Branch(UNCHANGED, s, last))["score"] for s in range(seeds)], dtype=float)
        gain, low, high = _interval(sign * (scores - base))
        stderr = float(scores.std(ddof=1) / seeds**0.5) if seeds > 1 else nan
        made = max(1, round(course.rungs[last] / remedy.cost))
        score = float(scores.mean())
        lanes.append(Lane(name, score, stderr, gain, low, high, made, seconds, tuple(map(float, scores)), status[name]))

    def order(lane: Lane) -> tuple[int, float]:
        place = 0 if lane.status == "done" else 1 if lane.status == "stopped" else 2
        return place, -sign * lane.score if isfinite(lane.score) else inf

    return Race(tuple(sorted(lanes, key=order)), course.better, steps, seeds)


def _interval(differences: np.ndarray) -> tuple[float, float, float]:
    mean, count = float(differences.mean()), len(differences)
    if count < 2:
        return mean, nan, nan
    half = float(stats.t.ppf(0.975, count - 1) * differences.std(ddof=1) / count**0.5)
    return mean, mean - half, mean + half


def _known(score: object) -> bool:
    return isinstance(score, (int, float)) and isfinite(score)


__all__: Sequence[str] = ["Lane", "Race", "Remedy", "race"]
