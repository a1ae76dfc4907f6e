"""The small model against the dense period map of the real method."""

from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from linear_games import assert_same_spectrum, linear, modes_of, random_matrix, setting_of

import separatrix as sx
from separatrix.dynamics import SGD, Adam, AdamW, Alternating, Base, Extragradient, Frozen, Mode, Scheme, Simultaneous
from separatrix.dynamics.update_map import UpdateMap
from separatrix.errors import ComputationError
from separatrix.fields import Space
from separatrix.linalg import Dense
from separatrix.probes import reduce, settle
from separatrix.probes.leading import leading
from separatrix.probes.reduced import EXACT_UP_TO, RESOLVED
from separatrix.probes.stability import unit_bases

SCHEMES: list[Scheme] = [
    Simultaneous(),
    Alternating(),
    Alternating(repeats={"a": 3}),
    Extragradient(),
    Extragradient(moments="commit"),
]
MOMENTA: list[Base] = [
    SGD(0.3),
    SGD(0.2, momentum=0.6),
    SGD(0.2, momentum=-0.4),
    SGD(0.2, momentum=0.6, nesterov=True),
    SGD(0.2, momentum=0.5, weight_decay=0.3),
    Frozen(0.25, Mode("averaged", 0.5)),
    Frozen(0.25, Mode("averaged", 0.9, decay=0.01)),
]


def decays_ahead(scheme: Scheme, base: Base) -> bool:
    """Where the small model has the decay at the looked-ahead point and the method does not."""
    return isinstance(scheme, Extragradient) and getattr(base, "weight_decay", 0.0) > 0


CASES = [(s, b) for s, b in product(SCHEMES, MOMENTA) if not decays_ahead(s, b)]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), sizes=st.lists(st.integers(1, 3), min_size=2, max_size=3))
def test_the_period_of_the_small_model_is_the_dense_period_map(seed: int, sizes: list[int]) -> None:
    players = dict(zip("abc", sizes, strict=False))
    matrix = random_matrix(sum(sizes), seed, radius=2.0)
    chosen = torch.Generator().manual_seed(seed)
    for scheme in SCHEMES:
        known = [b for b in MOMENTA if not decays_ahead(scheme, b)]
        bases = {p: known[int(torch.randint(len(known), (1,), generator=chosen))] for p in players}
        setting = setting_of(matrix, players, bases, scheme)
        assert setting.frozen is not None
        small = reduce(setting.operator, setting.field.space, modes_of(setting))
        assert small.exact
        assert not bool(small.leak.any())
        found = small.period(scheme, unit_bases(setting.frozen))
        wanted = setting.update_map().to_dense()
        assert found.shape == wanted.shape
        assert float((found - wanted).abs().max()) < 1e-10


@pytest.mark.parametrize(("scheme", "base"), CASES, ids=str)
def test_every_scheme_with_every_momentum_has_the_multipliers_of_the_update_map(scheme: Scheme, base: Base) -> None:
    players = {"a": 2, "b": 3}
    setting = setting_of(random_matrix(5, 3), players, base, scheme)
    assert setting.frozen is not None
    small = reduce(setting.operator, setting.field.space, modes_of(setting))
    found = small.multipliers(scheme, unit_bases(setting.frozen))
    # Bare units: the metric changes no eigenvalue.
    bare = UpdateMap(setting.method, setting.field, setting.x, setting.states, frozen=True)  # type: ignore[arg-type]
    assert_same_spectrum(found, torch.linalg.eigvals(bare.to_dense()), 1e-9)
    assert found.abs().tolist() == sorted(found.abs().tolist(), reverse=True)


def test_coupled_decay_under_extragradient_is_off_by_step_size_times_decay_and_not_more() -> None:
    for decay in (1e-4, 1e-2):
        setting = setting_of(random_matrix(4, 1), {"a": 2, "b": 2}, SGD(0.3, weight_decay=decay), Extragradient())
        small = reduce(setting.operator, setting.field.space, modes_of(setting))
        gap = small.period(Extragradient(), unit_bases(setting.frozen)) - setting.update_map().to_dense()  # type: ignore[arg-type]
        z = float(torch.linalg.matrix_norm(setting.operator.to_dense(), 2))
        assert 0 < float(torch.linalg.matrix_norm(gap, 2)) <= 0.3 * decay * z * (1 + 1e-9)


@pytest.mark.parametrize("kind", [Adam, AdamW])
def test_a_second_moment_is_the_metric_of_the_small_model(kind: Any) -> None:
    players, matrix = {"a": 2, "b": 3}, random_matrix(5, 4)
    base = kind(0.1, (0.5, 0.9), weight_decay=0.2)
    field = linear(matrix, players)
    x, states = sx.simulate(sx.Method(base, Alternating()), field, steps=5)[:2]
    setting = settle(field, sx.Method(base, Alternating()), x=x, states=states)
    assert setting.frozen is not None
    small = reduce(setting.operator, field.space, modes_of(setting))
    found = small.period(Alternating(), unit_bases(setting.frozen))
    assert float((found - setting.update_map().to_dense()).abs().max()) < 1e-10


def a_large_case(scheme: Scheme = Simultaneous(), coupling: float = 0.02) -> tuple[Any, Any]:  # noqa: B008
    """Beyond ``EXACT_UP_TO``: three rotations of the first coordinates over a bulk that is damped."""
    n = EXACT_UP_TO + 16
    half = n // 2
    matrix = -0.5 * torch.eye(n, dtype=torch.float64) + coupling * random_matrix(n, 7)
    for i in range(3):
        matrix[i, i] = matrix[half + i, half + i] = -0.02
        matrix[i, half + i], matrix[half + i, i] = -1.0 - i, 1.0 + i
    setting = setting_of(matrix, {"a": half, "b": n - half}, SGD(0.1), scheme)
    return setting, leading(setting.operator, k=6, targets=("largest",))


def test_the_modes_kept_by_a_truncated_model_are_exact_for_simultaneous_steps() -> None:
    setting, modes = a_large_case()
    small = reduce(setting.operator, setting.field.space, modes)
    assert not small.exact
    assert small.space.n < setting.field.space.n
    spectrum = torch.linalg.eigvals(small.matrix)
    for value in modes.values.tolist():
        assert float((spectrum - value).abs().min()) < 1e-10
    kept = small.multipliers(Simultaneous(), unit_bases(setting.frozen))
    dense = 1 + torch.linalg.eigvals(setting.operator.to_dense())
    for m in kept.tolist():  # Some bulk values pass the leak's threshold; they are off by no more than what leaks.
        assert float((dense - m).abs().min()) <= RESOLVED * abs(m - 1)
    for value in modes.values.tolist():
        assert float((kept - 1 - value).abs().min()) < 1e-10


def test_the_leak_is_what_leaves_the_space_of_the_model() -> None:
    setting, modes = a_large_case()
    small = reduce(setting.operator, setting.field.space, modes)
    p = setting.operator.to_dense()
    w = torch.block_diag(*small.basis.values())
    assert float((w @ w.T - torch.eye(len(w), dtype=w.dtype)).abs().max()) < 1e-12
    assert float((small.matrix - w @ p @ w.T).abs().max()) < 1e-12
    outside = (torch.eye(len(p), dtype=p.dtype) - w.T @ w) @ p.T @ w.T
    assert float((small.leak - outside.T @ outside).abs().max()) < 1e-12


def test_what_leaks_more_than_the_threshold_is_not_resolved_and_what_leaks_less_is() -> None:
    """One row of ``W``, so the leak is a number: just below and just above 5% of ``|m - 1|``."""
    from separatrix.probes.reduced import Reduced

    bases = {"a": Frozen(1.0, Mode())}
    for share, count in ((0.99, 1), (1.0, 1), (1.01, 0)):
        leak = torch.tensor([[(share * RESOLVED * 0.4) ** 2]], dtype=torch.float64)
        model = Reduced(
            torch.tensor([[-0.4]], dtype=torch.float64), Space.of_sizes({"a": 1}), leak * (1 - 1e-12), {}, False
        )
        assert len(model.multipliers(Simultaneous(), bases)) == count


def test_alternation_on_a_truncated_model_agrees_with_the_dense_map_for_what_is_resolved() -> None:
    setting, modes = a_large_case(Alternating())
    small = reduce(setting.operator, setting.field.space, modes)
    kept = small.multipliers(Alternating(), unit_bases(setting.frozen))
    dense = torch.linalg.eigvals(setting.update_map().to_dense())
    assert len(kept) >= 6
    for m in kept.tolist():
        assert float((dense - m).abs().min()) <= RESOLVED * abs(m - 1)


def test_a_small_model_of_players_that_share_parameters_is_refused() -> None:
    space = Space([("t", (2,), ("a", "b"))], ["a", "b"])
    operator = Dense(torch.eye(2, dtype=torch.float64))
    with pytest.raises(ComputationError, match="players share parameters"):
        reduce(operator, space, leading(operator, k=2))
