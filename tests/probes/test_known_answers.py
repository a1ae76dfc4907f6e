"""The zoo's facts through the calls a user makes: eigenvalues to 1e-8, largest safe steps to 1e-6."""

from typing import Any

import pytest
import torch
from linear_games import assert_same_spectrum

import separatrix as sx
from separatrix.dynamics import SGD, Alternating, Extragradient, Simultaneous
from separatrix.zoo import load

SCHEMES = {"simultaneous": Simultaneous(), "alternating": Alternating(), "extragradient": Extragradient()}
AT_ZERO: dict[str, Any] = {"theta": 0.0, "psi": 0.0}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("dirac-gan", AT_ZERO),
    ("dirac-gan", {**AT_ZERO, "loss": "non-saturating"}),
    ("dirac-gan", {**AT_ZERO, "loss": "wasserstein"}),
    ("dirac-gan", {**AT_ZERO, "r1": 0.3}),
    ("dirac-gan", {**AT_ZERO, "r1": 2.0}),
    ("dirac-gan", {**AT_ZERO, "noise": 0.7}),
    ("bilinear", {}),
    ("bilinear", {"sigma": torch.tensor([[1.0, 0.5], [0.0, 2.0], [0.3, 0.1]], dtype=torch.float64)}),
    ("quadratic", {}),
    ("quadratic", {"departure": 3.0, "seed": 1}),
    ("quadratic", {"spectrum": (-0.2 + 1j, -0.2 - 1j), "departure": 1.0}),
]
NAMES = [f"{name} {list(options.items())[-1:]}" for name, options in CASES]


@pytest.mark.parametrize(("name", "options"), CASES, ids=NAMES)
def test_the_eigenvalues_are_those_of_the_facts(name: str, options: dict[str, Any]) -> None:
    problem = load(name, **options)
    wanted = torch.tensor(problem.fact("eigenvalues"), dtype=torch.complex128)
    found = sx.spectrum(problem.field(), k=len(wanted))
    assert_same_spectrum(found.modes.values, wanted, 1e-8)
    assert float(found.modes.residuals.max()) < 1e-8


@pytest.mark.parametrize(("name", "options"), CASES, ids=NAMES)
def test_the_largest_safe_steps_are_those_of_the_facts(name: str, options: dict[str, Any]) -> None:
    """Of the running method in the first row, and of its alternatives below; all as multiples of the present rate."""
    lr = 0.05
    problem = load(name, **options)
    for running in SCHEMES:
        found = sx.diagnose(problem, method=sx.Method(SGD(lr), SCHEMES[running]), own_steps=0, budget=150)["stability"][
            "rows"
        ]
        assert found[0]["running"]
        assert found[0]["method"] == f"{running}, no momentum"
        for scheme in SCHEMES:
            row = next(r for r in found if r["method"] == f"{scheme}, no momentum")
            assert lr * row["safe_step"] == pytest.approx(problem.fact(f"safe_step[{scheme}]"), rel=1e-6, abs=1e-6)


def test_eigenvalues_that_coincide_in_a_block_that_cannot_be_diagonalised_are_found_to_the_root_of_rounding() -> None:
    """R1 of weight 1 makes the Dirac-GAN critical, -1/2 twice: there the error is the square root of rounding."""
    problem = load("dirac-gan", r1=1.0, **AT_ZERO)
    found = sx.spectrum(problem.field(), k=2)
    assert_same_spectrum(found.modes.values, torch.tensor([-0.5, -0.5]), 2e-8)
    rows = sx.diagnose(problem, method=sx.Method(SGD(0.05), Simultaneous()), own_steps=0)["stability"]["rows"]
    assert 0.05 * rows[0]["safe_step"] == pytest.approx(4.0, rel=1e-6)


def test_a_cycle_that_the_spectrum_cannot_see_is_called_marginal() -> None:
    assert sx.spectrum(load("dirac-gan", loss="non-saturating", **AT_ZERO).field()).verdict == "marginal"
