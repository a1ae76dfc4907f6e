"""The page in Chromium: quiet, self-contained, round, reachable by keyboard, readable by everyone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fixture
import numpy as np
import pytest

from separatrix.report import regions, to_html

pytestmark = pytest.mark.browser
CASES = ["gan", "alternating", "healthy", "gaps"]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("pages")
    for case in CASES:
        (folder / f"{case}.html").write_text(to_html(getattr(fixture, case)()), encoding="utf-8")
    return {case: (folder / f"{case}.html").as_uri() for case in CASES}


@contextmanager
def opened(browser: Any, url: str, *, width: int = 1280, **options: Any) -> Iterator[Any]:
    """A page, with everything that went wrong and every address asked for in ``page.heard``."""
    context = browser.new_context(viewport={"width": width, "height": 900}, **options)
    page = context.new_page()
    page.heard = []
    page.on("console", lambda message: page.heard.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: page.heard.append(f"error: {error}"))
    page.on("dialog", lambda dialog: page.heard.append(f"dialog: {dialog.message}") or dialog.dismiss())
    page.on("request", lambda r: page.heard.append(r.url) if not r.url.startswith(("data:", url)) else None)
    page.goto(url)
    yield page
    context.close()


def says(page: Any) -> str:
    return str(page.locator("#signature-says").inner_text())


def slide(page: Any, name: str, value: float) -> None:
    page.locator(f"#{name}").evaluate(
        "(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }", value
    )


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_asked_for_and_nothing_complains(chromium: Any, pages: Any, case: str, scheme: str) -> None:
    with opened(chromium, pages[case], color_scheme=scheme) as page:
        slide(page, "step", 1)
        page.locator("#view-whole .mode").last.hover(timeout=5000)
        assert page.heard == []
        assert (
            page.evaluate("performance.getEntriesByType('resource').filter(r => !r.name.startsWith('data:')).length")
            == 0
        )


def test_the_policy_holds_and_forbids_eval(chromium: Any, pages: Any) -> None:
    with opened(chromium, pages["gan"]) as page:
        # Later, and from within: what runs while the driver evaluates is outside the policy.
        page.evaluate(
            "() => { const s = document.createElement('script');"
            "s.textContent = \"setTimeout(() => { try { eval('1'); window.tried = 'allowed' }\""
            ' + "catch (e) { window.tried = e.name } })";'
            "document.body.append(s); }"
        )
        page.wait_for_timeout(200)
        assert page.evaluate("window.tried") == "EvalError"
        blocked = "fetch('https://example.invalid/').then(() => 'sent', () => 'blocked')"
        assert page.evaluate(blocked) == "blocked"
        assert "2 of 11 measured modes grow" in says(page)


@pytest.mark.parametrize("width", [1280, 768, 390, 320])
@pytest.mark.parametrize("case", CASES)
def test_no_page_scrolls_sideways(chromium: Any, pages: Any, case: str, width: int) -> None:
    with opened(chromium, pages[case], width=width) as page:
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def assert_round(box: dict[str, float]) -> None:
    assert box["width"] > 50
    assert box["width"] == pytest.approx(box["height"], rel=0.01)


# In user units: the painted outline without its stroke.
OUTLINE = "e => { const b = e.getBBox(), s = e.getScreenCTM(); return {width: b.width * s.a, height: b.height * s.d} }"


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scripts", [True, False])
def test_the_unit_circle_is_round(chromium: Any, pages: Any, width: int, scripts: bool) -> None:
    with opened(chromium, pages["alternating"], width=width, java_script_enabled=scripts) as page:
        circle = page.locator("#view-whole .unit-circle" if scripts else "#signature-unit-circle path").first
        if scripts:
            assert_round(circle.evaluate(OUTLINE))
        assert_round(circle.bounding_box())


@pytest.mark.parametrize("step", [-4, 0, 4])
def test_the_circle_of_plain_descent_stays_round_at_every_step(chromium: Any, pages: Any, step: int) -> None:
    with opened(chromium, pages["gan"]) as page:
        slide(page, "step", step)
        box = page.locator("#view-whole .outline-0").evaluate(OUTLINE)
        assert box["width"] == pytest.approx(box["height"], rel=0.01)


def test_the_sliders_change_the_sentence_and_the_button_brings_it_back(chromium: Any, pages: Any) -> None:
    with opened(chromium, pages["gan"]) as page:
        measured = says(page)
        slide(page, "step", -2)
        assert says(page).startswith("At 0.25 × the step and momentum 0.5: 2 of 11 measured modes grow")
        slide(page, "step", 3)
        assert "changing sign" in says(page) or "factor" in says(page)
        slide(page, "momentum", 0.9)
        assert "momentum 0.9" in says(page)
        assert says(page) != measured
        page.locator("#reset").click()
        assert says(page) == measured
        assert page.locator("#signature-says").get_attribute("aria-live") == "polite"


def test_the_disc_picks_from_its_table_and_names_the_gap(chromium: Any, pages: Any) -> None:
    with opened(chromium, pages["alternating"]) as page:
        assert says(page).startswith(
            "At 1.0 × the step and momentum 0.5: 2 of 11 measured modes grow; the fastest by 0.55%"
        )
        slide(page, "step", 4)
        assert "At 4.0 × the step and momentum 0.5 (reduced model, off by 0.0012 where it was measured)" in says(page)
        slide(page, "momentum", 0)
        assert "momentum 0 (" in says(page)


def test_the_keyboard_reaches_the_sliders_and_moves_them(chromium: Any, pages: Any) -> None:
    with opened(chromium, pages["gan"]) as page:
        reached = []
        for _ in range(60):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.id"))
            if reached[-1] == "step":
                break
        assert reached[-1] == "step"
        before = says(page)
        page.keyboard.press("ArrowRight")
        assert says(page) != before
        assert page.locator("#step").get_attribute("aria-valuetext") == "1.0 times the step"
        page.keyboard.press("End")
        assert page.locator("#step").get_attribute("aria-valuetext") == "16 times the step"
        page.keyboard.press("Tab")
        page.keyboard.press("Home")
        assert "momentum 0:" in says(page)


@pytest.mark.parametrize("case", CASES)
def test_the_figures_are_complete_without_scripts(chromium: Any, pages: Any, case: str) -> None:
    with opened(chromium, pages[case], java_script_enabled=False) as page:
        assert page.locator("#signature-static svg").first.is_visible()
        assert not page.locator("#signature-live").is_visible()
        for figure in page.locator("section figure > svg[role=img]:not([id^=view])").all():
            assert figure.is_visible()
            assert figure.get_attribute("aria-label")
        drawn = page.locator("#signature-static svg").first.locator("use").count()
        assert drawn >= len(getattr(fixture, case)().sections["signature"]["points"])


def test_with_scripts_the_static_signature_gives_way(chromium: Any, pages: Any) -> None:
    with opened(chromium, pages["gan"]) as page:
        assert not page.locator("#signature-static").is_visible()
        assert page.locator("#view-whole .mode").count() == 12
        page.locator("#view-near .mode.grows").first.hover()
        assert "rotation of G against D: h·λ = 0.0000" in page.locator("#readout").inner_text()


@pytest.mark.parametrize(
    ("case", "width", "scheme"),
    [
        ("gan", 1280, "light"),
        ("gan", 1280, "dark"),
        ("gan", 390, "light"),
        ("alternating", 1280, "dark"),
        ("gaps", 390, "light"),
    ],
)
def test_axe_finds_nothing_serious(chromium: Any, pages: Any, case: str, width: int, scheme: str) -> None:
    axe_package = pytest.importorskip("axe_playwright_python")
    axe = (Path(axe_package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    with opened(chromium, pages[case], width=width, color_scheme=scheme, bypass_csp=True) as page:
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        page.add_script_tag(content=axe)
        found = page.evaluate("axe.run()")["violations"]
        serious = [v for v in found if v["impact"] in ("serious", "critical")]
        assert not serious, [(v["id"], [node["html"][:120] for node in v["nodes"]]) for v in serious]


@pytest.mark.parametrize("rule", ["averaged", "heavy ball", "extragradient"])
def test_the_scripts_multipliers_are_numpys_roots(chromium: Any, pages: Any, rule: str) -> None:
    draws = np.random.default_rng(1).normal(size=(300, 2)) * [3, 1]
    momenta = np.random.default_rng(2).uniform(0, 0.99, size=300) if rule != "extragradient" else np.zeros(300)
    with opened(chromium, pages["gan"]) as page:
        answers = page.evaluate(
            "([draws, momenta, rule]) => draws.map((z, i) => separatrix.multiplier(z, momenta[i], rule))",
            [draws.tolist(), momenta.tolist(), rule],
        )
    for (x, y), b, (re_m, im_m) in zip(draws, momenta, answers, strict=True):
        z = complex(x, y)
        trace = 1 + b + (1 - b if rule == "averaged" else 1) * z
        roots = [1 + z + z * z] if rule == "extragradient" else np.roots([1, -trace, b])
        m = complex(re_m, im_m)
        assert abs(m) == pytest.approx(max(map(abs, roots)), abs=1e-9)
        assert min(abs(m - root) for root in roots) < 1e-9


@pytest.mark.parametrize("case", CASES)
def test_script_and_python_say_the_same(chromium: Any, pages: Any, case: str) -> None:
    section = getattr(fixture, case)().sections["signature"]
    with opened(chromium, pages[case]) as page:
        if section["kind"] == "disc":
            settings = [(1.0, section["momentum"], 2, 1)]
        else:
            momenta = [0.0] if section["scheme"] == "extragradient" else [0.0, 0.25, 0.5, 0.9, 0.99]
            settings = [(2.0**s, b, s, b) for s in (-4, -1.5, 0, 0.35, 2, 4) for b in momenta]
        for step, momentum, s, b in settings:
            slide(page, "step", s)
            slide(page, "momentum", b)
            shown = None if section.get("scheme") == "extragradient" else momentum
            here = regions.setting(float(step), shown)
            modes = regions.modes(section, step, momentum)
            assert says(page) == regions.sentence(modes, here, "round" if section["kind"] == "disc" else "step")


def test_script_and_python_draw_the_same_region(chromium: Any, pages: Any) -> None:
    with opened(chromium, pages["gan"]) as page:
        for rule, b in [("averaged", 0.5), ("averaged", 0.9), ("heavy ball", 0.9), ("extragradient", 0.0)]:
            curve = np.array(page.evaluate("([b, rule]) => separatrix.boundary(b, rule)", [b, rule]))
            expected = regions.boundary(b, rule)
            # The two roots may be taken in either order; as sets of points the curves are the same.
            gaps = np.abs((curve[:, 0] + 1j * curve[:, 1])[:, None] - expected[None, :]).min(axis=1)
            assert gaps.max() < 1e-9


def test_no_text_lies_over_other_text_in_the_masthead(chromium: Any, pages: Any) -> None:
    with opened(chromium, pages["gan"]) as page:
        picture, words = page.locator(".hero").bounding_box(), page.locator(".verdict").bounding_box()
        assert words["x"] + words["width"] <= picture["x"]
        assert re.match(r"Digits GAN", page.title())
