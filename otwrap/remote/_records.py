"""Record files that grow there while they are brought here: what is here never shrinks."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["others_of", "take_in"]

#: The run in the name of a record file that no version of the one here continues; no task has so many.
_FIRST_OTHER = 1_000_000
_CHUNK = 1 << 20


def take_in(new: Path, old: Path) -> None:
    """Have a record file that has come take the place of the one here, if it is a longer version of it.

    A line that was cut off, or not yet written by the file system there, may differ. A shorter version is dropped.
    If both have lines of their own, as after a folder was made anew there, both stay.
    """
    for known in [old, *others_of(old)]:
        if not known.exists() or _begins_with(new, known):
            os.replace(new, known)
            return
        if _begins_with(known, new):
            os.unlink(new)
            return
    os.replace(new, _free_name(old))


def others_of(path: Path) -> list[Path]:
    """Return the other versions of a record file that are kept here."""
    return sorted(path.parent.glob(f"{_task(path)}-{_FIRST_OTHER // 1000}[0-9][0-9][0-9].rec"))


def _free_name(path: Path) -> Path:
    """Return a name for another version that nothing has yet."""
    runs = range(_FIRST_OTHER, _FIRST_OTHER + 1000)
    return next(name for run in runs if not (name := path.with_name(f"{_task(path)}-{run}.rec")).exists())


def _task(path: Path) -> str:
    """Return the number of the task that a record file is of."""
    found = re.match(r"\d+", path.name)
    return found[0] if found else path.stem


def _begins_with(longer: Path, shorter: Path) -> bool:
    """Whether a file begins with the whole lines of another one."""
    with longer.open("rb") as one, shorter.open("rb") as other:
        while True:
            expected = other.read(_CHUNK)
            if not expected:
                return True
            found = one.read(len(expected))
            if found != expected:
                # Of the last piece, only the lines that are whole; those before it were the same.
                is_last = not other.read(1)
                end = expected.rfind(b"\n") + 1
                return is_last and found[:end] == expected[:end]
