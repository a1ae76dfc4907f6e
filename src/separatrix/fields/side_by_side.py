"""Many products of a small graph in one pass: where each of them is mostly overhead, a block costs little more than one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from math import isfinite

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

    ``torch.vmap`` over a backward pass knows not every operator, and might know one wrongly. So a random combination of the results is
    compared with the same combination of cotangents, taken by itself: no single wrong row can pass, nor rows in a wrong order.

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
    except Exception:  # whatever it is, if it is not of vmap's making it is raised again one by one
        return None
    # An input that nothing depends on comes without the block's dimension.
    count = len(cotangents[0])
    return [f if f.ndim > i.ndim else f.expand(count, *i.shape) for f, i in zip(found, inputs, strict=True)]


def _agree(rows: list[Tensor], cotangents: list[Tensor], one: Callable[[list[Tensor]], list[Tensor]]) -> bool:
    """Whether a random combination of the rows, each taken as long as its cotangent, is what its own product says."""
    count, dtype = len(rows[0]), rows[0].dtype
    generator = torch.Generator().manual_seed(count)
    signs = torch.randint(2, (count,), generator=generator) * 2 - 1
    weights = signs * (0.5 + torch.rand(count, generator=generator, dtype=torch.float64))
    lengths = _host(cotangents).norm(dim=1)
    weights = (weights / torch.where(lengths > 0, lengths, 1.0)).to(dtype)
    combined = one([torch.tensordot(weights.to(c.device), c, 1) for c in cotangents])
    weighted = weights.double()[:, None] * _host(rows)
    gap = float((weighted.sum(0) - _host([c[None] for c in combined])[0]).norm())
    size = float(weighted.norm())
    return isfinite(size) and gap <= ROUNDINGS * torch.finfo(dtype).eps * size


def _host(pieces: list[Tensor]) -> Tensor:
    """Each row with all its pieces, on the host and in double precision, where squares are not too large or too small."""
    return torch.cat([p.detach().cpu().double().reshape(len(p), -1) for p in pieces], dim=1)
