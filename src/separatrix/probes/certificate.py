"""What is certain about the operator whose leading modes were found: the verdict, from its certificates and only from them.

Verdicts speak of the operator, not of the run; their definitions are those of :class:`separatrix.linalg.Stability`.
"""

from __future__ import annotations

from separatrix.linalg import Eigenvalues, LinearOperator, Stability, stability
from separatrix.probes.leading import Leading

LEAST = 12


def certify(
    operator: LinearOperator,
    modes: Leading,
    *,
    max_products: int = 300,
    failure: float = 1e-6,
    seed: int = 0,
) -> Stability:
    """The verdict about ``operator``, resting on leading modes that are known already.

    The modes hold left vectors; right ones, which turn residuals into error bars, and a bound on the symmetric part
    are computed here. All of it is done on the transpose, whose verdict is the same. Sign: the flow is ``dx/dt = A x``,
    stable where ``Re < 0``.

    Args:
        operator: square, ``(n, n)``, with both products, the one that the modes are of.
        modes: from :func:`leading`, the rightmost end among its targets; without it that end is searched anew.
        max_products: of both kinds together, beyond those that the modes took. Where the modes are complete the matrix is formed
            again, ``n`` products, unless ``operator`` is a :class:`separatrix.linalg.Formed`.
        failure: probability that the bound on the symmetric part is wrong.
        seed: of the starts.

    Returns:
        The verdict; ``status`` is its sentence, ``products`` include those of the modes.

    Raises:
        what the first product ``A @ u`` raises, where the operator has only been multiplied from the other side.

    Cost: ``max_products`` products of about 2.3 gradients at most.
    """
    known = None if modes.complete else _rightmost(modes)
    budget = max(max_products, LEAST, 2 * operator.shape[0] if modes.complete else 0)
    tol = 1e-6 if known is None else known.tolerance
    return stability(
        operator.T,
        len(known or ()) or 6,
        max_products=budget,
        tol=tol,
        failure=failure,
        seed=seed,
        known=known,
        progress=False,
    )


def _rightmost(modes: Leading) -> Eigenvalues | None:
    """The modes that were found as the rightmost ones, as the record that they came from."""
    kept = [i for i, names in enumerate(modes.targets) if "rightmost" in names.split("+")]
    if not kept:
        return None
    return Eigenvalues(
        values=modes.values[kept],
        residuals=modes.residuals[kept],
        converged=modes.converged[kept],
        vectors=modes.vectors[kept],
        target="rightmost",
        method="krylov-schur",
        complete=False,
        products=modes.products,
        tolerance=modes.tolerance,
        seed=modes.seed,
        noise=modes.noise,
        status=f"{int(modes.converged[kept].sum())} of {len(kept)} rightmost eigenvalues converged.",
    )
