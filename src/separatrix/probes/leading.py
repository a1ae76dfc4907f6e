"""The leading eigenmodes of an operator: several ends of the spectrum, merged, with left vectors and residuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.linalg import Dense, Eigenvalues, LinearOperator, eigenvalues
from separatrix.linalg.eigen import DENSE_UP_TO

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
    """

    values: Tensor
    residuals: Tensor
    converged: Tensor
    vectors: Tensor
    targets: tuple[str, ...]
    complete: bool
    products: int
    noise: float

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
    targets: Sequence[str] = TARGETS,
    max_products: int = 300,
    tol: float = 1e-3,
    seed: int = 0,
) -> Leading:
    """The ``k`` leading eigenvalues of each target, merged.

    Args:
        operator: square; its transpose is what is multiplied, since that is cheaper for Jacobians.
        k: for each target, twice as many for ``rotation``, whose modes come in pairs and limit the step of games; fewer
            where the operator is smaller.
        targets: ``largest``, ``rightmost``, ``leftmost``, ``rotation``.
        max_products: budget for all targets together.
        tol: relative residual of a converged value.
        seed: of the start vectors.

    Cost: ``n`` products below n = 2000, else at most ``max_products``.
    """
    n = operator.shape[0]
    k = min(k, n)
    dense = n <= DENSE_UP_TO
    subject: LinearOperator = Dense(operator.to_dense().T.contiguous()) if dense else operator.T
    found: list[tuple[str, Eigenvalues]] = []
    if dense:  # the whole spectrum is there anyway
        targets = (*targets, *({"leftmost"} - set(targets)))
    shares = {target: 2 if target == "rotation" else 1 for target in targets}
    for target in targets:
        count = min(shares[target] * k, n)
        budget = None if dense else max(max_products * shares[target] // sum(shares.values()), count + 2)
        found.append((target, eigenvalues(subject, count, target=target, max_products=budget, tol=tol, seed=seed)))
    return _merge(found, products=n if dense else sum(e.products for _, e in found))


def _merge(found: Sequence[tuple[str, Eigenvalues]], *, products: int) -> Leading:
    values: list[complex] = []
    residuals: list[float] = []
    converged: list[bool] = []
    vectors: list[Tensor] = []
    names: list[list[str]] = []
    for target, result in found:
        assert result.vectors is not None
        fresh: list[int] = []
        for i, value in enumerate(result.values.tolist()):
            error = float(result.residuals[i])
            match = next(
                (
                    j
                    for j in range(len(values))
                    if j not in fresh and abs(values[j] - value) <= 3 * (error + residuals[j]) + 1e-9 * abs(value)
                ),
                None,
            )
            if match is None:
                fresh.append(len(values))
                values.append(value)
                residuals.append(error)
                converged.append(bool(result.converged[i]))
                vectors.append(result.vectors[i])
                names.append([target])
                continue
            if target not in names[match]:
                names[match].append(target)
            if error < residuals[match]:
                values[match], residuals[match] = value, error
                converged[match], vectors[match] = bool(result.converged[i]), result.vectors[i]
    order = sorted(range(len(values)), key=lambda i: (-values[i].real, abs(values[i].imag), -values[i].imag))
    return Leading(
        torch.tensor([values[i] for i in order], dtype=torch.complex128),
        torch.tensor([residuals[i] for i in order], dtype=torch.float64),
        torch.tensor([converged[i] for i in order]),
        torch.stack([vectors[i] for i in order]),
        tuple("+".join(names[i]) for i in order),
        all(result.complete for _, result in found),
        products,
        max(result.noise for _, result in found),
    )
