"""The life of a Jacobian: where it stands, when it is stale, what it costs, and when its memory is freed."""

import gc
import weakref

import pytest
import torch
from field_oracle import differences
from small_games import data, gan_losses, net, small_gan
from torch import nn

from separatrix.errors import StaleOperatorError, WrongDerivativeError
from separatrix.fields import Field, FunctionField, Game, Loss

DOUBLE = torch.float64


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
    leaves = [weakref.ref(leaf) for leaf in J._leaves] + [weakref.ref(row) for row in J._products.rows.values()]
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


def test_a_player_share_is_counted_where_a_penalty_makes_the_data_require_gradients():
    torch.manual_seed(0)
    generator = torch.nn.Linear(4, 3)
    critic = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))

    def losses(models, real):
        real = real.requires_grad_()
        on_real, on_fake = models["D"](real), models["D"](models["G"](torch.randn(len(real), 4)))
        (slope,) = torch.autograd.grad(on_real.sum(), real, create_graph=True)
        penalty = slope.square().sum(1).mean()
        return {"G": -on_fake.mean(), "D": on_fake.mean() - on_real.mean() + penalty}

    field = Game({"G": generator, "D": critic}, losses).on(torch.randn(8, 3))
    shares = [field.share([player]) for player in ("G", "D")]
    assert all(0 < share < 1 for share in shares)
    assert sum(shares) >= 1
