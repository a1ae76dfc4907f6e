"""Evaluating a user's code without leaving a trace: random streams, modes, attributes, kernels, default dtype."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

T = TypeVar("T")


@contextmanager
def frozen_randomness(seed: int | None) -> Iterator[None]:
    """Seed the global random streams (torch on every device, numpy, Python) and put them back afterwards.

    With ``seed`` ``None`` the streams are only put back.
    """
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - the user's global stream
    with torch.random.fork_rng(devices=devices):
        try:
            if seed is not None:
                torch.manual_seed(seed)
                np.random.seed(seed % 2**32)  # noqa: NPY002
                random.seed(seed)
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002


@contextmanager
def unchanged(module: nn.Module) -> Iterator[None]:
    """Put back train/eval modes and plain tensor attributes (old-style weight norm writes some) on leaving."""
    modes = [(m, m.training) for m in module.modules()]
    attributes = [(m, {k: v for k, v in vars(m).items() if isinstance(v, Tensor)}) for m in module.modules()]
    try:
        yield
    finally:
        for m, training in modes:
            m.training = training
        for m, kept in attributes:
            for key in [k for k, v in vars(m).items() if isinstance(v, Tensor) and k not in kept]:
                delattr(m, key)
            for key, value in kept.items():
                if vars(m).get(key) is not value:
                    vars(m)[key] = value


@contextmanager
def differentiable_kernels() -> Iterator[None]:
    """Kernels that have second derivatives: attention by plain matrix products, RNNs without cuDNN."""
    with ExitStack() as stack:
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        if torch.cuda.is_available():
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        yield


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Constants and draws that a loss creates take the field's dtype."""
    before = torch.get_default_dtype()
    if dtype.is_floating_point and dtype in (torch.float32, torch.float64):
        torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


class Arena(nn.Module):
    """The players side by side, so that one ``functional_call`` swaps all their parameters and buffers.

    ``forward`` runs whatever it is given; the user's closures over the modules then see the swapped tensors too.
    """

    def __init__(self, members: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(list(members.values()))

    def forward(self, run: Callable[[], T]) -> T:
        return run()

    def call(self, tensors: Mapping[str, Tensor], run: Callable[[], T]) -> T:
        """``run()`` with the named parameters and buffers in place, and the modules as before afterwards."""
        with unchanged(self):
            result: T = functional_call(self, dict(tensors), (run,), strict=False)
            return result
