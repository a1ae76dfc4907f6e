"""Advise: which method is likely to do best here, at which step, and why; then a race, where one can be run.

Every candidate is the composition that would run. Its map is taken on a small model of the linearised field, so that the
range of safe steps, the growth of every resolved mode, transients and noise come from the scheme's own code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from separatrix.dynamics import SGD, GameOptimizer, Method, Problem, Simultaneous
from separatrix.dynamics.comparing import trained_state
from separatrix.dynamics.continued import continued
from separatrix.dynamics.schemes import Scheme, States
from separatrix.dynamics.snapshot import Snapshot
from separatrix.errors import ComputationError, InputError
from separatrix.fields import Field, Game
from separatrix.linalg import Formed, LinearOperator
from separatrix.linalg.eigen import DENSE_UP_TO
from separatrix.probes.advice import Advice
from separatrix.probes.advice_row import Candidate
from separatrix.probes.advise_candidates import method_name, standard_candidates
from separatrix.probes.advise_model import Model, model_of
from separatrix.probes.advise_race import race_of
from separatrix.probes.advise_rows import predicted
from separatrix.probes.advise_start import has_minibatches, moments_unknown, warmed
from separatrix.probes.decompose.equilibria import local_equilibrium
from separatrix.probes.horizon import horizon
from separatrix.probes.setting import Setting, resolve

# Steps made, and undone, where second moments are unknown; and minibatches sampled where nobody says how many.
WARM_UP, DRAWS = 50, 8


def advise(
    subject: Problem | Field,
    *,
    candidates: Mapping[str, Method] | None = None,
    remedies: Mapping[str, Problem] | None = None,
    optimizers: Any = None,
    scheme: Scheme | None = None,
    method: Method | GameOptimizer | None = None,
    states: States | None = None,
    race: int = 0,
    rounds: int = 3,
    seeds: int = 3,
    lanes: int = 3,
    remaining: int = 1000,
    k: int = 5,
    max_products: int = 150,
    noise: int | None = None,
    transforms: bool | None = None,
    warm_up: int | None = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Advice:
    """Rank methods by what they do to the linearised field where the players stand.

    For each candidate: the range of safe steps (some methods have a least one), the growth of the slowest mode that counts
    per gradient-equivalent at the best step, the transient growth on the way, and with minibatches the growth in mean square
    and the floor that noise keeps up. All hold near the point and within the trust horizon; the advice ends in a race.

    Args:
        subject: a :class:`Problem`, or a field (which cannot be raced on minibatches).
        candidates: methods by name, which go on from the same moments; schemes around the running one where ``None``
            (:func:`~separatrix.probes.advise_candidates.standard_candidates`).
        remedies: modified problems with the same players, by name: losses with a penalty, another pairing. Each is measured at
            the same point, with the running scheme, with and without its momentum, and extragradient.
        optimizers, scheme, method, states: what runs, as :func:`diagnose` takes it; the problem's own where ``None``, and
            ``SGD(1.0)`` where there is none, so that multiples of the step are the step.
        race: steps of the running method that the first round of the race lasts; 0 for no race. Every lane gets their cost: the running
            method, and each of the ``lanes`` leading candidates at its best step (at most eight times more or less than the
            present one) and at the present one.
        rounds: of the race; in each further one the better third of its lanes, two at least, begins again on other seeds and for
            three times as long, since what does best early need not do so later.
        seeds: of each round of the race.
        remaining: steps that training still has to go; slower modes do not count.
        k, max_products: eigenvalues at each end of the spectrum, and Jacobian products for them.
        noise: minibatches to sample; 8 where ``None`` and the problem has a stream or a loader, 0 for none.
        transforms: try consensus and the symplectic adjustment too, at the price of a Jacobian and a spectrum each; where ``None``, up
            to 2000 coordinates.
        warm_up: steps of the problem's own method that are made first, and undone at the end: bases with second moments have
            no prediction before their first steps. 50 where ``None`` and they need it.
        seed: of minibatches, noise and random vectors.
        progress: called with the name of each part as it begins.

    Returns:
        The advice; ``save`` it as ``.html``, ``.png``, ``.svg``, ``.json`` or ``.md``.

    Raises:
        InputError: what was given does not fit together.
        UnsupportedOperatorError, NonFiniteError: the field has no Jacobian at this point.

    Cost: :attr:`Advice.costs`: the spectrum (``max_products`` products), a product for each row of the model; the same again
    for each transform and remedy; with noise a product a row for each minibatch. The tables themselves cost no gradients.
    Nothing of the caller's stays changed: modules, averages and state are put back.

    Example:
        >>> from separatrix.zoo import load
        >>> found = advise(load("bilinear"))
        >>> found["simultaneous, no momentum"].steps.best is None  # never safe on a pure rotation
        True
        >>> round(found["extragradient, no momentum"].steps.high * 0.1, 6)  # the zoo's step is 0.1, the limit 1
        1.0
    """
    if min(race, lanes) < 0 or min(rounds, seeds, remaining, k, max_products) < 1:
        raise InputError(
            f"race and lanes must not be negative, rounds, seeds, remaining, k and max_products at least 1, got race={race}, "
            f"lanes={lanes}, rounds={rounds}, seeds={seeds}, remaining={remaining}, k={k}, max_products={max_products}."
        )
    if not isinstance(subject, (Problem, Field)):
        raise InputError(
            f"advise takes a Problem or a Field, got a {type(subject).__name__}; bind a game to data first: game.on(batch)."
        )
    for name, given, kind in [
        *((n, m, Method) for n, m in (candidates or {}).items()),
        *((n, p, Problem) for n, p in (remedies or {}).items()),
    ]:
        if not isinstance(given, kind):
            raise InputError(f"{name!r} must be a {kind.__name__}, got a {type(given).__name__}.")
    told = progress or (lambda part: None)
    problem = subject if isinstance(subject, Problem) else Problem(subject, subject.name)
    with ExitStack() as stack:
        if isinstance(problem.subject, Game):
            start = Snapshot.of(trained_state(problem))
            stack.callback(start.restore)
        field = problem.field(seed=seed)
        own, states = resolve(
            field, optimizers=optimizers, scheme=scheme, method=method, states=states, own=problem.method
        )
        notes: list[str] = []
        costs: dict[str, float] = {}
        if own is None:
            own = Method(SGD(1.0), Simultaneous())
            notes.append("No method was given; steps are those of SGD with the rate 1.")
        if warm_up is None:
            warm_up = WARM_UP if states is None and moments_unknown(own, field) else 0
        if warm_up:
            told("warm-up")
            problem, states, spent = warmed(problem, own, states, warm_up, seed)
            field, costs["warm-up"] = problem.field(seed=seed), spent
            notes.append(f"Measured after {warm_up} steps of the running method, which were undone.")
        own = continued(own, states)
        draws = noise if noise is not None else DRAWS if has_minibatches(problem) else 0
        if draws == 1 or draws < 0:
            raise InputError(f"noise must be 0 or at least 2 minibatches, got {draws}.")

        changed_fields = {
            remedy: _checked(remedy, changed, field, seed) for remedy, changed in (remedies or {}).items()
        }
        told("spectrum")
        name = method_name(own, field.players)
        options: dict[str, Any] = {
            "k": k,
            "max_products": max_products,
            "draws": draws,
            "seed": seed,
            "remaining": remaining,
        }
        base = model_of(problem, field, own, **options)
        costs["spectrum"] = base.gradients
        tried = standard_candidates(
            own,
            field.space,
            turn=base.turn,
            transforms=field.space.n <= DENSE_UP_TO if transforms is None else transforms,
        )
        if candidates is not None:
            tried = {name: own, **{title: continued(c, states) for title, c in candidates.items()}}
        told("horizon")
        trust, point = _trust(base.setting, notes), _point(base.setting, notes, seed)

        known: dict[object, Model] = {base.key(own): base}
        rows: list[Candidate] = []
        for title, candidate in tried.items():
            told(title)
            rows.append(_row(title, candidate, problem, field, known, base, options, costs, remaining))
        for remedy, changed in (remedies or {}).items():
            told(remedy)
            rows += _remedy_rows(remedy, changed, changed_fields[remedy], own, base, options, costs, remaining)
        rows.sort(key=_order)
        advice = Advice(
            problem.name,
            tuple(rows),
            name,
            base.exact,
            base.size,
            base.growing,
            base.neutral,
            remaining,
            *trust,
            point,
            base.half_life(own),
            base.outside,
            draws,
            None,
            {},
            rows[0].name,
            costs,
            tuple(notes + base.notes),
        )
        if not race:
            return advice
        told("race")
        return race_of(
            advice,
            problem,
            remedies or {},
            own,
            field,
            steps=race,
            rounds=rounds,
            seeds=seeds,
            lanes=lanes,
            first_seed=seed,
        )


def _order(row: Candidate) -> tuple[bool, float, float, float]:
    """Without a safe step the growth at the present one decides."""
    present = float("inf") if row.steps is None else row.steps.present
    return row.steps is None, row.growth, present, row.gradients


def _row(
    title: str,
    candidate: Method,
    problem: Problem,
    field: Field,
    known: dict[object, Model],
    base: Model,
    options: Mapping[str, Any],
    costs: dict[str, float],
    remaining: int,
    remedy: str = "",
) -> Candidate:
    """A candidate on the model of the field that it sees, which is measured where it is not known yet."""
    key = base.key(candidate)
    if key not in known:
        try:
            known[key] = model_of(problem, field, candidate, **options)
        except ComputationError as error:  # a transform may overflow, or have no derivatives, where the field has them
            known[key] = replace(base, reduced=None, draws=None, gradients=0.0, why_not=str(error))
        costs[title] = known[key].gradients
    return predicted(title, candidate, known[key], field, flow=base, remaining=remaining, remedy=remedy)


def _remedy_rows(
    remedy: str,
    changed: Problem,
    field: Field,
    own: Method,
    base: Model,
    options: Mapping[str, Any],
    costs: dict[str, float],
    remaining: int,
) -> list[Candidate]:
    """The running scheme, with and without its momentum, and extragradient, on the changed problem at the same point."""
    space = field.space
    found = model_of(changed, field, own, x=base.setting.x, **options)
    costs[remedy] = found.gradients
    around = standard_candidates(own, space, turn=0.0, transforms=False)
    wanted = [t for t, m in around.items() if type(m.scheme) is type(own.scheme) or t == "extragradient, no momentum"]
    known: dict[object, Model] = {base.key(own): found}
    return [
        _row(f"{remedy}: {t}", around[t], changed, field, known, base, options, costs, remaining, remedy)
        for t in wanted
    ]


def _checked(remedy: str, changed: Problem, field: Field, seed: int) -> Field:
    """The field of a changed problem."""
    found = changed.field(seed=seed)
    sizes = [{p: s.size(p) for p in s.players} for s in (field.space, found.space)]
    if sizes[0] != sizes[1]:
        raise InputError(
            f"remedy {remedy!r} has the players {sizes[1]}, the problem has {sizes[0]}; give one with the same players."
        )
    return found


def _trust(setting: Setting, notes: list[str]) -> tuple[str, int | None]:
    try:
        found = horizon(setting)
    except ComputationError as error:
        notes.append(f"horizon: {error}")
        return "", None
    return str(found.section()["sentence"]), found.steps


def _point(setting: Setting, notes: list[str], seed: int) -> str:
    """What kind of point it is; only the speed where it moves."""
    space = setting.field.space
    if space.shared:
        notes.append("point: players share parameters, so no player's own curvature is defined.")
        return ""
    operator: LinearOperator = Formed(setting.operator) if space.n <= DENSE_UP_TO else setting.operator
    speed = setting.scale.sqrt() * setting.seen(setting.x)
    if float(speed.norm()) > 1e-6 and space.n > DENSE_UP_TO:
        return f"The field still moves here (|v| = {float(speed.norm()):.3g} in the optimiser's metric), so it is no equilibrium."
    return local_equilibrium(operator, space, speed, seed=seed).sentence
