"""Checkpoints: written by train, read by diagnose, and exchanged with plain torch."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from separatrix.cli.checkpoint import checkpoint_of, load_players, load_states
from separatrix.cli.target import find_target
from separatrix.dynamics import SGD, Adam, AdamW, Method, RMSprop, train
from separatrix.errors import InputError
from separatrix.fields import Game


@pytest.mark.parametrize("base", [SGD(0.1), SGD(0.1, 0.9), RMSprop(1e-2, momentum=0.5), Adam(1e-2), AdamW(1e-2)])
def test_players_and_states_come_back_bitwise(cli, tmp_path: Path, base: Any) -> None:
    problem = find_target("game.py:trained")
    method = Method({"G": base, "D": base})
    run = train(problem, 3, method=method)
    torch.save(checkpoint_of(problem.game, method, run.states), tmp_path / "c.pt")
    saved = torch.load(tmp_path / "c.pt", weights_only=True)
    again = find_target("game.py:trained")
    load_players(again.game, saved["players"])
    bases, states = load_states(again.game, method, saved["optimizers"], keep=False)
    assert torch.equal(again.field().point, run.x)
    assert bases == method.bases
    for player, state in run.states.items():
        for name, value in state.items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(states[player][name], value)


def test_a_plain_torch_loop_goes_on_from_it(cli) -> None:
    cli("train", "game.py:trained", "--steps", "3", "-o", "c.pt")
    saved = torch.load("c.pt", weights_only=True)
    generator = nn.Linear(2, 2)
    optimizer = torch.optim.Adam(generator.parameters())
    generator.load_state_dict(saved["players"]["G"])
    optimizer.load_state_dict(saved["optimizers"]["G"])
    assert optimizer.param_groups[0]["betas"] == (0.5, 0.9)
    assert saved["separatrix"] == {"target": "game.py:trained", "steps": 3, "seed": 0}


def test_training_in_two_parts_ends_where_training_at_once_does(cli) -> None:
    """The batch is always the same here, so the seed of the second part does not matter."""
    cli("train", "game.py:trained", "--steps", "6", "-o", "whole.pt")
    cli("train", "game.py:trained", "--steps", "2", "-o", "first.pt")
    cli("train", "game.py:trained", "--steps", "4", "--checkpoint", "first.pt", "-o", "second.pt")
    whole, second = (torch.load(p, weights_only=True)["players"] for p in ("whole.pt", "second.pt"))
    for player in whole:
        for name, tensor in whole[player].items():
            assert torch.equal(tensor, second[player][name]), (player, name)


@pytest.mark.parametrize(
    "method",
    [
        "alternating",
        "optimistic",
        "past-extragradient",
        "reflected",
        "stabilised",
        "lookahead:every=4,weight=0.3",
        "lookahead:every=3,inner=optimistic",
    ],
)
def test_a_run_cut_in_two_is_the_uncut_run_for_schemes_with_and_without_a_memory(cli, method: str) -> None:
    """Cut after 5 of 9 steps: in the middle of a round of Lookahead. The batch is always the same here."""
    run = ("train", "game.py:trained", "--method", method, "-o")
    cli(*run, "whole.pt", "--steps", "9")
    cli(*run, "first.pt", "--steps", "5")
    result = cli(*run, "second.pt", "--steps", "4", "--checkpoint", "first.pt")
    assert "remember" not in result.err
    whole, second = (torch.load(p, weights_only=True) for p in ("whole.pt", "second.pt"))
    assert _tensors(whole).keys() == _tensors(second).keys()
    for name, tensor in _tensors(whole).items():
        assert torch.equal(tensor, _tensors(second)[name]), name
    if method == "alternating":
        return
    # Without the memory the run goes elsewhere, and says so: it is what the equality above rests on.
    bare = torch.load("first.pt", weights_only=True)
    del bare["scheme"]
    torch.save(bare, "old.pt")
    result = cli(*run, "other.pt", "--steps", "4", "--checkpoint", "old.pt")
    assert "old.pt does not hold what" in result.err
    other = _tensors(torch.load("other.pt", weights_only=True))
    assert any(not torch.equal(tensor, other[name]) for name, tensor in _tensors(whole).items())


def _tensors(saved: Any, path: str = "") -> dict[str, torch.Tensor]:
    if isinstance(saved, torch.Tensor):
        return {path: saved}
    items = saved.items() if isinstance(saved, dict) else enumerate(saved) if isinstance(saved, list) else ()
    return {name: t for key, value in items for name, t in _tensors(value, f"{path}/{key}").items()}


def test_what_one_scheme_remembers_is_not_given_to_another_and_that_is_told(cli) -> None:
    cli("train", "game.py:trained", "--method", "lookahead:every=5", "--steps", "4", "-o", "c.pt")
    go_on = ("train", "game.py:trained", "--steps", "1", "--checkpoint", "c.pt")
    for method in ("lookahead:every=3", "optimistic", "alternating"):  # after 4 steps "every 3" would never come
        said = cli(*go_on, "--method", method).err
        assert "c.pt holds what lookahead (inner simultaneous, every 5, weight 0.5) remembers" in said
        assert "left out" in said
    again = cli(*go_on, "--method", method, "-o", "d.pt")
    assert again.code == 0
    assert "scheme" not in torch.load("d.pt", weights_only=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"memory": {"count": 1}}, "remembers the checkpoint has count, here it keeps count, step:D, step:G"),
        ({"memory": 3}, "'scheme' is not .'settings'"),
        (
            {"memory": {"count": 1, "step:G": torch.ones(3), "step:D": torch.ones(13)}},
            r"'step:G' of what optimistic .* has shape \(3,\)",
        ),
    ],
)
def test_a_memory_that_does_not_fit_is_refused(refused, cli, change: dict[str, Any], message: str) -> None:
    cli("train", "game.py:trained", "--method", "optimistic", "--steps", "2", "-o", "c.pt")
    saved = torch.load("c.pt", weights_only=True)
    saved["scheme"].update(change)
    torch.save(saved, "c.pt")
    assert re.search(message, refused("train", "game.py:trained", "--method", "optimistic", "--checkpoint", "c.pt"))


def test_a_checkpoint_of_a_torch_loop_is_diagnosed_with_its_own_settings(cli) -> None:
    """A game without a method of its own: the optimizers of the checkpoint say how it is trained."""
    problem = find_target("game.py:trained")
    optimizers = {p: torch.optim.RMSprop(m.parameters(), lr=3e-3) for p, m in problem.game.models.items()}
    for optimizer in optimizers.values():
        for parameter in optimizer.param_groups[0]["params"]:
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
    torch.save(
        {
            "players": {p: m.state_dict() for p, m in problem.game.models.items()},
            "optimizers": {p: o.state_dict() for p, o in optimizers.items()},
        },
        "loop.pt",
    )
    torch.save(torch.ones(4, 2), "real.pt")
    result = cli("diagnose", "game.py:gan", "--data", "real.pt", "--checkpoint", "loop.pt", "--budget", "1", "--json")
    assert result.code == 0, result.err
    bases = result.json["sections"]["method"]["bases"]
    assert {p: (b["kind"], b["lr"]) for p, b in bases.items()} == {"G": ("RMSprop", 3e-3), "D": ("RMSprop", 3e-3)}
    assert result.json["sections"]["method"]["scheme"] == "alternating"


def test_settings_named_by_the_user_hold_instead_of_the_checkpoints(cli) -> None:
    cli("train", "game.py:trained", "--steps", "2", "-o", "c.pt")
    result = cli(
        "diagnose", "game.py:trained", "--checkpoint", "c.pt", "--optimizer", "adam:lr=0.5", "--budget", "1", "--json"
    )
    section = result.json["sections"]["method"]
    assert section["bases"]["G"]["lr"] == 0.5
    assert section["steps_made"] == {"G": 2, "D": 2}


def test_optimizers_may_hold_constant_parameters_too(cli) -> None:
    body = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    body[0].requires_grad_(False)
    game = Game({"model": body}, lambda m, batch: m["model"](torch.ones(1, 1)).sum())
    optimizer = torch.optim.Adam(body.parameters(), lr=0.25)
    bases, _ = load_states(game, None, {"model": optimizer.state_dict()}, keep=False)
    assert bases["model"].lr == 0.25


def test_players_without_optimizers_are_enough(cli) -> None:
    problem = find_target("game.py:problem")
    torch.save({"players": {p: 2 * t for p, t in problem.game.models.items()}}, "c.pt")
    assert (
        cli("train", "game.py:problem", "--steps", "0", "--checkpoint", "c.pt", "--json").json["score"]["size"]["after"]
        == 2
    )


def _gan(**changes: Any) -> dict[str, Any]:
    nets = {"G": nn.Linear(2, 2), "D": nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))}
    optimizers = {p: torch.optim.Adam(m.parameters()) for p, m in nets.items()}
    for p, m in nets.items():
        m(torch.ones(1, 2)).sum().backward()
        optimizers[p].step()
    saved: dict[str, Any] = {
        "players": {p: m.state_dict() for p, m in nets.items()},
        "optimizers": {p: o.state_dict() for p, o in optimizers.items()},
    }
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = saved
        for key in parents:
            place = place[int(key) if key.isdigit() else key]
        last = int(last) if last.isdigit() else last
        place.pop(last) if value is None else place.__setitem__(last, value)
    return saved


SGD_STATE = torch.optim.SGD([torch.ones(1)], lr=1.0).state_dict()
LION = {"state": {}, "param_groups": [{"lr": 1.0, "rho": 2, "params": [0, 1]}]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"players": None}, "holds a dict with the keys optimizers; a checkpoint is {'players'"),
        ({"optimizers": 3}, "'optimizers' holds a int"),
        ({"players__D": None}, "the checkpoint has the players G, the game has G, D"),
        ({"players__G__bias": None}, "the checkpoint lacks tensor 'bias' of player 'G'"),
        ({"players__G__extra": torch.ones(1)}, "tensor 'extra' is unknown to player 'G'"),
        (
            {"players__G__weight": torch.ones(3, 2)},
            r"tensor 'weight' of player 'G' has shape \(3, 2\) in the checkpoint, \(2, 2\)",
        ),
        ({"players__G": torch.ones(3)}, "lacks tensor '(weight|bias)' of player 'G'"),
        ({"optimizers__D": None}, "the checkpoint has optimizers for G, the players are G, D"),
        (
            {"optimizers__G": SGD_STATE},
            "optimizer of player 'G' is SGD, the method uses Adam; add --optimizer G=sgd:lr=",
        ),
        ({"optimizers__G": LION}, "is none of SGD, RMSprop, Adam and AdamW .its settings are lr, params, rho"),
        ({"optimizers__G": 3}, r"is not the state_dict\(\) of a torch optimizer"),
        (
            {"optimizers__G__param_groups__0__params": [0]},
            "optimizer of player 'G' holds 1 tensors, the player moves 2",
        ),
        (
            {"optimizers__G__state__0__exp_avg": torch.ones(5)},
            r"'exp_avg' of tensor number 0 of player 'G' has shape \(5,\)",
        ),
    ],
)
def test_a_checkpoint_that_does_not_fit_names_player_and_tensor(refused, changes: dict[str, Any], message: str) -> None:
    torch.save(_gan(**changes), "c.pt")
    assert re.search(message, refused("diagnose", "game.py:trained", "--checkpoint", "c.pt", "--train", "5"))


def test_nothing_is_loaded_where_one_tensor_does_not_fit(cli) -> None:
    problem = find_target("game.py:trained")
    before = problem.field().point
    with pytest.raises(InputError, match="of player 'D'"):
        load_players(problem.game, _gan(**{"players__D__2.bias": torch.ones(7)})["players"])
    assert torch.equal(problem.field().point, before)


@pytest.mark.parametrize("contents", [b"no zip file", b""])
def test_a_file_that_is_no_checkpoint_is_named(refused, contents: bytes) -> None:
    Path("c.pt").write_bytes(contents)
    assert re.search(
        r"--checkpoint c.pt is damaged, or holds more than tensors and plain data",
        refused("train", "--checkpoint", "c.pt"),
    )


def test_a_raw_tensor_of_another_size_is_named_by_its_player(refused) -> None:
    torch.save({"players": {"x": torch.ones(2), "y": torch.ones(1)}}, "c.pt")
    said = refused("train", "game.py:problem", "--checkpoint", "c.pt")
    assert "the tensor of player 'x' has shape (2,) in the checkpoint, (1,) in the game" in said


def test_other_contents_are_named(refused) -> None:
    torch.save(torch.ones(2), "c.pt")
    assert "holds a Tensor; a checkpoint is {'players'" in refused("train", "--checkpoint", "c.pt")
    assert "there is no such file" in refused("train", "--checkpoint", "d.pt")


def test_a_field_has_no_players_to_load(refused) -> None:
    torch.save(_gan(), "c.pt")
    assert "this command needs a Game" in refused("diagnose", "game.py:field", "--checkpoint", "c.pt")


AVERAGED = """
from dataclasses import replace

from separatrix.dynamics import Average, Clock

clock = Clock()
averages = {"G": Average(trained.game.models["G"], half_life=3.0, ramp=None)}
problem = replace(
    trained, averages=averages, state={"clock": clock}, after=clock.tick,
    score=lambda m: {"size": float(m["G"].weight.detach().norm())}, better={"size": "lower"},
)
"""


def test_averages_and_other_state_go_on_too_and_both_scores_are_told(cli) -> None:
    Path("averaged.py").write_text(Path("game.py").read_text() + AVERAGED)
    run = ("train", "averaged.py:problem", "--json", "-o")
    whole = cli(*run, "whole.pt", "--steps", "9")
    assert whole.code == 0, whole.err
    scored = whole.json["score"]
    cli(*run, "first.pt", "--steps", "5")
    second = cli(*run, "second.pt", "--steps", "4", "--checkpoint", "first.pt")
    assert second.code == 0, second.err
    assert "begin anew" not in second.err
    saved, again = (torch.load(p, weights_only=True) for p in ("whole.pt", "second.pt"))
    assert int(saved["state"]["clock"]["made"]) == 9
    assert _tensors(saved).keys() == _tensors(again).keys()
    assert all(torch.equal(tensor, _tensors(again)[name]) for name, tensor in _tensors(saved).items())
    assert list(scored) == ["size", "size of the averages"]
    assert scored["size of the averages"]["better"] == "lower"
    assert {k: v["after"] for k, v in scored.items()} == {k: v["after"] for k, v in second.json["score"].items()}
    assert scored["size"]["after"] != scored["size of the averages"]["after"]
    shown = cli("diagnose", "averaged.py:problem", "--checkpoint", "whole.pt", "--budget", "1").out
    assert "size of the averages" in shown


def test_a_checkpoint_without_averages_says_that_they_begin_anew_at_the_players_and_one_that_does_not_fit_is_named(
    cli,
) -> None:
    Path("averaged.py").write_text(Path("game.py").read_text() + AVERAGED)
    cli("train", "game.py:trained", "--steps", "3", "-o", "plain.pt")
    result = cli("train", "averaged.py:problem", "--steps", "0", "--checkpoint", "plain.pt", "--json")
    assert "plain.pt does not hold the average of 'G', the state 'clock', which begin anew" in result.err
    assert len({score["after"] for score in result.json["score"].values()}) == 1
    saved = torch.load("plain.pt", weights_only=True)
    torch.save({**saved, "averages": {"G": {"made": torch.tensor(1)}}}, "wrong.pt")
    result = cli("train", "averaged.py:problem", "--steps", "1", "--checkpoint", "wrong.pt")
    assert result.code == 2
    assert "the checkpoint's average of 'G' does not fit" in result.err
