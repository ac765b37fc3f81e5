"""What a script is rendered from, and what becomes of it."""

from __future__ import annotations

import re
from typing import NamedTuple, Protocol

from .resources import Resources

__all__ = ["STATES", "Job", "Output", "TaskState", "check_job"]

#: What a task can be; one that a batch system does not know any more is none of these.
STATES = ("waiting", "running", "ended", "held")

_NAME = re.compile(r"[A-Za-z][\w.-]*", re.ASCII)
_FOLDER = re.compile(r"(?!/)(?!.*(?:^|/)\.\.?(?:/|$))[\w./-]+", re.ASCII)


class Job(NamedTuple):
    """One unit of work of a batch system: an array of tasks, or a single one.

    Attributes
    ----------
    name : str
        What users of the batch system see: ``"otwrap-3f2a9c1e-001"``.
    folder : str
        Where its script, logs and id are, relative to the folder of the submission: ``"jobs/001"``.
    work : str
        Shell text that does the work of task number ``$OTWRAP_TASK``.
    tasks : int or None
        Tasks of the array, counted from 1. `None` is a job without an array; its state stands under 1.
    first : int, optional
        Tasks that other arrays of this folder do: index i does task ``i + first``. Default is 0.
    at_a_time : int, optional
        Tasks that may run at a time.
    resources : Resources, optional
        What each task needs.
    after : tuple of str, optional
        Ids of jobs that must have ended, well or not, before it starts.
    rerun : bool, optional
        Whether the batch system may start a task anew whose node has died. Default is true.
    """

    name: str
    folder: str
    work: str
    tasks: int | None
    first: int = 0
    at_a_time: int | None = None
    resources: Resources = Resources()
    after: tuple[str, ...] = ()
    rerun: bool = True


def check_job(job: Job) -> None:
    """Refuse a job of which a value cannot stand in a script.

    Parameters
    ----------
    job : Job
        What to do.

    Raises
    ------
    ValueError
        If its name or folder has other than letters, digits and ``-_.``, a number is too small, or it does nothing.

    Examples
    --------
    >>> check_job(Job("otwrap", "../jobs", "true", 3))
    Traceback (most recent call last):
    ...
    ValueError: folder='../jobs' of a job: give letters, digits and -_. only, and / between folders
    """
    for name, value, form in (("name", job.name, _NAME), ("folder", job.folder, _FOLDER)):
        if not form.fullmatch(value):
            more = ", and / between folders" if name == "folder" else ", a letter first"
            msg = f"{name}={value!r} of a job: give letters, digits and -_. only{more}"
            raise ValueError(msg)
    if not job.work.strip():
        msg = f"work={job.work!r} of a job: give what a shell is to do"
        raise ValueError(msg)
    numbers = {"tasks": (job.tasks, 1), "first": (job.first, 0), "at_a_time": (job.at_a_time, 1)}
    for name, (number, least) in numbers.items():
        if number is not None and number < least:
            msg = f"{name}={number} of a job: give at least {least}"
            raise ValueError(msg)


class TaskState(NamedTuple):
    """What a batch system says of a task.

    Attributes
    ----------
    state : str
        One of :data:`STATES`.
    reason : str, optional
        The batch system's own word when it ended badly or is stuck: ``"TIMEOUT"``, ``"exit code 7"``.
    node : str, optional
        Where it runs or ran.
    """

    state: str
    reason: str = ""
    node: str = ""


class Output(Protocol):
    """What a command left behind; `subprocess.CompletedProcess` is one."""

    @property
    def returncode(self) -> int:
        """Exit code."""

    @property
    def stdout(self) -> str:
        """What it printed."""

    @property
    def stderr(self) -> str:
        """What it complained."""
