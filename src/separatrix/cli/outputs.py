"""Where results are written: checked before minutes of computing, written to a temporary name and moved."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from separatrix.errors import InputError


def check_outputs(paths: Sequence[Path], suffixes: Sequence[str]) -> None:
    """Refuse what could not be written later.

    Raises:
        InputError: an unknown suffix, a folder that does not exist or may not be written to, a path that is a folder.
    """
    for path in paths:
        if path.is_dir():
            raise InputError(f"-o {path} is a folder; name a file in it, such as {path / ('result' + suffixes[0])}.")
        if path.suffix not in suffixes:
            raise InputError(f"-o {path}: the suffix {path.suffix!r} is unknown; use one of {', '.join(suffixes)}.")
        if path.parent.exists() and not path.parent.is_dir():
            raise InputError(f"-o {path}: {path.parent} is a file, not a folder; choose another place.")
        if not path.parent.is_dir():
            raise InputError(f"-o {path}: the folder {path.parent} does not exist; create it first.")
        if not os.access(path.parent, os.W_OK):
            raise InputError(f"-o {path}: the folder {path.parent} cannot be written to; choose another one.")


def write_whole(path: Path, write: Callable[[Path], object]) -> Path:
    """Call ``write`` with a temporary name beside ``path``, then move it there: whole or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        return temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
