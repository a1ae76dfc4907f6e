"""Diagnose: what may be given, what is left out and said so, and that nothing of the user's is touched."""

import sys
from typing import Any

import pytest
import torch
from linear_games import linear, random_matrix
from torch import Tensor, nn

import separatrix as sx
from separatrix.dynamics import SGD, Adam, Alternating, Consensus, Extragradient, Simultaneous
from separatrix.errors import InputError, NonFiniteError
from separatrix.probes import Diagnosis
from separatrix.probes.diagnose import diagnose
from separatrix.zoo import load
from untouched import untouched


def a_gan(dtype: torch.dtype = torch.float64) -> tuple[sx.Game, Tensor, dict[str, torch.optim.Optimizer]]:
    """With batch normalisation and dropout, so that there is a state that could be touched."""
    torch.manual_seed(0)
    g = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Tanh(), nn.Linear(3, 2)).to(dtype)
    d = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Dropout(0.1), nn.Linear(4, 1)).to(dtype)

    def losses(m: dict[str, Any], real: Tensor) -> dict[str, Tensor]:
        fake = m["D"](m["G"](torch.randn(len(real), 2, dtype=real.dtype)))
        soft = nn.functional.softplus
        return {"G": soft(-fake).mean(), "D": soft(fake).mean() + soft(-m["D"](real)).mean()}

    real = torch.randn(32, 2, dtype=dtype)
    optimizers = {
        "G": torch.optim.Adam(g.parameters(), 1e-3, (0.5, 0.9)),
        "D": torch.optim.Adam(d.parameters(), 1e-3, (0.5, 0.9)),
    }
    return sx.Game({"G": g, "D": d}, losses), real, optimizers


def step(game: sx.Game, real: Tensor, optimizers: dict[str, torch.optim.Optimizer], times: int = 3) -> None:
    for _ in range(times):
        found = game.losses({"G": game.models["G"], "D": game.models["D"]}, real)  # type: ignore[operator]
        for player, optimizer in optimizers.items():
            optimizer.zero_grad()
            found[player].backward(retain_graph=True, inputs=list(game.models[player].parameters()))
        for optimizer in optimizers.values():
            optimizer.step()


SMALL: dict[str, Any] = {"own_steps": 3, "max_products": 60, "k": 2}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_a_gan_with_torch_optimizers_is_measured_and_left_as_it_was(dtype: torch.dtype) -> None:
    game, real, optimizers = a_gan(dtype)
    step(game, real, optimizers)
    with untouched(game.models["G"], game.models["D"], real, list(optimizers.values())):
        found = sx.diagnose(
            game.on(real), optimizers=optimizers, held_out=real + 0.1, path=torch.zeros(3, game.space.n), **SMALL
        )
    assert found["method"]["scheme"] == "alternating"
    assert found["method"]["bases"]["G"]["betas"] == (0.5, 0.9) or found["method"]["bases"]["G"]["betas"] == [0.5, 0.9]
    assert found["method"]["steps_made"] == {"G": 3, "D": 3}
    assert found["problem"]["dtype"] == str(dtype).removeprefix("torch.")
    for section in (
        "spectrum",
        "signature",
        "interplay",
        "sharpness",
        "stability",
        "horizon",
        "forecast",
        "slice",
        "best_response",
        "cost",
    ):
        assert found[section] is not None, (section, found.notes)
    assert found["best_response"]["rows"][0]["gain_held_out"] is not None
    # The last point of the path is the one that is measured.
    assert found["slice"]["path"][-1] == [0.0, 0.0]
    assert len(found["slice"]["path"]) == 4
    assert found.notes == ()


def test_nothing_is_touched_where_a_measurement_fails() -> None:
    game, real, optimizers = a_gan()
    step(game, real, optimizers)
    poisoned = torch.full_like(real, torch.nan)
    with (
        untouched(game.models["G"], game.models["D"], list(optimizers.values())),
        pytest.raises((NonFiniteError, InputError)),
    ):
        sx.diagnose(game.on(poisoned), optimizers=optimizers, **SMALL)

    def stop(part: str) -> None:
        if part == "interplay":
            raise KeyboardInterrupt

    with untouched(game.models["G"], game.models["D"], list(optimizers.values())), pytest.raises(KeyboardInterrupt):
        sx.diagnose(game.on(real), optimizers=optimizers, progress=stop, **SMALL)


def plain(found: Diagnosis) -> dict[str, Any]:
    """The record without what the clock says."""
    data = found.to_dict()
    data["sections"]["cost"]["seconds"] = None
    for row in data["sections"]["cost"]["rows"]:
        row["seconds"] = None
    return data


def test_the_same_seed_gives_the_same_record_and_another_one_other_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    game, real, optimizers = a_gan()
    step(game, real, optimizers)
    monkeypatch.setattr(
        sys.modules["separatrix.probes.interplay"], "EXACT_UP_TO", 0
    )  # so that the seed has something to draw
    first, again, other = (sx.diagnose(game.on(real), optimizers=optimizers, seed=s, **SMALL) for s in (1, 1, 2))
    assert plain(first) == plain(again)
    assert first["interplay"]["norms"] != other["interplay"]["norms"]


def test_optimizers_that_made_no_step_give_no_prediction_and_say_so() -> None:
    game, real, optimizers = a_gan()
    found = sx.diagnose(game.on(real), optimizers=optimizers, **SMALL)
    for part in ("method", "signature", "sharpness", "stability", "forecast"):
        why = f"{part}: no prediction, since the Adam of players 'G' and 'D' has made no step yet"
        assert any(note.startswith(why) for note in found.notes)
        assert part == "method" or found[part] is None
    assert found["horizon"] is not None
    assert found["spectrum"]["metric"] == "Jacobian, per unit of time"


def test_an_optimizer_of_another_kind_is_measured_without_prediction() -> None:
    game, real, _ = a_gan()
    optimizers = {p: torch.optim.Adagrad(game.models[p].parameters(), 0.01) for p in ("G", "D")}
    step(game, real, optimizers)  # type: ignore[arg-type]
    found = sx.diagnose(game.on(real), optimizers=optimizers, **SMALL)
    assert any(
        "no prediction for player 'G': torch.optim.adagrad.Adagrad is not one of" in note for note in found.notes
    )
    assert any("twins tell: sx.twins(sx.Run(step, state))" in note for note in found.notes)
    assert found["best_response"] is not None


def test_bases_methods_and_schemes_may_be_given_instead() -> None:
    problem = load("quadratic")
    field = problem.field()
    by_bases = sx.diagnose(field, optimizers={"x": SGD(0.05), "y": SGD(0.05)}, scheme=Simultaneous(), **SMALL)
    by_method = sx.diagnose(field, method=sx.Method(SGD(0.05)), **SMALL)
    by_problem = sx.diagnose(problem, **SMALL)
    assert by_bases["spectrum"] == by_method["spectrum"] == by_problem["spectrum"]
    scheme = sx.diagnose(problem, scheme=Extragradient(), **SMALL)
    assert scheme["method"]["scheme"] == "extragradient"
    states = {
        p: {"step": 7, "mean": 0 * field.space.take(field.point, p), "square": 1 + 0 * field.space.take(field.point, p)}
        for p in "xy"
    }
    adam = sx.diagnose(problem, method=sx.Method(Adam(0.01)), states=states, **SMALL)
    assert adam["method"]["steps_made"] == {"x": 7, "y": 7}
    assert adam["signature"]["momentum"] == 0.9


def test_without_a_method_the_jacobian_is_measured_in_its_own_units() -> None:
    found = diagnose(load("quadratic").field(), **SMALL)
    assert found["spectrum"]["metric"] == "Jacobian, per unit of time"
    assert any(note.startswith("method: no method was given, so there is no step to predict") for note in found.notes)
    assert any(note.startswith("best_response: needs a game of several players") for note in found.notes)
    assert found["horizon"] is None
    assert found["interplay"] is not None


def test_a_field_without_losses_is_measured() -> None:
    found = diagnose(linear(random_matrix(4, 0), {"a": 2, "b": 2}), method=sx.Method(SGD(0.1), Alternating()), **SMALL)
    assert found["signature"]["kind"] == "disc"
    assert found["horizon"]["reached"]
    assert all(row["skill"] == pytest.approx(1.0, abs=1e-6) for row in found["forecast"]["rows"])


def test_one_player_acts_on_nobody() -> None:
    model = nn.Linear(3, 1).double()
    game = sx.Loss(model, lambda m, b: (m(b) - 1).square().mean())
    found = diagnose(
        game.on(torch.randn(8, 3, dtype=torch.float64)),
        optimizers={"model": torch.optim.SGD(model.parameters(), 0.1)},
        **SMALL,
    )
    assert "interplay: one player acts on nobody." in found.notes
    assert found["method"]["scheme"] == "simultaneous"
    assert found["signature"]["kind"] == "plane"


@pytest.mark.parametrize(("scheme", "kind"), [(Simultaneous(), "plane"), (Alternating(), None)])
def test_players_that_share_parameters_have_a_signature_where_they_need_not_be_kept_apart(
    scheme: Any, kind: str | None
) -> None:
    torch.manual_seed(0)
    body, heads = nn.Linear(2, 2).double(), {p: nn.Linear(2, 1).double() for p in "ab"}
    models = {p: nn.Sequential(body, heads[p]) for p in "ab"}
    game = sx.Game(models, lambda m, x: {"a": m["a"](x).square().mean(), "b": (m["b"](x) - 1).square().mean()})
    found = diagnose(game.on(torch.randn(9, 2, dtype=torch.float64)), method=sx.Method(SGD(0.1), scheme), **SMALL)
    assert "interplay: players share parameters." in found.notes
    assert any(note.startswith("stability: players share parameters") for note in found.notes)
    assert (found["signature"] or {}).get("kind") == kind
    assert found["sharpness"] is not None


def test_three_players_are_measured() -> None:
    matrix = random_matrix(6, 5)
    found = diagnose(
        linear(matrix, {"a": 1, "b": 2, "c": 3}), method=sx.Method(SGD(0.1), Alternating(("c", "a", "b"))), **SMALL
    )
    assert found["interplay"]["players"] == ["a", "b", "c"]
    assert found["interplay"]["angle_deg"] is None
    assert [row["name"] for row in found["sharpness"]["rows"]] == ["joint", "a", "b", "c"]


def test_a_transform_is_measured_as_part_of_the_method() -> None:
    found = diagnose(load("bilinear"), method=sx.Method(SGD(0.1), transforms=(Consensus(1.0),)), **SMALL)
    assert found["spectrum"]["rows"][0]["real"] == pytest.approx(-0.1, abs=1e-9)
    assert found["stability"]["rows"][0]["gradients"] == 3.0


def test_a_budget_leaves_out_what_comes_last_and_says_so() -> None:
    whole = diagnose(load("quadratic"), **SMALL)
    part = diagnose(load("quadratic"), budget=0.5 * whole["cost"]["gradients"], **SMALL)
    left_out = [note for note in part.notes if "the budget of" in note]
    assert left_out
    assert part["cost"]["gradients"] < whole["cost"]["gradients"]
    assert part["spectrum"] == whole["spectrum"]
    tiny = diagnose(load("quadratic"), budget=1e-9, **SMALL)
    assert tiny["spectrum"] is None
    assert "spectrum: left out, the budget of 1e-09 gradients is spent." in tiny.notes


def test_costs_add_up_and_each_part_is_announced() -> None:
    parts: list[str] = []
    found = diagnose(load("quadratic"), progress=parts.append, **SMALL)
    assert list(dict.fromkeys(parts)) == [row["part"] for row in found["cost"]["rows"]]  # each once
    assert found["cost"]["gradients"] == pytest.approx(sum(row["gradients"] for row in found["cost"]["rows"]))
    assert all(row["gradients"] >= 0 for row in found["cost"]["rows"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"optimizers": {"x": SGD(0.1), "y": SGD(0.1)}, "method": sx.Method(SGD(0.1))}, "give either optimizers"),
        ({"optimizers": {"x": SGD(0.1)}}, r"there are optimizers for \['x'\]"),
        ({"method": sx.Method({"z": SGD(0.1)})}, "z"),
        ({"budget": 0.0}, "budget must be positive, in gradients, got 0.0"),
        ({"k": 0}, "got k=0"),
        ({"remaining": 0}, "remaining=0"),
        ({"path": torch.zeros(3, 5)}, r"path must hold points of the field, shape \(t, 6\), got \(3, 5\)"),
    ],
)
def test_what_does_not_fit_together_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        diagnose(load("quadratic"), **options)


def test_what_cannot_be_measured_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"takes a Field, Problem or Run, got a Game; bind a game to data first"):
        diagnose(load("quadratic").game)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="optimizers belong to the players of a Game"):
        diagnose(linear(random_matrix(2, 0)), optimizers={"x": SGD(0.1)})
    with pytest.raises(InputError, match="a scheme or states say nothing without bases"):
        diagnose(linear(random_matrix(2, 0)), scheme=Simultaneous())
