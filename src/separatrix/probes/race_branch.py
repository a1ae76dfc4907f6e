"""Branches of a race: a remedy and a seed, run from one rung to the next, in processes of their own."""

from __future__ import annotations

import math
import multiprocessing
import multiprocessing.connection
import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from separatrix.dynamics import Run, Snapshot
from separatrix.dynamics.streams import reseed
from separatrix.errors import ComputationError
from separatrix.probes.race_files import RaceFolder

if TYPE_CHECKING:
    from multiprocessing.context import ForkProcess

    from separatrix.probes.race import Remedy


@dataclass(frozen=True)
class Course:
    """What all branches have in common: remedies by name, the steps at each rung, the score, and which is better."""

    remedies: Mapping[str, Remedy]
    rungs: Sequence[int]
    score: Callable[[], float]
    better: str


@dataclass(frozen=True)
class Branch:
    """A remedy, a seed and the rung that it runs to."""

    name: str
    seed: int
    rung: int


def run_branches(
    run: Run,
    start: Snapshot,
    course: Course,
    files: RaceFolder,
    branches: Sequence[Branch],
    workers: int | None,
    show: Callable[[str], None],
) -> None:
    """Run all branches that are not finished.

    Raises:
        ComputationError: a process ended without its piece (killed, out of memory).
    """
    waiting = [branch for branch in branches if not files.has(branch)]
    count = os.cpu_count() or 1 if workers is None else workers
    if count < 1 or not can_fork():
        for branch in waiting:
            run_branch(run, start, course, files, branch)
            run.restore(start)
            show(branch.name)
        return
    context = multiprocessing.get_context("fork")
    running: dict[ForkProcess, Branch] = {}
    try:
        while waiting or running:
            while waiting and len(running) < count:
                branch = waiting.pop(0)
                process = context.Process(target=_in_child, args=(run, start, course, files, branch), daemon=True)
                with warnings.catch_warnings():  # newer Pythons warn of threads at each fork; the child uses one alone
                    warnings.simplefilter("ignore", DeprecationWarning)
                    process.start()
                running[process] = branch
            multiprocessing.connection.wait([process.sentinel for process in running])
            for process in [p for p in running if not p.is_alive()]:
                process.join()
                branch = running.pop(process)
                if not files.has(branch):
                    raise ComputationError(
                        f"the process of {branch.name!r} (seed {branch.seed}) ended with code {process.exitcode} and left no "
                        "result; the memory may be short. What is finished is kept; race again with fewer workers."
                    )
                show(branch.name)
    finally:
        for process in running:
            process.terminate()
            process.join()


def can_fork() -> bool:
    """Whether processes can be forked from this one: not with a GPU in use, and not on every system."""
    if "fork" not in multiprocessing.get_all_start_methods():
        return False
    return not (torch.cuda.is_available() and torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def run_branch(run: Run, start: Snapshot, course: Course, files: RaceFolder, branch: Branch) -> None:
    """Run one branch to its rung and write its piece; an exception of the user's code becomes part of the piece."""
    begun, remedy = time.perf_counter(), course.remedies[branch.name]
    piece: dict[str, Any] = {"name": branch.name, "seed": branch.seed, "rung": branch.rung, "score": None, "error": ""}
    stands: Snapshot | None = None
    try:
        run.restore(start)
        reseed(run.state, branch.seed)
        changed = remedy.apply()
        running = changed if isinstance(changed, Run) else run
        made = 0
        if branch.rung > 0:
            place, rung = files.continued(branch, running.snapshot())
            place.restore()
            made = max(1, round(course.rungs[rung] / remedy.cost))
        goal = max(1, round(course.rungs[branch.rung] / remedy.cost))
        for _ in range(goal - made):
            running.step()
        last = branch.rung == len(course.rungs) - 1
        stands = None if last else running.snapshot()
        score = float(course.score())
        piece.update(score=score if math.isfinite(score) else None, steps=goal)
        if not math.isfinite(score):
            piece["error"] = f"the score is {score} after {goal} steps"
    except Exception as error:  # the user's step, remedy or score
        piece["error"] = f"{type(error).__name__}: {error}"
        stands = None
    piece["seconds"] = time.perf_counter() - begun
    files.finish(branch, piece, stands)


def _in_child(run: Run, start: Snapshot, course: Course, files: RaceFolder, branch: Branch) -> None:
    torch.set_num_threads(1)  # a forked process must not use the parent's thread pool
    run_branch(run, start, course, files, branch)
