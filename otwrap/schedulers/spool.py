"""What the local runner writes down of a job, in the job's folder, and what that says of its tasks."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..guardian import begin_of, find_tree, read_proc
from .job import TaskState
from .ranges import expanded

__all__ = ["Spool", "identity_of", "send", "token_of"]

_ID = re.compile(r"local-[0-9a-f]+")


def token_of(job_id: str, index: int) -> str:
    """Return what the environment of a task's processes holds, however far they are from it.

    Parameters
    ----------
    job_id : str
        Of the job.
    index : int
        Of the task.

    Returns
    -------
    token : str
        The start of ``OTWRAP_RUN``.

    Examples
    --------
    >>> token_of("local-3f9a2c1b", 2)
    'local-3f9a2c1b-2.'
    """
    return f"{job_id}-{index}."


def identity_of(pid: int) -> str:
    """Return what tells a process from a later one that has its number, also after the machine was started anew.

    Parameters
    ----------
    pid : int
        Its number.

    Returns
    -------
    identity : str
        Empty if it is gone.

    Examples
    --------
    >>> import os
    >>> identity_of(os.getpid()) != ""
    True
    """
    begin = begin_of(pid)
    if begin or os.path.isdir("/proc/self"):
        return f"{begin}@{read_proc('/proc/sys/kernel/random/boot_id').decode().strip()}" if begin else ""
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def send(pid: int, number: int) -> None:
    """Send a signal to a process, if it is still there.

    Parameters
    ----------
    pid : int
        Its number.
    number : int
        Of the signal.
    """
    try:
        os.kill(pid, number)
    except OSError:
        return


class Spool:
    """The file of a job: what the runner has begun and ended, a line each.

    Parameters
    ----------
    folder : Path
        Of the job.
    job_id : str
        Of the job.
    """

    def __init__(self, folder: Path, job_id: str) -> None:
        self.id = job_id
        self.folder = folder
        self._unwritten = ""
        self._path = folder / f"{job_id}.jsonl"
        #: Somebody else writes this one, a line at a time.
        self._wishes = folder / f"{job_id}.cancel"

    @classmethod
    def find(cls, job_id: str) -> Spool | None:
        """Return the file of a job of the submission in the current folder.

        Parameters
        ----------
        job_id : str
            Of the job.

        Returns
        -------
        spool : Spool or None
            `None` if there is none.
        """
        if not _ID.fullmatch(job_id):
            return None
        for path in Path("jobs").glob(f"*/{job_id}.jsonl"):
            return cls(path.parent, job_id)
        return None

    def begin(self, **about: Any) -> None:
        """Write down who runs the job.

        Parameters
        ----------
        **about
            What else there is to know of it.
        """
        me = {"host": socket.gethostname(), "pid": os.getpid(), "identity": identity_of(os.getpid())}
        with self._path.open("x", encoding="utf-8") as file:
            file.write(json.dumps({**me, **about}) + "\n")

    def note(self, **event: Any) -> None:
        """Write down what has happened.

        Parameters
        ----------
        **event
            One line.
        """
        self._unwritten += json.dumps(event) + "\n"
        # On a full disk the tasks go on, and their ends are written when there is room.
        with contextlib.suppress(OSError):
            with self._path.open("a", encoding="utf-8") as file:
                file.write(self._unwritten)
            self._unwritten = ""
            return
        if not self._unwritten.startswith("\n"):
            # After a line that is not whole.
            self._unwritten = "\n" + self._unwritten

    def lines(self) -> list[dict[str, Any]]:
        """Return what was written down, the runner first.

        Returns
        -------
        lines : list of dict
            A line that is not whole is none.
        """
        try:
            text = self._path.read_text(encoding="utf-8")
        except OSError:
            return []
        found = []
        for line in text.splitlines(keepends=True):
            if line.endswith("\n"):
                with contextlib.suppress(ValueError):
                    found.append(json.loads(line))
        return found

    def wish(self, indices: Sequence[int] | None) -> None:
        """Ask the runner to cancel tasks.

        Parameters
        ----------
        indices : sequence of int or None
            `None` for all.
        """
        text = "all" if indices is None else ",".join(map(str, indices))
        with self._wishes.open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")

    def wishes(self, tasks: int) -> set[int]:
        """Return the tasks that somebody wants cancelled.

        Parameters
        ----------
        tasks : int
            How many there are.

        Returns
        -------
        indices : set of int
        """
        try:
            lines = self._wishes.read_text(encoding="utf-8").splitlines(keepends=True)
        except OSError:
            return set()
        found: set[int] = set()
        for line in lines:
            if line.endswith("\n"):
                found.update(range(1, tasks + 1) if line == "all\n" else expanded(line))
        return found

    def states(self) -> dict[int, TaskState]:
        """Return the states of the job's tasks, as far as anybody knows them.

        Returns
        -------
        states : dict of TaskState

        Raises
        ------
        RuntimeError
            If the job is one of another machine.
        """
        lines = self.lines()
        if not lines:
            return {}
        runner = lines[0]
        here = socket.gethostname()
        if runner["host"] != here:
            msg = f"the job {self.id} runs on {runner['host']!r}, and this is {here!r}; ask there"
            raise RuntimeError(msg)
        wanted = self.wishes(runner["tasks"])
        runs = identity_of(runner["pid"]) == runner["identity"]
        # Read once more: a runner that is gone by now has written down all that it was to.
        events = self.lines()[1:]
        begun = {event["task"]: event for event in events if "pid" in event}
        ended = {event["task"]: TaskState("ended", event["end"], here) for event in events if "end" in event}
        found = dict(ended)
        for index in range(1, runner["tasks"] + 1):
            if index in ended:
                continue
            if index in begun:
                # A runner that was killed leaves its tasks behind; they are at work all the same.
                if runs or self.left(index, begun[index]):
                    found[index] = TaskState("running", "", here)
            elif index in wanted:
                found[index] = TaskState("ended", "CANCELLED")
            elif runs:
                found[index] = TaskState("waiting")
        return found

    def left(self, index: int, event: dict[str, Any] | None = None) -> list[int]:
        """Return the living processes of a task.

        Parameters
        ----------
        index : int
            Of the task.
        event : dict, optional
            The line that says how it was begun.

        Returns
        -------
        pids : list of int
        """
        group = 0
        if event is not None and identity_of(event["pid"]) == event["identity"]:
            group = event["pid"]
        return find_tree(f"OTWRAP_RUN={token_of(self.id, index)}".encode(), group)
