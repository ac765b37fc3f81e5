"""PBS Pro and OpenPBS, and Torque: ``qsub``, ``qstat``, ``qdel``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from .base import Scheduler
from .job import Job, Output, TaskState
from .ranges import compressed, pieces

__all__ = ["Pbs", "Torque"]

#: Letters of a state -> ours; B is an array itself.
_STATES = {
    "Q": "waiting",
    "T": "waiting",
    "W": "waiting",
    "M": "waiting",
    "H": "held",
    "R": "running",
    "E": "running",
    "S": "running",
    "U": "running",
    "C": "ended",
    "F": "ended",
    "X": "ended",
}
#: What PBS says for the exit code of a task that it has ended itself.
_KILLED = {
    -24: "CPUs exceeded",
    -25: "CPUs exceeded",
    -26: "virtual memory exceeded",
    -27: "memory exceeded",
    -28: "CPU time exceeded",
    -29: "walltime exceeded",
}


class Pbs(Scheduler):
    """PBS Pro and OpenPBS.

    An array of one task is refused by PBS, and is a plain job here. A limit on tasks at a time needs PBS 2020.1
    or later. Without a history (``job_history_enable``), PBS forgets a job at its end.

    Parameters
    ----------
    profile : Profile, optional
        See :class:`Scheduler`.

    Examples
    --------
    >>> pbs = Pbs()
    >>> pbs.submitted("123[].head\\n")
    '123[].head'
    >>> pbs.cancel_command("123[].head", [1, 3, 4, 5])
    [['qdel', '123[1].head', '123[3-5].head']]
    """

    name = "pbs"
    title = "PBS"
    template = "pbs.sh"
    mark = "#PBS"
    programs: ClassVar = {"submit": "qsub", "query": "qstat", "history": "qstat", "cancel": "qdel"}
    variables: ClassVar = {
        "index": "PBS_ARRAY_INDEX",
        "array_id": "PBS_ARRAY_ID",
        "job_id": "PBS_JOBID",
        "folder": "PBS_O_WORKDIR",
        "node": "$(hostname)",
        "log": "^array_index^",
    }
    # What is printed comes to its place when the task has ended, over what was there.
    appends = False
    unknown = re.compile(
        r"Unknown Job Id|Job has finished|Job <?[\w.\[\]-]+>? has finished|invalid state.* COMPLETE",
        re.IGNORECASE,
    )
    # max_array_size
    default_array_limit: ClassVar[int | None] = 10000

    def scripts(self, job: Job) -> dict[str, str]:
        """Return the files of a job, see :meth:`Scheduler.scripts`."""
        return super().scripts(job._replace(tasks=None) if job.tasks == 1 else job)

    def submitted(self, output: str | Output) -> str:
        """Return the id of a job, see :meth:`Scheduler.submitted`."""
        return self._job_id(output, r"^(\d+(?:\[\])?(?:\.[\w.-]+)?)\s*$")

    def query_commands(self, ids: Sequence[str]) -> list[list[str]]:
        """Return the commands that ask for states, see :meth:`Scheduler.query_commands`."""
        return [
            [*self.program("query"), "-t", "-f", *ids],
            [*self.program("history"), "-x", "-t", "-f", *ids],
        ]

    def states(self, outputs: Sequence[Output], ids: Sequence[str]) -> dict[str, dict[int, TaskState]]:
        """Return the states of tasks, see :meth:`Scheduler.states`."""
        queue, *others = outputs
        # Not every site has a history; what is still in the queue counts more.
        printed = [*(other.stdout for other in others), self.answer(queue, "query")]
        by_number = {_number(job_id): job_id for job_id in ids}
        found: dict[str, dict[int, TaskState]] = {}
        for word, fields in _records("\n".join(printed)):
            place = _place(word)
            if place is not None and place[0] in by_number:
                found.setdefault(by_number[place[0]], {})[place[1]] = _told(fields)
        return found

    def cancel_command(self, job_id: str, indices: Sequence[int] | None = None) -> list[list[str]]:
        """Return the commands that cancel, see :meth:`Scheduler.cancel_command`."""
        number, array, server = job_id.partition("[]")
        if indices is None or not array:
            return [[*self.program("cancel"), job_id]]
        parts = [f"{number}[{part}]{server}" for part in compressed(indices)]
        return [[*self.program("cancel"), *part.split(",")] for part in pieces(parts)]


class Torque(Pbs):
    """Torque, which shares the names of its commands with PBS Pro, and not much more.

    What has ended stands in the queue for a while (``keep_completed``).

    Parameters
    ----------
    profile : Profile, optional
        See :class:`Scheduler`.

    Examples
    --------
    >>> torque = Torque()
    >>> torque.submitted("123[].head\\n")
    '123[].head'
    >>> torque.cancel_command("123[].head", [1, 3, 4, 5])
    [['qdel', '-t', '1,3-5', '123[].head']]
    """

    name = "torque"
    title = "Torque"
    template = "torque.sh"
    programs: ClassVar = {"submit": "qsub", "query": "qstat", "cancel": "qdel"}
    variables: ClassVar = {
        **Pbs.variables,
        "index": "PBS_ARRAYID",
        # "123[5].head" belongs to "123[].head".
        "array_id": r"{PBS_JOBID%%\[*}[]${PBS_JOBID##*\]}",
        "log": "",
    }
    # max_job_array_size; none unless the site says so.
    default_array_limit = None

    def scripts(self, job: Job) -> dict[str, str]:
        """Return the files of a job, see :meth:`Scheduler.scripts`."""
        return Scheduler.scripts(self, job)

    def values(self, job: Job) -> dict[str, Any]:
        """Return what stands in the template, see :meth:`Scheduler.values`."""
        arrays = [job_id for job_id in job.after if "[]" in job_id]
        others = [job_id for job_id in job.after if "[]" not in job_id]
        words = {"afteranyarray": arrays, "afterany": others}
        depend = ",".join(":".join([word, *ids]) for word, ids in words.items() if ids)
        # Longer names are refused by older versions.
        return {**super().values(job), "name": job.name[:15], "depend": depend}

    def query_commands(self, ids: Sequence[str]) -> list[list[str]]:
        """Return the commands that ask for states, see :meth:`Scheduler.query_commands`."""
        return [[*self.program("query"), "-t", "-f", *ids]]

    def cancel_command(self, job_id: str, indices: Sequence[int] | None = None) -> list[list[str]]:
        """Return the commands that cancel, see :meth:`Scheduler.cancel_command`."""
        if indices is None or "[]" not in job_id:
            return [[*self.program("cancel"), job_id]]
        return [[*self.program("cancel"), "-t", part, job_id] for part in pieces(compressed(indices))]


def _records(printed: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the id and the fields of what `qstat -f` has printed."""
    for text in re.split(r"^Job Id: *", printed, flags=re.MULTILINE)[1:]:
        word, _, rest = text.partition("\n")
        # A long value goes on in the next line, after a tab.
        fields = re.findall(r"^ {4}([\w.]+) = (.*)$", rest.replace("\n\t", ""), re.MULTILINE)
        yield word.strip(), dict(fields)


def _number(job_id: str) -> str:
    """Return the number in the id of a job; the server may have several names."""
    return re.split(r"[.\[]", job_id, maxsplit=1)[0]


def _place(word: str) -> tuple[str, int] | None:
    """Return number of the job and index of the task; `None` for an array as a whole."""
    match = re.match(r"(\d+)(?:\[(\d*)\])?", word)
    if match is None or match[2] == "":
        return None
    return match[1], int(match[2] or 1)


def _told(fields: Mapping[str, str]) -> TaskState:
    """Return a state from PBS's words."""
    letter = fields.get("job_state", "")
    ours = _STATES.get(letter, "running")
    node = fields.get("exec_host", "").partition("/")[0]
    if ours == "ended":
        return TaskState(ours, _ending(fields.get("Exit_status", fields.get("exit_status", ""))), node)
    if ours == "held":
        # Held by another job that it comes after, which is no more than waiting.
        return TaskState("waiting") if "depend" in fields else TaskState(ours, fields.get("comment", letter))
    return TaskState(ours, "", node if ours == "running" else "")


def _ending(status: str) -> str:
    """Return how a task ended, in words."""
    try:
        code = int(status)
    except ValueError:
        return ""
    if code < 0:
        return _KILLED.get(code, f"{code}: PBS could not run it")
    return f"signal {code - 256}" if code > 256 else f"exit code {code}" if code else ""
