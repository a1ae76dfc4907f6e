"""Schemes against closed forms: the spectral radii of their update maps on games with known spectra.

Sources of the forms: the multiplier of each method for an eigenvalue ``mu`` of ``v'``, ``z = h mu``; the bilinear game's
radii [gidel2019negative; mescheder2017; korpelevich1976].
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from dynamics_games import linear_field, shared_game, smooth_gan

from separatrix.dynamics import (
    SGD,
    Adam,
    Alternating,
    Consensus,
    Extragradient,
    Frozen,
    Lookahead,
    Method,
    Mode,
    PastExtragradient,
    Simultaneous,
    UpdateMap,
    simulate,
)
from separatrix.errors import InputError

ROTATION = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
PLAYERS = {"x": 1, "y": 1}


def multipliers(method: Method, matrix: torch.Tensor, players: dict[str, int] = PLAYERS) -> np.ndarray:
    return np.linalg.eigvals(UpdateMap(method, linear_field(matrix, players)).to_dense().numpy())


def radius(method: Method, matrix: torch.Tensor = ROTATION) -> float:
    return float(np.abs(multipliers(method, matrix)).max())


def heavy(h: float, b: float) -> Frozen:
    return Frozen(h, Mode("heavy-ball", b))


@pytest.mark.parametrize("h", [0.1, 0.5, 0.9])
def test_radii_on_the_bilinear_game_have_their_closed_forms(h):
    assert radius(Method(SGD(h))) == pytest.approx(np.sqrt(1 + h * h), abs=1e-12)
    assert radius(Method(SGD(h), Alternating())) == pytest.approx(1, abs=1e-12)
    assert radius(Method(SGD(h), Extragradient())) == pytest.approx(np.sqrt(1 - h**2 + h**4), abs=1e-12)


def test_extragradient_is_best_at_one_over_root_two_and_safe_up_to_one():
    assert radius(Method(SGD(1 / np.sqrt(2)), Extragradient())) == pytest.approx(0.8660254, abs=1e-7)
    assert radius(Method(SGD(1 - 1e-6), Extragradient())) < 1 < radius(Method(SGD(1 + 1e-6), Extragradient()))


@pytest.mark.parametrize(("gamma", "h"), [(1.0, 0.1), (0.3, 0.5), (2.0, 0.4)])
def test_consensus_damps_the_bilinear_game(gamma, h):
    method = Method(SGD(h), transforms=(Consensus(gamma),))
    assert radius(method) == pytest.approx(np.sqrt((1 - h * gamma) ** 2 + h * h), abs=1e-12)
    best = Method(SGD(gamma / (1 + gamma**2)), transforms=(Consensus(gamma),))
    assert radius(best) == pytest.approx(1 / np.sqrt(1 + gamma**2), abs=1e-12)


def test_simultaneous_heavy_ball_never_settles_on_the_bilinear_game():
    assert radius(Method(heavy(0.1, -0.5))) == pytest.approx(1.00074, abs=5e-6)
    for b in (-0.9, -0.3, 0.3, 0.9):
        assert radius(Method(heavy(0.1, b))) > 1


@pytest.mark.parametrize(("b", "h", "expected"), [(-0.5, 0.1, 0.998518), (-0.5, 1.0, 1.0), (-0.25, 1.0, 0.8528)])
def test_alternation_with_negative_momentum_settles_on_the_bilinear_game(b, h, expected):
    # Multiple eigenvalues on the circle at h = 1: half the digits.
    assert radius(Method(heavy(h, b), Alternating())) == pytest.approx(
        expected, abs=5e-5 if h == 1 and b == -0.25 else 1e-6
    )
    method = Method(SGD(h, momentum=b), Alternating())
    field = linear_field(ROTATION, PLAYERS)
    x, states, _ = simulate(method, field, steps=1)  # the very first step has no momentum
    ours = UpdateMap(method, field, x, states).to_dense()
    buffers = torch.diag(torch.tensor([1, 1, -h, -h], dtype=torch.float64))  # displacement = -h times torch's buffer
    theirs = UpdateMap(Method(heavy(h, b), Alternating()), field).to_dense()
    torch.testing.assert_close(buffers @ ours @ buffers.inverse(), theirs, rtol=0, atol=1e-13)


def roots(*coefficients: complex) -> np.ndarray:
    return np.roots(coefficients)


@pytest.mark.parametrize("mu", [-0.3 + 0.8j, -1.0 + 0.2j, 0.1 + 0.5j])
def test_multipliers_of_simultaneous_schemes_on_a_normal_pair(mu):
    matrix = torch.tensor([[mu.real, -mu.imag], [mu.imag, mu.real]], dtype=torch.float64)
    h, b, gamma = 0.4, 0.6, 0.7
    z = h * mu
    consensus = h * (mu - gamma * abs(mu) ** 2)
    forms = {
        "simultaneous": (Method(SGD(h)), [1 + z]),
        "extragradient": (Method(SGD(h), Extragradient()), [1 + z * (1 + z)]),
        "heavy ball": (Method(heavy(h, b)), roots(1, -(1 + b + z), b)),
        "nesterov": (Method(Frozen(h, Mode("nesterov", b))), roots(1, -(1 + b + (1 + b) * z), b * (1 + z))),
        "averaged": (Method(Frozen(h, Mode("averaged", b))), roots(1, -(1 + b + (1 - b) * z), b)),
        "consensus": (Method(SGD(h), transforms=(Consensus(gamma),)), [1 + consensus]),
        "consensus, averaged": (
            Method(Frozen(h, Mode("averaged", b)), transforms=(Consensus(gamma),)),
            roots(1, -(1 + b + (1 - b) * consensus), b),
        ),
        "decay": (Method(Frozen(h, Mode("none", decay=0.1))), [0.9 + z]),
        "coupled decay": (Method(SGD(h, weight_decay=0.5)), [1 + z - 0.5 * h]),
    }
    for name, (method, expected) in forms.items():
        found = multipliers(method, matrix)
        for value in (*expected, *np.conj(expected)):
            assert np.abs(found - value).min() < 1e-9, f"{name}: {value} is not among {found}"
        assert len(found) == 2 * len(expected)


@pytest.mark.parametrize(
    ("gamma", "simultaneous", "alternating"), [(0.3, 1.2, 2.976), (1.0, 4.0, 1.6569), (2.0, 1.0718, 0.9443)]
)
def test_alternation_helps_at_weak_damping_and_hurts_at_strong_damping(gamma, simultaneous, alternating):
    """``[[0, -f], [f, -gamma]]``: the limits of both schemes, to 1e-6 around the closed form."""
    f = 0.5
    matrix = torch.tensor([[0.0, -f], [f, -gamma]], dtype=torch.float64)
    form = (-gamma + np.sqrt(gamma**2 + 4 * f**2)) / f**2
    assert form == pytest.approx(alternating, abs=5e-4)
    for h in (form * (1 - 1e-6), form * (1 + 1e-6)):
        assert (radius(Method(SGD(h), Alternating()), matrix) < 1) == (h < form)
    eigenvalues = np.linalg.eigvals(matrix.numpy())
    limit = min(-2 * eigenvalues.real / np.abs(eigenvalues) ** 2)
    assert limit == pytest.approx(simultaneous, abs=5e-4)
    if gamma != 1.0:  # there the eigenvalue is double, and a radius has half the digits
        for h in (limit * (1 - 1e-6), limit * (1 + 1e-6)):
            assert (radius(Method(SGD(h)), matrix) < 1) == (h < limit)


@pytest.mark.parametrize("repeats", [1, 2, 5])
def test_alternating_repeats_multiply_block_maps(repeats):
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    h, eye = 0.1, torch.eye(5, dtype=torch.float64)
    first, second = (eye.clone() for _ in range(2))
    first[2:] += h * matrix[2:]
    second[:2] += h * matrix[:2]
    expected = second @ torch.linalg.matrix_power(first, repeats)
    method = Method(SGD(h), Alternating(("y", "x"), {"y": repeats}))
    found = UpdateMap(method, linear_field(matrix, {"x": 2, "y": 3})).to_dense()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)


def test_alternation_on_the_dirac_gan_turns_on_the_circle_up_to_four_over_root_repeats():
    """It stays on the unit circle iff ``sqrt(n_g n_d) h f' <= 2``."""
    for repeats, limit in ((1, 4.0), (5, 4 / np.sqrt(5))):
        scheme = Alternating(("y", "x"), {"y": repeats})
        assert radius(Method(SGD(limit * 0.999), scheme), 0.5 * ROTATION) == pytest.approx(1, abs=1e-9)
        assert radius(Method(SGD(limit * 1.001), scheme), 0.5 * ROTATION) > 1.001


def test_the_frozen_adam_is_heavy_ball_at_the_share_of_the_rate():
    """``averaged(h, b)`` has the multipliers of ``heavy ball(h (1 - b), b)``."""
    matrix = torch.tensor([[-0.2, -0.9], [1.1, -0.4]], dtype=torch.float64)
    one, other = Frozen(0.3, Mode("averaged", 0.5)), heavy(0.15, 0.5)
    for scheme in (Simultaneous(), Alternating()):
        a, b = (np.sort_complex(multipliers(Method(base, scheme), matrix)) for base in (one, other))
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_each_scheme_spends_its_gradients():
    field = linear_field(ROTATION, PLAYERS)
    gradients = {
        Simultaneous(): 1.0,
        Extragradient(): 2.0,
        Extragradient("commit", same_draw=False): 2.0,
    }
    for scheme, expected in gradients.items():
        assert Method(SGD(0.1), scheme).gradients(field) == expected
    assert Method(SGD(0.1), Alternating(repeats={"y": 5})).gradients(field) == 3.0
    consensus = (Consensus(1.0),)
    assert Method(SGD(0.1), transforms=consensus).gradients(field) == 3.0
    assert Method(SGD(0.1), transforms=consensus * 2).gradients(field) == 9.0
    for method in (Method(SGD(0.1), Extragradient()), Method(SGD(0.1), Alternating(), consensus)):
        before = field.gradients
        method.step(field, *method.init(field))
        assert field.gradients - before == method.gradients(field)


def test_draws_say_how_many_minibatches_a_period_takes():
    players = ("G", "D")
    assert Simultaneous().draws(players) == 1
    assert Extragradient().draws(players) == 1
    assert Extragradient(same_draw=False).draws(players) == 2
    assert Alternating(("D", "G"), {"D": 5}).draws(players) == 6
    assert Alternating(("D", "G"), {"D": 5}, fresh=False).draws(players) == 1
    assert Alternating(("D", "G"), {"D": 2}).moves(players) == ["D", "D", "G"]


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        (Simultaneous(), [0]),
        (Extragradient(), [0, 0]),
        (Extragradient(same_draw=False), [0, 1]),
        (Alternating(("D", "G"), {"D": 2}), [0, 1, 2]),
        (Alternating(fresh=False), [0, 0]),
    ],
)
def test_evaluations_say_which_draw_they_take(scheme, expected):
    field = smooth_gan()
    method = Method(SGD(0.1), scheme)
    x, states = method.init(field)
    taken = []

    def evaluate(at, players, draw):
        taken.append(draw)
        return field.directions(at, players)

    scheme.step(evaluate, method.bases_for(field.players), field.space, x, states)
    assert taken == expected
    assert set(taken) == set(range(scheme.draws(field.players)))


def test_extragradient_rolls_moments_back_or_commits_them():
    field = smooth_gan()
    adam = Adam(1e-2)
    counts = {}
    for moments in ("roll back", "commit"):
        method = Method(adam, Extragradient(moments))
        _, states, _ = simulate(method, field, steps=3)
        counts[moments] = {p: states[p]["step"] for p in states}
    assert counts == {"roll back": {"G": 3, "D": 3}, "commit": {"G": 6, "D": 6}}
    # By hand: look ahead from the old state; the second step starts from the old point and either state.
    x = field.point
    old = {p: adam.init(field.space.take(x, p)) for p in field.players}
    v = field.directions(x)
    ahead, moved = x.clone(), {}
    for p in field.players:
        ahead[field.space.index(p)], moved[p] = adam.step(v[p], field.space.take(x, p), old[p])
    there = field.directions(ahead)
    for moments, start in (("roll back", old), ("commit", moved)):
        expected = x.clone()
        for p in field.players:
            expected[field.space.index(p)] = adam.step(there[p], field.space.take(x, p), start[p])[0]
        method = Method(adam, Extragradient(moments))
        assert torch.equal(method.step(field, *method.init(field))[0], expected)


def test_extragradient_with_adam_from_the_second_step_on_depends_on_what_it_commits():
    field = smooth_gan()
    paths = [simulate(Method(Adam(1e-2), Extragradient(m)), field, steps=3)[0] for m in ("roll back", "commit")]
    assert not torch.equal(*paths)


@pytest.mark.parametrize("bases", [SGD(0.05), SGD(0.05, momentum=0.5), Adam(0.01)])
def test_players_that_share_a_tensor_both_move_it(bases):
    """Against two torch optimizers, each fed its own player's gradient of the same point."""
    field = shared_game()
    game = field.game
    x, _, _ = simulate(Method(bases), field, steps=5)
    w, a, b = (
        p.detach().clone().requires_grad_()
        for p in (game.models["A"]["w"], game.models["A"]["a"], game.models["B"]["b"])
    )
    kind = torch.optim.Adam if isinstance(bases, Adam) else torch.optim.SGD
    settings = {"lr": bases.lr} | ({"momentum": bases.momentum} if isinstance(bases, SGD) else {})
    ones, others = kind([w, a], **settings), kind([w, b], **settings)
    for _ in range(5):
        losses = game.losses({"A": {"w": w, "a": a}, "B": {"w": w, "b": b}}, None)
        of_a = torch.autograd.grad(losses["A"], (w, a), retain_graph=True)
        of_b = torch.autograd.grad(losses["B"], (w, b))
        for optimizer, tensors, gradients in ((ones, (w, a), of_a), (others, (w, b), of_b)):
            for t, g in zip(tensors, gradients, strict=True):
                t.grad = g
            optimizer.step()
    expected = {"w": w, "a": a, "b": b}
    for entry, piece in zip(field.space.entries, field.space.split(x), strict=True):
        name = entry.name.split("'")[1]
        torch.testing.assert_close(piece, expected[name].detach(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("scheme", [Simultaneous(), Alternating(("B", "A")), Extragradient()])
@pytest.mark.parametrize("transforms", [(), (Consensus(0.1),)])
def test_the_update_map_of_players_that_share_a_tensor_is_the_derivative_of_the_step(scheme, transforms):
    field = shared_game()
    method = Method(SGD(0.05, momentum=0.5), scheme, transforms)
    x, states, _ = simulate(method, field, steps=2)
    found = UpdateMap(method, field, x, states).to_dense()[: field.space.n, : field.space.n]
    h = 1e-6
    columns = []
    for e in torch.eye(field.space.n, dtype=torch.float64):
        ahead, behind = (method.step(field, x + s * h * e, states)[0] for s in (1, -1))
        columns.append((ahead - behind) / (2 * h))
    torch.testing.assert_close(found, torch.stack(columns, dim=1), rtol=0, atol=1e-8)


def test_unfit_schemes_are_named():
    field = linear_field(ROTATION, PLAYERS)
    with pytest.raises(InputError, match=r"unknown players \['z'\]; the players are \['x', 'y'\]"):
        Method(SGD(0.1), Alternating(("x", "z"))).init(field)
    with pytest.raises(InputError, match=r"leaves out \['y'\]"):
        Method(SGD(0.1), Alternating(("x",))).init(field)
    with pytest.raises(InputError, match=r"at least once, got \{'y': 0\}"):
        Method(SGD(0.1), Alternating(repeats={"y": 0})).init(field)
    with pytest.raises(InputError, match=r"moments must be one of 'roll back', 'freeze', 'commit', got 'keep'"):
        Extragradient("keep")


def test_schemes_describe_themselves_as_plain_data():
    assert Alternating(("D", "G"), {"D": 5}).describe() == {
        "scheme": "alternating", "order": ["D", "G"], "repeats": {"D": 5}, "fresh": True,
    }  # fmt: skip
    assert Alternating(lazy={"r1": 4}).describe()["lazy"] == {"r1": 4}
    assert Extragradient().describe() == {
        "scheme": "extragradient", "moments": "roll back", "same_draw": True, "ahead": 1.0,
    }  # fmt: skip
    inside = Lookahead(PastExtragradient(2.0), 3).describe()["inner"]
    assert inside == {"scheme": "past extragradient", "ahead": 2.0, "moments": "roll back"}
    assert Simultaneous().name == "simultaneous"
