"""Evidence that a Krylov search missed nothing: another search, orthogonal to what the first one found."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.linalg._draw import normal
from separatrix.linalg.counting import Counted
from separatrix.linalg.deflation import Deflated
from separatrix.linalg.krylov_schur import KrylovForm, krylov_schur
from separatrix.linalg.ordering import Key

LOOSE = 1e-3


@dataclass(frozen=True)
class SecondLook:
    """``newcomer`` is a start ``(n,)`` that contains something wanted more, None where nothing was found."""

    newcomer: Tensor | None
    sentence: str


def look_again(
    operator: Counted, form: KrylovForm, key: Key, *, products: int, generator: torch.Generator
) -> SecondLook:
    """Search ``(I - QQ.T) A (I - QQ.T)``, with ``Q`` the Schur vectors found, from a fresh random start.

    Its eigenvalues are those of ``A`` that were not found. Only a pair that settles, loosely, counts as
    news: the Ritz values of a non-normal matrix on their way wander through its whole numerical range. Not
    seeing any is evidence of completeness, never proof.

    Args:
        operator: the one searched before.
        form: the settled first search.
        key: its order.
        products: how many may be spent.
        generator: source of the start.

    Cost: up to ``products`` products.
    """
    n, j = operator.shape[0], len(form.coordinates)
    known = form.schur_vectors()
    if n - len(known) < 2:
        return SecondLook(None, "nothing is left to search")
    rest = Deflated(operator, known)
    counted = Counted(rest, products)
    found = krylov_schur(
        counted,
        k=1,
        key=key,
        tol=LOOSE,
        start=rest.project(normal(operator, n, generator)),
        basis_size=min(n - len(known), max(20, j)),
        generator=generator,
    )
    sentence = f"a second search of {counted.spent} products"
    worst = float(key(form.values).min())
    best = float(key(found.values).max())
    x = torch.from_numpy((found.coordinates.real + found.coordinates.imag).sum(axis=1)).to(found.basis)
    vector = x @ found.basis[: len(x)]
    outside = torch.linalg.vector_norm(rest.project(vector)) > 0.5 * torch.linalg.vector_norm(vector)
    if not found.settled:
        return SecondLook(None, f"{sentence} did not settle")
    beyond = worst + LOOSE * abs(worst) if math.isfinite(worst) else worst
    if best <= beyond or not bool(outside):
        return SecondLook(None, f"{sentence} found nothing beyond")
    parts = torch.from_numpy((form.coordinates.real + form.coordinates.imag).sum(axis=1)).to(form.basis)
    before = parts @ form.basis[:j]
    before = before / torch.linalg.vector_norm(before)
    return SecondLook(before + vector / torch.linalg.vector_norm(vector), f"{sentence} found more")
