"""Trained GANs in float64 on the full batch: what the linearised method says is what the method does.

For each scheme and base on the eight Gaussians, and for the digits GAN with the method it comes with; the fuller version,
piecewise-linear networks included, is ``benchmarks/bench_forecast.py`` with its stored results.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

import separatrix as sx
from separatrix.dynamics import SGD, Adam, AdamW, Alternating, Base, Extragradient, RMSprop, Scheme, Simultaneous
from separatrix.dynamics.schemes import States
from separatrix.dynamics.update_map import UpdateMap
from separatrix.fields import Field
from separatrix.probes import Forecast, Horizon, forecast, horizon, leading, reduce, settle, signature
from separatrix.zoo import load

BASES: dict[str, Base] = {
    "SGD": SGD(0.05),
    "momentum": SGD(0.01, momentum=0.5),
    "RMSprop": RMSprop(2e-4),
    "Adam": Adam(2e-4, (0.5, 0.999)),
    "AdamW": AdamW(2e-4, (0.5, 0.999)),
}
SCHEMES: dict[str, Scheme] = {
    "simultaneous": Simultaneous(),
    "alternating": Alternating(("D", "G")),
    "extragradient": Extragradient(),
}


@dataclass(frozen=True)
class Trained:
    field: Field
    x: Tensor
    states: States


def train(name: str, method: sx.Method, steps: int, samples: int | None = None) -> Trained:
    problem = load(name)
    run = sx.train(problem, steps, method=method, points=0, progress=False)
    states: States = {
        p: {k: v.double() if isinstance(v, Tensor) else v for k, v in s.items()} for p, s in run.states.items()
    }
    return Trained(problem.game.on(problem.data[:samples], dtype=torch.float64), run.x.double(), states)


@pytest.fixture(scope="module")
def eight_gaussians() -> dict[str, Trained]:
    """One state a base, trained with alternation; what is measured there may be any scheme."""
    return {
        name: train("eight-gaussians-smooth", sx.Method(base, SCHEMES["alternating"]), 100, samples=256)
        for name, base in BASES.items()
    }


def tangent_gap(case: Trained, method: sx.Method, scale: float) -> float:
    """``|M d - (F(z + d) - F(z - d)) / 2| / |M d|``, the bases' states moved too."""
    exact = UpdateMap(method, case.field, case.x, case.states)
    sizes, names = [size for _, size in exact.layout], [name for name, _ in exact.layout]

    def after(z: Tensor) -> Tensor:
        parts = dict(zip(names, torch.split(z, sizes), strict=True))
        states: dict[str, Any] = {
            p: {k: parts.get(f"{p}.{k}", v) for k, v in s.items()} for p, s in case.states.items()
        }
        x, following = method.step(case.field, parts["x"], states)
        return torch.cat([x, *(following[n.split(".")[0]][n.split(".")[1]] for n in names[1:])])

    z = torch.cat([case.x, *(case.states[n.split(".")[0]][n.split(".")[1]] for n in names[1:])])
    length = float((exact.point_part(after(z)) - case.x).norm()) / len(case.x) ** 0.5
    noise = torch.randn(len(z), generator=torch.Generator().manual_seed(0), dtype=z.dtype)
    d = scale * noise * torch.cat([torch.full_like(case.x, length), z[len(case.x) :].abs()])
    linear = exact @ d
    return float((linear - (after(z + d) - after(z - d)) / 2).norm() / linear.norm())


def tried(case: Trained, method: sx.Method, scale: float = 1e-3) -> tuple[Horizon, list[Forecast]]:
    setting = settle(case.field, method, x=case.x, states=case.states)
    trust = horizon(setting, most=8)
    modes = leading(setting.operator, k=3, max_products=150)
    found = signature(setting, modes, reduce(setting.operator, setting.field.space, modes))
    return trust, forecast(setting, found, steps=max(trust.steps, 1), scale=scale, most=3)


@pytest.mark.parametrize(("scheme", "base"), list(product(SCHEMES, BASES)))
def test_the_tangent_of_the_real_update_is_the_update_map(
    eight_gaussians: dict[str, Trained], scheme: str, base: str
) -> None:
    assert tangent_gap(eight_gaussians[base], sx.Method(BASES[base], SCHEMES[scheme]), 1e-4) < 1e-6


@pytest.mark.parametrize(("scheme", "base"), list(product(SCHEMES, BASES)))
def test_within_the_horizon_the_growth_of_the_leading_modes_is_foretold_within_a_tenth(
    eight_gaussians: dict[str, Trained], scheme: str, base: str
) -> None:
    trust, rows = tried(eight_gaussians[base], sx.Method(BASES[base], SCHEMES[scheme]))
    assert trust.curve
    assert rows
    if trust.steps == 0:
        return
    for row in rows:
        print(
            f"m = {row.multiplier:.4f}: error {row.error:.1%}, skill {row.skill:.3f} over {row.steps} of {trust.steps} steps"
        )
        assert row.error < 0.1
        assert row.skill > 0.85


def test_the_digits_gan_with_its_own_method_is_foretold_too() -> None:
    problem = load("digits-gan-smooth")
    assert problem.method is not None
    case = train("digits-gan-smooth", problem.method, 120, samples=256)
    assert tangent_gap(case, problem.method, 1e-4) < 1e-6
    trust, rows = tried(case, problem.method)
    assert trust.steps >= 1
    assert max(row.error for row in rows) < 0.1


def test_second_moments_that_a_look_ahead_forgets_are_not_trusted() -> None:
    """RMSprop under extragradient with rolled back moments averages the gradients ahead, which are small; the one at the
    point is large against them, and answers to itself in a way that no frozen metric shows."""
    method = sx.Method(BASES["RMSprop"], SCHEMES["extragradient"])
    case = train("digits-gan-smooth", method, 150, samples=256)
    trust, rows = tried(case, method)
    assert max(row.error for row in rows) > 0.5
    assert trust.steps == 0
    assert trust.drift[0][1] > 0.1
