"""Portraits of preference losses and the course of a run."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from separatrix.errors import InputError
from separatrix.fields.preferences import dpo, orpo
from separatrix.probes import preference_run
from separatrix.report import preference_course, preference_portrait, preference_portraits


def path_of(ax):
    return next(line for line in ax.lines if line.get_label() == "descent in this chart").get_xydata()


def test_descent_is_an_arc_in_ratios_and_straight_in_logs():
    ratio = path_of(preference_portrait(dpo(), "ratio"))
    assert np.allclose((ratio**2).sum(1), 2, atol=1e-3)
    assert ratio[-1, 1] < 0.1
    log = path_of(preference_portrait(dpo(), "log"))
    assert np.allclose(log.sum(1), 0, atol=1e-6)
    assert path_of(preference_portrait(orpo(), "ratio"))[-1, 0] > 0.9
    plt.close("all")


def test_portraits_stand_side_by_side_in_both_charts():
    axes = preference_portraits([dpo(), orpo()])
    assert [ax.get_title() for ax in axes] == ["DPO", "ORPO", "DPO", "ORPO"]
    assert axes[1].get_xlabel() == "chosen, probability"
    assert axes[2].get_xlabel() == "chosen, log ratio"
    plt.close("all")
    with pytest.raises(InputError, match="no loss"):
        preference_portraits([])


def test_the_course_marks_where_the_chosen_begins_to_fall():
    t = np.linspace(0, 1, 40)
    rows = [
        {"step": i, "chosen": float(c), "rejected": float(-5 * s)}
        for i, (c, s) in enumerate(zip(t - 2 * t**2, t, strict=True))
    ]
    ax = preference_course(preference_run(rows))
    assert [text.get_text() for text in ax.texts] == [f"chosen falls from step {preference_run(rows).falls_from:g}"]
    assert ax.get_ylabel() == "change of the mean log-probability"
    plt.close("all")
