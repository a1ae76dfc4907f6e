"""A lazy penalty over its full period: the predicted map against training with a clock, and what laziness costs."""

from __future__ import annotations

import pytest
import torch

from separatrix.dynamics import (
    SGD,
    Alternating,
    Clock,
    Extragradient,
    Frozen,
    Lookahead,
    Method,
    Mode,
    Optimistic,
    Problem,
    Simultaneous,
    lazy,
    lazy_period,
    linear_period,
    train,
)
from separatrix.errors import InputError
from separatrix.fields import Game, Space

SPACE = Space.of_sizes({"x": 1, "y": 1})
TURN = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
DAMP = torch.tensor([[0.0, 0.0], [0.0, -0.4]], dtype=torch.float64)
SCHEMES = {
    "simultaneous": Simultaneous(),
    "alternating": Alternating(("y", "x")),
    "extragradient": Extragradient(),
    "optimistic": Optimistic(),
    "lookahead": Lookahead(every=2),
}


@pytest.mark.parametrize("momentum", [0.0, 0.4])
@pytest.mark.parametrize("name", SCHEMES)
def test_the_map_of_a_full_period_equals_trained_steps(name: str, momentum: float) -> None:
    """The bilinear game with a penalty on ``y`` every third step, trained by its own losses under a clock."""
    scheme, every, rate = SCHEMES[name], 3, 0.3
    bases = {p: Frozen(rate, Mode("heavy-ball", momentum) if momentum else Mode()) for p in "xy"}
    found = lazy_period(TURN, DAMP, every, scheme, bases, SPACE)
    ends = []
    for start in torch.eye(2, dtype=torch.float64):
        clock, weight = Clock(), lazy(0.4, every)
        models = {p: v.reshape(1).clone() for p, v in zip("xy", start, strict=True)}

        def losses(m, batch, clock=clock, weight=weight):
            value = (m["x"] * m["y"]).sum()
            return {"x": value, "y": -value + weight(clock.steps) / 2 * m["y"].square().sum()}

        problem = Problem(Game(models, losses, name="lazy"), "lazy", after=clock.tick, state={"clock": clock})
        # A scheme's memory stands as in the middle of a run.
        method = Method(SGD(rate, momentum), scheme)
        x, states = method.init(problem.field())
        memory = scheme.memory(problem.game.space, x, settled=True)
        states = {**states, "": memory} if memory else states
        states = {p: {k: 5 if k == "step" else v for k, v in s.items()} for p, s in states.items()}
        if name == "lookahead":
            states[""]["slow"] = torch.zeros(2, dtype=torch.float64)
        ends.append(train(problem, found.steps, method=method, states=states, progress=False).x)
    assert torch.allclose(found.matrix[:2, :2], torch.stack(ends, 1), atol=1e-12)
    assert found.steps == (6 if name == "lookahead" else 3)


def test_without_laziness_it_is_the_period_of_the_sum() -> None:
    bases = {p: Frozen(0.3, Mode("averaged", 0.5)) for p in "xy"}
    lazy_one = lazy_period(TURN, DAMP, 1, Alternating(), bases, SPACE)
    assert torch.equal(lazy_one.matrix, linear_period(TURN + DAMP, Alternating(), bases, SPACE).matrix)


def test_a_strong_penalty_that_is_safe_every_step_is_not_safe_lazily() -> None:
    """A penalty of curvature 1.5 at step 1: m = 1 - 1.5 each step; every fourth step it is m = 1 - 6, once in four."""
    space, bases = Space.of_sizes({"x": 1}), {"x": Frozen(1.0, Mode())}
    nothing, penalty = torch.zeros(1, 1, dtype=torch.float64), torch.full((1, 1), -1.5, dtype=torch.float64)
    assert lazy_period(nothing, penalty, 1, Simultaneous(), bases, space).radius == pytest.approx(0.5)
    assert lazy_period(nothing, penalty, 4, Simultaneous(), bases, space).radius == pytest.approx(5**0.25)


def test_a_period_of_no_steps_is_refused() -> None:
    with pytest.raises(InputError, match="every must be at least 1"):
        lazy_period(TURN, DAMP, 0, Simultaneous(), {}, SPACE)
