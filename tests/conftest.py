"""Puts this folder on the path, so that every room's tests can import ``untouched``.

Set before torch and matplotlib are imported, and handed on to subprocesses: one thread, since the problems are small and
threads of several processes get in each other's way; no display.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
