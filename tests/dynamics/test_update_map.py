"""The update map against float64 central differences of the real step, for every base and scheme."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from dynamics_games import linear_field, shared_game, smooth_gan

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
    UpdateMap,
    simulate,
)
from separatrix.errors import ComputationError, InputError, UnsupportedOperatorError
from separatrix.fields import Game
from untouched import untouched

BASES = {
    "sgd": SGD(0.1, weight_decay=0.05),
    "momentum": SGD(0.05, momentum=0.7, dampening=0.2),
    "nesterov": SGD(0.05, momentum=0.7, nesterov=True),
    "rmsprop": RMSprop(0.01, alpha=0.9),
    "rmsprop-momentum": RMSprop(0.01, alpha=0.9, momentum=0.5, weight_decay=0.1),
    "adam": Adam(0.01, (0.5, 0.9)),
    "adam-decay": Adam(0.01, (0.5, 0.9), weight_decay=0.1),
    "adamw": AdamW(0.01, (0.5, 0.9), weight_decay=0.1),
    "one each": {"G": Adam(0.01, (0.5, 0.99)), "D": SGD(0.1, momentum=0.3)},
}
SCHEMES = {
    "simultaneous": Simultaneous(),
    "alternating": Alternating(("D", "G"), {"D": 2}),
    "extragradient": Extragradient(),
    "extra-committed": Extragradient("commit"),
}


def settled(method, field, steps=3):
    x, states, _ = simulate(method, field, steps=steps)
    return x, states


def moved(states, tensors):
    """The states with their tensors replaced, in the order of the update map's layout."""
    pieces = iter(tensors)
    return {p: {k: next(pieces) if isinstance(v, torch.Tensor) else v for k, v in s.items()} for p, s in states.items()}


def flat(x, states):
    return torch.cat([x, *(v for s in states.values() for v in s.values() if isinstance(v, torch.Tensor))])


def real_step(method, field, operator, z, states):
    x, *tensors = z.split([size for _, size in operator.layout])
    return flat(*method.step(field, x, moved(states, tensors)))


def differences(method, field, operator, z, states, u, h):
    """Fourth-order central difference of the real step along ``u``."""
    step = [real_step(method, field, operator, z + k * h * u, states) for k in (-2, -1, 1, 2)]
    return (step[0] - 8 * step[1] + 8 * step[2] - step[3]) / (12 * h)


@pytest.mark.parametrize("transforms", [(), (Consensus(0.3),)], ids=["plain", "consensus"])
@pytest.mark.parametrize(("base", "scheme"), list(itertools.product(BASES, SCHEMES)))
def test_the_update_map_is_the_derivative_of_the_real_step(base, scheme, transforms):
    field = smooth_gan()
    method = Method(BASES[base], SCHEMES[scheme], transforms)
    x, states = settled(method, field)
    operator = UpdateMap(method, field, x, states)
    z = flat(x, states)
    torch.testing.assert_close(operator.after, real_step(method, field, operator, z, states), rtol=1e-14, atol=1e-15)
    generator = torch.Generator().manual_seed(0)
    draw = torch.randn(2, len(z), generator=generator, dtype=torch.float64)
    # Second moments must stay positive under the difference, so they move in proportion to themselves.
    widths = torch.cat(
        [part.abs() if "square" in name else torch.ones_like(part) for (name, size), part in zip(
            operator.layout, z.split([s for _, s in operator.layout]), strict=True)]
    )  # fmt: skip
    for u in draw * widths:
        expected, found = differences(method, field, operator, z, states, u, 1e-4), operator @ u
        gap = ((found - expected).norm() / expected.norm()).item()
        assert gap < 1e-6, f"relative gap {gap:.2g}"
        # The identity in the map must not hide the displacement.
        beyond = (operator.point_part(found - expected).norm() / operator.point_part(expected - u).norm()).item()
        assert beyond < 1e-6, f"relative gap of the displacement {beyond:.2g}"
    u, w = draw[0] * widths, draw[1]
    forward, backward = float(w @ (operator @ u)), float(u @ (operator.T @ w))
    scale = float(w.norm() * (operator @ u).norm())
    assert abs(forward - backward) < 1e-12 * scale


@pytest.mark.parametrize(("base", "scheme"), [("adam", "alternating"), ("nesterov", "extra-committed")])
def test_the_dense_update_map_agrees_with_differences_entry_by_entry(base, scheme):
    field = smooth_gan(1)
    method = Method(BASES[base], SCHEMES[scheme])
    x, states = settled(method, field)
    operator = UpdateMap(method, field, x, states)
    z = flat(x, states)
    dense = operator.to_dense()
    for i in range(0, len(z), 7):
        name = _part(operator.layout, i)
        e = torch.zeros_like(z)
        e[i] = z[i] if "square" in name else 1.0
        expected = differences(method, field, operator, z, states, e, 1e-3 if "square" in name else 1e-4) / e[i]
        gap = (dense[:, i] - expected).norm() / expected.norm().clamp(min=1e-6)
        assert gap < 1e-6, f"column {i} of {name}: {gap:.2g}"


def _part(layout, i):
    for name, size in layout:
        if i < size:
            return name
        i -= size
    raise AssertionError(i)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_frozen_map_is_the_step_of_the_frozen_bases_on_the_linearised_field(scheme):
    field = smooth_gan()
    method = Method(BASES["one each"], SCHEMES[scheme])
    x, states = settled(method, field)
    operator = UpdateMap(method, field, x, states, frozen=True)
    frozen = Method({p: b.frozen(states[p]) for p, b in method.bases.items()}, method.scheme)
    jacobian = field.jacobian(x)
    linear = linear_field(jacobian.to_dense(), {p: field.space.size(p) for p in field.players})
    u = torch.randn(operator.shape[0], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pieces = u.split([size for _, size in operator.layout])
    expected = flat(*frozen.step(linear, pieces[0], {"G": {"buffer": pieces[1]}, "D": {"buffer": pieces[2]}}))
    torch.testing.assert_close(operator @ u, expected, rtol=0, atol=1e-12 * float(expected.norm()))
    given = UpdateMap(method, field, x, states, frozen=True, jacobian=jacobian)
    torch.testing.assert_close(given @ u, operator @ u, rtol=0, atol=1e-12 * float(expected.norm()))
    assert operator.layout == [("x", 34), ("G.buffer", 17), ("D.buffer", 17)]


def test_a_jacobian_of_something_else_is_refused():
    field = smooth_gan()
    method = Method(SGD(0.1), transforms=(Consensus(1.0),))
    with pytest.raises(InputError, match=r"a jacobian can be given to a frozen map only"):
        UpdateMap(method, field, jacobian=field.jacobian())
    with pytest.raises(
        InputError, match=r"the jacobian given is that of 'game', the map needs that of 'Consensus\(game\)'"
    ):
        UpdateMap(method, field, frozen=True, jacobian=field.jacobian())
    with pytest.raises(InputError, match=r"at the same point x; leave it out"):
        UpdateMap(Method(SGD(0.1)), field, frozen=True, jacobian=field.jacobian(field.point + 1))


def test_the_frozen_map_of_adam_has_the_multipliers_of_its_polynomial():
    """Simultaneous Adam with one scale: every eigenvalue of ``P J`` gives the roots of ``m^2 - (1 + b + (1 - b) z) m + b``."""
    field = smooth_gan()
    method = Method(Adam(0.01, (0.5, 0.9)))
    x, states = settled(method, field)
    scale = torch.cat([method.bases.frozen(states[p]).scale for p in field.players])
    z = np.linalg.eigvals((scale[:, None] * field.jacobian(x).to_dense()).numpy())
    expected = np.concatenate([np.roots([1, -(1.5 + 0.5 * value), 0.5]) for value in z])
    found = np.linalg.eigvals(UpdateMap(method, field, x, states, frozen=True).to_dense().numpy())
    for value in found:
        assert np.abs(expected - value).min() < 1e-7


def test_an_eigenvector_of_the_frozen_map_grows_as_predicted_in_the_real_iteration():
    matrix = torch.tensor([[-0.1, -1.0], [1.0, 0.05]], dtype=torch.float64)
    field = linear_field(matrix, {"x": 1, "y": 1})
    method = Method(SGD(0.2, momentum=0.5), Alternating())
    operator = UpdateMap(method, field, frozen=True)
    radius = np.abs(np.linalg.eigvals(operator.to_dense().numpy())).max()
    _, _, path = simulate(method, field, steps=400)
    observed = (path[400].norm() / path[200].norm()).log().item() / 200
    # A rotating pair breathes by a bounded factor.
    assert observed == pytest.approx(np.log(radius), abs=5e-3)


def test_point_part_takes_the_coordinates_of_the_point():
    field = smooth_gan()
    operator = UpdateMap(Method(Adam(0.01)), field)
    assert operator.shape == (102, 102)
    z = torch.arange(204.0).reshape(2, 102)
    assert torch.equal(operator.point_part(z), z[:, :34])
    assert torch.equal(operator.point_part(z[0]), z[0, :34])


def test_a_product_costs_jacobian_products_and_leaves_everything_as_it_was():
    field = smooth_gan()
    method = Method(Adam(0.01), Extragradient())
    x, states = settled(method, field)
    u = torch.ones(102, dtype=torch.float64)
    with untouched(*field.game.models.values(), *field.batches, states, x):
        operator = UpdateMap(method, field, x, states)
        assert torch.equal(operator @ u, operator @ u)
        assert torch.equal(operator.T @ u, operator.T @ u)
    with torch.no_grad():
        assert torch.equal(UpdateMap(method, field, x, states) @ u, operator @ u)


def test_states_of_another_precision_are_brought_to_the_fields():
    field = smooth_gan()
    method = Method(Adam(0.01))
    x, states = settled(method, field)
    single = {p: {k: v.float() if isinstance(v, torch.Tensor) else v for k, v in s.items()} for p, s in states.items()}
    operator = UpdateMap(method, field, x.float(), single)
    exact = UpdateMap(method, field, x, states)
    assert operator.after.dtype == torch.float64
    torch.testing.assert_close(operator.after, exact.after, rtol=1e-4, atol=1e-5)


def test_float32_agrees_with_float64():
    double = smooth_gan()
    single = double.with_dtype(torch.float32)
    u = torch.randn(34, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    method = Method(SGD(0.1), Extragradient())
    found = UpdateMap(method, single) @ u
    assert found.dtype == torch.float32
    assert bool(torch.isfinite(found).all())


def test_an_eventless_map_of_a_free_field_is_the_identity():
    field = linear_field(torch.zeros(3, 3, dtype=torch.float64))
    torch.testing.assert_close(UpdateMap(Method(SGD(0.1)), field).to_dense(), torch.eye(3, dtype=torch.float64))


def test_what_cannot_be_predicted_is_said():
    field = smooth_gan()
    with pytest.raises(ComputationError, match=r"no prediction for player 'G': Adam has no linear form at this state"):
        UpdateMap(Method(Adam(0.01)), field, frozen=True)
    with pytest.raises(InputError, match=r"a point of this field has shape \(34,\), got \(3,\)"):
        UpdateMap(Method(Adam(0.01)), field, torch.zeros(3, dtype=torch.float64))
    with pytest.raises(InputError, match=r"bases for \['G'\], the players are \['D', 'G'\]"):
        UpdateMap(Method({"G": Adam(0.01)}), field)


def test_a_spectral_norm_in_train_mode_is_refused():
    with torch.random.fork_rng():
        layer = torch.nn.utils.parametrizations.spectral_norm(torch.nn.Linear(2, 1))
    game = Game({"D": layer}, lambda models, batch: models["D"](batch).square().mean())
    with pytest.raises(UnsupportedOperatorError, match="spectral_norm in train mode"):
        UpdateMap(Method(SGD(0.1)), game.on(torch.ones(3, 2)))


def test_shared_players_have_a_state_each():
    field = shared_game()
    operator = UpdateMap(Method(SGD(0.1, momentum=0.5)), field)
    assert [size for _, size in operator.layout] == [5, 3, 4]
