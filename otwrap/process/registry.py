"""What this process has running: its runs in flight, its guardian, the orphans that it took in."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from ..guardian import Journal, begin_of, end_tree, read_proc

if TYPE_CHECKING:
    from .live import Live

__all__ = ["Ours", "adopt_orphans", "end_all", "ours", "release_folder", "watch_folder"]

_GUARDIAN = str(Path(__file__).parents[1] / "guardian.py")
#: Starts a process that is nobody's child, and says its number: pools end their workers with all descendants.
_AWAY = 'exec 3<&0; "$@" <&3 3<&- >/dev/null & echo $!'
_SET_CHILD_SUBREAPER = 36


class Ours:
    """What belongs to this very process; a forked child starts with nothing."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything: this is another process now."""
        self.prefix = f"{os.getpid()}-{os.urandom(6).hex()}"
        # A code that uses otwrap itself: its codes belong to the outer run, too.
        outer = os.environ.get("OTWRAP_RUN")
        self._outer = f"{outer}:" if outer else ""
        self._count = itertools.count(1)
        self._lock = threading.Lock()
        self._pipe: int | None = None
        self._journal: Journal | None = None
        self._guardian = 0
        self._zombies: set[int] = set()
        #: The runs in flight.
        self.live: dict[str, Live] = {}
        #: How often all runs were ended.
        self.endings = 0
        #: Whether orphans of the runs become children of this process.
        self.adopts = False

    def new_token(self) -> str:
        """Return what tells a run and its children from all others; it ends with a full stop.

        Returns
        -------
        token : str
        """
        return f"{self.prefix}-{next(self._count)}."

    def variable(self, token: str) -> str:
        """Return the value of ``OTWRAP_RUN`` for a run.

        Parameters
        ----------
        token : str
            Of the run.

        Returns
        -------
        value : str
        """
        return self._outer + token

    def guard(self) -> int:
        """Return the pipe to the guardian, started at the first call.

        Returns
        -------
        pipe : int
            -1 if there is none.
        """
        if self._pipe is None:
            with self._lock:
                if self._pipe is None:
                    self._pipe = self._start_guardian()
        return self._pipe

    def _start_guardian(self) -> int:
        """Start the guardian; return our end of its pipe."""
        if os.environ.get("OTWRAP_GUARDIAN") == "0" or sys.platform != "linux" or not sys.executable:
            return -1
        theirs, pipe = os.pipe()
        # It must not look like a part of an outer run: it is to outlive that.
        environment = {name: value for name, value in os.environ.items() if name != "OTWRAP_RUN"}
        journal = Journal(tempfile.gettempdir(), f"{self.prefix}-{begin_of('self')}")
        guardian = [sys.executable, "-I", "-S", _GUARDIAN, journal.name, journal.place]
        try:
            if self.adopts:
                _adopt(False)
            answer = subprocess.run(
                ["/bin/sh", "-c", _AWAY, "sh", *guardian],
                stdin=theirs,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                cwd="/",
                start_new_session=True,
                check=True,
            )
        except (OSError, subprocess.CalledProcessError) as error:
            os.close(pipe)
            journal.remove()
            msg = f"no guardian ({error}): codes may outlive this process; OTWRAP_GUARDIAN=0 accepts that"
            warnings.warn(msg, RuntimeWarning, stacklevel=2)
            return -1
        finally:
            os.close(theirs)
            if self.adopts:
                _adopt(True)
        self._guardian, self._journal = int(answer.stdout), journal
        return pipe

    def tell(self, line: str) -> None:
        """Send the guardian a line.

        Parameters
        ----------
        line : str
            Of text.
        """
        pipe, text = self.guard(), os.fsencode(line) + b"\n"
        if self._journal is not None:
            with self._lock:
                self._journal.note(text)
        if pipe >= 0:
            try:
                os.write(pipe, text)
            except OSError:
                # Somebody killed the guardian.
                self._pipe = -1

    def left_over(self, token: bytes) -> bool:
        """Whether an orphan of a run was handed over to us; take away the zombies among the orphans.

        Parameters
        ----------
        token : bytes
            Of the run.

        Returns
        -------
        left_over : bool
        """
        if not self.adopts:
            return False
        # Orphans go to the first thread, whose number is that of the process.
        children = {int(pid) for pid in read_proc(f"/proc/self/task/{os.getpid()}/children").split()}
        unknown = children - {live.pid for live in self.live.values()} - {self._guardian}
        found = [pid for pid in unknown if token in read_proc(f"/proc/{pid}/environ")]
        # One that was there at the last look is nobody's: a caller that waits for a child would have.
        zombies = {pid for pid in unknown if _is_foreign_zombie(pid)}
        reap(zombies & self._zombies)
        self._zombies = zombies
        return bool(found)

    def leave(self) -> None:
        """In a forked child, let go of what belongs to the parent."""
        if self._pipe is not None and self._pipe >= 0:
            os.close(self._pipe)
        if self._journal is not None:
            self._journal.close()
        self.reset()


def _is_foreign_zombie(pid: int) -> bool:
    """Whether a child has ended, and began in a session that is not ours."""
    fields = read_proc(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return len(fields) > 3 and fields[0] == b"Z" and int(fields[3]) != os.getsid(0)


def reap(pids: set[int]) -> None:
    """Take note of the end of children, where they are ours.

    Parameters
    ----------
    pids : set of int
        Processes; negative numbers are groups.
    """
    for pid in pids:
        try:
            while os.waitpid(pid, os.WNOHANG)[0] and pid < 0:
                pass
        except OSError:
            continue


ours = Ours()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=ours.leave)


def end_all(grace: float | None = None) -> int:
    """End every run in flight in this process; can be called from any thread and from a signal handler.

    The runs that are ended raise an error of status ``cancelled`` where they were called. Runs that begin
    later are not concerned.

    Parameters
    ----------
    grace : float, optional
        Seconds between request and kill. Default is :data:`otwrap.guardian.GRACE`.

    Returns
    -------
    number : int
        Of the runs that were ended.

    Examples
    --------
    >>> end_all()
    0
    """
    ours.endings += 1
    runs = list(ours.live.values())
    for live in runs:
        live.cancelled = True
    if not runs:
        return 0
    if os.name == "nt":
        for live in runs:
            live.end()
        return len(runs)
    for live in runs:
        live.signal(signal.SIGTERM)
    end_tree(f"{ours.prefix}-".encode(), grace=grace)
    for live in runs:
        # Whoever cleared the environment is still in the group.
        live.signal(signal.SIGKILL)
    return len(runs)


def adopt_orphans() -> bool:
    """Make orphans of runs children of this process, so that none is missed; for worker processes of ours.

    A child that a code leaves behind in another session is then found and ended after the run. Without it,
    it ends with this process.

    Returns
    -------
    adopted : bool
        False where the system cannot (it needs Linux).
    """
    if sys.platform == "linux":
        ours.adopts = _adopt(True)
    return ours.adopts


def _adopt(adopts: bool) -> bool:
    """Say whether orphans are to become children of this process; return whether the system agreed."""
    import ctypes

    return bool(ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, int(adopts), 0, 0, 0) == 0)


def watch_folder(folder: str | os.PathLike[str]) -> None:
    """Have a folder removed should this process end before it can do so itself.

    Parameters
    ----------
    folder : str
        Full path. One with a line break in it is not watched.
    """
    if "\n" not in os.fspath(folder):
        ours.tell(f"+{os.fspath(folder)}")


def release_folder(folder: str | os.PathLike[str]) -> None:
    """Take back :func:`watch_folder`.

    Parameters
    ----------
    folder : str
        The same path.
    """
    if "\n" not in os.fspath(folder):
        ours.tell(f"-{os.fspath(folder)}")
