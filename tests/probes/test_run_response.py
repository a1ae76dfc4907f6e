"""Best responses in runs: closed forms, exact NashConv of matrix games, and that the run is untouched."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from separatrix.dynamics import Roles, Run
from separatrix.errors import InputError
from separatrix.fields import NormalForm
from separatrix.probes import best_response


class Projected(torch.optim.Optimizer):
    """Gradient steps, each projected onto the simplex; with a long step the best vertex."""

    def __init__(self, params: list[Tensor], lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                moved = p - group["lr"] * p.grad
                ordered = moved.sort(descending=True).values
                sums = ordered.cumsum(0) - 1
                counts = torch.arange(1, len(p) + 1, dtype=p.dtype)
                last = int((ordered - sums / counts > 0).sum()) - 1
                p.copy_((moved - sums[last] / (last + 1)).clamp_min(0))


def a_matrix_game(lr: float) -> tuple[Run, NormalForm, list[Tensor]]:
    g = torch.Generator().manual_seed(0)
    payoffs = [torch.randn(3, 4, 2, generator=g, dtype=torch.float64) for _ in range(3)]
    strategies = [torch.rand(k, generator=g, dtype=torch.float64) for k in (3, 4, 2)]
    strategies = [(s / s.sum()).requires_grad_() for s in strategies]

    def losses(_: Any) -> dict[str, Tensor]:
        return {f"p{i}": -torch.einsum("abc,a,b,c->", u, *strategies) for i, u in enumerate(payoffs)}

    optimizers = {f"p{i}": Projected([s], lr) for i, s in enumerate(strategies)}
    roles = Roles(optimizers=optimizers, losses=losses, data=[None])
    return Run(lambda: None, strategies, roles=roles), NormalForm.of([u.numpy() for u in payoffs]), strategies


def test_the_gap_of_a_matrix_game_is_its_nash_conv() -> None:
    run, game, strategies = a_matrix_game(lr=1e3)
    regrets = [float(r) for r in game.regret([s.detach() for s in strategies])]
    found = best_response(run, steps=1, draws=1)
    for player, regret in zip(found.gains, regrets, strict=True):
        assert found[player].gain_train == pytest.approx(regret, rel=1e-12)
    assert found.gap_train == pytest.approx(sum(regrets), rel=1e-12)


def test_gains_of_short_steps_are_those_of_the_closed_form() -> None:
    """``x' A y``: both losses are linear in their own player, so ``k`` steps gain ``k lr |gradient|^2``."""
    g = torch.Generator().manual_seed(0)
    a, x, y = (torch.randn(s, generator=g, dtype=torch.float64) for s in ((3, 4), (3,), (4,)))
    x.requires_grad_(), y.requires_grad_()
    roles = Roles(
        optimizers={"x": torch.optim.SGD([x], lr=0.05), "y": torch.optim.SGD([y], lr=0.05)},
        losses=lambda _: x @ a @ y,
        data=[None],
        held_out=[None],
    )
    run = Run(lambda: None, [x, y], roles=roles)
    found = best_response(run, steps=7)
    with torch.no_grad():
        assert found["x"].gain_train == pytest.approx(7 * 0.05 * float((a @ y).square().sum()), rel=1e-12)
        assert found["y"].gain_held_out == pytest.approx(7 * 0.05 * float((a.T @ x).square().sum()), rel=1e-12)
    assert found["x"].stderr_train == 0.0


def a_gan(with_optimizers: bool = True) -> Run:
    torch.manual_seed(0)
    g = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 2))
    d = nn.Sequential(nn.Linear(2, 16), nn.Dropout(0.1), nn.Tanh(), nn.Linear(16, 1))
    opts = {n: torch.optim.Adam(m.parameters(), lr=5e-3) for n, m in (("G", g), ("D", d))}
    generator = torch.Generator().manual_seed(2)

    def losses(real: Tensor) -> dict[str, Any]:
        fake = g(torch.randn(len(real), 2))
        return {
            "G": softplus(-d(fake)).mean(),
            "D": {"real": softplus(-d(real)).mean(), "fake": softplus(d(fake.detach())).mean()},
        }

    def step() -> None:
        real = torch.randn(32, 2, generator=generator)
        for name in ("D", "G"):
            opts[name].zero_grad()
            found = losses(real)[name]
            (sum(found.values()) if isinstance(found, dict) else found).backward()
            opts[name].step()

    data = [torch.randn(64, 2, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    roles = Roles(
        optimizers=opts if with_optimizers else {},
        players={"G": g, "D": d},
        losses=losses,
        data=data[:2],
        held_out=data[2:],
    )
    run = Run(step, {"g": g, "d": d, "opts": opts, "generator": generator}, roles=roles)
    for _ in range(4):
        run.step()
    return run


@pytest.mark.parametrize("with_optimizers", [True, False])
def test_a_gan_s_players_gain_alone_and_the_run_is_untouched(with_optimizers: bool) -> None:
    run = a_gan(with_optimizers)
    before = run.snapshot()
    found = best_response(run, steps=20)
    assert not before.differences(run.snapshot())
    assert found["D"].gain_train > 0.02
    assert found["D"].gain_held_out is not None
    assert 0 < found["D"].stderr_train < 0.1
    assert found == best_response(run, steps=20)
    assert "20 own steps of 'D' gain" in found.sentence
    assert found.gradients == (20 if with_optimizers else 40)


def test_a_player_steps_with_the_state_of_its_optimizer() -> None:
    run = a_gan()
    found = best_response(run, steps=3, players=["D"])
    with run.kept():
        run.roles.optimizers["D"].state.clear()
        fresh = best_response(run, steps=3, players=["D"])
    assert list(found.gains) == ["D"]
    assert found["D"].gain_train != fresh["D"].gain_train


def test_a_response_that_diverges_stops_at_its_last_good_point_and_exceptions_leave_no_trace() -> None:
    x = torch.tensor([3.0], requires_grad=True)
    opt = torch.optim.SGD([x], lr=1.0)
    roles = Roles(optimizers={"x": opt}, losses=lambda _: (x**4).sum(), data=[None])
    run = Run(lambda: None, [x, opt], roles=roles)
    found = best_response(run, steps=50)
    assert found["x"].status.startswith("stopped after")
    assert x.item() == 3.0
    assert x.grad is None
    assert opt.param_groups[0]["lr"] == 1.0


def test_what_is_missing_is_named() -> None:
    run = a_gan()
    x = torch.zeros(1, requires_grad=True)
    with pytest.raises(InputError, match="a best response needs to know losses and data"):
        best_response(Run(lambda: None, [x], roles=Roles(players={"x": x})))
    with pytest.raises(InputError, match="roles of a Run say"):
        best_response(run, torch.zeros(1))
    with pytest.raises(InputError, match="no player 'z'"):
        best_response(run, players=["z"])
    with pytest.raises(InputError, match="return nothing for player 'y'"):
        best_response(
            Run(run.step, [x], roles=Roles(players={"x": x, "y": [x]}, losses=lambda _: {"x": x.sum()}, data=[0]))
        )
    lbfgs = Roles(optimizers={"x": torch.optim.LBFGS([x])}, losses=lambda _: x.sum(), data=[0])
    with pytest.raises(InputError, match="evaluates the losses inside its step"):
        best_response(Run(lambda: None, [x], roles=lbfgs))
