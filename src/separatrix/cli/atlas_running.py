"""``separatrix atlas run``: studies over processes, each kept as soon as it is finished."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import RenderableType
from rich.text import Text

from separatrix.atlas.catalogue import catalogue, families, find_study
from separatrix.atlas.claims import FAILS
from separatrix.atlas.running import Failure, run_studies
from separatrix.atlas.stored import Result
from separatrix.atlas.study import SCALES
from separatrix.cli.atlas_reading import show_result
from separatrix.cli.talk import Talk
from separatrix.errors import InputError

DOES_NOT_HOLD, UNFINISHED = 1, 3


def run_chosen(
    studies: Sequence[str],
    talk: Talk,
    *,
    family: str | None,
    scale: str,
    again: bool,
    workers: int,
    budget: float | None,
    store: Path,
) -> int:
    """Run, store and print; 1 where a claim does not hold, 3 where a study could not be finished."""
    if family is not None and family not in families():
        raise InputError(f"there is no family {family!r}; there are {', '.join(families())}.")
    chosen = list(studies) or [e.id for e in catalogue().values() if family in (None, e.family)]
    for name in chosen:
        find_study(name)
    if store.exists() and not store.is_dir():
        raise InputError(f"-o {store} is a file; name a folder.")
    results: list[Result] = []
    failures: list[Failure] = []
    with talk.progress("running", total=len(chosen)) as advance:
        finished = run_studies(chosen, SCALES[scale], store=store, workers=workers, again=again, budget=budget)
        for count, (found, there) in enumerate(finished, start=1):
            if isinstance(found, Failure):
                failures.append(found)
                talk.note(f"{found.id}: {found.message}")
            else:
                results.append(found)
                talk.note(f"{found.id}: {found.outcome.verdict}{' (stored)' if there else f', {found.seconds:.1f} s'}")
            advance(count)
    results.sort(key=lambda result: result.id)
    data = {
        "scale": scale,
        "results": [result.to_dict() for result in results],
        "failures": [{"id": f.id, "message": f.message} for f in failures],
    }
    talk.result(data, *_shown(results, failures, scale, store, quiet=talk.quiet))
    if failures:
        return UNFINISHED
    return DOES_NOT_HOLD if any(fails(result) for result in results) else 0


def fails(result: Result) -> bool:
    """Whether a claim does not hold; at smoke scale only what follows from a closed form counts."""
    counting = (c for c in result.outcome.claims if result.scale == "full" or c.closed_form)
    return any(claim.verdict == FAILS for claim in counting) or bool(result.outcome.blind)


def _shown(
    results: Sequence[Result], failures: Sequence[Failure], scale: str, store: Path, *, quiet: bool
) -> list[RenderableType]:
    shown: list[RenderableType] = []
    if quiet:
        shown += [Text(f"{r.id}: {r.outcome.verdict}") for r in results]
        return [*shown, *(Text(f"{f.id}: not finished") for f in failures)]
    for result in results:
        shown += [Text(f"{result.id}: {result.outcome.verdict}", "bold"), *show_result(result), Text()]
    shown += [Text(f"{failure.id}: not finished: {failure.message}", "red") for failure in failures]
    if scale == "smoke":
        shown.append(Text("Smoke scale shows that the studies run; only claims from closed forms count.", "dim"))
    return [*shown, Text(f"Results are in {store}; see separatrix atlas build -o DIR --results {store}.", "dim")]
