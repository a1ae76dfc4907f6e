"""Games whose Jacobians are known in closed form, and what holds for every game."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_games import data, net, small_gan
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from separatrix.fields import Game, Loss

DOUBLE = torch.float64


def dirac(theta, psi):
    """Dirac-GAN with the logistic loss: ``min_theta max_psi f(psi theta) + f(0)``, ``f(t) = -log(1 + exp(-t))``."""
    players = {"G": torch.tensor([theta], dtype=DOUBLE), "D": torch.tensor([psi], dtype=DOUBLE)}
    return Game(players, lambda m, b: -F.softplus(-m["D"] * m["G"]).sum())


@given(st.floats(-3, 3), st.floats(-3, 3))
@settings(max_examples=10, deadline=None)
def test_the_dirac_gan_has_its_known_field_and_jacobian(theta, psi):
    t = theta * psi
    first, second = 1 / (1 + math.exp(t)), -math.exp(t) / (1 + math.exp(t)) ** 2
    field = dirac(theta, psi).on()
    expected = torch.tensor([-first * psi, first * theta], dtype=DOUBLE)
    torch.testing.assert_close(field(), expected)
    cross = first + t * second
    J = torch.tensor([[-second * psi**2, -cross], [cross, second * theta**2]], dtype=DOUBLE)
    torch.testing.assert_close(field.jacobian().to_dense(), J, atol=1e-14, rtol=1e-12)


@st.composite
def quadratic_games(draw):
    """``L_i = x_i' A_ii x_i / 2 + x_i' sum_j A_ij x_j + b_i' x_i`` of two or three players."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=2, max_size=3))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
    n = sum(sizes)
    A = torch.randn(n, n, generator=generator, dtype=DOUBLE)
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    for s, k in zip(starts, sizes, strict=True):
        A[s : s + k, s : s + k] = (A[s : s + k, s : s + k] + A[s : s + k, s : s + k].T) / 2
    return A, sizes, starts, torch.randn(n, generator=generator, dtype=DOUBLE)


def quadratic(A, sizes, starts, x):
    players = {f"p{i}": x[s : s + k].clone() for i, (s, k) in enumerate(zip(starts, sizes, strict=True))}

    def losses(m, b):
        whole = torch.cat(list(m.values()))
        found = {}
        for (name, own), s, k in zip(m.items(), starts, sizes, strict=True):
            row = A[s : s + k]
            found[name] = own @ row @ whole - own @ row[:, s : s + k] @ own / 2
        return found

    return Game(players, losses)


@given(quadratic_games())
@settings(max_examples=10, deadline=None)
def test_a_quadratic_game_has_the_matrix_it_was_made_of(made):
    A, sizes, starts, x = made
    field = quadratic(A, sizes, starts, x).on()
    torch.testing.assert_close(field(), -A @ x)
    J = field.jacobian()
    torch.testing.assert_close(J.to_dense(), -A)
    torch.testing.assert_close(J.T.to_dense(), -A.T)
    torch.testing.assert_close(J.sym.to_dense(), -(A + A.T) / 2)
    torch.testing.assert_close(J.antisym.to_dense(), -(A - A.T) / 2)
    assert J.sym.tags == {"symmetric"}
    rows, columns = slice(starts[0], starts[0] + sizes[0]), slice(starts[1], starts[1] + sizes[1])
    torch.testing.assert_close(J["p0", "p1"].to_dense(), -A[rows, columns])
    assert "symmetric" in J["p0", "p0"].tags
    z = torch.complex(x, x.flip(0))
    torch.testing.assert_close(J @ z, -A.to(z.dtype) @ z)
    torch.testing.assert_close(J.T @ z, -A.T.to(z.dtype) @ z)
    torch.testing.assert_close(torch.from_numpy(J.to_scipy() @ z.numpy()), -A.to(z.dtype) @ z)
    parts = {"p1": field.space.take(x, "p1")}
    torch.testing.assert_close(J.rows_transpose(parts), -A.T[:, columns] @ x[columns])
    torch.testing.assert_close(J.rows_apply(x, ["p1"])["p1"], -A[columns] @ x)
    torch.testing.assert_close(J.directions(["p1"]), -A[columns] @ x)


@given(st.integers(0, 100), st.sampled_from([torch.float32, torch.float64]))
@settings(max_examples=8, deadline=None)
def test_adjoint_linearity_and_columns_agree_for_a_small_gan(seed, dtype):
    field = small_gan(dtype).on(data(6, 3), seed=seed)
    J = field.jacobian()
    generator = torch.Generator().manual_seed(seed)
    u, v = (torch.randn(field.space.n, generator=generator, dtype=dtype) for _ in range(2))
    tolerance = 1e-4 if dtype == torch.float32 else 1e-12
    dense = J.to_dense()
    scale = float(dense.norm())
    assert abs(float(u @ (J @ v)) - float((J.T @ u) @ v)) <= tolerance * scale * float(u.norm() * v.norm())
    torch.testing.assert_close(J @ (2 * u - v), 2 * (J @ u) - J @ v, atol=tolerance * scale * 10, rtol=0)
    torch.testing.assert_close(dense @ v, J @ v, atol=tolerance * scale * 10, rtol=0)
    assert J.findings == []


def test_tensors_lists_dicts_and_parameter_lists_make_the_same_game():
    a, b = data(3), data(2, 2)

    def loss(x, y):
        return (x.square().sum() * y.sin().sum()).tanh()

    kinds = {
        "list": ([a.clone(), b.clone()], lambda p: (p[0], p[1])),
        "tuple": ((a.clone(), b.clone()), lambda p: (p[0], p[1])),
        "dict": ({"u": a.clone(), "v": b.clone()}, lambda p: (p["u"], p["v"])),
        "ParameterList": (nn.ParameterList([nn.Parameter(a.clone()), nn.Parameter(b.clone())]), lambda p: (p[0], p[1])),
        "ParameterDict": (nn.ParameterDict({"u": a.clone(), "v": b.clone()}), lambda p: (p["u"], p["v"])),
    }
    values = []
    for player, read in kinds.values():
        field = Loss(player, lambda m, batch, read=read: loss(*read(m))).on()
        assert field.space.n == 7
        values.append((field(), field.jacobian().to_dense()))
    for value, J in values[1:]:
        torch.testing.assert_close(value, values[0][0])
        torch.testing.assert_close(J, values[0][1])
    names = [e.name for e in Loss({"u": a, "v": b}, lambda m, batch: m["u"].sum()).space.entries]
    assert names == ["model['u']", "model['v']"]


def test_a_tensor_player_is_followed_where_it_goes():
    x = data(3)
    field = Loss(x, lambda m, b: m.pow(4).sum()).on()
    x.add_(1)
    torch.testing.assert_close(field(), -4 * x**3)
    assert torch.equal(field.point, x)


@pytest.mark.parametrize("sizes", [(6, 6), (8, 4), (5, 4, 3)])
def test_batches_weighted_by_size_equal_one_big_batch_for_mean_losses(sizes):
    game = Loss(net(3, 4, 1), lambda m, b: m(b["x"]).pow(4).mean())
    x = data(12, 3)
    parts = [{"x": part} for part in x.split(list(sizes))]
    one, many = game.on({"x": x}), game.on(batches=parts)
    torch.testing.assert_close(many(), one())
    torch.testing.assert_close(many.jacobian().to_dense(), one.jacobian().to_dense())
    assert many.losses()["model"]["loss"] == pytest.approx(one.losses()["model"]["loss"], rel=1e-12)
    assert many.samples == one.samples == 12
    as_loader = game.on(DataLoader([{"x": row} for row in x], batch_size=5))
    torch.testing.assert_close(as_loader(), one())
    by_hook = Game({"model": game.models["model"]}, game.losses, batch_size=lambda b: len(b["x"]) ** 2)
    assert by_hook.on(batches=parts).weights == pytest.approx([s**2 / sum(t**2 for t in sizes) for s in sizes])


def test_losses_come_by_terms_and_sum_to_what_is_differentiated():
    field = small_gan().on(data(6, 3))
    found = field.losses()
    assert {p: set(t) for p, t in found.items()} == {"G": {"loss"}, "D": {"fake", "real"}}
    x = field.point
    step = 1e-6 * field.space.put(torch.zeros_like(x), {"D": field.directions()["D"]})
    slope = (sum(field.losses(x + step)["D"].values()) - sum(field.losses(x - step)["D"].values())) / 2e-6
    assert slope == pytest.approx(-float(field.directions()["D"].square().sum()), rel=1e-6)
