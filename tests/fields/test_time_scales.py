"""Players that move at rates of their own."""

import pytest
import torch
from small_games import data, small_gan
from torch import nn

from separatrix.errors import InputError
from separatrix.fields import FunctionField, Game
from separatrix.linalg import eigenvalues

DOUBLE = torch.float64


def test_players_of_two_time_scales_have_the_eigenvalues_of_the_field_with_those_rates():
    """Dirac-GAN-like: ``v = (a x - b y, b x)`` with rates ``p, q`` has the matrix ``[[p a, -p b], [q b, 0]]``."""
    a, b, p, q = -0.5, 2.0, 0.3, 4.0
    field = FunctionField(
        lambda x: torch.stack([a * x[0] - b * x[1], b * x[0]]), torch.zeros(2, dtype=DOUBLE), players={"G": 1, "D": 1}
    )
    P = field.jacobian().scaled_by_players({"G": p, "D": q})
    root = (p * q) ** 0.5
    torch.testing.assert_close(P.to_dense(), torch.tensor([[p * a, -root * b], [root * b, 0.0]], dtype=DOUBLE))
    found = eigenvalues(P, k=2).values
    expected = torch.linalg.eigvals(torch.tensor([[p * a, -p * b], [q * b, 0.0]], dtype=DOUBLE))
    torch.testing.assert_close(found[found.imag.argsort()], expected[expected.imag.argsort()])


def test_rates_belong_to_the_coordinates_of_their_players():
    field = small_gan().on(data(6, 3))
    J = field.jacobian(checks=False)
    d = torch.ones(field.space.n, dtype=DOUBLE)
    d[field.space.index("D")] = 5.0
    scaled = torch.diag(d) @ J.to_dense()
    P = J.scaled_by_players({"D": 5.0, "G": 1.0})
    torch.testing.assert_close(P.to_dense(), torch.diag(d.sqrt()) @ J.to_dense() @ torch.diag(d.sqrt()))
    values = torch.linalg.eigvals(P.to_dense())
    torch.testing.assert_close(
        values.abs().sort()[0], torch.linalg.eigvals(scaled).abs().sort()[0], rtol=1e-6, atol=1e-7
    )


def test_rates_that_do_not_fit_are_named():
    J = small_gan().on(data(6, 3)).jacobian(checks=False)
    with pytest.raises(InputError, match=r"rates are for \['G'\], the players are \['G', 'D'\]"):
        J.scaled_by_players({"G": 1.0})
    with pytest.raises(InputError, match=r"rate of player 'D' must be positive and finite, got -1"):
        J.scaled_by_players({"G": 1.0, "D": -1.0})


def test_players_that_share_a_parameter_have_one_rate_in_it():
    shared = nn.Parameter(data(2))
    players = {"a": nn.ParameterList([shared, nn.Parameter(data(1))]), "b": nn.ParameterList([shared])}

    def losses(m, batch):
        return {"a": (m["a"][0][0] * m["a"][1] ** 2).sum(), "b": m["a"][0].prod()}

    J = Game(players, losses).on().jacobian()
    with pytest.raises(InputError, match=r"share .*, which has one rate: got 1.0 and 2.0"):
        J.scaled_by_players({"a": 1.0, "b": 2.0})
    torch.testing.assert_close(J.scaled_by_players({"a": 2.0, "b": 2.0}).to_dense(), 2 * J.to_dense())
