"""Update shares against hand-made metrics, and the metric against the optimizers themselves."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from separatrix.dynamics import Roles, Run
from separatrix.errors import InputError
from separatrix.probes import update_shares
from separatrix.probes.optimizer_metric import step_scales


def a_run(optimizer: str, weights: dict[str, float], steps: int = 4) -> tuple[Run, Tensor]:
    """Two linear terms and a quadratic one in three numbers."""
    x = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64, requires_grad=True)
    a, b = torch.tensor([1.0, 0.0, 2.0], dtype=torch.float64), torch.tensor([-1.0, 3.0, 0.0], dtype=torch.float64)
    kinds: dict[str, Any] = {
        "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.5),
        "adam": lambda p: torch.optim.Adam(p, lr=0.1),
        "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1),
        "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.1),
        "adamax": lambda p: torch.optim.Adamax(p, lr=0.1),
    }
    opt = kinds[optimizer]([x])

    def losses(batch: Tensor) -> dict[str, dict[str, Tensor]]:
        return {
            "x": {
                "rec": weights["rec"] * (a @ x) * batch.mean(),
                "adv": weights["adv"] * (b @ x),
                "penalty": weights["penalty"] * x.square().sum() / 2,
            }
        }

    def step() -> None:
        opt.zero_grad()
        sum(losses(torch.ones(1, dtype=torch.float64))["x"].values()).backward()  # type: ignore[union-attr]
        opt.step()

    data = [torch.full((2,), v, dtype=torch.float64) for v in (0.5, 1.5)]
    run = Run(step, [x, opt], roles=Roles(optimizers={"x": opt}, losses=losses, data=data))
    for _ in range(steps):
        run.step()
    return run, x


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adagrad", "rmsprop"])
def test_shares_and_cosines_are_those_of_the_metric(optimizer: str) -> None:
    weights = {"rec": 2.0, "adv": 1.0, "penalty": 0.3}
    run, x = a_run(optimizer, weights)
    found = update_shares(run)["x"]
    state = run.roles.optimizers["x"].state[x]
    p = {
        "sgd": lambda: torch.full((3,), 0.1, dtype=torch.float64),
        "adam": lambda: 0.1 / ((state["exp_avg_sq"] / (1 - 0.999**4)).sqrt() + 1e-8),
        "adagrad": lambda: 0.1 / (state["sum"].sqrt() + 1e-10),
        "rmsprop": lambda: 0.1 / (state["square_avg"].sqrt() + 1e-8),
    }[optimizer]()
    gradients = {
        "rec": 2.0 * torch.tensor([1.0, 0.0, 2.0], dtype=torch.float64),
        "adv": torch.tensor([-1.0, 3.0, 0.0], dtype=torch.float64),
        "penalty": 0.3 * x.detach(),
    }
    g = sum(gradients.values())
    assert isinstance(g, Tensor)
    for name, own in gradients.items():
        assert found.terms[name].share == pytest.approx(float(own @ (p * g) / (g @ (p * g))))
    assert sum(t.share for t in found.terms.values()) == pytest.approx(1.0)
    first, second = gradients["rec"], gradients["adv"]
    cosine = first @ (p * second) / ((first @ (p * first)) * (second @ (p * second))).sqrt()
    assert found.cosine("rec", "adv") == pytest.approx(float(cosine))
    parts = sum(float((own @ (p * own)).sqrt()) for own in gradients.values())
    assert found.cancelled == pytest.approx(1 - float((g @ (p * g)).sqrt()) / parts)
    assert found.metric == "optimizer"
    assert found.terms["rec"].share_stderr > 0
    # What an actual step does to each term, against the step itself.
    before = x.detach().clone()
    with run.kept():
        run.step()
        moved = x.detach() - before
    assert found.terms["adv"].change == pytest.approx(float(gradients["adv"] @ moved))
    assert found.layers == {"0": pytest.approx(float(moved.norm() / before.norm()))}


def test_a_metric_is_what_the_optimizer_does_with_a_small_change_of_its_gradient() -> None:
    """The displacement's derivative in the gradient, momentum off and second moments frozen to 1%."""
    for make in (
        lambda p: torch.optim.SGD(p, lr=0.1),
        lambda p: torch.optim.RMSprop(p, lr=0.1, alpha=0.999),
        lambda p: torch.optim.AdamW(p, lr=0.1, betas=(0.0, 0.999), weight_decay=0.0),
    ):
        x = torch.ones(3, dtype=torch.float64, requires_grad=True)
        opt = make([x])
        for _ in range(60):
            x.grad = torch.tensor([1.0, -2.0, 0.1], dtype=torch.float64)
            opt.step()
        scales = step_scales(opt, [x])
        assert scales is not None
        ends = []
        run = Run(lambda: None, [x, opt])
        for change in (0.0, 1e-4):
            with run.kept():
                x.grad = torch.full((3,), change, dtype=torch.float64)
                opt.step()
                ends.append(x.detach().clone())
        torch.testing.assert_close(-(ends[1] - ends[0]) / 1e-4, scales[0], rtol=1e-2, atol=0)


def test_where_the_metric_is_not_known_plain_gradients_are_compared_and_that_is_said() -> None:
    run, _ = a_run("adamax", {"rec": 1.0, "adv": 1.0, "penalty": 0.0})
    found = update_shares(run)["x"]
    assert found.metric == "none"
    assert "metric is not known" in found.sentence
    a, b = torch.tensor([1.0, 0.0, 2.0]), torch.tensor([-1.0, 3.0, 0.0])
    assert found.terms["rec"].share == pytest.approx(float(a @ (a + b) / (a + b).square().sum()))
    assert found.terms["penalty"].share == 0.0
    assert update_shares(a_run("adam", {"rec": 1.0, "adv": 1.0, "penalty": 0.0}, steps=0)[0])["x"].metric == "none"


def test_terms_that_oppose_cancel_and_terms_that_agree_do_not() -> None:
    x = torch.ones(2, requires_grad=True)
    opt = torch.optim.SGD([x], lr=0.1)
    for sign, cancelled in ((1.0, 0.0), (-1.0, 1.0)):
        losses = partial(lambda sign, _: {"x": {"a": x.sum(), "b": sign * x.sum()}}, sign)
        roles = Roles(optimizers={"x": opt}, losses=losses, data=[0])
        found = update_shares(Run(opt.step, [x, opt], roles=roles))["x"]
        assert found.cosine("a", "b") == pytest.approx(sign)
        assert found.cancelled == pytest.approx(cancelled)
        assert found.terms["a"].share == (0.5 if sign > 0 else 0.0)


def test_a_network_in_training_is_left_as_it_was_and_unused_players_are_left_out() -> None:
    torch.manual_seed(0)
    g, d = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Dropout(0.2), nn.Linear(4, 2)), nn.Linear(2, 1)
    opts = {n: torch.optim.Adam(m.parameters()) for n, m in (("G", g), ("D", d))}

    def losses(real: Tensor) -> dict[str, dict[str, Tensor]]:
        fake = g(torch.randn(len(real), 2))
        return {"G": {"adv": -d(fake).mean(), "rec": (fake - real).square().mean()}}

    def step() -> None:
        opts["G"].zero_grad()
        sum(losses(torch.randn(8, 2))["G"].values()).backward()  # type: ignore[union-attr]
        opts["G"].step()

    run = Run(
        step, {"g": g, "d": d, "opts": opts}, roles=Roles(optimizers=opts, losses=losses, data=[torch.randn(8, 2)])
    )
    run.step()
    before = run.snapshot()
    found = update_shares(run)
    assert not before.differences(run.snapshot())
    assert list(found) == ["G"]
    assert found["G"].terms["adv"].share + found["G"].terms["rec"].share == pytest.approx(1.0)
    assert "'G' is moved by 'adv'" in found["G"].sentence
    with pytest.raises(InputError, match="return nothing for player 'D'"):
        update_shares(run, players=["D"])
