"""A few eigenvalues of any operator, each with a residual recomputed by fresh products."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.linalg._checks import check_count, check_finite, check_positive, check_square
from separatrix.linalg._draw import as_generator, normal, seed_number
from separatrix.linalg._progress import progress_line
from separatrix.linalg.counting import Counted
from separatrix.linalg.harmonic import harmonic_pairs, harmonic_restart
from separatrix.linalg.krylov_schur import KrylovForm, krylov_schur
from separatrix.linalg.operator import LinearOperator
from separatrix.linalg.ordering import Near, Target, as_key, select, target_name
from separatrix.linalg.projected import eigen_decomposition, kind_of
from separatrix.linalg.second_look import look_again
from separatrix.linalg.verify import verify

DENSE_UP_TO = 2000
DEFAULT_BUDGET = 3000
BASIS_BYTES = 2**30
LOOKS = 3
METHODS = {"general": "krylov-schur", "symmetric": "lanczos", "skew": "skew-lanczos"}


@dataclass(frozen=True)
class Eigenvalues:
    """The wanted end of a spectrum. Sign of the operator given: rightmost means largest real part.

    Attributes:
        values: ``(k,)`` complex128 on the host, most wanted first; one more than asked for where a
            conjugate pair would be split, fewer where the budget did not reach.
        residuals: ``||A x - lam x||`` of the unit vector ``x``, ``(k,)`` float64, from fresh products;
            never below ``noise``. Each ``lam`` is an exact eigenvalue of an operator that far from ``A``.

        converged: ``residual <= max(tolerance * |lam|, 10 * noise)``, ``(k,)`` bool.
        vectors: unit right eigenvectors, rows, ``(k, n)`` complex on the operator's device; None if not
            asked for.
        target: name of the order.
        method: ``dense``, ``krylov-schur``, or for a tagged operator ``lanczos``, ``skew-lanczos``.
        complete: the whole spectrum was computed, so nothing wanted can be missing. Krylov methods cannot
            prove it.
        products: real products of ``A`` taken, verification included.
        tolerance: as asked for.
        seed: of the start vector.
        noise: rounding error of a product with a unit vector, from a linearity check on the returned vectors.
        status: one sentence.
        krylov: the Krylov decomposition, for warm starts, deflation and pseudospectra; None when dense.
    """

    values: Tensor
    residuals: Tensor
    converged: Tensor
    vectors: Tensor | None
    target: str
    method: str
    complete: bool
    products: int
    tolerance: float
    seed: int
    noise: float
    status: str
    krylov: KrylovForm | None = None

    def __len__(self) -> int:
        return len(self.values)

    def __str__(self) -> str:
        lines = [f"{'#':>3} {'real':>14} {'imag':>14} {'residual':>10}  converged"]
        for i, (lam, residual, ok) in enumerate(
            zip(self.values.tolist(), self.residuals.tolist(), self.converged.tolist(), strict=True)
        ):
            lines.append(f"{i + 1:>3} {lam.real:>14.6g} {lam.imag:>14.6g} {residual:>10.1e}  {'yes' if ok else 'NO'}")
        lines.append(self.status)
        return "\n".join(lines)


def eigenvalues(
    operator: LinearOperator,
    k: int = 6,
    *,
    target: Target = "rightmost",
    max_products: int | None = None,
    tol: float = 1e-6,
    seed: int | torch.Generator = 0,
    vectors: bool = True,
    start: Eigenvalues | Tensor | None = None,
    basis_size: int | None = None,
    dense_up_to: int = DENSE_UP_TO,
    second_look: bool = False,
    progress: bool | None = None,
) -> Eigenvalues:
    """The ``k`` most wanted eigenvalues of a square operator, with recomputed residuals.

    Up to n = 2000 the matrix is formed and the whole spectrum computed on the host in float64
    (``complete``), unless the budget forbids; beyond that Krylov-Schur, whose answer is checked but never
    proven complete; a symmetric or skew tag makes it Lanczos. For left eigenvectors pass ``operator.T``.

    Args:
        operator: square, ``(n, n)``.
        k: how many; a conjugate pair is never split, so ``k + 1`` may come back.
        target: ``rightmost`` (the dangerous end of a field), ``leftmost``, ``largest`` (modulus),
            ``rotation`` (modulus of the imaginary part), or a key: complex128 ``(k,)`` to real ``(k,)``,
            higher is wanted more, equal for conjugates.
        max_products: the budget, verification included; 3000 by default. A budget that is too small gives a
            flagged result.
        tol: relative residual at which a value counts as converged.
        seed: of the start vector.
        vectors: whether to keep the eigenvectors.
        start: an earlier result of a nearby operator, or a vector ``(n,)``, to begin from.
        basis_size: Krylov vectors held; by default ``max(2 k + 20, 80)`` or what fits a GiB.
        dense_up_to: the largest n whose matrix is formed.
        second_look: search once more, orthogonal to what was found, and reopen the search where something
            wanted more turns up. Up to twice the products; evidence of completeness, not proof.
        progress: a line on stderr; None means only on a terminal.

    Returns:
        The values with residuals and flags.

    Raises:
        InputError: the operator is not square, k or the budget out of range, an unknown target.
        NonFiniteError: a product holds a NaN or an infinity.

    Cost: n products when dense, else as many as needed (40 to 200 for outliers) within the budget; about k
        + 2
    more to verify. Memory ``basis_size * n``.

    References: [stewart2001], [wu2000], [greif2009], [giraud2005].

    Example:
        >>> import torch
        >>> from separatrix.linalg import Dense, eigenvalues
        >>> found = eigenvalues(Dense(torch.tensor([[0.0, 2.0], [-2.0, 0.0]], dtype=torch.float64)), k=1)
        >>> found.values.imag.round(decimals=12).tolist()
        [2.0, -2.0]
    """
    n = check_square(operator, "eigenvalues")
    if isinstance(k, int) and k > n:
        raise InputError(f"k must be at most the operator's size n, got k={k} with n={n}; ask for k={n} or fewer.")
    check_count("k", k)
    check_positive("tol", tol)
    if max_products is not None:
        check_count("max_products", max_products)
    key = as_key(target)
    generator = as_generator(seed)
    begin = _start(operator, start, generator)
    counted = Counted(operator, DEFAULT_BUDGET if max_products is None else max_products)
    reserve = min(k + 3, counted.budget or 0)

    form: KrylovForm | None = None
    remark = ""
    if n <= dense_up_to and (max_products is None or n + reserve <= max_products):
        # Read through the operator itself: many have a cheaper way to their matrix than n counted products.
        matrix = check_finite(operator.to_dense(), f"the matrix of {operator!r}").to("cpu", torch.float64)
        counted.spent += n
        spectrum, columns = eigen_decomposition(matrix.numpy(), kind_of(operator))
        everything = torch.from_numpy(spectrum)
        chosen = select(everything, key, k)
        values, x = everything[chosen], torch.from_numpy(columns)[:, chosen].T
        scale = float(torch.linalg.matrix_norm(matrix)) / n**0.5
        counted.budget = None
        settled, method = True, "dense"
    else:
        with progress_line(progress, f"{target_name(target)} eigenvalues") as report:
            search = partial(
                krylov_schur,
                counted,
                k=k,
                key=key,
                tol=tol,
                basis_size=_basis_size(operator, n, k, basis_size),
                generator=generator,
                reserve=reserve,
                on_check=report,
            )
            if isinstance(key, Near):
                search.keywords["pairs"] = partial(harmonic_pairs, shift=key.shift)
                search.keywords["restart"] = partial(harmonic_restart, shift=key.shift)
            form = search(start=begin)
            looks = LOOKS if second_look else 0
            while looks > 0 and form.settled and counted.left - reserve > k:
                allowed = int(min(counted.left - reserve, max(counted.spent, 50)))
                look = look_again(counted, form, key, products=allowed, generator=generator)
                remark, looks = f"; {look.sentence}", looks - 1
                if look.newcomer is None or counted.left - reserve <= k:
                    break
                form = search(start=look.newcomer)
        values, x = form.values, lift(form)
        scale = float(torch.linalg.matrix_norm(torch.from_numpy(form.projected), 2))
        settled, method = form.settled, METHODS[kind_of(operator)]

    checked = verify(counted, values, x, scale=scale)
    converged = checked.residuals <= torch.clamp(tol * values.abs(), min=10 * checked.noise)
    return Eigenvalues(
        values=values,
        residuals=checked.residuals,
        converged=converged,
        vectors=checked.vectors if vectors else None,
        target=target_name(target),
        method=method,
        complete=method == "dense",
        products=counted.spent,
        tolerance=tol,
        seed=seed_number(seed),
        noise=checked.noise,
        status=status_of(converged, k, target_name(target), method, counted.spent, settled, checked.noise, remark),
        krylov=form,
    )


def status_of(
    converged: Tensor,
    k: int,
    target: str,
    method: str,
    spent: int,
    settled: bool,
    noise: float,
    remark: str = "",
) -> str:
    """The sentence of an eigenvalue record."""
    done, found = int(converged.sum()), len(converged)
    sentence = f"{done} of {found} {target} eigenvalues converged ({method}, {spent} products){remark}"
    if found < k:
        return f"{sentence}; only {found} of k={k} reached: raise max_products."
    if done == found:
        return f"{sentence}."
    if settled:
        return f"{sentence}; the rest is held up by rounding (product noise {noise:.1e})."
    return f"{sentence}; budget spent: raise max_products, or basis_size where memory allows."


def _start(operator: LinearOperator, start: Eigenvalues | Tensor | None, generator: torch.Generator) -> Tensor:
    """A random start, or an earlier result with a little of one, so that what is new can show up."""
    n = operator.shape[0]
    random = normal(operator, n, generator)
    if start is None:
        return random
    known = start
    if isinstance(known, Eigenvalues):
        if known.vectors is None:
            raise InputError("start is a result without vectors; compute it with vectors=True.")
        known = (known.vectors.real + known.vectors.imag).sum(dim=0)
    if known.shape != (n,):
        raise InputError(f"start must have n={n} entries, got shape {tuple(known.shape)}.")
    known = check_finite(known, "start").to(operator.device, operator.dtype)
    length = torch.linalg.vector_norm(known)
    if not bool(length > 0):
        raise InputError("start must not be the zero vector.")
    mixed: Tensor = known / length + 0.1 * random / torch.linalg.vector_norm(random)
    return mixed


def _basis_size(operator: LinearOperator, n: int, k: int, asked: int | None) -> int:
    if asked is not None:
        return check_count("basis_size", asked, least=min(k + 3, n), why=f" for k={k}")
    fits = BASIS_BYTES // (n * operator.dtype.itemsize)
    return min(n, max(2 * k + 20, min(80, fits)))


def lift(form: KrylovForm) -> Tensor:
    """Ritz vectors, rows, from their coordinates."""
    basis = form.basis[: len(form.coordinates)]
    S = torch.from_numpy(form.coordinates).T
    real = S.real.to(basis.device, basis.dtype) @ basis
    imag = S.imag.to(basis.device, basis.dtype) @ basis
    return torch.complex(real, imag)
