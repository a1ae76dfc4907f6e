"""Matrices with known spectra, shared by the linear-algebra tests."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def global_randomness_stays_untouched():
    """Every test in this folder also checks that no solver moved the global generator."""
    before = torch.get_rng_state()
    yield
    assert torch.equal(before, torch.get_rng_state()), "a solver moved the global random state"
