"""LSF: ``bsub``, ``bjobs``, ``bkill``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from .base import Scheduler
from .job import Job, Output, TaskState
from .ranges import compressed, pieces

__all__ = ["Lsf"]

_STATES = {
    "PEND": "waiting",
    "PROV": "waiting",
    "WAIT": "waiting",
    "PSUSP": "held",
    "RUN": "running",
    "USUSP": "running",
    "SSUSP": "running",
    # Its node does not answer; LSF does not know more, either.
    "UNKWN": "running",
    "ZOMBI": "running",
    "DONE": "ended",
    "EXIT": "ended",
}
_FIELDS = ("jobid", "jobindex", "stat", "exit_code", "exec_host", "exit_reason")


class Lsf(Scheduler):
    """LSF.

    What has ended stands in the queue for an hour, unless the site says otherwise (``CLEAN_PERIOD``).

    Parameters
    ----------
    profile : Profile, optional
        See :class:`Scheduler`.

    Examples
    --------
    >>> lsf = Lsf()
    >>> lsf.submitted("Job <123> is submitted to default queue <normal>.\\n")
    '123'
    >>> lsf.cancel_command("123", [1, 3, 4, 5])
    [['bkill', '123[1,3-5]']]
    """

    name = "lsf"
    title = "LSF"
    template = "lsf.sh"
    mark = "#BSUB"
    programs: ClassVar = {"submit": "bsub", "query": "bjobs", "cancel": "bkill"}
    variables: ClassVar = {
        "index": "LSB_JOBINDEX",
        "array_id": "LSB_JOBID",
        "job_id": "LSB_JOBID",
        "folder": "LS_SUBCWD",
        "node": "$(hostname)",
        "log": "%I",
    }
    unknown = re.compile(r"is not found|No matching job found|already finished|No (?:\w+ )?job found")
    # MAX_JOB_ARRAY_SIZE
    default_array_limit = 1000

    def submit_command(self, job: Job) -> list[str]:
        """Return the command that submits a job, which reads the script; see :meth:`Scheduler.submit_command`."""
        return self.program("submit")

    def submit_input(self, job: Job) -> str:
        """Return the script, see :meth:`Scheduler.submit_input`."""
        return f"{job.folder}/script.sh"

    def submitted(self, output: str | Output) -> str:
        """Return the id of a job, see :meth:`Scheduler.submitted`."""
        return self._job_id(output, r"^Job <(\d+)> is submitted")

    def query_commands(self, ids: Sequence[str]) -> list[list[str]]:
        """Return the commands that ask for states, see :meth:`Scheduler.query_commands`."""
        return [[*self.program("query"), "-a", "-noheader", "-o", f"{' '.join(_FIELDS)} delimiter='|'", *ids]]

    def states(self, outputs: Sequence[Output], ids: Sequence[str]) -> dict[str, dict[int, TaskState]]:
        """Return the states of tasks, see :meth:`Scheduler.states`."""
        found: dict[str, dict[int, TaskState]] = {}
        for line in self.answer(outputs[0], "query").splitlines():
            fields = [field.strip() for field in line.split("|", len(_FIELDS) - 1)]
            if len(fields) == len(_FIELDS) and fields[0] in ids:
                job_id, index, state, code, host, why = fields
                # A job without an array has index 0.
                found.setdefault(job_id, {})[int(index) or 1] = _told(state, code, host, why)
        return found

    def cancel_command(self, job_id: str, indices: Sequence[int] | None = None) -> list[list[str]]:
        """Return the commands that cancel, see :meth:`Scheduler.cancel_command`."""
        if indices is None:
            return [[*self.program("cancel"), job_id]]
        # Texts of more than 255 characters were cut by older versions.
        return [[*self.program("cancel"), f"{job_id}[{part}]"] for part in pieces(compressed(indices), 200)]


def _told(state: str, code: str, host: str, why: str) -> TaskState:
    """Return a state from LSF's words."""
    ours = _STATES.get(state, "running")
    # "4*node1:4*node2"
    node = "" if host == "-" else host.partition(":")[0].rpartition("*")[2]
    if ours == "held":
        return TaskState(ours, state)
    if ours == "ended" and state != "DONE":
        word = re.match(r"TERM_\w+", why)
        return TaskState(ours, word[0] if word else f"exit code {code}" if code.isdigit() else state, node)
    return TaskState(ours, "", node if ours != "waiting" else "")
