"""What six eigenvalues cost against the number of parameters, from ten thousand to ten million.

MLP GANs of growing width (three hidden layers each, softplus losses, batch 32, float32), untrained. The largest eigenvalues of the
transposed Jacobian are sought with 40 products at most and 24 vectors held, on one thread. Of the CPU time the part spent in
products is told from the rest, which is orthogonalisation, restarts and checks. Both are fitted by a power of n. Sizes that are
stored are not run again.

    python benchmarks/bench_eigen_cost.py [--largest 1e7] [--repeats 3] [--out FILE]
"""

import argparse
import json
import math
import os
import platform
import resource
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from separatrix import Game
from separatrix.linalg import LinearOperator, eigenvalues
from separatrix.linalg.operator import Tagged

RESULTS = Path(__file__).parent / "results" / "eigen_cost.json"
SIZES = (1e4, 3e4, 1e5, 3e5, 1e6, 3e6, 1e7)
PRODUCTS, VECTORS, BATCH = 40, 24, 32


class Timed(Tagged):
    """An operator that sums up the CPU time of its transposed products."""

    def __init__(self, inner: LinearOperator) -> None:
        super().__init__(inner, ())
        self.seconds = 0.0

    def _apply(self, u: Tensor) -> Tensor:
        start = time.process_time()
        image = self.inner @ u
        self.seconds += time.process_time() - start
        return image

    def _apply_rows(self, block: Tensor) -> Tensor:
        start = time.process_time()
        images = self.inner.rows(block)
        self.seconds += time.process_time() - start
        return images


def losses(models: Mapping[str, Any], batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    real, latents = batch
    on_real, on_fake = models["D"](real), models["D"](models["G"](latents))
    return {"G": softplus(-on_fake).mean(), "D": softplus(-on_real).mean() + softplus(on_fake).mean()}


def gan(size: float) -> LinearOperator:
    """The Jacobian of a GAN with about ``size`` parameters: ``4 w^2 + 200 w`` for width ``w``."""
    torch.manual_seed(0)
    width = round((-200 + math.sqrt(200**2 + 16 * size)) / 8)

    def perceptron(out: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for wide in (64, width, width):
            layers += [nn.Linear(wide, width), nn.Tanh()]
        return nn.Sequential(*layers, nn.Linear(width, out))

    models = {"G": perceptron(64), "D": perceptron(1)}
    batch = torch.randn(BATCH, 64), torch.randn(BATCH, 64)
    return Game(models, losses, name="gan").on(batch).jacobian(checks=False)


def measure(size: float, repeats: int) -> dict[str, Any]:
    jacobian = gan(size)
    jacobian.T @ torch.zeros(jacobian.shape[0])
    products, rest, spent = [], [], []
    for seed in range(repeats):
        timed = Timed(jacobian.T)
        start = time.process_time()
        found = eigenvalues(
            timed, 6, target="largest", max_products=PRODUCTS, basis_size=VECTORS, tol=1e-9, dense_up_to=0, seed=seed
        )
        total = time.process_time() - start
        products.append(timed.seconds / found.products)
        rest.append((total - timed.seconds) / found.products)
        spent.append(found.products)
    return {
        "parameters": jacobian.shape[0],
        "products": statistics.median(spent),
        "cpu_seconds_of_a_product": statistics.median(products),
        "cpu_seconds_beside_it": statistics.median(rest),
        "peak_resident_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def fit(rows: list[dict[str, Any]], key: str) -> dict[str, float]:
    """``seconds = factor * n^power``, least squares in logarithms, over the sizes from 1e5 on, where overheads are past."""
    kept = [row for row in rows if row["parameters"] >= 0.9e5] or rows
    if len(kept) < 2:
        return {}
    x, y = (np.log([row[name] for row in kept]) for name in ("parameters", key))
    power, offset = np.polyfit(x, y, 1)
    return {
        "power": float(power),
        "factor": float(np.exp(offset)),
        "spread": float(np.abs(y - power * x - offset).max()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=float, default=1e7, help="the largest number of parameters (default 1e7)")
    parser.add_argument("--repeats", type=int, default=3, help="searches of each size (default 3)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the JSON goes")
    options = parser.parse_args()
    torch.set_num_threads(1)
    settings = {"products": PRODUCTS, "vectors": VECTORS, "batch": BATCH, "repeats": options.repeats}
    record: dict[str, Any] = {
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "threads": 1},
        "settings": settings,
        "sizes": [],
    }
    if options.out.exists():
        stored = json.loads(options.out.read_text(encoding="utf-8"))
        record = stored if stored["settings"] == settings else record
    for size in (s for s in SIZES if s <= options.largest):
        if not any(abs(row["parameters"] / size - 1) < 0.1 for row in record["sizes"]):
            record["sizes"].append(measure(size, options.repeats))
            record["fits"] = {
                key: fit(record["sizes"], key) for key in ("cpu_seconds_of_a_product", "cpu_seconds_beside_it")
            }
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for row in record["sizes"]:
        print(
            f"{row['parameters']:>9} parameters: {row['cpu_seconds_of_a_product']:.4f} s a product and "
            f"{row['cpu_seconds_beside_it']:.4f} s beside it, {row['peak_resident_mib']:.0f} MiB at most so far"
        )
    for key, found in record.get("fits", {}).items():
        if found:
            print(
                f"{key}: {found['factor']:.2e} n^{found['power']:.2f}, off by a factor of {math.exp(found['spread']):.2f} at most"
            )


if __name__ == "__main__":
    main()
