"""Everything about a field where it stands, in one call, and its slice in a plane."""

import json

import pytest
import torch

import separatrix as sx
from separatrix.dynamics import SGD, Method
from separatrix.errors import InputError
from separatrix.fields import FunctionField, Game
from separatrix.probes import settle
from separatrix.probes.decompose import PlaneField, decompose_field, split_plane
from separatrix.zoo import load


def linear(matrix, sizes=None, at=None):
    point = torch.ones(len(matrix), dtype=torch.float64) if at is None else at
    return FunctionField(lambda x: matrix @ x, point, players=sizes, name="linear")


def random_matrix(n, seed):
    return torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) / n**0.5


def setting_of(matrix, sizes=None, at=None, method=None):
    return settle(linear(matrix, sizes, at), method)


def test_a_gradient_is_called_one_and_a_rotation_not():
    symmetric = -torch.eye(4, dtype=torch.float64)
    found = decompose_field(setting_of(symmetric, {"a": 2, "b": 2}))
    assert found.split.potentialness.value == 1
    assert found.planes == ()
    assert found.loops.verdict == "a gradient as far as seen"
    turning = torch.zeros(4, 4, dtype=torch.float64)
    turning[0, 2], turning[2, 0] = -1.0, 1.0
    found = decompose_field(setting_of(turning + symmetric, {"a": 2, "b": 2}))
    assert found.loops.verdict == "not a gradient"
    assert found.planes[0].players == pytest.approx({"a": 0.5, "b": 0.5})
    assert "lies in a 50%, b 50%" in found.sentence


def test_it_is_measured_in_the_metric_of_the_method():
    matrix = random_matrix(6, 0)
    method = Method({"a": SGD(0.5), "b": SGD(0.02)})
    found = decompose_field(setting_of(matrix, {"a": 3, "b": 3}, method=method), loops=0)
    root = torch.tensor([0.5] * 3 + [0.02] * 3, dtype=torch.float64).sqrt()
    P = root[:, None] * matrix * root
    share = float((P + P.T).square().sum() / 4 / P.square().sum())
    assert found.split.potentialness.value == pytest.approx(share, rel=1e-12)
    assert found.loops is None
    assert "h lambda" in found.metric


def test_the_kind_of_a_rest_point_is_told():
    problem = load("dirac-gan", r1=0.3, theta=0.0, psi=0.0)
    found = decompose_field(settle(problem.field(), problem.method))
    assert found.equilibrium.at_rest
    assert found.equilibrium.stable == "yes"
    assert "The flow is" in found.sentence


def test_costs_are_billed_and_sections_are_plain_data():
    setting = setting_of(random_matrix(5, 2), {"a": 2, "b": 3})
    spent = setting.seen.gradients
    path = torch.stack([setting.x - 1, setting.x])
    found = decompose_field(setting, path=path)
    assert found.gradients == pytest.approx(setting.seen.gradients - spent)
    assert {part for part, _, _ in found.costs} == {"split", "planes", "loops", "equilibrium", "path angle"}
    assert found.path.label
    assert json.loads(json.dumps(found.section()))["planes"][0]["share"] > 0


def test_shared_parameters_and_jumps_become_notes():
    w, z = (torch.nn.Parameter(torch.ones(2, dtype=torch.float64)) for _ in range(2))
    both, own = torch.nn.ParameterList([w, z]), torch.nn.ParameterList([w])
    game = Game({"a": both, "b": own}, lambda m, b: {"a": (m["a"][0] * m["a"][1]).sum(), "b": m["b"][0].square().sum()})
    found = decompose_field(settle(game.on()), loops=1)
    assert any("share parameters" in note for note in found.notes)
    assert found.equilibrium is None
    step = FunctionField(
        lambda x: torch.stack([torch.sign(x[0]) - x[1], x[0]]), torch.tensor([0.1, 0.0], dtype=torch.float64)
    )
    found = decompose_field(settle(step), radius=1.0)
    assert found.loops.verdict == "undecided"


def test_counts_that_make_no_sense_are_refused():
    setting = setting_of(random_matrix(4, 0))
    with pytest.raises(InputError, match="probes is at least 2"):
        decompose_field(setting, probes=1)
    with pytest.raises(InputError, match="radius positive"):
        decompose_field(setting, radius=-1.0)


def test_a_plane_shows_the_field_in_the_methods_units():
    matrix = random_matrix(5, 3)
    setting = setting_of(matrix, {"a": 2, "b": 3}, method=Method({"a": SGD(0.4), "b": SGD(0.1)}))
    basis = torch.linalg.qr(torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)).Q.T
    seen = PlaneField(setting, basis)
    root = torch.tensor([0.4] * 2 + [0.1] * 3, dtype=torch.float64).sqrt()
    at = torch.tensor([0.3, -0.7], dtype=torch.float64)
    wanted = basis @ (root * (matrix @ (setting.x + root * (at @ basis))))
    assert torch.allclose(seen(at), wanted, atol=1e-14)
    before = setting.seen.gradients
    found = split_plane(setting, basis, 2.0, cells=8)
    assert setting.seen.gradients - before == found.gradients == 2 * 8 * 9
    # A linear field: the rotation is the antisymmetric part of what shows in the plane, up to what the walls decide.
    assert sum(found.shares.values()) == pytest.approx(1)
    with pytest.raises(InputError, match="a plane is two directions"):
        PlaneField(setting, basis[:1])
    with pytest.raises(InputError, match="reach must be positive"):
        split_plane(setting, basis, 0.0)


def test_one_door_takes_fields_polynomial_games_and_finite_games():
    spiral = sx.FunctionField(lambda x: torch.stack([-x[0] - 2 * x[1], 2 * x[0] - x[1]]), torch.zeros(2).double())
    found = sx.decompose(spiral)
    assert found.split.potentialness.value == pytest.approx(0.2)
    assert str(found).endswith(found.sentence)
    rotation = sx.fields.PolynomialGame({"x": 1, "y": 1}, {"x": {(1, 1): 1.0}, "y": {(1, 1): -1.0}})
    assert sx.decompose(rotation).divergence_free == 1.0
    pennies = sx.decompose([[[1, -1], [-1, 1]], [[-1, 1], [1, -1]]])
    assert (pennies.potentialness, str(pennies)) == (0.0, pennies.status)
    game = sx.Game({"x": torch.zeros(1), "y": torch.zeros(1)}, lambda m, batch: (m["x"] * m["y"]).sum())
    assert sx.decompose(game.on()).split.potentialness.value == 0.0
    with pytest.raises(InputError, match=r"decompose game\.on\(batch\)"):
        sx.decompose(game)
    with pytest.raises(InputError, match="not arrays of numbers"):
        sx.decompose("nothing")
