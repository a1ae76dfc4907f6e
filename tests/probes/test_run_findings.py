"""Findings of runs: each threshold on both sides, in evidence made by hand; and the healthy have none."""

import re
from dataclasses import replace
from math import inf, nan
from pathlib import Path

import pytest
import torch

from separatrix.probes import run_critic_findings, run_step_findings, run_term_findings
from separatrix.probes import run_findings as judge
from separatrix.probes.coverage import Coverage
from separatrix.probes.critic import Critic
from separatrix.probes.critic_room import CriticRoom
from separatrix.probes.critic_units import LayerUnits
from separatrix.probes.critical_step import CriticalStep
from separatrix.probes.evidence import Evidence
from separatrix.probes.futures import Futures
from separatrix.probes.koopman import SlowMode, SlowModes, resdmd
from separatrix.probes.trade_offs import TradeOffs
from separatrix.probes.update_noise import UpdateNoise
from separatrix.probes.update_shares import TermShare, UpdateShares

CRITIC = Critic(
    scores={"real": (0.3, 0.2), "held_out": (0.27, 0.2), "generated": (0.0, 0.2)},
    auc=0.82,
    auc_stderr=0.015,
    memory=0.53,
    memory_stderr=0.02,
    r_v=0.1,
    r_v_stderr=0.05,
    r_t=0.3,
    slopes={"real": 0.3, "held_out": 0.3, "generated": 0.3},
    flat=0.0,
    units={"0": LayerUnits(10, 0, 0)},
    coverage=Coverage(0.5, 0.02, 0.9, 0.9),
    counts={"real": 360},
)
ROOM = CriticRoom(0.82, 0.015, {1.0: 0.85, 10.0: 0.8}, 50, 1.2, 1.386)
NOISE = UpdateNoise("D", 0.9, 0.03, (0.03, 0.031, 0.029), {0.1: 0.02, 0.01: 0.003}, 1.3, 1.386, 30, 4)
STEP = CriticalStep("D", 1.1, 0.9, 1.4, (1.1,), -0.01, 0.004, 0.2, {})


def shares(cancelled: float = 0.1, length: float = 0.4, share: float = 0.2) -> UpdateShares:
    terms = {
        "adv": TermShare("adv", 1.28, 1 - share, 0.02, 1.0, -0.01),
        "r1": TermShare("r1", 0.05, share, 0.02, length, 0.0),
    }
    return UpdateShares("D", terms, torch.eye(2), torch.eye(2), cancelled, {}, "optimizer")


def trade(r1: float = -0.0175, price: float = 0.03, adv: float = -0.04, back: float = 0.08) -> TradeOffs:
    changes = {"adv": {"adv": adv, "r1": back}, "r1": {"adv": price, "r1": r1}}
    return TradeOffs("D", {"adv": 1.28, "r1": 0.05}, changes, 20)


HEALTHY = Evidence(
    critical_steps={"D": STEP},
    shares={"D": shares()},
    trade_offs={"D": trade()},
    noise={"D": NOISE},
    critic=CRITIC,
    room=ROOM,
)


def codes(evidence: Evidence) -> list[str]:
    return [f.code for f in judge.findings_of(evidence)]


def modes(kept: float, share: float) -> SlowModes:
    x = torch.eye(2, dtype=torch.float64)
    mode = SlowMode(complex(0.99, 0.1), 0.999, 0.001, 60.0, 2.0, kept, 0.1, 0.0, 0.01, {"": share}, True)
    return SlowModes((mode,), 100, 4, True, resdmd(x, 0.9 * x))


def test_healthy_evidence_and_no_evidence_have_no_finding() -> None:
    assert codes(HEALTHY) == []
    assert codes(Evidence()) == []


@pytest.mark.parametrize(
    ("code", "below", "above"),
    [
        ("critic-dead", {"critic": replace(CRITIC, flat=0.89)}, {"critic": replace(CRITIC, flat=0.9)}),
        (
            "critic-dead",
            {"critic": replace(CRITIC, units={"0": LayerUnits(100, 60, 29)})},
            {"critic": replace(CRITIC, units={"0": LayerUnits(100, 60, 30)})},
        ),
        (
            "critic-overfits",
            {"critic": replace(CRITIC, r_v=0.49, memory=0.9)},
            {"critic": replace(CRITIC, r_v=0.51, memory=0.9)},
        ),
        (
            "critic-overfits",
            {"critic": replace(CRITIC, r_v=0.9, memory=0.68)},
            {"critic": replace(CRITIC, r_v=0.9, memory=0.70)},
        ),
        (
            "critic-too-weak",
            {"room": replace(ROOM, before=0.3, after={1.0: 0.5, 10.0: 0.69})},
            {"room": replace(ROOM, before=0.3, after={1.0: 0.5, 10.0: 0.71})},
        ),
        (
            "critic-too-strong",
            {"room": replace(ROOM, before=0.999, before_stderr=0.001, loss=0.08)},
            {"room": replace(ROOM, before=0.999, before_stderr=0.001, loss=0.06)},
        ),
        (
            "critic-too-strong",
            {"room": replace(ROOM, before=0.98, before_stderr=0.001, loss=0.01)},
            {"room": replace(ROOM, before=0.983, before_stderr=0.001, loss=0.01)},
        ),
        (
            "step-beyond-limit",
            {"noise": {"D": replace(NOISE, loss=10.0, potential=0.0, slower={0.1: 4.9})}},
            {"noise": {"D": replace(NOISE, loss=10.0, potential=0.0, slower={0.1: 5.1})}},
        ),
        (
            "step-beyond-limit",
            {"critical_steps": {"D": replace(STEP, value=0.68, high=0.9, share_that_rise=1.0)}},
            {"critical_steps": {"D": replace(STEP, value=0.65, high=0.9, share_that_rise=1.0)}},
        ),
        (
            "mode-collapse",
            {"critic": replace(CRITIC, coverage=Coverage(0.44, 0.01, 0.9, 0.2))},
            {"critic": replace(CRITIC, coverage=Coverage(0.42, 0.01, 0.9, 0.2))},
        ),
        (
            "mode-collapse",
            {"critic": replace(CRITIC, coverage=Coverage(0.1, 0.01, 0.9, 0.51))},
            {"critic": replace(CRITIC, coverage=Coverage(0.1, 0.01, 0.9, 0.49))},
        ),
        (
            "noise-dominated",
            {"noise": {"D": replace(NOISE, potential=0.5, gains=(0.0, 0.19, 0.38))}},
            {"noise": {"D": replace(NOISE, potential=0.5, gains=(0.0, 0.21, 0.42))}},
        ),
        (
            "noise-dominated",
            {"noise": {"D": replace(NOISE, potential=0.0, gains=(-0.13, 0.0, 0.13))}},
            {"noise": {"D": replace(NOISE, potential=0.0, gains=(-0.14, 0.0, 0.14))}},
        ),
        (
            "noise-dominated",
            {"futures": {"D": Futures("D", 1.0, 0.5, (0.71, 1.0, 1.29), 30)}},
            {"futures": {"D": Futures("D", 1.0, 0.5, (0.69, 1.0, 1.31), 30)}},
        ),
        (
            "noise-dominated",
            {"futures": {"D": Futures("D", 1.0, 0.5, (1.9, 2.3, 2.7), 30)}},
            {"futures": {"D": Futures("D", 1.0, 0.5, (1.7, 2.3, 2.9), 30)}},
        ),
        (
            "term-imbalance",
            {"shares": {"D": shares(length=0.051, share=0.01)}},
            {"shares": {"D": shares(length=0.049, share=0.01)}},
        ),
        ("term-imbalance", {"trade_offs": {"D": trade(price=0.5)}}, {"trade_offs": {"D": trade(price=0.6)}}),
        (
            "conflicting-objectives",
            {"shares": {"D": shares(cancelled=0.79)}, "trade_offs": {"D": trade(price=0.4, adv=-0.4, back=0.4)}},
            {"shares": {"D": shares(cancelled=0.81)}, "trade_offs": {"D": trade(price=0.4, adv=-0.4, back=0.4)}},
        ),
        ("undamped-rotation", {"modes": modes(0.59, 0.9)}, {"modes": modes(0.61, 0.9)}),
        ("undamped-rotation", {"modes": modes(0.9, 0.29)}, {"modes": modes(0.9, 0.31)}),
    ],
)
def test_each_threshold_parts_what_has_the_finding_from_what_has_not(
    code: str, below: dict[str, object], above: dict[str, object]
) -> None:
    assert code not in codes(replace(HEALTHY, **below))  # type: ignore[arg-type]
    found = judge.findings_of(replace(HEALTHY, **above))  # type: ignore[arg-type]
    (finding,) = [f for f in found if f.code == code]
    assert finding.sentence
    assert finding.remedy
    assert finding.source
    assert finding.threshold is not None


def test_a_rise_that_noise_explains_is_no_step_too_large() -> None:
    step = replace(STEP, value=0.3, high=0.5, share_that_rise=1.0)
    noisy = replace(HEALTHY, critical_steps={"D": step}, noise={"D": replace(NOISE, batches=inf)})
    assert codes(noisy) == []


def test_an_update_that_goes_uphill_from_its_start_is_not_too_long() -> None:
    uphill = replace(STEP, value=1 / 16, low=1 / 16, high=1 / 16, share_that_rise=1.0)
    assert codes(replace(HEALTHY, critical_steps={"D": uphill})) == []
    short = replace(uphill, value=0.1, high=0.2)
    assert codes(replace(HEALTHY, critical_steps={"D": short})) == ["step-beyond-limit"]


def test_a_loss_that_is_small_against_that_of_a_player_which_says_nothing_is_not_held_up_by_its_step() -> None:
    learnt = replace(NOISE, loss=0.05, potential=0.01, slower={0.1: 0.045})
    assert codes(replace(HEALTHY, noise={"D": learnt})) == []
    assert codes(replace(HEALTHY, noise={"D": replace(learnt, flat_loss=nan)})) == ["step-beyond-limit"]


def test_own_steps_that_run_away_where_slower_ones_do_not_are_too_large() -> None:
    away = replace(NOISE, potential=-inf, slower={0.1: 0.02, 0.01: -inf})
    assert codes(replace(HEALTHY, noise={"D": away})) == ["step-beyond-limit"]


def test_a_critic_without_held_out_samples_is_not_said_to_remember() -> None:
    bare = replace(CRITIC, r_v=None, r_v_stderr=None, memory=None, memory_stderr=None)
    assert codes(replace(HEALTHY, critic=bare)) == []


def test_a_wasserstein_critic_whose_flat_loss_is_zero_is_not_judged_by_it() -> None:
    room = replace(ROOM, before=1.0, before_stderr=0.0, loss=-5.0, flat_loss=0.0)
    assert codes(replace(HEALTHY, room=room)) == []


def test_a_gain_that_ran_away_or_is_unknown_decides_nothing() -> None:
    assert codes(replace(HEALTHY, noise={"D": replace(NOISE, slower={0.1: -inf})})) == []
    assert codes(replace(HEALTHY, noise={"D": replace(NOISE, gains=(nan, nan))})) == []


def test_the_page_defines_every_finding_with_its_thresholds() -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs" / "runs.md").read_text(encoding="utf-8")
    critic, step, term = run_critic_findings, run_step_findings, run_term_findings
    code = "".join(Path(m.__file__).read_text(encoding="utf-8") for m in (critic, step, term))
    coded = dict(re.findall(r'Finding\(\s*"([\w-]+)",\s*"(note|warning|critical)"', code))
    coded["not-replayable"] = "warning"
    assert dict(re.findall(r"^\| `([\w-]+)` \| (\w+) \|", page, re.MULTILINE)) == coded
    for said in (
        f"{critic.DEAD:.0%} of",
        f"critical step below {step.CRITICAL:.2f}",
        f"at least {step.SLOWER:.0%} lower",
        f"`r_v` is at least {critic.OVERFIT:g}",
        f"AUC of training against held-out samples at least {critic.MEMORY:g}",
        f"by {critic.WEAK:g} and more",
        f"at least {critic.STRONG:g}",
        f"at most {critic.SATURATED:.0%} of",
        f"at least {term.CANCELLED:.0%} of the terms' gradients cancel",
        f"under {term.DROWNED:.0%} as long",
        f"{term.PRICE:g} times",
        f"at least {step.SPREAD:g} of",
        f"by at least {step.WORTH:.0%} of",
        f"spreads by {step.PARTED:.0%} of",
        f"coverage is at most {critic.COVERED:g} of",
        f"at least {step.KEPT:.0%} of a swing",
        f"{step.MOTION:.0%} of the motion",
    ):
        assert said in page, said
