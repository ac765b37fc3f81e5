"""The end of process trees: find what a run has left behind, end it, even after ``kill -9`` of the driver.

Every run carries a token of its own in the environment variable ``OTWRAP_RUN``, which its children
inherit, also those that left the process group or the session. As a script (``guardian.py NAME PLACE``)
this module is a process in a session of its own that waits at the end of a pipe. The pipe ends with the
process that holds its other end, however that ended; then the guardian ends all that carries the prefix,
removes the folders that it was told of (lines ``+folder``, taken back by ``-folder``), and ends.

The same lines stand in a journal, a file in a folder below the place, which the guarded process writes. Where
somebody killed a guardian with all the rest, the next one that starts finds the journal, and does what it had to do.

It imports nothing but small parts of the standard library, so that a guardian starts fast and stays small.
"""

from __future__ import annotations

import os
import signal
import sys
import time

__all__ = ["Journal", "begin_of", "end_tree", "find_tree", "main", "read_proc"]

#: Seconds that a process has to end by itself after a request (TERM) and before the kill (KILL).
GRACE = 2.0
#: Seconds after which a process that even KILL does not end (waiting for a dead disk) is left alone.
PATIENCE = 5.0
#: Bytes after which a journal is written anew.
_LONG = 1 << 20

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


class Journal:
    """What a guardian is told, also in a file that a later one finds.

    The guarded process makes the file and writes it; its guardian has it locked. Without a folder that is ours
    alone there is no file.

    Parameters
    ----------
    place : str
        The folder for temporary files.
    name : str
        Of the file: the start of the tokens of the runs, which begins with the number of the guarded process,
        and when that process began, see :func:`begin_of`.
    new : bool, optional
        Whether it is made if it is not there. Default is true.

    Attributes
    ----------
    prefix : str
        The start of the tokens of the runs.
    folders : set of bytes
        The folders to remove in the end.

    Examples
    --------
    >>> import tempfile
    >>> place = tempfile.TemporaryDirectory()
    >>> journal = Journal(place.name, "1234-5678-9")
    >>> journal.note(b"+/tmp/run-1\\n+/tmp/run-2\\n-/tmp/run-1\\n")
    >>> journal.folders
    {b'/tmp/run-2'}
    >>> journal.remove()
    >>> place.cleanup()
    """

    def __init__(self, place: str, name: str, new: bool = True) -> None:
        self.place, self.name = place, name
        self.prefix = name.rpartition("-")[0] + "-"
        # Numbers of processes mean something on this machine and in this container only.
        here = f"{os.uname().nodename}-{_namespace()}"
        self._folder = os.path.join(place, f"otwrap-guardians-{os.geteuid()}-{here}")
        self._path = os.path.join(self._folder, name)
        self.folders: set[bytes] = set()
        self._rest = b""
        self._size = 0
        self._file = self._open(os.O_CREAT if new else 0)

    def note(self, lines: bytes) -> None:
        """Take in lines, and write them down.

        Parameters
        ----------
        lines : bytes
            Whole ones.
        """
        self.take_in(lines)
        if self._file < 0:
            return
        try:
            self._size += len(lines)
            if self._size > _LONG:
                lines = b"".join(b"+" + folder + b"\n" for folder in self.folders)
                self._size = len(lines)
                os.ftruncate(self._file, 0)
            os.write(self._file, lines)
        except OSError:
            # The disk is full; the guardian itself is told all the same.
            return

    def take_in(self, lines: bytes) -> None:
        """Learn what lines say.

        Parameters
        ----------
        lines : bytes
            As they come; the last one may be cut.
        """
        *whole, self._rest = (self._rest + lines).split(b"\n")
        for line in whole:
            if line.startswith(b"+"):
                self.folders.add(line[1:])
            else:
                self.folders.discard(line[1:])

    def lock(self) -> bool:
        """Make it ours as long as this process lives; say whether nobody else has it.

        Returns
        -------
        locked : bool
        """
        import fcntl

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (OSError, ValueError):
            return False
        return True

    def abandoned(self) -> list[Journal]:
        """Return the journals whose guardian and whose guarded process are gone; they are ours from now on.

        Returns
        -------
        journals : list of Journal
        """
        names = os.listdir(self._folder) if self._file >= 0 else []
        others = [name for name in names if name != self.name and name.count("-") == 2]
        found = [Journal(self.place, name, new=False) for name in others if not _is_guarded(name)]
        ours = [journal for journal in found if journal.lock()]
        for journal in ours:
            journal.take_in(read_proc(journal._path))
        return ours

    def close(self) -> None:
        """Close the file, and leave it where it is."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def remove(self) -> None:
        """Remove the file, and the folder if it was the last one."""
        if self._file >= 0:
            try:
                os.unlink(self._path)
                os.rmdir(self._folder)
            except OSError:
                pass
            self.close()

    def _open(self, flags: int) -> int:
        """Return the opened file; -1 if that cannot be."""
        try:
            os.makedirs(self._folder, 0o700, exist_ok=True)
            stat = os.lstat(self._folder)
            # Where everybody may write, somebody else may have made it, to have our files removed.
            if stat.st_uid != os.geteuid() or stat.st_mode & 0o170077 != 0o040000:
                return -1
            return os.open(self._path, os.O_RDWR | os.O_APPEND | flags, 0o600)
        except OSError:
            return -1


def begin_of(pid: int | str) -> str:
    """Return when a process began, which tells it from another one that has its number later.

    Parameters
    ----------
    pid : int or str
        Its number, or ``"self"``.

    Returns
    -------
    begin : str
        In the system's own unit; empty if it is gone, or a zombie.

    Examples
    --------
    >>> begin_of("nobody")
    ''
    """
    fields = read_proc(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return fields[19].decode() if len(fields) > 19 and fields[0] not in b"ZX" else ""


def _is_guarded(name: str) -> bool:
    """Whether the process that a journal is about is alive."""
    pid, _, begin = name.split("-")
    return begin != "" and begin_of(pid) == begin


def _namespace() -> str:
    """Return what tells the numbers of processes in one container from those in another."""
    try:
        return os.readlink("/proc/self/ns/pid")[5:-1]
    except OSError:
        return ""


def _finish(journal: Journal) -> None:
    """End all runs of a process that is gone, and remove its folders."""
    token = journal.prefix.encode()
    end_tree(token, grace=1.0)
    # A process that was just being started escapes the first look.
    time.sleep(0.05)
    end_tree(token, grace=0.0)
    if journal.folders:
        import shutil

        for folder in journal.folders:
            shutil.rmtree(folder, ignore_errors=True)
    journal.remove()


def main(name: str, place: str) -> None:
    """Guard a process: wait for its end, then end its runs and remove its folders.

    Parameters
    ----------
    name : str
        Of its journal.
    place : str
        The folder for temporary files, where journals are.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    journal = Journal(place, name, new=False)
    journal.lock()
    for other in journal.abandoned():
        _finish(other)
    while chunk := os.read(0, 65536):
        journal.take_in(chunk)
    _finish(journal)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
