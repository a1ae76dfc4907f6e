import numpy as np
import scipy.sparse.linalg as sla
import torch
from matrix_families import gaussian

from separatrix.linalg import Dense, to_scipy


def test_complex_vectors_keep_their_imaginary_part():
    a = gaussian(4, 3, 0)
    z = np.array([1.0, 2j, 3 - 1j])
    np.testing.assert_allclose(to_scipy(Dense(a)) @ z, a.numpy() @ z, rtol=1e-14)


def test_rmatvec_is_the_conjugate_transpose():
    a = gaussian(4, 3, 1)
    z = np.array([1.0, 2j, 3 - 1j, -0.5])
    np.testing.assert_allclose(to_scipy(Dense(a)).rmatvec(z), a.numpy().conj().T @ z, rtol=1e-14)
    np.testing.assert_allclose(Dense(a).to_scipy().rmatvec(z.real), a.numpy().T @ z.real, rtol=1e-14)


def test_scipys_own_solvers_run_on_it():
    a = gaussian(30, 30, 2)
    found = sla.svds(to_scipy(Dense(a)), k=2, return_singular_vectors=False, rng=np.random.default_rng(0))
    np.testing.assert_allclose(sorted(found), sorted(torch.linalg.svdvals(a)[:2].tolist()), rtol=1e-10)


def test_the_hosts_dtype_follows_the_operator():
    single = to_scipy(Dense(gaussian(3, 3, 3).float()))
    assert single.dtype == np.float32
    assert (single @ np.ones(3)).dtype == np.float32
    assert to_scipy(Dense(gaussian(3, 3, 3))).dtype == np.float64
