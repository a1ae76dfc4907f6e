"""What a training run leaves behind: losses and norms of every step, and a path of bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from separatrix.dynamics.live_step import Step


@dataclass
class PathLog:
    """Points along a path, thinned out as it grows: never more than ``2 limit`` of them.

    Attributes:
        limit: how many points are kept at least, once there are so many.
        every: steps between two points that are kept now; doubles when the log is full.
        steps, points: what is kept.
    """

    limit: int
    every: int = 1
    steps: list[int] = field(default_factory=list)
    points: list[Tensor] = field(default_factory=list)

    def wants(self, step: int) -> bool:
        return self.limit > 0 and step % self.every == 0

    def add(self, step: int, point: Tensor) -> None:
        self.steps.append(step)
        self.points.append(point.detach().cpu().clone())
        if len(self.points) > 2 * self.limit:
            self.every *= 2
            kept = [i for i, s in enumerate(self.steps) if s % self.every == 0 or i == len(self.steps) - 1]
            self.steps, self.points = [self.steps[i] for i in kept], [self.points[i] for i in kept]

    def path(self, n: int) -> Tensor:
        return torch.stack(self.points) if self.points else torch.zeros(0, n)


@dataclass
class Log:
    """The numbers of every step."""

    losses: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    norms: list[float] = field(default_factory=list)
    gradients: float = 0.0

    def add(self, step: Step) -> None:
        for player, terms in step.losses.items():
            own = self.losses.setdefault(player, {})
            for term, value in terms.items():
                # A term that appears later (a lazy penalty) is NaN before and in between.
                series = own.setdefault(term, [])
                series.extend([float("nan")] * (len(self.norms) - len(series)))
                series.append(value)
        self.norms.append(step.field_norm)
        self.gradients += step.gradients

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        count = len(self.norms)
        return {
            player: {
                term: torch.tensor(series + [float("nan")] * (count - len(series)), dtype=torch.float64)
                for term, series in terms.items()
            }
            for player, terms in self.losses.items()
        }
