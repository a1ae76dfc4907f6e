"""Games whose Jacobians are known in closed form, and what holds for every game."""

import gc
import math
import weakref

import pytest
import torch
from field_oracle import differences
from hypothesis import given, settings
from hypothesis import strategies as st
from small_games import data, gan_losses, net, small_gan
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from separatrix.errors import StaleOperatorError
from separatrix.fields import Field, FunctionField, Game, Loss

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


def test_a_moved_player_makes_the_operator_stale_until_it_is_back():
    game = small_gan()
    field, u = game.on(data(6, 3)), data(game.space.n)
    J, again = field.jacobian(), field.jacobian(policy="rebuild")
    elsewhere = field.jacobian(field.point + 0.1, checks=False)
    before, there = J @ u, elsewhere @ u
    weight = game.models["D"][0].weight
    version = weight._version
    weight.data.mul_(2)
    assert weight._version == version  # what a version counter does not see
    for product in (lambda: J @ u, lambda: J.T @ u, lambda: J["G", "D"].to_dense(), lambda: J.rows_apply(u)):
        with pytest.raises(StaleOperatorError, match=r"'game' have changed.*policy='rebuild'"):
            product()
    torch.testing.assert_close(again @ u, field.jacobian() @ u)
    torch.testing.assert_close(again.x, field.point)
    assert torch.equal(elsewhere @ u, there)
    weight.data.div_(2)
    assert torch.equal(J @ u, before)


def test_a_jacobian_at_an_explicit_point_is_that_of_the_field_there():
    field = small_gan().on(data(6, 3))
    x, z = field.point + 0.3, data(field.space.n)
    J = field.jacobian(x)
    assert torch.equal(J.x, x)
    torch.testing.assert_close(J @ z, differences(field, z, x), rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(field(torch.stack([x, field.point]))[0], field(x))


def test_the_draw_is_frozen_by_the_seed():
    field = small_gan().on(data(6, 3), seed=1)
    torch.manual_seed(99)
    assert torch.equal(field(), small_gan().on(data(6, 3), seed=1)())
    assert not torch.equal(field(), field.with_seed(2)())


def test_a_function_field_takes_batches_of_points():
    field = FunctionField(lambda x: torch.stack([-x[1], x[0] - x[0] ** 3]), torch.zeros(2, dtype=DOUBLE))
    points = data(5, 2)
    torch.testing.assert_close(field(points), torch.stack([field(p) for p in points]))
    assert field.gradients == 10
    J = field.at(points[0]).jacobian()
    assert J.tags == frozenset()
    expected = torch.tensor([[0.0, -1.0], [1 - 3 * float(points[0, 0]) ** 2, 0.0]], dtype=DOUBLE)
    torch.testing.assert_close(J.to_dense(), expected)


def test_a_function_field_may_be_the_gradient_of_a_potential():
    def descent(x):
        x = x if x.requires_grad else x.requires_grad_()
        return -torch.autograd.grad(x.pow(4).sum() / 4, x, create_graph=True)[0]

    field = FunctionField(descent, torch.tensor([2.0], dtype=DOUBLE))
    assert field().tolist() == [-8.0]
    assert field.jacobian().to_dense().tolist() == [[-12.0]]


def test_a_function_field_that_hides_something_is_refused():
    from separatrix.errors import WrongDerivativeError

    with pytest.raises(WrongDerivativeError, match="detached factor"):
        FunctionField(lambda x: -x * x.detach(), torch.ones(2, dtype=DOUBLE)).jacobian()


def test_shares_are_those_of_the_floating_point_operations():
    field = Game(
        {"G": net(8, 64, 3), "D": net(3, 4, 1)},
        {"G": lambda m, b: m["G"](b).sum(), "D": lambda m, b: m["D"](b[:, :3]).sum()},
    ).on(data(16, 8))
    assert field.share() == field.share(["D", "G"]) == 1.0
    assert field.share(["G"]) + field.share(["D"]) == pytest.approx(1.0)
    assert field.share(["G"]) > 0.9
    before = field.gradients
    field.directions(players=["D"])
    assert field.gradients - before == pytest.approx(field.share(["D"]))


def test_gradients_are_counted():
    field = small_gan().on(data(6, 3))
    field()
    assert field.gradients == 1
    J = field.jacobian(checks=False)
    assert field.gradients == 2
    J.T @ J.x
    assert field.gradients == 4
    J @ J.x
    assert field.gradients == pytest.approx(4 + 2 + 2.6)
    assert J.products == {"J.T": 1, "J": 1}


def test_a_one_player_jacobian_is_symmetric_and_answers_both_ways_with_one_graph():
    J = Loss(net(3, 4, 1), lambda m, b: m(b).pow(2).mean()).on(data(6, 3)).jacobian()
    u = data(J.shape[0])
    assert J.tags == {"symmetric"}
    assert J.T is J
    assert torch.equal(J @ u, J.T @ u)
    torch.testing.assert_close(J @ u, J.rows_apply(u)["model"])


def test_dropping_a_jacobian_frees_its_graph():
    field = small_gan().on(data(6, 3))
    J = field.jacobian()
    J @ J.x
    leaves = [weakref.ref(leaf) for leaf in J._leaves] + [weakref.ref(row) for row in J._rows.values()]
    gc.collect()
    gc.disable()
    try:
        del J
        assert all(ref() is None for ref in leaves)
    finally:
        gc.enable()


def test_players_that_share_a_parameter_have_rows_of_their_own():
    shared = nn.Parameter(data(2))
    players = {"a": nn.ParameterList([shared, nn.Parameter(data(1))]), "b": nn.ParameterList([shared])}

    def losses(m, batch):
        s, own = m["a"][0], m["a"][1]
        assert m["b"][0] is s
        return {"a": (s[0] * own**2).sum() + s[1] ** 3, "b": s[0] ** 2 * s[1]}

    field = Game(players, losses).on()
    s0, s1, own = field.point.tolist()
    torch.testing.assert_close(
        field(), -torch.tensor([own**2 + 2 * s0 * s1, 3 * s1**2 + s0**2, 2 * s0 * own], dtype=DOUBLE)
    )
    J = field.jacobian()
    dense = -torch.tensor([[2 * s1, 2 * s0, 2 * own], [2 * s0, 6 * s1, 0], [2 * own, 0, 2 * s0]], dtype=DOUBLE)
    torch.testing.assert_close(J.to_dense(), dense)
    z = data(3)
    rows = J.rows_apply(z)
    torch.testing.assert_close(rows["b"], -torch.tensor([[2 * s1, 2 * s0], [2 * s0, 0]], dtype=DOUBLE) @ z[:2])
    only_b = J.rows_transpose({"b": z[:2]})
    torch.testing.assert_close(only_b[:2], -torch.tensor([[2 * s1, 2 * s0], [2 * s0, 0]], dtype=DOUBLE) @ z[:2])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_false_alarm_for_a_leaky_gan_of_ordinary_size(dtype):
    torch.manual_seed(0)
    G = nn.Sequential(nn.Linear(2, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 3))
    D = nn.Sequential(nn.Linear(3, 128), nn.LeakyReLU(0.2), nn.Linear(128, 128), nn.LeakyReLU(0.2), nn.Linear(128, 1))
    field: Field = Game({"G": G.to(dtype), "D": D.to(dtype)}, gan_losses).on(data(128, 3))
    assert field.jacobian().findings == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_the_jacobian_is_that_of_the_cpu():
    host = small_gan()
    u = data(host.space.n)

    # Without noise: that of a GPU is another.
    def quiet(m, batch):
        return {
            "G": m["D"](m["G"](batch[:, :2])).mean(),
            "D": m["D"](batch).square().mean() - m["D"](m["G"](batch[:, :2])).mean(),
        }

    expected = Game(host.models, quiet).on(data(6, 3)).jacobian() @ u
    there = {name: model.cuda() for name, model in host.models.items()}
    field = Game(there, quiet).on(data(6, 3))
    J = field.jacobian()
    torch.testing.assert_close((J @ u.cuda()).cpu(), expected)
    dense, G = J.to_dense(), field.space.index("G")
    torch.testing.assert_close(J["G", "G"].to_dense(), dense[G, G])
