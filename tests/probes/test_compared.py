"""Prediction beside observation: on linear fields they agree; what is said, saved and left alone."""

import json
from pathlib import Path

import pytest
import torch

import separatrix as sx
from separatrix.dynamics import SGD, Adam, Alternating, Extragradient, Method, Simultaneous, train
from separatrix.errors import InputError
from separatrix.probes import compare
from separatrix.zoo import load

DAMPED = torch.tensor([[-1.0, -1.0], [1.0, -1.0]], dtype=torch.float64)
METHODS = {"simultaneous": Method(SGD(0.1)), "extragradient": Method(SGD(0.1), Extragradient())}


def damped() -> sx.Problem:
    field = sx.FunctionField(lambda x: DAMPED @ x, torch.ones(2, dtype=torch.float64))
    return sx.Problem(field, "damped turning", method=Method(SGD(0.1)))


def test_on_a_linear_field_what_was_predicted_happens_and_the_best_step_is_the_best() -> None:
    found = compare(damped(), METHODS, steps=20, seeds=(0,), best_steps=True)
    names = [row.name for row in found.observed.rows]
    assert names[:2] == ["simultaneous", "simultaneous, step × 5.0"]
    for row in found.observed.rows:
        assert row.growth.median == pytest.approx(row.prediction["growth_per_gradient"], rel=1e-6), row.name
    assert found["simultaneous, step × 5.0"].growth.median == pytest.approx(0.5**0.5, rel=1e-4)
    assert found["simultaneous"].growth.median == pytest.approx(abs(0.9 + 0.1j), rel=1e-9)


def test_all_are_predicted_at_the_start_so_that_their_order_does_not_matter() -> None:
    """At the step 0.3 the Dirac-GAN has left the start when the next method is asked about."""
    methods = {name: Method(SGD(lr)) for name, lr in (("short", 0.1), ("long", 0.3))}

    def told(order: tuple[str, ...]) -> dict[str, float]:
        found = compare(load("dirac-gan"), {n: methods[n] for n in order}, steps=30, seeds=(0,))
        return {row.name: row.prediction["growth_per_gradient"] for row in found.observed.rows}

    alone = told(("short",)) | told(("long",))
    assert alone["short"] != alone["long"]
    assert told(("short", "long")) == told(("long", "short")) == alone


def test_states_of_a_training_give_moments_to_go_on_from() -> None:
    problem = load("bilinear")
    adam = {"simultaneous": Method(Adam(0.01)), "alternating": Method(Adam(0.01), Alternating())}
    fresh = compare(problem, adam, steps=4, seeds=(0,))
    assert all("has made no step yet" in row.prediction for row in fresh.observed.rows)
    assert sum("has made no step yet" in text for text in fresh.remarks()) == 1  # said once for both
    assert "no prediction" in str(fresh)
    run = train(problem, 20, method=adam["simultaneous"], seed=0, progress=False)
    warm = compare(problem, adam, steps=4, seeds=(0,), states=run.states)
    assert all(row.prediction["growth_per_gradient"] > 0 for row in warm.observed.rows)


def test_a_step_that_is_clipped_out_of_the_safe_range_says_so() -> None:
    """Eigenvalues -0.01 +- 0.1i at the step 0.01: the best step of both is far more than eight times as long."""
    slow = torch.tensor([[-0.01, -0.1], [0.1, -0.01]], dtype=torch.float64)
    field = sx.FunctionField(lambda x: slow @ x, torch.ones(2, dtype=torch.float64))
    problem = sx.Problem(field, "slow turning", method=Method(SGD(0.01)))
    found = compare(problem, {"simultaneous": Method(SGD(0.01))}, steps=10, seeds=(0,), best_steps=True)
    (note,) = found.notes
    assert note.startswith("simultaneous: tried at 8.0 times the present step; the model prefers")
    assert "calls no step safe" not in note
    assert note in found.remarks()


def test_no_safe_step_is_a_note_and_not_a_row() -> None:
    found = compare(load("bilinear"), {"simultaneous": Method(SGD(0.1))}, steps=5, seeds=(0,), best_steps=True)
    assert len(found.observed.rows) == 1
    assert found.notes[0].startswith("simultaneous: No step is safe")


def test_it_saves_by_suffix_and_what_is_saved_is_what_is_shown(tmp_path: Path) -> None:
    found = sx.compare(damped(), METHODS, steps=10, seeds=(0, 1))
    data = json.loads(found.save(tmp_path / "c.json").read_text())
    assert data == found.to_dict()
    assert data["rows"][1]["observed"]["growth_per_gradient"]["values"] == list(found["extragradient"].growth.values)
    text = found.save(tmp_path / "c.md").read_text()
    assert all(cell.replace("\n", ", ") in text for row in found.table() for cell in row)
    assert found.save(tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in found.save(tmp_path / "c.svg").read_text()
    assert found.save(tmp_path / "d.svg").read_bytes() == (tmp_path / "c.svg").read_bytes()
    with pytest.raises(InputError, match=r"cannot save a comparison as 'c.pdf'; the suffix must be one of"):
        found.save(tmp_path / "c.pdf")


def test_the_problem_stands_where_it_stood() -> None:
    problem = load("dirac-gan")
    before = [p.detach().clone() for p in problem.game.parameters]
    rng = torch.get_rng_state()
    compare(problem, {"a": Method(SGD(0.1), Simultaneous())}, steps=5, seeds=(0,))
    assert all(torch.equal(a, b) for a, b in zip(before, problem.game.parameters, strict=True))
    assert torch.equal(rng, torch.get_rng_state())


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(InputError, match="at least one method"):
        compare(damped(), {}, steps=5, best_steps=True)
    with pytest.raises(InputError, match="seeds are numbers to start from"):
        compare(damped(), METHODS, steps=5, seeds=3)  # type: ignore[arg-type]
