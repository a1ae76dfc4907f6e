"""Weight norm and spectral norm with right second derivatives, and a copy of a user's module that has them.

torch's weight norm has a fused double backward that is wrong on CPU. Its spectral norm hides its singular vectors from
autograd, so that gradients are right once the power iteration has settled, and their derivatives are not.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.nn.utils.spectral_norm import SpectralNorm as OldSpectralNorm
from torch.nn.utils.weight_norm import WeightNorm as OldWeightNorm

from separatrix.errors import InputError

# Closer than this to the largest one, relative, a singular value is tied with it and the norm has a kink.
TIED = 1e-6


class WeightNorm(nn.Module):
    """The parametrization ``w = g v / |v|``, written out [salimans2016, eq. 2].

    ``torch.nn.utils.parametrize.register_parametrization(layer, "weight", WeightNorm())`` makes the same parameters and
    the same state as torch's own ``parametrizations.weight_norm``.

    Args:
        dim: the dimension that has a norm for each index; one norm for the whole tensor where ``None`` or -1.
    """

    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, g: Tensor, v: Tensor) -> Tensor:
        return v * (g / self._norm(v))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return self._norm(weight), weight

    def _norm(self, v: Tensor) -> Tensor:
        if self.dim == -1:
            whole: Tensor = torch.linalg.vector_norm(v)
            return whole
        others = [d for d in range(v.ndim) if d != self.dim % v.ndim]
        norms: Tensor = torch.linalg.vector_norm(v, dim=others, keepdim=True) if others else v.abs()
        return norms


class SpectralNorm(nn.Module):
    """The parametrization ``w / sigma(w)`` with the largest singular value itself, not an estimate [miyato2018, eq. 8].

    There is no state and no difference between train and eval mode. Up to the error of their power iteration, torch's
    spectral norms have these values and gradients.

    Args:
        dim: the dimension of the outputs; the others are flattened.

    Cost: a singular value decomposition a forward pass.
    """

    def __init__(self, dim: int = 0) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, weight: Tensor) -> Tensor:
        return weight / largest_singular_value(
            weight.movedim(self.dim, 0).flatten(1) if weight.ndim > 1 else weight[None]
        )


def largest_singular_value(matrix: Tensor) -> Tensor:
    """The spectral norm of a matrix, right up to third derivatives.

    ``sigma = |W' u| / |u|`` with ``u = u0 + P W W' u0``, where ``u0`` is the first left singular vector and ``P`` is the sum of
    ``u_i u_i' / (sigma_1^2 - sigma_i^2)`` over the others, both held fixed: one Newton step on the eigenvector, right to
    first order in ``W``, in a quotient whose error is of the square of ``u``'s. So errors are of fourth order. Unlike the
    derivatives of a singular value decomposition it is finite where the smaller singular values coincide.

    Args:
        matrix: ``(p, q)``. Where its largest singular value is multiple, the norm has a kink; one of its slopes is taken.
    """
    if matrix.shape[0] > matrix.shape[1]:
        matrix = matrix.T
    with torch.no_grad():
        U, S, _ = torch.linalg.svd(matrix.detach(), full_matrices=False)
        gaps = S[0].square() - S[1:].square()
        weights = torch.where(gaps > TIED * S[0].square(), 1 / gaps, 0)
        first, others = U[:, 0], U[:, 1:]
    moved: Tensor = others.T @ (matrix @ (matrix.T @ first))
    u = first + others @ (weights * moved)
    sigma: Tensor = torch.linalg.vector_norm(matrix.T @ u) / torch.linalg.vector_norm(u)
    return sigma


def with_exact_norms(module: nn.Module) -> nn.Module:
    """A copy of a module whose weight norms and spectral norms, old style and new, can be differentiated twice.

    The copy shares every parameter and buffer with the module, so it stands where the module stands and follows its
    training; the module itself is left as it is. Give the copy to the game that is measured, and reach it in the losses
    through ``models``. Weight norm keeps its values. Spectral norm takes its exact value in place of the estimate: to
    measure with the vectors held where training left them, see :func:`~separatrix.fields.freeze_spectral_norm`.

    Args:
        module: the module; it comes back as it is where it has no such norm.

    Raises:
        InputError: the module cannot be copied.

    Example:
        >>> critic = torch.nn.utils.parametrizations.spectral_norm(nn.Linear(3, 2))
        >>> exact = with_exact_norms(critic)
        >>> exact.parametrizations.weight.original is critic.parametrizations.weight.original
        True
        >>> round(torch.linalg.matrix_norm(exact.weight, 2).item(), 5)
        1.0
    """
    if not any(_replaceable(part) for part in module.modules()):
        return module
    tensors = [t for part in module.modules() for t in _tensors(part)]
    try:
        copy: nn.Module = deepcopy(module, {id(t): t for t in tensors})
    except (TypeError, RuntimeError, AttributeError) as error:
        raise InputError(
            f"{type(module).__name__} cannot be copied ({error}); register sx.fields.WeightNorm or sx.fields.SpectralNorm on "
            "its layers instead, with torch.nn.utils.parametrize.register_parametrization."
        ) from error
    for part in copy.modules():
        for list_, place, exact in _replaceable(part):
            list_[place] = exact
    return copy


def copied(module: nn.Module) -> nn.Module:
    """A deep copy; weights that old-style norms wrote to a module, which have a graph, are copied without it.

    Raises:
        InputError: the module cannot be copied.
    """
    written = [t for part in module.modules() for t in vars(part).values() if isinstance(t, Tensor) and not t.is_leaf]
    try:
        copy: nn.Module = deepcopy(module, {id(t): t.detach().clone() for t in written})
    except (TypeError, RuntimeError, AttributeError) as error:
        raise InputError(f"{type(module).__name__} cannot be copied ({error}).") from error
    return copy


def refresh_norms(layer: nn.Module) -> None:
    """Set the weight of a layer with an old-style norm to what its next forward pass will take: until then it is that of the last one."""
    for hook in list(layer._forward_pre_hooks.values()):
        if isinstance(hook, (OldWeightNorm, OldSpectralNorm)):
            hook(layer, None)


class _Hook:
    """What old-style norms are: a function of a module that sets its weight before each forward pass."""

    def __init__(self, name: str, parametrization: nn.Module, originals: tuple[str, ...]) -> None:
        self.name, self.parametrization, self.originals = name, parametrization, originals

    def __call__(self, module: nn.Module, inputs: Any) -> None:
        originals = [getattr(module, self.name + ending) for ending in self.originals]
        setattr(module, self.name, self.parametrization(*originals))


def _replaceable(part: nn.Module) -> list[tuple[Any, Any, Any]]:
    """Where a module holds a norm of torch's, and what is to stand there: ``(container, place, exact)``."""
    found: list[tuple[Any, Any, Any]] = []
    if isinstance(part, nn.ModuleList):  # the list of one tensor's parametrizations
        norms: list[Any] = list(part)
        found = [(part, i, _EXACT[type(norm)](norm.dim)) for i, norm in enumerate(norms) if type(norm) in _EXACT]
    for key, hook in part._forward_pre_hooks.items():
        if isinstance(hook, OldWeightNorm):
            found.append((part._forward_pre_hooks, key, _Hook(hook.name, WeightNorm(hook.dim), ("_g", "_v"))))
        elif isinstance(hook, OldSpectralNorm):
            found.append((part._forward_pre_hooks, key, _Hook(hook.name, SpectralNorm(hook.dim), ("_orig",))))
    return found


def _tensors(part: nn.Module) -> list[Tensor]:
    """A module's own tensors: parameters, buffers, and weights that hooks wrote to it."""
    own: list[dict[str, Any]] = [dict(part._parameters), dict(part._buffers), vars(part)]
    return [t for table in own for t in table.values() if isinstance(t, Tensor)]


# torch's classes are private; they are reached through what the public functions register, without drawing from the
# user's random stream.
with torch.random.fork_rng(devices=[]):
    TORCH_WEIGHT_NORM, TORCH_SPECTRAL_NORM = (
        type(register(nn.Linear(2, 2)).parametrizations["weight"][0])  # type: ignore[index]
        for register in (parametrizations.weight_norm, parametrizations.spectral_norm)
    )
_EXACT: dict[type, Callable[[int], nn.Module]] = {TORCH_WEIGHT_NORM: WeightNorm, TORCH_SPECTRAL_NORM: SpectralNorm}
