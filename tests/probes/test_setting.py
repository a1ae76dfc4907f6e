"""The optimiser's metric."""

import pytest
import torch
from linear_games import assert_same_spectrum, linear, random_matrix, setting_of

import separatrix as sx
from separatrix.dynamics import SGD, Adam, Alternating, Consensus, Extragradient, Mode, RMSprop, bases_of
from separatrix.errors import ComputationError, InputError
from separatrix.fields import Game
from separatrix.probes import settle
from separatrix.probes.setting import resolve

SIZES = {"a": 2, "b": 3}


def test_the_metric_of_plain_descent_is_the_step_size() -> None:
    matrix = random_matrix(5, 0)
    setting = setting_of(matrix, SIZES, {"a": SGD(0.1), "b": SGD(0.4)})
    scale = torch.tensor([0.1, 0.1, 0.4, 0.4, 0.4], dtype=torch.float64)
    assert torch.equal(setting.scale, scale)
    wanted = torch.linalg.eigvals(scale[:, None] * matrix)
    assert_same_spectrum(torch.linalg.eigvals(setting.operator.to_dense()), wanted, 1e-12)
    assert setting.mode == Mode("none")
    assert "h lambda" in setting.metric


def test_coupled_decay_belongs_to_the_operator_and_is_added_up_where_parameters_are_shared() -> None:
    setting = setting_of(random_matrix(5, 0), SIZES, SGD(0.1, weight_decay=0.5))
    bare = setting_of(random_matrix(5, 0), SIZES, SGD(0.1))
    gap = setting.operator.to_dense() - bare.operator.to_dense()
    assert float((gap + 0.05 * torch.eye(5, dtype=torch.float64)).abs().max()) < 1e-14

    shared = torch.nn.Linear(1, 1, bias=False).double()
    game = Game({"a": shared, "b": shared}, lambda m, _: {"a": m["a"].weight.square().sum(), "b": m["b"].weight.sum()})
    method = sx.Method({"a": SGD(0.1, weight_decay=0.5), "b": SGD(0.1, weight_decay=0.2)})
    found = settle(game.on(), method)
    assert float(found.operator.to_dense()) == pytest.approx(0.1 * (-2 - 0.7), rel=1e-12)
    moved = method.step(game.on(), found.x + 1e-3, method.init(game.on())[1])[0]
    still = method.step(game.on(), found.x, method.init(game.on())[1])[0]
    assert float((moved - still) / 1e-3) == pytest.approx(1 - 0.27, rel=1e-6)


def test_players_with_different_momenta_have_no_common_mode() -> None:
    assert setting_of(random_matrix(5, 0), SIZES, {"a": SGD(0.1), "b": SGD(0.1, momentum=0.5)}).mode is None


@pytest.mark.parametrize("base", [Adam(0.1), RMSprop(0.1)])
def test_before_the_first_step_of_a_base_with_second_moments_there_is_no_metric(base: Adam | RMSprop) -> None:
    setting = setting_of(random_matrix(5, 0), SIZES, base)
    assert setting.frozen is None
    assert "has made no step yet" in setting.why_not
    assert "players 'a' and 'b'" in setting.why_not
    assert setting.metric == "Jacobian, per unit of time"
    assert torch.equal(setting.operator.to_dense(), random_matrix(5, 0))
    with pytest.raises(ComputationError, match="no prediction, since the"):
        setting.update_map()


def test_without_a_method_the_units_are_those_of_the_jacobian() -> None:
    setting = settle(linear(random_matrix(5, 0)))
    assert "no method was given" in setting.why_not
    assert setting.mode is None


def test_players_that_scale_a_shared_parameter_differently_have_no_metric() -> None:
    shared = torch.nn.Linear(1, 1, bias=False).double()
    game = Game({"a": shared, "b": shared}, lambda m, _: m["a"].weight.square().sum())
    setting = settle(game.on(), sx.Method({"a": SGD(0.1), "b": SGD(0.2)}))
    assert setting.why_not == "players share parameters that their bases scale differently"


def test_a_transform_is_part_of_what_is_measured() -> None:
    matrix = random_matrix(4, 2)
    setting = settle(linear(matrix, {"a": 2, "b": 2}), sx.Method(SGD(1.0), transforms=(Consensus(0.3),)))
    wanted = matrix - 0.3 * matrix.T @ matrix
    assert float((setting.operator.to_dense() - wanted).abs().max()) < 1e-12


def a_game() -> Game:
    return Game({"a": torch.ones(2), "b": torch.ones(2)}, lambda m, _: (m["a"] * m["b"]).sum() + m["a"].square().sum())


def test_an_optimizer_of_sx_brings_scheme_transforms_and_states_with_it() -> None:
    game = a_game()
    opt = sx.optim.Consensus(game, torch.optim.Adam, lr=0.1, gamma=0.5, scheme=Extragradient())
    for _ in range(3):
        opt.step(None)
    for given in ({"optimizers": opt}, {"optimizers": {"a": opt, "b": opt}}, {"method": opt}):
        method, states = resolve(game.on(), **given)  # type: ignore[arg-type]
        assert method == opt.method
        assert states is opt.states
    setting = settle(game.on(), opt)
    assert setting.frozen is not None
    assert setting.method == opt.method
    other = resolve(game.on(), optimizers=opt, scheme=Alternating())[0]
    assert other is not None
    assert other.scheme == Alternating()
    assert other.transforms == opt.method.transforms


def test_what_does_not_fit_together_is_refused() -> None:
    game = a_game()
    opt = sx.optim.Simultaneous(game, torch.optim.SGD, lr=0.1)
    larger = Game({"a": torch.ones(3), "b": torch.ones(2)}, lambda m, _: m["a"].sum() * m["b"].sum())
    with pytest.raises(InputError, match=r"Simultaneous trains the players .*; give the optimizer of this game"):
        settle(larger.on(), opt)
    with pytest.raises(InputError, match="not both"):
        resolve(game.on(), optimizers=opt, states=opt.states)
    with pytest.raises(InputError, match="belong to the players of a Game"):
        resolve(linear(random_matrix(5, 0)), optimizers={"a": SGD(0.1)})
    with pytest.raises(InputError, match="say nothing without bases"):
        resolve(game.on(), states=opt.states)
    adam = torch.optim.Adam([torch.ones(2, requires_grad=True)])
    with pytest.raises(InputError, match=r"got a Adam; torch optimizers go into optimizers=\{player"):
        settle(game.on(), adam)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"keeps its own states; give method=opt\.method"):
        bases_of({"a": opt, "b": SGD(0.1)}, game)


def test_a_rate_of_zero_has_no_metric_so_that_nothing_looks_well() -> None:
    game = a_game()
    opt = sx.optim.Simultaneous(game, torch.optim.SGD, lr=0.1)
    opt.param_groups[1]["lr"] = 0.0
    setting = settle(game.on(), opt)
    assert setting.frozen is None
    assert "the learning rate of player 'b' is 0" in setting.why_not
    opt.param_groups[0]["lr"] = 0.0
    found = sx.diagnose(game.on(), method=opt.method, states=opt.states)
    assert "looks wrong" not in found.verdict
    assert [f.code for f in found.findings] == ["not-measured"]
