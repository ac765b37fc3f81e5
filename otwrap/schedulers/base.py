"""What all batch systems have in common: a script is rendered, and commands are told and understood."""

from __future__ import annotations

import os
import re
import shlex
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import SchedulerError
from .job import Job, Output, TaskState, check_job
from .rendering import own_text, package_text, render
from .resources import Resources
from .setup import whole_commands

if TYPE_CHECKING:
    from .profiles import Profile

__all__ = ["Scheduler"]

_AWAY = re.compile(
    r"connection refused|(?:cannot|can't|unable to|failed to) (?:connect|contact)|timed out", re.I
)


class Scheduler(ABC):
    """A batch system: a script template, commands, and what their answers mean.

    It runs nothing by itself: it says which commands to run and reads what they print, so that these can run
    on another machine as well. All of them are run in the folder of the submission.

    Parameters
    ----------
    profile : Profile, optional
        Settings of a site: another template, other programs, limits.

    Attributes
    ----------
    profile : Profile or None
        What was given.
    array_limit : int or None
        Tasks that an array may have at this site.
    """

    #: The word that users type.
    name: ClassVar[str]
    #: Its proper name.
    title: ClassVar[str]
    #: The script's template, a file of the package.
    template: ClassVar[str]
    #: What a line for the scheduler begins with.
    mark: ClassVar[str]
    #: What is done (submit, query, cancel, ...) -> the program that does it.
    programs: ClassVar[Mapping[str, str]]
    #: What a script is told: variables with the index of a task of an array (``index``), the id of an array
    #: (``array_id``), of a job without one (``job_id``), the folder of the submission (``folder``); text for the
    #: shell that names the machine (``node``); the index in names of files (``log``).
    variables: ClassVar[Mapping[str, str]]
    #: Whether it appends to a log, so that its own words can stand among those of the task.
    appends: ClassVar[bool] = True
    #: Words of the resources that this batch system cannot be told.
    cannot: ClassVar[Sequence[str]] = ()
    #: What the errors of queries and of cancelling say of jobs that are not known (any more).
    unknown: ClassVar[re.Pattern[str]]
    #: The limit of a site that has changed nothing.
    default_array_limit: ClassVar[int | None] = None

    def __init__(self, profile: Profile | None = None) -> None:
        self.profile = profile
        for what in profile.commands if profile is not None else ():
            if what not in self.programs:
                msg = f"commands.{what} of the profile: {self.title} has {', '.join(self.programs)}"
                raise SchedulerError(msg)
        given = profile.array_limit if profile is not None else None
        self.array_limit = self.default_array_limit if given is None else given

    def scripts(self, job: Job) -> dict[str, str]:
        """Return the files of a job: its script, which is submitted, and what belongs to it.

        Parameters
        ----------
        job : Job
            What to do.

        Returns
        -------
        scripts : dict of str
            Name of a file in the job's folder -> its text; the first one is submitted. The folder ``logs``
            beside them must be there before.

        Raises
        ------
        SchedulerError
            If this batch system cannot be told what is asked for, or the template is wrong.
        ValueError
            If a value of the job cannot stand in a script.
        """
        self.check(job)
        return {"script.sh": render(self.template_text(), self.values(job), self._folder_of_template())}

    def check(self, job: Job) -> None:
        """Refuse a job that this batch system cannot be told.

        Parameters
        ----------
        job : Job
            What to do.

        Raises
        ------
        SchedulerError
            If a word of its resources means nothing here.
        ValueError
            If a value cannot stand in a script.
        """
        check_job(job)
        if job.tasks and self.array_limit and job.tasks > self.array_limit:
            msg = f"an array of {job.tasks} tasks: {self.title} takes at most {self.array_limit} here; \
split it, or set array_limit in the profile"
            raise SchedulerError(msg)
        for word in self.cannot:
            value = getattr(job.resources, word)
            if value != getattr(Resources(), word) and not (word == "nodes" and value == 1):
                msg = f"{word}={value!r}: {self.title} has no such word; leave it out, or say it in its own \
words with extra=[{self.mark + ' ...'!r}]"
                raise SchedulerError(msg)

    def values(self, job: Job) -> dict[str, Any]:
        """Return what stands in the template.

        Parameters
        ----------
        job : Job
            What to do.

        Returns
        -------
        values : dict
            The job's and the resources' words, and ``array``, ``index``, ``job_id``, ``log``.
        """
        needs = job.resources
        return {
            **{
                name: getattr(job, name)
                for name in ("name", "folder", "tasks", "first", "at_a_time", "rerun")
            },
            **{name: getattr(needs, name) for name in ("time", "cpus", "memory", "partition", "account")},
            **{name: getattr(needs, name) for name in ("constraint", "nodes", "exclusive")},
            "setup": whole_commands(needs.setup),
            "work": job.work.rstrip("\n"),
            "after": list(job.after),
            "extra": [self._without_mark(line) for line in needs.extra],
            "python": None if self.profile is None else self.profile.python,
            "array": None if job.tasks is None else f"1-{job.tasks}",
            "index": "1" if job.tasks is None else f"${self.variables['index']}",
            "job_id": f"${self.variables['job_id' if job.tasks is None else 'array_id']}",
            "submit_folder": f"${self.variables['folder']}",
            "node": self.variables["node"],
            "local": False,
            "title": self.title,
            **self._log(job),
        }

    def template_text(self) -> str:
        """Return the template of the script, which users may copy and edit.

        Returns
        -------
        template : str
            In Jinja2.

        Raises
        ------
        SchedulerError
            If the profile's own template cannot be read.
        """
        own = self.profile.template if self.profile is not None else None
        return package_text(self.template) if own is None else own_text(own)

    def submit_command(self, job: Job) -> list[str]:
        """Return the command that submits a job whose files are written.

        Parameters
        ----------
        job : Job
            The same one as for :meth:`scripts`.

        Returns
        -------
        command : list of str
        """
        return [*self.program("submit"), f"{job.folder}/script.sh"]

    def submit_input(self, job: Job) -> str | None:
        """Return the file that the command which submits reads from its standard input.

        Parameters
        ----------
        job : Job
            The same one as for :meth:`scripts`.

        Returns
        -------
        file : str or None
            Relative to the folder of the submission; `None` if it reads none.
        """
        return None

    @abstractmethod
    def submitted(self, output: str | Output) -> str:
        """Return the id of a job from what the command that submits has printed.

        Parameters
        ----------
        output : str or Output
            What it printed, or the ended process, whose complaints are in the error then.

        Returns
        -------
        job_id : str

        Raises
        ------
        SchedulerError
            If it was refused.
        """

    @abstractmethod
    def query_commands(self, ids: Sequence[str]) -> list[list[str]]:
        """Return the commands that ask for the states of jobs.

        Parameters
        ----------
        ids : sequence of str
            Of jobs.

        Returns
        -------
        commands : list of list of str
            All of them are to be run, whatever the exit code of the others.
        """

    @abstractmethod
    def states(self, outputs: Sequence[Output], ids: Sequence[str]) -> dict[str, dict[int, TaskState]]:
        """Return the states of tasks from what the commands of :meth:`query_commands` have printed.

        Parameters
        ----------
        outputs : sequence of Output
            One a command, in their order.
        ids : sequence of str
            Of the jobs that were asked for.

        Returns
        -------
        states : dict of dict of TaskState
            Id of a job -> index in its array -> state. A job without an array has index 1. The batch system
            does not know any more what is missing here.

        Raises
        ------
        SchedulerError
            If the batch system cannot be asked: nothing is known of any task then.
        """

    @abstractmethod
    def cancel_command(self, job_id: str, indices: Sequence[int] | None = None) -> list[list[str]]:
        """Return the commands that cancel a job or some of its tasks.

        Parameters
        ----------
        job_id : str
            Of the job.
        indices : sequence of int, optional
            Of tasks in the array; without them, the whole job.

        Returns
        -------
        commands : list of list of str
        """

    def cancelled(self, outputs: Sequence[Output]) -> None:
        """Check what the commands of :meth:`cancel_command` have printed.

        Parameters
        ----------
        outputs : sequence of Output
            One a command.

        Raises
        ------
        SchedulerError
            If one failed; that a job or a task had ended already is no failure.
        """
        for output in outputs:
            self.answer(output, "cancel")

    def executable(self) -> str:
        """Return the program that submits, by which one knows whether the batch system is there.

        Returns
        -------
        program : str
        """
        return self.program("submit")[0]

    def program(self, what: str) -> list[str]:
        """Return the program for something, which a profile may have replaced.

        Parameters
        ----------
        what : str
            A key of :attr:`programs`.

        Returns
        -------
        words : list of str
            The program, and arguments that always come first.
        """
        own = self.profile.commands.get(what) if self.profile is not None else None
        return shlex.split(self.programs[what]) if own is None else list(own)

    def answer(self, output: Output, what: str) -> str:
        """Return what a command printed; that it does not know a job is an answer, too.

        Parameters
        ----------
        output : Output
            The ended command.
        what : str
            What it was for: a key of :attr:`programs`.

        Returns
        -------
        printed : str

        Raises
        ------
        SchedulerError
            If it failed in any other way.
        """
        said = f"{output.stderr}\n{output.stdout}"
        # A job may be unknown to a server that is not the one which is away.
        if output.returncode != 0 and (_AWAY.search(said) or not self.unknown.search(said)):
            raise SchedulerError(self.complaint(output, what))
        return output.stdout

    def complaint(self, output: Output, what: str) -> str:
        """Return what is said of a command that failed.

        Parameters
        ----------
        output : Output
            The ended command.
        what : str
            What it was for: a key of :attr:`programs`.

        Returns
        -------
        text : str
        """
        program = shlex.join(self.program(what))
        said = (output.stderr.strip() or output.stdout.strip() or "nothing")[-2000:]
        return f"{self.title}: `{program}` failed with exit code {output.returncode}; it said: {said}"

    def refused(self, output: str | Output) -> str:
        """Return what a command that submits has printed, if it was not refused.

        Parameters
        ----------
        output : str or Output
            See :meth:`submitted`.

        Returns
        -------
        printed : str

        Raises
        ------
        SchedulerError
            If it failed.
        """
        if isinstance(output, str):
            return output
        if output.returncode != 0:
            raise SchedulerError(self.complaint(output, "submit"))
        return output.stdout

    def _job_id(self, output: str | Output, form: str) -> str:
        """Return the id of a job: the last match, as site wrappers say this and that before."""
        printed = self.refused(output)
        found = re.findall(form, printed, re.MULTILINE)
        if not found:
            msg = f"{self.title}: `{shlex.join(self.program('submit'))}` printed no id of a job, but: \
{printed.strip()[-500:] or 'nothing'}; look whether the job is there before it is submitted again"
            raise SchedulerError(msg)
        return str(found[-1])

    def _log(self, job: Job) -> dict[str, Any]:
        """Return the file for what the batch system says of a task, and, if it is one apart, that of this task."""
        index = "1" if job.tasks is None else self.variables["log"]
        if self.appends and not job.first:
            return {"log": f"{job.folder}/logs/{index}.txt", "own_log": None}
        # The batch system knows the index only, and the script's own log has the number of the task.
        end = f"{f'+{job.first}' if job.first else ''}.{self.name}.txt"
        here = "1" if job.tasks is None else f"${{{self.variables['index']}}}"
        own = f"{job.folder}/logs/{here}{end}" if self.appends else None
        return {"log": f"{job.folder}/logs/{index}{end}", "own_log": own}

    def _without_mark(self, line: str) -> str:
        """Return a further line for the scheduler without what it begins with."""
        return line.strip().removeprefix(self.mark).strip()

    def _folder_of_template(self) -> str | None:
        """Return the folder in which a template of the user finds what it includes."""
        own = self.profile.template if self.profile is not None else None
        return None if own is None else os.path.dirname(own)
