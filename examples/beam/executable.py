"""Where the beam's executable is: built on first use, or a stand-in."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

from otwrap.examples.building import built, find_compiler

__all__ = ["executable"]

HERE = Path(__file__).resolve().parent


def executable() -> list[str]:
    """Return the command that runs the beam's code, without its arguments.

    Where a C compiler is found (``$CC``, ``cc``, ``gcc`` or ``clang``), ``beam.c`` is compiled once, into
    the user's cache folder. Elsewhere ``beam.py`` stands in; it writes the same digits, more slowly.

    Returns
    -------
    command : list of str
        To be followed by ``-x`` and the name of the input file.
    """
    if find_compiler():
        try:
            return [str(built(HERE / "beam.c"))]
        except (OSError, subprocess.CalledProcessError) as error:
            why = getattr(error, "stderr", "") or error
            warnings.warn(f"beam.c could not be built, beam.py stands in: {why}", stacklevel=2)
    # Isolated and without site-packages, Python starts in a third of the time.
    return [sys.executable, "-I", "-S", str(HERE / "beam.py")]
