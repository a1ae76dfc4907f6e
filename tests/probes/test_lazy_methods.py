"""Schemes with lazy terms through the small model, the stability table, the signature, a diagnosis and advice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import separatrix as sx
from lazy_games import batches, gan, quadratic
from separatrix.dynamics import (
    SGD,
    Adam,
    Alternating,
    Clip,
    Consensus,
    Method,
    Mode,
    Problem,
    Simultaneous,
    UpdateMap,
    linear_period,
    simulate,
)
from separatrix.errors import ComputationError, InputError
from separatrix.fields import FunctionField, Game
from separatrix.linalg import Formed
from separatrix.probes import advise
from separatrix.probes.forecast import forecast
from separatrix.probes.leading import leading
from separatrix.probes.reduced import Reduced, reduce
from separatrix.probes.setting import Setting, settle
from separatrix.probes.signature import Signature, signature, signature_sentence
from separatrix.probes.stability import outlook, outlooks, unit_bases


def damped(c: float = 1.0) -> Game:
    """The bilinear game with the penalty ``c/2 y^2``; its point is the equilibrium."""
    x, y = (torch.zeros(1, dtype=torch.float64) for _ in "xy")

    def losses(m: dict[str, Tensor], batch: Any) -> Any:
        turn = (m["x"] * m["y"]).sum()
        return {"x": {"adv": turn}, "y": {"adv": -turn, "pen": lambda: c / 2 * m["y"].square().sum()}}

    return Game({"x": x, "y": y}, losses, name="damped")


def measured(field: Any, method: Method, states: Any = None, x: Any = None) -> tuple[Setting, Reduced]:
    setting = settle(field, method, x=x, states=states)
    modes = leading(setting.operator, k=3)
    return setting, reduce(setting.operator, field.space, modes, terms=setting.terms)


@pytest.mark.parametrize("momentum", [0.0, 0.4])
@pytest.mark.parametrize("kind", [Simultaneous, Alternating])
def test_the_small_model_has_the_multipliers_of_the_period_and_not_of_the_mean(kind: Any, momentum: float) -> None:
    for seed in range(4):
        game = quadratic(seed)
        method = Method(SGD(0.15, momentum), kind(lazy={"pen": 3}))
        setting, small = measured(game.game.on(), method)
        assert setting.frozen is not None
        found = small.multipliers(method.scheme, unit_bases(setting.frozen))
        bases = setting.frozen
        whole = game.matrix + game.penalty
        real = linear_period(whole, method.scheme, bases, game.space, terms={"pen": game.penalty}).multipliers()
        assert _gap(found, real) < 1e-8
        mean = linear_period(whole, kind(), bases, game.space).multipliers() ** 3
        assert _gap(found, mean) > 1e-3


def _gap(a: Tensor, b: Tensor) -> float:
    """The largest distance of a value to the nearest of the other set."""
    away = (a.to(torch.complex128)[:, None] - b.to(torch.complex128)[None, :]).abs()
    return float(torch.maximum(away.min(0).values.max(), away.min(1).values.max()))


def test_the_safe_step_of_a_lazy_penalty_alone_is_that_of_its_strong_step() -> None:
    """``m = 1 - 4 h c`` once in four steps: bounded up to ``h = 2 / (4 c)``; every step it would be ``2 / c``."""
    x = torch.zeros(1, dtype=torch.float64)
    game = Game({"x": x}, lambda m, batch: {"x": {"none": 0 * m["x"].sum(), "pen": lambda: m["x"].square().sum()}})
    for every in (1, 4):
        method = Method(SGD(0.1), Simultaneous({"pen": every}))
        setting, small = measured(game.on(), method)
        assert setting.frozen is not None
        found = outlook(small, method.scheme, unit_bases(setting.frozen), 1.0)
        assert found.safe_step * 0.1 == pytest.approx(1 / every, rel=1e-6)
        assert found.growth == pytest.approx(abs(1 - 0.2 * every) ** (1 / every))


def test_the_stability_table_tells_the_lazy_method_from_the_one_that_is_not() -> None:
    method = Method(SGD(0.3), Alternating(lazy={"pen": 8}))
    field = damped().on()
    setting, small = measured(field, method)
    assert setting.frozen is not None
    rows = outlooks(small, setting.frozen, method.scheme, field, method.gradients(field))
    names = [row.method for row in rows]
    assert names[:3] == [
        "alternating, pen every 8, no momentum",
        "simultaneous, no momentum",
        "alternating, no momentum",
    ]
    assert rows[0].growth > 1 > rows[2].growth  # too strong a step every eighth time


@pytest.mark.parametrize("base", [SGD(0.02), Adam(0.01, (0.5, 0.9))])
def test_resolved_multipliers_of_a_large_model_are_those_of_the_real_period(base: Any) -> None:
    """47 parameters, so that the model leaves most of the space out; what it counts as resolved must be there."""
    field = gan().on(batches(1)[0])
    method = Method(base, Alternating(("D", "G"), lazy={"r1": 2}))
    x, states, _ = simulate(method, field, steps=5)
    setting, small = measured(field, method, states, x)
    assert setting.frozen is not None
    assert not small.exact
    found = small.multipliers(method.scheme, unit_bases(setting.frozen))
    real = torch.linalg.eigvals(UpdateMap(method, field, x, states, frozen=True).to_dense())
    assert len(found) > 0
    away = (found[:, None] - real[None, :]).abs().min(1).values
    assert bool((away <= 0.1 * (found - 1).abs()).all())
    sign = signature(setting, leading(setting.operator, k=3), small)
    assert sign.kind == "disc"
    assert sign.steps == 2
    kept = sign.multipliers[sign.converged]
    assert len(kept)
    assert float((kept[:, None] - real[None, :]).abs().min(1).values.max()) < 1e-3
    assert float(kept.abs().max()) == pytest.approx(float(real.abs().max()), rel=1e-4)


def test_the_leak_of_the_model_is_that_of_each_step_s_own_field() -> None:
    """The Gram matrix for some factors against the matrix of the field with these factors."""
    field = gan().on(batches(1)[0])
    method = Method(SGD(0.02), Simultaneous({"r1": 4}))
    _, small = measured(field, method)
    W = torch.zeros(small.space.n, field.space.n, dtype=torch.float64)
    for p, basis in small.basis.items():
        W[small.space.index(p), field.space.index(p)] = basis
    for factor in (0.0, 4.0):
        P = 0.02 * Formed(field.weighted({"r1": factor}).jacobian(checks=False)).to_dense()
        outside = P.T @ W.T - W.T @ (W @ P.T @ W.T)
        assert torch.allclose(small._leak_with({"r1": factor}), outside.T @ outside, atol=1e-12)
        assert torch.allclose(small.matrix + (factor - 1) * small.terms["r1"], W @ P @ W.T, atol=1e-12)


def test_a_model_without_the_term_refuses_and_does_not_take_the_mean_field() -> None:
    method = Method(SGD(0.3), Alternating(lazy={"pen": 8}))
    setting, small = measured(damped().on(), method)
    assert setting.frozen is not None
    blind = replace(small, terms={})
    with pytest.raises(ComputationError, match="no prediction: what the lazy term 'pen' adds to the Jacobian"):
        blind.multipliers(method.scheme, unit_bases(setting.frozen))


@pytest.mark.parametrize("transform", [Clip(1.0), Consensus(0.1)])
def test_under_transforms_the_terms_do_not_add_up_and_the_diagnosis_says_so(transform: Any) -> None:
    method = Method(SGD(0.3), Alternating(lazy={"pen": 2}), (transform,))
    found = sx.diagnose(damped().on(), method=method)
    assert any("what the lazy term 'pen' adds to the Jacobian is not known" in note for note in found.notes)
    assert found.sections.get("signature") is None
    field = FunctionField(lambda x: -x, torch.ones(2, dtype=torch.float64), players={"x": 1, "y": 1})
    with pytest.raises(InputError, match="is no sum of named loss terms"):
        sx.diagnose(field, method=Method(SGD(0.3), Alternating(lazy={"pen": 2})))


def test_the_forecast_of_a_lazy_method_is_what_it_does_from_anywhere_in_its_period() -> None:
    game = quadratic(4)
    field, method = game.game.on(), Method(SGD(0.15, 0.4), Alternating(lazy={"pen": 3}))
    x, states, _ = simulate(method, field, steps=4)
    setting, small = measured(field, method, states, x)
    found = signature(setting, leading(setting.operator, k=3), small)
    assert found.model_gap is not None
    assert found.model_gap < 1e-8
    rows = forecast(setting, found, steps=3, scale=1e-3)
    assert rows
    assert min(row.skill for row in rows) > 0.999


def test_sentences_speak_of_steps_where_the_period_has_several() -> None:
    """A multiplier ``1.1^4`` of four steps grows by 10% per step, and a turn is seen once in four."""
    m = torch.polar(torch.tensor([1.1**4], dtype=torch.float64), torch.tensor([0.8], dtype=torch.float64))
    one = torch.ones(1, dtype=torch.float64)
    found = Signature("disc", m, 0 * one, one.bool(), m, one[:, None] + 0j, steps=4)
    assert found.growth(0) == pytest.approx(1.1)
    assert found.period_steps(0) == pytest.approx(4 * 2 * torch.pi / 0.8)
    said = signature_sentence(found, 1000)
    assert "by 10.00% per step, turning once in 31 steps, or faster: it is looked at once in 4 steps" in said


def test_a_diagnosis_of_a_lazy_optimizer_names_it_and_bills_it() -> None:
    game = damped()
    opt = sx.optim.Alternating(game, SGD(0.3), order=("y", "x"), lazy={"pen": 8})
    opt.step(None)
    field = game.on()
    found = sx.diagnose(field, method=opt)
    rows = found.sections["stability"]["rows"]
    assert rows[0]["method"] == "alternating, pen every 8, no momentum"
    assert rows[0]["gradients"] == pytest.approx(opt.method.gradients(field))
    section = found.sections["signature"]
    assert section["kind"] == "disc"
    assert "grow, the fastest by" in section["sentence"]
    assert "per step" in section["sentence"]


def test_a_diagnosis_of_a_large_lazy_model_has_the_real_multipliers_and_no_table_that_guesses() -> None:
    game, drawn = gan(), batches(6)
    opt = sx.optim.Alternating(game, SGD(0.1), order=("D", "G"), lazy={"r1": 4})
    for batch in drawn:
        opt.step(batch)
    field = game.on(drawn[0])
    found = sx.diagnose(field, method=opt, own_steps=0)
    assert "stability" not in found.sections
    assert any("stability: no prediction for alternating, r1 every 4" in note for note in found.notes)
    real = torch.linalg.eigvals(UpdateMap(opt.method, field, states=opt.states, frozen=True).to_dense())
    points = torch.tensor([complex(p["real"], p["imag"]) for p in found.sections["signature"]["points"]])
    assert float(points.abs().max()) == pytest.approx(float(real.abs().max()), rel=1e-5)


def test_advice_tries_the_lazy_method_and_others_on_their_own_fields() -> None:
    """On matrices: the bilinear game, where a penalty every step, every second and every eighth are three methods."""
    own = Method(SGD(0.3), Alternating(lazy={"pen": 2}))
    candidates = {
        "plain": Method(SGD(0.3), Alternating()),
        "second": own,
        "eighth": Method(SGD(0.3), Alternating(lazy={"pen": 8})),
        "other term": Method(SGD(0.3), Alternating(lazy={"adv": 2})),
    }
    found = advise(Problem(damped(), "damped", method=own), candidates=candidates)
    space = damped().space
    turn, pen = torch.tensor([[0.0, -1.0], [1.0, 0.0]]).double(), torch.tensor([[0.0, 0.0], [0.0, -1.0]]).double()
    for name, method in candidates.items():
        row = found[name]
        assert row.steps is not None, row.why
        frozen = {p: SGD(0.3).frozen({"step": 1}) for p in "xy"}
        assert all(b is not None for b in frozen.values())
        terms = {"pen": pen, "adv": turn}
        period = linear_period(turn + pen, method.scheme, frozen, space, terms=terms)  # type: ignore[arg-type]
        expected = float(period.multipliers()[0].abs()) ** (1 / (period.steps * row.gradients))
        assert row.steps.present == pytest.approx(expected, rel=1e-9)
    presents = {name: found[name].steps.present for name in candidates}  # type: ignore[union-attr]
    assert presents["second"] < presents["plain"] - 0.01 < presents["plain"] + 0.1 < presents["eighth"]


def test_advice_under_noise_has_the_noise_of_the_lazy_term_too() -> None:
    """The noise is all in the penalty, whose weight each batch carries: its second moment is known in closed form."""
    x = torch.zeros(1, dtype=torch.float64)
    game = Game(
        {"x": x},
        lambda m, c: {"x": {"fit": 0.5 * m["x"].square().sum(), "pen": lambda: c.mean() / 2 * m["x"].square().sum()}},
    )
    data = [torch.full((1,), v, dtype=torch.float64) for v in (0.0, 2.0)]

    def stream(seed: int) -> Any:
        while True:
            yield from data

    method = Method(SGD(0.1), Simultaneous({"pen": 2}))
    problem = Problem(game, "noisy", data=torch.ones(1, dtype=torch.float64), stream=stream, method=method)
    found = advise(problem, candidates={"lazy": method}, noise=2)["lazy"]
    assert found.noise is not None
    assert found.steps is not None
    h = 0.1 * found.steps.best  # type: ignore[operator]
    # A period: (1 - h (1 + 2 c)) (1 - h) with c of the first draw, 0 or 2.
    expected = ((1 - h) ** 2 + (1 - 5 * h) ** 2) / 2 * (1 - h) ** 2
    assert found.noise.growth == pytest.approx(expected, rel=1e-9)


def test_a_lazy_term_taken_every_step_has_a_region_as_before() -> None:
    method = Method(SGD(0.1), Simultaneous({"pen": 1}))
    setting, small = measured(damped().on(), method)
    assert setting.mode == Mode()
    assert signature(setting, leading(setting.operator, k=2), small).kind == "plane"
