"""The six verdicts about a linear operator, each with the numbers it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from separatrix.linalg._checks import check_count, check_positive, check_square
from separatrix.linalg._draw import as_generator, seed_number
from separatrix.linalg.condition import condition_numbers
from separatrix.linalg.eigen import DENSE_UP_TO, eigenvalues
from separatrix.linalg.eigen_record import Eigenvalues
from separatrix.linalg.extremes import Extremes, extremes
from separatrix.linalg.formed import Formed
from separatrix.linalg.operator import LinearOperator
from separatrix.linalg.projected import kind_of
from separatrix.linalg.pseudospectrum import clear_of_axis

SWEEP_UP_TO = 300
LANCZOS_STEPS = 300

Verdict = Literal["unstable", "contracting", "stable", "no unstable mode found", "marginal", "undecided"]


@dataclass(frozen=True)
class Stability:
    """What is known about ``dx/dt = A x``. Sign: stable means all eigenvalues have negative real part.

    Attributes:
        verdict: *unstable*: a converged real part is positive beyond its error bar. *contracting*: ``lam_max(S) <
            0``, every distance shrinks at once. *stable*: the whole spectrum was computed and lies left of
            zero, bars included. *no unstable mode found*: the rightmost modes found do; evidence, not
            proof. *marginal*: the rightmost real part is zero within a bar that is itself small.
            *undecided*: none of these.
        rightmost: the eigenvalue found farthest right.
        bars: first-order error bars of the real parts in ``eigenvalues``, ``condition * (residual + 10
            noise)``.
        condition: condition numbers, ``(k,)``; infinite where no left vector was matched.
        eigenvalues: the rightmost ones.
        numerical_abscissa: the bounds on ``S``; the rightmost real part lies below its ``upper_bound``.
        products: products of ``A`` and ``A.T`` spent.
        seed: of all starts.
        status: the verdict as a sentence, with its numbers.
    """

    verdict: Verdict
    rightmost: complex
    bars: Tensor
    condition: Tensor
    eigenvalues: Eigenvalues
    numerical_abscissa: Extremes
    products: int
    seed: int
    status: str

    def __str__(self) -> str:
        return f"{self.verdict}: {self.status}\n{self.eigenvalues}"


def stability(
    operator: LinearOperator,
    k: int = 6,
    *,
    max_products: int = 3000,
    tol: float = 1e-6,
    failure: float = 1e-6,
    seed: int | torch.Generator = 0,
    known: Eigenvalues | None = None,
    dense_up_to: int = DENSE_UP_TO,
    progress: bool | None = None,
) -> Stability:
    """Whether small perturbations of an equilibrium grow under ``dx/dt = A x``, and on what evidence.

    The rightmost real part is enclosed from both sides: from above by the numerical abscissa ``lam_max(S)``
    (with its probabilistic margin), from below by the rightmost computed eigenvalue less its error bar.
    Left and right vectors are computed independently and give the condition that turns a residual into a
    bar.

    Args:
        operator: square, ``(n, n)``, with both products.
        k: how many rightmost eigenvalues are looked at; clipped to n.
        max_products: of ``A`` and ``A.T`` together.
        tol: relative residual of the eigenvalues; also, times ``||A||``, the widest bar at which a real
            part of zero counts as *marginal*.
        failure: probability that the bound on ``S`` is wrong.
        seed: of all starts.
        known: rightmost eigenvalues of ``operator``, with vectors, where they have been computed already. They
            replace the first search (``k`` is theirs then), and their products count in the record, not
            against the budget. Ignored where the matrix is formed.
        dense_up_to: the largest n whose matrix is formed.
        progress: a line on stderr; None means only on a terminal.

    Returns:
        The verdict with its evidence.

    Cost: n products when dense; else two Krylov-Schur runs (40 to 200 products each for outliers) and one Lanczos run of up to ``max_products / 6`` steps at two products each.

    References: [bendixson1902], [wilkinson1965]; bounds as in :func:`extremes`.

    Example:
        >>> import torch
        >>> from separatrix.linalg import Dense, stability
        >>> stability(Dense(torch.tensor([[-1.0, 9.0], [0.0, -1.0]]))).verdict
        'stable'
        >>> stability(Dense(torch.tensor([[-1.0, 1.0], [0.0, -1.0]]))).verdict
        'contracting'
    """
    n = check_square(operator, "verdicts")
    k = min(check_count("k", k), n)
    check_count("max_products", max_products, least=12)
    check_positive("tol", tol)
    generator = as_generator(seed)
    evidence = (
        _dense(operator, k, tol, generator)
        if n <= dense_up_to and 2 * n <= max_products
        else _krylov(operator, known, k, tol, max_products, failure, generator, progress)
    )
    found, bars, abscissa = evidence.found, evidence.bars, evidence.abscissa

    real = found.values.real
    scale = max(abs(abscissa.lowest), abs(abscissa.highest), float(found.values.abs().max()))
    sure = torch.where(evidence.sure, real - bars, -torch.inf)
    top, lead = int(torch.argmax(real)), int(torch.argmax(sure))
    edge, small = float((real + bars).max()), 2 * tol * scale
    where = f"the rightmost eigenvalue found has real part {float(real[top]):.4g} ± {float(bars[top]):.1g}"
    bound = f"the symmetric part ends below {abscissa.upper_bound:.4g}"
    verdict: Verdict
    if float(sure[lead]) > 0:
        verdict, status = "unstable", f"an eigenvalue has real part {real[lead]:.4g} ± {bars[lead]:.1g}"
    elif evidence.axis_clear and float(real[top]) > 0:
        verdict, status = "unstable", f"{where}, and no rounding can move it across zero"
    elif abscissa.upper_bound < 0:
        chance = f" (failure probability {abscissa.failure:.1g})" if abscissa.failure else ""
        verdict, status = "contracting", f"{bound}{chance}, so every distance shrinks at once"
    elif evidence.axis_clear:
        verdict, status = "stable", f"{where}, the whole spectrum was computed; {bound}"
    elif edge < 0 and not found.complete and bool(evidence.sure.any()):
        verdict = "no unstable mode found"
        status = f"{where}, after {evidence.products} products; {bound}: evidence, not proof"
    elif bool(((real + bars < 0) | (bars <= small)).all()) and max(edge, evidence.edge) <= small:
        verdict, status = "marginal", f"{where}, zero within its error"
    else:
        verdict, status = "undecided", f"{where}, and {bound}"
    return Stability(
        verdict=verdict,
        rightmost=complex(found.values[top]),
        bars=bars,
        condition=evidence.condition,
        eigenvalues=found,
        numerical_abscissa=abscissa,
        products=evidence.products,
        seed=seed_number(seed),
        status=f"{status}.",
    )


@dataclass(frozen=True)
class _Evidence:
    found: Eigenvalues
    sure: Tensor  # where the bars may decide: of an unconverged vector the condition number says little
    bars: Tensor
    condition: Tensor
    abscissa: Extremes
    products: int
    edge: float  # right end of the bars of everything computed
    axis_clear: bool  # the whole spectrum is known, and rounding moves none of it across the imaginary axis


def _dense(operator: LinearOperator, k: int, tol: float, generator: torch.Generator) -> _Evidence:
    n = operator.shape[0]
    formed = operator if isinstance(operator, Formed) else Formed(operator)
    found = eigenvalues(formed, k, tol=tol, seed=generator, dense_up_to=n)
    A = formed.matrix.to("cpu", torch.float64).numpy()
    values, X = formed.decomposition
    rounding = max(10.0, n**0.5) * found.noise  # each of the n columns carries the noise of one product
    try:
        # Rows of the inverse are the left eigenvectors.
        with np.errstate(over="ignore"):  # of a defective matrix they are infinite, or nearly
            conditions = np.maximum(np.linalg.norm(np.linalg.inv(X), axis=1), 1.0)
    except np.linalg.LinAlgError:
        conditions = np.full(n, np.inf)
    # By hypot, since squares of very large or small entries overflow or vanish.
    spread = conditions * (np.hypot.reduce(np.abs(A @ X - X * values), axis=0) + rounding)
    spread[np.isnan(spread)] = 0.0  # infinite condition times no error at all
    nearest = (found.values[:, None] - torch.from_numpy(values)[None, :]).abs().argmin(dim=1)
    clear = bool((np.abs(values.real) > spread).all())
    if not clear and n <= SWEEP_UP_TO and bool((np.abs(values.real) > rounding).all()):
        # Near a defective eigenvalue first-order bars are useless, the pseudospectrum is not.
        clear = clear_of_axis(A, rounding)
    ends = np.linalg.eigvalsh((A + A.T) / 2)
    abscissa = Extremes(
        lowest=float(ends[0]),
        highest=float(ends[-1]),
        lower_bound=float(ends[0] - rounding),
        upper_bound=float(ends[-1] + rounding),
        failure=0.0,
        steps=n,
        products=0,
        seed=seed_number(generator),
        status="from the matrix.",
    )
    return _Evidence(
        found=found,
        sure=torch.ones(len(found), dtype=torch.bool),
        bars=torch.from_numpy(spread)[nearest],
        condition=torch.from_numpy(conditions)[nearest],
        abscissa=abscissa,
        products=found.products,
        edge=float((values.real + spread).max()),
        axis_clear=clear,
    )


def _krylov(
    operator: LinearOperator,
    known: Eigenvalues | None,
    k: int,
    tol: float,
    max_products: int,
    failure: float,
    generator: torch.Generator,
    progress: bool | None,
) -> _Evidence:
    """The rightmost eigenvalues from both sides and a bound on S, at equal shares of what is left of the budget."""
    normal = kind_of(operator) != "general"
    share = max(1, max_products // (1 + (known is None) + (not normal)))
    if known is None:
        known = eigenvalues(
            operator,
            k,
            tol=tol,
            seed=generator,
            max_products=share,
            dense_up_to=0,
            second_look=True,
            progress=progress,
        )
    products, kappa, sure = known.products, torch.ones(len(known), dtype=torch.float64), known.converged
    if normal:  # a residual bounds the distance to the spectrum, whatever the vector is
        sure = torch.ones_like(sure)
    else:
        left = eigenvalues(
            operator.T,
            len(known),
            tol=tol,
            seed=generator,
            max_products=share,
            dense_up_to=0,
            start=known,
            progress=progress,
        )
        products, kappa = products + left.products, condition_numbers(known, left)
        nearest = (known.values[:, None] - left.values[None, :]).abs().argmin(dim=1)
        sure = sure & left.converged[nearest]
    errors = known.residuals + 10 * known.noise
    bars = torch.where(errors > 0, kappa * errors, 0.0)
    price = 1 if normal else 2
    steps = min(max(1, share // price), LANCZOS_STEPS)
    abscissa = extremes(operator.sym, failure=failure, max_products=steps, seed=generator, progress=progress)
    products += price * abscissa.products
    return _Evidence(known, sure, bars, kappa, abscissa, products, float((known.values.real + bars).max()), False)
