"""The same on a GPU: products alone, in batches and as CUDA graphs, and the leading eigenvalues beside SciPy.

Without a CUDA device it says so, measures nothing and ends with exit code 0. Times are of the clock, the device synchronised before
and after, medians over repeats; per product, in milliseconds. The networks are those of ``bench_jacobian.py``.

- products: ``J.T @ u`` and ``J @ u`` through the operator, blocks ``J.T.rows(U)`` of 4, 8 and 16 vectors, and the bare double
  backward with ``is_grads_batched``;
- CUDA graph: the bare double backward captured once and replayed, checked against the eager product; where a network cannot be
  captured the reason is recorded;
- eigenvalues: as in ``bench_eigen_gan.py``, on the trained MLP GAN, each target alone, all three at once, and SciPy through
  ``to_scipy``.

    python benchmarks/gpu.py [--repeats 30] [--quick] [--out FILE]
"""

import argparse
import json
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from bench_eigen_gan import ACTIVATIONS, TOGETHER, VECTORS, WHICH, mine, scipys, trained
from jacobian_cases import dcgan, losses, mlp_gan
from torch import Tensor

from separatrix import Game
from separatrix.linalg.counting import Counted

RESULTS = Path(__file__).parent / "results" / "gpu.json"
BLOCKS = (4, 8, 16)
Batch = tuple[Tensor, Tensor]


def milliseconds(run: Callable[[], object], repeats: int) -> float:
    """Median time of the clock, after two rounds that do not count."""
    taken = []
    for i in range(repeats + 2):
        torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        if i >= 2:
            taken.append(1e3 * (time.perf_counter() - start))
    return statistics.median(taken)


def products(name: str, models: dict[str, Any], batch: Batch, repeats: int) -> dict[str, Any]:
    """One network's products, per vector."""
    for model in models.values():
        model.cuda()
    on_device = batch[0].cuda(), batch[1].cuda()
    field = Game(models, losses, name=name).on(on_device)
    jacobian = field.jacobian(checks=False)
    n = jacobian.shape[0]
    u = torch.randn(n, device="cuda")
    found: dict[str, Any] = {
        "parameters": n,
        "field": milliseconds(lambda: field(), repeats),
        "J.T @ u": milliseconds(lambda: jacobian.T @ u, repeats),
        "J @ u": milliseconds(lambda: jacobian @ u, repeats),
    }
    leaves = [p for model in models.values() for p in model.parameters()]
    counts = [len(list(model.parameters())) for model in models.values()]
    scores = losses(models, on_device)
    rows = [
        *torch.autograd.grad(scores["G"], leaves[: counts[0]], create_graph=True),
        *torch.autograd.grad(scores["D"], leaves[counts[0] :], create_graph=True),
    ]

    def split(block: Tensor) -> list[Tensor]:
        sizes = [p.numel() for p in leaves]
        return [
            part.reshape(*block.shape[:-1], *p.shape)
            for part, p in zip(block.split(sizes, dim=-1), leaves, strict=True)
        ]

    for k in BLOCKS:
        block = torch.randn(k, n, device="cuda")
        found[f"J.T.rows, {k} vectors"] = milliseconds(lambda block=block: jacobian.T.rows(block), repeats) / k
        try:
            bare = partial(torch.autograd.grad, rows, leaves, split(block), retain_graph=True, is_grads_batched=True)
            found[f"double backward, batch of {k}"] = milliseconds(bare, repeats) / k
        except RuntimeError as error:
            found[f"double backward, batch of {k}"] = f"failed: {str(error).splitlines()[0]}"
    found["CUDA graph"] = captured(rows, leaves, split, jacobian.T @ u, u, repeats)
    return found


def captured(
    rows: list[Tensor],
    leaves: list[Tensor],
    split: Callable[[Tensor], list[Tensor]],
    eager: Tensor,
    u: Tensor,
    repeats: int,
) -> dict[str, Any]:
    """The double backward of one vector as a CUDA graph. ``rows`` are gradients of the losses, so it is minus the eager product."""
    static = u.clone()
    pieces = split(static)

    def product() -> Tensor:
        return torch.cat([g.reshape(-1) for g in torch.autograd.grad(rows, leaves, pieces, retain_graph=True)])

    try:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                product()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            image = product()
        graph.replay()
        torch.cuda.synchronize()
        error = float((image + eager).norm() / eager.norm())
        return {
            "replayed": milliseconds(graph.replay, repeats),
            "eager": milliseconds(product, repeats),
            "relative_error": error,
        }
    except RuntimeError as error:
        return {"failed": str(error).splitlines()[0]}


def searches(activation: str, repeats: int, quick: bool) -> dict[str, Any]:
    """Seconds, products and convergence of each search on the trained GAN."""
    jacobian = trained(activation, 32 if quick else 256, 20 if quick else 400, device="cuda")
    budget = 60 if quick else 1000
    runs: dict[str, Callable[[Counted, int], Any]] = {}
    for targets in (*([end] for end in WHICH), list(WHICH)):
        label = targets[0] if len(targets) == 1 else TOGETHER
        runs[f"separatrix, {label}"] = lambda A, seed, t=targets: mine(A, t, seed, budget)
    for end in WHICH:
        runs[f"SciPy, {end}"] = lambda A, seed, t=end: scipys(A, t, seed, VECTORS[0], budget)
    found: dict[str, Any] = {}
    for name, run in runs.items():
        seconds, spent, said = [], [], []
        for seed in range(1 if quick else max(3, repeats // 10)):
            counted = Counted(jacobian.T)
            torch.cuda.synchronize()
            start = time.perf_counter()
            said.append(run(counted, seed)[2])
            torch.cuda.synchronize()
            seconds.append(time.perf_counter() - start)
            spent.append(counted.spent)
        found[name] = {
            "seconds": statistics.median(seconds),
            "products": statistics.median(spent),
            "share_of_runs_converged": sum(said) / len(said),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=30, help="of each product (default 30)")
    parser.add_argument("--quick", action="store_true", help="small batches, few repeats: no usable times")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the JSON goes")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("There is no CUDA device here, so nothing was measured.")
        return
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    repeats = 3 if options.quick else options.repeats
    record: dict[str, Any] = {
        "versions": {"torch": torch.__version__, "cuda": torch.version.cuda, "python": platform.python_version()},
        "device": torch.cuda.get_device_name(),
        "quick": options.quick,
        "products": {
            "mlp": products("mlp", *mlp_gan(32 if options.quick else 256), repeats),
            "dcgan": products("dcgan", *dcgan(4 if options.quick else 32), repeats),
        },
        "eigenvalues": {name: searches(name, repeats, options.quick) for name in ACTIVATIONS},
    }
    for part in ("products", "eigenvalues"):
        for name, rows in record[part].items():
            print(f"{part}, {name}")
            for label, value in rows.items():
                print(f"  {label:<40} {value if not isinstance(value, float) else round(value, 4)}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
