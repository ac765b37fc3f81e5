"""Slurm: ``sbatch``, ``squeue``, ``sacct``, ``scancel``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from .base import Scheduler
from .job import Job, Output, TaskState
from .ranges import compressed, expanded, pieces

__all__ = ["Slurm"]

#: Slurm's words -> ours. What ended badly keeps Slurm's word as its reason.
_STATES = {
    "PENDING": "waiting",
    "CONFIGURING": "waiting",
    "REQUEUED": "waiting",
    "REQUEUE_FED": "waiting",
    "REQUEUE_HOLD": "held",
    "RESV_DEL_HOLD": "held",
    "SPECIAL_EXIT": "held",
    "RUNNING": "running",
    "COMPLETING": "running",
    "RESIZING": "running",
    "SIGNALING": "running",
    "STAGE_OUT": "running",
    "STOPPED": "running",
    "SUSPENDED": "running",
    "COMPLETED": "ended",
    "FAILED": "ended",
    "TIMEOUT": "ended",
    "CANCELLED": "ended",
    "NODE_FAIL": "ended",
    "OUT_OF_MEMORY": "ended",
    "BOOT_FAIL": "ended",
    "LAUNCH_FAILED": "ended",
    "RECONFIG_FAIL": "ended",
    "DEADLINE": "ended",
    "PREEMPTED": "ended",
    "REVOKED": "ended",
}
#: Reasons of jobs that wait, and will do so for ever unless somebody does something.
_STUCK = re.compile(
    r"held|DependencyNeverSatisfied|BadConstraints|Partition(?:\w+Limit|Config)|InvalidAccount|InvalidQOS",
    re.I,
)
#: Reasons of jobs that wait as all jobs do.
_ORDINARY = re.compile(r"None|Priority|Resources|JobArrayTaskLimit|Dependency|Prolog|BeginTime|\(null\)|")
#: Columns of the queue and their widths; what is longer than its column is cut.
_QUEUE = {"JobArrayID": 40, "State": 20, "exit_code": 12, "Reason": 60, "NodeList": 60}
_HISTORY = "JobID,State,ExitCode,NodeList"


class Slurm(Scheduler):
    """Slurm.

    A job stands in the queue for some minutes after its end (``MinJobAge``); later only ``sacct`` knows it,
    where the site keeps accounts.

    Parameters
    ----------
    profile : Profile, optional
        See :class:`Scheduler`.

    Examples
    --------
    >>> slurm = Slurm()
    >>> slurm.submitted("123\\n")
    '123'
    >>> slurm.cancel_command("123", [1, 3, 4, 5])
    [['scancel', '123_[1,3-5]']]
    """

    name = "slurm"
    title = "Slurm"
    template = "slurm.sh"
    mark = "#SBATCH"
    programs: ClassVar = {"submit": "sbatch", "query": "squeue", "history": "sacct", "cancel": "scancel"}
    variables: ClassVar = {
        "index": "SLURM_ARRAY_TASK_ID",
        "array_id": "SLURM_ARRAY_JOB_ID",
        "job_id": "SLURM_JOB_ID",
        "folder": "SLURM_SUBMIT_DIR",
        "node": "$SLURMD_NODENAME",
        "log": "%a",
    }
    unknown = re.compile(
        r"Invalid job id|already (?:completing or )?completed|Job/step already", re.IGNORECASE
    )
    # MaxArraySize is 1001 unless the site says otherwise, and the largest index is one less.
    default_array_limit = 1000

    def submit_command(self, job: Job) -> list[str]:
        """Return the command that submits a job, see :meth:`Scheduler.submit_command`."""
        return [*self.program("submit"), "--parsable", f"{job.folder}/script.sh"]

    def submitted(self, output: str | Output) -> str:
        """Return the id of a job, see :meth:`Scheduler.submitted`."""
        # "12;cluster" where several are to be had; "Submitted batch job 12" of a program of the site.
        return self._job_id(output, r"^(?:Submitted batch job )?(\d+)(?:;\S+)?\s*$")

    def query_commands(self, ids: Sequence[str]) -> list[list[str]]:
        """Return the commands that ask for states, see :meth:`Scheduler.query_commands`."""
        jobs = f"--jobs={','.join(ids)}"
        columns = ",".join(f"{name}:{width}" for name, width in _QUEUE.items())
        queue = ["--array", "--noheader", "--states=all", f"--Format={columns}", jobs]
        history = ["--noheader", "--parsable2", "--allocations", f"--format={_HISTORY}", jobs]
        return [[*self.program("query"), *queue], [*self.program("history"), *history]]

    def states(self, outputs: Sequence[Output], ids: Sequence[str]) -> dict[str, dict[int, TaskState]]:
        """Return the states of tasks, see :meth:`Scheduler.states`."""
        queue, *others = outputs
        found: dict[str, dict[int, TaskState]] = {}
        # Many sites keep no accounts, or have them in a database that is away: then the queue is all there is.
        history = "".join(output.stdout for output in others if output.returncode == 0)
        queued = [_columns(line) for line in self.answer(queue, "query").splitlines()]
        ended = [(line.split("|") + [""] * 4)[:4] for line in history.splitlines()]
        arrays = {word.partition("_")[0] for word, *_ in [*queued, *ended] if "_" in word}
        for word, state, code, node in ended:
            # Just after a start or an end, the accounts know the last task by the number of its array alone.
            if word not in arrays:
                # "CANCELLED by 1000"; what has not ended stands in the queue.
                told = _told(state.partition(" ")[0], _code(code), "", node)
                if told.state == "ended":
                    _note(found, word, told)
        for word, state, code, reason, node in queued:
            _note(found, word, _told(state, _status(code), reason, node))
        return {job_id: found[job_id] for job_id in ids if job_id in found}

    def cancel_command(self, job_id: str, indices: Sequence[int] | None = None) -> list[list[str]]:
        """Return the commands that cancel, see :meth:`Scheduler.cancel_command`."""
        if indices is None:
            return [[*self.program("cancel"), job_id]]
        return [[*self.program("cancel"), f"{job_id}_[{part}]"] for part in pieces(compressed(indices))]


def _columns(line: str) -> list[str]:
    """Return the fields of a line of the queue."""
    fields, start = [], 0
    for width in _QUEUE.values():
        fields.append(line[start : start + width].strip())
        start += width
    return fields


def _told(state: str, ending: str, reason: str, node: str) -> TaskState:
    """Return a state from Slurm's words."""
    node = "" if node == "None assigned" else node
    # A word that a later version brings is no end.
    ours = _STATES.get(state.rstrip("+"), "running")
    if ours == "ended":
        said = {"COMPLETED": "", "FAILED": ending or "FAILED"}.get(state, state)
        return TaskState(ours, said, node)
    if ours == "waiting":
        stuck = _STUCK.search(reason)
        return TaskState("held" if stuck else ours, "" if _ORDINARY.fullmatch(reason) else reason)
    return TaskState(ours, reason or state if ours == "held" else "", node)


def _status(code: str) -> str:
    """Return how a process ended, from what `wait` says of it."""
    number = int(code) if code.isdigit() else 0
    return f"signal {number & 127}" if number & 127 else f"exit code {number >> 8}" if number else ""


def _code(code: str) -> str:
    """Return how a process ended, from the accounts' ``exit code:signal``."""
    status, _, signal = code.partition(":")
    if signal not in ("", "0"):
        return f"signal {signal}"
    return "" if status in ("", "0") else f"exit code {status}"


def _note(found: dict[str, dict[int, TaskState]], word: str, told: TaskState) -> None:
    """Note a state for ``12``, ``12_3`` or ``12_[5-10%2]``."""
    job_id, _, numbers = word.partition("_")
    try:
        indices = expanded(numbers) if numbers else [1]
    except ValueError:
        # The accounts cut long lists; those tasks wait, and stand in the queue one by one.
        return
    found.setdefault(job_id, {}).update(dict.fromkeys(indices, told))
