"""Preference losses as fields over one pair of answers, in two charts.

*Log chart*: ``u = log pi(chosen) / pi_ref(chosen)`` and ``v = log pi(rejected) / pi_ref(rejected)``. *Ratio chart*:
``x1 = exp u`` and ``x2 = exp v``. Losses without a reference (SimPO, ORPO) use mean log-probabilities a token for ``u``
and ``v``, and the ratio chart is then that of probabilities. Field sign: ``-grad L``, where gradient descent in the chart's
own coordinates would go.

A loss of the margin ``u - v`` alone pulls both log-ratios equally, so that ``|dL/dv| / |dL/du| = 1``, but in the ratio chart
``|dL/dx2| / |dL/dx1| = x1 / x2``: once ``x1 > x2`` the rejected ratio is pushed down harder than the chosen one up
[feng2024]. That asymmetry belongs to the chart, that is to the metric of descent, not to the loss. A model descends in
neither chart but in its parameters: see :func:`separatrix.probes.preference_gradients`. All these fields are gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from separatrix.errors import InputError
from separatrix.fields.field import FunctionField

Chart = Literal["log", "ratio"]


@dataclass(frozen=True)
class PreferenceLoss:
    """A loss of one pair, ``function(u, v)``, elementwise.

    Attributes:
        name: short.
        function: of log-ratios (or mean log-probabilities) of chosen and rejected.
        reference: whether ``u`` and ``v`` are relative to a reference model.
        margin_only: it depends on ``u - v`` alone.
        source: reference and formula.
    """

    name: str
    function: Callable[[Tensor, Tensor], Tensor]
    reference: bool
    margin_only: bool
    source: str

    def __call__(self, u: Tensor, v: Tensor) -> Tensor:
        return self.function(u, v)


def dpo(beta: float = 0.1) -> PreferenceLoss:
    """``-log sigmoid(beta (u - v))`` [rafailov2023, eq. 7]."""
    _positive(beta=beta)
    return PreferenceLoss("DPO", lambda u, v: -logsigmoid(beta * (u - v)), True, True, "[rafailov2023, eq. 7]")


def cdpo(beta: float = 0.1, noise: float = 0.1) -> PreferenceLoss:
    """DPO with labels wrong with probability ``noise``: least at the margin ``log(1/noise - 1) / beta`` [mitchell2023]."""
    _positive(beta=beta)
    if not 0 <= noise < 0.5:
        raise InputError(f"noise is the share of wrong labels, at least 0 and below 0.5, got {noise}.")

    def function(u: Tensor, v: Tensor) -> Tensor:
        margin = beta * (u - v)
        return -(1 - noise) * logsigmoid(margin) - noise * logsigmoid(-margin)

    return PreferenceLoss("cDPO", function, True, True, "[mitchell2023]")


def ipo(beta: float = 0.1) -> PreferenceLoss:
    """``(u - v - 1 / (2 beta))^2``: least at the margin ``1 / (2 beta)`` [azar2024, eq. 17]."""
    _positive(beta=beta)
    return PreferenceLoss("IPO", lambda u, v: (u - v - 1 / (2 * beta)).square(), True, True, "[azar2024, eq. 17]")


def slic(beta: float = 0.1) -> PreferenceLoss:
    """``max(0, 1 - beta (u - v))``: a hinge, no pull beyond the margin ``1 / beta`` [zhao2023].

    The calibration term alone, on log-ratios, as in common training libraries; the paper adds a term that keeps the model
    near its start.
    """
    _positive(beta=beta)
    return PreferenceLoss("SLiC", lambda u, v: torch.relu(1 - beta * (u - v)), True, True, "[zhao2023]")


def simpo(beta: float = 2.0, gamma: float = 1.0) -> PreferenceLoss:
    """``-log sigmoid(beta (u - v) - gamma)`` with mean log-probabilities a token and no reference [meng2024, eq. 6]."""
    _positive(beta=beta)
    return PreferenceLoss("SimPO", lambda u, v: -logsigmoid(beta * (u - v) - gamma), False, True, "[meng2024, eq. 6]")


def orpo(weight: float = 0.1) -> PreferenceLoss:
    """``-u - weight log sigmoid(log odds(u) - log odds(v))`` with mean log-probabilities below 0 [hong2024, eqs. 6 and 7].

    ``log odds(u) = u - log(1 - exp u)``. The first term, the likelihood of the chosen answer, is no function of the margin.
    """
    _positive(weight=weight)

    def log_odds(u: Tensor) -> Tensor:
        return u - torch.log(-torch.expm1(u))

    return PreferenceLoss(
        "ORPO",
        lambda u, v: -u - weight * logsigmoid(log_odds(u) - log_odds(v)),
        False,
        False,
        "[hong2024, eqs. 6 and 7]",
    )


def kto(beta: float = 0.1, chosen: float = 1.0, rejected: float = 1.0, divergence: float = 0.0) -> PreferenceLoss:
    """``chosen (1 - sigmoid(beta (u - z))) + rejected (1 - sigmoid(beta (z - v)))`` [ethayarajh2024].

    ``z = divergence`` stands for the reference point, the divergence from the reference model, through which no gradient
    flows. Answers count one by one, so each is pulled by its own place on the sigmoid.
    """
    _positive(beta=beta, chosen=chosen, rejected=rejected)

    def function(u: Tensor, v: Tensor) -> Tensor:
        return chosen * torch.sigmoid(beta * (divergence - u)) + rejected * torch.sigmoid(beta * (v - divergence))

    return PreferenceLoss("KTO", function, True, False, "[ethayarajh2024]")


PREFERENCE_LOSSES: Mapping[str, Callable[..., PreferenceLoss]] = {
    "dpo": dpo,
    "cdpo": cdpo,
    "ipo": ipo,
    "slic": slic,
    "simpo": simpo,
    "orpo": orpo,
    "kto": kto,
}


def preference_field(
    loss: PreferenceLoss, chart: Chart = "log", point: tuple[float, float] | Tensor | None = None
) -> FunctionField:
    """``-grad L`` in one of the charts; the coordinates are called ``chosen`` and ``rejected``.

    Args:
        loss: one of the losses above.
        chart: ``log`` for ``(u, v)``, ``ratio`` for ``(x1, x2)``.
        point: where the field stands, in its chart; equal to the reference where ``None``, and both probabilities one half
            where there is no reference.

    Example:
        >>> preference_field(dpo(beta=0.1), "ratio", (1.5, 0.5))().mul(1e6).round().tolist()
        [31504.0, -94512.0]
    """
    if chart not in ("log", "ratio"):
        raise InputError(f"chart must be 'log' or 'ratio', got {chart!r}.")
    if point is None:
        start = 1.0 if loss.reference else 0.5
        here = torch.full((2,), start, dtype=torch.float64)
        here = here.log() if chart == "log" else here
    else:
        here = torch.as_tensor(point, dtype=torch.float64)

    def value(x: Tensor) -> Tensor:
        logs = x if chart == "log" else x.log()
        return loss(logs[0], logs[1])

    return FunctionField(
        lambda x: -torch.func.grad(value)(x),
        here,
        players={"chosen": 1, "rejected": 1},
        name=f"{loss.name} ({chart} chart)",
    )


@dataclass(frozen=True)
class Pull:
    """The partial derivatives of a loss at some points, in both charts.

    Attributes:
        u, v: the points, log chart, ``(m,)``.
        log: ``(dL/du, dL/dv)``, ``(m, 2)``.
        ratio: ``(dL/dx1, dL/dx2)``, ``(m, 2)``.
    """

    u: Tensor
    v: Tensor
    log: Tensor
    ratio: Tensor

    @property
    def log_asymmetry(self) -> Tensor:
        """``|dL/dv| / |dL/du|``: 1 for every loss of the margin; NaN where neither is pulled."""
        return self.log[:, 1].abs() / self.log[:, 0].abs()

    @property
    def ratio_asymmetry(self) -> Tensor:
        """``|dL/dx2| / |dL/dx1|``: ``x1 / x2`` for every loss of the margin."""
        return self.ratio[:, 1].abs() / self.ratio[:, 0].abs()


def pull(loss: PreferenceLoss, u: Tensor, v: Tensor) -> Pull:
    """Both partial derivatives at log-ratios ``u`` and ``v``, ``(m,)`` each, in both charts.

    Raises:
        InputError: points of two shapes, or where the loss has no slopes.

    Example:
        >>> at = pull(dpo(), torch.tensor([0.0]), torch.tensor([-1.0]))
        >>> at.log_asymmetry.tolist(), at.ratio_asymmetry.round(decimals=4).tolist()
        ([1.0], [2.7183])
    """
    if u.shape != v.shape or u.ndim != 1:
        raise InputError(f"u and v have one shape (m,), got {tuple(u.shape)} and {tuple(v.shape)}.")
    a, b = (t.detach().double() for t in (u, v))
    slopes = torch.func.vmap(torch.func.grad(lambda p, q: loss(p, q), argnums=(0, 1)))(a, b)
    log = torch.stack(list(slopes), dim=1)
    broken = ~torch.isfinite(log).all(1)
    if bool(broken.any()):
        i = int(broken.double().argmax())
        raise InputError(
            f"{loss.name} has no slopes at u = {float(a[i]):g}, v = {float(b[i]):g}; u and v must be finite"
            + ("." if loss.reference else ", mean log-probabilities, below 0.")
        )
    return Pull(a, b, log, log * torch.stack([-a, -b], dim=1).exp())


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < float("inf"):
            raise InputError(f"{name} must be positive and finite, got {value}.")
