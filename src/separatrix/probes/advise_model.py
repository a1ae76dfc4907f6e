"""The small model that candidates are tried on: of one field in one metric, with the draws of its minibatches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from dataclasses import field as attribute
from typing import Any

import torch
from torch import Tensor

from separatrix.dynamics import Base, Frozen, HalfLife, Method, Problem, advise_half_life
from separatrix.dynamics.continued import Continued
from separatrix.errors import ComputationError
from separatrix.fields import Field
from separatrix.linalg import Formed, LinearOperator
from separatrix.linalg.eigen import DENSE_UP_TO
from separatrix.probes.advise_candidates import fresh
from separatrix.probes.advise_noise import Draws, sample_draws
from separatrix.probes.advise_range import Tried
from separatrix.probes.advise_slow import slow_up_to
from separatrix.probes.leading import leading
from separatrix.probes.reduced import Reduced, reduce
from separatrix.probes.setting import Setting, settle
from separatrix.probes.stability import growth_rates


@dataclass(frozen=True)
class Model:
    """A small model of a field, or why there is none.

    Attributes:
        setting: field, metric and Jacobian.
        reduced: the model; ``None`` where there is no prediction.
        draws: of minibatches; ``None`` where none were sampled.
        neutral: modes of the flow that are too slow to count.
        gradients: spent.
        why_not: in words.
        notes: what the self-tests noticed.
    """

    setting: Setting
    reduced: Reduced | None
    draws: Draws | None
    neutral: int
    gradients: float
    why_not: str = ""
    notes: list[str] = attribute(default_factory=list)

    @property
    def exact(self) -> bool:
        return self.reduced is not None and self.reduced.exact

    @property
    def size(self) -> int:
        return 0 if self.reduced is None else self.reduced.space.n

    @property
    def growing(self) -> int:
        """Modes that grow in the flow itself, and not too slowly to count."""
        if self.reduced is None:
            return 0
        return len(growth_rates(self.reduced, above=slow_up_to(self.reduced.matrix, self.neutral)))

    @property
    def outside(self) -> float | None:
        return None if self.draws is None else self.draws.outside

    @property
    def rates(self) -> Tensor:
        """The model's eigenvalues ``h lambda``."""
        return (
            torch.zeros(0, dtype=torch.complex128)
            if self.reduced is None
            else torch.linalg.eigvals(self.reduced.matrix)
        )

    @property
    def turn(self) -> float:
        """The largest ``|Im lambda|``, with the median step size as the unit of time."""
        rates = self.rates
        return float(rates.imag.abs().max()) / float(self.setting.scale.median()) if len(rates) else 0.0

    def key(self, method: Method) -> object:
        """Candidates with the same key see the same field in the same metric, but for a factor a player.

        A lazy term that this model does not know asks for another.
        """
        bases = method.bases_for(self.setting.field.players)
        unknown = tuple(term for term in method.scheme.lazy_terms if term not in self.setting.terms)
        return method.transforms, tuple(_metric(b) for b in bases.values()), unknown

    def tried(self, method: Method, gradients: float) -> Tried | None:
        """A method on this model.

        Raises:
            ComputationError: its bases have no linear form, or another metric than the model's.
        """
        if self.reduced is None:
            return None
        return Tried(self.reduced, method.scheme, self._bases(method), gradients, self.neutral)

    def _bases(self, method: Method) -> dict[str, Frozen]:
        """The linear bases in the model's metric: the scale is a candidate's step over that of the running method."""
        space, x = self.setting.field.space, self.setting.x
        found = {}
        for player, base in method.bases_for(space.players).items():
            frozen = base.frozen(base.init(space.take(x, player)))
            if frozen is None:
                raise ComputationError(
                    f"no prediction for player {player!r}: its {base.describe()['kind']} has no linear form at this state."
                )
            own = torch.as_tensor(frozen.scale, dtype=x.dtype, device=x.device).expand(space.size(player))
            ratio = own / space.take(self.setting.scale, player)
            factor = float(ratio.median()) if len(ratio) else 1.0
            if len(ratio) and float((ratio - factor).abs().max()) > 1e-5 * factor:
                raise ComputationError(
                    f"no prediction: the step sizes of player {player!r} are others than the model's."
                )
            found[player] = replace(frozen, scale=factor, coupled_decay=0.0, buffer=None, imaginary=None)
        return found

    def half_life(self, method: Method) -> HalfLife | None:
        """Of an average that removes the rotations of the method at the present step; ``None`` without a prediction."""
        scheme = method.scheme
        if self.reduced is None or not scheme.linear or not set(scheme.lazy_terms) <= set(self.setting.terms):
            return None
        bases = self._bases(method)
        resolved = self.reduced.multipliers(scheme, bases)
        if scheme.cycle == 1:
            return advise_half_life([complex(m) for m in resolved])
        values, vectors = torch.linalg.eig(self.reduced.period(scheme, bases))
        here, courses = vectors[:, (values[:, None] - resolved[None, :]).abs().argmin(0)], []
        for step in self.reduced.steps(scheme, bases):
            here = step.to(here.dtype) @ here
            courses.append(here[: self.reduced.space.n].T)
        return advise_half_life([complex(m) for m in resolved], courses=list(torch.stack(courses, 1).numpy()))


def model_of(
    problem: Problem,
    field: Field,
    method: Method,
    *,
    k: int,
    max_products: int,
    draws: int,
    seed: int,
    remaining: int,
    x: Tensor | None = None,
) -> Model:
    """Measure the field that a method sees; see :func:`~separatrix.probes.advise.advise` for the cost."""
    before = field.gradients
    plain = fresh(method)
    setting = settle(field, plain, x=x, states=method.init(field, x)[1])
    seen = setting.seen

    def spent() -> float:
        return seen.gradients - (before if seen is field else 0.0)

    notes = list(setting.jacobian.findings)
    if setting.frozen is None:
        return Model(setting, None, None, 0, spent(), setting.why_not, notes)
    operator: LinearOperator = Formed(setting.operator) if field.space.n <= DENSE_UP_TO else setting.operator
    modes = leading(operator, k=k, max_products=max_products, seed=seed)
    try:
        small = reduce(operator, field.space, modes, terms=setting.terms)
    except ComputationError as error:
        return Model(setting, None, None, 0, spent(), str(error), notes)
    slow = torch.linalg.eigvals(small.matrix).abs() * remaining < 1
    sampled = None
    if draws:
        pull = torch.zeros_like(setting.x)
        for player, base in setting.frozen.items():
            pull[field.space.index(player)] += base.coupled_decay
        sampled = sample_draws(
            problem, plain, setting.x, setting.scale, setting.scale * pull, small, draws=draws, seed=seed
        )
    cost = spent() + (0.0 if sampled is None else sampled.gradients)
    return Model(setting, small, sampled, int(slow.sum()), cost, "", notes)


def _metric(base: Base) -> tuple[Any, ...]:
    """What sets the shape of a base's step sizes: its kind and second moments' settings, not rate and momentum."""
    if isinstance(base, Continued):
        return (*_metric(base.base), id(base.state))
    settings = base.describe()
    kept = {k: v for k, v in settings.items() if k not in ("lr", "momentum", "betas", "angle", "nesterov", "dampening")}
    if "betas" in settings:
        kept["beta2"] = settings["betas"][1]
    if settings["kind"] in ("SGD", "ComplexMomentum", "Frozen"):
        kept = {"kind": "SGD", "decay": settings.get("weight_decay", 0.0)}
    return tuple(sorted((k, str(v)) for k, v in kept.items()))
