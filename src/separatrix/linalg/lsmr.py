"""LSMR: least squares with any operator, square or not."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.linalg._checks import check_count, check_length, check_positive, check_vector
from separatrix.linalg._progress import progress_line
from separatrix.linalg.counting import Counted
from separatrix.linalg.operator import LinearOperator
from separatrix.linalg.solution import Solution

CHECK_EVERY = 10
# Small operators are done, and singular ones spoilt, before the first regular check.
EARLY = {1, 2, 4}


def lsmr(
    operator: LinearOperator,
    b: Tensor,
    *,
    damping: float = 0.0,
    tol: float = 1e-6,
    max_products: int = 2000,
    progress: bool | None = None,
) -> Solution:
    """Minimise ``||A x - b||^2 + damping^2 ||x||^2`` by LSMR, of all minimisers the shortest.

    MINRES on the normal equations through Golub-Kahan, so ``A.T A`` is never formed: the choice for
    rectangular, singular or indefinite operators where both products exist.

    Args:
        operator: any, ``(m, n)``.
        b: right-hand side, ``(m,)``.
        damping: Tikhonov parameter, in units of ``A``.
        tol: stop when ``||b - A x|| <= tol ||b||`` or ``||A.T r - damping^2 x|| <= tol ||A|| ||r||`` (with
            ``||A||`` the Frobenius norm seen so far and, with damping, ``r`` extended by ``-damping x``),
            both with fresh products.
        max_products: the budget, of ``A`` and ``A.T`` together.
        progress: a line on stderr; None means only on a terminal.

    Returns:
        The solution with ``optimality``; converged means one of the two tests holds.

    Cost: two products per step, one more every tenth; five vectors of n, two of m.

    References: [fong2011].

    Example:
        >>> import torch
        >>> from separatrix.linalg import Dense, lsmr
        >>> tall = Dense(torch.tensor([[1.0], [1.0]], dtype=torch.float64))
        >>> lsmr(tall, torch.tensor([1.0, 3.0], dtype=torch.float64)).value.round(decimals=9).tolist()
        [2.0]
    """
    check_vector(operator, "b", b, operator.shape[0])
    check_positive("tol", tol)
    check_count("max_products", max_products, least=5)
    if not 0 <= damping < math.inf:
        raise InputError(f"damping must be a finite number of at least 0, got damping={damping!r}.")
    counted = Counted(operator, max_products)
    with progress_line(progress, "lsmr") as counted.report:
        return _lsmr(counted, b, damping, tol)


def _lsmr(counted: Counted, b: Tensor, damping: float, tol: float) -> Solution:
    x = torch.zeros(counted.shape[1], dtype=counted.dtype, device=counted.device)
    u, beta = _unit(b)
    length = beta
    v, alpha = _unit(counted.T @ u) if beta > 0 else (x, 0.0)
    if alpha * beta == 0:  # b is zero or orthogonal to the range
        residual = 1.0 if beta > 0 else 0.0
        return Solution(x, residual, True, 0.0, (residual,), counted.spent, "lsmr", "x = 0 is the minimiser.")

    alpha_bar, zeta_bar = alpha, alpha * beta
    rho = rho_bar = c_bar = 1.0
    s_bar = 0.0
    h, h_bar = v, torch.zeros_like(v)
    frobenius = alpha**2
    history: list[float] = []
    step, done, stuck = 0, False, False
    optimality = residual = math.inf
    best = length, x, b, 1.0
    while not done and not stuck and counted.left >= 4:
        step += 1
        u, beta = _unit(counted @ v - alpha * u)
        v_next, alpha_next = _unit(counted.T @ u - beta * v) if beta > 0 else (v, 0.0)
        frobenius += beta**2 + alpha_next**2
        alpha_hat = math.hypot(alpha_bar, damping)
        rho_old, rho = rho, math.hypot(alpha_hat, beta)
        c, s = alpha_hat / rho, beta / rho
        theta, alpha_bar = s * alpha_next, c * alpha_next
        rho_bar_old, theta_bar = rho_bar, s_bar * rho
        rho_bar = math.hypot(c_bar * rho, theta)
        c_bar, s_bar = c_bar * rho / rho_bar, theta / rho_bar
        zeta, zeta_bar = c_bar * zeta_bar, -s_bar * zeta_bar
        h_bar = h - (theta_bar * rho / (rho_old * rho_bar_old)) * h_bar
        x = x + (zeta / (rho * rho_bar)) * h_bar
        h = v_next - (theta / rho) * h
        v, alpha = v_next, alpha_next

        norm = frobenius**0.5
        # Beyond rounding the vectors are noise, and a singular operator would blow them up.
        rounding = 10 * torch.finfo(counted.dtype).eps * norm
        ended = min(alpha, beta) <= rounding or abs(zeta_bar) <= 1e-3 * tol * norm * length * tol
        if not (step % CHECK_EVERY == 0 or step in EARLY or ended or counted.left < 6):
            continue
        r = b - counted @ x
        residual = check_length(r, "the residual") / length
        extended = math.hypot(residual * length, damping * check_length(x, "the solution"))
        if extended > 1.001 * best[0]:  # in exact arithmetic it never grows
            extended, x, r, residual = best
            ended = True
        elif extended < best[0]:
            best = extended, x, r, residual
        history.append(residual)
        counted.excess = residual / tol
        done = residual <= tol
        if done or ended or counted.left < 6 or abs(zeta_bar) <= tol * norm * extended:
            # Over the length of the residual, so that the product overflows no more than those before.
            size = residual * length or 1.0
            gradient = counted.T @ (r / size) - damping**2 * (x / size)
            steepness = size * check_length(gradient, "the gradient of the residual")
            optimality = steepness / (norm * extended) if extended > 0 else 0.0
            done = done or optimality <= tol
            stuck = not done and (ended or abs(zeta_bar) <= 1e-3 * tol * norm * extended)
    status = f"relative residual {residual:.1e}, optimality {optimality:.1e} after {counted.spent} products"
    if not done:
        status += ", stagnated" if stuck else ", budget spent: raise max_products"
    return Solution(x, residual, done, optimality, tuple(history), counted.spent, "lsmr", f"{status}.")


def _unit(w: Tensor) -> tuple[Tensor, float]:
    length = check_length(w, "a product")
    return (w / length if length > 0 else w), length
