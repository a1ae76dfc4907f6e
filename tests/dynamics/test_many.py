"""Many trajectories at once are the same as one by one: schemes, bases, transforms; and what cannot be mapped is refused."""

from __future__ import annotations

import doctest

import pytest
import torch

from separatrix import dynamics
from separatrix.dynamics import (
    SGD,
    Adam,
    AdamW,
    Alternating,
    Consensus,
    Extragradient,
    Method,
    RMSprop,
    Simultaneous,
    many,
)
from separatrix.dynamics.many import simulate_many
from separatrix.errors import InputError
from separatrix.zoo import load

BASES = [
    SGD(0.1),
    SGD(0.05, momentum=0.6),
    SGD(0.05, momentum=0.5, nesterov=True),
    Adam(0.05),
    AdamW(0.05),
    RMSprop(0.01),
]
SCHEMES = [Simultaneous(), Alternating(("y", "x"), {"y": 2}), Extragradient(), Extragradient(moments="commit")]
OTHERS = [
    dynamics.ExtragradientPlus(0.3),
    dynamics.Optimistic(),
    dynamics.PastExtragradient(),
    dynamics.Reflected(),
    dynamics.RungeKutta(4),
    dynamics.Lookahead(Simultaneous(), 3),
]
START = torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def one_by_one(method, field, steps, every=1):
    return torch.stack([dynamics.simulate(method, field, x=x, steps=steps, every=every)[2] for x in START], dim=1)


@pytest.mark.parametrize(
    "method",
    [
        *(Method(b) for b in BASES),
        *(Method(Adam(0.05), s) for s in SCHEMES),
        *(Method(SGD(0.05), s) for s in OTHERS),
        Method(SGD(0.05), Simultaneous(), (Consensus(0.3),)),
        Method(Adam(0.05), Extragradient(), (Consensus(0.3), Consensus(0.1))),
        Method({"x": SGD(0.1), "y": Adam(0.01)}, Alternating()),
    ],
    ids=str,
)
def test_many_trajectories_are_the_single_ones(method):
    field = load("almost-bilinear", epsilon=0.3).field()
    last, paths = simulate_many(method, field, START, steps=12, every=3)
    torch.testing.assert_close(paths, one_by_one(method, field, 12, every=3))
    torch.testing.assert_close(last, paths[-1])


@pytest.mark.parametrize("name", ["SymplecticAdjustment", "JacobianRegularisation", "Clip", "Normalise"])
def test_other_transforms_are_mapped_too(name):
    transform = {
        "SymplecticAdjustment": lambda: dynamics.SymplecticAdjustment(0.5, align=False),
        "JacobianRegularisation": lambda: dynamics.JacobianRegularisation(0.1),
        "Clip": lambda: dynamics.Clip(0.3),
        "Normalise": lambda: dynamics.Normalise(),
    }[name]()
    field, method = load("forsaken").field(), Method(SGD(0.02), Simultaneous(), (transform,))
    torch.testing.assert_close(simulate_many(method, field, START, steps=10)[1], one_by_one(method, field, 10))


def test_a_trajectory_that_blows_up_leaves_the_others_alone_and_the_field_stands():
    field = load("forsaken").field()
    before = field.point
    points = torch.tensor([[0.1, 0.4], [50.0, 50.0]], dtype=torch.float64)
    last, _ = simulate_many(Method(SGD(0.05)), field, points, steps=20)
    assert bool(torch.isfinite(last[0]).all())
    assert not bool(torch.isfinite(last[1]).all())
    torch.testing.assert_close(last[0], dynamics.simulate(Method(SGD(0.05)), field, x=points[0], steps=20)[0])
    assert torch.equal(field.point, before)


def test_thousands_of_points_cost_what_they_cost():
    field = load("bilinear").field()
    spent = field.gradients
    last, paths = simulate_many(
        Method(SGD(0.1), Extragradient()), field, torch.randn(3000, 2).double(), steps=4, every=4
    )
    assert (last.shape, paths.shape) == ((3000, 2), (2, 3000, 2))
    assert field.gradients - spent == pytest.approx(3000 * 4 * 2, abs=20)
    radius = (last.norm(dim=1) / paths[0].norm(dim=1)) ** (1 / 4)
    torch.testing.assert_close(radius, torch.full_like(radius, (1 - 0.1**2 + 0.1**4) ** 0.5))


def test_a_scheme_remembers_from_where_it_starts():
    field, method = load("forsaken").field(), Method(SGD(0.05), dynamics.Reflected())
    x, _, _ = dynamics.simulate(method, field, x=START[0], steps=1)
    torch.testing.assert_close(x, START[0] + 0.05 * field(START[0]))


def test_simulate_takes_many_points():
    field = load("bilinear").field()
    _, states, path = dynamics.simulate(Method(SGD(0.1)), field, x=START, steps=3)
    assert states == {}
    torch.testing.assert_close(path, one_by_one(Method(SGD(0.1)), field, 3))


def test_what_cannot_be_mapped_is_refused():
    field = load("bilinear").field()
    with pytest.raises(InputError, match=r"points must be \(b, 2\) for this field, got shape \(4, 3\)"):
        simulate_many(Method(SGD(0.1)), field, torch.zeros(4, 3), steps=1)
    with pytest.raises(InputError, match="must not be negative"):
        simulate_many(Method(SGD(0.1)), field, START, steps=-1)
    aligned = Method(SGD(0.1), Simultaneous(), (dynamics.SymplecticAdjustment(align=True),))
    with pytest.raises(InputError, match=r"decides by the values that it meets.*point by point"):
        simulate_many(aligned, field, START, steps=1)
    with pytest.raises(InputError, match=r"solves an equation in every step.*point by point"):
        simulate_many(Method(SGD(0.1), dynamics.Competitive()), field, START, steps=1)


def test_the_example_in_the_docstring_holds():
    result = doctest.testmod(many)
    assert result.attempted > 0
    assert result.failed == 0


def test_no_points_and_parts_of_steps_are_named():
    field, method = load("bilinear").field(), Method(SGD(0.1))
    for x, steps in ((torch.zeros(0, 2), 2), (torch.zeros(3, 2), 1.5)):
        with pytest.raises(InputError, match=r"points must be \(b, 2\)|whole numbers, .* got steps=1\.5"):
            dynamics.simulate(method, field, x=x.double(), steps=steps)
