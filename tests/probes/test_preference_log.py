"""Logs of preference runs: what is read, what is found, and with which confidence."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from separatrix.errors import InputError
from separatrix.probes import PreferenceLog, preference_run


def log_of(chosen, rejected, names=("logps/chosen", "logps/rejected"), every=10):
    rows = [{"loss": 0.5, "step": 0}]  # entries without log-probabilities are left out
    rows += [
        {"step": every * i, names[0]: float(c), names[1]: float(r)}
        for i, (c, r) in enumerate(zip(chosen, rejected, strict=True))
    ]
    return rows


def series(seed=0, count=60, noise=0.0):
    """The chosen rises by 1 until a third, then falls by 3; the rejected falls by 9."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 1, count)
    chosen = -20 + np.where(t < 1 / 3, 3 * t, 1 - 4.5 * (t - 1 / 3))
    rejected = -22 - 9 * t
    return chosen + noise * rng.normal(size=count), rejected + noise * rng.normal(size=count)


def test_a_displaced_run_is_told_with_its_turn_and_a_remedy():
    found = preference_run(log_of(*series(noise=0.1)), beta=0.5)
    assert found.displaced == "yes"
    assert found.chosen_change.value == pytest.approx(-2, abs=0.4)
    assert found.rejected_change.value == pytest.approx(-9, abs=1.0)
    low, high = found.falls_between
    assert low <= 200 <= high
    assert abs(found.falls_from - 200) <= 40
    assert found.asymmetry != found.asymmetry
    assert "likelihood term" in found.remedy
    assert "saturated" in found.remedy
    assert "less likely although the margin grew" in found.sentence
    assert "saturated" not in preference_run(log_of(*series(noise=0.1)), beta=0.1).remedy


def test_the_asymmetry_of_a_healthy_run_is_the_ratio_of_both_changes():
    t = np.linspace(0, 1, 50)
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(20):
        found = preference_run(log_of(2 * t + 0.1 * rng.normal(size=50), -5 * t + 0.1 * rng.normal(size=50)))
        assert (found.displaced, found.falls_from, found.remedy) == ("no", None, "")
        hits += abs(found.asymmetry - 2.5) <= 3 * found.asymmetry_stderr
    assert hits >= 19
    assert "times as fast as the chosen rises" in found.sentence


def test_noise_alone_is_undecided_and_has_no_turn():
    wrong = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        found = preference_run(log_of(rng.normal(size=40), rng.normal(size=40)))
        wrong += found.displaced != "undecided" or found.falls_from is not None
    assert wrong <= 2


def test_turns_lie_where_they_are_said_to_lie():
    inside = 0
    for seed in range(30):
        found = preference_run(log_of(*series(seed, noise=0.3)))
        # Noise that looks as if it had a memory leaves a turn undecided.
        inside += found.falls_between is not None and found.falls_between[0] <= 200 <= found.falls_between[1]
    assert inside >= 28


def test_a_chosen_that_falls_all_along_falls_from_the_first_step():
    t = np.linspace(0, 1, 30)
    found = preference_run(log_of(-t, -3 * t))
    assert found.falls_from == 0


def test_exchanged_answers_are_suspected():
    chosen, rejected = series()
    assert "exchanged" in preference_run(log_of(rejected, chosen)).remedy


def test_logs_of_every_form_are_read(tmp_path):
    rows = log_of(*series())
    wanted = preference_run(rows)
    lines = tmp_path / "log.jsonl"
    lines.write_text("\n".join(json.dumps(row) for row in rows))
    state = tmp_path / "trainer_state.json"
    state.write_text(json.dumps({"log_history": rows, "epoch": 1}))
    pandas = SimpleNamespace(to_dict=lambda kind: rows if kind == "records" else None)
    polars = SimpleNamespace(to_dicts=lambda: rows)
    callback = PreferenceLog()
    callback.on_train_begin(None, None, None)
    for row in rows:
        callback.on_log(
            None, SimpleNamespace(global_step=row["step"]), None, logs={k: v for k, v in row.items() if k != "step"}
        )
    loop = PreferenceLog()
    for row in rows[1:]:
        loop(
            row["step"], torch.full((4,), row["logps/chosen"], dtype=torch.float64), torch.tensor(row["logps/rejected"])
        )
    for source in (lines, str(state), pandas, polars, callback, {"log_history": rows}):
        assert preference_run(source).sentence == wanted.sentence
    assert preference_run(loop).falls_from == wanted.falls_from
    rewards = preference_run(log_of(*series(), names=("rewards/chosen", "rewards/rejected")))
    assert rewards.unit == "reward"
    named = preference_run(log_of(*series(), names=("good", "bad")), chosen="good", rejected="bad")
    assert named.sentence == wanted.sentence
    assert json.dumps(wanted.section())


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ([{"step": 1, "loss": 2.0}], "no entry holds the log-probabilities.*the log has loss, step"),
        (log_of(range(5), range(5)), "5 entries hold 'logps/chosen'.*at least 8"),
        (log_of([*range(8), float("nan")], range(9)), "it must be finite"),
        (3, "a preference log is a list of dicts.*got a int"),
        ("nowhere.jsonl", "there is no log at nowhere.jsonl"),
    ],
)
def test_logs_that_say_nothing_are_refused(log, message):
    with pytest.raises(InputError, match=message):
        preference_run(log)


def test_damaged_files_and_half_named_columns_are_refused(tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text("{not json")
    with pytest.raises(InputError, match="neither JSON lines nor JSON"):
        preference_run(bad)
    with pytest.raises(InputError, match="give both names"):
        preference_run(log_of(*series()), chosen="a")


@pytest.mark.parametrize("memory", [0.0, 0.8])
def test_errors_cover_what_smoothed_logs_move_by_chance(memory):
    """A log smoothed with weight 0.8 wanders six times as far as its second differences let expect."""
    rng, hits = np.random.default_rng(5), 0
    for _ in range(40):
        noise = rng.normal(size=250)
        for i in range(1, 250):
            noise[i] += memory * noise[i - 1]
        found = preference_run(log_of(-20 + noise[50:], -22 - np.linspace(0, 9, 200)))
        hits += abs(found.chosen_change.value) <= 3 * found.chosen_change.stderr
    assert hits >= 37


class Frame:
    """A data frame as far as logs go: what an entry does not hold is NaN."""

    def __init__(self, rows):
        keys = {key: None for row in rows for key in row}
        self.rows = [{key: row.get(key, float("nan")) for key in keys} for row in rows]

    def to_dict(self, orient):
        assert orient == "records"
        return self.rows


def test_tables_are_read_and_their_gaps_left_out(tmp_path):
    rows = log_of(*series(noise=0.1))
    rows.insert(10, {"step": 95, "eval_logps/chosen": -3.0, "eval_logps/rejected": -4.0})
    wanted = preference_run(rows).sentence
    keys = {key: None for row in rows for key in row}
    for suffix, mark in ((".csv", ","), (".tsv", "\t")):
        lines = [mark.join(keys)] + [mark.join(str(row.get(key, "")) for key in keys) for row in rows]
        (tmp_path / f"log{suffix}").write_text("\n".join(lines))
        assert preference_run(tmp_path / f"log{suffix}").sentence == wanted
    assert preference_run(Frame(rows)).sentence == wanted
    chosen, rejected = series(noise=0.1)
    columns = {"step": 10 * np.arange(60), "chosen": chosen, "rejected": rejected.tolist()}
    assert preference_run(columns).sentence == wanted


@pytest.mark.parametrize(
    ("log", "error"),
    [
        ([{"chosen": "x", "rejected": 1}] * 9, "'chosen' is 'x' in entry 0"),
        ({"chosen": [1.0, 2.0], "rejected": [1.0]}, "have one length"),
        ([{"chosen": 1.0, "rejected": float("nan")}] * 9, "must be finite"),
    ],
)
def test_what_is_no_number_is_named(log, error):
    with pytest.raises(InputError, match=error):
        preference_run(log)


def test_a_wrong_name_lists_what_the_log_has():
    with pytest.raises(InputError, match=r"no entry holds both 'good' and 'bad'; the log has .*logps/chosen"):
        preference_run(log_of(*series()), chosen="good", rejected="bad")
