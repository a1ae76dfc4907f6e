"""Random vectors from a seed, the same on every device; the global generators stay untouched."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.linalg.operator import LinearOperator

BLOCK = 8


def as_generator(seed: int | torch.Generator) -> torch.Generator:
    """A host generator: the given one, or a fresh one from an integer."""
    if isinstance(seed, torch.Generator):
        if seed.device.type != "cpu":
            raise InputError(f"seed must be an integer or a CPU torch.Generator, got one on {seed.device}.")
        return seed
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise InputError(f"seed must be an integer or a torch.Generator, got {seed!r}.")
    return torch.Generator().manual_seed(seed)


def seed_number(seed: int | torch.Generator) -> int:
    """The integer that goes on record."""
    return seed if isinstance(seed, int) else seed.initial_seed()


def normal(operator: LinearOperator, size: int, generator: torch.Generator) -> Tensor:
    """A standard normal vector, drawn on the host so that every device sees the same one."""
    return torch.randn(size, generator=generator, dtype=torch.float32).to(operator.device, operator.dtype)


def signs(operator: LinearOperator, size: int, generator: torch.Generator) -> Tensor:
    """A vector of random signs."""
    bits = torch.randint(0, 2, (size,), generator=generator)
    return (2 * bits - 1).to(operator.device, operator.dtype)


def sign_blocks(operator: LinearOperator, probes: int, generator: torch.Generator) -> Iterator[Tensor]:
    """``probes`` sign vectors in blocks of at most ``BLOCK`` rows: operators may share work within a block."""
    n = operator.shape[1]
    for first in range(0, probes, BLOCK):
        yield torch.stack([signs(operator, n, generator) for _ in range(min(BLOCK, probes - first))])
