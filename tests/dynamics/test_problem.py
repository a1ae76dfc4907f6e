"""Problem: data, held-out data, minibatches and facts."""

from __future__ import annotations

from itertools import islice

import pytest
import torch
from dynamics_games import linear_field
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from separatrix.dynamics import Fact, Problem
from separatrix.errors import InputError
from separatrix.fields import Loss
from untouched import untouched


def regression(**around) -> Problem:
    with torch.random.fork_rng():
        model = nn.Linear(2, 1)
    game = Loss(model, lambda model, batch: (model(batch[0]) - batch[1]).square().mean())
    return Problem(game, "regression", **around)


def loader(**options) -> DataLoader:
    return DataLoader(TensorDataset(torch.arange(20.0).reshape(10, 2), torch.zeros(10, 1)), batch_size=4, **options)


def test_a_problem_measures_its_game_on_its_data_or_the_held_out_ones():
    data, held_out = ((torch.full((3, 2), v), torch.ones(3, 1)) for v in (1.0, 2.0))
    problem = regression(data=data, held_out=held_out)
    assert torch.equal(problem.field().batches[0][0], data[0])
    assert torch.equal(problem.field(held_out=True).batches[0][0], held_out[0])
    assert problem.field(dtype=torch.float64).dtype == torch.float64
    assert problem.game is problem.subject


def test_a_problem_is_called_like_its_subject_and_needs_one():
    assert Problem(regression().subject).name == "model"
    with pytest.raises(InputError, match=r"a Game or a Field, got a Linear; .*sx\.Loss\(model, loss\)"):
        Problem(nn.Linear(2, 1))


def test_a_bare_field_is_measured_as_it_is_and_has_no_game():
    field = linear_field(torch.eye(2, dtype=torch.float64))
    problem = Problem(field, "linear")
    assert problem.field() is field
    with pytest.raises(InputError, match=r"'linear' is a field without players' modules; this command needs a Game"):
        _ = problem.game


def test_missing_held_out_data_are_named():
    with pytest.raises(InputError, match=r"'regression' has no held-out data; give Problem\(held_out=...\)"):
        regression(data=1).field(held_out=True)


def test_minibatches_come_from_the_stream_or_repeat_the_one_batch():
    assert list(islice(regression(stream=lambda seed: iter([seed, seed + 1])).minibatches(7), 2)) == [7, 8]
    batch = torch.ones(3)
    assert all(b is batch for b in islice(regression(data=batch).minibatches(0), 3))


def test_minibatches_of_a_loader_are_its_batches_epoch_after_epoch_reproducibly():
    problem = regression(data=loader(shuffle=True))
    with untouched():
        taken = list(islice(problem.minibatches(3), 9))
        again = list(islice(problem.minibatches(3), 9))
        other = list(islice(problem.minibatches(4), 9))
    assert [len(b[0]) for b in taken] == [4, 4, 2] * 3
    epochs = [torch.cat([b[0] for b in taken[i : i + 3]])[:, 0] for i in (0, 3, 6)]
    assert all(torch.equal(e.sort().values, torch.arange(0.0, 20.0, 2)) for e in epochs)
    assert not torch.equal(epochs[0], epochs[1]), "every epoch has the same order"
    assert all(torch.equal(a[0], b[0]) for a, b in zip(taken, again, strict=True))
    assert not all(torch.equal(a[0], b[0]) for a, b in zip(taken, other, strict=True))


def test_an_empty_loader_is_named_and_not_waited_for():
    empty = DataLoader(TensorDataset(torch.ones(3, 2), torch.ones(3, 1)), batch_size=8, drop_last=True)
    with pytest.raises(InputError, match=r"the DataLoader of 'regression' holds no batch"):
        next(regression(data=empty).minibatches(0))


def test_facts_are_found_by_name():
    problem = regression(facts=(Fact("equilibrium", [0.0], "by hand"), Fact("safe_step[simultaneous]", 2.0, "by hand")))
    assert problem.fact("safe_step[simultaneous]") == 2.0
    with pytest.raises(
        InputError, match=r"no fact 'spectrum'; known are \['equilibrium', 'safe_step\[simultaneous\]'\]"
    ):
        problem.fact("spectrum")
