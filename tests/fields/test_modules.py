"""Every module class: products agree with differences of the field, and nothing of the modules changes."""

import pytest
import torch
from field_oracle import assert_products_are_right, differences
from module_cases import KINKED, NOT_TWICE, SMOOTH, Then, against_a_critic, tokens
from torch import nn

from separatrix.errors import UnsupportedOperatorError
from untouched import untouched


@pytest.mark.parametrize("name", SMOOTH)
def test_the_jacobian_of_a_smooth_module_agrees_with_differences(name):
    field = against_a_critic(*SMOOTH[name], torch.float64)
    with untouched(*field.game.models.values()):
        assert assert_products_are_right(field).findings == []


@pytest.mark.parametrize("name", KINKED)
def test_the_jacobian_of_a_kinked_module_agrees_with_differences_at_tiny_steps(name):
    field = against_a_critic(*KINKED[name], torch.float64)
    with untouched(*field.game.models.values()):
        assert_products_are_right(field, step=1e-7, tolerance=1e-5)


@pytest.mark.parametrize("name", SMOOTH | KINKED)
def test_every_other_route_agrees_with_differences_too(name):
    field = against_a_critic(*(SMOOTH | KINKED)[name], torch.float64)
    z, u = torch.randn(2, field.space.n, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    expected = differences(field, z, step=1e-5 if name in SMOOTH else 1e-7)
    scale = (1e-7 if name in SMOOTH else 1e-5) * (float(expected.norm()) + 1e-12)
    for route in ("stream", "dual", "dense"):
        if route == "dual" and "grid_sample" in name:  # refused by name: see test_routes
            continue
        with untouched(*field.game.models.values()):
            J = field.jacobian(route=route, checks=False)
            forward, backward = J @ z, J.T @ u
        assert float((forward - expected).norm()) <= scale, route
        assert abs(float(backward @ z - u @ expected)) <= scale * float(u.norm()), route


@pytest.mark.parametrize(
    "name", ["Tanh", "BatchNorm, running statistics", "LSTM", "causal attention", "svdvals", "PReLU"]
)
def test_in_float32_the_jacobian_is_that_of_float64_to_rounding(name):
    field = against_a_critic(*(SMOOTH | KINKED)[name], torch.float32)
    u = torch.randn(field.space.n, generator=torch.Generator().manual_seed(1))
    J, exact = field.jacobian(), field.with_dtype(torch.float64).jacobian()
    assert J.findings == []
    for found, expected in ((J @ u, exact @ u.double()), (J.T @ u, exact.T @ u.double())):
        torch.testing.assert_close(found.double(), expected, rtol=0, atol=3e-4 * float(expected.norm()))


@pytest.mark.skipif(not NOT_TWICE, reason="this torch differentiates every module here twice")
def test_what_this_torch_cannot_differentiate_twice_is_refused_by_name():
    for case in NOT_TWICE.values():
        with pytest.raises(UnsupportedOperatorError, match="grid_sampler_2d_backward"):
            against_a_critic(*case, torch.float64).jacobian()


def test_a_padding_row_is_left_out_with_a_finding():
    def make():
        return Then(nn.Embedding(7, 3, padding_idx=0), nn.Tanh())

    field = against_a_critic(make, tokens, torch.float64)
    J = field.jacobian()
    assert [f.split(":")[0] for f in J.findings] == ["padding"]
    assert "row 0 of G.modules_.0.weight" in J.findings[0]
    z = torch.randn(field.space.n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z[:3] = 0  # the padding row
    torch.testing.assert_close(J @ z, differences(field, z), rtol=1e-7, atol=1e-9)
    assert not (J.T @ z)[:3].any()
