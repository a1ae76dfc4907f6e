"""Run studies: one, or many over processes, with a budget of CPU-seconds, resumable.

Every finished study is written by the process that ran it, so a run that is killed loses what was under way and nothing
else. A stored result whose study has not changed since is taken as it is.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType

from separatrix.atlas.catalogue import Entry, find_study
from separatrix.atlas.stored import Result, load_result, save_result
from separatrix.atlas.study import FULL, SCALES, Scale
from separatrix.errors import ComputationError, SeparatrixError

# A smoke run takes a second or two; on a crowded machine CPU-seconds grow, but not by this much.
SMOKE_SECONDS = 60.0
PACKAGES = ("separatrix", "torch", "numpy", "scipy", "scikit-learn", "POT", "gudhi")


class BudgetError(ComputationError):
    """A study spent its CPU-seconds."""


@dataclass(frozen=True)
class Failure:
    """A study that did not come to an end.

    Attributes:
        id: of the study.
        message: what was raised.
    """

    id: str
    message: str


def run_study(entry: Entry, scale: Scale = FULL, *, budget: float | None = None) -> Result:
    """Run one study in this process.

    Args:
        entry: from ``find_study``.
        scale: ``SMOKE`` or ``FULL``.
        budget: CPU-seconds; what the study declares if ``None``.

    Raises:
        BudgetError: it took longer.
    """
    import torch

    run = entry.run()  # imports are not billed
    seconds = budget if budget is not None else SMOKE_SECONDS if scale.name == "smoke" else entry.study.seconds
    with torch.random.fork_rng(devices=[]), _cpu_budget(seconds, entry.id):
        torch.manual_seed(0)  # studies draw from seeds of their own; a slip must not make them irreproducible
        begun = time.process_time()
        outcome = run(scale)
        spent = time.process_time() - begun
    return Result(entry.id, scale.name, outcome, spent, entry.digest, _versions(), _device())


def run_studies(
    names: Sequence[str],
    scale: Scale = FULL,
    *,
    store: Path,
    workers: int = 1,
    again: bool = False,
    budget: float | None = None,
) -> Iterator[tuple[Result | Failure, bool]]:
    """Run studies and store their results; yields each as it is finished, and whether it was there already.

    Args:
        names: ids, or paths of files.
        scale: ``SMOKE`` or ``FULL``.
        store: folder of the results, made if there is none.
        workers: processes; each takes one thread.
        again: run what is stored as well.
        budget: CPU-seconds for each.

    Raises:
        InputError: a study that does not exist.
    """
    entries = {name: find_study(name) for name in dict.fromkeys(names)}
    store.mkdir(parents=True, exist_ok=True)
    left: list[str] = []
    for name, entry in entries.items():
        kept = None if again else load_result(store, entry.id, scale.name)
        if kept is not None and kept.is_of(entry):
            yield kept, True
        else:
            left.append(name)
    if workers == 1 or len(left) < 2:
        for name in left:
            yield _finish(name, scale.name, store, budget), False
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # read by the processes that are started now
    pool = ProcessPoolExecutor(min(workers, len(left)), mp_context=multiprocessing.get_context("spawn"))
    try:
        waiting = [pool.submit(_finish, name, scale.name, store, budget) for name in left]
        for done in as_completed(waiting):
            yield done.result(), False
    finally:
        pool.shutdown(cancel_futures=True)


def _finish(name: str, scale: str, store: Path, budget: float | None) -> Result | Failure:
    entry = find_study(name)
    try:
        result = run_study(entry, SCALES[scale], budget=budget)
        save_result(store, result)
        return result
    except (SeparatrixError, ImportError) as error:
        return Failure(entry.id, str(error))
    except Exception as error:  # one broken study must not stop the others
        lines = [
            frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == entry.path
        ]
        place = f" ({entry.path.name}, line {lines[-1]})" if lines else ""
        return Failure(entry.id, f"{type(error).__name__}: {error}{place}")


@contextmanager
def _cpu_budget(seconds: float, study: str) -> Iterator[None]:
    """Stop a study that spends more CPU time; not enforced where the system has no such timer."""
    if not hasattr(signal, "ITIMER_PROF") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum: int, frame: FrameType | None) -> None:
        raise BudgetError(f"the study {study} spent its {seconds:g} CPU-seconds; give it more with --budget.")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _device() -> str:
    import torch

    threads = torch.get_num_threads()
    return f"CPU, {platform.machine()}, {threads} thread{'' if threads == 1 else 's'}"
