"""Tasks of a job as processes of this machine, and the process that looks after them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, NamedTuple

from ..cpus import evaluations_at_a_time
from ..guardian import GRACE, PATIENCE, find_tree
from .ranges import expanded
from .spool import Spool, identity_of, send, token_of

__all__ = ["Order", "Run", "Runner"]

#: Seconds between two looks at what runs, at first and at most.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.2
_LINE = re.compile(r"#LOCAL\s+--([a-z-]+)(?:=(.*))?")


class Order(NamedTuple):
    """What the lines ``#LOCAL --name=value`` of a script say.

    Attributes
    ----------
    script : str
        The script, from the folder of the submission.
    tasks : int
        How many; 1 for a job without an array.
    at_a_time : int
        How many at most at a time.
    time : float or None
        Limit in seconds.
    cpus : int
        Of a task.
    after : tuple of str
        Ids of jobs that must have ended before.
    logs : str
        Folder of the logs.
    first : int
        Number of the task before the first one.
    """

    script: str
    tasks: int
    at_a_time: int
    time: float | None
    cpus: int
    after: tuple[str, ...]
    logs: str
    first: int

    @classmethod
    def read(cls, script: str) -> Order:
        """Return what a script says.

        Parameters
        ----------
        script : str
            A file.

        Returns
        -------
        order : Order

        Raises
        ------
        ValueError
            If a line is wrong.
        """
        said: dict[str, str] = {}
        for number, line in enumerate(Path(script).read_text(encoding="utf-8").splitlines(), 1):
            if line.startswith("#LOCAL"):
                match = _LINE.fullmatch(line.strip())
                if match is None or match[1] not in ("name", "array", "logs", "cpus", "time", "after"):
                    msg = f"{script}, line {number}: {line!r} is not understood; known are --name, --array, \
--logs, --cpus, --time and --after, each with =VALUE"
                    raise ValueError(msg)
                said[match[1]] = match[2] or ""
        array, _, limit = said.get("array", "").partition("%")
        cpus = int(said.get("cpus", 1))
        folder, _, first = said.get("logs", f"{Path(script).parent}/logs").rpartition("+")
        return cls(
            script=script,
            tasks=len(expanded(array)) if array else 1,
            at_a_time=int(limit) if limit else evaluations_at_a_time(-1, cpus),
            time=float(said["time"]) if "time" in said else None,
            cpus=cpus,
            after=tuple(filter(None, said.get("after", "").split(","))),
            logs=folder or first,
            first=int(first) if folder else 0,
        )


class Run:
    """A task that runs.

    Parameters
    ----------
    spool : Spool
        Of the job.
    order : Order
        What the job is.
    index : int
        Of the task.
    """

    def __init__(self, spool: Spool, order: Order, index: int) -> None:
        self.index = index
        self.reason = ""
        self._token = f"OTWRAP_RUN={token_of(spool.id, index)}".encode()
        self._deadline = None if order.time is None else time.monotonic() + order.time
        self._ending: float | None = None
        self._told: set[int] = set()
        number = index + order.first
        self._log = Path(order.logs, f"{number}.txt")
        told = {
            "LOCAL_ARRAY_INDEX": str(index),
            "LOCAL_JOB_ID": spool.id,
            "LOCAL_SUBMIT_DIR": os.getcwd(),
            "OTWRAP_RUN": token_of(spool.id, index),
        }
        with self._log.open("ab") as log:
            # A session of its own: its end is the end of all that it has started.
            self._process = subprocess.Popen(
                ["bash", order.script],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **told},
                start_new_session=True,
            )
        spool.note(task=index, pid=self._process.pid, identity=identity_of(self._process.pid))

    def end(self, reason: str) -> None:
        """Have it end.

        Parameters
        ----------
        reason : str
            Why.
        """
        if self._ending is None and self._process.poll() is None:
            self.reason, self._ending = reason, time.monotonic()
            with self._log.open("a", encoding="utf-8") as log:
                log.write(f"otwrap: the local runner ends this task: {reason}\n")

    def ended(self) -> bool:
        """Look after it; return whether nothing is left of it.

        Returns
        -------
        ended : bool
        """
        code = self._process.poll()
        if code is None and self._deadline is not None and time.monotonic() > self._deadline:
            self.end("TIMEOUT")
        if code is None and self._ending is None:
            return False
        if self._ending is None:
            self._ending = time.monotonic()
            self.reason = f"signal {-code}" if code and code < 0 else f"exit code {code}" if code else ""
        return self._tell()

    def _tell(self) -> bool:
        """Tell what is left of it to end, and later kill it; return whether there is nothing."""
        elapsed = time.monotonic() - (self._ending or 0.0)
        # Once it has been waited for, its number may be somebody else's.
        group = self._process.pid if self._process.poll() is None else 0
        left = find_tree(self._token, group)
        for pid in left:
            if elapsed >= GRACE or pid not in self._told:
                send(pid, signal.SIGKILL if elapsed >= GRACE else signal.SIGTERM)
        self._told.update(left)
        if self._process.poll() is None:
            return elapsed > GRACE + PATIENCE
        return not left or elapsed > GRACE + PATIENCE


class Runner:
    """Runs the tasks of a job.

    Parameters
    ----------
    spool : Spool
        Of the job.
    order : Order
        What the job is.
    """

    def __init__(self, spool: Spool, order: Order) -> None:
        self._spool, self._order = spool, order
        self._waiting = list(range(1, order.tasks + 1))
        self._runs: list[Run] = []
        self._after = list(order.after)
        self._stopped = False

    def work(self) -> None:
        """Run all tasks to their end."""
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._stop)
        pause = _FIRST_PAUSE
        while self._waiting or self._runs:
            pause = _FIRST_PAUSE if self._step() else min(1.3 * pause, _LONGEST_PAUSE)
            time.sleep(pause)

    def _stop(self, *_: Any) -> None:
        """Have everything cancelled: the machine goes down."""
        self._stopped = True

    def _step(self) -> bool:
        """Look after all tasks once; return whether anything has changed."""
        changed = self._cancel()
        for run in [run for run in self._runs if run.ended()]:
            self._spool.note(task=run.index, end=run.reason)
            self._runs.remove(run)
            changed = True
        if not self._waiting or not self._may_begin():
            return changed
        while self._waiting and len(self._runs) < self._order.at_a_time:
            self._begin(self._waiting.pop(0))
            changed = True
        return changed

    def _begin(self, index: int) -> None:
        """Begin a task, unless the system has no more processes."""
        try:
            self._runs.append(Run(self._spool, self._order, index))
        except OSError as error:
            self._spool.note(task=index, end=f"it could not be started: {error.strerror}")

    def _cancel(self) -> bool:
        """Cancel what somebody wants cancelled; return whether anything was."""
        tasks = self._order.tasks
        wanted = set(range(1, tasks + 1)) if self._stopped else self._spool.wishes(tasks)
        unwanted = [index for index in self._waiting if index in wanted]
        for index in unwanted:
            self._waiting.remove(index)
            self._spool.note(task=index, end="CANCELLED")
        for run in self._runs:
            if run.index in wanted:
                run.end("CANCELLED")
        return bool(unwanted)

    def _may_begin(self) -> bool:
        """Whether the jobs before this one have ended, or are gone."""
        while self._after:
            other = Spool.find(self._after[0])
            if other is not None and any(told.state != "ended" for told in other.states().values()):
                return False
            self._after.pop(0)
        return True
