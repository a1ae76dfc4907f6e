"""How far a difference grows on its way before it fades."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

from separatrix.dynamics.linear_period import Layout
from separatrix.dynamics.schemes import SCHEME
from separatrix.probes.advise_range import Tried, counting


def _started(tried: Tried, layout: Layout) -> Tensor:
    """Point, bases' buffers and the scheme's memory after a start at each unit vector, ``(N, n)``.

    What the scheme remembers of the point, such as lookahead's slow copy, begins where the point does.
    """
    here = torch.eye(tried.reduced.space.n, dtype=torch.float64)
    memory = tried.scheme.memory(tried.reduced.space, here, settled=True)
    parts = [
        here if not (owner or name) else memory.get(name) if owner == SCHEME else None for owner, name, _ in layout
    ]
    return torch.cat(
        [here.new_zeros(size, len(here)) if t is None else t for t, (*_, size) in zip(parts, layout, strict=True)]
    )


@dataclass(frozen=True)
class Transient:
    """The largest growth of a difference on its way, ``sup_k |M^k|`` on the point's coordinates.

    Attributes:
        value: at least this much, in the optimiser's metric; 1 where nothing grows first.
        step: after so many steps of the method.
        until: the last step looked at.
    """

    value: float
    step: int
    until: int


def transient(tried: Tried, step: float, *, steps: int) -> Transient:
    """``sup_k |M^k|_2`` over a run of ``steps``, on the point, from a fresh start: no momentum, and memories of the point there.

    Where modes do not count, of differences among those that do, memories included. Every step of the first 64 periods, then of some
    periods in each octave, so that the value is a lower bound; in a model of the leading modes it is one besides, since what lives
    outside of the model is not seen.

    Cost: no gradients; about 130 singular value decompositions of the model's size for each step of a period.
    """
    n, cycle = tried.reduced.space.n, tried.scheme.cycle
    found = tried.reduced.linear(tried.scheme, tried.at(step))
    period, start = found.matrix, _started(tried, found.layout)
    basis = torch.eye(len(period), dtype=period.dtype)
    if (kept := counting(tried, step)) is not None:
        basis = torch.linalg.qr(kept[1])[0]
        period = basis.T @ period @ basis
        n, start = len(basis), torch.eye(len(period), dtype=period.dtype)
    parts = [basis[:n]]
    for one in tried.reduced.steps(tried.scheme, tried.at(step))[: cycle - 1] if cycle > 1 else ():
        basis = one @ basis
        parts.append(basis[:n])
    last = max(1, steps // cycle)
    power, best, where, k = torch.eye(len(period), dtype=period.dtype), 1.0, 0, 0
    jumps: dict[int, Tensor] = {1: period}
    while True:
        for within, part in enumerate(parts):
            block = part @ power @ start
            at = k * cycle + within
            if not bool(torch.isfinite(block).all()):
                return Transient(inf, at, at)
            size = float(torch.linalg.matrix_norm(block, 2)) if at <= max(steps, cycle) else 0.0
            if size > best * (1 + 1e-9):
                best, where = size, at
        if k >= last:
            return Transient(best, where, k * cycle)
        jump = 1 if k < 64 else 2 ** (k.bit_length() - 4)
        while jump not in jumps:
            longest = max(jumps)
            jumps[2 * longest] = jumps[longest] @ jumps[longest]
        power, k = jumps[jump] @ power, k + jump
