"""Many products of a small graph in one pass: where each of them is mostly overhead, a block costs little more than one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

# Fewer vectors are not worth a check; in larger graphs arithmetic dominates, and convolutions are slower side by side.
FEWEST, LARGEST, AT_ONCE = 4, 2000, 64
# Rounding that the check lets pass, relative to the length of all results together.
ROUNDINGS = 100.0

Call = tuple[list[Tensor], list[Tensor]]


def side_by_side(
    calls: Sequence[Call], inputs: Sequence[Tensor], one: Callable[[list[Tensor], list[Tensor]], list[Tensor]]
) -> list[list[Tensor]] | None:
    """The gradients for all calls, or ``None`` where they are to be taken one by one.

    ``torch.vmap`` over a backward pass knows not every operator, and might know one wrongly. So a combination of the results with random
    signs is compared with the same combination of cotangents, taken by itself: no single wrong row can pass.

    Args:
        calls: ``(outputs, cotangents)``, all with the same outputs.
        inputs: what is differentiated in.
        one: takes one of them by itself.

    Cost: the products, and one more for the check.
    """
    outputs = calls[0][0] if calls else []
    if len(calls) < FEWEST or not outputs or sum(i.numel() for i in inputs) > LARGEST:
        return None
    if any(len(o) != len(outputs) or any(a is not b for a, b in zip(o, outputs, strict=True)) for o, _ in calls):
        return None
    found: list[list[Tensor]] = []
    for at in range(0, len(calls), AT_ONCE):
        cotangents = [torch.stack(pieces) for pieces in zip(*(c for _, c in calls[at : at + AT_ONCE]), strict=True)]
        rows = _pulled(outputs, inputs, cotangents)
        if rows is None or not _agree(rows, cotangents, lambda c: one(outputs, c)):
            return None
        found += [[piece[k] for piece in rows] for k in range(len(cotangents[0]))]
    return found


def _pulled(outputs: Sequence[Tensor], inputs: Sequence[Tensor], cotangents: list[Tensor]) -> list[Tensor] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of operators that vmap takes one by one: no gain there
            found = torch.autograd.grad(
                outputs, inputs, cotangents, retain_graph=True, materialize_grads=True, is_grads_batched=True
            )
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, UserWarning, NotImplementedError):
        return None
    # An input that nothing depends on comes without the block's dimension.
    count = len(cotangents[0])
    return [f if f.ndim > i.ndim else f.expand(count, *i.shape) for f, i in zip(found, inputs, strict=True)]


def _agree(rows: list[Tensor], cotangents: list[Tensor], one: Callable[[list[Tensor]], list[Tensor]]) -> bool:
    """Whether a combination with random signs is what its own product says."""
    count = len(rows[0])
    generator = torch.Generator().manual_seed(count)
    signs = (torch.randint(2, (count,), generator=generator) * 2 - 1).to(rows[0].device, rows[0].dtype)
    combined = one([torch.tensordot(signs, c, 1) for c in cotangents])
    gap = sum(float((torch.tensordot(signs, r, 1) - c).square().sum()) for r, c in zip(rows, combined, strict=True))
    size = sum(float(r.square().sum()) for r in rows) ** 0.5
    return gap**0.5 <= ROUNDINGS * torch.finfo(rows[0].dtype).eps * size
