"""``separatrix train``: losses, score before and after, cost, and a checkpoint where one is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from rich.text import Text

from separatrix.cli.checkpoint import checkpoint_of, others_of
from separatrix.cli.options import DEFAULT_TARGET, Request
from separatrix.cli.outputs import check_outputs, write_whole
from separatrix.cli.starting import method_needed, start
from separatrix.cli.talk import Talk
from separatrix.dynamics import Problem, Training, train
from separatrix.dynamics.problem import OF_AVERAGES, scores
from separatrix.errors import InputError, NonFiniteError, SeparatrixError

SUFFIXES = (".pt", ".pth")


def train_target(request: Request, talk: Talk, *, steps: int, output: Path | None) -> int:
    """Train, write the checkpoint, print. Where a step is not finite, what is written is the last whole step."""
    check_outputs([] if output is None else [output], SUFFIXES)
    found = start(request, talk)
    problem = found.problem
    method = method_needed(found.method, problem, "train")
    game = None if output is None else problem.game
    if game is not None:
        checkpoint_of(game, method, method.init(problem.field())[1])  # refused now rather than after the training
    before = score_of(problem)
    progress = False if talk.quiet else None
    run = train(problem, steps, method=method, states=found.states, seed=request.seed, throw=False, progress=progress)
    if game is not None and output is not None and (run.status == "done" or run.steps):
        about = {"target": request.target or DEFAULT_TARGET, "steps": run.steps, "seed": run.seed}
        saved = {**checkpoint_of(game, method, run.states, **about), **others_of(problem)}
        write_whole(output, lambda path: torch.save(saved, path))
        talk.note(f"wrote {output}" + ("" if run.status == "done" else f": the last whole step, number {run.steps}"))
    if run.status != "done":
        raise NonFiniteError(run.message)
    result = _result(problem, run, before, score_of(problem))
    shown = [Text(str(run))] if talk.quiet else [Text(str(run)), _table(result)]
    talk.result(result, *shown)
    return 0


def score_of(problem: Problem) -> dict[str, float]:
    """The problem's own score where it stands, and that of its averages; empty where it has none."""
    try:
        found = scores(problem)
    except (SeparatrixError, ImportError):
        raise
    except Exception as error:
        raise InputError(f"the score of {problem.name!r} raised {type(error).__name__}: {error}") from error
    sides = zip(("", OF_AVERAGES), found.values(), strict=False)
    return {name + side: value for side, values in sides for name, value in values.items()}


def _result(problem: Problem, run: Training, before: dict[str, float], after: dict[str, float]) -> dict[str, Any]:
    losses = {
        player: {term: {"first": float(series[0]), "last": _last(series)} for term, series in terms.items()}
        for player, terms in run.losses.items()
    }
    better = problem.better or {}
    return {
        "problem": problem.name,
        "method": run.method.describe(),
        "steps": run.steps,
        "seed": run.seed,
        "gradients": run.gradients,
        "seconds": run.seconds,
        "losses": losses,
        "field_norm": {"first": float(run.norms[0]), "last": _last(run.norms)} if len(run.norms) else None,
        "score": {
            name: {"before": before[name], "after": after[name], "better": better.get(name.removesuffix(OF_AVERAGES))}
            for name in after
        },
    }


def _last(series: torch.Tensor) -> float:
    """The mean of the last tenth: minibatches are noisy."""
    return float(series[-max(1, len(series) // 10) :].nanmean())


def _table(result: dict[str, Any]) -> Table:
    table = Table("", "before", "after", "", box=None, header_style="dim", pad_edge=False)
    for player, terms in result["losses"].items():
        for term, value in terms.items():
            name = f"loss of {player}" + ("" if term == "loss" else f", {term}")
            table.add_row(name, f"{value['first']:.4g}", f"{value['last']:.4g}", "minibatch; mean of the last tenth")
    if (norm := result["field_norm"]) is not None:
        table.add_row("field norm", f"{norm['first']:.4g}", f"{norm['last']:.4g}", "minibatch; mean of the last tenth")
    for name, value in result["score"].items():
        better = f"{value['better']} is better" if value["better"] else ""
        table.add_row(name, f"{value['before']:.4g}", f"{value['after']:.4g}", better)
    return table
