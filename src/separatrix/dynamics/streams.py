"""The global random streams: taken down, put back, and seeded anew together with the generators of a state."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Streams:
    """States of the global random streams of torch (on the CPU and each CUDA device in use), numpy and Python."""

    torch_cpu: Tensor
    torch_cuda: tuple[Tensor, ...]
    numpy: Any
    python: Any

    @classmethod
    def now(cls) -> Streams:
        """The streams as they stand."""
        # A CUDA that nobody has used yet is left asleep: waking it costs memory on every device and forbids forking.
        awake = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        return cls(
            torch.get_rng_state(),
            tuple(torch.cuda.get_rng_state_all()) if awake else (),
            np.random.get_state(),  # noqa: NPY002 - the user's global stream
            random.getstate(),
        )

    def restore(self) -> None:
        """Put the streams back to these states."""
        torch.set_rng_state(self.torch_cpu)
        if self.torch_cuda:
            torch.cuda.set_rng_state_all(list(self.torch_cuda))
        np.random.set_state(self.numpy)  # noqa: NPY002
        random.setstate(self.python)


def reseed(state: Any, seed: int) -> None:
    """Seed the global streams and the generators of a state anew; with 0 all stays as it is."""
    if seed == 0:
        return
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the user's global stream
    random.seed(seed)
    for i, generator in enumerate(_generators(state)):
        own = 1_000_003 * seed + i
        if isinstance(generator, torch.Generator):
            generator.manual_seed(own)
        elif isinstance(generator, np.random.Generator):
            kind = type(generator.bit_generator)
            generator.bit_generator.state = kind(own).state
        else:
            generator.seed(own)


def _generators(state: Any) -> list[Any]:
    if isinstance(state, (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)):
        return [state]
    if isinstance(state, Mapping):
        return [g for value in state.values() for g in _generators(value)]
    if isinstance(state, (list, tuple)):
        return [g for value in state for g in _generators(value)]
    return []
