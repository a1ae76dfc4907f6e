"""Update shares: which term of a loss supplies which part of the update that is really made, and which terms pull apart.

With ``g_k`` the gradient of term ``k``, ``g`` their sum and ``P`` what the optimizer multiplies a gradient by (Adam: ``lr /
(sqrt(v) + eps)``), term ``k`` supplies the share ``<g_k, P g> / <g, P g>``; the shares sum to 1, and one is negative where the
term is outvoted. The cosines ``<g_k, P g_l>`` of the pairs are in the same metric. Lengths of raw gradients, which people
usually look at, mislead: Adam divides by the scale of their sum.

What an actual step of the run does to each term, to first order, is ``<g_k, dx>``; it needs no metric and holds for every
optimizer, momentum and clipping included. Beside it stands the relative length of the step in each tensor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from separatrix.dynamics import Run
from separatrix.errors import InputError
from separatrix.fields.batches import copied
from separatrix.fields.surroundings import frozen_randomness
from separatrix.probes.loss_reading import paths_by_player
from separatrix.probes.numbers import number
from separatrix.probes.optimizer_metric import step_scales

Gradients = dict[str, list[Tensor]]


@dataclass(frozen=True)
class TermShare:
    """One term of one player's loss.

    Attributes:
        term: its name.
        loss: its value, mean over the batches.
        share, share_stderr: of the preconditioned update, and its standard error over batches (NaN for one).
        length: ``|P g_k|`` against the largest of the terms.
        change: what the run's actual step changes in it, to first order; negative: it falls.
    """

    term: str
    loss: float
    share: float
    share_stderr: float
    length: float
    change: float


@dataclass(frozen=True)
class UpdateShares:
    """The terms of one player's loss in its update.

    Attributes:
        player: whose.
        terms: by name, in the order of the losses.
        cosines: ``(terms, terms)`` between the terms' gradients in the optimizer's metric.
        cosines_stderr: their standard errors over batches (NaN for one).
        cancelled: ``1 - |sum_k g_k| / sum_k |g_k|`` in that metric: 0 where all pull together, 1 where nothing is left.
        layers: relative length of the actual step, ``|dx| / |x|``, by path of the tensor in the state.
        metric: ``optimizer``, or ``none`` where its state does not tell what it multiplies by; then plain gradients are compared.
    """

    player: str
    terms: dict[str, TermShare]
    cosines: Tensor
    cosines_stderr: Tensor
    cancelled: float
    layers: dict[str, float]
    metric: str

    def cosine(self, first: str, second: str) -> float:
        """Between two terms."""
        names = list(self.terms)
        return float(self.cosines[names.index(first), names.index(second)])

    @property
    def sentence(self) -> str:
        """The same in words."""
        told = ", ".join(f"{t.term!r} {t.share:.0%}" for t in self.terms.values())
        worst = ""
        if len(self.terms) > 1:
            upper = self.cosines + 2 * torch.eye(len(self.terms), dtype=self.cosines.dtype)
            i, j = divmod(int(upper.argmin()), len(self.terms))
            names = list(self.terms)
            worst = f"; {names[i]!r} and {names[j]!r} have the cosine {number(float(upper[i, j]), 2)}"
        where = "" if self.metric == "optimizer" else " (plain gradients: the optimizer's metric is not known)"
        return f"{self.player!r} is moved by {told}{worst}{where}."


def update_shares(
    run: Run,
    *,
    players: Sequence[str] | None = None,
    moved: Mapping[str, Sequence[Tensor]] | None = None,
    seed: int = 0,
) -> dict[str, UpdateShares]:
    """Each player's terms in its update where the run stands; it is put back there.

    Args:
        run: with the roles ``losses`` (returning terms), ``data`` and optimizers.
        players: whose; all that the losses name where ``None``.
        moved: what an actual step moved each player's tensors by; a step of the run is made where ``None``.
        seed: of the draws that the losses see, another one for each batch.

    Raises:
        InputError: a role is missing, or a player whose losses or tensors are unknown.

    Cost: one step, and one gradient a term and batch.
    """
    run.roles.needs("update shares", "losses", "data")
    found = {}
    with run.kept() as start:
        where = paths_by_player(run, start, players)
        before = start.floats()
        if moved is None:
            run.step()
            after = run.snapshot().floats()
            run.restore(start)
        named = {id(live): path for path, live in start.live_tensors().items()}
        for player in where:
            tensors = list(run.roles.named_tensors(player).values())
            rows, losses = _gradients(run, player, tensors, seed)
            if not rows:
                if players is None:
                    continue
                raise InputError(f"the losses return nothing for player {player!r}.")
            paths = [named[id(t)] for t in tensors]
            if moved is None:
                steps = [after[path] - before[path] for path in paths]
            else:
                steps = list(moved.get(player, [torch.zeros_like(t) for t in tensors]))
            scales = step_scales(run.roles.optimizers.get(player), tensors)
            layers = {p: _ratio(float(d.norm()), float(before[p].norm())) for p, d in zip(paths, steps, strict=True)}
            found[player] = _shares(player, rows, losses, scales, steps, layers)
    return found


def _gradients(run: Run, player: str, tensors: list[Tensor], seed: int) -> tuple[list[Gradients], dict[str, float]]:
    """Gradients by term for each batch, and the mean losses."""
    rows: list[Gradients] = []
    losses: dict[str, float] = {}
    with run.kept() as start:
        for i, batch in enumerate(run.roles.data):
            run.restore(start)
            with frozen_randomness(seed + i), torch.enable_grad():
                terms = run.roles.value(copied(batch), [player]).get(player, {})
                row: Gradients = {}
                for term, value in terms.items():
                    row[term] = _gradient(value, tensors)
                    losses[term] = losses.get(term, 0.0) + float(value.detach()) / len(run.roles.data)
            if row:
                rows.append(row)
    return rows, losses


def _gradient(value: Tensor, tensors: list[Tensor]) -> list[Tensor]:
    if not value.requires_grad:
        return [torch.zeros_like(t) for t in tensors]
    found = torch.autograd.grad(value, tensors, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(t) if g is None else g for g, t in zip(found, tensors, strict=True)]


def _shares(
    player: str,
    rows: list[Gradients],
    losses: dict[str, float],
    scales: list[Tensor] | None,
    moved: list[Tensor],
    layers: dict[str, float],
) -> UpdateShares:
    names = list(rows[0])
    batches = torch.stack([_products(row, names, scales) for row in rows])
    gram = _products(_averaged(rows), names, scales)
    lengths = gram.diagonal().clamp_min(0).sqrt()
    largest = float(lengths.max())
    shares = torch.stack([_normed(products) for products in (gram, *batches)])
    cosines = torch.stack([_cosines(products) for products in (gram, *batches)])
    total = float(gram.sum().clamp_min(0).sqrt())
    mean = _averaged(rows)
    terms = {
        name: TermShare(
            name,
            losses[name],
            float(shares[0, i]),
            _error(shares[1:, i]),
            _ratio(float(lengths[i]), largest),
            sum(float((g.double() * d.double()).sum()) for g, d in zip(mean[name], moved, strict=True)),
        )
        for i, name in enumerate(names)
    }
    error = cosines[1:].std(dim=0) / len(rows) ** 0.5 if len(rows) > 1 else torch.full_like(cosines[0], float("nan"))
    cancelled = 1 - _ratio(total, float(lengths.sum()))
    metric = "none" if scales is None else "optimizer"
    return UpdateShares(player, terms, cosines[0], error, cancelled, layers, metric)


def _averaged(rows: list[Gradients]) -> Gradients:
    return {
        name: [torch.stack(list(parts)).mean(dim=0) for parts in zip(*(row[name] for row in rows), strict=True)]
        for name in rows[0]
    }


def _products(row: Gradients, names: list[str], scales: list[Tensor] | None) -> Tensor:
    """``<g_k, P g_l>``."""
    gram = torch.zeros(len(names), len(names), dtype=torch.float64)
    for i, first in enumerate(names):
        for j, second in enumerate(names[: i + 1]):
            parts: list[Any] = [
                (a.double() * b.double() * (1.0 if scales is None else scales[k].double())).sum()
                for k, (a, b) in enumerate(zip(row[first], row[second], strict=True))
            ]
            gram[i, j] = gram[j, i] = torch.stack(parts).sum()
    return gram


def _normed(gram: Tensor) -> Tensor:
    """Shares; none of anything where the terms cancel to nothing."""
    total = gram.sum()
    return gram.sum(dim=1) / total if float(total) > 0 else torch.zeros(len(gram), dtype=gram.dtype)


def _cosines(gram: Tensor) -> Tensor:
    lengths = gram.diagonal().clamp_min(0).sqrt()
    outer = lengths[:, None] * lengths[None, :]
    return torch.where(outer > 0, gram / outer.clamp_min(torch.finfo(gram.dtype).tiny), torch.zeros_like(gram)).clamp(
        -1, 1
    )


def _error(values: Tensor) -> float:
    return float(values.std() / len(values) ** 0.5) if len(values) > 1 else float("nan")


def _ratio(a: float, b: float) -> float:
    return a / b if b > 0 else 0.0
