"""The decorator for the loops that no batched tensor operation expresses: compiled once, cached on disk."""

from collections.abc import Callable
from typing import TypeVar, cast

try:
    import numba
except ImportError as error:
    raise ImportError(
        "Discrete Morse theory needs numba for its inner loops: pip install 'separatrix[topology]'"
    ) from error

__all__ = ["compiled"]

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """The function compiled to machine code; arguments are NumPy arrays and numbers."""
    return cast(Function, numba.njit(cache=True, nogil=True)(function))
