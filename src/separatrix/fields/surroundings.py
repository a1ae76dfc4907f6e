"""Evaluating a user's code without leaving a trace: random streams, modes, attributes, kernels, default dtype."""

from __future__ import annotations

import random
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

T = TypeVar("T")


@contextmanager
def frozen_randomness(seed: int) -> Iterator[None]:
    """Seed the global random streams (torch on CPU and CUDA, numpy, Python) and put them back afterwards."""
    # A CUDA that nobody has used yet is left asleep: waking it costs memory on every device and forbids forking.
    awake = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - the user's global stream
    with torch.random.fork_rng(devices=list(range(torch.cuda.device_count())) if awake else []):
        try:
            torch.default_generator.manual_seed(seed)
            if awake:
                torch.cuda.manual_seed_all(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002
            random.seed(seed)
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002


@contextmanager
def unchanged(module: nn.Module) -> Iterator[None]:
    """Put back modes and plain attributes on leaving: counters, caches, weights written by hooks, RNNs' flat lists.

    Attributes are bound again to what they were; lists, dicts, sets and deques among them get their items back. What
    lies deeper is the user's own affair.
    """
    before = [(m, dict(vars(m)), _items(vars(m))) for m in module.modules()]
    try:
        yield
    finally:
        for m, attributes, items in before:
            now = vars(m)
            if now.keys() != attributes.keys() or any(now[k] is not v for k, v in attributes.items()):
                now.clear()
                now.update(attributes)
            for container, kept in items:
                if container or kept:  # most are empty tables of hooks
                    _refill(container, kept)


def _items(attributes: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    kinds = (list, dict, OrderedDict, set, deque)
    return [(value, value.copy()) for value in attributes.values() if type(value) in kinds]


def _refill(container: Any, kept: Any) -> None:
    """Give a container its items back, compared by identity: tensors have no truth value."""
    if isinstance(container, dict):
        same = list(container) == list(kept) and all(container[k] is v for k, v in kept.items())
    else:
        same = len(container) == len(kept) and all(a is b for a, b in zip(container, kept, strict=True))
    if not same:
        container.clear()
        (container.extend if isinstance(container, (list, deque)) else container.update)(kept)


@contextmanager
def differentiable_kernels(*, rnns: bool) -> Iterator[None]:
    """Kernels that have second derivatives, at the field's own precision.

    Attention by plain matrix products; RNNs without cuDNN (convolutions keep it, without TF32, whose rounding is larger
    than what the self-tests look for); no autocast from outside, since the field computes in the dtype it states.
    """
    with ExitStack() as stack:
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.enter_context(torch.autocast("cpu", enabled=False))
        if torch.cuda.is_available():
            stack.enter_context(torch.autocast("cuda", enabled=False))
            stack.enter_context(torch.backends.cudnn.flags(enabled=not rnns, allow_tf32=False))
        yield


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Constants and draws that a loss creates take the field's dtype."""
    before = torch.get_default_dtype()
    if dtype in (torch.float32, torch.float64):
        torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


class Arena(nn.Module):
    """The players side by side, so that one ``functional_call`` swaps all their parameters and buffers.

    ``forward`` runs whatever it is given; the user's closures over the modules then see the swapped tensors too.

    Args:
        members: the players.
        bystanders: modules that the losses reach without being players (a frozen feature extractor): their buffers and
            modes are guarded too, and a parameter that they share with a player is the player's.
    """

    def __init__(self, members: Mapping[str, nn.Module], bystanders: list[nn.Module] | None = None) -> None:
        super().__init__()
        self.members = nn.ModuleList(list(members.values()))
        self.bystanders = nn.ModuleList(bystanders or [])

    def forward(self, run: Callable[[], T]) -> T:
        return run()

    def call(self, tensors: Mapping[str, Tensor], run: Callable[[], T]) -> T:
        """``run()`` with the named parameters and buffers in place, and the modules as before afterwards."""
        with unchanged(self):
            result: T = functional_call(self, dict(tensors), (run,), strict=False)
            return result
