"""The end of process trees: find what a run has left behind, end it, even after ``kill -9`` of the driver.

Every run carries a token of its own in the environment variable ``OTWRAP_RUN``, which its children
inherit, also those that left the process group or the session. As a script (``guardian.py PREFIX``) this
module is a process in a session of its own that waits at the end of a pipe. The pipe ends with the process
that holds its other end, however that ended; then the guardian ends all that carries the prefix, removes
the folders that it was told of (lines ``+folder``, taken back by ``-folder``), and ends.

It imports nothing but small parts of the standard library, so that a guardian starts fast and stays small.
"""

from __future__ import annotations

import os
import signal
import sys
import time

__all__ = ["end_tree", "find_tree", "main", "read_proc"]

#: Seconds that a process has to end by itself after a request (TERM) and before the kill (KILL).
GRACE = 2.0
#: Seconds after which a process that even KILL does not end (waiting for a dead disk) is left alone.
PATIENCE = 5.0

_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


def read_proc(path: str) -> bytes:
    """Return what a file of ``/proc`` says.

    Parameters
    ----------
    path : str
        The file.

    Returns
    -------
    content : bytes
        Empty if the process is gone, is a zombie, or belongs to somebody else.

    Examples
    --------
    >>> read_proc("/proc/nobody/environ")
    b''
    """
    try:
        number = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        content = part = os.read(number, 65536)
        while part:
            part = os.read(number, 65536)
            content += part
    except OSError:
        return b""
    finally:
        os.close(number)
    return content


def find_tree(token: bytes, group: int = 0) -> list[int]:
    """Return the living processes of a run; zombies do not count.

    Parameters
    ----------
    token : bytes
        What their environment holds.
    group : int, optional
        The process group and session that was made for the run; found also if the environment is cleared.

    Returns
    -------
    pids : list of int
        Without ``/proc`` (macOS) the whole group as one negative number.

    Examples
    --------
    >>> find_tree(b"OTWRAP_RUN=nobody")
    []
    """
    if sys.platform != "linux":
        return [-group] if group and _signal(-group, 0) else []
    me, found = str(os.getpid()), []
    with os.scandir("/proc") as entries:
        pids = [entry.name for entry in entries if entry.name.isdigit() and entry.name != me]
    for pid in pids:
        environment = read_proc(f"/proc/{pid}/environ")
        if token in environment or (group and _belongs(pid, group)):
            found.append(int(pid))
    return found


def _belongs(pid: str, group: int) -> bool:
    """Whether a process is alive and in a group or session."""
    # The second field, the name, is in parentheses and may hold anything.
    fields = read_proc(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return len(fields) > 3 and fields[0] not in b"ZX" and str(group).encode() in fields[2:4]


def _signal(pid: int, number: int) -> bool:
    """Send a signal; say whether there was somebody to get it."""
    try:
        os.kill(pid, number)
    except OSError:
        return False
    return True


def end_tree(token: bytes, group: int = 0, grace: float | None = None) -> set[int]:
    """End all processes of a run: a request first, then the kill of what is left.

    Parameters
    ----------
    token, group
        See :func:`find_tree`.
    grace : float, optional
        Seconds between request and kill; it returns earlier when nothing is left. Default is :data:`GRACE`.

    Returns
    -------
    told : set of int
        The processes that got a signal. Those that became children of this process want to be reaped.

    Examples
    --------
    >>> end_tree(b"OTWRAP_RUN=nobody")
    set()
    """
    grace = GRACE if grace is None else grace
    told: set[int] = set()
    start, pause = time.monotonic(), 0.002
    while left := find_tree(token, group):
        elapsed = time.monotonic() - start
        if elapsed > grace + PATIENCE:
            break
        for pid in left:
            if elapsed >= grace:
                _signal(pid, _KILL)
            elif pid not in told:
                _signal(pid, signal.SIGTERM)
        told.update(left)
        time.sleep(pause)
        pause = min(2 * pause, 0.05)
    return told


def _wait_for_the_end() -> set[str]:
    """Block until the other end of the pipe is gone; return the folders to remove."""
    folders: set[str] = set()
    rest = b""
    while chunk := os.read(0, 65536):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            folder = os.fsdecode(line[1:])
            if line.startswith(b"+"):
                folders.add(folder)
            else:
                folders.discard(folder)
    return folders


def main(prefix: str) -> None:
    """Guard a process: wait for its end, then end its runs and remove its folders.

    Parameters
    ----------
    prefix : str
        The start of the tokens of its runs.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    folders = _wait_for_the_end()
    token = prefix.encode()
    end_tree(token, grace=1.0)
    # A process that was just being started escapes the first look.
    time.sleep(0.05)
    end_tree(token, grace=0.0)
    if folders:
        import shutil

        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1])
