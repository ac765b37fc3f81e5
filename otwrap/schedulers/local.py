"""The same scripts as background processes of this machine, to rehearse on a laptop what a cluster is to do."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from typing import Any, ClassVar

from ..errors import SchedulerError
from .base import Scheduler
from .job import Job, Output, TaskState
from .ranges import compressed, pieces

__all__ = ["Local"]


class Local(Scheduler):
    """Background processes of this machine.

    One process per job, which outlives whoever has submitted it, runs its tasks, as many at a time as the job
    says or as there are CPUs for, and keeps the time limit. What belongs to a task ends with it.

    Parameters
    ----------
    profile : Profile, optional
        See :class:`Scheduler`.

    Examples
    --------
    >>> Local().submitted("local-3f9a2c1b\\n")
    'local-3f9a2c1b'
    """

    name = "local"
    title = "the local runner"
    template = "local.sh"
    mark = "#LOCAL"
    programs: ClassVar = dict.fromkeys(("submit", "query", "cancel"), "python -m otwrap.schedulers.runner")
    variables: ClassVar = {
        "index": "LOCAL_ARRAY_INDEX",
        "array_id": "LOCAL_JOB_ID",
        "job_id": "LOCAL_JOB_ID",
        "folder": "LOCAL_SUBMIT_DIR",
        "node": "$(hostname)",
        "log": "",
    }
    # The runner itself knows what is no failure.
    unknown = re.compile(r"(?!)")

    def check(self, job: Job) -> None:
        """Refuse a job that the runner cannot be told, see :meth:`Scheduler.check`."""
        super().check(job)
        if not re.fullmatch(r"jobs/[^/]+", job.folder):
            # By their ids, jobs are found again in the folder of the submission.
            msg = f"folder={job.folder!r} of a job: the local runner wants jobs/NAME"
            raise ValueError(msg)

    def values(self, job: Job) -> dict[str, Any]:
        """Return what stands in the template, see :meth:`Scheduler.values`."""
        needs = job.resources.as_dict()
        ignored = [name for name in needs if name not in ("time", "cpus", "setup", "extra")]
        # What is meant for another scheduler is no word of this one.
        extra = [line for line in job.resources.extra if line.strip().startswith(self.mark)]
        more = {"ignored": ignored, "extra": [self._without_mark(line) for line in extra]}
        return {
            **super().values(job),
            **more,
            "log": f"{job.folder}/logs+{job.first}",
            "own_log": None,
            "local": True,
        }

    def program(self, what: str) -> list[str]:
        """Return the program for something, see :meth:`Scheduler.program`."""
        if self.profile is not None and what in self.profile.commands:
            return super().program(what)
        # The runner is part of this otwrap, whatever interpreter the tasks take.
        return [sys.executable, "-m", "otwrap.schedulers.runner", what]

    def submitted(self, output: str | Output) -> str:
        """Return the id of a job, see :meth:`Scheduler.submitted`."""
        return self._job_id(output, r"^(local-[0-9a-f]+)$")

    def query_commands(self, ids: Sequence[str]) -> list[list[str]]:
        """Return the commands that ask for states, see :meth:`Scheduler.query_commands`."""
        return [[*self.program("query"), *ids]]

    def states(self, outputs: Sequence[Output], ids: Sequence[str]) -> dict[str, dict[int, TaskState]]:
        """Return the states of tasks, see :meth:`Scheduler.states`."""
        printed = self.answer(outputs[0], "query")
        try:
            found = json.loads(printed)
        except ValueError:
            msg = f"the local runner printed no states, but: {printed[-500:]!r}"
            raise SchedulerError(msg) from None
        return {
            job_id: {int(index): TaskState(*told) for index, told in found[job_id].items()}
            for job_id in ids
            if job_id in found
        }

    def cancel_command(self, job_id: str, indices: Sequence[int] | None = None) -> list[list[str]]:
        """Return the commands that cancel, see :meth:`Scheduler.cancel_command`."""
        if indices is None:
            return [[*self.program("cancel"), job_id]]
        return [[*self.program("cancel"), job_id, part] for part in pieces(compressed(indices))]
