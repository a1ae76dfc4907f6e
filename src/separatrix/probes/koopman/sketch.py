"""Random projections of a run's state to a few numbers a group, cheap enough for every step.

Each coordinate is added, with a random sign, to one of ``width`` sums [charikar2002]: distances are kept on average, at the cost of
one pass over the tensors.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class Sketch:
    """A projection of named tensors, group by group.

    Args:
        groups: for each group the names and tensors that are projected together; only their shapes are kept.
        width: numbers a group; a group of no more coordinates is kept as it is.
        seed: of signs and sums.

    Attributes:
        columns: the group of each number.
    """

    def __init__(self, groups: Mapping[str, Mapping[str, Tensor]], *, width: int = 16, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self._plans: dict[str, list[tuple[str, Tensor, Tensor]]] = {}
        self._widths: dict[str, int] = {}
        self.columns: list[str] = []
        for group, tensors in groups.items():
            size = sum(t.numel() for t in tensors.values())
            self._widths[group] = min(width, size)
            self._plans[group], offset = [], 0
            for name, tensor in tensors.items():
                count = tensor.numel()
                if size <= width:
                    place, sign = torch.arange(offset, offset + count), torch.ones(count)
                else:
                    place = torch.randint(width, (count,), generator=generator)
                    sign = 2.0 * torch.randint(2, (count,), generator=generator) - 1
                self._plans[group].append((name, place.to(tensor.device), sign.to(tensor.device)))
                offset += count
            self.columns += [group] * self._widths[group]

    def __call__(self, tensors: Mapping[str, Mapping[str, Tensor]]) -> Tensor:
        """The numbers of all groups, ``(columns,)`` in float64 on the host."""
        found = []
        for group, plan in self._plans.items():
            sums = torch.zeros(self._widths[group], dtype=torch.float64)
            for name, place, sign in plan:
                flat = tensors[group][name].detach().reshape(-1)
                part = torch.zeros(self._widths[group], dtype=torch.float64, device=flat.device)
                sums += part.index_add_(0, place, flat.double() * sign).cpu()
            found.append(sums)
        return torch.cat(found)
