"""One writer at a time: a lock file that ends with its process."""

from __future__ import annotations

import contextlib
import os
import socket
import weakref
from typing import IO

__all__ = ["FileLock"]


class FileLock:
    """Hold an exclusive lock on a file beside what it protects.

    The system releases it when the process ends, however it ends; only a killed one leaves the file. The
    file is opened close-on-exec, so the codes that are run do not inherit it, and forked children let go of it.

    Parameters
    ----------
    path : str
        The lock file; made if missing, and removed with the lock.

    Examples
    --------
    >>> import tempfile
    >>> path = tempfile.mktemp()
    >>> lock, other = FileLock(path), FileLock(path)
    >>> lock.acquire(), other.acquire()
    (True, False)
    >>> lock.release()
    >>> other.acquire()
    True
    >>> other.release()
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._file: IO[str] | None = None

    def acquire(self) -> bool:
        """Take the lock if nobody has it; return whether we have it now.

        Returns
        -------
        acquired : bool
            `False` if another holder has it.
        """
        file = open(self.path, "a+", encoding="utf-8")  # noqa: SIM115 - open as long as the lock is held
        if not _lock(file) or not _is_at(file, self.path):
            file.close()
            return False
        self._file = file
        _held.add(self)
        # Who has it is only told to others: on a full disk it is held all the same.
        with contextlib.suppress(OSError):
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), f"process {os.getpid()} on {socket.gethostname()}".encode())
        return True

    def holder(self) -> str:
        """Return who wrote the lock file last, in words.

        Returns
        -------
        holder : str
            Process and machine.
        """
        try:
            with open(self.path, encoding="utf-8") as file:
                return file.read() or "another process"
        except OSError:
            return "another process"

    def release(self) -> None:
        """Give the lock back. Nothing happens if it is not held."""
        if self._file is not None:
            # Removed before it is unlocked: who opens it from now on makes a new one.
            with contextlib.suppress(OSError):
                os.unlink(self.path)
            self._file.close()
            self._file = None
            _held.discard(self)


#: What this process holds. A forked child would hold it too, and on when this process is dead.
_held: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _let_go_in_child() -> None:
    """Close the lock files in a forked child; the locks stay this process' parent's."""
    for lock in list(_held):
        if lock._file is not None:
            lock._file.close()
            lock._file = None
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_in_child)


def _is_at(file: IO[str], path: str) -> bool:
    """Whether an open file is still the one at a path: its former holder may just have removed it."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except OSError:
        return False


def _lock(file: IO[str]) -> bool:
    """Lock an open file without waiting."""
    try:
        import fcntl
    except ImportError:
        return _lock_windows(file)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _lock_windows(file: IO[str]) -> bool:
    """Lock one byte far behind the text, so that the text can still be read."""
    import msvcrt

    file.seek(1 << 20)
    try:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    except OSError:
        return False
    return True
