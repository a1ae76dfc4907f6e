"""What is loaded late leaves no trace in the user's program."""

import subprocess
import sys

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
