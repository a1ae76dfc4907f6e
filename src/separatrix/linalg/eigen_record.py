"""The record of an eigenvalue search: no value without its residual and its flag."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from separatrix.linalg.krylov_schur import KrylovForm


@dataclass(frozen=True)
class Eigenvalues:
    """The wanted end of a spectrum. Sign of the operator given: rightmost means largest real part.

    Attributes:
        values: ``(k,)`` complex128 on the host, most wanted first; one more than asked for where a
            conjugate pair would be split, fewer where the budget did not reach. Of several targets the
            union, the first target's in front.
        residuals: ``||A x - lam x||`` of the unit vector ``x``, ``(k,)`` float64, from fresh products;
            never below ``noise``. Each ``lam`` is an exact eigenvalue of an operator that far from ``A``.

        converged: ``residual <= max(tolerance * |lam|, 10 * noise)``, ``(k,)`` bool.
        vectors: unit right eigenvectors, rows, ``(k, n)`` complex on the operator's device; None if not
            asked for.
        target: name of the order, or names joined by ``+``.
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


def status_of(
    converged: Tensor,
    wanted: int,
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
    if found < wanted:
        return f"{sentence}; only {found} of k={wanted} reached: raise max_products."
    if done == found:
        return f"{sentence}."
    if settled:
        return f"{sentence}; the rest is held up by rounding (product noise {noise:.1e})."
    return f"{sentence}; budget spent: raise max_products, or basis_size where memory allows."
