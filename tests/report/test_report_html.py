"""The HTML page as text: complete, escaped, without a request, the same each time."""

import re
from html.parser import HTMLParser

import fixture
import pytest
from fixture import page_of

from separatrix import report

CASES = ["gan", "alternating", "healthy", "gaps"]


class Reader(HTMLParser):
    """Collects tags, attributes and the text of script elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_same_diagnosis_gives_the_same_page() -> None:
    assert report.to_html(fixture.gaps()) == page_of("gaps")


@pytest.mark.parametrize("case", CASES)
def test_ids_are_unique_and_every_inner_reference_has_its_target(case: str) -> None:
    text = page_of(case)
    ids = [attributes["id"] for _, attributes in Reader(text).tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    referred = re.findall(r'href="#([^"]+)"', text) + re.findall(r'="url\(#([\w-]+)\)"', text)
    assert set(referred) <= set(ids)


@pytest.mark.parametrize("case", CASES)
def test_nothing_on_the_page_points_outside(case: str) -> None:
    for tag, attributes in Reader(page_of(case)).tags:
        for name in ("src", "href", "xlink:href", "action", "data"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:")), (tag, name, value)
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)


def test_what_the_user_supplies_is_escaped_everywhere() -> None:
    text = page_of("gaps")
    tags = [tag for tag, _ in Reader(text).tags]
    assert tags.count("script") == 2  # the data and the script of the page
    assert "onerror=alert(1)&gt;" in text
    assert "<img src=x" not in text
    assert "<b>bold</b>" not in text
    assert "of D&lt;i&gt;" in text


def test_findings_come_first_with_number_threshold_remedy_and_source() -> None:
    text = page_of("gan")
    findings = text[text.index('<section id="findings"') : text.index('<section id="signature"')]
    assert text.index("widens the circle") < text.index(findings)
    places = [findings.index(words) for words in ("damping; Adam", "Set the momentum", "1.008", "1.005", "sec. 3]")]
    assert places == sorted(places)


def test_without_findings_the_page_says_so() -> None:
    assert "No findings." in page_of("healthy")


def test_a_missing_section_is_one_line() -> None:
    text = page_of("gaps")
    absent = text[text.index('<section id="not-measured"') :]
    assert '<dt>Spectrum</dt><dd class="missing">the budget of 12 products was spent.</dd>' in absent
    assert absent.count('class="missing"') == 4
    assert 'href="#not-measured"' in text
    assert 'id="not-measured"' not in page_of("gan")


def test_without_a_signature_there_is_no_script() -> None:
    from dataclasses import replace

    bare = replace(fixture.gan(), sections={})
    assert "<script" not in report.to_html(bare)


def test_figures_follow_the_page_into_dark_mode() -> None:
    figures = re.findall(r"<svg role=.*?</svg>", page_of("gan"), flags=re.DOTALL)
    assert len(figures) >= 8
    for figure in figures:
        assert set(re.findall(r"#[0-9a-f]{6}\b", figure)) <= {"#000000"}, "a colour that no role owns"
