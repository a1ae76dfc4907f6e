"""The leading eigenvalues of a field's Jacobian, in plain units or in the metric of the method that runs, certified."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from separatrix.dynamics import Method
from separatrix.dynamics.schemes import States
from separatrix.errors import ComputationError, InputError
from separatrix.fields import Field
from separatrix.linalg import (
    Formed,
    LinearOperator,
    NumericalRange,
    Pseudospectrum,
    SpectralDensity,
    Stability,
    spectral_density,
)
from separatrix.linalg.eigen import DENSE_UP_TO
from separatrix.linalg.ordering import Target
from separatrix.probes.certificate import certify
from separatrix.probes.leading import TARGETS, Leading, leading
from separatrix.probes.record import save_by_suffix
from separatrix.probes.setting import settle
from separatrix.probes.spectrum_data import spectrum_data
from separatrix.probes.surroundings import pseudospectrum_of, range_of
from separatrix.probes.verdict import verdict

PROBES = 4


@dataclass(frozen=True, repr=False)
class Spectrum:
    """Leading eigenvalues with residuals, the verdict about the operator, and what it rests on.

    Sign: stable means ``Re < 0``. ``save`` writes ``.html``, ``.md``, ``.json``, ``.png`` or ``.svg`` by suffix.

    Attributes:
        title: name of the field.
        modes: values, residuals, flags, left vectors.
        metric: what the values mean.
        verdict: one of the six of :class:`separatrix.linalg.Stability`.
        sentence: the verdict in words.
        findings: what the Jacobian's self-tests noticed, and why something is missing.
        certificate: the numbers that the verdict rests on; ``None`` where it was not asked for or cannot be had: then
            the verdict is *undecided*.
        numerical_range: boundary points, and the lines that are known.
        pseudospectrum: where eigenvalues go under small perturbations; ``None`` unless asked for.
        density: of the eigenvalues of the symmetric part; ``None`` unless asked for.
        products: Jacobian products of both kinds.
    """

    title: str
    modes: Leading
    metric: str
    verdict: str
    sentence: str
    findings: tuple[str, ...]
    certificate: Stability | None = None
    numerical_range: NumericalRange | None = None
    pseudospectrum: Pseudospectrum | None = None
    density: SpectralDensity | None = None
    products: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain data that ``json.dumps`` takes; what was not measured is ``None``."""
        return spectrum_data(self)

    def save(self, path: str | Path) -> Path:
        """Write it by suffix, whole or not at all.

        Raises:
            InputError: an unknown suffix, or a folder that does not exist.
        """
        return save_by_suffix(self, path, WRITERS, "a spectrum")

    def __str__(self) -> str:
        lines = [f"eigenvalues of: {self.metric}", str(self.modes), self.sentence]
        for part in (self.pseudospectrum, self.density):
            lines += [] if part is None else [part.status]
        return "\n".join([*lines, *self.findings])

    def __repr__(self) -> str:
        return str(self)


# The report room adds pages and pictures when it is imported; a room never imports one below it.
WRITERS: dict[str, Callable[[Spectrum], str | bytes]] = {
    ".json": lambda found: json.dumps(found.to_dict(), indent=1, allow_nan=False),
}


def spectrum(
    field: Field,
    *,
    method: Method | None = None,
    states: States | None = None,
    k: int = 6,
    targets: Target | Sequence[Target] = TARGETS,
    certificate: bool = True,
    pseudospectrum: bool = False,
    density: bool = False,
    max_products: int = 300,
    route: str = "retained",
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Spectrum:
    """The ``k`` leading eigenvalues at each wanted end of the spectrum, and a verdict with its certificate.

    Args:
        field: ``game.on(batch)`` or any field.
        method, states: give ``h lambda`` in the metric of the running method; plain ``lambda`` without.
        k: eigenvalues for each target, twice as many for ``rotation``.
        targets: of ``largest``, ``rightmost``, ``leftmost``, ``rotation``, ``step-limit``, or orders of one's own as
            :func:`separatrix.linalg.eigenvalues` takes them.
        certificate: compute right vectors too, which turn residuals into error bars, and bound the symmetric part.
        pseudospectrum: from the Krylov space that is at hand, at no further product.
        density: of the eigenvalues of the symmetric part.
        max_products: budget of the search, and once more of the certificate and of the density.
        route: how the Jacobian computes its products: ``stream`` where the graphs of all batches do not fit in memory
            together; see :class:`separatrix.fields.Jacobian`.
        seed: of the start vectors.
        progress: called with the name of each part as it begins.

    Raises:
        InputError: no field, ``k`` is not positive, or an unknown target or route.

    Cost: building the Jacobian with its tests; at most ``2 max_products`` gradients for the values (n of them below n =
        2000, which then serves everything else), as many for certificate and density each.

    Example:
        >>> import torch, separatrix as sx
        >>> game = sx.Game({"x": torch.zeros(1), "y": torch.zeros(1)}, lambda m, batch: (m["x"] * m["y"]).sum())
        >>> sx.spectrum(game.on()).verdict
        'marginal'
    """
    if not isinstance(field, Field):
        raise InputError(
            f"spectrum takes a Field, got a {type(field).__name__}; bind a game to data first, game.on(batch), and take that of a "
            "Problem, problem.field()."
        )
    if k < 1:
        raise InputError(f"k must be at least 1, got {k}.")
    if max_products < 1:
        raise InputError(f"max_products must be at least 1, got {max_products}.")
    report = progress or (lambda part: None)
    report("Jacobian and self-tests")
    setting = settle(field, method, states=states, route=route)
    findings = list(setting.jacobian.findings)
    operator = Formed(setting.operator) if field.space.n <= DENSE_UP_TO else setting.operator
    report("eigenvalues")
    ends = (targets,) if callable(targets) or isinstance(targets, str) else tuple(targets)
    modes = leading(operator, k=k, targets=ends, max_products=max_products, seed=seed)
    products, known = modes.products, None
    (name, sentence) = verdict(modes, None)
    if certificate:
        report("certificate")
        try:
            known = certify(operator, modes, max_products=max_products, seed=seed)
            name, sentence = known.verdict, f"{known.verdict.capitalize()}: {known.status}"
            products = max(products, known.products)
        except ComputationError as error:
            findings.append(f"no-certificate: nothing is certified: {error}")
    surroundings = range_of(operator, modes, known, seed=seed)
    around = None
    if pseudospectrum:
        report("pseudospectrum")
        around = pseudospectrum_of(operator, modes, seed=seed)
    curvature = None
    if density:
        report("density")
        try:
            curvature = _density(operator, max_products, seed)
            products += 2 * curvature.products
        except ComputationError as error:
            findings.append(f"no-density: {error}")
    return Spectrum(
        field.name,
        modes,
        setting.metric,
        name,
        sentence,
        tuple(findings),
        known,
        surroundings,
        around,
        curvature,
        products,
    )


def _density(operator: LinearOperator, max_products: int, seed: int) -> SpectralDensity:
    if isinstance(operator, Formed):
        n = len(operator.matrix)
        matrix = operator.matrix.to("cpu", torch.float64)
        values = torch.linalg.eigvalsh((matrix + matrix.T) / 2).expand(2, n)
        return SpectralDensity(
            values, torch.full_like(values, 1 / n), n, 0, seed, "density from all eigenvalues of the symmetric part."
        )
    steps = max(4, max_products // (2 * PROBES))
    return spectral_density(operator.sym, PROBES, steps=steps, seed=seed, progress=False)
