"""Method and simulate: against plain torch training loops, and their errors."""

from __future__ import annotations

import pytest
import torch
from dynamics_games import linear_field, smooth_gan

from separatrix.dynamics import (
    SGD,
    Adam,
    Alternating,
    Consensus,
    Extragradient,
    Method,
    RMSprop,
    Simultaneous,
    simulate,
)
from separatrix.errors import InputError
from untouched import untouched


def losses_at(field, seed=0):
    """The players' losses as a training loop computes them, with the draw of the field."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            return field.game.losses(field.game.models, field.batches[0])
        finally:
            torch.set_default_dtype(before)


@pytest.mark.parametrize("order", [None, ("D", "G"), ("G", "D")])
def test_simulation_follows_the_loop_that_people_write_bitwise(order):
    """Simultaneous and alternating Adam and RMSprop against torch.optim on the modules themselves."""
    field = smooth_gan()
    scheme = Simultaneous() if order is None else Alternating(order, {"D": 2})
    method = Method({"G": Adam(1e-2, (0.5, 0.999)), "D": RMSprop(1e-2)}, scheme)
    start = field.point
    x, _, path = simulate(method, field, steps=20)
    assert torch.equal(field.point, start), "the field moved"

    models = field.game.models
    optimizers = {
        "G": torch.optim.Adam(models["G"].parameters(), lr=1e-2, betas=(0.5, 0.999)),
        "D": torch.optim.RMSprop(models["D"].parameters(), lr=1e-2),
    }
    for step in range(20):
        for players in [("G", "D")] if order is None else [(p,) for p in scheme.moves(("G", "D"))]:
            losses = losses_at(field)
            for p in players:
                own = list(models[p].parameters())
                for w, g in zip(own, torch.autograd.grad(losses[p], own, retain_graph=True), strict=True):
                    w.grad = g
            for p in players:
                optimizers[p].step()
        assert torch.equal(field.point, path[step + 1]), f"step {step}"
    assert torch.equal(field.point, x)


def test_one_base_for_all_or_one_for_each():
    field = smooth_gan()
    base = Adam(1e-2)
    one, _, _ = simulate(Method(base), field, steps=2)
    each, _, _ = simulate(Method({"D": base, "G": base}), field, steps=2)
    assert torch.equal(one, each)


def test_transforms_apply_first_one_first():
    field = linear_field(torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64))
    method = Method(SGD(0.1), transforms=(Consensus(1.0), Consensus(2.0)))
    torch.testing.assert_close(method.field(field)(), Consensus(2.0)(Consensus(1.0)(field))())


def test_simulation_keeps_every_so_many_points_and_can_be_continued():
    field = smooth_gan()
    method = Method(Adam(1e-2), Extragradient())
    with untouched(*field.game.models.values(), *field.batches):
        x, states, path = simulate(method, field, steps=10, every=5)
    assert path.shape == (3, 34)
    assert torch.equal(path[0], field.point)
    assert torch.equal(path[2], x)
    first, middle, _ = simulate(method, field, steps=4)
    kept = {p: {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in s.items()} for p, s in middle.items()}
    last, after, _ = simulate(method, field, steps=6, x=first, states=middle)
    assert torch.equal(last, x)
    assert after["G"]["step"] == states["G"]["step"] == 10
    for p, state in kept.items():
        assert all(torch.equal(torch.as_tensor(middle[p][k]), torch.as_tensor(v)) for k, v in state.items())


def test_simulation_of_no_steps_is_the_start():
    field = smooth_gan()
    x, _, path = simulate(Method(SGD(0.1)), field, steps=0)
    assert torch.equal(x, field.point)
    assert path.shape == (1, 34)


def test_a_start_of_another_precision_is_brought_to_the_fields():
    x, _, _ = simulate(Method(SGD(0.1)), smooth_gan(), steps=1, x=torch.zeros(34))
    assert x.dtype == torch.float64


def test_bad_arguments_are_named():
    field = smooth_gan()
    method = Method(SGD(0.1))
    with pytest.raises(InputError, match=r"every at least 1, got steps=3, every=0"):
        simulate(method, field, steps=3, every=0)
    with pytest.raises(InputError, match=r"steps must not be negative .* got steps=-1"):
        simulate(method, field, steps=-1)
    with pytest.raises(InputError, match=r"has shape \(34,\), got \(2,\)"):
        simulate(method, field, steps=1, x=torch.zeros(2))
    with pytest.raises(InputError, match=r"bases for \['D', 'E'\], the players are \['D', 'G'\]; give one for each"):
        Method({"D": SGD(0.1), "E": SGD(0.1)}).init(field)
    with pytest.raises(InputError, match=r"the scheme must be one of separatrix\.dynamics, .* got 'extragradient'"):
        Method(SGD(0.1), "extragradient")
    with pytest.raises(InputError, match=r"the bases must be one, such as Adam.*, or one for each player, got 'adam'"):
        Method("adam")
    with pytest.raises(InputError, match="simulate takes a method and a field, got a GameField and a Method"):
        simulate(field, method, steps=1)
    with pytest.raises(InputError, match=r"got a Method and a Game; bind a game to data first: game\.on\(batch\)"):
        simulate(method, field.game, steps=1)


def test_a_method_describes_itself_as_plain_data():
    described = Method({"G": SGD(0.1), "D": Adam()}, Alternating(("D", "G")), (Consensus(1.0),)).describe()
    assert described["scheme"] == "alternating"
    assert described["bases"]["G"]["kind"] == "SGD"
    assert described["transforms"] == [{"kind": "Consensus", "gamma": 1.0}]
    assert set(Method(SGD(0.1)).describe()["bases"]) == {"all"}
