"""What is loaded late leaves no trace in the user's program."""

import subprocess
import sys
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path

import pytest

import separatrix
from separatrix.probes.run_diagnosis import versions

PROGRAM = """
import random
import sys

import separatrix as sx
from separatrix.dynamics.progress import progress_bar

random.seed(0)
before = random.getstate()
assert "rich" not in sys.modules
with progress_bar("run", 2, progress=True) as show:
    show(2, "")
assert random.getstate() == before, "the progress bar"
assert "rich.style" in sys.modules
for module in [m for m in sys.modules if m.split(".")[0] == "rich"]:
    del sys.modules[module]
for name in sx.__all__:
    getattr(sx, name)
    assert random.getstate() == before, name
assert "rich.style" in sys.modules
"""


def test_neither_a_name_of_the_face_nor_the_progress_bar_draws_from_python_s_random_stream_as_it_loads() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)


def test_the_version_is_the_projects_and_needs_no_installed_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def from_name(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(Distribution, "from_name", from_name)
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert versions()["separatrix"] == separatrix.__version__ == project["version"]
