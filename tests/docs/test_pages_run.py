"""Every Python block and every command that README and the docs show is run, in order, in an empty folder."""

import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
from blocks import PAGES, ROOT, blocks

from separatrix.cli import main


def run_command(line: str) -> None:
    """One command. ``separatrix`` is called in this process; what would install or test anew is looked up."""
    program, *arguments = shlex.split(line)
    if program == "separatrix":
        assert main(arguments) == 0, line
    elif program == "make":
        subprocess.run(["make", "--dry-run", *arguments], cwd=ROOT, check=True, capture_output=True)
    elif program == "python":
        assert (ROOT / arguments[0]).is_file(), f"{line}: tests/examples and tests/docs run these, if they exist"
    elif program == "pip":
        known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        extras = re.findall(r"\[(.*?)\]", line)
        assert {name for group in extras for name in group.split(",")} <= set(known), line
    else:
        raise AssertionError(f"the tests do not know how to run {line!r}")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_a_page_runs_from_top_to_bottom(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.language == "python":
            shown = "\n" * (block.line - 1) + block.code  # so that a traceback names the line of the page
            exec(compile(shown, str(page), "exec"), names)
        else:
            for line in filter(None, block.code.replace("\\\n", " ").splitlines()):
                run_command(line)


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "docs" / "topology.md"], ids=lambda p: p.name
)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)|(?:src|href)=\"([^\"]+)\"", text)
    for target in {a or b for a, b in targets}:
        if not re.match(r"[a-z]+:", target):
            assert os.path.exists(page.parent / target), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda p: p.name)
def test_files_and_folders_of_the_project_that_a_page_names_exist(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for name in re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.py)?)`", text):
        assert any((root / name).exists() for root in (ROOT, ROOT / "src" / "separatrix")), f"{page.name} names {name}"
