"""Torus and box: exact on trigonometric fields, second order on a box, and what is refused."""

import math

import numpy as np
import pytest
import torch

from separatrix.errors import InputError
from separatrix.fields import FunctionField
from separatrix.probes.decompose import decompose_box, decompose_torus

TAU = 2 * math.pi


def field(function, d=2):
    return FunctionField(function, torch.zeros(d, dtype=torch.float64))


def known(x):
    """``-grad U + w + mean`` with ``U = sin x + cos(x + 2 y)``, ``w = (2 cos 2 y, sin x)``, mean (0.5, -1)."""
    wave = torch.sin(x[0] + 2 * x[1])
    gradient = torch.stack([-torch.cos(x[0]) + wave, 2 * wave])
    rotation = torch.stack([2 * torch.cos(2 * x[1]), torch.sin(x[0])])
    return gradient + rotation + torch.tensor([0.5, -1.0], dtype=x.dtype)


def test_a_trigonometric_field_is_split_exactly():
    found = decompose_torus(field(known), (0, 0), (TAU, TAU), points=16)
    x, y = np.meshgrid(TAU * np.arange(16) / 16, TAU * np.arange(16) / 16, indexing="ij")
    assert np.allclose(found.gradient[0], -np.cos(x) + np.sin(x + 2 * y), atol=1e-12)
    assert np.allclose(found.rotation[0], 2 * np.cos(2 * y), atol=1e-12)
    assert np.allclose(found.potential, np.sin(x) + np.cos(x + 2 * y), atol=1e-12)
    assert found.harmonic.tolist() == pytest.approx([0.5, -1])
    total = 0.5 + 2.5 + 2.5 + 1.25  # mean squared lengths: U gives 1/2 + 5/2, w gives 2 + 1/2
    assert found.shares["gradient"] == pytest.approx(3 / total)
    assert found.shares["rotation"] == pytest.approx(2.5 / total)
    assert found.shares["harmonic"] == pytest.approx(1.25 / total)
    assert found.error < 1e-12
    assert found.residual < 1e-14
    assert found.gradients == 16**2 + 12 + 16


@pytest.mark.parametrize("d", [1, 2, 3])
def test_parts_of_a_random_trigonometric_field_add_back_and_are_orthogonal(d):
    generator = torch.Generator().manual_seed(d)
    waves = torch.randint(-2, 3, (5, d), generator=generator).double()
    amplitudes = torch.randn(5, d, generator=generator, dtype=torch.float64)

    def function(x):
        return (amplitudes * torch.cos(waves @ x + 1)[:, None]).sum(0)

    found = decompose_torus(field(function, d), [0] * d, [TAU] * d, points=8)
    values = torch.stack(found.gradient) + torch.stack(found.rotation) + found.harmonic.reshape(-1, *[1] * d)
    grid = torch.cartesian_prod(*[TAU * torch.arange(8).double() / 8] * d).reshape(-1, d)
    wanted = torch.stack([function(x) for x in grid]).T.reshape(d, *[8] * d)
    assert torch.allclose(values, wanted, atol=1e-12)
    assert found.residual < 1e-13
    assert sum(found.shares.values()) == pytest.approx(1, abs=1e-12)
    if d == 1:
        assert found.shares["rotation"] == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize("boundary", ["tangential", "normal"])
def test_parts_on_a_box_are_orthogonal_and_the_rest_has_no_divergence(boundary):
    def function(x):
        return torch.stack([torch.tanh(x[0] * x[1]) + x[1], x[0] ** 2 - torch.exp(x[1])])

    found = decompose_box(field(function), (-1, 0), (2, 1.5), cells=20, boundary=boundary)
    assert found.residual < 1e-12
    assert found.shares["gradient"] + found.shares["rotation"] == pytest.approx(1, abs=1e-10)
    assert found.at_centres("gradient").shape == (2, 20, 20)
    centre = found.at_centres("gradient") + found.at_centres("rotation")
    x = torch.linspace(-1, 2, 21, dtype=torch.float64)
    y = torch.linspace(0, 1.5, 21, dtype=torch.float64)
    points = torch.cartesian_prod((x[1:] + x[:-1]) / 2, (y[1:] + y[:-1]) / 2)
    wanted = torch.stack([function(p) for p in points]).T.reshape(2, 20, 20)
    assert torch.allclose(centre, wanted, atol=0.02)


def stream(x):
    return (torch.sin(x[0]) * torch.sin(x[1])) ** 2 * (1 + x[0] * x[1])


def tangential(x):
    slope = torch.func.grad(stream)(x)
    return torch.stack([slope[1], -slope[0]])


def test_a_tangential_rotation_stays_and_its_error_is_of_second_order():
    """The rotation of a stream function that vanishes on the walls, plus a gradient."""

    def function(x):
        return tangential(x) - torch.func.grad(lambda p: torch.exp(p[0] - p[1] ** 2 / 4))(x)

    gaps, errors = [], []
    for cells in (16, 32):
        found = decompose_box(field(function), (0, 0), (math.pi, math.pi), cells)
        nodes = torch.linspace(0, math.pi, cells + 1, dtype=torch.float64)
        at = torch.cartesian_prod(nodes, (nodes[1:] + nodes[:-1]) / 2)
        wanted = torch.vmap(tangential)(at)[:, 0].reshape(cells + 1, cells)
        gaps.append(float((found.rotation[0] - wanted).abs().max()))
        errors.append(found.error)
    assert gaps[1] < 0.05
    assert 3 < gaps[0] / gaps[1] < 5
    fine = decompose_box(field(function), (0, 0), (math.pi, math.pi), 64)
    assert abs(found.shares["rotation"] - fine.shares["rotation"]) < errors[1] < errors[0] < 0.05


def test_the_two_conditions_at_the_walls_part_a_constant_field_differently():
    """It is a gradient and free of divergence at once: the walls decide which part takes it."""
    still = field(lambda x: torch.ones_like(x))
    assert decompose_box(still, (0, 0), (1, 1), 8).shares["gradient"] == pytest.approx(1)
    assert decompose_box(still, (0, 0), (1, 1), 8, boundary="normal").shares["rotation"] == pytest.approx(1)
    bowl = field(lambda x: torch.stack([torch.cos(x[0]) * torch.sin(x[1]), torch.sin(x[0]) * torch.cos(x[1])]))
    found = decompose_box(bowl, (0, 0), (math.pi, math.pi), 32, boundary="normal")
    assert found.shares["gradient"] == pytest.approx(1, abs=1e-12)
    middle = float(found.potential[16, 16])
    assert middle == pytest.approx(-1, abs=2e-3)


def test_what_is_not_periodic_too_large_or_odd_is_refused():
    spiral = field(lambda x: torch.stack([-x[1], x[0]]))
    with pytest.raises(InputError, match="not periodic: between coordinate 0 at 0 and at 1 it differs by 1"):
        decompose_torus(spiral, (0, 0), (1, 1), 8)
    with pytest.raises(InputError, match="points must be even and at least 4"):
        decompose_torus(spiral, (0, 0), (1, 1), 7)
    with pytest.raises(InputError, match="cells must be even"):
        decompose_box(spiral, (0, 0), (1, 1), 5)
    with pytest.raises(InputError, match="corners of a box in the 2 coordinates"):
        decompose_box(spiral, (0, 0, 0), (1, 1, 1))
    with pytest.raises(InputError, match="boundary must be 'tangential' or 'normal', got 'open'"):
        decompose_box(spiral, (0, 0), (1, 1), boundary="open")
    many = field(lambda x: -x, 6)
    with pytest.raises(InputError, match="more than 2000000; take fewer, or use decompose_samples"):
        decompose_box(many, [0] * 6, [1] * 6)


def test_the_zero_field_is_said():
    found = decompose_box(field(torch.zeros_like), (0, 0), (1, 1), 4)
    assert found.status == "The field is zero on the grid."
    assert found.shares["gradient"] != found.shares["gradient"]


def test_waves_too_short_for_the_grid_are_said_instead_of_taken_for_long_ones():
    """On 8 and on 4 points ``cos 8x`` is 1 and ``sin 8x`` is 0: both grids agree on a constant field."""
    short = FunctionField(lambda x: torch.stack([torch.cos(8 * x[0]), torch.sin(8 * x[0])]), torch.zeros(2).double())
    found = decompose_torus(short, (0, 0), (2 * math.pi,) * 2, points=8)
    assert found.error > 0.5
    assert "more points are needed" in found.status
    fine = decompose_torus(short, (0, 0), (2 * math.pi,) * 2, points=64)
    assert fine.shares["gradient"] == pytest.approx(0.5)
    assert fine.error < 1e-9
