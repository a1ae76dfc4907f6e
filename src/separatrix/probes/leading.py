"""The leading eigenmodes of an operator: several ends of the spectrum from one search, with left vectors and residuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from separatrix.linalg import Formed, KrylovForm, LinearOperator, eigenvalues
from separatrix.linalg.eigen import DENSE_UP_TO
from separatrix.linalg.ordering import Target, as_ends, select, target_name

TARGETS = ("largest", "rightmost", "rotation")


@dataclass(frozen=True)
class Leading:
    """Leading eigenvalues with left eigenvectors.

    Attributes:
        values: ``(k,)`` complex128, conjugate pairs whole, sorted by real part from the right.
        residuals: ``(k,)``, recomputed.
        converged: ``(k,)`` bool.
        vectors: left eigenvectors, rows ``(k, n)`` complex.
        targets: which end found each one.
        complete: the whole spectrum was computed.
        products: real products taken.
        noise: rounding level of a product.
        tolerance: relative residual of a converged value.
        seed: of the start vector.
        krylov: the Krylov form of the transpose, for pseudospectra; ``None`` where the whole spectrum was computed.
    """

    values: Tensor
    residuals: Tensor
    converged: Tensor
    vectors: Tensor
    targets: tuple[str, ...]
    complete: bool
    products: int
    noise: float
    tolerance: float = 1e-3
    seed: int = 0
    krylov: KrylovForm | None = None

    def __len__(self) -> int:
        return len(self.values)

    def __str__(self) -> str:
        lines = [f"{'real':>12} {'imag':>12} {'residual':>10}  converged  end"]
        for value, residual, ok, target in zip(
            self.values.tolist(), self.residuals.tolist(), self.converged.tolist(), self.targets, strict=True
        ):
            shown = "yes" if ok else "NO"
            lines.append(f"{value.real:>12.6g} {value.imag:>12.6g} {residual:>10.1e}  {shown:<9}  {target}")
        return "\n".join(lines)

    def upper(self) -> list[int]:
        """Indices with one of each conjugate pair: imaginary part not negative."""
        return [i for i, value in enumerate(self.values.tolist()) if value.imag >= 0]


def leading(
    operator: LinearOperator,
    *,
    k: int = 6,
    targets: Sequence[Target] = TARGETS,
    max_products: int = 300,
    tol: float = 1e-3,
    seed: int = 0,
) -> Leading:
    """The ``k`` leading eigenvalues of each target, all from one Krylov space.

    Args:
        operator: square; its transpose is what is multiplied, since that is cheaper for Jacobians.
        k: for each target, twice as many for ``rotation``, whose modes come in pairs and limit the step of games; fewer
            where the operator is smaller.
        targets: of ``largest``, ``rightmost``, ``leftmost``, ``rotation``, ``step-limit``, or orders of one's own as
            :func:`separatrix.linalg.eigenvalues` takes them. Where the matrix is formed the default has ``leftmost`` too.
        max_products: budget for all targets together.
        tol: relative residual of a converged value.
        seed: of the start vector.

    Cost: ``n`` products and one for each value below n = 2000 (none to form the matrix of a ``Formed``), else at most
    ``max_products``.
    """
    n = operator.shape[0]
    dense = n <= DENSE_UP_TO
    if dense and not isinstance(operator, Formed):
        operator = Formed(operator)
    if dense and tuple(targets) == TARGETS:  # the whole spectrum is there anyway
        targets = (*targets, "leftmost")
    counts = [min(2 * k if target == "rotation" else k, n) for target in targets]
    budget = None if dense else max(max_products, max(counts) + 2)
    found = eigenvalues(operator.T, counts, target=targets, max_products=budget, tol=tol, seed=seed, progress=False)
    assert found.vectors is not None
    names: list[list[str]] = [[] for _ in range(len(found))]
    for target, count in zip(targets, counts, strict=True):
        for i in select(found.values, as_ends([target], [count]), count):
            names[i].append(target_name(target))
    values = found.values.tolist()
    order = sorted(range(len(values)), key=lambda i: (-values[i].real, abs(values[i].imag), -values[i].imag))
    return Leading(
        found.values[order],
        found.residuals[order],
        found.converged[order],
        found.vectors[order],
        tuple("+".join(names[i]) for i in order),
        found.complete,
        found.products,
        found.noise,
        tol,
        found.seed,
        found.krylov,
    )
