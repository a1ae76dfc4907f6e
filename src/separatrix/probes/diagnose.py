"""Diagnose: take the measurements in order, judge them, and put everything into one record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from separatrix.dynamics import GameOptimizer, Method, Problem, Run
from separatrix.dynamics.schemes import Scheme, States
from separatrix.errors import InputError
from separatrix.fields import Field, GameField
from separatrix.linalg import Formed, LinearOperator
from separatrix.linalg.eigen import DENSE_UP_TO
from separatrix.probes import findings as judge
from separatrix.probes.best_response import BestResponse, best_response
from separatrix.probes.certificate import certify
from separatrix.probes.decompose.record_section import decomposition_section
from separatrix.probes.description import conclude, describe
from separatrix.probes.eigenplane import eigenplane
from separatrix.probes.forecast import Forecast, forecast, forecast_section
from separatrix.probes.horizon import horizon
from separatrix.probes.interplay import interplay
from separatrix.probes.leading import Leading, leading
from separatrix.probes.notebook import Notebook
from separatrix.probes.record import Diagnosis, Finding
from separatrix.probes.reduced import reduce
from separatrix.probes.run_diagnosis import diagnose_run
from separatrix.probes.setting import Setting, resolve, settle
from separatrix.probes.sharpness import sharpness, sharpness_section
from separatrix.probes.signature import Signature, signature, signature_section, signature_sentence
from separatrix.probes.stability import Outlook, outlooks, stability_section
from separatrix.probes.surroundings import surroundings
from separatrix.probes.verdict import verdict_section

# Jacobian products, of both kinds together, for the certificate of the operator's verdict.
CERTIFYING = 120


def diagnose(
    subject: Field | Problem | Run,
    *,
    optimizers: Any = None,
    scheme: Scheme | None = None,
    method: Method | GameOptimizer | None = None,
    states: States | None = None,
    held_out: Any = None,
    k: int = 5,
    max_products: int = 150,
    route: str = "retained",
    budget: float | None = None,
    remaining: int = 1000,
    own_steps: int = 100,
    path: Tensor | None = None,
    seed: int = 0,
    command: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> Diagnosis:
    """Everything one measurement can say about a game where its players stand now.

    Args:
        subject: ``game.on(batch)``, any :class:`Field`, a :class:`Problem`, or a :class:`Run` (what its roles allow).
        optimizers: what trains the players: ``{player: torch optimizer or base}``, state included, or an optimizer of
            ``sx.optim``. Read, never changed.
        scheme: how their steps are put together; alternating for several players, in the game's order, if ``None``.
        method, states: instead of ``optimizers`` and ``scheme``: a :class:`Method` and its bases' states.
        held_out: a batch never trained on, for the best-response gains.
        k: eigenvalues for each target.
        max_products: Jacobian products for the spectrum.
        route: how the Jacobian computes its products: ``stream`` where the graphs of all batches do not fit in memory
            together; see :class:`separatrix.fields.Jacobian`.
        budget: gradient-equivalents after which no further part is begun.
        remaining: steps that training still has to go: a mode is neutral while ``remaining |log |m|| < 1``.
        own_steps: of each player alone, for the best-response gains.
        path: points that the training went through, ``(t, n)``, for the picture.
        seed: of all random vectors and draws.
        command: how to reproduce it, for the record.
        progress: called with the name of each part as it begins.

    Returns:
        The record; ``save`` it as ``.html``, ``.json`` or ``.md``.

    Raises:
        InputError: what was given does not fit together.
        UnsupportedOperatorError, NonFiniteError: the field has no Jacobian at this point.

    Cost: about 700 gradients and some 30 CPU-seconds for a GAN of 54 000 parameters and 1 437 images; less with a budget.
    """
    if isinstance(subject, Run):
        return diagnose_run(subject, seed=seed, command=command, progress=progress)
    problem = subject if isinstance(subject, Problem) else None
    if not isinstance(subject, (Field, Problem)):
        raise InputError(
            f"diagnose takes a Field, Problem or Run, got a {type(subject).__name__}; bind a game to data first: game.on(batch)."
        )
    if budget is not None and not budget > 0:
        raise InputError(f"budget must be positive, in gradients, got {budget}.")
    if k < 1 or max_products < 1 or remaining < 1:
        raise InputError(
            f"k, max_products and remaining must be at least 1, got k={k}, max_products={max_products}, remaining={remaining}."
        )
    measured = subject.field(seed=seed) if isinstance(subject, Problem) else subject
    if path is not None and (path.ndim != 2 or path.shape[1] != measured.space.n):
        raise InputError(f"path must hold points of the field, shape (t, {measured.space.n}), got {tuple(path.shape)}.")
    own = None if problem is None else problem.method
    method, states = resolve(measured, optimizers=optimizers, scheme=scheme, method=method, states=states, own=own)
    book = Notebook(measured, budget, progress or (lambda part: None))
    setting = book.need("Jacobian and self-tests", lambda: settle(measured, method, states=states, route=route))
    book.findings += judge.self_test_findings(setting.jacobian.findings)
    if setting.why_not:
        why = setting.why_not.rstrip(".")
        book.notes += [f"{part}: {why}." for part in ("method", "signature", "sharpness", "stability", "forecast")]
    _measure_spectrum(book, setting, k=k, max_products=max_products, remaining=remaining, path=path, seed=seed)
    _measure_best_response(book, setting, problem, held_out, own_steps, seed)
    describe(book, setting, problem, seed, command)
    return conclude(book, measured.name)


def _measure_spectrum(
    book: Notebook, setting: Setting, *, k: int, max_products: int, remaining: int, path: Tensor | None, seed: int
) -> None:
    """Everything that the Jacobian gives."""

    def spectrum() -> tuple[LinearOperator, Leading]:
        # Below some size the matrix is formed, once for all questions about it.
        operator = Formed(setting.operator) if setting.field.space.n <= DENSE_UP_TO else setting.operator
        return operator, leading(operator, k=k, max_products=max_products, seed=seed)

    found = book.take("spectrum", spectrum)
    if found is None:
        return
    operator, modes = found
    certificate = book.take("certificate", lambda: certify(operator, modes, max_products=CERTIFYING, seed=seed))
    space = setting.field.space
    measured, small, tried = None, None, None
    table: list[Outlook] = []
    if setting.frozen is not None and setting.method is not None:
        scheme, frozen = setting.method.scheme, setting.frozen
        small = book.take("stability", lambda: reduce(setting.operator, space, modes, terms=setting.terms))
        if small is not None:
            reduced, cost = small, setting.method.gradients(setting.field)
            table = book.take("stability", lambda: outlooks(reduced, frozen, scheme, setting.seen, cost)) or []
        if small is not None and table:
            book.sections["stability"] = stability_section(table, small)
        measured = book.take("signature", lambda: signature(setting, modes, small, seed=seed))
    book.sections["spectrum"] = {
        **verdict_section(modes, setting, measured, certificate),
        **surroundings(operator, modes, certificate, seed=seed),
    }
    if setting.method is not None:
        trust = book.take("horizon", lambda: horizon(setting))
        if trust is not None:
            book.sections["horizon"] = trust.section()
            book.findings += judge.horizon_findings(trust)
            if measured is not None:
                steps, signed = max(trust.steps // measured.steps, 1), measured
                turning = judge.turning(signed, remaining)[:2]
                tried = book.take("forecast", lambda: forecast(setting, signed, steps=steps, also=turning))
                book.sections["forecast"] = None if tried is None else forecast_section(tried)
    if measured is not None:
        sentence = signature_sentence(measured, remaining)
        book.sections["signature"] = signature_section(measured, setting, sentence, remaining)
        book.findings += judge.growth_findings(measured, remaining)
    _judge_step(book, setting, modes, measured, table, tried, remaining, seed)
    if len(space.players) > 1 and not space.shared:
        acting = book.take("interplay", lambda: interplay(setting.operator, space, seed=seed))
        book.sections["interplay"] = None if acting is None else acting.section()
        book.sections["decomposition"] = None if acting is None else decomposition_section(acting)
    else:
        why = "one player acts on nobody" if len(space.players) == 1 else "players share parameters"
        book.notes.append(f"interplay: {why}.")
    if space.n > 1:
        plane = book.take("slice", lambda: eigenplane(setting, modes, signature=measured, path=path))
        book.sections["slice"] = None if plane is None else plane.section()


def _judge_step(
    book: Notebook,
    setting: Setting,
    modes: Leading,
    measured: Signature | None,
    table: list[Outlook],
    tried: list[Forecast] | None,
    remaining: int,
    seed: int,
) -> None:
    """The step and the rotations, with one voice: what grows most at the present step decides which is to blame."""
    curved = None
    if setting.frozen is not None and setting.method is not None:
        curved = book.take("sharpness", lambda: sharpness(setting, modes, seed=seed))
    turns = [] if measured is None else judge.rotation_findings(measured, remaining, tried=tried, rows=table)
    over: list[Finding] = []
    if curved is not None:
        book.sections["sharpness"] = sharpness_section(curved)
        over = judge.limit_findings(curved, turns=bool(turns))
    overshoot = judge.overshoot_findings(table, remaining) if table else []
    book.findings += over or overshoot
    if not overshoot:
        book.findings += turns


def _measure_best_response(
    book: Notebook, setting: Setting, problem: Problem | None, held_out: Any, own_steps: int, seed: int
) -> None:
    measured = setting.field
    if not isinstance(measured, GameField) or len(measured.players) < 2 or setting.method is None or own_steps < 1:
        book.notes.append("best_response: needs a game of several players and their optimizers.")
        return
    method, states = setting.method, setting.states
    held = held_out if held_out is not None or problem is None else problem.held_out
    stream = None if problem is None else problem.stream

    def respond() -> BestResponse:
        found = best_response(
            measured,
            held_out=held,
            bases=method.bases_for(measured.players),
            states=states,
            steps=own_steps,
            stream=stream,
            seed=seed,
        )
        measured.gradients += found.gradients
        return found

    found = book.take("best_response", respond)
    if found is not None:
        book.sections["best_response"] = found.section()
        losses = {p: sum(terms.values()) for p, terms in measured.losses().items()}
        book.findings += judge.best_response_findings(found.section()["rows"], losses)
