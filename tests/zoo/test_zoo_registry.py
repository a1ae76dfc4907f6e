"""The zoo's registry: names, options, errors, and what an import costs."""

from __future__ import annotations

import subprocess
import sys
from inspect import signature

import pytest
import torch

from separatrix.dynamics import Problem
from separatrix.errors import InputError
from separatrix.zoo import ZOO, load
from untouched import untouched


@pytest.mark.parametrize("name", list(ZOO))
def test_every_entry_loads_steps_and_leaves_the_random_streams_alone(name):
    with untouched():
        problem = load(name)
        field = problem.field(limit=1)
        assert bool(torch.isfinite(field()).all())
        problem.method.init(field)
        first, second = (next(problem.minibatches(5)) for _ in range(2))
        if problem.score is not None:
            assert set(problem.score(problem.game.models)) == set(problem.better)
            assert set(problem.better.values()) <= {"higher", "lower"}
    assert isinstance(problem, Problem)
    assert problem.name == name
    assert all(fact.source for fact in problem.facts)
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second)


@pytest.mark.parametrize("name", [n for n in ZOO if "seed" in signature(ZOO[n]).parameters and n != "quadratic"])
def test_the_same_seed_gives_the_same_networks_and_minibatches_another_one_others(name):
    one, same, other = (load(name, seed=s) for s in (3, 3, 4))
    assert torch.equal(one.field().point, same.field().point)
    assert not torch.equal(one.field().point, other.field().point)

    def batches(problem, seed):
        stream = problem.minibatches(seed)
        taken = [next(stream) for _ in range(13)]  # beyond one epoch of the digits
        return torch.stack([b if isinstance(b, torch.Tensor) else b[0] for b in taken])

    assert torch.equal(batches(one, 0), batches(other, 0))
    assert not torch.equal(batches(one, 0), batches(one, 1))
    assert not torch.equal(batches(one, 0)[0], batches(one, 0)[11])


@pytest.mark.parametrize("name", list(ZOO))
def test_measuring_scoring_and_sampling_touch_nothing(name):
    problem = load(name)
    with untouched(*_held(problem), problem.data, problem.held_out):
        field = problem.field()
        field()
        problem.method.step(field, *problem.method.init(field))
        if problem.score is not None:
            problem.score(problem.game.models)
        if problem.samples is not None:
            problem.samples(problem.game.models)


def _held(problem):
    return [] if not hasattr(problem.subject, "models") else list(problem.game.models.values())


def test_names_that_stand_for_options_can_be_overridden():
    assert load("digits-gan-r1", r1=0.0).name == "digits-gan"
    assert load("digits-gan-r1", smooth=True).name == "digits-gan-r1-smooth"


def test_unknown_names_and_options_are_answered_with_the_known_ones():
    with pytest.raises(InputError, match=r"the zoo has no 'digit-gan'; it has digits-gan, .*, finite-game\."):
        load("digit-gan")
    with pytest.raises(
        InputError, match=r"'bilinear': got an unexpected keyword argument 'r1'; its options are .*sigma"
    ):
        load("bilinear", r1=1.0)


def test_only_the_digits_import_scikit_learn_and_say_how_to_install_it_where_it_is_missing():
    code = (
        "import sys\n"
        "from separatrix.zoo import ZOO, load\n"
        "list(ZOO); load('dirac-gan'); load('eight-gaussians')\n"
        "if 'sklearn' in sys.modules: sys.exit(2)\n"
        "sys.modules['sklearn'] = sys.modules['sklearn.datasets'] = None\n"
        "for name in ('digits-gan', 'digits-classifier', 'patch-gan', 'tokenizer'):\n"
        "    try: load(name)\n"
        "    except ImportError as error: assert str(error).endswith(\"pip install 'separatrix[demo]'\"), error\n"
        "    else: sys.exit(3)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
