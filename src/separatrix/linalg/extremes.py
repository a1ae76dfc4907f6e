"""Both ends of a symmetric operator's spectrum, with bounds that fail with a stated small probability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.special import betaincinv
from torch import Tensor

from separatrix.errors import InputError
from separatrix.linalg._checks import check_count, check_positive, check_square, check_tag
from separatrix.linalg._draw import as_generator, normal, seed_number
from separatrix.linalg._progress import Report, progress_line
from separatrix.linalg.counting import Counted
from separatrix.linalg.krylov_schur import expand
from separatrix.linalg.operator import LinearOperator
from separatrix.linalg.projected import Matrix

CHECK_EVERY = 10


@dataclass(frozen=True)
class Extremes:
    """Where the spectrum of a symmetric operator ends: ``lower_bound <= lowest <= ... <= highest <=
    upper_bound``.

    Attributes:
        lowest: smallest Ritz value, never below the smallest eigenvalue.
        highest: largest Ritz value, never above the largest eigenvalue.
        lower_bound: below every eigenvalue, but for the failure probability.
        upper_bound: above every eigenvalue, but for the failure probability.
        failure: probability, over the random start, that one of the two bounds is wrong.
        steps: Lanczos steps.
        products: products of the symmetric operator.
        seed: of the start.
        status: one sentence.
    """

    lowest: float
    highest: float
    lower_bound: float
    upper_bound: float
    failure: float
    steps: int
    products: int
    seed: int
    status: str

    def __str__(self) -> str:
        return f"[{self.lower_bound:.6g}, {self.upper_bound:.6g}], {self.status}"


def extremes(
    operator: LinearOperator,
    *,
    tol: float = 1e-3,
    failure: float = 1e-6,
    max_products: int = 200,
    seed: int | torch.Generator = 0,
    progress: bool | None = None,
) -> Extremes:
    """Ritz values at both ends of a symmetric operator and probabilistic bounds outside them.

    A Lanczos vector is ``v_{j+1} = p_j(S) v_1`` with ``p_j(t) = det(t I - T_j) / (beta_1 ... beta_j)``. Its
    length is one, so the component ``gamma`` of ``v_1`` along the top eigenvector obeys ``|gamma
    p_j(lam_max)| <= 1``. A uniform random ``v_1`` has ``|gamma| < d`` only with probability ``I_{d^2}(1/2,
    (n - 1)/2)``; otherwise ``lam_max`` lies below the ``t > theta_max`` at which ``d p_j(t) = 1``.

    The bound belongs to one unrestarted run, so every Lanczos vector is kept.

    Args:
        operator: tagged symmetric, ``(n, n)``.
        tol: stop when both bounds are within ``tol`` times the width of the spectrum of their Ritz values.
        failure: probability that a bound is wrong, both ends together.
        max_products: steps at most.
        seed: of the start.
        progress: a line on stderr; None means only on a terminal.

    Cost: up to ``max_products`` products and as many vectors.

    References: [vandorsselaer2000, theorem 3.3], [kuczynski1992].

    Example:
        >>> import torch
        >>> from separatrix.linalg import Diagonal, extremes
        >>> found = extremes(Diagonal(torch.linspace(-2, 1, 400, dtype=torch.float64)))
        >>> 1 <= found.upper_bound <= 1.01
        True
    """
    with progress_line(progress, "ends of the spectrum") as report:
        return extremes_and_top(
            operator, tol=tol, failure=failure, max_products=max_products, seed=seed, report=report
        )[0]


def extremes_and_top(
    operator: LinearOperator,
    *,
    tol: float,
    failure: float,
    max_products: int,
    seed: int | torch.Generator,
    report: Report | None = None,
) -> tuple[Extremes, Tensor]:
    """:func:`extremes` and the unit Ritz vector of the highest value, ``(n,)``."""
    n = check_square(operator, "bounds of a spectrum")
    check_tag(operator, "symmetric", "extremes", "take operator.sym.")
    check_positive("tol", tol)
    check_count("max_products", max_products)
    if not 0 < failure < 1:
        raise InputError(f"failure must lie between 0 and 1, got failure={failure!r}.")
    generator, counted = as_generator(seed), Counted(operator)
    counted.report = report
    m = min(max_products, n)
    basis = torch.empty(m + 1, n, dtype=operator.dtype, device=operator.device)
    start = normal(operator, n, generator)
    basis[0] = start / torch.linalg.vector_norm(start)
    H: Matrix = np.zeros((m + 1, m))
    for j in range(1, m + 1):
        expand(counted, basis, H, j - 1, generator)
        exhausted = H[j, j - 1] == 0
        if not (exhausted or j == m or j % CHECK_EVERY == 0):
            continue
        theta, vectors = np.linalg.eigh((H[:j, :j] + H[:j, :j].T) / 2)
        rounding = 10 * torch.finfo(operator.dtype).eps * float(np.abs(theta).max())
        gap = [0.0, 0.0]
        if not exhausted:
            betas = np.diag(H[: j + 1, :j], -1)
            gap = [_gap(-theta[::-1], betas, n, failure / 2), _gap(theta, betas, n, failure / 2)]
        width = float(theta[-1] - theta[0])
        counted.excess = max(gap) / (tol * width) if width > 0 else None
        if exhausted or max(gap) <= tol * width:
            break
    enough = "" if exhausted or max(gap) <= tol * (theta[-1] - theta[0]) else ", wider than asked for"
    top = torch.from_numpy(vectors[:, -1].copy()).to(basis) @ basis[:j]
    found = Extremes(
        lowest=float(theta[0]),
        highest=float(theta[-1]),
        lower_bound=float(theta[0] - gap[0] - rounding),
        upper_bound=float(theta[-1] + gap[1] + rounding),
        failure=0.0 if j == n else failure,
        steps=j,
        products=counted.spent,
        seed=seed_number(seed),
        status=f"{j} Lanczos steps, failure probability {0.0 if j == n else failure:.1g}{enough}.",
    )
    return found, top / torch.linalg.vector_norm(top)


def _gap(theta: Matrix, betas: Matrix, n: int, failure: float) -> float:
    """How far above ``theta[-1]`` the largest eigenvalue can be."""
    component = 0.5 * np.log(betaincinv(0.5, (n - 1) / 2, failure))

    def excess(log_gap: float) -> float:
        grown = np.log(np.exp(log_gap) + (theta[-1] - theta))
        return float(grown.sum() - np.log(betas).sum() + component)

    # log p_j grows at least like j log(gap) and at most like j log(gap + width), which brackets the root.
    width = float(theta[-1] - theta[0]) + float(betas.max())
    high = np.log(width) + 1.0
    while excess(high) < 0:
        high += 1.0
    low = np.log(width) - 1.0
    while excess(low) > 0:
        low -= 5.0
        if low < np.log(width) - 500:
            return 0.0
    return float(np.exp(brentq(excess, low, high, xtol=1e-6)))
