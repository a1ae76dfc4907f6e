"""Growth and safe steps against closed forms."""

from dataclasses import replace
from math import inf, sqrt

import numpy as np
import pytest
import torch
from linear_games import modes_of, setting_of
from torch import Tensor

from separatrix.dynamics import (
    SGD,
    Alternating,
    Consensus,
    Extragradient,
    ExtragradientPlus,
    Frozen,
    Method,
    Mode,
    Optimistic,
    RungeKutta,
    Scheme,
    Simultaneous,
)
from separatrix.fields import Space
from separatrix.probes import Outlook, Reduced, outlook, outlooks, reduce, settle
from separatrix.probes.stability import bisect, describe, stability_section
from separatrix.zoo import load


def model(matrix: list[list[float]] | Tensor) -> Reduced:
    m = torch.as_tensor(matrix, dtype=torch.float64)
    sizes = {"x": len(m) - len(m) // 2, "y": len(m) // 2}
    return Reduced(m, Space.of_sizes(sizes), torch.zeros_like(m), {}, True)


def look(matrix: list[list[float]] | Tensor, scheme: Scheme, mode: Mode = Mode("none")) -> Outlook:  # noqa: B008
    return outlook(model(matrix), scheme, {"x": Frozen(1.0, mode), "y": Frozen(1.0, mode)}, 1.0)


def spiral(re: float, im: float) -> list[list[float]]:
    return [[re, -im], [im, re]]


ROTATION = spiral(0.0, 1.0)


@pytest.mark.parametrize("mu", [-0.5 + 1j, -0.1 + 2j, -1.5 + 0.1j])
def test_a_simultaneous_step_is_safe_up_to_twice_the_damping_over_the_square(mu: complex) -> None:
    """[mescheder2017, lemma 4]"""
    found = look(spiral(mu.real, mu.imag), Simultaneous())
    assert found.safe_step == pytest.approx(2 * abs(mu.real) / abs(mu) ** 2, rel=1e-7)
    assert found.growth == pytest.approx(abs(1 + mu), rel=1e-12)
    assert found.min_step is None


@pytest.mark.parametrize(
    ("scheme", "limit"),
    [
        (Simultaneous(), 2.0),
        (RungeKutta(2), 2.0),
        (RungeKutta(4), 2.785293563405282),  # z (1 + z / 2 + z^2 / 6 + z^3 / 24) = 0
        (Extragradient(), 1.0),
        (Extragradient(ahead=0.5), 2.0),
        (ExtragradientPlus(), 1.0),
        (Optimistic(), 2 / 3),
    ],
)
def test_modes_that_grow_in_the_flow_set_no_limit_though_each_method_makes_them_grow_in_its_own_way(
    scheme: Scheme, limit: float
) -> None:
    found = look(torch.diag(torch.tensor([0.44, 0.43, 0.26, 0.13, 0.12, 0.07, -1.0])), scheme)
    assert found.safe_step == pytest.approx(limit, rel=1e-6)


@pytest.mark.parametrize(("gamma", "sim", "alt"), [(0.3, 1.2, 2.976), (1.0, 4.0, 1.6569), (2.0, 1.0718, 0.9443)])
def test_alternation_helps_a_weakly_damped_critic_and_hurts_a_strongly_damped_one(
    gamma: float, sim: float, alt: float
) -> None:
    f = 0.5
    field = [[0.0, -f], [f, -gamma]]
    assert look(field, Simultaneous()).safe_step == pytest.approx(sim, abs=5e-5)
    exact = (-gamma + sqrt(gamma**2 + 4 * f**2)) / f**2
    assert look(field, Alternating()).safe_step == pytest.approx(exact, rel=1e-7)
    assert exact == pytest.approx(alt, abs=5e-4)


@pytest.mark.parametrize(
    ("scheme", "mode", "radius", "limit"),
    [
        (Simultaneous(), Mode("none"), lambda h: sqrt(1 + h * h), 0.0),
        (Alternating(), Mode("none"), lambda h: 1.0, 2.0),
        (Extragradient(), Mode("none"), lambda h: sqrt(1 - h**2 + h**4), 1.0),
        (Simultaneous(), Mode("heavy-ball", -0.5), None, 0.0),
        (Simultaneous(), Mode("heavy-ball", 0.5), None, 0.0),
        (Alternating(), Mode("heavy-ball", -0.5), None, 1.0),
    ],
)
def test_the_table_of_the_bilinear_game(scheme: Scheme, mode: Mode, radius, limit: float) -> None:  # type: ignore[no-untyped-def]
    found = look(ROTATION, scheme, mode)
    assert found.safe_step == pytest.approx(limit, rel=1e-7)
    for h in (0.1, 0.5):
        scaled = look(h * torch.tensor(ROTATION, dtype=torch.float64), scheme, mode)
        if radius is not None:
            assert scaled.growth == pytest.approx(radius(h), rel=1e-12)
        if limit:
            assert scaled.safe_step == pytest.approx(limit / h, rel=1e-7)


def test_numbers_of_negative_momentum_on_the_bilinear_game() -> None:
    tenth = 0.1 * torch.tensor(ROTATION, dtype=torch.float64)
    assert look(tenth, Alternating(), Mode("heavy-ball", -0.5)).growth == pytest.approx(0.998518, abs=1e-6)
    assert look(tenth, Simultaneous(), Mode("heavy-ball", -0.5)).growth == pytest.approx(1.00074, abs=5e-6)
    assert look(ROTATION, Alternating(), Mode("heavy-ball", -0.25)).growth == pytest.approx(0.8528, abs=5e-5)


@pytest.mark.parametrize(
    ("mode", "limit"),
    [
        (Mode("none"), 2.0),
        (Mode("heavy-ball", 0.9), 3.8),
        (Mode("nesterov", 0.5), 1.5),
        (Mode("averaged", 0.5), 6.0),
        (Mode("averaged", 0.9), 38.0),
        (Mode("averaged", 0.999), 3998.0),
    ],
)
def test_a_real_mode_meets_the_limit_of_its_base(mode: Mode, limit: float) -> None:
    assert mode.limit == pytest.approx(limit)
    found = look([[-1.0, 0.0], [0.0, -0.5]], Simultaneous(), mode)
    assert found.safe_step == pytest.approx(limit, rel=1e-7)
    assert found.limited_by == "overshooting of a stiff mode"


def test_averaged_momentum_turns_an_undamped_pair_into_growth_by_its_formula() -> None:
    """``y^2 (1 + b) / (2 (1 - b))`` a step."""
    y, b = 0.02, 0.5
    found = look(spiral(0.0, y), Simultaneous(), Mode("averaged", b))
    assert found.growth - 1 == pytest.approx(y * y * (1 + b) / (2 * (1 - b)), rel=0.02)
    assert found.safe_step == 0.0
    assert found.limited_by == "a rotation that grows at every step size"


def test_a_weakly_damped_rotation_has_a_small_safe_step_and_not_none() -> None:
    # Growth of 1e-10 counts as none, which is 1e-7 of a step for a damping of 1e-3.
    assert look(spiral(-1e-3, 1.0), Simultaneous()).safe_step == pytest.approx(2e-3, abs=1.1e-7)
    # Below the smallest step that is tried the answer is none.
    assert look(spiral(-1e-6, 1.0), Simultaneous()).safe_step == 0.0


def test_extragradient_on_a_slightly_outward_spiral_has_a_smallest_safe_step() -> None:
    a = 0.05
    found = look(spiral(a, 1.0), Extragradient())

    def modulus(h: float) -> float:
        z = h * complex(a, 1.0)
        return abs(1 + z + z * z)

    assert found.min_step is not None
    assert 0 < found.min_step < found.safe_step < 1
    for border in (found.min_step, found.safe_step):
        assert modulus(border) == pytest.approx(1.0, abs=1e-8)
    assert modulus(0.5 * found.min_step) > 1 > modulus((found.min_step + found.safe_step) / 2)
    assert look(spiral(a, 1.0), Simultaneous()).safe_step == 0.0


def test_a_saddle_is_left_out_since_no_method_mends_it_and_a_spiral_outwards_is_not() -> None:
    saddle = torch.diag(torch.tensor([0.3, -1.0], dtype=torch.float64))
    for scheme in (Simultaneous(), Alternating()):
        assert look(saddle, scheme).safe_step == pytest.approx(2.0, rel=1e-7)
        assert look(saddle, scheme).growth == pytest.approx(0.0, abs=1e-12)
    for mode in (Mode("averaged", 0.5), Mode("averaged", 0.9), Mode("heavy-ball", 0.9)):
        assert look(saddle, Simultaneous(), mode).safe_step == pytest.approx(mode.limit, rel=1e-7)
    assert look(saddle, Extragradient()).safe_step == pytest.approx(1.0, rel=1e-7)
    # On each side of as much growth as turning.
    assert look(spiral(0.1, 0.11), Simultaneous()).safe_step == 0.0
    assert look(spiral(0.1, 0.11), Simultaneous()).growth > 1
    assert look(spiral(0.1, 0.09), Simultaneous()).safe_step == inf


def test_a_saddle_beside_a_rotation_does_not_hide_it() -> None:
    matrix = torch.block_diag(torch.tensor([[0.4]]), torch.tensor(spiral(0.0, 0.5))).double()
    assert look(matrix, Simultaneous()).growth == pytest.approx(sqrt(1.25), rel=1e-12)


def test_where_nothing_moves_every_step_is_safe() -> None:
    found = look([[0.0, 0.0], [0.0, 0.0]], Simultaneous())
    assert (found.growth, found.safe_step, found.min_step, found.limited_by) == (1.0, inf, None, "no limit found")


def test_bisection_finds_the_border_and_stays_inside() -> None:
    found = bisect(lambda s: s <= 1.2345, 1.0, 2.0)
    assert 1.2345 * (1 - 1e-8) < found <= 1.2345


def test_the_running_method_comes_first_and_every_name_once() -> None:
    setting = setting_of(
        torch.tensor(spiral(-0.1, 1.0), dtype=torch.float64),
        {"x": 1, "y": 1},
        SGD(0.1, momentum=0.5),
        Alternating(("y", "x")),
    )
    small = reduce(setting.operator, setting.field.space, modes_of(setting))
    rows = outlooks(small, setting.frozen, setting.method.scheme, setting.seen, 1.0)  # type: ignore[arg-type, union-attr]
    names = [r.method for r in rows]
    assert names[0] == "alternating, momentum 0.5"
    assert [r.running for r in rows] == [True] + [False] * 5
    assert len(set(names)) == len(names) == 6
    assert {r.method: r.gradients for r in rows}["extragradient, no momentum"] == 2.0


def test_alternatives_in_a_transformed_field_are_billed_what_the_transform_costs() -> None:
    setting = settle(load("quadratic").field(), Method(SGD(0.1), Extragradient(), (Consensus(0.1),)))
    small = reduce(setting.operator, setting.field.space, modes_of(setting))
    gradients = setting.method.gradients(setting.field)  # type: ignore[union-attr]
    rows = outlooks(small, setting.frozen, Extragradient(), setting.seen, gradients)  # type: ignore[arg-type]
    cost = {r.method: r.gradients for r in rows}
    assert cost["extragradient, no momentum"] == gradients == 6.0
    assert cost["simultaneous, no momentum"] == 3.0


def test_names_tell_momenta_and_repeats() -> None:
    bases = {"x": Frozen(1.0, Mode("averaged", 0.5)), "y": Frozen(1.0, Mode("none"))}
    assert describe(Alternating(repeats={"y": 5}), bases) == "alternating y x5, momentum 0 / 0.5"
    assert describe(Extragradient(), {"y": bases["y"]}) == "extragradient, no momentum"


def row(safe: float, *, growth: float = 1.0, limiting: complex | None = -1.1, running: bool = True) -> Outlook:
    return Outlook("m" if running else "other", growth, 1.0, safe, None, limiting, running)


ONE = torch.ones(1, 1, dtype=torch.float64)
EXACT = Reduced(-ONE, Space.of_sizes({"x": 1}), 0 * ONE, {"x": ONE}, True)


@pytest.mark.parametrize(
    ("safe", "words"),
    [
        (0.0, "no step size keeps its resolved modes bounded"),
        (inf, "no limit of its step was found"),
        (2.0, "could grow 2.0 times before overshooting of a stiff mode takes over"),
        (1.0, "could grow 1.0 times"),
        (0.5, "is 2.0 times too large for overshooting of a stiff mode"),
    ],
)
def test_the_sentence_says_on_which_side_of_its_limit_the_step_is(safe: float, words: str) -> None:
    section = stability_section([row(safe)], EXACT)
    assert words in section["sentence"]  # type: ignore[operator]
    (only,) = section["rows"]  # type: ignore[misc]
    assert only["safe_step"] == (None if safe == inf else safe)


def test_a_better_alternative_is_named_and_a_worse_one_is_not() -> None:
    assert (
        "other would do best" in stability_section([row(1.0), row(1.0, growth=0.9, running=False)], EXACT)["sentence"]
    )  # type: ignore[operator]
    assert "would do best" not in stability_section([row(1.0), row(1.0, growth=1.1, running=False)], EXACT)["sentence"]  # type: ignore[operator]


def test_what_limits_is_told_by_the_multiplier_that_leaves() -> None:
    assert row(1.0, limiting=np.exp(0.3j)).limited_by == "a rotation of 0.3 rad per step"
    assert row(1.0, limiting=1.1).limited_by == "a mode that grows without turning"
    assert row(1.0, limiting=-1.1).limited_by == "overshooting of a stiff mode"
    assert row(0.0, limiting=np.exp(0.3j)).limited_by == "a rotation that grows at every step size"
    assert row(1.0, limiting=None).limited_by == "no limit found"


def test_methods_are_not_ranked_by_a_contraction_that_slow_modes_may_not_share() -> None:
    partial = replace(EXACT, exact=False)
    rows = [row(1.0, growth=0.99), row(1.0, growth=0.9, running=False)]
    assert "would do best" in stability_section(rows, EXACT)["sentence"]  # type: ignore[operator]
    said = stability_section(rows, partial)["sentence"]
    assert "would do best" not in said  # type: ignore[operator]
    assert "slower ones may contract less" in said  # type: ignore[operator]
    growing = [row(1.0, growth=1.2), row(1.0, growth=0.9, running=False)]
    assert "would do best" in stability_section(growing, partial)["sentence"]  # type: ignore[operator]
