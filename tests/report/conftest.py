"""Chromium for the browser tests: Debian's own, and no request of any kind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no chromium at {CHROMIUM}: the browser tests of the report were left out")
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: the chromium tests were left out")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield browser
        browser.close()


@pytest.fixture(autouse=True)
def no_figure_is_left_open() -> Iterator[None]:
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.fixture(autouse=True)
def no_studies_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line and ``import separatrix`` register the atlas, whose studies come and go."""
    from separatrix.report.further import SOURCES

    monkeypatch.delitem(SOURCES, "atlas", raising=False)
