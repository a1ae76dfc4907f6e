"""Residuals of eigenpairs from fresh products, and the noise of those products."""

from __future__ import annotations

import math
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
    residuals: list[float] = []
    total, image, count = torch.zeros_like(x[0].real), torch.zeros_like(x[0].real), 0
    for i, lam in enumerate(values.tolist()):
        if lam.imag < 0 and residuals and values[i] == values[i - 1].conj():
            residuals.append(residuals[-1])
            x[i] = x[i - 1].conj()
            continue
        a, b = x[i].real.to(operator.dtype), x[i].imag.to(operator.dtype)
        real = lam.imag == 0 and not bool(b.any())
        Aa = operator @ a.contiguous()
        total, image, count = total + a, image + Aa, count + 1
        if real:
            residuals.append(_distance(Aa, lam.real * a.double()))
            continue
        Ab = operator @ b.contiguous()
        total, image, count = total + b, image + Ab, count + 1
        a, b = a.double(), b.double()
        residuals.append(
            math.hypot(_distance(Aa, lam.real * a - lam.imag * b), _distance(Ab, lam.real * b + lam.imag * a))
        )
    again = 3 * (operator @ (total / 3).to(operator.dtype))
    defect = _distance(again, image.double()) / (2 * count) ** 0.5
    noise = max(defect, torch.finfo(operator.dtype).eps * scale)
    return Verified(x, torch.tensor(residuals, dtype=torch.float64).clamp(min=noise), noise)


def _distance(a: Tensor, b: Tensor) -> float:
    return float(torch.linalg.vector_norm(a.double() - b))
