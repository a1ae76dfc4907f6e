"""What the linearised field predicts for a method, for :func:`separatrix.dynamics.compare`."""

from __future__ import annotations

from typing import Any

from separatrix.dynamics import Method, Transform
from separatrix.errors import ComputationError
from separatrix.fields import Field
from separatrix.probes.horizon import horizon
from separatrix.probes.leading import leading
from separatrix.probes.reduced import Reduced, reduce
from separatrix.probes.setting import Setting, settle
from separatrix.probes.stability import growth_rates, outlook, unit_bases


class Predictor:
    """``predict(method, field)``: growth per gradient of the resolved modes, the safe step, the trust horizon.

    Methods with the same transforms and bases share one Jacobian and its modes, so they must share their states too.

    Args:
        k: eigenvalues at each end of the spectrum.
        max_products: Jacobian products for them.
        seed: of the start vectors.
    """

    def __init__(self, *, k: int = 5, max_products: int = 150, seed: int = 0) -> None:
        self.k, self.max_products, self.seed = k, max_products, seed
        self._known: dict[tuple[tuple[Transform, ...], str], tuple[Setting, Reduced]] = {}

    def __call__(self, method: Method, field: Field) -> dict[str, Any]:
        """The prediction as plain data.

        Raises:
            ComputationError: there is none; says why.
        """
        bases = {player: base.describe() for player, base in method.bases_for(field.players).items()}
        key = method.transforms, repr((bases, method.scheme.lazy_terms))
        first = all(transforms != method.transforms for transforms, _ in self._known)
        setting, small = self._known.get(key) or self._measure(method, field)
        self._known[key] = setting, small
        assert setting.frozen is not None
        found = outlook(small, method.scheme, unit_bases(setting.frozen), method.gradients(field))
        return {
            "growth_per_gradient": found.growth_per_gradient,
            "growth": found.growth,
            "safe_step": found.safe_step,
            "limited_by": found.limited_by,
            "growing": len(growth_rates(small)),
            # Of the method that is measured first; it runs on the field and so costs steps.
            "horizon": horizon(setting).section()["sentence"] if first else None,
        }

    def _measure(self, method: Method, field: Field) -> tuple[Setting, Reduced]:
        setting = settle(field, method)
        if setting.frozen is None:
            raise ComputationError(setting.why_not)
        modes = leading(setting.operator, k=self.k, max_products=self.max_products, seed=self.seed)
        return setting, reduce(setting.operator, field.space, modes, terms=setting.terms)
