"""Counting floating-point operations, so that a player's share of a gradient is a count and not a time.

torch's own ``FlopCounterMode`` also tracks modules by hooks, and those fail inside ``autograd.grad`` where a module is fed
an input that requires gradients, as every R1 penalty does. Only its formulas are used here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

T = TypeVar("T")


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=result)
        return result


def counted(run: Callable[[], T]) -> tuple[T, int]:
    """What ``run()`` returns, and the floating-point operations of its matrix products and convolutions."""
    with _Counter() as counter:
        result = run()
    return result, counter.total
