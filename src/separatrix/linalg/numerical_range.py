"""The numerical range ``W(A) = {x.H A x : ||x|| = 1}``, which holds every eigenvalue."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.linalg._checks import check_count, check_finite, check_square
from separatrix.linalg._draw import seed_number
from separatrix.linalg._progress import progress_line
from separatrix.linalg.counting import Counted
from separatrix.linalg.dense import Dense
from separatrix.linalg.extremes import Extremes, extremes_and_top
from separatrix.linalg.krylov_schur import KrylovForm
from separatrix.linalg.operator import LinearOperator


@dataclass(frozen=True)
class NumericalRange:
    """The range between supporting lines and boundary points; symmetric about the real axis.

    Attributes:
        angles: directions in radians, 0 to pi, ``(a,)`` float64.
        support: upper bounds of ``Re(exp(-i angle) w)`` over w in the range, ``(a,)``: the range, and with
            it every eigenvalue, lies left of these lines. Infinite where no line was computed.
        points: boundary points ``x.H A x`` reached, ``(a,)`` complex128; their hull, with its mirror image,
            is inside.
        failure: probability that a line is wrong, all together.
        products: products of ``A`` and ``A.T``.
        seed: of the starts.
        status: one sentence.
    """

    angles: Tensor
    support: Tensor
    points: Tensor
    failure: float
    products: int
    seed: int
    status: str

    def holds(self, z: Tensor, *, slack: float = 0.0) -> Tensor:
        """Whether complex points ``(k,)`` lie left of all supporting lines and their mirror images."""
        turned = torch.exp(-1j * self.angles)[:, None]
        reach = torch.maximum((turned * z).real, (turned * z.conj()).real)
        return (reach <= self.support[:, None] + slack).all(dim=0)


class RotatedPart(LinearOperator):
    """``H = cos(angle) S - i sin(angle) K`` on ``x = a + i b``, as a real symmetric operator on ``(a, b)``.

    Real part ``cos S a + sin K b``, imaginary part ``cos S b - sin K a``. Each eigenvalue comes twice.
    Cost: two products of each kind.
    """

    def __init__(self, inner: LinearOperator, angle: float) -> None:
        n = inner.shape[0]
        super().__init__((2 * n, 2 * n), dtype=inner.dtype, device=inner.device, tags={"symmetric"})
        self.inner, self.angle = inner, angle

    def _apply(self, u: Tensor) -> Tensor:
        a, b = u.chunk(2)
        forward_a, backward_a = self.inner @ a, self.inner.T @ a
        forward_b, backward_b = self.inner @ b, self.inner.T @ b
        cos, sin = math.cos(self.angle) / 2, math.sin(self.angle) / 2
        real = cos * (forward_a + backward_a) + sin * (forward_b - backward_b)
        imag = cos * (forward_b + backward_b) - sin * (forward_a - backward_a)
        return torch.cat([real, imag])

    _apply_transpose = _apply


def numerical_range(
    operator: LinearOperator,
    angles: int = 9,
    *,
    max_products: int = 4000,
    tol: float = 1e-3,
    failure: float = 1e-6,
    seed: int | torch.Generator = 0,
    dense_up_to: int = 300,
    progress: bool | None = None,
) -> NumericalRange:
    """Supporting lines of the numerical range in directions from 0 to pi.

    The support in direction ``phi`` is the largest eigenvalue of ``cos(phi) S - i sin(phi) K``, bounded as in
    :func:`extremes`. Direction 0 is the numerical abscissa ``lam_max(S)``: where it is negative every
    distance shrinks at once.

    Args:
        operator: square, ``(n, n)``, with both products.
        angles: directions, at least 2; the lower half plane is the mirror image.
        max_products: of ``A`` and ``A.T`` together, over all directions.
        tol: gap between line and boundary point at which a direction ends, relative to the width of the
            range.
        failure: probability that a line is wrong, all together.
        seed: of the starts.
        dense_up_to: the largest n whose matrix is formed; its lines are exact to rounding.
        progress: a line on stderr; None means only on a terminal.

    Cost: four products per Lanczos step and direction, 20 to 60 steps.

    References: [johnson1978].

    Example:
        >>> import torch
        >>> from separatrix.linalg import Dense, numerical_range
        >>> block = Dense(torch.tensor([[0.0, 2.0], [0.0, 0.0]], dtype=torch.float64))
        >>> numerical_range(block).support.round(decimals=9).unique().tolist()  # the unit disc
        [1.0]
    """
    n = check_square(operator, "numerical ranges")
    check_count("angles", angles, least=2)
    check_count("max_products", max_products, least=8 * angles)
    counted, dense = Counted(operator), n <= dense_up_to
    source: LinearOperator = counted
    if dense:
        source = Dense(check_finite(operator.to_dense(), f"the matrix of {operator!r}"))
        counted.spent = n
    directions = torch.linspace(0, math.pi, angles, dtype=torch.float64)
    support, points, wide = [], [], 0
    with progress_line(progress, "numerical range") as counted.report:
        for angle in directions.tolist():
            part = RotatedPart(source, angle)
            if dense:
                values, vectors = torch.linalg.eigh(part.to_dense().double())
                bound, top = float(values[-1]), vectors[:, -1].to(operator.dtype)
                bound += 10 * torch.finfo(operator.dtype).eps * float(values.abs().max())
            else:
                found, top = extremes_and_top(
                    part,
                    tol=tol,
                    failure=failure / angles,
                    max_products=max_products // (4 * angles),
                    seed=seed,
                )
                bound = found.upper_bound
                wide += found.upper_bound - found.highest > tol * (found.highest - found.lowest)
            a, b = top.chunk(2)
            x = torch.complex(a.contiguous(), b.contiguous())
            image = source @ x
            points.append(complex((x.conj() * image).sum()) / float(a.square().sum() + b.square().sum()))
            support.append(bound)
    status = f"{angles} supporting lines, {counted.spent} products"
    if wide:
        status += f"; {wide} lie further out than asked for: raise max_products"
    return NumericalRange(
        angles=directions,
        support=torch.tensor(support, dtype=torch.float64),
        points=torch.tensor(points, dtype=torch.complex128),
        failure=0.0 if dense else failure,
        products=counted.spent,
        seed=seed_number(seed),
        status=f"{status}.",
    )


def inner_numerical_range(form: KrylovForm, angles: int = 33, *, symmetric: Extremes | None = None) -> NumericalRange:
    """Boundary points of ``W(V A V.T)``, all inside ``W(A)``, from a Krylov form that is at hand.

    The space holds what sticks out of the spectrum, and with it most of what sticks out of the range. Lines come only
    with bounds on the symmetric part, in the directions 0 and pi.

    Args:
        form: such as ``eigenvalues(...).krylov``, of ``A`` or of ``A.T``, which have the same range.
        angles: directions from 0 to pi.
        symmetric: bounds on ``(A + A.T) / 2``.

    Cost: no products.

    References: [johnson1978].
    """
    check_count("angles", angles, least=2)
    B = torch.from_numpy(form.projected[:-1] if form.projected.size else form.projected).to(torch.complex128)
    directions = torch.linspace(0, math.pi, angles, dtype=torch.float64)
    turned = torch.exp(-1j * directions)[:, None, None] * B
    tops = torch.linalg.eigh((turned + turned.mH) / 2).eigenvectors[..., -1]
    points = torch.einsum("ai,ij,aj->a", tops.conj(), B, tops)
    support = torch.full((angles,), torch.inf, dtype=torch.float64)
    status = f"{angles} inner points from {len(B)} Krylov vectors, no products"
    if symmetric is not None:
        support[0], support[-1] = symmetric.upper_bound, -symmetric.lower_bound
        status += f"; between the bounds on the symmetric part ({symmetric.status.rstrip('.')})"
    failure = 0.0 if symmetric is None else symmetric.failure
    return NumericalRange(
        directions, support, points, failure, 0, 0 if symmetric is None else symmetric.seed, f"{status}."
    )
