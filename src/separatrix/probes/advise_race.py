"""The race at the end of an advice: the running method and the leading candidates, each at its best and at the present step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from separatrix.dynamics import Comparison, Method, Observed, Problem, compare
from separatrix.dynamics.snapshot import Snapshot
from separatrix.errors import InputError
from separatrix.fields import Field, Game
from separatrix.fields.flops import counted
from separatrix.probes.advice import Advice
from separatrix.probes.advice_row import Candidate, multiple
from separatrix.probes.advise_candidates import with_step
from separatrix.probes.advise_ranking import ranked, what_decided

# The model is linear, and one of the leading modes knows nothing of slow ones: no lane leaves the present step by more.
REACH = 8.0
# A best step within this of the present one is that one.
SAME = 0.05
# In each further round of a race one lane in so many goes on, these at least, and for so many times as long.
LONGER, FEWEST = 3, 2


def race_of(
    advice: Advice,
    problem: Problem,
    remedies: Mapping[str, Problem],
    own: Method,
    field: Field,
    *,
    steps: int,
    rounds: int,
    seeds: int,
    lanes: int,
    first_seed: int,
) -> Advice:
    """The advice with a race of ``steps`` steps of the running method, at equal cost.

    What does best early need not do so later. So in each further round the better third of the lanes begins again, on other seeds
    and for three times as long: successive halving [jamieson2016].

    A remedy's gradient is dearer where its losses are; its lanes get so many fewer. The first score decides, ties the next one; without any the field's length,
    and remedies, whose fields are others, take no part.
    """
    chosen, notes = _lanes(advice, own, problem, lanes)
    budget = steps * own.gradients(field)
    costs = dict(advice.costs)
    heats: list[Comparison] = []
    left, length = chosen, steps
    for number in range(rounds):
        first = first_seed + number * seeds
        heat, spent, said = _heat(left, problem, remedies, field, budget * length / steps, range(first, first + seeds))
        if not heat.rows:
            raise InputError(f"a race of {steps} steps is too short for a step of any lane; give more.")
        notes += [note for note in said if note not in notes]
        costs["race" if number == 0 else f"race, round {number + 1}"] = spent
        heats.append(heat)
        if number + 1 < rounds:
            order = [row.name for row in ranked(heat)]
            better = order[: max(FEWEST, len(order) // LONGER)]
            notes.append(f"race: after round {number + 1} ({length} steps) {', '.join(better)} went on.")
            left, length = {lane: left[lane] for lane in better}, length * LONGER
    race = heats[-1]
    raced_as = {row.name: (chosen[row.name][0].name, chosen[row.name][1]) for row in race.rows}
    return replace(
        advice,
        race=race,
        heats=tuple(heats[:-1]),
        raced=raced_as,
        pick=ranked(race)[0].name,
        costs=costs,
        notes=(*advice.notes, *notes, f"race: {what_decided(race)}"),
    )


def _heat(
    lanes: Mapping[str, tuple[Candidate, float]],
    problem: Problem,
    remedies: Mapping[str, Problem],
    field: Field,
    budget: float,
    seeds: range,
) -> tuple[Comparison, float, list[str]]:
    """One round: the comparison, what it cost in gradients of the problem as it is, and notes."""
    rows: list[Observed] = []
    notes: list[str] = []
    spent = 0.0
    for remedy in dict.fromkeys(row.remedy for row, _ in lanes.values()):
        raced, price = (problem, 1.0) if not remedy else (remedies[remedy], _price(remedies[remedy], problem))
        methods = {lane: with_step(row.method, step) for lane, (row, step) in lanes.items() if row.remedy == remedy}
        own_budget = budget / price
        dear = [lane for lane, m in methods.items() if m.gradients(field) > own_budget]
        notes += [f"race: {lane} is left out, a step of it costs more than the budget." for lane in dear]
        methods = {lane: m for lane, m in methods.items() if lane not in dear}
        if not methods:
            continue
        if remedy:
            notes.append(
                f"race: a gradient of {remedy} takes {multiple(price)} times the operations; its budget is smaller by that."
            )
            found = _compared_from(problem, raced, methods, own_budget, seeds)
        else:
            found = compare(raced, methods, gradients=own_budget, seeds=seeds, progress=False)
        rows += found.rows
        spent += price * sum(sum(row.gradients) for row in found.rows)
    return Comparison(problem.name, budget, tuple(seeds), tuple(rows), dict(problem.better or {})), spent, notes


def _lanes(
    advice: Advice, own: Method, problem: Problem, lanes: int
) -> tuple[dict[str, tuple[Candidate, float]], list[str]]:
    """By name: the running method as it is, then the leading candidates at their best step and at the present one."""
    running = advice[advice.running]
    found = {f"{running.name}, as it runs": (running, 1.0)}
    notes = []
    known = [row for row in advice.candidates if row.gradients == row.gradients]
    leading = [row for row in known if not (row.remedy and problem.score is None)]
    if len(leading) < len(known):
        notes.append("race: remedies change the losses, and without a score nothing compares them.")
    safe = [row for row in leading if row.steps is not None and row.steps.best is not None]
    # The best of each remedy and of the problem as it is come first, so that a remedy is tried at all.
    firsts = [next(row for row in safe if row.remedy == r) for r in dict.fromkeys(row.remedy for row in safe)]
    ordered = [*firsts, *(row for row in safe if row not in firsts)] if safe else leading
    for row in ordered[: max(lanes, len(firsts))]:
        best = row.steps.best if row.steps is not None and row.steps.best is not None else 1.0
        step = min(max(best, 1 / REACH), REACH)
        if step != best:
            unsafe = row.steps is not None and not row.steps.low <= step <= row.steps.high
            notes.append(
                f"race: {row.name} runs at {multiple(step)} times the present step, not at {multiple(best)}: no lane leaves it by more "
                f"than {REACH:g} times, since the model is linear and may lack slow modes."
                + (" That is not among its safe steps." if unsafe else "")
            )
        step = 1.0 if abs(step - 1) < SAME else step
        for at in dict.fromkeys((step, 1.0)):
            if not (row is running and at == 1.0):
                found[f"{row.name}, step × {multiple(at)}"] = (row, at)
    return found, notes


def _price(changed: Problem, problem: Problem) -> float:
    """Floating-point operations of a gradient of the changed losses over those of the problem's, on a minibatch.

    Where nothing is counted (no matrix products), the gradients count the same.
    """
    fields = [of.game.on(next(iter(of.minibatches(0)))) for of in (changed, problem)]
    work = [counted(lambda field=field: field(field.point))[1] for field in fields]  # type: ignore[misc]
    return work[0] / work[1] if min(work) else 1.0


def _compared_from(
    problem: Problem, changed: Problem, methods: Mapping[str, Method], budget: float, seeds: range
) -> Comparison:
    """A comparison on a changed problem whose players stand where the problem's stand; they are put back."""
    assert isinstance(changed.subject, Game)
    kept = Snapshot.of(changed.subject.arena)
    try:
        changed.subject.arena.load_state_dict(problem.game.arena.state_dict())
        return compare(changed, methods, gradients=budget, seeds=seeds, progress=False)
    finally:
        kept.restore()
