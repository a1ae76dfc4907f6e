"""The numerical range ``W(A) = {x.H A x : ||x|| = 1}``, which holds every eigenvalue."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.linalg._checks import check_count, check_finite, check_square
from separatrix.linalg._draw import seed_number
from separatrix.linalg.counting import Counted
from separatrix.linalg.eigen import eigenvalues
from separatrix.linalg.operator import Dense, LinearOperator


@dataclass(frozen=True)
class NumericalRange:
    """The range between supporting lines and boundary points; symmetric about the real axis.

    Attributes:
        angles: directions in radians, 0 to pi, ``(a,)`` float64.
        support: ``max Re(exp(-i angle) w)`` over w in the range, ``(a,)``: the range lies left of that line.
        errors: residuals of the support values, ``(a,)``: an eigenvalue of the rotated part is that close.
        points: boundary points ``x.H A x``, ``(a,)`` complex128; their hull, with its mirror image, is
            inside.
        products: products of ``A`` and ``A.T``.
        seed: of the starts.
        status: one sentence.
    """

    angles: Tensor
    support: Tensor
    errors: Tensor
    points: Tensor
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
    tol: float = 1e-4,
    seed: int | torch.Generator = 0,
    dense_up_to: int = 300,
) -> NumericalRange:
    """Supporting lines of the numerical range in directions from 0 to pi.

    The support in direction ``phi`` is the largest eigenvalue of ``cos(phi) S - i sin(phi) K``. Direction 0
    is the numerical abscissa ``lam_max(S)``: where it is negative every distance shrinks at once.

    Args:
        operator: square, ``(n, n)``.
        angles: directions, at least 2; the lower half plane is the mirror image.
        max_products: of ``A`` and ``A.T`` together, over all directions.
        tol: relative residual of each support value.
        seed: of the starts.
        dense_up_to: the largest n at which the rotated part (2n) is formed.

    Cost: four products per Lanczos step and direction, 10 to 40 steps for a rough hull.

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
    counted = Counted(operator)
    source: LinearOperator = counted
    if n <= dense_up_to:
        source = Dense(check_finite(operator.to_dense(), f"the matrix of {operator!r}"))
        counted.spent = n
    directions = torch.linspace(0, math.pi, angles, dtype=torch.float64)
    support, errors, points = [], [], []
    converged = 0
    for angle in directions.tolist():
        found = eigenvalues(
            RotatedPart(source, angle),
            k=1,
            target="rightmost",
            tol=tol,
            seed=seed,
            max_products=max_products // (4 * angles) if n > dense_up_to else None,
            dense_up_to=2 * dense_up_to,
        )
        assert found.vectors is not None
        a, b = found.vectors[0].real.chunk(2)
        x = torch.complex(a.contiguous(), b.contiguous())
        image = source @ x
        points.append(complex((x.conj() * image).sum()) / float(torch.linalg.vector_norm(x)) ** 2)
        support.append(float(found.values[0].real))
        errors.append(float(found.residuals[0]))
        converged += bool(found.converged[0])
    status = f"{converged} of {angles} supporting lines converged, {counted.spent} products."
    return NumericalRange(
        directions,
        torch.tensor(support, dtype=torch.float64),
        torch.tensor(errors, dtype=torch.float64),
        torch.tensor(points, dtype=torch.complex128),
        counted.spent,
        seed_number(seed),
        status,
    )
