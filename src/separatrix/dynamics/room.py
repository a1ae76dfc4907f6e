"""Is there room for a copy of a state? Counted before anything is copied."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from separatrix.errors import InputError

# The share of an accelerator's free memory that copies may take; the step itself needs the rest.
SHARE = 0.5


def plan(state: Any) -> bool:
    """Whether copies of the accelerators' tensors must lie on the host.

    Raises:
        InputError: the host has no room for them; tells the size, and the largest parts.
    """
    sizes: Counter[tuple[str, str]] = Counter()
    for name, device, size in _sizes("", state, {}):
        sizes[name, device] += size
    devices: Counter[str] = Counter()
    for (_, device), size in sizes.items():
        devices[device] += size
    away = {device: size for device, size in devices.items() if device.startswith("cuda")}
    offload = any(size > SHARE * free_on_device(device) for device, size in away.items())
    need = devices["cpu"] + (sum(away.values()) if offload else 0)
    free = free_on_host()
    if free is not None and need > free:
        largest = ", ".join(f"{name or 'the state'} {in_words(size)}" for (name, _), size in sizes.most_common(3))
        raise InputError(
            f"the state takes {in_words(need)} a copy and the host has {in_words(free)} free; measure on a machine with more "
            f"memory, or list less in the state. The largest parts: {largest}."
        )
    return offload


def free_on_host() -> int | None:
    """Bytes that can be had without swapping; ``None`` where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)


def free_on_device(device: str) -> int:
    """Bytes free on an accelerator, what torch keeps for later included."""
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + kept


def in_words(size: float) -> str:
    """A size in bytes for people.

    Example:
        >>> in_words(2_500_000_000), in_words(10)
        ('2.5 GB', '10 bytes')
    """
    for unit, power in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= power:
            return f"{size / power:.3g} {unit}"
    return f"{size:.0f} bytes"


def _sizes(name: str, value: Any, seen: dict[int, Any]) -> Iterator[tuple[str, str, int]]:
    """Part, device and bytes of all tensors of a state, each once; nothing is copied."""
    if id(value) in seen:
        return
    seen[id(value)] = value  # held, so that no other object takes its id
    if isinstance(value, Tensor):
        for tensor in (value, value.grad if value.is_leaf else None):
            if tensor is not None:
                yield name, str(tensor.device), tensor.numel() * tensor.element_size()
    elif isinstance(value, nn.Module):
        for tensor in (*value.parameters(), *value.buffers()):
            yield from _sizes(name, tensor, seen)
    elif isinstance(value, np.ndarray):
        yield name, "cpu", value.nbytes
    elif hasattr(value, "state_dict") and hasattr(value, "load_state_dict"):
        yield from _inside(name, value.state_dict(), seen)
    elif isinstance(value, (Mapping, list, tuple, deque)):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, item in items:
            yield from _sizes(f"{name}.{key}" if name else str(key), item, seen)


def _inside(name: str, nest: Any, seen: dict[int, Any]) -> Iterator[tuple[str, str, int]]:
    """The same for a state dict, all of it under one name."""
    for _, device, size in _sizes("", nest, seen):
        yield name, device, size
