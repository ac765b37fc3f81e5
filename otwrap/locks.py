"""One writer at a time: a lock file that ends with its process."""

from __future__ import annotations

import os
import socket
from typing import IO

__all__ = ["FileLock"]


class FileLock:
    """Hold an exclusive lock on a file beside what it protects.

    The system releases it when the process ends, however it ends. The file is opened close-on-exec,
    so the codes that are run do not inherit it.

    Parameters
    ----------
    path : str
        The lock file; made if missing, and left there.

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
        if not _lock(file):
            file.close()
            return False
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        self._file = file
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
            self._file.close()
            self._file = None


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
