"""Linear fields of several players, and what the probes need of them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from separatrix.dynamics import SGD, Base, Method, Scheme, Simultaneous
from separatrix.fields import FunctionField
from separatrix.probes import Leading, Setting, leading, settle


def linear(matrix: Tensor, sizes: Mapping[str, int] | None = None, at: Tensor | None = None) -> FunctionField:
    """``v(x) = A x`` with the players of these sizes; stands at ones."""
    point = torch.ones(len(matrix), dtype=matrix.dtype) if at is None else at
    return FunctionField(lambda x: matrix.to(x) @ x, point, players=sizes, name="linear")


def random_matrix(n: int, seed: int, *, radius: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(n, n, generator=generator, dtype=torch.float64)
    return radius * matrix / float(torch.linalg.eigvals(matrix).abs().max())


def setting_of(
    matrix: Tensor,
    sizes: Mapping[str, int] | None = None,
    bases: Base | Mapping[str, Base] = SGD(0.1),  # noqa: B008 - frozen
    scheme: Scheme = Simultaneous(),  # noqa: B008 - frozen
) -> Setting:
    return settle(linear(matrix, sizes), Method(bases, scheme))


def modes_of(setting: Setting, k: int = 100) -> Leading:
    return leading(setting.operator, k=k)


def sorted_complex(values: Tensor) -> Tensor:
    """Sorted so that two spectra can be compared one by one."""
    rounded = sorted(values.tolist(), key=lambda v: (round(v.real, 6), round(v.imag, 6)))
    return torch.tensor(rounded, dtype=torch.complex128)


def assert_same_spectrum(found: Tensor, wanted: Tensor, tol: float) -> None:
    """Each value has a partner within ``tol``; prints where and by how much it fails."""
    found, wanted = found.to(torch.complex128), torch.as_tensor(wanted, dtype=torch.complex128)
    assert len(found) == len(wanted), f"{len(found)} values, {len(wanted)} wanted"
    left = wanted.tolist()
    for value in found.tolist():
        nearest = min(range(len(left)), key=lambda i: abs(left[i] - value))
        assert abs(left[nearest] - value) <= tol, f"{value} is {abs(left[nearest] - value):.2e} from {left[nearest]}"
        left.pop(nearest)
