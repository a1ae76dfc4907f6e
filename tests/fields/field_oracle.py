"""The oracle of these tests: float64 central differences of the field. It shares no code with the library's own tests."""

from __future__ import annotations

import torch
from torch import Tensor

from separatrix.fields import Field, Jacobian


def differences(field: Field, z: Tensor, x: Tensor | None = None, *, step: float = 1e-5) -> Tensor:
    """``J z`` by Richardson-extrapolated central differences: error of order ``step**4``, rounding ``1e-16 / step``."""
    x = field.point if x is None else x
    h = step / float(z.norm())

    def central(h: float) -> Tensor:
        return (field(x + h * z) - field(x - h * z)) / (2 * h)

    return (4 * central(h) - central(2 * h)) / 3


def assert_products_are_right(
    field: Field,
    *,
    x: Tensor | None = None,
    step: float = 1e-5,
    tolerance: float = 1e-7,
    vectors: int = 1,
    seed: int = 0,
    route: str = "retained",
) -> Jacobian:
    """``J @ z`` against differences, and ``J.T @ u`` through ``<u, J z>``, tensor by tensor."""
    J = field.jacobian(x, route=route)
    generator = torch.Generator().manual_seed(seed)

    def draw() -> Tensor:
        return torch.randn(field.space.n, generator=generator, dtype=field.dtype)

    for _ in range(vectors):
        z = draw()
        expected, found = differences(field, z, x, step=step), J @ z
        scale = float(expected.norm()) + 1e-12
        for entry, a, b in zip(field.space.entries, field.space.split(found), field.space.split(expected), strict=True):
            gap = float((a - b).norm())
            assert gap <= tolerance * scale, f"J @ z is off by {gap / scale:.2e} of its norm in {entry.name}"
        u = draw()
        left, right = float(u @ expected), float((J.T @ u) @ z)
        assert abs(left - right) <= tolerance * float(u.norm()) * scale, f"<u, J z> is {left}, <J.T u, z> is {right}"
    return J
