"""Residuals of eigenpairs from fresh products, and the noise of those products."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.linalg.counting import Counted


@dataclass(frozen=True)
class Verified:
    """Unit ``vectors`` (k, n), their ``residuals`` (k,) float64 on the host, ``noise`` of a product."""

    vectors: Tensor
    residuals: Tensor
    noise: float


def verify(operator: Counted, values: Tensor, vectors: Tensor, *, scale: float) -> Verified:
    """Recompute ``||A x - lam x||`` for each pair, in the operator's own dtype.

    A Krylov method's own estimate can be 1e-30 where the true residual is 1e-4 (float32), so it is never
    used. The noise is a linearity defect, ``||3 A(s / 3) - sum_i A u_i|| / sqrt(2 k)`` with ``s = sum_i
    u_i`` over the real vectors that were multiplied anyway; a residual below it means nothing and is
    reported as the noise.

    Args:
        operator: square, ``(n, n)``.
        values: ``(k,)`` complex128, conjugates adjacent.
        vectors: ``(k, n)`` rows, complex, any length; moved to the operator's device.
        scale: a lower bound of ``||A||``, which puts a floor of one rounding under the noise.

    Cost: one product per real vector, two per conjugate pair, one for the noise.
    """
    complex_dtype = torch.complex128 if operator.dtype == torch.float64 else torch.complex64
    x = vectors.to(operator.device, complex_dtype)
    # Through real views: the norm of a complex tensor takes many times as long.
    lengths = torch.linalg.vector_norm(torch.view_as_real(x).flatten(1), dim=1, keepdim=True)
    x = x / lengths
    rows: list[Tensor] = []
    owners: list[tuple[int, ...]] = []  # which rows hold the real and imaginary part of each vector
    for i, lam in enumerate(values.tolist()):
        if lam.imag < 0 and owners and values[i] == values[i - 1].conj():
            x[i] = x[i - 1].conj()
            owners.append(owners[-1])
            continue
        parts = [x[i].real] if lam.imag == 0 and not bool(x[i].imag.any()) else [x[i].real, x[i].imag]
        owners.append(tuple(range(len(rows), len(rows) + len(parts))))
        rows += [part.to(operator.dtype) for part in parts]
    block = torch.stack(rows)
    images = operator.rows(block)
    residuals = []
    for lam, owned in zip(values.tolist(), owners, strict=True):
        u, y = block[list(owned)].double(), images[list(owned)].double()
        if len(owned) == 1:
            residuals.append(float(torch.linalg.vector_norm(y - lam.real * u)))
            continue
        omega = abs(lam.imag)  # the parts held are those of the member above the axis
        turned = lam.real * u + omega * torch.stack([-u[1], u[0]])
        residuals.append(float(torch.linalg.vector_norm(y - turned)))
    total, image, count = block.sum(dim=0), images.sum(dim=0), len(block)
    again = 3 * (operator @ (total / 3).to(operator.dtype))
    defect = float(torch.linalg.vector_norm((again - image).double())) / (2 * count) ** 0.5
    noise = max(defect, torch.finfo(operator.dtype).eps * scale)
    return Verified(x, torch.tensor(residuals, dtype=torch.float64).clamp(min=noise), noise)
