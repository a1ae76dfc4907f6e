"""An operator as SciPy sees it: NumPy vectors on the host, complex ones included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from separatrix.linalg.operator import LinearOperator


def to_scipy(operator: LinearOperator) -> Any:
    """The same products as a ``scipy.sparse.linalg.LinearOperator``.

    Each vector goes from the host to the operator's device and dtype and back. A complex vector ``x + iy``
    is taken as two real products; SciPy's own habit of dropping the imaginary part (relative errors of 10
    to 20%) is not repeated. ``rmatvec`` is the conjugate transpose, which for a real operator is ``A.T``.

    Args:
        operator: any operator, ``(m, n)``.

    Returns:
        A SciPy operator of shape ``(m, n)`` with ``matvec`` and ``rmatvec``; its dtype is float64 for a
        float64 operator, float32 otherwise.

    Cost: one product per real vector, two per complex one, and the transfers.

    Example:
        >>> import numpy as np, torch
        >>> from separatrix.linalg import Dense, to_scipy
        >>> A = to_scipy(Dense(torch.tensor([[0.0, 1.0], [-1.0, 0.0]])))
        >>> A @ np.array([1.0, 1.0j])
        array([ 0.+1.j, -1.+0.j], dtype=complex64)
    """
    from scipy.sparse.linalg import LinearOperator as SciPyOperator

    host = np.float64 if operator.dtype == torch.float64 else np.float32

    def product(a: LinearOperator, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        x = np.asarray(x).reshape(-1)
        if np.iscomplexobj(x):
            return product(a, x.real) + 1j * product(a, x.imag)
        vector = torch.from_numpy(np.array(x, dtype=host)).to(a.device, a.dtype)
        result: np.ndarray[Any, Any] = (a @ vector).cpu().to(torch.float64).numpy().astype(host)
        return result

    return SciPyOperator(
        dtype=host,
        shape=operator.shape,
        matvec=lambda x: product(operator, x),
        rmatvec=lambda x: product(operator.T, x),
    )
