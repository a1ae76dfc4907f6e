"""Eigenvalues against pydmd's exact decomposition and kooplearn's regression, where these are installed."""

import warnings

import numpy as np
import pytest
import torch
from torch import Tensor

from separatrix.probes.koopman import resdmd


def path(noise: float = 0.0) -> Tensor:
    """A damped turn and a decay, seen through five columns: ``(200, 5)``."""
    generator = torch.Generator().manual_seed(0)
    turn, angle_rad = 0.98, 0.3
    step = torch.zeros(3, 3, dtype=torch.float64)
    step[:2, :2] = turn * torch.tensor(
        [[np.cos(angle_rad), -np.sin(angle_rad)], [np.sin(angle_rad), np.cos(angle_rad)]], dtype=torch.float64
    )
    step[2, 2] = 0.9
    rows = [torch.tensor([1.0, 0.0, 2.0], dtype=torch.float64)]
    for _ in range(199):
        rows.append(step @ rows[-1])
    seen = torch.stack(rows) @ torch.randn(3, 5, dtype=torch.float64, generator=generator)
    return seen + noise * torch.randn(200, 5, dtype=torch.float64, generator=generator)


def ordered(values: object) -> np.ndarray:
    return np.sort_complex(np.asarray(values, dtype=complex))


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_exact_dynamic_mode_decomposition_has_the_same_eigenvalues(noise: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydmd = pytest.importorskip("pydmd")
        x = path(noise)
        rank = 3 if noise == 0 else 5
        theirs = pydmd.DMD(svd_rank=rank, exact=True).fit(x.T.numpy()).eigs
    ours = resdmd(x[:-1], x[1:])
    assert ours.rank == rank
    np.testing.assert_allclose(ordered(ours.values), ordered(theirs), rtol=0, atol=1e-9)


def test_regression_of_the_koopman_operator_has_the_same_eigenvalues() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        linear_model = pytest.importorskip("kooplearn.linear_model")
        x = path(0.01)
        model = linear_model.Ridge(n_components=5, alpha=None, reduced_rank=False).fit(x.numpy())
        theirs = model.eig()
    ours = resdmd(x[:-1], x[1:])
    np.testing.assert_allclose(ordered(ours.values), ordered(theirs), rtol=0, atol=1e-6)
