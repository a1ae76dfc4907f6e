"""The routes of a Jacobian give the same numbers; what differs is what they keep, what they cost and when they are stale."""

import weakref

import pytest
import torch
from field_oracle import assert_products_are_right, differences
from small_games import data, gan_losses, net, small_gan
from torch import nn
from torch.utils.checkpoint import checkpoint

from separatrix.dynamics import Consensus
from separatrix.errors import InputError, StaleOperatorError, UnsupportedOperatorError
from separatrix.fields import FunctionField, Game, Loss
from separatrix.linalg import eigenvalues
from untouched import untouched

OTHERS = ["stream", "dual", "dense"]
BATCHES = [data(6, 3), data(2, 3, seed=4), data(5, 3, seed=5)]


def normed_gan():
    """Dropout, and BatchNorm with running statistics in train mode."""
    generator = nn.Sequential(net(2, 4, last=False), nn.BatchNorm1d(4), nn.Dropout(0.3), net(4, 3, seed=1)).double()
    return Game({"G": generator, "D": net(3, 4, 1, seed=2)}, gan_losses)


def sharing_game():
    trunk = nn.Linear(3, 3).double()
    players = {"a": nn.Sequential(trunk, nn.Tanh(), net(3, 1)), "b": nn.Sequential(trunk, nn.Tanh(), net(3, 1, seed=2))}

    def losses(models, batch):
        a, b = models["a"](batch), models["b"](batch)
        return {"a": (a * b).mean() + a.square().mean(), "b": (b - a.sin()).square().mean()}

    return Game(players, losses)


@pytest.mark.parametrize("make", [small_gan, normed_gan, sharing_game])
def test_over_several_batches_every_route_gives_the_numbers_of_kept_graphs(make):
    game = make()
    field = game.on(batches=BATCHES)
    kept, block, player = field.jacobian(), data(3, field.space.n), field.players[1]
    part = {player: data(field.space.size(player))}
    for route in OTHERS:
        with untouched(*game.models.values(), *BATCHES):
            J = assert_products_are_right(field, route=route)
        assert J.route == route
        assert J.findings == kept.findings == []
        assert torch.equal(J.directions(), kept.directions())
        for found, expected in (
            (J.rows(block), kept.rows(block)),
            (J.T.rows(block), kept.T.rows(block)),
            (J.rows_transpose(part), kept.rows_transpose(part)),
            (torch.cat([*J.rows_apply(block[0]).values()]), torch.cat([*kept.rows_apply(block[0]).values()])),
        ):
            torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("route", ["retained", *OTHERS])
def test_complex_vectors_and_blocks_of_players_go_through_every_route(route):
    field = small_gan().on(batches=BATCHES)
    J, dense = field.jacobian(route=route, checks=False), field.jacobian(checks=False).to_dense()
    z = torch.complex(data(field.space.n), data(field.space.n, seed=8))
    torch.testing.assert_close(J @ z, dense.to(z.dtype) @ z)
    torch.testing.assert_close(J.T @ z, dense.T.to(z.dtype) @ z)
    rows, columns = field.space.index("D"), field.space.index("G")
    torch.testing.assert_close(J["D", "G"].to_dense(), dense[rows, columns])


def test_a_streamed_block_rebuilds_once_for_all_its_vectors():
    field = small_gan().on(batches=BATCHES)
    J = field.jacobian(route="stream", checks=False)
    assert (field.gradients, J.products, J.passes) == (1.0, {"J.T": 0, "J": 0}, 0)
    block = data(5, field.space.n)
    J.T.rows(block)
    assert field.gradients == 1 + (1 + 2 * 5)
    assert (J.products, J.passes) == ({"J.T": 5, "J": 0}, 1)
    J.rows(block)
    assert field.gradients == pytest.approx(12 + 3 + 2.6 * 5)
    assert (J.products, J.passes) == ({"J.T": 5, "J": 5}, 2)
    J @ torch.complex(block[0], block[1])
    assert (J.products, J.passes) == ({"J.T": 5, "J": 7}, 3)
    J["G", "D"].rows(data(4, field.space.size("D")))
    assert (J.products, J.passes) == ({"J.T": 5, "J": 11}, 4)
    before, share = field.gradients, field.share(["D"])
    J.rows_transpose({"D": data(field.space.size("D"))})
    assert field.gradients - before == pytest.approx(3 * share)


def test_a_dual_operator_keeps_no_graph_and_rebuilds_for_each_vector():
    field = small_gan().on(batches=BATCHES)
    J = field.jacobian(route="dual", checks=False)
    block = data(4, field.space.n)
    J.rows(block)
    assert field.gradients == pytest.approx(1 + 3 * 4)
    assert (J.products, J.passes) == ({"J.T": 0, "J": 4}, 0)
    J.T.rows(block)
    assert field.gradients == pytest.approx(13 + 1 + 2 * 4)
    assert J.passes == 1


def test_what_has_no_forward_derivative_is_refused_by_name_on_the_dual_route():
    from module_cases import NOT_TWICE, SMOOTH, against_a_critic

    if NOT_TWICE:
        pytest.skip("this torch has no second derivative of grid_sample at all: see test_modules")
    field = against_a_critic(*SMOOTH["grid_sample"], torch.float64)
    J = field.jacobian(route="dual", checks=False)
    J.T @ J.x
    with pytest.raises(UnsupportedOperatorError, match=r"forward-mode.*grid_sampler.*use route='stream' or 'retained'"):
        J @ J.x


def test_a_dense_operator_costs_its_rows_once_and_nothing_after(monkeypatch):
    monkeypatch.setattr("separatrix.fields.routes.ROWS_AT_A_TIME", 7)
    field = small_gan().on(batches=BATCHES)
    J = field.jacobian(route="dense", checks=False)
    n = field.space.n
    assert field.gradients == 1 + 2 * n
    J.rows(data(4, n))
    J.T @ data(n)
    assert field.gradients == 1 + 2 * n
    assert J.products == {"J.T": 1, "J": 4}
    assert J.passes == 0
    torch.testing.assert_close(J.to_dense(), field.jacobian(checks=False).to_dense())


class Alive:
    """How many bytes autograd holds at a time, at most."""

    def __init__(self):
        self.now = self.peak = 0

    def pack(self, tensor):
        size, held = tensor.numel() * tensor.element_size(), Held(tensor)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(held, self.drop, size)
        return held

    def drop(self, size):
        self.now -= size


class Held:
    def __init__(self, tensor):
        self.tensor = tensor.detach()  # an output that holds its own node would be a cycle; torch links it again


def peak_of(route, batches):
    field = small_gan().on(batches=batches)
    alive, u = Alive(), data(2, field.space.n)
    with torch.autograd.graph.saved_tensors_hooks(alive.pack, lambda held: held.tensor):
        J = field.jacobian(route=route, checks=False)
        J.rows(u)
        J.T.rows(u)
    return alive


def test_streaming_holds_the_graph_of_one_batch_and_lets_it_go():
    few, many = [data(64, 3)], [data(64, 3, seed=s) for s in range(8)]
    assert peak_of("stream", many).peak == peak_of("stream", few).peak
    assert peak_of("retained", many).peak >= 7 * peak_of("retained", few).peak
    assert peak_of("dual", many).peak == peak_of("dual", few).peak
    assert peak_of("stream", many).now == peak_of("dual", many).now == 0
    assert peak_of("dense", few).now == 0


def test_a_streamed_operator_is_stale_when_a_player_moved():
    game = small_gan()
    field, u = game.on(batches=BATCHES), data(game.space.n)
    J = field.jacobian(route="stream", checks=False)
    again = field.jacobian(route="stream", policy="rebuild", checks=False)
    elsewhere = field.jacobian(field.point + 0.1, route="stream", checks=False)
    there = elsewhere @ u
    game.models["D"][0].weight.data.mul_(2)
    for product in (lambda: J @ u, lambda: J.T @ u, lambda: J.rows_apply(u)):
        with pytest.raises(StaleOperatorError, match=r"'game' have changed.*policy='rebuild'"):
            product()
    torch.testing.assert_close(again @ u, field.jacobian() @ u)
    torch.testing.assert_close(elsewhere @ u, there)


def test_a_dense_operator_is_stale_when_a_player_moved_and_forms_its_matrix_anew():
    game = small_gan()
    field, u = game.on(data(6, 3)), data(game.space.n)
    J = field.jacobian(route="dense", checks=False)
    again = field.jacobian(route="dense", policy="rebuild", checks=False)
    game.models["D"][0].weight.data.mul_(2)
    with pytest.raises(StaleOperatorError):
        J @ u
    torch.testing.assert_close(again @ u, differences(field, u), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("change", ["mode", "buffer", "frozen parameter"])
@pytest.mark.parametrize("route", ["stream", "dual"])
def test_a_streamed_operator_sees_what_is_no_parameter(change, route):
    """A graph that is kept keeps all of it; one that is built anew would answer for another field."""
    generator = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 3)).double()
    generator[3].bias.requires_grad_(False)
    if change == "buffer":
        generator.eval()
    field = Game({"G": generator, "D": net(3, 4, 1)}, gan_losses).on(batches=BATCHES)
    x, u = None if route == "stream" else field.point + 0.1, data(field.space.n)
    J, kept = field.jacobian(x, route=route, checks=False), field.jacobian(x, checks=False)
    expected = kept @ u
    torch.testing.assert_close(J @ u, expected)
    if change == "mode":
        generator.eval()
    elif change == "buffer":
        generator[1].running_var.mul_(1.5)
    else:
        generator[3].bias.data.add_(0.1)
    for product in (lambda: J @ u, lambda: J.T @ u):
        with pytest.raises(StaleOperatorError, match=r"other directions.*running statistics.*train or eval mode"):
            product()
    assert torch.equal(kept @ u, expected)


@pytest.mark.parametrize("change", ["mode", "buffer", "frozen parameter"])
def test_a_kept_graph_recomputes_checkpoints_as_they_were(change):
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Tanh(), nn.Linear(8, 2))

        def forward(self, x):
            return checkpoint(self.inner, x, use_reentrant=False)

    torch.manual_seed(0)
    model = Block().double()
    model.inner[4].weight.requires_grad_(False)
    if change == "buffer":
        model.eval()
    field = Loss(model, lambda m, b: m(b).square().sum()).on(data(6, 3))
    J, u = field.jacobian(checks=False), data(field.space.n)
    expected = J.T @ u
    if change == "mode":
        model.eval()
    elif change == "buffer":
        model.inner[1].running_var.mul_(2)
    else:
        model.inner[4].weight.data.mul_(2)
    with untouched(model):
        assert torch.equal(J.T @ u, expected)
    assert not torch.allclose(field.jacobian(checks=False).T @ u, expected)


@pytest.mark.parametrize("route", OTHERS)
def test_a_function_field_and_a_transformed_one_go_through_every_route(route):
    plain = FunctionField(lambda x: torch.stack([-x[1] * x[0], x[0] - x[0] ** 3]), data(2))
    for field in (plain, Consensus(0.7)(plain), Consensus(0.3)(small_gan().on(batches=BATCHES))):
        assert_products_are_right(field, route=route)


@pytest.mark.parametrize("route", OTHERS)
def test_one_player_is_symmetric_on_every_route(route):
    J = Loss(net(3, 4, 1), lambda m, b: m(b).pow(2).mean()).on(batches=BATCHES).jacobian(route=route)
    u = data(J.shape[0])
    assert J.tags == {"symmetric"}
    assert torch.equal(J @ u, J.T @ u)


def test_a_linear_field_streams_zeros():
    x = data(5)
    J = Loss(x.clone(), lambda m, b: (m * b).sum()).on(batches=[x, 2 * x]).jacobian(route="stream")
    assert not J.to_dense().any()


def test_an_eigensolver_finds_the_same_on_every_route():
    field = small_gan().on(batches=BATCHES)
    expected = eigenvalues(field.jacobian(checks=False), k=3, target="largest").values
    for route in OTHERS:
        found = eigenvalues(field.jacobian(route=route, checks=False), k=3, target="largest")
        assert bool(found.converged.all())
        torch.testing.assert_close(found.values, expected, rtol=1e-6, atol=1e-8)


def test_routes_that_do_not_fit_are_named():
    field = small_gan().on(data(6, 3))
    with pytest.raises(
        InputError, match=r"route must be one of 'retained', 'stream', 'dual', 'dense', got 'streaming'"
    ):
        field.jacobian(route="streaming")
    wide = Loss(torch.zeros(10_001), lambda m, b: m.square().sum()).on()
    with pytest.raises(InputError, match=r"10001 x 10001; it takes up to n = 10000.*route='retained'"):
        wide.jacobian(route="dense")
