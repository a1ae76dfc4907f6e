import importlib
import subprocess
import sys

import pytest


def test_without_numba_the_error_ends_with_the_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "separatrix.topology.compiled", raising=False)
    with pytest.raises(ImportError, match=r"pip install 'separatrix\[topology\]'$"):
        importlib.import_module("separatrix.topology.compiled")


def test_importing_the_room_imports_no_compiler():
    code = "import sys, separatrix.topology; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
