"""Pseudospectra: where eigenvalues go under small perturbations, and the transient growth that follows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.linalg._checks import check_count, check_finite, check_square
from separatrix.linalg._draw import as_generator, normal
from separatrix.linalg.counting import Counted
from separatrix.linalg.krylov_schur import KrylovForm, krylov_schur
from separatrix.linalg.operator import LinearOperator
from separatrix.linalg.ordering import as_key
from separatrix.linalg.projected import Matrix


@dataclass(frozen=True)
class Pseudospectrum:
    """``epsilon(z) >= sigma_min(z I - A)``: z is an eigenvalue of some ``A + E`` with ``||E|| <=
    epsilon(z)``.

    Attributes:
        projected: the matrix ``B~`` that stands for ``A``, ``(j + 1, j)`` or ``(n, n)``, float64 on the host.
        exact: ``B~`` is ``A`` itself (in Schur form), so equality holds.
        noise: rounding of the products, added to every value.
        products: products spent.
        status: one sentence.
    """

    projected: Matrix
    exact: bool
    noise: float
    products: int
    status: str

    def at(self, z: Tensor) -> Tensor:
        """``epsilon(z)`` at complex points of any shape; float64 on the host. Cost: no products."""
        points = z.to("cpu", torch.complex128).reshape(-1)
        rows, columns = self.projected.shape
        B = torch.from_numpy(self.projected).to(torch.complex128)
        eye = torch.eye(rows, columns, dtype=torch.complex128)
        chunk = max(1, 2**22 // (rows * columns))
        values = [torch.linalg.svdvals(part[:, None, None] * eye - B)[:, -1] for part in torch.split(points, chunk)]
        return (torch.cat(values) + self.noise).reshape(z.shape)

    def kreiss(self) -> tuple[float, complex]:
        """A lower bound of the transient growth, ``sup_t ||exp(t A)|| >= max Re z / epsilon(z)``, and its
        ``z``.

        Maximised over ``Re z > 0`` on a logarithmic grid, then refined around its best point; any grid
        gives a true bound. At least 1, which is the growth at t = 0. Sign: the flow is ``dx/dt = A x``,
        stable where Re < 0.

        References: [trefethen2005, chapter 14].
        """
        size = float(np.linalg.norm(self.projected, 2))
        if size == 0:
            return 1.0, 0j
        spread = np.linalg.eigvals(self.projected[: self.projected.shape[1]])
        x = torch.logspace(-6, 0.3, 24, dtype=torch.float64) * size
        y = torch.linspace(0, 1.1 * float(np.abs(spread.imag).max()) + 1e-3 * size, 24, dtype=torch.float64)
        best, where = 1.0, 0j
        for _ in range(3):
            z = torch.complex(x[:, None].expand(-1, len(y)), y[None, :].expand(len(x), -1)).contiguous()
            growth = z.real / self.at(z)
            index = int(growth.argmax())
            if float(growth.reshape(-1)[index]) > best:
                best, where = float(growth.reshape(-1)[index]), complex(z.reshape(-1)[index])
            i, j = divmod(index, len(y))
            x = torch.logspace(
                float(x[max(i - 1, 0)].log10()), float(x[min(i + 1, len(x) - 1)].log10()), 9, dtype=x.dtype
            )
            y = torch.linspace(float(y[max(j - 1, 0)]), float(y[min(j + 1, len(y) - 1)]), 9, dtype=y.dtype)
        return best, where


def pseudospectrum(
    operator: LinearOperator,
    *,
    steps: int = 60,
    seed: int | torch.Generator = 0,
    dense_up_to: int = 200,
) -> Pseudospectrum:
    """An inner pseudospectrum from one Krylov run: every point it claims truly belongs.

    With ``A V = V B + v b.T`` and the rectangular ``B~ = [B; b.T]``, ``sigma_min(z I~ - B~)`` is the smallest
    ``||(z - A) x|| / ||x||`` over the Krylov space, hence an upper bound of ``sigma_min(z I - A)``. It
    approaches it first where pseudospectra bulge out, which is where it matters.

    Args:
        operator: square, ``(n, n)``.
        steps: Krylov vectors.
        seed: of the start.
        dense_up_to: the largest n at which the matrix itself is taken.

    Cost: ``steps`` products (n when dense), ``steps`` vectors.

    References: [toh1996], [wright2001].

    Example:
        >>> import torch
        >>> from separatrix.linalg import Dense, pseudospectrum
        >>> A = Dense(torch.tensor([[-1.0, 0.0], [0.0, -2.0]], dtype=torch.float64))
        >>> float(pseudospectrum(A).at(torch.tensor(1.0 + 0j)).round(decimals=9))
        2.0
    """
    n = check_square(operator, "pseudospectra")
    check_count("steps", steps, least=2)
    eps = torch.finfo(operator.dtype).eps
    if n <= dense_up_to:
        matrix = check_finite(operator.to_dense(), f"the matrix of {operator!r}")
        T = scipy.linalg.schur(matrix.to("cpu", torch.float64).numpy(), output="real")[0]
        noise = eps * float(np.linalg.norm(T, 2))
        return Pseudospectrum(T, True, noise, n, f"exact, {n} products.")
    generator, counted = as_generator(seed), Counted(operator, min(steps, n))
    form = krylov_schur(
        counted,
        k=min(steps, n),
        key=as_key("rightmost"),
        tol=eps,
        start=normal(operator, n, generator),
        basis_size=min(steps, n),
        generator=generator,
    )
    return inner_pseudospectrum(form, noise=eps * float(np.linalg.norm(form.projected, 2)), products=counted.spent)


def inner_pseudospectrum(form: KrylovForm, *, noise: float = 0.0, products: int = 0) -> Pseudospectrum:
    """The same from a Krylov form that is at hand, such as ``eigenvalues(...).krylov``. Cost: no products."""
    if form.projected.size == 0:
        raise InputError("a pseudospectrum needs at least one Krylov step, this form has none.")
    j = form.projected.shape[1]
    status = f"inner, from {j} Krylov vectors, {products} products."
    return Pseudospectrum(form.projected, False, noise, products, status)


def clear_of_axis(A: Matrix, size: float, *, evaluations: int = 100) -> bool:
    """Whether no perturbation up to ``size`` puts an eigenvalue of the real matrix ``A`` on the imaginary
    axis.

    ``sigma_min(i w I - A)`` moves by at most ``|dw|``, so each evaluation clears an interval; beyond
    ``||A|| + size`` nothing is left to clear. True is certain, False may mean that the evaluations ran out.

    Cost: up to ``evaluations`` singular value decompositions of size n.

    References: [byers1988].
    """
    T = scipy.linalg.schur(A, output="complex")[0]
    end, w = float(np.linalg.norm(A, 2)) + size, 0.0
    for _ in range(evaluations):
        smallest = float(np.linalg.svd(1j * w * np.eye(len(A)) - T, compute_uv=False)[-1])
        if smallest <= 2 * size:
            return False
        w += 0.99 * (smallest - size)
        if w > end:
            return True
    return False
