"""The memory of a process tree, from ``/proc``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from ..guardian import read_proc

__all__ = ["shared_once", "tree_memory"]

_RESIDENT = re.compile(rb"^VmRSS:\s+(\d+)", re.MULTILINE)
_PEAK = re.compile(rb"^VmHWM:\s+(\d+)", re.MULTILINE)
_PROPORTIONAL = re.compile(rb"^Pss:\s+(\d+)", re.MULTILINE)


def tree_memory(pid: int) -> tuple[int, int]:
    """Return how much memory a process and its descendants have.

    Parameters
    ----------
    pid : int
        The process.

    Returns
    -------
    resident : int
        The sum now, in bytes; what processes share counts for each.
    peak : int
        The most that any one of them ever had, in bytes.
    """
    resident = peak = 0
    for member in _descendants(pid):
        status = read_proc(f"/proc/{member}/status")
        resident += _bytes(_RESIDENT, status)
        peak = max(peak, _bytes(_PEAK, status))
    return resident, peak


def shared_once(pid: int) -> int:
    """Return the memory of a process and its descendants, what they share counted once.

    Parameters
    ----------
    pid : int
        The process.

    Returns
    -------
    resident : int
        In bytes. Much slower than :func:`tree_memory`.
    """
    total = 0
    for member in _descendants(pid):
        rollup = read_proc(f"/proc/{member}/smaps_rollup")
        status = b"" if rollup else read_proc(f"/proc/{member}/status")
        total += _bytes(_PROPORTIONAL, rollup) or _bytes(_RESIDENT, status)
    return total


def _bytes(field: re.Pattern[bytes], text: bytes) -> int:
    """Return a field that is in KiB."""
    match = field.search(text)
    return int(match[1]) * 1024 if match else 0


def _descendants(pid: int) -> Iterator[str]:
    """Yield a process and all below it."""
    todo = [str(pid)]
    while todo:
        member = todo.pop()
        yield member
        try:
            with os.scandir(f"/proc/{member}/task") as threads:
                names = [thread.name for thread in threads]
        except OSError:
            continue
        for name in names:
            todo += read_proc(f"/proc/{member}/task/{name}/children").decode().split()
