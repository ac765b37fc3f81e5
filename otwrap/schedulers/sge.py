"""Grid Engine in its many editions: ``qsub``, ``qstat``, ``qacct``, ``qdel``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar
from xml.etree import ElementTree

from ..errors import SchedulerError
from .base import Scheduler
from .job import Job, Output, TaskState
from .ranges import compressed, expanded, pieces

__all__ = ["Sge"]

#: Letters of a state -> ours; the first one that is found counts. `hqw` may wait for another job as well.
_LETTERS = {"E": "held", "r": "running", "t": "running", "s": "running", "S": "running", "T": "running"}
#: Of the accounts: it was started anew, or never ran.
_NO_END = ("25", "24")


class Sge(Scheduler):
    """Grid Engine.

    What has ended is no longer in the queue; the accounts (``qacct``) know it where they can be read. At sites where
    that takes long, a profile may say ``commands = {history = "true"}``.

    Parameters
    ----------
    profile : Profile, optional
        See :class:`Scheduler`.

    Examples
    --------
    >>> sge = Sge()
    >>> sge.submitted("7.1-100:1\\n")
    '7'
    >>> sge.cancel_command("7", [1, 3, 4, 5])
    [['qdel', '7.1,7.3-5']]
    """

    name = "sge"
    title = "Grid Engine"
    template = "sge.sh"
    mark = "#$"
    programs: ClassVar = {"submit": "qsub", "query": "qstat", "history": "qacct", "cancel": "qdel"}
    variables: ClassVar = {
        "index": "SGE_TASK_ID",
        "array_id": "JOB_ID",
        "job_id": "JOB_ID",
        "folder": "SGE_O_WORKDIR",
        "node": "$(hostname)",
        "log": "$TASK_ID",
    }
    cannot = ("nodes",)
    unknown = re.compile(r"does not exist|job id \S+ not found")
    # max_aj_tasks
    default_array_limit = 75000

    def values(self, job: Job) -> dict[str, Any]:
        """Return what stands in the template, see :meth:`Scheduler.values`."""
        environment = "smp" if self.profile is None else self.profile.parallel_environment
        return {**super().values(job), "parallel_environment": environment}

    def submit_command(self, job: Job) -> list[str]:
        """Return the command that submits a job, see :meth:`Scheduler.submit_command`."""
        return [*self.program("submit"), "-terse", f"{job.folder}/script.sh"]

    def submitted(self, output: str | Output) -> str:
        """Return the id of a job, see :meth:`Scheduler.submitted`."""
        return self._job_id(output, r"^(?:Your job(?:-array)? )?(\d+)(?:\.\d+-\d+:\d+)?(?: \(\".*)?$")

    def query_commands(self, ids: Sequence[str]) -> list[list[str]]:
        """Return the commands that ask for states, see :meth:`Scheduler.query_commands`."""
        history = [[*self.program("history"), "-j", job_id] for job_id in ids]
        return [[*self.program("query"), "-xml"], *history]

    def states(self, outputs: Sequence[Output], ids: Sequence[str]) -> dict[str, dict[int, TaskState]]:
        """Return the states of tasks, see :meth:`Scheduler.states`."""
        queue, *others = outputs
        if queue.returncode != 0:
            # All jobs were asked for, so none of them can be unknown.
            raise SchedulerError(self.complaint(queue, "query"))
        found: dict[str, dict[int, TaskState]] = {}
        for job_id, history in zip(ids, others, strict=False):
            # The accounts may be on another machine, or be written with a delay.
            for index, told in _ended(history.stdout):
                found.setdefault(job_id, {})[index] = told
        for job_id, index, told in self._queued(queue.stdout):
            if job_id in ids:
                found.setdefault(job_id, {})[index] = told
        return found

    def cancel_command(self, job_id: str, indices: Sequence[int] | None = None) -> list[list[str]]:
        """Return the commands that cancel, see :meth:`Scheduler.cancel_command`."""
        if indices is None:
            return [[*self.program("cancel"), job_id]]
        tasks = [f"{job_id}.{part}" for part in compressed(indices)]
        return [[*self.program("cancel"), part] for part in pieces(tasks)]

    def _queued(self, printed: str) -> Iterator[tuple[str, int, TaskState]]:
        """Yield job, index and state of what stands in the queue."""
        try:
            jobs = ElementTree.fromstring(printed).iter("job_list")
        except ElementTree.ParseError as error:
            msg = f"{self.title}: `qstat -xml` printed no XML ({error}), but: {printed[:500]!r}"
            raise SchedulerError(msg) from None
        for job in jobs:
            letters = job.findtext("state") or ""
            node = (job.findtext("queue_name") or "").partition("@")[2]
            ours = next((_LETTERS[letter] for letter in letters if letter in _LETTERS), "waiting")
            told = TaskState(ours, letters if ours == "held" else "", node)
            for index in expanded(job.findtext("tasks") or "1"):
                yield job.findtext("JB_job_number") or "", index, told


def _ended(printed: str) -> Iterator[tuple[int, TaskState]]:
    """Yield index and end of the tasks in the accounts, in the order in which they ended."""
    for record in re.split(r"^=+\s*$", printed, flags=re.MULTILINE):
        fields = dict(re.findall(r"^(\w+) +(.*?) *$", record, re.MULTILINE))
        number, _, why = (part.strip() for part in fields.get("failed", "").partition(":"))
        if not number or number in _NO_END:
            continue
        task = fields.get("taskid", "undefined")
        reason = _reason(number, why, fields.get("exit_status", "0").partition(" ")[0])
        yield int(task) if task.isdigit() else 1, TaskState("ended", reason, fields.get("hostname", ""))


def _reason(failed: str, why: str, status: str) -> str:
    """Return how a task ended, in words."""
    code = int(status) if status.isdigit() else 0
    if failed == "100" and code > 128:
        # "assumedly after job": somebody killed it.
        return f"signal {code - 128}"
    if failed not in ("0", "100"):
        return why or f"failed {failed}"
    return f"exit code {code}" if code else ""
