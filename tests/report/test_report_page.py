"""The parts that every form of the report shares, and the figures."""

import doctest
import importlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import fixture
import numpy as np
import pytest

from separatrix.errors import InputError
from separatrix.probes import findings
from separatrix.probes.record import Diagnosis
from separatrix.report import figures, glance, page, signature_plot, to_html, to_markdown, to_text
from separatrix.report.references import WORKS, cited
from separatrix.report.tables import TABLES
from separatrix.report.words import explained


@pytest.mark.parametrize("name", ["report", "probes.numbers", "report.regions", "report.references", "report.words"])
def test_the_examples_in_the_docstrings_hold(name: str) -> None:
    module = importlib.import_module(f"separatrix.{name}")
    assert doctest.testmod(module, optionflags=doctest.ELLIPSIS).failed == 0


def test_every_section_has_its_part_and_missing_ones_say_so() -> None:
    found = {part.key: part for part in page.parts(fixture.gaps())}
    assert set(found) == set(page.PARTS) - page.OPTIONAL
    assert found["spectrum"].missing == "the budget of 12 products was spent."
    assert found["cost"].missing == page.NO_REASON
    absent = dict(page.not_measured(found.values()))
    assert absent["Spectrum"] == "the budget of 12 products was spent."
    assert "sx.Problem(score" in absent["Score"]
    assert (
        absent[
            "A slice of the field, Sharpness, Stability of methods, Trust horizon, Forecast against fact, Best response, Method, Cost, Reproduce"
        ]
        == page.NO_REASON
    )
    assert list(absent)[-1].startswith("A slice")
    assert not found["interplay"].missing


def test_rows_of_a_table_are_as_long_as_its_head() -> None:
    for diagnosis in (fixture.gan(), fixture.alternating(), fixture.healthy(), fixture.gaps()):
        for part in page.parts(diagnosis):
            if part.table:
                assert {len(row) for row in part.table.rows} <= {len(part.table.columns)}, part.key


def test_a_section_in_another_shape_is_an_input_error_that_names_it() -> None:
    broken = replace(fixture.gan(), sections={**fixture.gan().sections, "interplay": {"players": ["G"]}})
    with pytest.raises(InputError, match=r"section 'interplay' .* is not in its shape \(KeyError: 'norms'\)"):
        list(page.parts(broken))


def test_notes_that_explain_a_gap_are_not_repeated() -> None:
    assert page.general_notes(fixture.gaps()) == []
    assert len(page.general_notes(fixture.gan())) == 1


def test_a_glance_shows_the_numbers_that_decide() -> None:
    seen = {name: value for name, value, _ in glance.at_a_glance(fixture.gan())}
    assert seen == {
        "Growth of the rotation": "+0.82%",
        "Sharpness": "45%",
        "Rotation": "31%",
        "Twin runs": "+0.79%",
        "Best response": "0.670",
        "Trust horizon": "190 steps",
        "Fréchet distance": "41.3",
    }
    healthy = {name: value for name, value, _ in glance.at_a_glance(fixture.healthy())}
    assert (healthy["Slowest decay"], healthy["Trust horizon"]) == ("−20%", "≥ 190 steps")


def test_cited_works_are_found_by_key() -> None:
    assert "gidel2019negative" in cited(["[gidel2019negative, sec. 3]"])
    assert set(cited(["[nobody1900]", "a definition"])) <= set(WORKS)


def test_every_work_that_a_finding_cites_stands_on_the_page() -> None:
    text = Path(findings.__file__).read_text(encoding="utf-8")
    keys = set(re.findall(r"\[([a-z]{3,}\d{4}\w*)", text))
    assert {"grnarova2019", "mescheder2018", "cohen2022"} <= keys
    assert keys <= set(WORKS)


@pytest.mark.parametrize(
    ("verdict", "lead", "rest"),
    [
        ("Undamped rotation. A mode turns. Also: more.", "Undamped rotation", "A mode turns. Also: more."),
        ("It grows by 0.82% per step.", "It grows by 0.82% per step.", ""),
        ("One " * 13 + "end. Rest.", "One " * 13 + "end. Rest.", ""),
    ],
)
def test_a_short_first_sentence_is_the_headline(verdict: str, lead: str, rest: str) -> None:
    assert glance.headline(replace(fixture.healthy(), verdict=verdict)) == (lead, rest)


def test_no_limit_and_no_safe_step_are_told_apart() -> None:
    def shown(low: float | None, high: float | None) -> str:
        row = {**fixture.gan().sections["stability"]["rows"][0], "min_step": low, "safe_step": high}
        return TABLES["stability"]({"rows": [row]}).rows[0][1]

    found = [shown(*ends) for ends in [(None, 0.0), (None, None), (0.2, None), (None, 0.37), (0.12, 2.1)]]
    assert found == ["none", "no limit found", "from 0.200 ×", "up to 0.370 ×", "0.120 to 2.10 ×"]


def test_a_forecast_shows_growth_over_all_its_steps_and_its_skill() -> None:
    rows = TABLES["forecast"](fixture.gan().sections["forecast"]).rows
    assert rows[0] == ("1.005 + 0.076i", "190", "× 4.7", "× 4.4", "14.3", "14.1", "0.98")
    assert rows[1][2:4] == ("−97%", "−94%")


def test_the_horizons_table_has_only_the_columns_that_were_measured() -> None:
    table = TABLES["horizon"](fixture.gan().sections["horizon"])
    assert table.columns == ("steps", "error of growth rates", "unexplained share", "drift of the preconditioner")
    assert table.rows[-1] == ("300", "95%", "72%", "12%")
    assert TABLES["horizon"](fixture.healthy().sections["horizon"]).columns == table.columns[:2]


@pytest.mark.parametrize(
    "draw",
    [
        figures.signature,
        figures.interplay,
        figures.slice_figure,
        figures.sharpness,
        figures.stability,
        figures.horizon,
        figures.best_response,
        figures.samples,
    ],
)
def test_a_figure_takes_a_diagnosis_or_a_section_and_returns_its_axes(draw: object) -> None:
    import matplotlib.pyplot as plt

    diagnosis = fixture.gan()
    ax = plt.figure().add_subplot()
    name = {"slice_figure": "slice"}.get(draw.__name__, draw.__name__)  # type: ignore[attr-defined]
    assert draw(diagnosis, ax) is ax  # type: ignore[operator]
    assert draw(diagnosis.sections[name]) is not ax  # type: ignore[operator]


def test_a_figure_of_a_missing_section_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="no section 'slice'"):
        figures.slice_figure(fixture.gaps())


@pytest.mark.parametrize("draw", [figures.signature, figures.interplay, figures.slice_figure])
def test_circles_are_round(draw: object) -> None:
    assert draw(fixture.gan()).get_aspect() == 1  # type: ignore[operator]


def test_the_edge_of_stability_is_magnified_where_modes_crowd_there() -> None:
    assert signature_plot.near_radius(fixture.gan().sections["signature"]) == pytest.approx(0.15)
    assert signature_plot.near_radius(fixture.alternating().sections["signature"]) == pytest.approx(0.1)
    assert signature_plot.near_radius(fixture.healthy().sections["signature"]) is None


def test_colour_samples_keep_their_colours_and_the_last_row_is_filled() -> None:
    images = [[255, 0, 0] * 4, [0, 255, 0] * 4, [0, 0, 255] * 4]
    grid = figures.sample_grid({"images": images, "height": 2, "width": 2, "channels": 3}, columns=2)
    assert grid.shape == (5, 5, 3)
    np.testing.assert_array_equal(grid[0, 0], [255, 0, 0])
    np.testing.assert_array_equal(grid[3, 0], [0, 0, 255])
    np.testing.assert_array_equal(grid[4, 4], [128, 128, 128])


def test_figures_of_empty_tables_do_not_fail() -> None:
    for draw, section in [
        (figures.sharpness, {"rows": []}),
        (figures.stability, {"rows": []}),
        (figures.best_response, {"rows": []}),
    ]:
        draw(section)


def test_numbers_that_were_not_measured_leave_a_gap_in_the_figure() -> None:
    row = {"player": "G", "steps": 1, "gain_train": None, "gain_held_out": None}
    figures.best_response({"rows": [row]})
    figures.sharpness({"rows": [{"name": "joint", "value": 1.0, "residual": 0.1, "limit": None, "ratio": None}]})
    assert TABLES["best_response"]({"rows": [row]}).rows == (("G", "1", "–", "–"),)


def with_modes(points: list[tuple[complex, bool]], *, remaining: int | None = None, **changes: Any) -> Diagnosis:
    """The alternating GAN with other multipliers, and other findings where they are given."""
    found = fixture.alternating()
    rows = [{"real": m.real, "imag": m.imag, "residual": 1e-9, "converged": c, "label": ""} for m, c in points]
    signature = {**found.sections["signature"], "points": rows, "remaining": remaining}
    return replace(found, sections={**found.sections, "signature": signature}, **changes)


def test_the_first_tile_speaks_of_the_mode_that_the_first_finding_speaks_of() -> None:
    modes = [(1.05 + 0j, True), (1.01 * np.exp(0.1j), True), (1.3 + 0j, False)]
    turning = replace(fixture.FINDINGS[0], value=1.01)
    name, value, beside = glance.at_a_glance(with_modes(modes, findings=(turning,)))[0]
    assert (name, value) == ("Growth of the rotation", "+1.0%")
    assert "period of 63 steps" in beside
    other = replace(fixture.FINDINGS[1])
    assert glance.at_a_glance(with_modes(modes, findings=(other,)))[0][:2] == ("Fastest growth", "+5.0%")


@pytest.mark.parametrize(
    ("modulus", "remaining", "name"),
    [(1.0011, 1000, "Fastest growth"), (1.0009, 1000, "Leading mode"), (0.9989, 1000, "Slowest decay")],
)
def test_the_first_tile_calls_neutral_what_is_neutral(modulus: float, remaining: int, name: str) -> None:
    tile = glance.at_a_glance(with_modes([(modulus + 0j, True)], remaining=remaining, findings=()))[0]
    assert tile[0] == name
    assert ("neutral over 1000 steps" in tile[2]) == (name == "Leading mode")


def test_the_gain_shown_first_is_that_of_the_player_that_gains_least_for_its_loss() -> None:
    rows = [
        {"player": "G", "steps": 9, "gain_train": 0.5, "gain_held_out": None},
        {"player": "D", "steps": 9, "gain_train": 0.4, "gain_held_out": None},
    ]
    for losses, player in (({"G": 10.0, "D": 1.0}, "G"), ({"G": 1.0, "D": 1.0}, "D")):
        bare = replace(fixture.gaps(), sections={"best_response": {"rows": rows}, "problem": {"losses": losses}})
        assert glance.at_a_glance(bare) == [
            ("Best response", {"G": "0.500", "D": "0.400"}[player], f"training gain of {player}, which gains least")
        ]


def test_a_hidden_interaction_is_a_caveat_on_all_that_speaks_of_it() -> None:
    finding = replace(fixture.FINDINGS[1], code="detached", title="The players' interaction is hidden")
    found = replace(fixture.gan(), findings=(finding,))
    doubtful = {part.key for part in page.parts(found) if part.caveat}
    assert doubtful == page.OF_THE_INTERACTION - page.OPTIONAL
    assert "“The players' interaction is hidden”" in page.general_notes(found)[0]
    assert to_html(found).count('class="caveat"') == len(doubtful)
    assert "without those blocks" in to_markdown(found)
    assert "without those blocks" in to_text(found).replace("\n", " ")
    assert not any(part.caveat for part in page.parts(fixture.gan()))


def test_words_are_explained_where_they_stand() -> None:
    text = to_html(fixture.gan())
    finding = text[text.index("Undamped rotation that the momentum drives") :]
    assert "Words: " in finding[: finding.index("</li>")]
    assert [word for word, _ in explained("compare with the smooth twin")] == ["smooth twin"]
    assert explained("nothing of the kind") == []
    known = {word for part in page.parts(fixture.gan()) for word, _ in part.words}
    assert {"multiplier m", "residual", "skill", "gradient-equivalent"} <= known


def test_a_pair_is_one_row_and_a_lone_member_keeps_its_sign() -> None:
    spectrum = fixture.gan().sections["spectrum"]
    shown = [row[0] for row in TABLES["spectrum"](spectrum).rows]
    assert "−0.210 ± 0.110i" in shown
    assert len(shown) == 8
    lone = {**spectrum, "rows": [row for row in spectrum["rows"] if row["imag"] <= 0]}
    assert "−0.210 − 0.110i" in [row[0] for row in TABLES["spectrum"](lone).rows]
    assert TABLES["spectrum"](spectrum).columns[0] == "h·λ"
    plain = {**spectrum, "metric": "Jacobian, per unit of time"}
    assert TABLES["spectrum"](plain).columns[0] == "λ"


def test_where_no_step_is_safe_the_figure_shows_growth_and_otherwise_windows() -> None:
    rows = fixture.gan().sections["stability"]["rows"]
    none = [{**row, "safe_step": 0.0} for row in rows]
    ax = figures.stability({"rows": none})
    assert "no step is safe" in ax.get_xlabel()
    assert len([patch for patch in ax.patches if patch.get_width() > 0]) == sum(r["growth"] > 1 for r in rows)
    told = [text.get_text() for text in figures.stability({"rows": rows}).texts]
    assert "✕ no safe step (+0.82% per step at the present one)" in told
    for same in ([], [{**rows[0], "growth_per_gradient": 1.0}]):
        figures.stability({"rows": same})


def test_the_grid_of_samples_fills_its_last_row_where_it_can() -> None:
    def columns(count: int) -> int:
        return (figures.sample_grid({"images": [[0]] * count, "height": 1, "width": 1}).shape[1] + 1) // 2

    assert [columns(n) for n in (64, 40, 37, 5)] == [16, 10, 10, 5]


def test_a_share_below_zero_and_a_path_of_one_point_are_drawn_as_they_are() -> None:
    rows = [{"name": "G", "value": -0.1, "residual": 0.0, "limit": 2.0, "ratio": -0.05}]
    assert figures.sharpness({"rows": rows}).get_xlim()[0] < -0.05
    assert TABLES["sharpness"]({"rows": rows}).rows[0][-1] == "−5%"
    slice_ = {**fixture.gan().sections["slice"], "path": [[0.0, 0.0]]}
    told = [text.get_text() for text in figures.slice_figure(slice_).get_legend().get_texts()]
    assert told == ["measured here"]


def test_the_tile_of_a_score_says_which_way_is_better_and_leaves_the_rest_to_its_table() -> None:
    row = {"name": "modes", "value": 6.0, "sentence": "of the 10 digits; higher is better"}
    scored = replace(fixture.gaps(), sections={"score": {"rows": [row]}})
    assert glance.at_a_glance(scored) == [("Modes", "6.00", "higher is better")]
    assert TABLES["score"](scored.sections["score"]).rows[0][2] == "of the 10 digits; higher is better"
