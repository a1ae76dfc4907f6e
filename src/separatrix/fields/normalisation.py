"""Normalisations written out, for where a third derivative is taken.

torch's fused layer, batch and instance normalisation have right first and second derivatives. Their double backward takes
the saved mean and variance as constants, so third derivatives are wrong without a word. The Jacobian of a field needs one
where a loss holds a gradient (R1, WGAN-GP) or where a transform holds products (consensus). There, and only there,
since they keep more memory, the formulas themselves are differentiated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_third: ContextVar[bool] = ContextVar("third derivatives are wanted", default=False)


@contextmanager
def third_derivatives(wanted: bool) -> Iterator[None]:
    """While this is open, what is evaluated will be differentiated three times, if ``wanted``."""
    token = _third.set(_third.get() or wanted)
    try:
        yield
    finally:
        _third.reset(token)


def third_derivatives_wanted() -> bool:
    """Whether one of :func:`third_derivatives` is open."""
    return _third.get()


class WrittenOut(TorchFunctionMode):
    """Replaces the fused normalisations of ``torch.nn.functional`` by their formulas.

    What a checkpoint recomputes during a backward pass it does not see, which torch notices and raises.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        formula: Callable[..., Any] = FORMULAS.get(func, func)
        return formula(*args, **(kwargs or {}))


def _layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    found = _standardised(input, list(range(-len(normalized_shape), 0)), eps)
    return _affine(found, weight, bias, list(normalized_shape))


def _batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if not training:  # an affine map
        return functional.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    with torch.no_grad():  # for its checks, and for what it does to the running statistics
        functional.batch_norm(input.detach(), running_mean, running_var, None, None, training, momentum, eps)
    found = _standardised(input, [0, *range(2, input.ndim)], eps)
    return _affine(found, weight, bias, [-1, *(1 for _ in range(2, input.ndim))])


def _instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if not use_input_stats:
        return functional.instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)
    with torch.no_grad():
        functional.instance_norm(input.detach(), running_mean, running_var, None, None, True, momentum, eps)
    found = _standardised(input, list(range(2, input.ndim)), eps)
    return _affine(found, weight, bias, [-1, *(1 for _ in range(2, input.ndim))])


def _standardised(input: Tensor, dims: list[int], eps: float) -> Tensor:
    """Mean 0 and variance 1 over some dimensions; computed in float32 at least, as the fused ones are."""
    x = input.float() if input.dtype in (torch.float16, torch.bfloat16) else input
    centred = x - x.mean(dims, keepdim=True)
    return (centred * (centred.square().mean(dims, keepdim=True) + eps).rsqrt()).to(input.dtype)


def _affine(found: Tensor, weight: Tensor | None, bias: Tensor | None, shape: list[int]) -> Tensor:
    found = found if weight is None else found * weight.view(shape)
    return found if bias is None else found + bias.view(shape)


FORMULAS: dict[Callable[..., Any], Callable[..., Tensor]] = {
    functional.layer_norm: _layer_norm,
    functional.batch_norm: _batch_norm,
    functional.instance_norm: _instance_norm,
}
