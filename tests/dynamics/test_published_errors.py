"""Errors of published code, each as a test that it would fail.

Where an error is one of a measurement or of data, its test stands there: one Jacobian row per tensor in tests/fields, a ring of
eight modes with one drawn twice in tests/zoo.
"""

from __future__ import annotations

import copy
import io
import pickle

import numpy as np
import pytest
import torch
from dynamics_games import linear_field, smooth_gan
from every_optimizer import MAKE, a_batch, a_gan, point
from torch import Tensor

from separatrix.dynamics import SGD, Competitive, Consensus, Method, SymplecticAdjustment, UpdateMap, optim, simulate
from separatrix.fields import FunctionField, Game
from separatrix.zoo import load


def test_the_consensus_field_carries_its_whole_weight() -> None:
    """A notebook's field has a factor 1/2 on the second term: eigenvalues -gamma f'^2 +- i f' on the Dirac-GAN, f' = 1/2."""
    field = (
        load("dirac-gan").problem_field() if hasattr(load("dirac-gan"), "problem_field") else load("dirac-gan").field()
    )
    for gamma in (0.3, 1.0):
        J = Consensus(gamma)(field).jacobian(torch.zeros(2, dtype=torch.float64)).to_dense()
        values = torch.linalg.eigvals(J)
        assert values.real.tolist() == pytest.approx([-gamma / 4] * 2, abs=1e-12)
        assert sorted(values.imag.tolist()) == pytest.approx([-0.5, 0.5], abs=1e-12)


def test_the_spectrum_of_consensus_is_that_of_its_field_and_no_approximation() -> None:
    """``v' - gamma v'^T v'`` drops the derivative of ``v'`` itself, which is there away from an equilibrium."""
    field = smooth_gan()
    J, exact = field.jacobian().to_dense(), Consensus(5.0)(field).jacobian().to_dense()
    dropped = J - 5.0 * J.T @ J
    assert float((exact - dropped).norm() / exact.norm()) > 1e-3
    u = torch.randn(34, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    w = Consensus(5.0)(field)
    expected = (w(field.point + 1e-5 * u) - w(field.point - 1e-5 * u)) / 2e-5
    assert float((exact @ u - expected).norm()) < 1e-6 * float(expected.norm())


@pytest.mark.parametrize("name", ["optimistic", "normalised, optimistic"])
def test_a_past_gradient_is_a_copy(name: str) -> None:
    """One that is the tensor in ``.grad`` turns into zero, and the method into plain descent, once gradients are zeroed in place."""
    paths = []
    for to_none in (True, False):
        game = a_gan()
        opt = MAKE[name](game)
        for i in range(5):
            opt.zero_grad(set_to_none=to_none)
            real, z = a_batch(i)
            fake = game.models["G"](z)
            on_real, on_fake = game.models["D"](real), game.models["D"](fake)
            (torch.nn.functional.softplus(-on_real) + torch.nn.functional.softplus(on_fake)).mean().backward()
            opt.step()
        paths.append(point(game))
    assert torch.equal(*paths)


def test_a_tensor_without_a_gradient_stays_and_the_others_move() -> None:
    """An implementation skipped everything if one gradient was ``None``."""
    game = a_gan()
    opt = optim.Optimistic(game, torch.optim.SGD, lr=0.1)
    for p in game.parameters[1:]:
        p.grad = torch.ones_like(p)
    before = [p.detach().clone() for p in game.parameters]
    opt.step()
    assert torch.equal(before[0], game.parameters[0])
    assert all(not torch.equal(a, b) for a, b in zip(before[1:], game.parameters[1:], strict=True))


@pytest.mark.parametrize("name", ["extragradient", "past extragradient", "lookahead", "acgd"])
def test_optimizers_can_be_copied_and_pickled(name: str) -> None:
    """One raised NameError on unpickling; the copies that an extrapolation needs were missing from another's state."""
    game = a_gan()
    opt = MAKE[name](game)
    opt.step(a_batch(0))
    state = pickle.loads(pickle.dumps(opt.state_dict()))
    twin = copy.deepcopy(opt)
    opt.step(a_batch(1))
    twin.step(a_batch(1))
    assert torch.equal(point(game), point(twin.game))
    third = a_gan()
    resumed = MAKE[name](third)
    resumed.load_state_dict(state)
    assert resumed._steps == 1


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 2)])
def test_competitive_steps_take_parameters_of_every_shape(shape: tuple[int, ...]) -> None:
    """An implementation failed on one-dimensional parameters, another on a device argument."""
    g = torch.Generator().manual_seed(0)
    x, y = (torch.randn(shape, generator=g, dtype=torch.float64) for _ in range(2))
    start = torch.cat([x.reshape(-1), y.reshape(-1)])
    opt = optim.Competitive(
        Game({"x": x, "y": y}, lambda m, _: (m["x"] * m["y"]).sum()), torch.optim.SGD, lr=0.5, tol=1e-12
    )
    opt.step(None)
    n = len(start) // 2
    turn = torch.tensor([[1.0, 0.5], [-0.5, 1.0]], dtype=torch.float64).inverse().contiguous()
    expected = torch.kron(turn, torch.eye(n, dtype=torch.float64)) @ start
    torch.testing.assert_close(torch.cat([x.reshape(-1), y.reshape(-1)]), expected, rtol=1e-10, atol=1e-12)


def test_a_general_sum_game_is_not_solved_by_conjugate_gradients() -> None:
    """Whose answer on a system that is not symmetric would be another one."""
    matrix = torch.tensor([[-1.0, 0.3, 2.0], [0.3, -1.0, -1.0], [1.5, 0.7, -0.5]], dtype=torch.float64)
    field = linear_field(matrix, {"x": 2, "y": 1})
    K = matrix.clone()
    K[:2, :2] = K[2:, 2:] = 0
    x = field.point
    step = torch.linalg.solve(torch.eye(3, dtype=torch.float64) - K, matrix @ x)
    found, _, _ = simulate(Method(SGD(1.0), Competitive(1e-13)), field, steps=1)
    torch.testing.assert_close(found, x + step, rtol=0, atol=1e-11)
    zero_sum = K.clone()
    zero_sum[2, :2] = -zero_sum[:2, 2]
    wrong = torch.linalg.solve(torch.eye(3, dtype=torch.float64) - zero_sum, matrix @ x)
    assert float((step - wrong).norm()) > 0.1


def test_a_coupling_that_depends_on_the_point_is_taken_at_the_point() -> None:
    """f = x^2 y: a published oracle uses 1 + alpha^2 for the denominator, the right one is 1 + alpha^2 f_xy^2, f_xy = 2x."""
    x, y, h = 0.7, -1.2, 0.5
    field = FunctionField(
        lambda w: torch.stack([-2 * w[0] * w[1], w[0] ** 2]),
        torch.tensor([x, y], dtype=torch.float64),
        players={"x": 1, "y": 1},
    )
    found, _, _ = simulate(Method(SGD(h), Competitive(1e-13)), field, steps=1)
    gx, gy, d = 2 * x * y, x * x, 2 * x
    expected = x - h * (gx + h * d * gy) / (1 + h * h * d * d)
    assert float(found[0]) == pytest.approx(expected, rel=1e-12)


def test_the_sign_of_symplectic_adjustment_is_that_of_the_dimension_and_not_of_the_number_of_tensors() -> None:
    """A notebook divides by the number of tensors; on this point that flips the sign, since 0.1 decides near equilibria."""
    n = 40
    A = torch.zeros(2 * n, 2 * n, dtype=torch.float64)
    A[:n, :n] = A[n:, n:] = 0.6 * torch.eye(n)
    A[:n, n:], A[n:, :n] = -torch.eye(n), torch.eye(n)
    x = torch.full((2 * n,), 0.1, dtype=torch.float64)
    field = linear_field(A, {"x": n, "y": n})
    v = A @ x
    pulled, turned = A.T @ v, (A - A.T).T @ v / 2
    product = -float(v @ pulled) * float(turned @ pulled)
    by_dimension, by_tensors = np.sign(product / (2 * n) + 0.1), np.sign(product / 2 + 0.1)
    assert by_dimension != by_tensors
    found = SymplecticAdjustment(1.0, align=True)(field)(x)
    torch.testing.assert_close(found, v - by_dimension * turned, rtol=1e-12, atol=1e-13)


def test_a_saved_state_holds_everything_that_the_next_step_reads() -> None:
    for name in ("optimistic", "past extragradient", "reflected", "lookahead", "stabilised", "one each"):
        game, other = a_gan(), a_gan()
        opt, fresh = MAKE[name](game), MAKE[name](other)
        for i in range(3):
            opt.step(a_batch(i))
        saved = io.BytesIO()
        torch.save(opt.state_dict(), saved)
        saved.seek(0)
        fresh.load_state_dict(torch.load(saved, weights_only=True))
        for a, b in zip(other.parameters, game.parameters, strict=True):
            a.data.copy_(b.data)
        opt.step(a_batch(9))
        fresh.step(a_batch(9))
        assert torch.equal(point(game), point(other)), name


def test_the_map_of_a_period_has_a_row_for_every_coordinate() -> None:
    field = smooth_gan()
    dense: Tensor = UpdateMap(Method(SGD(0.1)), field, frozen=True).to_dense()
    assert dense.shape == (34, 34)
    assert int(torch.linalg.matrix_rank(dense - torch.eye(34, dtype=torch.float64))) > 4  # more than one row a tensor
