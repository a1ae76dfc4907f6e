"""Bad input gives one clear error that names the culprit, the value and the remedy, and nothing is changed."""

import re

import pytest
import torch
from small_games import data, net, small_gan
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from separatrix.dynamics import SGD, optim
from separatrix.errors import InputError, NonFiniteError
from separatrix.fields import FunctionField, Game, Loss, Space
from untouched import untouched


def two(a, b):
    return {"G": net(2, 3), "D": net(3, 1)}, lambda m, batch: {"G": a(m, batch), "D": b(m, batch)}


def value(m, batch):
    return m["D"](m["G"](batch)).mean()


RETURNED = {
    "a NaN": (lambda m, b: m["G"](b).sum() * float("nan"), r"the loss of player 'G' is nan; check the parameters"),
    "an infinity": (lambda m, b: value(m, b) / 0, r"the loss of player 'G' is (-?)inf; check the parameters"),
    "a vector": (lambda m, b: m["G"](b).sum(1), r"the loss of player 'G' has shape \(6,\).*\.mean\(\) or \.sum\(\)"),
    "a number": (lambda m, b: value(m, b).item(), r"the loss of player 'G' is a float.*no \.item\(\)"),
    "nothing": (lambda m, b: None, r"the loss of player 'G' is a NoneType"),
    "an integer": (lambda m, b: (m["G"](b) > 0).sum(), r"the loss of player 'G' has dtype torch.int64"),
    "a complex number": (lambda m, b: value(m, b) * 1j, r"the loss of player 'G' has dtype torch.complex128"),
    "no term": (lambda m, b: {}, r"the loss of player 'G' has no term"),
    "a term that is a NaN": (
        lambda m, b: {"adv": value(m, b), "rec": value(m, b) * float("nan")},
        r"'G', term 'rec', is nan",
    ),
    "a detached loss": (lambda m, b: value(m, b).detach(), r"player 'G' does not depend on .* look for \.detach\(\)"),
    "the wrong player's": (
        lambda m, b: m["D"](b.new_ones(3)).sum(),
        r"player 'G' does not depend on any trainable parameter",
    ),
    "an error": (lambda m, b: m["G"](b[:, :1]), r"the losses of 'game' raised RuntimeError: .*shapes"),
}


@pytest.mark.parametrize("name", RETURNED)
def test_a_bad_loss_is_named(name):
    loss, message = RETURNED[name]
    players, losses = two(loss, value)
    field = Game(players, losses).on(data(6, 2))
    for act in (field, field.jacobian):
        kind = NonFiniteError if name in ("a NaN", "an infinity", "a term that is a NaN") else InputError
        with untouched(*players.values()), pytest.raises(kind, match=message):
            act()


def fails(x):
    return x @ x.new_ones(7, 7)


def test_what_the_losses_raise_is_told_with_the_users_own_file_and_line():
    line = fails.__code__.co_firstlineno + 1
    players, losses = two(lambda m, b: fails(m["G"](b)), value)
    game = Game(players, losses)
    wanted = rf"raised RuntimeError: .*shapes.*\({re.escape(__file__)}, line {line}\)\.$"
    with pytest.raises(InputError, match=wanted):
        game.on(data(6, 2))()
    with pytest.raises(InputError, match=wanted):
        optim.Simultaneous(game, SGD(0.1)).step(data(6, 2))


def test_likely_slips_get_a_remedy():
    players, losses = two(lambda m, b: m["generator"](b).sum(), value)
    with pytest.raises(InputError, match=r"raised KeyError: 'generator' .*\. The players are G, D\.$"):
        Game(players, losses).on(data(6, 2))()
    players, losses = two(lambda m, b: m["G"](b[0] + b[1]).sum(), value)
    with pytest.raises(InputError, match=r"The batch is a list of 3: several batches go into a DataLoader\.$"):
        Game(players, losses).on([(data(6, 2),)] * 3)()


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ({"G": 1.0}, r"nothing for player 'D'; they return \['G'\]"),
        ({"G": 1.0, "D": 1.0, "E": 1.0}, r"unknown players \['E'\]; the players are \['G', 'D'\]"),
        ({"G": 1.0, 3: 1.0, "D": 1.0}, r"unknown players \[3\]"),
        ([1.0, 2.0], r"losses must return \{player: scalar\}.* got list"),
        (None, r"got NoneType"),
    ],
)
def test_losses_for_the_wrong_players_are_named(returned, message):
    def losses(m, batch):
        v = value(m, batch)
        return {k: x * v for k, x in returned.items()} if isinstance(returned, dict) else returned

    with pytest.raises(InputError, match=message):
        Game({"G": net(2, 3), "D": net(3, 1)}, losses).on(data(6, 2))()


def test_one_scalar_for_three_players_is_refused():
    with pytest.raises(InputError, match=r"one scalar for 3 players.*Return \{player: scalar\}"):
        Game({"a": data(2), "b": data(2), "c": data(2)}, lambda m, b: m["a"].sum()).on()()


@pytest.mark.parametrize(
    ("players", "losses", "message"),
    [
        (dict, None, "at least one player"),
        (lambda: {"": data(2)}, None, "non-empty string"),
        (lambda: {"G": 3}, None, "player 'G' is a int; a player is a torch.nn.Module"),
        (lambda: {"G": nn.Tanh()}, None, "player 'G' has no trainable parameter"),
        (
            lambda: {"G": net(2, 3).requires_grad_(False)},
            None,
            r"player 'G' has no trainable parameter.*requires_grad_\(True\)",
        ),
        (lambda: {"G": torch.arange(3)}, None, "G has dtype torch.int64; .* real floating point"),
        (lambda: {"G": {"w": torch.ones(2, dtype=torch.complex64)}}, None, r"G\['w'\] has dtype torch.complex64"),
        (lambda: {"G": [data(2), "w"]}, None, "player 'G' holds a str at 1"),
        (lambda: {"G": data(2).requires_grad_() * 2}, None, "holds the result of a computation"),
        (lambda: {"G": nn.LazyLinear(3)}, None, "G.weight has no shape yet.*run the module once"),
        (lambda: {"G": net(2, 3), "D": net(3, 1).float()}, None, "different dtypes or devices"),
        (lambda: {"G": data(2)}, 3, "losses must be a function"),
        (lambda: {"G": data(2)}, {"H": value}, r"the losses are for \['H'\], the players are \['G'\]"),
    ],
)
def test_a_game_that_cannot_be_is_refused_when_it_is_made(players, losses, message):
    with pytest.raises(InputError, match=message):
        Game(players(), value if losses is None else losses)


def test_an_integer_parameter_in_a_module_is_named():
    model = nn.Linear(2, 2)
    model.register_parameter("table", nn.Parameter(torch.arange(3), requires_grad=False))
    with pytest.raises(InputError, match=r"G.table has dtype torch.int64"):
        Game({"G": model}, value)


def test_randomness_beyond_control_is_named():
    generator = torch.Generator().manual_seed(0)

    def loss(m, b):
        return m(torch.randn(6, 2, generator=generator, dtype=torch.float64)).square().mean()

    with pytest.raises(InputError, match=r"different gradients at the same point.*torch.Generator of their own"):
        Loss(net(2, 3), loss).on().jacobian()


def test_state_kept_between_calls_outside_the_modules_is_named():
    calls = []

    def loss(m, b):
        calls.append(1)
        return m(b).square().mean() * len(calls)

    with pytest.raises(InputError, match="state kept between calls"):
        Loss(net(2, 3), loss).on(data(6, 2)).jacobian()


def test_a_gradient_that_is_not_finite_names_player_and_tensor():
    x = torch.tensor([0.0, 1.0], dtype=torch.float64)
    field = Loss(x, lambda m, b: m.sqrt().sum()).on()
    for act in (field, field.jacobian):
        with pytest.raises(NonFiniteError, match="gradient of player 'model' is"):
            act()


def test_a_second_derivative_that_is_not_finite_is_named():
    x = torch.tensor([0.0, 1.0], dtype=torch.float64)
    J = Loss(x, lambda m, b: m.abs().pow(1.5).sum()).on().jacobian(checks=False)
    with pytest.raises(NonFiniteError, match=r"the product J.T @ u is .* in model"):
        J.T @ torch.ones(2, dtype=torch.float64)


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda g: g.on(DataLoader(TensorDataset(torch.zeros(0, 3)))), "hold no batch"),
        (lambda g: g.on(batches=[]), "hold no batch"),
        (lambda g: g.on(data(4, 3), batches=[data(4, 3)]), "not both"),
        (lambda g: g.on(iter([data(4, 3)])), "list_iterator is used up"),
        (lambda g: g.on(batches=[data(4, 3), data(0, 3)]), "batch number 1 holds no sample"),
        (lambda g: g.on(data(4, 3), dtype=torch.int32), "floating-point dtype, got torch.int32"),
    ],
)
def test_data_that_cannot_be_read_are_named(read, message):
    with pytest.raises(InputError, match=message):
        read(small_gan())


def test_points_and_vectors_of_the_wrong_shape_are_named():
    field = small_gan().on(data(6, 3))
    n = field.space.n
    for act in (
        lambda: field(torch.zeros(3)),
        lambda: field.jacobian(torch.zeros(3)),
        lambda: field(torch.zeros(2, 3)),
    ):
        with pytest.raises(InputError, match=re.escape(f"has shape ({n},), got (3,)")):
            act()
    J = field.jacobian()
    with pytest.raises(InputError, match="takes vectors of shape"):
        J @ torch.zeros(3, dtype=torch.float64)
    with pytest.raises(InputError, match=r"torch.float64 on cpu, the vector is torch.float32.*\.to\("):
        J @ torch.zeros(n)
    with pytest.raises(InputError, match="the part of player 'G' has shape"):
        J.rows_transpose({"G": torch.zeros(3, dtype=torch.float64)})
    with pytest.raises(InputError, match="no player 'E'; the players are 'G', 'D'"):
        J["E", "G"]
    with pytest.raises(InputError, match="policy must be 'strict' or 'rebuild', got 'loose'"):
        field.jacobian(policy="loose")


def test_a_function_that_changes_the_shape_or_is_not_finite_is_named():
    with pytest.raises(InputError, match="must keep the shape"):
        FunctionField(lambda x: x[:1], torch.ones(2))()
    with pytest.raises(NonFiniteError, match="point number 1 of 2"):
        FunctionField(lambda x: 1 / x, torch.ones(1))(torch.tensor([[1.0], [0.0]]))
    with pytest.raises(InputError, match="flat floating-point tensor"):
        FunctionField(lambda x: x, torch.ones(2, 2))
    with pytest.raises(InputError, match="add up to 3, the point has 2"):
        FunctionField(lambda x: x, torch.ones(2), players={"a": 1, "b": 2})


def test_a_parameter_replaced_after_the_game_was_made_is_named():
    game = small_gan()
    field = game.on(data(6, 3))
    torch.nn.utils.parametrizations.weight_norm(game.models["D"][0])
    with pytest.raises(InputError, match=r"D\.0\.weight was replaced.*make the Game again"):
        field()


def test_a_space_says_what_it_does_not_know():
    with pytest.raises(InputError, match="no player 'z'"):
        Space.of_sizes({"x": 2}).index("z")


def test_losses_that_leave_out_the_models_are_not_blamed_on_the_batch():
    with pytest.raises(InputError, match="KeyError: 'H'"):
        Game({"G": net(2, 3)}, lambda m, b: m["H"](b)).on(data(6, 2))()
