"""The rightmost end of matrices whose spectrum is known: is what is called converged an eigenvalue, and what does it cost?

Five families of 40 matrices each, n = 300, float64, in random orthogonal bases: minus a Wishart matrix plus a skew one of
growing scale; the same with a planted unstable pair; Grcar's matrix, shifted; prescribed departure from normality, 0 to 20;
a Jordan block beside a cluster. Six rightmost eigenvalues are asked for, relative residual 1e-6, at most 3000 products, by
separatrix (never densely) and by ARPACK through ``scipy.sparse.linalg.eigs(which="LR")`` with 20, 30 and 60 vectors.

Of every value returned the smallest singular value ``s = sigma_min(lambda I - A)`` is computed: the least perturbation that
makes it an eigenvalue. A converged value breaks its residual bound where ``s`` exceeds its residual; it is called false where
``s > 1e-3 |lambda|``, a thousand times what was asked for. Where the eigenvalues are well conditioned the plain distance to the
nearest is given too, in units of condition times residual.

    python benchmarks/bench_eigen_planted.py [--quick] [--out FILE]
"""

import argparse
import json
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import scipy.sparse.linalg
import torch
from torch import Tensor

from separatrix.linalg import Dense, eigenvalues

RESULTS = Path(__file__).parent / "results" / "eigen_planted.json"
N, K, TOL, BUDGET = 300, 6, 1e-6, 3000
FALSE = 1e-3
VECTORS = (20, 30, 60)


def gaussian(rows: int, columns: int, seed: int) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def turned(matrix: Tensor, seed: int) -> Tensor:
    """The same operator in a random orthonormal basis."""
    q, r = torch.linalg.qr(gaussian(len(matrix), len(matrix), seed + 10_000))
    q = q * torch.diagonal(r).sign()
    return q @ matrix @ q.T


def wishart_plus_skew(n: int, seed: int, scale: float) -> Tensor:
    w, k = gaussian(n, n, seed), gaussian(n, n, seed + 1000)
    return -(w @ w.T) / n + scale * (k - k.T) / (2 * n) ** 0.5


def planted_pair(n: int, seed: int, share: float) -> Tensor:
    """An unstable pair with real part 0.01 to 0.1 beside a contracting rest."""
    real, imag = 0.01 + 0.09 * share, 0.4
    pair = torch.tensor([[real, imag], [-imag, real]], dtype=torch.float64)
    rest = wishart_plus_skew(n - 2, seed, 2.0) - 0.1 * torch.eye(n - 2, dtype=torch.float64)
    return turned(torch.block_diag(pair, rest), seed)


def grcar(n: int, seed: int, share: float) -> Tensor:
    one = torch.ones(n, n, dtype=torch.float64)
    bands = torch.triu(one) - torch.triu(one, 4) - torch.diag(torch.ones(n - 1, dtype=torch.float64), -1)
    return turned(bands - 3 * share * torch.eye(n, dtype=torch.float64), seed)


def non_normal(n: int, seed: int, departure: float) -> Tensor:
    """Eigenvalues from -2 to 1 on the real axis; the strictly upper part has norm ``departure``."""
    upper = torch.triu(gaussian(n, n, seed), 1)
    return turned(torch.diag(torch.linspace(-2, 1, n, dtype=torch.float64)) + departure * upper / upper.norm(), seed)


def clustered_and_defective(n: int, seed: int, share: float) -> Tensor:
    """A Jordan block of size 3 at 1, four values within 1e-6 to 1e-2 of 0.9, the rest left of 0.5."""
    t = torch.diag(torch.linspace(-1, 0.5, n, dtype=torch.float64))
    t[:3, :3] = torch.eye(3, dtype=torch.float64) + torch.diag(torch.ones(2, dtype=torch.float64), 1)
    t[3:7, 3:7] = torch.diag(0.9 + 10 ** (-6 + 4 * share) * torch.arange(4, dtype=torch.float64) / 3)
    return turned(t, seed)


FAMILIES: dict[str, tuple[Callable[[int, int, float], Tensor], float, float]] = {
    "Wishart plus skew": (wishart_plus_skew, 0.5, 4.0),
    "planted unstable pair": (planted_pair, 0.0, 1.0),
    "Grcar": (grcar, 0.0, 1.0),
    "prescribed departure": (non_normal, 0.0, 20.0),
    "clustered and defective": (clustered_and_defective, 0.0, 1.0),
}


def matrices(family: str, count: int, n: int) -> Iterator[Tensor]:
    make, low, high = FAMILIES[family]
    for seed, knob in enumerate(np.linspace(low, high, count).tolist()):
        yield make(n, seed, knob)


def perturbation(matrix: np.ndarray[Any, Any], values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """``sigma_min(lambda I - A)`` of each value."""
    eye = np.eye(len(matrix))
    return np.array([np.linalg.svd(v * eye - matrix, compute_uv=False)[-1] for v in values])


def ours(matrix: Tensor, seed: int) -> dict[str, Any]:
    start = time.process_time()
    found = eigenvalues(Dense(matrix), K, tol=TOL, max_products=BUDGET, dense_up_to=0, seed=seed)
    seconds = time.process_time() - start
    values, residuals = found.values.numpy(), found.residuals.numpy()
    true, vectors = np.linalg.eig(matrix.numpy())
    kappa = np.linalg.norm(np.linalg.inv(vectors), axis=1)
    nearest = np.abs(values[:, None] - true[None, :]).argmin(axis=1)
    distance = np.abs(values - true[nearest])
    needed, sure = perturbation(matrix.numpy(), values), found.converged.numpy()
    rounding = 1e-14 * float(np.linalg.norm(matrix.numpy(), 2))
    tame = sure & (kappa[nearest] < 1e3)
    # Which eigenvalue is farther right is a question only where rounding does not move them.
    wanted = np.argsort(-true.real)[: sure.sum()]
    clear = bool(sure.all()) and bool((kappa[wanted] < 1e3).all())
    missed = int((true.real[wanted] > np.sort(values.real[sure])[::-1] + 1e-4).sum()) if clear else None
    return {
        "products": found.products,
        "seconds": seconds,
        "returned": len(values),
        "converged": int(sure.sum()),
        "broken_bounds": int((needed[sure] > residuals[sure] + rounding).sum()),
        "false": int((needed[sure] > FALSE * np.abs(values[sure])).sum()),
        "missed": missed,
        "distance": float((distance[tame] / (kappa[nearest][tame] * residuals[tame])).max()) if tame.any() else None,
    }


def arpack(matrix: Tensor, seed: int, vectors: int) -> dict[str, Any]:
    A, products = matrix.numpy(), [0]

    def multiply(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        products[0] += 1
        return np.asarray(A @ x.reshape(-1))

    operator = scipy.sparse.linalg.LinearOperator(A.shape, matvec=multiply, dtype=np.float64)
    v0 = np.random.default_rng(seed).normal(size=len(A))
    start = time.process_time()
    try:
        # ARPACK takes about ncv - K products per restart.
        limit = BUDGET // (vectors - K)
        values, _ = scipy.sparse.linalg.eigs(operator, K, which="LR", ncv=vectors, tol=TOL, v0=v0, maxiter=limit)
        done = True
    except scipy.sparse.linalg.ArpackNoConvergence as error:
        values, done = error.eigenvalues, False
    seconds = time.process_time() - start
    needed = perturbation(A, values) if len(values) else np.zeros(0)
    return {
        "products": products[0],
        "seconds": seconds,
        "returned": len(values),
        "unconverged": not done,
        "false": int((needed > FALSE * np.abs(values)).sum()),
    }


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Sums over the runs, and medians of what they cost."""
    whole = [run for run in runs if not run.get("unconverged") and run.get("converged", 1)]
    record: dict[str, Any] = {
        "runs": len(runs),
        "values": sum(run["converged"] if "converged" in run else run["returned"] for run in runs),
        "false_values": sum(run["false"] for run in runs),
        "runs_with_false_values": sum(run["false"] > 0 for run in runs),
        "median_products": statistics.median(run["products"] for run in runs),
        "median_cpu_seconds": statistics.median(run["seconds"] for run in runs),
    }
    if "broken_bounds" in runs[0]:
        distances = [run["distance"] for run in runs if run["distance"] is not None]
        record |= {
            "broken_bounds": sum(run["broken_bounds"] for run in runs),
            "runs_all_converged": sum(run["converged"] == run["returned"] for run in runs),
            "runs_none_converged": sum(run["converged"] == 0 for run in runs),
            "runs_that_missed_one": sum(bool(run["missed"]) for run in runs),
            "runs_where_that_could_be_told": sum(run["missed"] is not None for run in runs),
            "largest_distance_over_condition_times_residual": max(distances) if distances else None,
        }
    else:
        record |= {"runs_all_converged": sum(not run["unconverged"] for run in runs)}
    return record | {
        "median_products_where_any_converged": statistics.median(r["products"] for r in whole) if whole else None
    }


def measure(family: str, count: int, n: int) -> dict[str, Any]:
    runs: dict[str, list[dict[str, Any]]] = {"separatrix": [], **{f"ARPACK, {m} vectors": [] for m in VECTORS}}
    for seed, matrix in enumerate(matrices(family, count, n)):
        runs["separatrix"].append(ours(matrix, seed))
        for m in VECTORS:
            runs[f"ARPACK, {m} vectors"].append(arpack(matrix, seed, m))
    return {name: summary(found) for name, found in runs.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two small matrices of each family")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the JSON goes; what it holds is not run again")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    count, n = (2, 120) if options.quick else (40, N)
    settings = {
        "n": n,
        "matrices_per_family": count,
        "wanted": K,
        "tolerance": TOL,
        "max_products": BUDGET,
        "false": FALSE,
    }
    record: dict[str, Any] = {
        "versions": {"torch": torch.__version__, "scipy": scipy.__version__, "python": platform.python_version()},
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "threads": 1},
        "quick": options.quick,
        "settings": settings,
        "families": {},
    }
    if options.out.exists():
        stored = json.loads(options.out.read_text(encoding="utf-8"))
        if (stored["quick"], stored["settings"]) == (options.quick, settings):
            record = stored
    for family in FAMILIES:
        if family not in record["families"]:
            record["families"][family] = measure(family, count, n)
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        print(family)
        for name, row in record["families"][family].items():
            print(
                f"  {name:<20} {row['runs_all_converged']:>3} of {row['runs']} runs converged, {row['median_products']:>6.0f} products, "
                f"{row['false_values']:>3} of {row['values']} values false, in {row['runs_with_false_values']} runs"
                + (f"; {row['broken_bounds']} bounds broken" if "broken_bounds" in row else "")
            )


if __name__ == "__main__":
    main()
