"""Units of a critic that no longer do anything: dead or saturated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

# A unit is saturated where its activation's derivative lies below the first on at least the second of all samples.
SLOPE, SHARE = 0.01, 0.95


@dataclass(frozen=True)
class LayerUnits:
    """The units of one layer.

    Attributes:
        count: how many: channels of a convolution, features of a linear layer.
        dead: of them, those on which no sample's score depends at all.
        saturated: of the living, those whose activation's derivative is below 0.01 on 95% of the samples; seen for
            activations that are modules.
    """

    count: int
    dead: int
    saturated: int

    @property
    def lost(self) -> float:
        """The share that is dead or saturated."""
        return (self.dead + self.saturated) / self.count if self.count else 0.0


def live_units(
    module: nn.Module, score: Callable[[Tensor], Tensor], samples: Sequence[Tensor]
) -> dict[str, LayerUnits]:
    """Dead and saturated units of each layer with weights, by its name.

    Args:
        module: the critic.
        score: scores samples by calling it.
        samples: to judge by.

    Cost: one forward and backward pass of the samples.
    """
    layers = {
        name: m
        for name, m in module.named_modules()
        if isinstance(getattr(m, "weight", None), Tensor) and m.weight.ndim > 1
    }
    activations = [m for m in module.modules() if not list(m.children()) and not list(m.parameters())]
    reach: dict[str, Tensor] = {}
    slopes: dict[str, list[Tensor]] = {}
    for x in samples:
        made: dict[str, Tensor] = {}
        passed: list[tuple[Tensor, Tensor]] = []
        hooks = [m.register_forward_hook(_note(name, made)) for name, m in layers.items()]
        hooks += [m.register_forward_hook(_note_pair(passed)) for m in activations]
        try:
            with torch.enable_grad():
                total = score(x.detach().clone().requires_grad_()).sum()
        finally:
            for hook in hooks:
                hook.remove()
        names = [name for name, out in made.items() if out.requires_grad]
        gradients = torch.autograd.grad(total, [made[n] for n in names], retain_graph=True, allow_unused=True)
        for name, gradient in zip(names, gradients, strict=True):
            found = torch.zeros(()) if gradient is None else _by_unit(gradient, layers[name]).abs().amax(dim=1)
            reach[name] = torch.maximum(reach.get(name, torch.zeros_like(found)), found)
        for before, after in passed:
            owner = next((n for n, out in made.items() if out is before), None)
            if owner is not None and before.requires_grad and after.shape == before.shape:
                (slope,) = torch.autograd.grad(after.sum(), before, retain_graph=True)
                slopes.setdefault(owner, []).append(_by_unit(slope, layers[owner]).abs())
    layers_found: dict[str, LayerUnits] = {}
    for name, strongest in reach.items():
        dead = strongest.reshape(-1) == 0
        stuck = torch.zeros_like(dead)
        if name in slopes:
            stuck = (torch.cat(slopes[name], dim=1) < SLOPE).double().mean(dim=1) >= SHARE
        layers_found[name] = LayerUnits(len(dead), int(dead.sum()), int((stuck & ~dead).sum()))
    return layers_found


def _note(name: str, made: dict[str, Tensor]) -> Callable[..., None]:
    def hook(module: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            made[name] = output

    return hook


def _note_pair(passed: list[tuple[Tensor, Tensor]]) -> Callable[..., None]:
    def hook(module: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        if len(inputs) == 1 and isinstance(inputs[0], Tensor) and isinstance(output, Tensor):
            passed.append((inputs[0], output))

    return hook


def _by_unit(values: Tensor, layer: nn.Module) -> Tensor:
    """``(units, everything else)``: a linear layer's units are its last axis, others' the second."""
    axis = values.ndim - 1 if isinstance(layer, nn.Linear) or values.ndim < 3 else 1
    return values.detach().movedim(axis, 0).flatten(1)
