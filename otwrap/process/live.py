"""One run in flight: started, watched, ended with its whole process tree."""

from __future__ import annotations

import ctypes
import errno
import math
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import NamedTuple, NoReturn

from ..command import Command
from ..errors import CommandError, InputError
from ..guardian import end_tree
from . import spawn, streams
from .memory import shared_once, tree_memory
from .registry import ours, reap

if sys.platform != "win32":
    import resource

__all__ = ["Completed", "Live"]

#: Seconds until the first look at a run, and between two looks later, at most; with a memory limit.
FIRST_TICK, LAST_TICK, MEMORY_TICK = 0.02, 0.25, 0.05

#: Bytes in the unit of ``ru_maxrss``.
_UNIT = 1 if sys.platform == "darwin" else 1024
_RETRIES = 100
#: The peak memory of this process when it was last asked for; it never becomes less.
_our_peak = 0


class Completed(NamedTuple):
    """A run that ended well.

    Attributes
    ----------
    exit_code : int
        Of the last command; negative for a signal.
    wall_time : float
        In seconds.
    cpu_time : float or None
        In seconds, of the process and its children; `None` where the system does not say.
    peak_memory : int or None
        In bytes, of the largest process; `None` where it could not be told from our own.
    """

    exit_code: int
    wall_time: float
    cpu_time: float | None
    peak_memory: int | None


class Live:
    """One run in flight.

    Parameters
    ----------
    command : Command
        What is run.
    workdir : str
        The work directory, a full path.
    stem : str
        What stands between ``stdout`` and ``.txt``.
    values : mapping of str or None
        What ``{name}`` stands for.
    timeout : float or None
        Time limit in seconds.
    """

    def __init__(
        self,
        command: Command,
        workdir: str,
        stem: str,
        values: Mapping[str, str] | None,
        timeout: float | None,
    ) -> None:
        self.command = command
        self.workdir = workdir
        self.stem = stem
        self.values = values
        self.timeout = timeout
        self.token = ours.new_token()
        self.pid = 0
        self.exit_code: int | None = None
        self.cancelled = False
        #: Resident memory of the tree at the last look, and the highest peak of one of its processes.
        self.resident = self.peak = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._usage: resource.struct_rusage | None = None
        self._streams: tuple[int, ...] = ()
        self._printed = 0
        self._reaped = self._over = False
        self._pidfd = -1
        self._poller: select.poll | None = None
        #: Of the monotonic clock.
        self.began = 0.0

    def start(self, endings: int) -> None:
        """Start the command.

        Parameters
        ----------
        endings : int
            What ``ours.endings`` was when the run was asked for; it is cancelled if that has changed.

        Raises
        ------
        CommandError, InputError
            If it cannot be started.
        """
        if self.command.memory is not None and sys.platform != "linux":
            msg = f"memory={self.command.memory}: a limit of memory needs Linux; leave it out here"
            raise CommandError(msg, cause="exception")
        argv, path, entries = self.command.launch(self.workdir, self.values)
        try:
            self._streams = streams.open_streams(self.workdir, self.stem)
        except OSError as error:
            msg = f"the streams cannot be written in the work directory {self.workdir}: {error.strerror}"
            raise CommandError(msg, cause="exception") from error
        stdin = self._open_stdin()
        self.began = time.monotonic()
        try:
            self._spawn(argv, path, entries, (stdin, *self._streams))
        finally:
            if stdin >= 0:
                os.close(stdin)
        ours.live[self.token] = self
        self.cancelled = ours.endings != endings
        if os.name != "nt":
            self._prepare_to_wait()

    def _prepare_to_wait(self) -> None:
        """Get what tells of the end of the process."""
        try:
            self._pidfd = os.pidfd_open(self.pid)
        except (AttributeError, OSError):
            return
        self._poller = select.poll()
        self._poller.register(self._pidfd, select.POLLIN)

    def _own_environment(self) -> dict[str, str]:
        """Return the environment variables that differ from run to run."""
        own = {"OTWRAP_RUN": ours.variable(self.token)}
        command = self.command
        if "PWD" in command.env:
            own["PWD"] = command.env["PWD"]
        elif "PWD" not in command.env_remove:
            # As `cd` in a shell does: some codes believe it.
            own["PWD"] = self.workdir
        return own

    def _open_stdin(self) -> int:
        """Open the standard input; `DEVNULL` if there is none."""
        if self.command.stdin is None:
            return subprocess.DEVNULL
        try:
            return os.open(f"{self.workdir}/{self.command.stdin}", os.O_RDONLY)
        except OSError as error:
            msg = (
                f"stdin={self.command.stdin!r} cannot be read in the work directory {self.workdir}: "
                f"{error.strerror}; templates= or files= can put it there"
            )
            raise InputError(msg) from error

    def _spawn(
        self, argv: list[str], path: str, entries: tuple[bytes, ...], files: tuple[int, int, int]
    ) -> None:
        """Start the process."""
        own = self._own_environment()
        # Where this process has none of the usual streams, theirs may get their numbers.
        fast = spawn.fast_spawn() if min(files[1:]) > 2 and files[0] not in (0, 1, 2) else None
        number = ctypes.c_int()
        for attempt in range(_RETRIES):
            try:
                if fast is None:
                    environment = {**self.command.environment(), **own}
                    self._process = spawn.by_popen(argv, path, self.workdir, environment, files)
                    self.pid = self._process.pid
                else:
                    texts = [os.fsencode(f"{name}={value}") for name, value in own.items()]
                    fast(argv, path, self.workdir, [*texts, *entries], files, number)
            except OSError as error:
                # A program that was just copied is still open in the fork of another thread.
                if error.errno != errno.ETXTBSY or attempt == _RETRIES - 1:
                    self._not_started(argv[0], path, error)
                time.sleep(0.01)
            else:
                return
            finally:
                # Also where an interrupt comes when the process is there and the call has not returned.
                self.pid = self.pid or number.value

    def _not_started(self, program: str, path: str, error: OSError) -> NoReturn:
        """Raise the error that says why there is no process."""
        if error.errno in (errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.ENOTDIR, errno.EPERM):
            self.command.cannot_start(program, self.workdir, error)
        msg = f"{path} cannot be started in {self.workdir}: {error.strerror}"
        raise CommandError(msg, cause="exception") from error

    def watch(self) -> str:
        """Wait until the process has ended or has to be.

        Returns
        -------
        verdict : {"", "time limit", "memory limit", "cancelled"}
            Why it has to be ended.
        """
        deadline = math.inf if self.timeout is None else self.began + self.timeout
        longest = LAST_TICK if self.command.memory is None else MEMORY_TICK
        tick = FIRST_TICK
        while not self.cancelled:
            left = deadline - time.monotonic()
            if self._has_ended(max(0.0, min(tick, left))):
                break
            if left <= tick:
                return "time limit"
            grown = self._look()
            if self._is_too_large():
                return "memory limit"
            # A stream that grows fast is looked at again before it has grown by a quarter of the limit.
            tick = max(0.002, min(1.5 * tick, longest, tick * streams.STREAM_LIMIT / (4 * grown + 1)))
        return "cancelled" if self.cancelled else ""

    def _has_ended(self, tick: float) -> bool:
        """Wait for the end of the process, for so many seconds at most."""
        if self._poller is not None:
            return bool(self._poller.poll(1000 * tick))
        end, pause = time.monotonic() + tick, 0.0005
        while not self._reap(getattr(os, "WNOHANG", 0)):
            left = end - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(pause, left))
            pause = min(1.5 * pause, 0.05)
        return True

    def _look(self) -> int:
        """Look at streams and memory; return by how many bytes the streams have grown."""
        grown, self._printed = -self._printed, 0
        for stream in self._streams:
            grown += streams.shorten(stream)
            self._printed += os.lseek(stream, 0, os.SEEK_END)
        if sys.platform == "linux":
            self.resident, peak = tree_memory(self.pid)
            self.peak = max(self.peak, peak)
        return max(0, grown)

    def _is_too_large(self) -> bool:
        """Whether the tree has more memory than allowed."""
        limit = self.command.memory
        if limit is None or self.resident <= limit:
            return False
        # A child that is just being made shares the memory of its parent: what is shared counts once, and
        # only what is still so a moment later.
        time.sleep(0.003)
        self.resident = min(tree_memory(self.pid)[0], shared_once(self.pid))
        return self.resident > limit

    def _reap(self, flags: int = 0) -> bool:
        """Take note of the end of the process; say whether it has ended."""
        if self._reaped or not self.pid:
            return True
        if os.name == "nt":
            self.exit_code = None if self._process is None else self._process.poll()
            return self.exit_code is not None
        try:
            pid, status, usage = os.wait4(self.pid, flags)
        except ChildProcessError:
            self._note_end(None)
            return True
        if pid:
            self._note_end(os.waitstatus_to_exitcode(status))
            self._usage = usage
        return bool(pid)

    def _note_end(self, exit_code: int | None) -> None:
        """Remember how the process ended, so that nobody waits for it again."""
        self._reaped, self.exit_code = True, exit_code
        if self._process is not None:
            self._process.returncode = 0 if exit_code is None else exit_code

    def signal(self, number: int) -> bool:
        """Send the group of the run a signal.

        Parameters
        ----------
        number : int
            The signal.

        Returns
        -------
        sent : bool
            Whether there was somebody to get it.
        """
        try:
            os.killpg(self.pid, number)
        except OSError:
            return False
        return True

    def finish(self) -> Completed:
        """Return what the run came to, once the process has ended; end what it left behind.

        Returns
        -------
        completed : Completed

        Raises
        ------
        CommandError
            If the system does not say how it ended.
        """
        self._reap()
        wall_time = time.monotonic() - self.began
        if os.name != "nt" and (self.signal(0) or ours.left_over(self.token.encode())):
            self.end()
        self._over = True
        for stream in self._streams:
            streams.shorten(stream)
        if self.exit_code is None:
            msg = "the exit code was lost: SIGCHLD is ignored, or something here waits for all children"
            raise CommandError(f"{msg} (work directory {self.workdir})", cause="exception")
        usage = self._usage
        if usage is None:
            return Completed(self.exit_code, wall_time, None, None)
        peak = usage.ru_maxrss * _UNIT if _is_its_own(usage.ru_maxrss) else 0
        memory = max(peak, self.peak) or None
        return Completed(self.exit_code, wall_time, usage.ru_utime + usage.ru_stime, memory)

    def end(self) -> None:
        """End the whole process tree, now."""
        if not self.pid or self._over:
            return
        if self._process is not None and os.name == "nt":
            self._process.kill()
            self.exit_code = self._process.wait()
            self._over = True
            return
        orphans = end_tree(self.token.encode(), self.pid)
        if not self._reap(os.WNOHANG):
            # Not even KILL has ended it; nobody will wait for it any more.
            self._note_end(None)
        reap({*orphans, -self.pid} - {self.pid})
        self._over = True
        for stream in self._streams:
            streams.shorten(stream)

    def close(self) -> None:
        """Let go of the files of the run."""
        ours.live.pop(self.token, None)
        if not self._over:  # ended before its time: what it printed since the last look is too much, maybe
            for stream in self._streams:
                streams.shorten(stream)
        for number in (*self._streams, self._pidfd):
            if number >= 0:
                os.close(number)


def _is_its_own(peak: int) -> bool:
    """Whether the peak memory of a child is its own; it counts the pages of the parent that started it."""
    global _our_peak
    if peak > _our_peak:
        _our_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak > _our_peak
