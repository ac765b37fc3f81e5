"""HTCondor: ``condor_submit``, ``condor_q``, ``condor_history``, ``condor_rm``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from ..errors import SchedulerError
from .base import Scheduler
from .job import Job, Output, TaskState
from .rendering import package_text, render

__all__ = ["Htcondor"]

#: JobStatus -> ours.
_STATES = {
    1: "waiting",
    2: "running",
    3: "ended",
    4: "ended",
    5: "held",
    # It writes its files; it is suspended.
    6: "running",
    7: "running",
}
_REMOVED, _HELD = 3, 5
_ATTRIBUTES = (
    "ClusterId",
    "ProcId",
    "JobStatus",
    "TotalSubmitProcs",
    "ExitCode",
    "ExitBySignal",
    "ExitSignal",
    "HoldReason",
    "RemoveReason",
    "RemoteHost",
    "LastRemoteHost",
)
#: HoldReasonCode of a job that ran for longer than it may.
_TOO_LONG = 47
#: Ids that stand in one command.
_AT_ONCE = 200


class Htcondor(Scheduler):
    """HTCondor, on nodes that see the folder of the submission.

    Its own description of the job, ``script.sub``, is what is submitted, and the template that a profile may
    replace. A limit on tasks at a time is one on those that HTCondor has in its queue.

    Parameters
    ----------
    profile : Profile, optional
        See :class:`Scheduler`.

    Examples
    --------
    >>> htcondor = Htcondor()
    >>> htcondor.submitted("12.0 - 12.99\\n")
    '12'
    >>> htcondor.cancel_command("12", [1, 3])
    [['condor_rm', '12.0', '12.2']]
    """

    name = "htcondor"
    title = "HTCondor"
    template = "htcondor.sub"
    mark = ""
    programs: ClassVar = {
        "submit": "condor_submit",
        "query": "condor_q",
        "history": "condor_history",
        "cancel": "condor_rm",
    }
    variables: ClassVar = {
        "index": "CONDOR_ARRAY_INDEX",
        "array_id": "CONDOR_CLUSTER",
        "job_id": "CONDOR_CLUSTER",
        "folder": "_CONDOR_JOB_IWD",
        "node": "$(hostname)",
        "log": "$INT(otwrap_index)",
    }
    cannot = ("partition", "nodes", "exclusive")
    unknown = re.compile(r"not found|Couldn't find/remove|no matching jobs", re.IGNORECASE)
    # MAX_JOBS_PER_SUBMISSION
    default_array_limit = 20000

    def check(self, job: Job) -> None:
        """Refuse a job that HTCondor cannot be told, see :meth:`Scheduler.check`."""
        super().check(job)
        if job.after:
            msg = f"a job after others ({', '.join(job.after)}): HTCondor knows no such thing but in DAGMan; \
collect when they have ended: `otwrap collect`"
            raise SchedulerError(msg)

    def scripts(self, job: Job) -> dict[str, str]:
        """Return the files of a job, see :meth:`Scheduler.scripts`."""
        description = super().scripts(job)["script.sh"]
        script = render(package_text("htcondor.sh"), self.values(job), self._folder_of_template())
        return {"script.sub": description, "script.sh": script}

    def values(self, job: Job) -> dict[str, Any]:
        """Return what stands in the template, see :meth:`Scheduler.values`."""
        found = super().values(job)
        return {**found, "periodic_remove": _periodic_remove(job)}

    def submit_command(self, job: Job) -> list[str]:
        """Return the command that submits a job, see :meth:`Scheduler.submit_command`."""
        return [*self.program("submit"), "-terse", f"{job.folder}/script.sub"]

    def submitted(self, output: str | Output) -> str:
        """Return the id of a job, see :meth:`Scheduler.submitted`."""
        return self._job_id(output, r"^(\d+)\.\d+ - \d+\.\d+\s*$")

    def query_commands(self, ids: Sequence[str]) -> list[list[str]]:
        """Return the commands that ask for states, see :meth:`Scheduler.query_commands`."""
        what = [*ids, "-json", "-attributes", ",".join(_ATTRIBUTES)]
        return [[*self.program("query"), *what], [*self.program("history"), *what]]

    def states(self, outputs: Sequence[Output], ids: Sequence[str]) -> dict[str, dict[int, TaskState]]:
        """Return the states of tasks, see :meth:`Scheduler.states`."""
        queue, *others = outputs
        found: dict[str, dict[int, TaskState]] = {}
        totals: dict[str, int] = {}
        removed = set()
        history = [ad for other in others if other.returncode == 0 for ad in self._ads(other.stdout)]
        alive = list(self._ads(self.answer(queue, "query")))
        for ad in [*history, *alive]:
            job_id = str(ad["ClusterId"])
            found.setdefault(job_id, {})[int(ad["ProcId"]) + 1] = _told(ad)
            totals[job_id] = int(ad.get("TotalSubmitProcs", 0))
            if ad["JobStatus"] == _REMOVED and "condor_rm" in ad.get("RemoveReason", ""):
                removed.add(job_id)
        queued = {str(ad["ClusterId"]) for ad in alive}
        for job_id, states in found.items():
            # With a limit on tasks at a time, later ones come into being when earlier ones have ended; unless
            # somebody has removed them all.
            if job_id in queued or job_id not in removed:
                for index in range(max(states) + 1, totals[job_id] + 1):
                    states[index] = TaskState("waiting")
        return {job_id: found[job_id] for job_id in ids if job_id in found}

    def cancel_command(self, job_id: str, indices: Sequence[int] | None = None) -> list[list[str]]:
        """Return the commands that cancel, see :meth:`Scheduler.cancel_command`."""
        if indices is None:
            return [[*self.program("cancel"), job_id]]
        processes = [f"{job_id}.{index - 1}" for index in sorted(indices)]
        starts = range(0, len(processes), _AT_ONCE)
        return [[*self.program("cancel"), *processes[start : start + _AT_ONCE]] for start in starts]

    def _log(self, job: Job) -> dict[str, Any]:
        """Return the file for what HTCondor says of a task, which it empties at each start, and its name there."""
        folder = f"{job.folder}/logs"
        return {
            "log": f"{folder}/{self.variables['log']}.htcondor.txt",
            "own_log": f"{folder}/$CONDOR_ARRAY_INDEX.htcondor.txt",
        }

    def _ads(self, printed: str) -> Iterator[dict[str, Any]]:
        """Yield the jobs that were printed; without any, nothing is."""
        try:
            found = json.loads(printed) if printed.strip() else []
        except ValueError:
            msg = f"{self.title} printed no JSON, but: {printed.strip()[:500]!r}"
            raise SchedulerError(msg) from None
        yield from (ad for ad in found if {"ClusterId", "ProcId", "JobStatus"} <= ad.keys())


def _periodic_remove(job: Job) -> str:
    """Return when HTCondor is to remove a task by itself."""
    conditions = []
    if job.resources.time:
        # Later versions hold such a job, earlier ones do not know the limit.
        longest = int(job.resources.time) + 60
        conditions.append(f"(JobStatus == 5 && HoldReasonCode == {_TOO_LONG})")
        conditions.append(f"(JobStatus == 2 && time() - EnteredCurrentStatus > {longest})")
    if not job.rerun:
        conditions.append("(JobStatus == 1 && NumJobStarts > 0)")
    return " || ".join(conditions)


def _told(ad: Mapping[str, Any]) -> TaskState:
    """Return a state from what HTCondor says of a job."""
    status = ad["JobStatus"]
    ours = _STATES.get(status, "running")
    node = str(ad.get("RemoteHost", ad.get("LastRemoteHost", ""))).rpartition("@")[2]
    if status == _REMOVED:
        return TaskState(ours, str(ad.get("RemoveReason", "removed")), node)
    if status == _HELD:
        return TaskState(ours, str(ad.get("HoldReason", "held")), node)
    if ours != "ended":
        return TaskState(ours, "", node if ours == "running" else "")
    if ad.get("ExitBySignal"):
        return TaskState(ours, f"signal {ad.get('ExitSignal', '')}".strip(), node)
    code = ad.get("ExitCode", 0)
    return TaskState(ours, f"exit code {code}" if code else "", node)
