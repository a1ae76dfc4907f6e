"""Training a problem and comparing methods on it."""

import math
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.utils.data import DataLoader, TensorDataset

from separatrix.dynamics import (
    SGD,
    Adam,
    Alternating,
    Extragradient,
    Method,
    Problem,
    Snapshot,
    compare,
    simulate,
    train,
)
from separatrix.dynamics.training_log import PathLog
from separatrix.errors import ComputationError, InputError, NonFiniteError
from separatrix.fields import FunctionField, Game
from separatrix.zoo import load


def losses(models: dict[str, Any], real: Tensor) -> dict[str, dict[str, Tensor]]:
    fake = models["G"](torch.randn(len(real), 2))
    on_fake = models["D"](fake)
    return {
        "G": {"adv": softplus(-on_fake).mean()},
        "D": {"real": softplus(-models["D"](real)).mean(), "fake": softplus(on_fake).mean()},
    }


def a_problem(**changes: Any) -> Problem:
    torch.manual_seed(0)
    g = nn.Sequential(nn.Linear(2, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 2))
    d = nn.Sequential(nn.Linear(2, 6), nn.Dropout(0.1), nn.Tanh(), nn.Linear(6, 1))
    data = torch.randn(32, 2)

    def stream(seed: int) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(seed)
        while True:
            yield data[torch.randint(32, (8,), generator=generator)]

    problem = Problem(
        Game({"G": g, "D": d}, losses, name="toy"),
        "toy",
        data=data,
        stream=stream,
        method=Method(Adam(1e-2), Alternating(("D", "G"))),
        score=lambda m: {"weight": float(next(m["G"].parameters()).detach().norm()), "noise": float(torch.rand(()))},
        better={"weight": "higher"},
    )
    return replace(problem, **changes)


def streams() -> list[Any]:
    return [torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()]  # type: ignore[index] # noqa: NPY002


def everything(problem: Problem) -> list[Tensor]:
    return [t.detach().clone() for t in problem.game.arena.state_dict().values()]


def test_training_moves_the_problem_s_own_modules_as_the_hand_written_loop_does() -> None:
    problem = a_problem()
    before = streams()
    result = train(problem, 12, seed=4)
    assert streams() == before

    by_hand = a_problem()
    models, data = by_hand.game.models, by_hand.minibatches(4)
    opts = {p: torch.optim.Adam(models[p].parameters(), lr=1e-2) for p in models}  # type: ignore[union-attr]
    torch.manual_seed(4)
    for _ in range(12):
        batches = {"D": next(data), "G": next(data)}
        for p in ("D", "G"):
            models[p].zero_grad()  # type: ignore[union-attr]
            sum(losses(models, batches[p])[p].values()).backward()  # type: ignore[arg-type]
            opts[p].step()
    assert all(torch.equal(a, b) for a, b in zip(everything(problem), everything(by_hand), strict=True))
    assert result.steps == 12
    assert torch.equal(result.x, problem.field().point)
    assert result.losses["D"]["fake"].shape == (12,)
    assert result.norms.shape == (12,)
    assert result.gradients == pytest.approx(12 * problem.method.gradients(problem.field()))  # type: ignore[union-attr]
    assert result.path_steps == tuple(range(13))
    assert torch.equal(result.path[-1], result.x)


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    runs = [train(a_problem(), 5, seed=s).x for s in (1, 1, 2)]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_states_carry_on_where_an_earlier_training_stopped() -> None:
    method = Method(Adam(1e-2))
    x = torch.ones(3, dtype=torch.float64)
    whole = Problem(Game({"x": x.clone()}, lambda m, _: (m["x"] ** 4).sum()), "quartic", method=method)
    parts = Problem(Game({"x": x.clone()}, lambda m, _: (m["x"] ** 4).sum()), "quartic", method=method)
    once = train(whole, 10)
    first = train(parts, 6)
    second = train(parts, 4, states=first.states)
    assert torch.equal(once.x, second.x)
    assert first.states["x"]["step"] == 6


def test_existing_optimizers_take_part_with_their_state() -> None:
    problem = a_problem()
    opts = {p: torch.optim.RMSprop(m.parameters(), lr=1e-3) for p, m in problem.game.models.items()}  # type: ignore[union-attr]
    result = train(problem, 3, optimizers=opts)  # type: ignore[arg-type]
    assert result.states["G"]["step"] == 3
    assert not opts["G"].state
    assert isinstance(result.method.scheme, Alternating)


def test_the_path_keeps_a_bounded_number_of_points() -> None:
    result = train(a_problem(), 50, points=4)
    assert 4 <= len(result.path) <= 8
    assert result.path_steps[0] == 0
    assert result.path_steps[-1] == 50
    assert train(a_problem(), 3, points=0).path.shape == (0, 69)
    log = PathLog(3)
    for step in range(1000):
        if log.wants(step):
            log.add(step, torch.zeros(1))
    assert len(log.points) <= 6


def test_an_interrupt_leaves_the_last_whole_step_and_is_raised_again() -> None:
    problem, seen = a_problem(), []

    def interrupt(step: Any) -> None:
        seen.append(everything(problem))
        if step.number == 3:
            raise KeyboardInterrupt

    before = streams()
    with pytest.raises(KeyboardInterrupt):
        train(problem, 10, each=interrupt)
    assert streams() == before
    assert all(torch.equal(a, b) for a, b in zip(everything(problem), seen[-1], strict=True))


def test_a_step_that_is_not_finite_names_its_number_player_and_tensor() -> None:
    x = torch.tensor([2.0])
    problem = Problem(Game({"x": x}, lambda m, _: (m["x"] ** 4).sum()), "quartic", method=Method(SGD(10.0)))
    with pytest.raises(NonFiniteError, match=r"step \d+: the .* of player 'x' is"):
        train(problem, 50)
    assert math.isfinite(x.item())
    stopped = train(problem, 50, throw=False)
    assert stopped.status == "non-finite"
    assert "player 'x'" in stopped.message
    assert stopped.steps < 50


def test_data_that_end_and_missing_methods_are_named() -> None:
    with pytest.raises(InputError, match="ended after 2 steps"):
        train(a_problem(stream=lambda seed: iter([torch.ones(8, 2)] * 5)), 9)
    with pytest.raises(InputError, match="does not say how it is trained"):
        train(a_problem(method=None), 1)
    with pytest.raises(InputError, match="steps=-1"):
        train(a_problem(), -1)


def test_a_loader_is_read_epoch_after_epoch_and_the_same_for_the_same_seed() -> None:
    loader = DataLoader(TensorDataset(torch.randn(20, 2)), batch_size=8, shuffle=True)

    def game_losses(models: dict[str, Any], batch: Any) -> Any:
        return losses(models, batch[0])

    runs = []
    for _ in range(2):
        problem = a_problem(stream=None, data=loader)
        problem = replace(problem, subject=Game(problem.game.models, game_losses))
        runs.append(train(problem, 7).x)
    assert torch.equal(runs[0], runs[1])


def test_a_bare_field_is_followed_and_stays_where_it_stands() -> None:
    field = FunctionField(lambda x: torch.stack([-x[0] - 2 * x[1], 2 * x[0] - x[1]]), torch.ones(2))
    method = Method(SGD(0.1), Extragradient())
    result = train(Problem(field, "spiral", method=method), 20)
    expected, _, path = simulate(method, field, steps=20)
    assert torch.equal(result.x, expected)
    assert torch.equal(result.path, path)
    assert result.gradients == 40.0
    assert field.point.tolist() == [1.0, 1.0]


def test_compare_gives_every_method_the_same_start_seeds_data_and_budget() -> None:
    problem = a_problem()
    problem.game.models["G"].eval().train()  # type: ignore[union-attr]
    before, was = Snapshot.of(problem.game.arena), streams()
    twice = {
        "alternating": Method(Adam(1e-2), Alternating(("D", "G"))),
        "again": Method(Adam(1e-2), Alternating(("D", "G"))),
        "extragradient": Method(Adam(1e-2), Extragradient()),
    }
    found = compare(problem, twice, steps=10, seeds=(0, 1), predict=lambda method, field: method.scheme.name)
    assert not before.differences(Snapshot.of(problem.game.arena))
    assert streams() == was
    a, b, c = found.rows
    assert (a.score, a.losses, a.field_norm) == (b.score, b.losses, b.field_norm)
    assert a.steps == (10, 10)
    assert c.steps == (int(found.budget / 2),) * 2
    assert max(c.gradients) <= found.budget + 1e-6
    assert c.prediction == "extragradient"
    assert a.score["weight"].low <= a.score["weight"].median <= a.score["weight"].high
    assert a.score["noise"].low == a.score["noise"].high
    assert set(a.losses) == {"G.adv", "D.real", "D.fake"}
    assert len(a.field_norm.values) == 2
    assert found["again"] is b
    assert found.to_dict()["rows"][0]["method"]["scheme"] == "alternating"


def test_a_diverging_method_is_an_observation_and_no_error() -> None:
    x = torch.tensor([2.0])
    problem = Problem(Game({"x": x}, lambda m, _: (m["x"] ** 4).sum()), "quartic")

    def refuses(method: Method, field: Any) -> Any:
        raise ComputationError("not this one")

    methods = {"calm": Method(SGD(1e-3)), "wild": Method(SGD(10.0))}
    found = compare(problem, methods, gradients=40.0, seeds=(0,), predict=refuses)
    assert found["calm"].status == ("done",)
    assert "player 'x'" in found["wild"].status[0]
    assert found["calm"].prediction == "no prediction: not this one"
    assert found["calm"].field_norm.median < 32
    assert x.item() == 2.0


def test_the_growth_of_a_run_is_that_of_its_last_half_when_what_fades_early_has_faded() -> None:
    decay = torch.tensor([0.01, 0.9], dtype=torch.float64)
    problem = Problem(FunctionField(lambda x: -decay * x, torch.tensor([1.0, 100.0], dtype=torch.float64)), "two rates")
    found = compare(problem, {"plain": Method(SGD(1.0))}, steps=200, seeds=(0,))
    assert found["plain"].growth.median == pytest.approx(0.99, rel=1e-9)


def test_compare_puts_the_modules_back_after_an_exception() -> None:
    problem = a_problem(score=lambda m: 1 / 0)
    before = everything(problem)
    with pytest.raises(ZeroDivisionError):
        compare(problem, {"a": Method(SGD(0.1))}, steps=3)
    assert all(torch.equal(a, b) for a, b in zip(before, everything(problem), strict=True))


def test_a_budget_is_needed_once_and_must_suffice() -> None:
    method = Method(SGD(0.1), Extragradient())
    with pytest.raises(InputError, match="either as steps"):
        compare(a_problem(), {"a": method})
    with pytest.raises(InputError, match=r"costs 2 gradients, the budget is 1\.5"):
        compare(a_problem(), {"a": method}, gradients=1.5)
    with pytest.raises(InputError, match="at least one method"):
        compare(a_problem(), {}, steps=3)


def test_progress_is_silent_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    train(a_problem(), 2)
    assert capsys.readouterr().err == ""
    train(a_problem(), 2, progress=True)


def test_only_the_last_steps_of_the_path_are_kept_where_that_is_asked_for():
    problem = load("bilinear")
    whole = train(problem, 30, progress=False, points=64)
    tail = train(problem, 30, progress=False, points=64, path_last=10)
    assert tail.path_steps == tuple(range(20, 31))
    assert torch.equal(tail.path[-1], tail.x)
    assert len(whole.path) == 31
