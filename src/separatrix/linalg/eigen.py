"""A few eigenvalues of any operator, each with a residual recomputed by fresh products."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.linalg._checks import check_count, check_finite, check_length, check_positive, check_square
from separatrix.linalg._draw import as_generator, normal, seed_number
from separatrix.linalg._progress import progress_line
from separatrix.linalg.counting import Counted
from separatrix.linalg.eigen_record import Eigenvalues, status_of
from separatrix.linalg.formed import Formed
from separatrix.linalg.harmonic import harmonic_pairs, harmonic_restart
from separatrix.linalg.krylov_schur import KrylovForm, krylov_schur, lift
from separatrix.linalg.operator import LinearOperator
from separatrix.linalg.ordering import Ends, Key, Near, Target, as_ends, as_key, select, target_name
from separatrix.linalg.projected import kind_of
from separatrix.linalg.second_look import look_again
from separatrix.linalg.verify import verify

DENSE_UP_TO = 2000
DEFAULT_BUDGET = 3000
BASIS_BYTES = 2**30
LOOKS = 3
METHODS = {"general": "krylov-schur", "symmetric": "lanczos", "skew": "skew-lanczos"}


def eigenvalues(
    operator: LinearOperator,
    k: int | Sequence[int] = 6,
    *,
    target: Target | Sequence[Target] = "rightmost",
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
        k: how many; a conjugate pair is never split, so ``k + 1`` may come back. For several targets one
            number for all or one for each.
        target: ``rightmost`` (the dangerous end of a field), ``leftmost``, ``largest`` (modulus),
            ``rotation`` (modulus of the imaginary part), ``step-limit`` (see :func:`step_limit`), ``Near(shift)``,
            ``Divergence(multiplier)``, or a key: complex128 ``(k,)`` to real ``(k,)``, higher is wanted
            more, equal for conjugates. Several at once share one Krylov space, which costs little more than
            the hardest of them; the union comes back, those of the first target in front.
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

    References: [stewart2001], [wu2000], [greif2009], [daniel1976].

    Example:
        >>> import torch
        >>> from separatrix.linalg import Dense, eigenvalues
        >>> found = eigenvalues(Dense(torch.tensor([[0.0, 2.0], [-2.0, 0.0]], dtype=torch.float64)), k=1)
        >>> found.values.imag.round(decimals=12).tolist()
        [2.0, -2.0]
    """
    n = check_square(operator, "eigenvalues")
    key, k, name = _wanted(target, k, n)
    check_positive("tol", tol)
    if max_products is not None:
        check_count("max_products", max_products)
    if second_look and isinstance(key, Ends):
        raise InputError("second_look takes one target; search again for each, or leave it out.")
    generator = as_generator(seed)
    begin = _start(operator, start, generator)
    counted = Counted(operator, DEFAULT_BUDGET if max_products is None else max_products)
    reserve = min(k + 3, counted.budget or 0)
    if n <= dense_up_to and (max_products is None or n + reserve <= max_products):
        found = _dense(counted, key, k)
    else:
        size = _basis_size(operator, n, k, basis_size)
        with progress_line(progress, f"{name} eigenvalues") as report:
            search = partial(
                krylov_schur,
                counted,
                k=k,
                key=key,
                tol=tol,
                basis_size=size,
                generator=generator,
                reserve=reserve,
                on_check=report,
            )
            if isinstance(key, Near):
                search.keywords["pairs"] = partial(harmonic_pairs, shift=key.shift)
                search.keywords["restart"] = partial(harmonic_restart, shift=key.shift)
            form = search(start=begin)
            remark = ""
            if second_look:
                form, remark = _look_again(counted, form, key, search, reserve, generator)
        found = _Found(form.values, lift(form), float(np.linalg.norm(form.projected, 2)), form, remark)

    checked = verify(counted, found.values, found.vectors, scale=found.scale)
    converged = checked.residuals <= torch.clamp(tol * found.values.abs(), min=10 * checked.noise)
    method = METHODS[kind_of(operator)] if found.form else "dense"
    settled = found.form is None or found.form.settled
    short = found.form is not None and len(found.form.coordinates) < k
    return Eigenvalues(
        values=found.values,
        residuals=checked.residuals,
        converged=converged,
        vectors=checked.vectors if vectors else None,
        target=name,
        method=method,
        complete=found.form is None,
        products=counted.spent,
        tolerance=tol,
        seed=seed_number(seed),
        noise=checked.noise,
        status=status_of(
            converged, k if short else 0, name, method, counted.spent, settled, checked.noise, found.remark
        ),
        krylov=found.form,
    )


def _wanted(target: Target | Sequence[Target], k: int | Sequence[int], n: int) -> tuple[Key, int, str]:
    """The order, how many in all at most, and a name for the record."""
    if callable(target) or isinstance(target, str):
        if isinstance(k, Sequence):
            raise InputError(f"give one k, or one for each of the targets: got k={k!r} for the target {target!r}.")
        counts, key, name = [k], as_key(target), target_name(target)
    else:
        counts = list(k) if isinstance(k, Sequence) else [k] * len(target)
        key, name = as_ends(target, counts), "+".join(target_name(end) for end in target)
    for count in counts:
        if check_count("k", count) > n:
            raise InputError(
                f"k must be at most the operator's size n, got k={count} with n={n}; ask for k={n} or fewer."
            )
    return key, min(sum(counts), n), name


@dataclass(frozen=True)
class _Found:
    values: Tensor
    vectors: Tensor  # rows, of any length
    scale: float  # a lower bound of ||A||
    form: KrylovForm | None = None
    remark: str = ""


def _dense(counted: Counted, key: Key, k: int) -> _Found:
    # Read through the operator itself: many have a cheaper way to their matrix than n counted products.
    formed = counted.inner if isinstance(counted.inner, Formed) else Formed(counted.inner)
    counted.spent += len(formed.matrix)
    spectrum, columns = formed.decomposition
    values = torch.from_numpy(spectrum)
    chosen = select(values, key, k)
    scale = float(torch.linalg.matrix_norm(formed.matrix.double())) / len(values) ** 0.5
    return _Found(values[chosen], torch.from_numpy(columns)[:, chosen].T, scale)


def _look_again(
    counted: Counted,
    form: KrylovForm,
    key: Key,
    search: Callable[..., KrylovForm],
    reserve: int,
    generator: torch.Generator,
) -> tuple[KrylovForm, str]:
    """Reopen the search while a second one finds something wanted more."""
    remark = ""
    for _ in range(LOOKS):
        left = int(counted.left - reserve)
        if not form.settled or left <= len(form.values) + 1:
            break
        look = look_again(counted, form, key, products=min(left - 1, max(counted.spent, 50)), generator=generator)
        remark = f"; {look.sentence}"
        if look.newcomer is None:
            break
        form = search(start=look.newcomer)
    return form, remark


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
    length = check_length(known, "start")
    if not length > 0:
        raise InputError("start must not be the zero vector.")
    mixed: Tensor = known / length + 0.1 * random / torch.linalg.vector_norm(random)
    return mixed


def _basis_size(operator: LinearOperator, n: int, k: int, asked: int | None) -> int:
    if asked is not None:
        return check_count("basis_size", asked, least=min(k + 3, n), why=f" for k={k}")
    fits = BASIS_BYTES // (n * operator.dtype.itemsize)
    return min(n, max(2 * k + 20, min(80, fits)))
