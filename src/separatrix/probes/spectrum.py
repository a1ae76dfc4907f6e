"""The leading eigenvalues of a field's Jacobian, in plain units or in the metric of the method that runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from separatrix.dynamics import Method
from separatrix.dynamics.schemes import States
from separatrix.errors import InputError
from separatrix.fields import Field
from separatrix.probes.leading import TARGETS, Leading, leading
from separatrix.probes.setting import settle
from separatrix.probes.verdict import verdict


@dataclass(frozen=True)
class Spectrum:
    """Leading eigenvalues with residuals, and the verdict about the operator.

    Attributes:
        modes: values, residuals, flags, left vectors.
        metric: what the values mean.
        verdict: ``unstable``, ``stable``, ``marginal``, ``no unstable mode found`` or ``undecided``.
        sentence: the verdict in words.
        findings: what the Jacobian's self-tests noticed.
    """

    modes: Leading
    metric: str
    verdict: str
    sentence: str
    findings: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join([f"eigenvalues of: {self.metric}", str(self.modes), self.sentence, *self.findings])


def spectrum(
    field: Field,
    *,
    method: Method | None = None,
    states: States | None = None,
    k: int = 6,
    targets: Sequence[str] = TARGETS,
    max_products: int = 300,
    seed: int = 0,
) -> Spectrum:
    """The ``k`` leading eigenvalues at each wanted end of the spectrum; field sign, so stable means ``Re < 0``.

    Args:
        field: ``game.on(batch)`` or any field.
        method, states: give ``h lambda`` in the metric of the running method; plain ``lambda`` without.
        k: eigenvalues for each target.
        targets: of ``largest``, ``rightmost``, ``leftmost``, ``rotation``.
        max_products: budget in products of the transpose.
        seed: of the start vectors.

    Raises:
        InputError: ``k`` is not positive, or an unknown target.

    Cost: building the Jacobian with its tests, then at most ``2 max_products`` gradients (n of them below n = 2000).

    Example:
        >>> import torch, separatrix as sx
        >>> game = sx.Game({"x": torch.zeros(1), "y": torch.zeros(1)}, lambda m, batch: (m["x"] * m["y"]).sum())
        >>> sx.spectrum(game.on()).verdict
        'marginal'
    """
    if k < 1:
        raise InputError(f"k must be at least 1, got {k}.")
    setting = settle(field, method, states=states)
    modes = leading(setting.operator, k=k, targets=tuple(targets), max_products=max_products, seed=seed)
    name, sentence = verdict(modes)
    return Spectrum(modes, setting.metric, name, sentence, tuple(setting.jacobian.findings))
