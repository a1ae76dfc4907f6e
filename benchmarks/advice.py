"""The pick of advice and race against the checklist and the default, on three problems and five seeds.

- default: the zoo's own training, alternating Adam.
- checklist: relativistic pairing, R1 and R2, no momentum, an average; what is recommended for every GAN.
- pick: what ``sx.advise`` with a race picks at one seed that is not among the five, from the schemes around the default, R1, and
  the checklist itself as remedies. It is chosen once for each problem; what that cost stands beside.
- pick of rounds: the same with a race of three rounds, each three times as long as the last one, the first a third as long.

Every run costs the same number of gradient-equivalents of the plain losses: where penalties make a gradient dearer, by the count
of floating-point operations, fewer steps are made. Scores of the raw and of the averaged maker, with the same average for all.

    python benchmarks/advice.py [--problems digits patches tokenizer] [--seeds 0 1 2 3 4]

Finished runs are kept in ``--pieces`` and not made again; what was killed goes on with the next one.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

import separatrix as sx
from separatrix.dynamics import Adam, Average, Method, Problem, scores
from separatrix.fields import Game, gan_losses
from separatrix.fields.flops import counted
from separatrix.fields.gradient_penalties import slope_penalty, watched
from separatrix.probes.advise_candidates import standard_candidates, with_step
from separatrix.probes.record import write_text
from separatrix.zoo import load
from separatrix.zoo.digits import LATENT

RESULTS = Path(__file__).parent / "results" / "advice.json"
ARMS = ("default", "checklist", "pick", "pick of rounds")
ROUNDS = {"pick": 1, "pick of rounds": 3}
HALF_LIFE, ADVISED_AT, WARM_UP = 100.0, 100, 200


@dataclass(frozen=True)
class Case:
    """A problem of the table.

    Attributes:
        plain, r1, checklist: ``seed`` to the problem with these losses, all with the same players.
        maker: the player whose average is scored.
        steps: of the default, which set the budget.
        race: steps of the race.
        measured: samples that the advice measures on.
    """

    plain: Callable[[int], Problem]
    r1: Callable[[int], Problem]
    checklist: Callable[[int], Problem]
    maker: str
    steps: int
    race: int
    measured: int


def changed(problem: Problem, losses: Any, name: str) -> Problem:
    """The problem with other losses."""
    return replace(problem, subject=Game(problem.game.models, losses, name=name), name=name)


def pairing(on: tuple[Tensor, Tensor], of: tuple[Tensor, Tensor], weight: float) -> tuple[Tensor, dict[str, Tensor]]:
    """The maker's relativistic loss, and the discriminator's terms with R1 and R2."""
    found = gan_losses(*on, kind="relativistic")
    penalties = {name: slope_penalty(o, x, weight) for name, o, x in zip(("r1", "r2"), on, of, strict=True)}
    return found.generator, {"adv": found.discriminator, **penalties}


def digits_checklist(seed: int) -> Problem:
    def losses(models: Mapping[str, Any], real: Tensor) -> dict[str, dict[str, Tensor]]:
        of = watched(real), watched(models["G"](torch.randn(len(real), LATENT)))
        made, told = pairing((models["D"](of[0]), models["D"](of[1])), of, 1.0)
        return {"G": {"adv": made}, "D": told}

    return changed(load("digits-gan", seed=seed), losses, "digits, checklist")


def tokenizer_checklist(seed: int) -> Problem:
    def losses(models: Mapping[str, Any], real: Tensor) -> dict[str, dict[str, Tensor]]:
        of = watched(real), watched(models["T"](real))
        made, told = pairing((models["D"](of[0]), models["D"](of[1])), of, 20.0)
        return {"T": {"rec": (of[0] - of[1]).square().mean(), "adv": 0.1 * made}, "D": told}

    return changed(load("tokenizer-plain", seed=seed), losses, "tokenizer, checklist")


CASES = {
    "digits": Case(
        lambda s: load("digits-gan", seed=s),
        lambda s: load("digits-gan-r1", seed=s),
        digits_checklist,
        "G",
        5000,
        500,
        512,
    ),
    "patches": Case(
        lambda s: load("patch-gan", seed=s),
        lambda s: load("patch-gan-r1", seed=s),
        lambda s: load("patch-gan-rp-r1-r2", seed=s),
        "G",
        2000,
        300,
        64,
    ),
    "tokenizer": Case(
        lambda s: load("tokenizer-plain", seed=s),
        lambda s: load("tokenizer-plain-r1", seed=s),
        tokenizer_checklist,
        "T",
        1500,
        200,
        64,
    ),
}


def without_momentum(problem: Problem) -> Method:
    """Adam with the problem's rate, betas 0 and 0.99, in the problem's order."""
    own = problem.method
    assert own is not None
    rate = next(iter(own.bases_for(problem.subject.players).values())).lr
    return Method(dict.fromkeys(problem.subject.players, Adam(rate, (0.0, 0.99))), own.scheme)


def operations(problem: Problem) -> float:
    """Floating-point operations of a gradient on a minibatch."""
    field = problem.game.on(next(iter(problem.minibatches(0))))
    return counted(lambda: field(field.point))[1]


def advised(case: Case, rounds: int) -> dict[str, Any]:
    """What advice and race pick, at a seed of its own."""
    begun = time.process_time()
    problem, *changed_problems = (
        replace(p, data=p.data[: case.measured])
        for p in (make(ADVISED_AT) for make in (case.plain, case.r1, case.checklist))
    )
    remedies = dict(zip(("r1", "checklist"), changed_problems, strict=True))
    found = sx.advise(
        problem,
        remedies=remedies,
        race=case.race if rounds == 1 else case.race // 3,
        rounds=rounds,
        seeds=2,
        lanes=3,
        k=4,
        max_products=100,
        noise=4,
        warm_up=WARM_UP,
        seed=ADVISED_AT,
    )
    name, step = found.raced[found.pick]
    return {
        "candidate": name.removeprefix(f"{found.remedy}: ") if found.remedy else name,
        "remedy": found.remedy,
        "step": step,
        "advice": found.to_dict(),
        "cpu_seconds": time.process_time() - begun,
    }


def arm(case: Case, name: str, seed: int, pick: Mapping[str, Any]) -> tuple[Problem, Method]:
    """The problem and the method of an arm."""
    if name == "checklist":
        problem = case.checklist(seed)
        return problem, without_momentum(problem)
    plain = case.plain(seed)
    assert plain.method is not None
    if name == "default":
        return plain, plain.method
    problem = {"": case.plain, "r1": case.r1, "checklist": case.checklist}[pick["remedy"]](seed)
    tried = standard_candidates(plain.method, plain.game.space, turn=0.0, transforms=False)
    return problem, with_step(tried[pick["candidate"]], pick["step"])


def one_run(case: Case, name: str, seed: int, pick: Mapping[str, Any]) -> dict[str, Any]:
    problem, method = arm(case, name, seed, pick)
    plain = case.plain(seed)
    assert plain.method is not None
    budget = case.steps * plain.method.gradients(plain.field(seed=0))
    price = operations(problem) / operations(plain)
    steps = int(budget / (method.gradients(problem.field(seed=0)) * price))
    average = Average(problem.game.models[case.maker], half_life=HALF_LIFE)
    problem, begun = replace(problem, averages={case.maker: average}), time.process_time()
    run = sx.train(problem, steps, method=method, seed=1000 + seed, points=0, progress=False, throw=False)
    seconds = time.process_time() - begun
    return {
        "arm": name,
        "seed": seed,
        "steps": run.steps,
        "gradients": run.gradients * price,
        "price": price,
        "status": run.message or run.status,
        **scores(problem),
        "cpu_seconds": seconds,
    }


def kept(piece: Path, settings: Mapping[str, Any], make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A piece from its file, or made and written."""
    if piece.exists():
        found: dict[str, Any] = json.loads(piece.read_text())
        if found["settings"] == settings:
            return dict(found["row"])
    row = make()
    write_text(piece, json.dumps({"settings": settings, "row": row}))
    print(piece.stem, {k: v for k, v in row.items() if k not in ("advice",)}, flush=True)
    return row


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians with the lowest and the highest over the seeds."""
    table: dict[str, Any] = {}
    for name in ARMS:
        own = [row for row in rows if row["arm"] == name]
        if not own:
            continue
        table[name] = {"stopped": sum(row["status"] != "done" for row in own), "steps": own[0]["steps"]}
        for side in ("raw", "averaged"):
            for score in own[0][side]:
                values = [row[side][score] for row in own]
                table[name][f"{side} {score}"] = [median(values), min(values), max(values)]
    return table


def markdown(results: Mapping[str, Any]) -> list[str]:
    """The table as a page shows it: medians with the lowest and the highest, one line an arm."""
    lines = ["| problem | training | steps | stopped | raw | averaged |", "| --- | --- | --- | --- | --- | --- |"]
    for problem, found in results.items():
        for name, row in found["table"].items():
            cells = []
            for side in ("raw", "averaged"):
                spread = {key.removeprefix(f"{side} "): v for key, v in row.items() if key.startswith(f"{side} ")}
                cells.append("; ".join(f"{k} {a:.3g} ({b:.3g} to {c:.3g})" for k, (a, b, c) in spread.items()))
            lines.append(
                f"| {problem} | {name} | {row['steps']} | {row['stopped']} of {len(found['rows']) // len(ARMS)} | {' | '.join(cells)} |"
            )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--share", type=float, default=1.0, help="of the steps, for a quick look")
    parser.add_argument("--pieces", type=Path, default=Path("out") / "advice")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.pieces.mkdir(parents=True, exist_ok=True)
    cases, picks = {}, {}
    for problem in options.problems:
        given = CASES[problem]
        case = replace(given, steps=int(given.steps * options.share), race=max(8, int(given.race * options.share)))
        settings = {"steps": case.steps, "race": case.race, "half_life": HALF_LIFE}
        cases[problem] = case, settings
        for name, rounds in ROUNDS.items():
            piece = options.pieces / f"{problem}-advice{'' if rounds == 1 else f'-{rounds}'}.json"
            picks[problem, name] = kept(piece, settings, lambda c=case, r=rounds: advised(c, r))
    rows: dict[str, list[dict[str, Any]]] = {problem: [] for problem in cases}
    for seed in options.seeds:
        for problem, (case, settings) in cases.items():
            for name in ARMS:
                pick = picks.get((problem, name), {})
                piece = options.pieces / f"{problem}-{name.replace(' ', '-')}-{seed}.json"
                own = {
                    **settings,
                    "pick": [pick["candidate"], pick["remedy"], pick["step"]] if pick else None,
                }
                rows[problem].append(kept(piece, own, lambda c=case, n=name, s=seed, p=pick: one_run(c, n, s, p)))
        results = {
            problem: {
                "settings": cases[problem][1],
                "picks": {name: picks[problem, name] for name in ROUNDS},
                "table": summary(found),
                "rows": found,
            }
            for problem, found in rows.items()
        }
        versions = {"torch": torch.__version__, "python": platform.python_version(), "separatrix": sx.__version__}
        write_text(options.out, json.dumps({"results": results, "versions": versions, "threads": 1}, indent=1))
    print("\n".join(markdown(results)))


if __name__ == "__main__":
    main()
