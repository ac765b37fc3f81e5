"""The jobs of a submission in a batch system: written, submitted, asked for, cancelled."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from subprocess import CompletedProcess
from typing import Any

from ..errors import SchedulerError
from ..evaluation import Task
from ..remote import Shell
from ..schedulers import Job, Output, Resources, Scheduler, TaskState
from .chunks import pieces
from .folder import BatchFolder
from .jobs import JobFolder
from .work import python_word, shell_work, worker_work

__all__ = ["Queue"]


class Queue:
    """What a batch system does with a submission.

    Parameters
    ----------
    folder : BatchFolder
        Of the submission, here.
    scheduler : Scheduler
        The batch system.
    shell : Shell
        Where its commands are run.
    there : str, optional
        The folder of the submission where the commands are run. Default is where it is here.
    """

    def __init__(
        self, folder: BatchFolder, scheduler: Scheduler, shell: Shell, there: str | None = None
    ) -> None:
        self.folder, self.scheduler, self.shell = folder, scheduler, shell
        self.there = str(folder.path) if there is None else there

    def arrange(
        self,
        numbers: Sequence[int],
        resources: Resources,
        *,
        chunk: int,
        python: str,
        at_a_time: int | None = None,
        attempts: Mapping[int, Task] | None = None,
    ) -> list[JobFolder]:
        """Write the folders of the arrays that points need; submit nothing.

        Parameters
        ----------
        numbers : sequence of int
            Of the points.
        resources : Resources
            Of each task.
        chunk : int
            Points of a task.
        python : str
            The interpreter of the nodes, where otwrap evaluates there.
        at_a_time : int, optional
            Tasks of an array that run at a time. Default is what the batch system allows.
        attempts : mapping of Task, optional
            Points that do not run for the first time, or with changed settings.

        Returns
        -------
        jobs : list of JobFolder
            More than one where the site limits the size of arrays; the limit on tasks is shared out.
        """
        # An evaluation must have its CPUs, whatever the profile says of a task.
        resources = resources.replaced(cpus=max(resources.cpus, self.folder.about["cpus"]))
        tasks = pieces(numbers, chunk)
        arrays = pieces(tasks, self.scheduler.array_limit or len(tasks) or 1)
        share = None if at_a_time is None else max(1, at_a_time // len(arrays))
        about = {"resources": resources.as_dict(), "at_a_time": share, "python": python}
        return [self._written(array, about, attempts) for array in arrays]

    def _written(
        self, tasks: Sequence[Sequence[int]], about: dict[str, Any], attempts: Mapping[int, Task] | None
    ) -> JobFolder:
        """Write the folder of an array, and its scripts."""
        wanted = {number for task in tasks for number in task}
        again = {number: task for number, task in (attempts or {}).items() if number in wanted}
        return self.folder.add_job(tasks, about, lambda place: self._files(place, len(tasks), about), again)

    def _files(self, place: str, tasks: int, about: dict[str, Any]) -> dict[str, str]:
        """Return the files of an array, by name."""
        job, files = self._job(place, tasks, about)
        return {**self.scheduler.scripts(job), **files}

    def _job(self, place: str, tasks: int, about: Mapping[str, Any]) -> tuple[Job, dict[str, str]]:
        """Return what the scheduler is told of an array, and the files beside its script."""
        resources = Resources.from_dict(about["resources"])
        if self.folder.way == "worker":
            work, files = worker_work(place, about["python"]), {}
        else:
            work, point = shell_work(place, max(1, resources.cpus // self.folder.about["cpus"]))
            files = {"point.sh": point}
        name = f"otwrap-{self.folder.id}-{place.rpartition('/')[2]}"
        # Two runs of one task may be alive at a time: records are kept apart, folders of points are not.
        rerun = self.folder.way == "worker"
        return Job(
            name, place, work, tasks, at_a_time=about["at_a_time"], resources=resources, rerun=rerun
        ), files

    def command_by_hand(self) -> str:
        """Return what a person types to submit the first array, from the folder.

        Returns
        -------
        command : str
        """
        told = Job(f"otwrap-{self.folder.id}-001", "jobs/001", "", 1)
        command, given = self.scheduler.submit_command(told), self.scheduler.submit_input(told)
        return shlex.join(command) + (f" <{given}" if given else "")

    def submit(self, job: JobFolder) -> str:
        """Submit an array whose folder is there, and note its id.

        Parameters
        ----------
        job : JobFolder
            The array.

        Returns
        -------
        identifier : str

        Raises
        ------
        SchedulerError
            If the batch system refuses.
        """
        told, _ = self._job(job.place, len(job.tasks), job.about)
        identifier = self._submitted(told)
        job.note_id(identifier)
        return identifier

    def submit_collecting(self, jobs: Sequence[JobFolder], python: str) -> str:
        """Submit a job that collects when arrays have ended, well or not.

        Parameters
        ----------
        jobs : sequence of JobFolder
            The arrays.
        python : str
            The interpreter of the nodes, with otwrap.

        Returns
        -------
        identifier : str

        Raises
        ------
        SchedulerError
            If the batch system knows no such dependency, or refuses.
        """
        place = "jobs/collect"
        ids = tuple(job.id for job in jobs if job.id)
        work = f"{python_word(python)} -m otwrap collect . --store evaluations.db"
        told = Job(f"otwrap-{self.folder.id}-collect", place, work, None, after=ids)
        scripts = self.scheduler.scripts(told)
        (self.folder.path / place / "logs").mkdir(parents=True, exist_ok=True)
        for name, text in scripts.items():
            (self.folder.path / place / name).write_text(text, encoding="utf-8", newline="\n")
        return self._submitted(told)

    def _submitted(self, told: Job) -> str:
        """Run the command that submits, and return the id."""
        command = self.scheduler.submit_command(told)
        ended = self.shell.run(command, self.there, stdin=self.scheduler.submit_input(told))
        return self.scheduler.submitted(ended)

    def states(self, jobs: Sequence[JobFolder]) -> dict[int, dict[int, TaskState]]:
        """Ask for the tasks of arrays.

        Parameters
        ----------
        jobs : sequence of JobFolder
            The arrays.

        Returns
        -------
        states : dict of dict of TaskState
            Number of the array -> task -> state, of those that the batch system still knows.

        Raises
        ------
        SchedulerError
            If it does not answer.
        """
        ids = {job.number: job.id for job in jobs}
        known = sorted({identifier for identifier in ids.values() if identifier})
        if not known:
            return {}
        found = self.scheduler.states(self._asked(self.scheduler.query_commands(known)), known)
        return {number: found[identifier] for number, identifier in ids.items() if identifier in found}

    def _asked(self, commands: Sequence[list[str]]) -> list[Output]:
        """Return what commands have answered; those after the first need not be there."""
        outputs: list[Output] = [self.shell.run(commands[0], self.there)]
        for command in commands[1:]:
            try:
                outputs.append(self.shell.run(command, self.there))
            except SchedulerError as error:
                outputs.append(CompletedProcess(command, 127, "", str(error)))
        return outputs

    def cancel(self, job: JobFolder, tasks: Sequence[int] | None = None) -> None:
        """Cancel an array, or some of its tasks.

        Parameters
        ----------
        job : JobFolder
            The array.
        tasks : sequence of int, optional
            Default is all.

        Raises
        ------
        SchedulerError
            If the batch system refuses for another reason than that they have ended.
        """
        identifier = job.id
        if identifier is not None:
            commands = self.scheduler.cancel_command(identifier, tasks)
            self.scheduler.cancelled([self.shell.run(command, self.there) for command in commands])
        job.note_cancelled(tasks)
