"""Where the beam's executable is: built on first use, or a stand-in."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

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
    compiler = _compiler()
    if compiler:
        try:
            return [str(_built(compiler))]
        except (OSError, subprocess.CalledProcessError) as error:
            why = getattr(error, "stderr", "") or error
            warnings.warn(f"beam.c could not be built, beam.py stands in: {why}", stacklevel=2)
    # Isolated and without site-packages, Python starts in a third of the time.
    return [sys.executable, "-I", "-S", str(HERE / "beam.py")]


def _compiler() -> list[str]:
    """Return the C compiler's command, empty if there is none."""
    if "CC" in os.environ:
        return shlex.split(os.environ["CC"])
    found = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    return [found] if found else []


def _built(compiler: list[str]) -> Path:
    """Return the compiled code, after building it if it is not there."""
    source = HERE / "beam.c"
    # A home may be shared by machines of several kinds, and by several versions of the source.
    kind = f"{sys.platform} {platform.machine()} ".encode()
    target = _cache() / f"beam-{hashlib.sha256(kind + source.read_bytes()).hexdigest()[:16]}"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        # Each process builds for itself, and the last rename wins: nobody runs a half-written file.
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            built = Path(folder) / "beam"
            # Without fused multiply-add, the digits are the same on all machines.
            flags = ["-O2", "-ffp-contract=off", "-o", str(built), str(source), "-lm"]
            subprocess.run([*compiler, *flags], check=True, capture_output=True, text=True)
            built.replace(target)
    if not os.access(target, os.X_OK):
        raise PermissionError(f"{target} may not be executed")
    return target


def _cache() -> Path:
    """Return this user's cache folder."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", tempfile.gettempdir())) / "otwrap"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "otwrap"
