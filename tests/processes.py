"""The processes of this machine, as /proc shows them, for tests that look for some of them or kill them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from engines import until

__all__ = ["environment", "kill", "parent", "processes", "program", "with_children"]


def processes() -> list[int]:
    """Return the numbers of all that are alive."""
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and _state(int(entry)) not in "XZ"]


def environment(pid: int) -> set[str]:
    """Return the environment that a process was started with, as "NAME=value"."""
    try:
        return set(Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0"))
    except OSError:
        return set()


def program(pid: int) -> str:
    """Return the name of the program that a process runs, or "" if it has ended."""
    try:
        return Path(os.readlink(f"/proc/{pid}/exe")).name
    except OSError:
        return ""


def parent(pid: int) -> int:
    """Return who has started a process, or 0 if it has ended."""
    return int(([*_status(pid), "0", "0"])[1])


def with_children(pids: Iterable[int]) -> set[int]:
    """Return processes, and all that they have started."""
    found = set(pids)
    parents = {pid: parent(pid) for pid in processes()}
    while more := {pid for pid, its_parent in parents.items() if its_parent in found} - found:
        found |= more
    return found


def kill(pids: Iterable[int]) -> list[int]:
    """Kill processes, none of which sees another one die; return them when they have ended."""
    killed = list(pids)
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in killed:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
    assert until(lambda: all(_state(pid) in "XZ" for pid in killed))
    return killed


def _state(pid: int) -> str:
    """Return the letter of the state of a process, "X" if it has ended."""
    return ([*_status(pid), "X"])[0]


def _status(pid: int) -> list[str]:
    """Return what stands behind the name of a process: its state, its parent, ..."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
