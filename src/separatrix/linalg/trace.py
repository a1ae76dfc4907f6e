"""Traces and diagonals by sampling: Hutchinson, Hutch++, XTrace.

Which one: Hutchinson (error ``~ ||A||_F / sqrt(l)``) where the spectrum is flat or only few products can be
afforded; Hutch++ and XTrace (error ``~ 1/l``, and far below where singular values decay) from about 12
products on. XTrace uses each product twice and is the better of the two; it holds ``2 l`` vectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.linalg._checks import check_count, check_square
from separatrix.linalg._draw import as_generator, normal, seed_number, sign_blocks
from separatrix.linalg.counting import Counted
from separatrix.linalg.estimate import Estimate, exactly, from_samples
from separatrix.linalg.operator import LinearOperator


@dataclass(frozen=True)
class DiagonalEstimate:
    """A sampled diagonal: ``value`` and ``stderr``, ``(n,)`` on the operator's device."""

    value: Tensor
    stderr: Tensor
    exact: bool
    probes: int
    products: int
    seed: int
    status: str


def trace_hutchinson(operator: LinearOperator, probes: int = 30, *, seed: int | torch.Generator = 0) -> Estimate:
    """``tr A`` as the mean of ``z.T A z`` over random signs ``z``.

    Only the symmetric part enters. With as many probes as rows the trace is taken exactly instead.

    Args:
        operator: square, ``(n, n)``.
        probes: how many, at least 2.
        seed: of the probes.

    Cost: one product per probe.

    References: [hutchinson1990].

    Example:
        >>> import torch
        >>> from separatrix.linalg import Diagonal, trace_hutchinson
        >>> print(trace_hutchinson(Diagonal(torch.arange(100.0)), probes=2))
        4950 +- 0
    """
    n = check_square(operator, "traces")
    check_count("probes", probes, least=2)
    if probes >= n:
        return _dense_trace(operator, n, seed)
    counted, generator = Counted(operator), as_generator(seed)
    samples = []
    for Z in sign_blocks(operator, probes, generator):
        samples += [_dot(z, y) for z, y in zip(Z, counted.rows(Z), strict=True)]
    return from_samples(torch.tensor(samples), products=probes, seed=seed_number(seed), what="trace")


def trace_hutchpp(operator: LinearOperator, max_products: int = 30, *, seed: int | torch.Generator = 0) -> Estimate:
    """``tr A = tr(Q.T A Q) + E z.T (I - QQ.T) A (I - QQ.T) z`` with ``Q = orth(A S)``: Hutch++.

    Args:
        operator: square, ``(n, n)``.
        max_products: split into three equal shares, so at least 6.
        seed: of the sketch and the probes.

    Cost: ``max_products`` products, ``max_products / 3`` vectors held.

    References: [meyer2021, algorithm 1].
    """
    n = check_square(operator, "traces")
    share = check_count("max_products", max_products, least=6) // 3
    if max_products >= n:
        return _dense_trace(operator, n, seed)
    counted, generator = Counted(operator), as_generator(seed)
    sketch = torch.cat([counted.rows(Z) for Z in sign_blocks(operator, share, generator)])
    Q = torch.linalg.qr(sketch.T).Q.T
    leading = sum(_dot(q, y) for q, y in zip(Q, counted.rows(Q), strict=True))
    samples = []
    for Z in sign_blocks(operator, share, generator):
        Z = Z - (Z @ Q.T) @ Q
        samples += [_dot(z, y) for z, y in zip(Z, counted.rows(Z), strict=True)]
    return from_samples(
        torch.tensor(samples), offset=leading, products=counted.spent, seed=seed_number(seed), what="trace"
    )


def trace_xtrace(operator: LinearOperator, max_products: int = 30, *, seed: int | torch.Generator = 0) -> Estimate:
    """``tr A`` by XTrace: Hutch++ with each probe left out once of the sketch it is tested against.

    With ``Y = A Omega = Q R`` and ``s_i`` the normalised i-th column of ``R^-T``, the projector without
    probe i is ``P_i = Q (I - s_i s_i.T) Q.T`` and

        t_i = tr(Q.T A Q) - s_i.T Q.T A Q s_i + c_i w_i.T (I - P_i) A (I - P_i) w_i,
        c_i = (n - l + 1) / (||w_i||^2 - ||P_i w_i||^2).

    The value is the mean of the ``t_i``, the error their spread. A rank-deficient ``R`` means that ``Q``
    spans the range of ``A``: then ``tr(Q.T A Q)`` is the trace.

    Args:
        operator: square, ``(n, n)``.
        max_products: two per probe, so at least 4.
        seed: of the Gaussian probes.

    Cost: ``max_products`` products, ``2 max_products`` vectors held.

    References: [epperly2024, section 2].
    """
    n = check_square(operator, "traces")
    count = check_count("max_products", max_products, least=4) // 2
    if max_products >= n:
        return _dense_trace(operator, n, seed)
    counted, generator = Counted(operator), as_generator(seed)
    omega = torch.stack([normal(operator, n, generator) for _ in range(count)])
    Y = counted.rows(omega)
    Q, R = torch.linalg.qr(Y.T)
    Z = counted.rows(Q.T)  # rows A q_i
    H = (Q.T @ Z.T).double()
    size = torch.diagonal(R).abs()
    products, number = counted.spent, seed_number(seed)
    if bool(size.min() <= count * torch.finfo(operator.dtype).eps * size.max()):
        return exactly(float(torch.diagonal(H).sum()), products=products, seed=number, what="trace (low rank)")
    # Only the directions of the columns count, and their squares must neither overflow nor vanish.
    S = torch.linalg.solve_triangular(R.T / size.max(), torch.eye(count).to(R), upper=False)
    S = S / torch.linalg.vector_norm(S, dim=0)
    W = Q.T @ omega.T  # columns Q.T w_i
    samples = torch.empty(count, dtype=torch.float64)
    for i in range(count):
        s, w = S[:, i], W[:, i]
        inside = w - s * (s @ w)
        outside = omega[i] - Q @ inside  # (I - P_i) w_i
        image = Y[i] - Z.T @ inside  # A (I - P_i) w_i
        c = (n - count + 1) / _dot(outside, outside)
        left_out = float(s.double() @ H @ s.double())
        samples[i] = torch.diagonal(H).sum() - left_out + c * _dot(outside, image)
    return from_samples(samples, products=products, seed=number, what="trace")


def diagonal(operator: LinearOperator, probes: int = 30, *, seed: int | torch.Generator = 0) -> DiagonalEstimate:
    """``diag A`` as the mean of ``z * (A z)`` over random signs, with a standard error per entry.

    The variance of entry i is the squared length of row i off the diagonal, so this is for matrices with a
    strong diagonal. With as many probes as rows it is exact.

    Cost: one product per probe.

    References: [bekas2007].
    """
    n = check_square(operator, "diagonals")
    check_count("probes", probes, least=2)
    number = seed_number(seed)
    if probes >= n:
        value = torch.diagonal(operator.to_dense()).clone()
        return DiagonalEstimate(value, torch.zeros_like(value), True, 0, n, number, f"exact, {n} products.")
    counted, generator = Counted(operator), as_generator(seed)
    first: Tensor | None = None
    total, squares = torch.zeros(2, n, dtype=operator.dtype, device=operator.device)
    for Z in sign_blocks(operator, probes, generator):
        sample = Z * counted.rows(Z)
        # Deviations from one sample: of squares of the samples themselves rounding would leave nothing.
        first = sample[0] if first is None else first
        sample = sample - first
        total, squares = total + sample.sum(dim=0), squares + sample.square().sum(dim=0)
    assert first is not None
    shift = total / probes
    mean = first + shift
    variance = (squares / probes - shift * shift).clamp(min=0) * (probes / (probes - 1))
    stderr = torch.sqrt(variance / probes)
    return DiagonalEstimate(mean, stderr, False, probes, probes, number, f"from {probes} probes.")


def _dot(a: Tensor, b: Tensor) -> float:
    return float(a.double() @ b.double())


def _dense_trace(operator: LinearOperator, n: int, seed: int | torch.Generator) -> Estimate:
    value = float(torch.diagonal(operator.to_dense()).double().sum())
    return exactly(value, products=n, seed=seed_number(seed), what="trace")
