"""Finite games: how they are read, and the closed forms of the dynamics of learning in them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from separatrix.errors import InputError
from separatrix.fields import NormalForm, hedge, projected_gradient, replicator, softmax_gradient

RPS = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], dtype=torch.float64)


def random_game(shape, seed):
    generator = torch.Generator().manual_seed(seed)
    return NormalForm.of([torch.randn(shape, generator=generator, dtype=torch.float64) for _ in shape])


def random_point(game, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.cat([torch.randn(m, generator=generator, dtype=torch.float64).softmax(0) for m in game.actions])


def rk4(field, x, step, steps):
    for _ in range(steps):
        a = field(x)
        b = field(x + step / 2 * a)
        c = field(x + step / 2 * b)
        d = field(x + step * c)
        x = x + step / 6 * (a + 2 * b + 2 * c + d)
    return x


def test_payoff_vectors_are_sums_over_all_profiles():
    game = random_game((2, 3, 4), 0)
    x = list(torch.split(random_point(game, 1), [2, 3, 4]))
    found = game.payoff_vectors(x)
    a, b, c = (p.numpy() for p in game.payoffs)
    p, q, r = (s.numpy() for s in x)
    assert np.allclose(found[0], np.einsum("abc,b,c->a", a, q, r), rtol=1e-14)
    assert np.allclose(found[1], np.einsum("abc,a,c->b", b, p, r), rtol=1e-14)
    assert np.allclose(found[2], np.einsum("abc,a,b->c", c, p, q), rtol=1e-14)
    assert float(game.expected_payoffs(x)[1]) == pytest.approx(np.einsum("abc,a,b,c->", b, p, q, r))


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (2, 3, 2)])
def test_hedge_carries_over_to_the_replicator(shape):
    """The scores' flow, pushed through softmax, is the replicator's: ``J_softmax u``."""
    game = random_game(shape, 2)
    y = torch.randn(sum(shape), generator=torch.Generator().manual_seed(3), dtype=torch.float64)

    def mixed(scores):
        return torch.cat([part.softmax(0) for part in torch.split(scores, list(shape))])

    pushed = torch.func.jvp(mixed, (y,), (hedge(game)(y),))[1]
    assert torch.allclose(pushed, replicator(game)(mixed(y)), atol=1e-14)


def test_the_softmax_gradient_is_the_gradient_of_each_players_own_payoff():
    game = random_game((3, 2, 2), 4)
    theta = torch.randn(7, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    found = softmax_gradient(game)(theta)
    for i, part in enumerate((slice(0, 3), slice(3, 5), slice(5, 7))):
        leaf = theta.clone().requires_grad_()
        game.expected_payoffs([t.softmax(0) for t in torch.split(leaf, [3, 2, 2])])[i].backward()
        assert torch.allclose(found[part], leaf.grad[part], atol=1e-14)


def test_replicators_of_rock_paper_scissors_keep_the_divergence_from_equilibrium():
    """``KL(x*|x) + KL(y*|y)`` is a constant of motion of a zero-sum game with an interior equilibrium."""
    game = NormalForm.zero_sum(RPS)
    start = torch.tensor([0.5, 0.3, 0.2, 0.2, 0.2, 0.6], dtype=torch.float64)
    end = rk4(replicator(game), start, 2e-2, 500)
    assert (end - start).norm() > 0.1
    assert float(end.log().sum() - start.log().sum()) == pytest.approx(0, abs=1e-7)
    assert float(end[:3].sum()) == pytest.approx(1, abs=1e-12)


def test_a_step_of_hedge_is_multiplicative_weights():
    game, rate = random_game((3, 4), 6), 0.3
    y = torch.randn(7, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    x = [part.softmax(0) for part in torch.split(y, [3, 4])]
    after = [part.softmax(0) for part in torch.split(y + rate * hedge(game)(y), [3, 4])]
    for before, u, now in zip(x, game.payoff_vectors(x), after, strict=True):
        weights = before * torch.exp(rate * u)
        assert torch.allclose(now, weights / weights.sum(), atol=1e-14)


def test_regret_is_zero_exactly_at_equilibrium():
    game = NormalForm.zero_sum(RPS)
    third = torch.full((3,), 1 / 3, dtype=torch.float64)
    rock = torch.tensor([1.0, 0, 0], dtype=torch.float64)
    assert [float(r) for r in game.regret([third, third])] == pytest.approx([0, 0], abs=1e-15)
    assert [float(r) for r in game.regret([rock, rock])] == [1, 1]
    assert projected_gradient(game)().norm() < 1e-15


def test_games_of_other_libraries_are_read_by_their_shape():
    a, b = np.arange(6.0).reshape(2, 3), -np.arange(6.0).reshape(2, 3)
    wanted = NormalForm.of([a, b])
    nashpy = SimpleNamespace(payoff_matrices=(a, b))
    gambit = SimpleNamespace(to_arrays=lambda dtype: [a.astype(dtype), b.astype(dtype)])
    quantecon = SimpleNamespace(payoff_profile_array=np.stack([a, b], axis=-1))
    for other in (
        nashpy,
        gambit,
        quantecon,
        np.stack([a, b]),
        [a.tolist(), b.tolist()],
        torch.tensor(np.stack([a, b])),
    ):
        found = NormalForm.of(other)
        assert all(torch.equal(p, q) for p, q in zip(found.payoffs, wanted.payoffs, strict=True))
    assert NormalForm.of(wanted) is wanted
    assert NormalForm.of(nashpy, players=["row", "column"]).sizes == {"row": 2, "column": 3}


@pytest.mark.parametrize(
    ("game", "message"),
    [
        ([np.zeros((2, 2)), np.zeros((2, 3))], r"that of 'p2' has shape \(2, 3\), the first has \(2, 2\)"),
        ([np.zeros((2, 2))] * 3, "one axis for each of the 3 players"),
        ([[1.0, np.nan]], "finite float64, those of 'p1' are not"),
        ([], "at least one player"),
        ([["a", "b"]], "not arrays of numbers"),
        (3, "not arrays of numbers"),
    ],
)
def test_payoffs_of_the_wrong_form_are_refused(game, message):
    with pytest.raises(InputError, match=message):
        NormalForm.of(game)


def test_a_point_of_the_wrong_size_is_refused():
    with pytest.raises(InputError, match=r"has shape \(6,\)"):
        replicator(NormalForm.zero_sum(RPS), torch.ones(3))
    with pytest.raises(InputError, match="distinct names"):
        NormalForm.of([RPS, RPS], players=["a", "a"])


def test_complex_payoffs_are_refused_rather_than_cut():
    with pytest.raises(InputError, match="they are complex"):
        NormalForm.of([np.eye(2) * 1j, np.eye(2)])


def test_too_many_arrays_for_their_axes_are_counted():
    with pytest.raises(InputError, match="2 axes; 2 players need 2 arrays, or one with players first"):
        NormalForm.of(np.zeros((3, 2, 2)))
