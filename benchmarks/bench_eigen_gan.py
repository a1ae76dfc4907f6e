"""The leading eigenvalues of a trained GAN's Jacobian: CPU time and products beside SciPy, CoLA and hessian-eigenthings.

The MLP GAN of ``bench_jacobian.py`` (313 153 parameters, float32, batch 256) after 400 alternating Adam steps on a fixed
distribution. Six eigenvalues of each target are sought in the transpose, relative residual 1e-3, one thread:

- separatrix, each target alone; all three together in one Krylov space; and each with 40 products at most;
- SciPy's ARPACK on ``J.T.to_scipy()``, its default basis of 20 vectors and one of 40, each target a call, so that its time for
  all three is the sum of its better ones; and both as they come, with the tolerances that they have by default;
- CoLA's Arnoldi with 40 steps (largest modulus only);
- for the symmetric case, a Hessian block: separatrix and hessian-eigenthings' Lanczos with 40 steps.

In every round each contender runs once, in random order. The first vector is drawn from the round's number, so products vary a
little; medians over rounds, with quartiles, of CPU seconds and products. After the clock has stopped, the residual of every
value is computed by a fresh product. What is not installed is reported as absent.

    python benchmarks/bench_eigen_gan.py [--rounds 5] [--quick] [--out FILE]
"""

import argparse
import importlib.metadata
import json
import os
import platform
import random
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import scipy.sparse.linalg
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from separatrix import Game
from separatrix.linalg import LinearOperator, eigenvalues
from separatrix.linalg.counting import Counted

RESULTS = Path(__file__).parent / "results" / "eigen_gan.json"
K, TOL, STEPS = 6, 1e-3, 400
VECTORS, TOGETHER = (20, 40), "all three at once"
WHICH = {"largest": "LM", "rightmost": "LR", "rotation": "LI"}
# What a contender returns: values, vectors as rows where it gives any, and whether it says that all converged.
Answer = tuple[Any, Any, bool]
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"leaky": lambda: nn.LeakyReLU(0.2), "softplus": nn.Softplus}


def losses(models: dict[str, Any], batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    real, latents = batch
    fake = models["G"](latents)
    on_real, on_fake = models["D"](real), models["D"](fake)
    return {"G": softplus(-on_fake).mean(), "D": softplus(-on_real).mean() + softplus(on_fake).mean()}


def trained(activation: str, batch: int, steps: int, device: str = "cpu") -> LinearOperator:
    """The Jacobian at the end of training, which happens on the CPU."""
    torch.manual_seed(0)

    def perceptron(out: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for wide in (64, 256, 256):
            layers += [nn.Linear(wide, 256), ACTIVATIONS[activation]()]
        return nn.Sequential(*layers, nn.Linear(256, out))

    models: dict[str, nn.Module] = {"G": perceptron(64), "D": perceptron(1)}
    mixing = torch.randn(64, 64) / 8

    def draw() -> tuple[Tensor, Tensor]:
        return torch.tanh(torch.randn(batch, 64) @ mixing) + 0.5, torch.randn(batch, 64)

    optimizers = {p: torch.optim.Adam(m.parameters(), lr=2e-4, betas=(0.5, 0.999)) for p, m in models.items()}
    for _ in range(steps):
        for player in ("D", "G"):
            own = list(models[player].parameters())
            optimizers[player].zero_grad()
            losses(models, draw())[player].backward(inputs=own)
            optimizers[player].step()
    real, latents = draw()
    for model in models.values():
        model.to(device)
    return Game(models, losses, name="gan").on((real.to(device), latents.to(device))).jacobian(checks=False)


def mine(operator: LinearOperator, targets: list[str], seed: int, budget: int, tol: float = TOL) -> Answer:
    wanted = targets if len(targets) > 1 else targets[0]
    found = eigenvalues(operator, K, target=wanted, tol=tol, max_products=budget, seed=seed)
    return found.values, found.vectors, bool(found.converged.all())


def scipys(operator: LinearOperator, target: str, seed: int, vectors: int, budget: int, tol: float = TOL) -> Answer:
    A = operator.to_scipy()
    v0, done = np.random.default_rng(seed).normal(size=A.shape[0]).astype(A.dtype), True
    limit = max(1, budget // (vectors - K))
    try:
        values, columns = scipy.sparse.linalg.eigs(
            A, K, which=WHICH[target], ncv=vectors, tol=tol, v0=v0, maxiter=limit
        )
    except scipy.sparse.linalg.ArpackNoConvergence as error:
        values, columns, done = error.eigenvalues, error.eigenvectors, False
    return torch.from_numpy(values), torch.from_numpy(columns.T.copy()), done


def colas(operator: LinearOperator, seed: int, steps: int) -> Answer:
    from cola.linalg import Arnoldi, eig
    from cola.ops import LinearOperator as ColaOperator

    start = torch.randn(operator.shape[0], generator=torch.Generator().manual_seed(seed))
    # It may ask for complex columns, or for several at once.
    A = ColaOperator(operator.dtype, operator.shape, matmat=lambda X: torch.stack([operator @ x for x in X.T], dim=1))
    # Its own choice of the largest K takes them in LAPACK's order, so all are asked for and sorted here.
    values, vectors = eig(A, steps, "LM", Arnoldi(start_vector=start, max_iters=steps, tol=TOL))
    best = values.abs().argsort(descending=True)[:K]
    return values[best], vectors.to_dense().T[best], True


def eigenthings(block: LinearOperator, seed: int, steps: int) -> Answer:
    from hessian_eigenthings.algorithms import lanczos
    from hessian_eigenthings.operators.base import LambdaOperator

    operator = LambdaOperator(lambda v: block @ v, block.shape[0], dtype=block.dtype)
    found = lanczos(operator, k=K, max_iter=steps, tol=TOL, which="LM", seed=seed)
    return found.eigenvalues, found.eigenvectors, bool(found.converged.all()) if hasattr(found, "converged") else True


def contenders(
    jacobian: LinearOperator, quick: bool
) -> dict[str, tuple[Counted, Callable[[LinearOperator, int], Answer]]]:
    """By name: the operator, counted, and what is timed."""
    ample, ends = (60 if quick else 1000), list(WHICH)
    block = jacobian["D", "D"]  # type: ignore[index]
    found: dict[str, tuple[Counted, Callable[[LinearOperator, int], Answer]]] = {}

    def add(name: str, operator: LinearOperator, run: Callable[[LinearOperator, int], Answer]) -> None:
        found[name] = Counted(operator), run

    for targets in (*([end] for end in ends), ends):
        label = targets[0] if len(targets) == 1 else TOGETHER
        add(f"separatrix, {label}", jacobian.T, lambda A, seed, t=targets: mine(A, t, seed, ample))
        add(f"separatrix, {label}, 40 products", jacobian.T, lambda A, seed, t=targets: mine(A, t, seed, 40))
    for end in ends:
        for vectors in VECTORS:
            name = f"SciPy, {end}, {vectors} vectors"
            add(name, jacobian.T, lambda A, seed, t=end, m=vectors: scipys(A, t, seed, m, ample))
    # As they are called where nothing but k and the target is given.
    add("separatrix, largest, as it comes", jacobian.T, lambda A, seed: mine(A, ["largest"], seed, ample, 1e-6))
    add("SciPy, largest, as it comes", jacobian.T, lambda A, seed: scipys(A, "largest", seed, 20, ample, 0.0))
    if installed("cola-ml"):
        add("CoLA, largest, 40 steps", jacobian.T, lambda A, seed: colas(A, seed, 40))
    add("separatrix, Hessian block, largest", block, lambda A, seed: mine(A, ["largest"], seed, ample))
    if installed("hessian-eigenthings"):
        add("hessian-eigenthings, Hessian block, 40 steps", block, lambda A, seed: eigenthings(A, seed, 40))
    return found


def installed(package: str) -> str:
    """Its version, or an empty string."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def residuals(operator: LinearOperator, values: Tensor, vectors: Tensor | None) -> list[float]:
    """``||A x - lambda x|| / |lambda|`` of each pair, in float64 but for the product."""
    found = []
    for value, row in zip(values.tolist(), [] if vectors is None else vectors, strict=True):
        x = row.to(torch.complex64)
        x = x / torch.linalg.vector_norm(x)
        image = operator @ (x.real.contiguous() if not bool(x.imag.any()) else x)
        found.append(float(torch.linalg.vector_norm(image - value * x)) / max(abs(value), 1e-30))
    return found


def quartiles(numbers: list[float]) -> dict[str, float]:
    if len(numbers) == 1:
        numbers = numbers * 2
    return dict(zip(("q1", "median", "q3"), statistics.quantiles(numbers, n=4, method="inclusive"), strict=True))


def measure(activation: str, rounds: int, quick: bool, partial: Path) -> dict[str, Any]:
    """One network's record; finished rounds are kept in ``partial``, so that a run can be stopped and goes on."""
    jacobian = trained(activation, 32 if quick else 256, 20 if quick else STEPS)
    runs = contenders(jacobian, quick)
    done: list[dict[str, Any]] = json.loads(partial.read_text(encoding="utf-8")) if partial.exists() else []
    order = list(runs)
    jacobian.T @ torch.zeros(jacobian.shape[0])  # whatever is built once
    for number in range(len(done), rounds):
        start = time.process_time()
        jacobian.T @ torch.ones(jacobian.shape[0])
        round_: dict[str, Any] = {"product": time.process_time() - start}
        random.Random(number).shuffle(order)
        for name in order:
            operator, run = runs[name]
            operator.spent = 0
            start = time.process_time()
            values, vectors, said = run(operator, number)
            seconds, spent = time.process_time() - start, operator.spent
            round_[name] = {"seconds": seconds, "products": spent, "said": said}
            if number == 0:
                round_[name]["values"] = [[v.real, v.imag] for v in map(complex, values.tolist())]
                errors = residuals(operator.inner, values, vectors)
                round_[name]["errors"] = [float(f"{e:.2g}") for e in errors]
        done.append(round_)
        partial.write_text(json.dumps(done), encoding="utf-8")
    raw = {name: [round_[name] for round_ in done] for name in runs}
    product = [round_["product"] for round_ in done]
    rows = {}
    for name, found in raw.items():
        rows[name] = {
            "cpu_seconds": quartiles([run["seconds"] for run in found]),
            "products": quartiles([run["products"] for run in found]),
            "rounds_that_say_converged": sum(run["said"] for run in found),
            "values": found[0]["values"],
            "relative_residuals": found[0]["errors"],
        }
    record: dict[str, Any] = {
        "parameters": jacobian.shape[0],
        "product_cpu_seconds": statistics.median(product),
        "contenders": rows,
    }
    seconds = {name: row["cpu_seconds"]["median"] for name, row in rows.items()}
    scipys_best = {end: min(seconds[f"SciPy, {end}, {m} vectors"] for m in VECTORS) for end in WHICH}
    scipys_best |= {TOGETHER: sum(scipys_best.values()), "largest, as it comes": seconds["SciPy, largest, as it comes"]}
    record["scipys_better_time_over_ours"] = {
        label: best / seconds[f"separatrix, {label}"] for label, best in scipys_best.items()
    }
    return record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    parser.add_argument(
        "--quick", action="store_true", help="one round after 20 steps on small batches: no usable times"
    )
    parser.add_argument(
        "--out", type=Path, default=RESULTS, help="where the JSON goes; networks that it holds are not run again"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rounds = 1 if options.quick else options.rounds
    absent = {name: installed(name) or "absent" for name in ("cola-ml", "hessian-eigenthings")}
    settings = {"wanted": K, "tolerance": TOL, "adam_steps": 20 if options.quick else STEPS, "rounds": rounds}
    record: dict[str, Any] = {
        "versions": {
            "torch": torch.__version__,
            "scipy": scipy.__version__,
            "python": platform.python_version(),
            **absent,
        },
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "threads": 1},
        "quick": options.quick,
        "settings": settings,
        "networks": {},
    }
    if options.out.exists():
        stored = json.loads(options.out.read_text(encoding="utf-8"))
        if (stored["quick"], stored["settings"]) == (options.quick, settings):
            record = stored
    for name in ACTIVATIONS:
        if name not in record["networks"]:
            options.out.parent.mkdir(parents=True, exist_ok=True)
            partial = options.out.with_suffix(f".{name}.partial")
            record["networks"][name] = measure(name, rounds, options.quick, partial)
            options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
            partial.unlink()
        show(name, record["networks"][name], rounds)


def show(name: str, network: dict[str, Any], rounds: int) -> None:
    print(f"{name}: {network['parameters']} parameters, a product takes {network['product_cpu_seconds']:.3f} s")
    for contender, row in network["contenders"].items():
        t, p = row["cpu_seconds"], row["products"]
        worst = max(row["relative_residuals"], default=float("nan"))
        print(
            f"  {contender:<46} {t['median']:>7.2f} s [{t['q1']:.2f}, {t['q3']:.2f}] {p['median']:>5.0f} products, "
            f"converged in {row['rounds_that_say_converged']} of {rounds} rounds, worst residual {worst:.0e}"
        )
    ratios = {label: round(ratio, 2) for label, ratio in network["scipys_better_time_over_ours"].items()}
    print("  SciPy's better time over ours:", ratios)


if __name__ == "__main__":
    main()
