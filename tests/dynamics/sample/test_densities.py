"""Densities against torch.distributions."""

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from separatrix.dynamics.sample import gaussian_mixture, standard_normal
from separatrix.errors import InputError


def test_densities_are_those_of_torch() -> None:
    g = torch.Generator().manual_seed(0)
    x, places = (torch.randn(count, 3, generator=g, dtype=torch.float64) for count in (20, 4))
    zero = torch.zeros(3, dtype=torch.float64)
    torch.testing.assert_close(standard_normal(x), Independent(Normal(zero, zero + 1), 1).log_prob(x))
    deviations, shares = (torch.tensor(v, dtype=torch.float64) for v in ([0.5, 1, 2, 0.1], [0.1, 0.2, 0.3, 0.4]))
    parts = Independent(Normal(places, deviations[:, None].expand(4, 3)), 1)
    expected = MixtureSameFamily(Categorical(shares), parts).log_prob(x)
    torch.testing.assert_close(gaussian_mixture(places, deviations, shares)(x), expected)


def test_what_is_no_mixture_is_named() -> None:
    one = torch.ones(2)
    with pytest.raises(InputError, match=r"got \(2,\), \(2,\), \(2,\)"):
        gaussian_mixture(one, one, one / 2)
    with pytest.raises(InputError, match="shares add up to 1"):
        gaussian_mixture(torch.zeros(2, 1), one, one)
