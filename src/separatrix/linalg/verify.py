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
    x = x / torch.linalg.vector_norm(x, dim=1, keepdim=True)
    residuals: list[float] = []
    total, image, count = torch.zeros_like(x[0].real), torch.zeros_like(x[0].real), 0
    for i, lam in enumerate(values.tolist()):
        if lam.imag < 0 and residuals and values[i] == values[i - 1].conj():
            residuals.append(residuals[-1])
            x[i] = x[i - 1].conj()
            continue
        parts = [x[i].real.contiguous()]
        if lam.imag != 0 or bool(x[i].imag.any()):
            parts.append(x[i].imag.contiguous())
        products = [operator @ part.to(operator.dtype) for part in parts]
        total, image, count = total + sum(parts), image + sum(products), count + len(parts)
        wide = [p.to(torch.float64) for p in products]
        y = torch.complex(wide[0], wide[1] if len(wide) == 2 else torch.zeros_like(wide[0]))
        residuals.append(float(torch.linalg.vector_norm(y - lam * x[i].to(torch.complex128))))
    again = 3 * (operator @ (total / 3).to(operator.dtype))
    defect = float(torch.linalg.vector_norm((again - image).to(torch.float64))) / (2 * count) ** 0.5
    noise = max(defect, torch.finfo(operator.dtype).eps * scale)
    return Verified(x, torch.tensor(residuals, dtype=torch.float64).clamp(min=noise), noise)
