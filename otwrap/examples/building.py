"""Small C programs of the examples, compiled when they are first used."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["built", "find_compiler"]


def find_compiler() -> list[str]:
    """Return the C compiler's command.

    Returns
    -------
    command : list of str
        ``$CC`` where it is set, else the first of ``cc``, ``gcc`` and ``clang`` that is there; empty if none is.
    """
    if "CC" in os.environ:
        return shlex.split(os.environ["CC"])
    found = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    return [found] if found else []


def built(source: str | os.PathLike[str], *arguments: str) -> Path:
    """Return a compiled C program, after compiling it into the user's cache folder if it is not there.

    Parameters
    ----------
    source : path
        One C file.
    *arguments : str
        More for the compiler, as libraries to link.

    Returns
    -------
    program : Path

    Raises
    ------
    FileNotFoundError
        If there is no C compiler.
    subprocess.CalledProcessError
        If it fails; its messages are in ``stderr``.
    OSError
        If the program cannot be written, or not be run where it is.
    """
    source = Path(source)
    compiler = find_compiler()
    if not compiler:
        raise FileNotFoundError(f"no C compiler for {source.name}; install one, or set $CC to its command")
    # A home may be shared by machines of several kinds, and by several versions of the source.
    kind = f"{sys.platform} {platform.machine()} {arguments} ".encode()
    stamp = hashlib.sha256(kind + source.read_bytes()).hexdigest()[:16]
    # The stamp names the folder: a program's name is a part of what identifies a model in a store.
    target = _cache() / stamp / source.stem
    if not target.exists():
        cache = target.parents[1]
        cache.mkdir(parents=True, exist_ok=True)
        # Each process builds for itself, and the last rename wins: nobody runs a half-written file.
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            program = Path(folder) / "program"
            # Without fused multiply-add, the digits are the same on all machines.
            flags = ["-O2", "-ffp-contract=off", "-o", str(program), str(source), *arguments, "-lm"]
            subprocess.run([*compiler, *flags], check=True, capture_output=True, text=True)
            target.parent.mkdir(exist_ok=True)
            program.replace(target)
    if not os.access(target, os.X_OK):
        raise PermissionError(f"{target} may not be executed")
    return target


def _cache() -> Path:
    """Return this user's cache folder."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", tempfile.gettempdir())) / "otwrap"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "otwrap"
