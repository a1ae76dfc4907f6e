"""A context manager which checks that a call left everything of the user's as it was, also when it raises.

with untouched(generator, discriminator, optimizer, batch):
    game.on(batch).jacobian()
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


@contextmanager
def untouched(*objects: Any) -> Iterator[None]:
    """Nothing of the objects, of the random streams or of torch's global switches changes inside.

    Args:
        objects: modules, optimizers, tensors, generators, or lists and dicts of them.

    Raises:
        AssertionError: names what changed; also when the body raised something else.
    """
    before, streams, switches = _picture(objects), _streams(), _switches()
    try:
        yield
    finally:
        _compare(before, _picture(objects), "object")
        _compare(streams, _streams(), "random stream")
        _compare(switches, _switches(), "global switch")


def _streams() -> dict[str, Any]:
    kind, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002
    found: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "python": random.getstate(),
        "numpy": (kind, keys.tolist(), position, has_gauss, cached),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        found["cuda"] = tuple(torch.cuda.get_rng_state_all())
    return found


def _switches() -> dict[str, Any]:
    return {
        "default dtype": torch.get_default_dtype(),
        "grad mode": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "cudnn": torch.backends.cudnn.enabled,
        "flash attention": torch.backends.cuda.flash_sdp_enabled(),
        "efficient attention": torch.backends.cuda.mem_efficient_sdp_enabled(),
        "math attention": torch.backends.cuda.math_sdp_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
    }


def _picture(thing: Any, path: str = "") -> dict[str, Any]:
    """Everything worth comparing, by path: ``(identity, version, value)`` for tensors."""
    if isinstance(thing, Tensor):
        return {
            f"{path} identity": id(thing),
            f"{path} version": thing._version,
            f"{path} memory": thing.data_ptr(),
            f"{path} value": thing.detach().clone(),
            f"{path} requires_grad": thing.requires_grad,
            **(
                _picture(thing.grad, f"{path}.grad")
                if thing.is_leaf and thing.grad is not None
                else {f"{path}.grad": None}
            ),
        }
    if isinstance(thing, nn.Module):
        found = {f"{path} mode of {name}": m.training for name, m in thing.named_modules()}
        for name, m in thing.named_modules():
            for key, value in vars(m).items():
                found.update(_picture(value, f"{path} {name}.{key}"))
            found[f"{path} {name} attributes"] = tuple(vars(m))
        return found
    if isinstance(thing, torch.Generator):
        return {f"{path} state": thing.get_state()}
    if isinstance(thing, torch.optim.Optimizer):
        return {f"{path} state": copy.deepcopy(thing.state_dict()["state"])} | _picture(
            thing.param_groups, f"{path} groups"
        )
    if isinstance(thing, dict):
        found = {f"{path} keys": tuple(map(str, thing))}
        for key, value in thing.items():
            found.update(_picture(value, f"{path}[{key!r}]"))
        return found
    if isinstance(thing, (list, tuple)):
        found = {f"{path} length": len(thing)}
        for i, value in enumerate(thing):
            found.update(_picture(value, f"{path}[{i}]"))
        return found
    if isinstance(thing, (int, float, str, bool, type(None))):
        return {path: thing}
    return {f"{path} identity": id(thing)}


def _compare(before: Any, after: Any, what: str) -> None:
    if isinstance(before, dict):
        assert before.keys() == after.keys(), f"{what}: {sorted(map(str, before.keys() ^ after.keys()))} came or went"
        for key, value in before.items():
            _compare(value, after[key], f"{what} {key}")
    elif isinstance(before, Tensor):
        assert isinstance(after, Tensor)
        assert torch.equal(before.nan_to_num(), after.nan_to_num()), f"{what} changed"
    elif isinstance(before, tuple) and any(isinstance(v, Tensor) for v in before):
        assert len(before) == len(after), f"{what} changed its length"
        for a, b in zip(before, after, strict=True):
            _compare(a, b, what)
    else:
        assert before == after, f"{what} changed from {before} to {after}"
