"""The log of the fake code: how often it really ran, and what of it is still running."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..guardian import read_proc

__all__ = ["Run", "living", "read_runs"]


class Run(NamedTuple):
    """One run of the fake code.

    Attributes
    ----------
    point : tuple of float
        What it ran on.
    pid : int
        Its process.
    start : float
        In seconds since the epoch.
    end : float or None
        The same; `None` if it did not come to its end, because it hangs or was ended.

    Examples
    --------
    >>> Run((0.5,), 1234, 1700000000.0, None).end is None
    True
    """

    point: tuple[float, ...]
    pid: int
    start: float
    end: float | None


def read_runs(path: str | os.PathLike[str]) -> list[Run]:
    """Return all runs that a log tells of.

    Parameters
    ----------
    path : path
        The log; without one nothing has run.

    Returns
    -------
    runs : list of Run
        In the order of their starts.

    Examples
    --------
    >>> read_runs("no-such-log")
    []
    """
    runs: list[Run] = []
    last: dict[int, int] = {}
    for word, pid, when, rest in _lines(path):
        if word == "start":
            last[pid] = len(runs)
            runs.append(Run(tuple(map(float, rest.split())), pid, when, None))
        elif word == "end":
            runs[last[pid]] = runs[last[pid]]._replace(end=when)
    return runs


def living(path: str | os.PathLike[str], plan: str) -> list[int]:
    """Return the processes of the fake code, children too, that are alive.

    Parameters
    ----------
    path : path
        The log.
    plan : str
        What stands in the command line of each of them, and of no other process.

    Returns
    -------
    pids : list of int
        Sorted. A number that the system has given to another process meanwhile does not count.

    Examples
    --------
    >>> living("no-such-log", "no-such-plan")
    []
    """
    pids = {pid for word, pid, _, _ in _lines(path) if word != "end"}
    return sorted(pid for pid in pids if _is_alive(pid, plan))


def _lines(path: str | os.PathLike[str]) -> Iterator[tuple[str, int, float, str]]:
    """Yield word, process, time and the rest of each line."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    for line in text.splitlines():
        word, pid, when, *rest = line.split(" ", 3)
        yield word, int(pid), float(when), "".join(rest)


def _is_alive(pid: int, plan: str) -> bool:
    """Whether a process is alive and ours; where there is no ``/proc``, whether it is alive."""
    if os.path.isdir("/proc/self"):
        # A zombie has no command line.
        return plan.encode() in read_proc(f"/proc/{pid}/cmdline")
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
