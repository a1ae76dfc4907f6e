"""The global random streams: taken down and put back."""

from __future__ import annotations

import random
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
