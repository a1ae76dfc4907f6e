"""Methods that remember more than their bases do, through the whole diagnosis."""

from __future__ import annotations

import pytest

from separatrix import zoo
from separatrix.dynamics import SGD, Adam, Lookahead, Method, Optimistic, PastExtragradient, Reflected, simulate
from separatrix.probes.forecast import forecast
from separatrix.probes.leading import leading
from separatrix.probes.reduced import reduce
from separatrix.probes.setting import settle
from separatrix.probes.signature import signature


@pytest.mark.parametrize("base", [SGD(0.05), SGD(0.05, momentum=0.4), Adam(0.01, (0.5, 0.9))])
@pytest.mark.parametrize("scheme", [PastExtragradient(1.5), Optimistic(), Reflected(), Lookahead(Optimistic(), 3)])
def test_the_small_model_has_the_multipliers_of_the_real_period_and_they_are_what_the_method_does(base, scheme) -> None:
    field = zoo.load("dirac-gan", r1=0.3).field()
    method = Method(base, scheme)
    x, states, _ = simulate(method, field, steps=6)
    setting = settle(field, method, x=x, states=states)
    modes = leading(setting.operator, k=2)
    found = signature(setting, modes, reduce(setting.operator, field.space, modes))
    assert found.kind == "disc"
    assert found.model_gap < 1e-8
    if isinstance(base, SGD):  # Adam's second moments move, and the field bends
        rows = forecast(setting, found, steps=4, scale=1e-3)
        assert rows
        assert rows[0].skill > 0.9
