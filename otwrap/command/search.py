"""Where a program is, and why it cannot be started."""

# Texts, not paths: a `Path` would lose the "./", and is slow for what each run asks.
# ruff: noqa: PTH110, PTH111, PTH112, PTH113, PTH117, PTH118, PTH119, PTH120

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["explain", "has_folder", "is_fixed", "search", "shell_path"]


def shell_path() -> str:
    """Return the shell that set-up commands and ``shell=True`` get.

    Returns
    -------
    path : str
        bash where there is one, since modules and virtual environments often are for it.

    Examples
    --------
    >>> shell_path()
    '/bin/...sh'
    """
    return "/bin/bash" if os.path.exists("/bin/bash") else "/bin/sh"


def has_folder(program: str) -> bool:
    """Whether a program is given with its folder, and so is not looked for in the PATH.

    Parameters
    ----------
    program : str
        As the user wrote it.

    Returns
    -------
    has_folder : bool

    Examples
    --------
    >>> has_folder("./beam"), has_folder("beam")
    (True, False)
    """
    return os.sep in program or (os.altsep is not None and os.altsep in program)


def is_fixed(program: str) -> bool:
    """Whether a program is the same one from everywhere, as long as the PATH is.

    Parameters
    ----------
    program : str
        As the user wrote it.

    Returns
    -------
    is_fixed : bool

    Examples
    --------
    >>> is_fixed("/bin/sh"), is_fixed("sh"), is_fixed("bin/beam")
    (True, True, False)
    """
    return os.path.isabs(program) or not has_folder(program)


def search(program: str, path: str, folders: Sequence[str]) -> str | None:
    """Return the full path of a program.

    Parameters
    ----------
    program : str
        As the user wrote it.
    path : str
        The PATH.
    folders : sequence of str
        Where something relative is meant from, the first first.

    Returns
    -------
    path : str or None
        `None` if there is none that can be executed.

    Examples
    --------
    >>> search("no-such-code", "/usr/bin:/bin", []) is None
    True
    """
    if os.name == "nt" and not has_folder(program):
        import shutil

        return shutil.which(program, path=path)
    for candidate in _candidates(program, path, folders):
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    return None


def _candidates(program: str, path: str, folders: Sequence[str]) -> Iterator[str]:
    """Yield the places where a program may be."""
    program = os.path.expanduser(program)
    places = [""] if has_folder(program) else path.split(os.pathsep)
    for place in places:
        relative = os.path.join(place, program)
        if os.path.isabs(relative):
            yield relative
        else:
            yield from (os.path.normpath(os.path.join(folder, relative)) for folder in folders)


def explain(program: str, path: str, folders: Sequence[str], error: OSError | None = None) -> str:
    """Say why a program cannot be started, and what to do.

    Parameters
    ----------
    program, path, folders
        As for :func:`search`.
    error : OSError, optional
        What starting it led to.

    Returns
    -------
    message : str

    Examples
    --------
    >>> explain("no-such-code", "/bin", [])
    "'no-such-code' is not in the PATH (/bin)..."
    """
    found = search(program, path, folders)
    if found is not None and error is not None:
        return f"{found} cannot be started: {_reason(found, error)}"
    there = [place for place in _candidates(program, path, folders) if os.path.exists(place)]
    if there and os.path.isdir(there[0]):
        return f"{there[0]} is a folder: give the program in it"
    if there:
        return f"{there[0]} exists but is not executable: chmod +x {there[0]}"
    if has_folder(program):
        places = [os.path.dirname(place) for place in _candidates(program, path, folders)]
        text = f"{program!r} is not there; looked in {' and '.join(dict.fromkeys(places))}"
        names = [name for place in places for name in _names(place)]
    else:
        text = f"{program!r} is not in the PATH ({path})"
        names = [name for place in path.split(os.pathsep) for name in _names(place)]
        for folder in folders:
            if os.path.exists(os.path.join(folder, program)):
                text += f"; there is one in {folder}: write './{program}'"
    near = difflib.get_close_matches(os.path.basename(program), set(names), 3)
    if near:
        text += f"; did you mean {' or '.join(sorted(near))}?"
    if "$" in program:
        text += "; variables are expanded only with shell=True"
    elif " " in program:
        text += "; arguments are items of their own: ['beam', '-x'], or the text 'beam -x'"
    return text + "; give the full path, or extend the PATH by env= or setup="


def _names(folder: str) -> list[str]:
    """Return the names in a folder; none if it cannot be read."""
    try:
        return [entry.name for entry in os.scandir(folder or ".")]
    except OSError:
        return []


def _reason(path: str, error: OSError) -> str:
    """Say why the system refused a file that can be executed."""
    if error.errno not in (errno.ENOENT, errno.ENOEXEC):
        return error.strerror or str(error)
    with Path(path).open("rb") as file:
        first = file.readline(200)
    if first.startswith(b"#!"):
        return f"its first line asks for {first[2:].decode(errors='replace').strip()!r}, which is not there"
    if error.errno == errno.ENOENT:
        return "the loader or library that it was built for is not there; was it built for another machine?"
    return "it is no program for this machine, nor a script that begins with its shell (#!/bin/sh)"
