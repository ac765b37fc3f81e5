"""A submission in the hands of any process, on any day: looked at, collected, submitted again, cancelled."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..batch import JobFolder
from ..batch.arrivals import Arrival, Arrivals
from ..batch.folder import point_folder
from ..batch.shell import write_point_again
from ..batch.standing import Standing, latest
from ..batch.watch import Watch
from ..errors import InputError
from ..evaluation import Evaluation
from ..evaluator import evaluator_of
from ..remote import RESULTS, pull, push
from ..schedulers import Resources
from ..store import Store
from .collecting import Collected, collect_into
from .models import check_model, model_of
from .site import Site
from .status import Status, status_of

__all__ = ["Submission"]

#: Seconds between two looks at a submission on another machine: each is a connection.
_PAUSE_REMOTE = 30.0


class Submission(Site):
    """What is queued elsewhere.

    Parameters
    ----------
    folder : path
        That :func:`submit` or :func:`prepare` has made.
    model : Wrapper, optional
        What reads the output where a shell runs the code, or writes points again. Default is the one that was
        submitted.
    store : path, optional
        Where evaluations are collected. Default is where :func:`submit` was told, else ``evaluations.db`` in the
        folder.

    Raises
    ------
    OtwrapError
        If it is no such folder, or the model is another one.

    Examples
    --------
    >>> import otwrap as otw
    >>> queued = otw.Submission("submissions/beam-001")  # doctest: +SKIP
    >>> print(queued.status().done, queued.collect().done)  # doctest: +SKIP
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        model: Any = None,
        store: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(folder)
        self._given = model
        if model is not None:
            check_model(self.folder, evaluator_of(model))
        own = self.folder.about.get("store") or self.folder.path / "evaluations.db"
        self.store = os.path.abspath(os.path.expanduser(own if store is None else store))

    def status(self) -> Status:
        """Ask the batch system, look at the records, and count.

        Where a shell runs the code, its exit code alone tells what is done: `collect` reads the outputs.

        Returns
        -------
        status : Status

        Raises
        ------
        SchedulerError
            If the batch system, or the machine that it is on, does not answer.
        """
        watch, standing = self._look(None)
        return status_of(self.folder, standing, watch.all, watch.arrivals.damaged)

    def collect(self) -> Collected:
        """Take what has come into the store, as often as one likes.

        Returns
        -------
        collected : Collected

        Raises
        ------
        StoreError
            If somebody else writes the store, or it holds the evaluations of another model.
        """
        self.bring()
        watch = Watch(self.folder, self._queue_if_any(), self._reader())
        watch.new()
        return self._put(watch.all)

    def evaluations(self) -> dict[int, Evaluation]:
        """Return what has come, the store aside.

        Returns
        -------
        evaluations : dict of Evaluation
            By number of the point in the design of the submission.
        """
        watch = Watch(self.folder, self._queue_if_any(), self._reader())
        watch.new()
        return latest(watch.all)

    def wait(self, timeout: float | None = None) -> Status:
        """Wait until nothing will come any more, and collect all the while.

        Parameters
        ----------
        timeout : float, optional
            In seconds. Default is none.

        Returns
        -------
        status : Status
            Not :attr:`~Status.is_over` if the time was too short.
        """
        end = None if timeout is None else time.monotonic() + timeout
        for _ in self._stream(end):
            pass
        return self.status()

    def __iter__(self) -> Iterator[Evaluation]:
        """Yield evaluations as they come, those that are there first; each is collected before it is yielded."""
        for arrivals in self._stream(None):
            yield from (arrival.evaluation for arrival in arrivals)

    def resubmit(
        self,
        *,
        failed: bool = False,
        resources: Resources | Mapping[str, Any] | None = None,
        chunk: int | None = None,
        at_a_time: int | None = None,
    ) -> list[JobFolder]:
        """Submit points once more: those that were lost or never submitted, and no other.

        Parameters
        ----------
        failed : bool, optional
            Those that failed, too. Default is `False`.
        resources : Resources or dict, optional
            What is different this time, as ``{"time": "8h"}``.
        chunk, at_a_time : int, optional
            As for :func:`submit`.

        Returns
        -------
        jobs : list of JobFolder
            None if there is nothing to do.
        """
        with self._alone():
            return self._submitted_again(failed, resources, chunk, at_a_time)

    def _submitted_again(
        self,
        failed: bool,
        resources: Resources | Mapping[str, Any] | None,
        chunk: int | None,
        at_a_time: int | None,
    ) -> list[JobFolder]:
        """Submit points once more, alone."""
        _, standing = self._look(self._reader())
        numbers = sorted(standing.points["lost"] + standing.points["not submitted"])
        cut_off = [job for job in self.folder.jobs() if job.id is None and not job.cancelled]
        if failed:
            numbers = sorted(numbers + standing.points["failed"])
        profile = self.profile.replaced(resources=resources, chunk=chunk, at_a_time=at_a_time)
        if not numbers:
            return []
        for job in cut_off:
            job.note_cancelled()
        if self.folder.way == "shell":
            self._write_again(numbers)
        jobs = self.arrange(numbers, profile)
        self._send(jobs)
        return jobs

    def send(self, *, point_time: float | None = None, collect: bool = False) -> list[JobFolder]:
        """Submit all points, for the first time.

        Parameters
        ----------
        point_time : float, optional
            Seconds that a point takes, as far as it is known.
        collect : bool, optional
            Submit one more job, which collects when the others have ended. Default is `False`.

        Returns
        -------
        jobs : list of JobFolder
        """
        jobs = self.arrange(range(self.folder.about["points"]), self.profile, point_time)
        self._send(jobs)
        if collect:
            self.queue.submit_collecting(jobs, self.profile.python)
        return jobs

    def cancel(self, points: Sequence[int] | None = None) -> int:
        """Cancel jobs; what has ended stays.

        Parameters
        ----------
        points : sequence of int, optional
            Cancel the tasks that have these points. Default is everything.

        Returns
        -------
        tasks : int
            How many were cancelled.
        """
        _, standing = self._look(None)
        left = {*standing.points["running"], *standing.points["waiting"], *standing.points["not submitted"]}
        wanted = left if points is None else left & set(points)
        cancelled = 0
        for job in self.folder.jobs():
            tasks = [n for n, numbers in enumerate(job.tasks, 1) if wanted & set(numbers)]
            tasks = [n for n in tasks if n not in job.cancelled_tasks()]
            if tasks:
                self.queue.cancel(job, None if len(tasks) == len(job.tasks) else tasks)
                cancelled += len(tasks)
        return cancelled

    def log(self, point: int) -> tuple[Path, str]:
        """Return what the task of a point has printed.

        Parameters
        ----------
        point : int
            Its number.

        Returns
        -------
        path, text : Path, str
            Of the last array that has it; the text is empty if it has not begun.

        Raises
        ------
        InputError
            If no job has the point.
        """
        for job in reversed(self.folder.jobs()):
            for task, numbers in enumerate(job.tasks, 1):
                if point in numbers:
                    if self.place is not None:
                        pull(self.path, self.place, only=[f"{job.place}/logs/{task}.txt"])
                    path = job.log(task)
                    return path, path.read_text("utf-8", "replace") if path.exists() else ""
        size = self.folder.about["points"]
        msg = f"point {point} is in no job of {self.path}, which has the points 0 to {size - 1} in {len(self.folder.jobs())} jobs"
        raise InputError(msg)

    def _look(self, model: Any) -> tuple[Watch, Standing]:
        """Ask, then read: what ends in between has its records."""
        watch = Watch(self.folder, self.queue, model)
        watch.ask()
        if self.place is not None and self.folder.way == "worker":
            pull(self.path, self.place, only=RESULTS)
        else:  # where a shell runs the code, there are no records that say all
            self.bring()
        watch.new()
        return watch, watch.standing()

    def _stream(self, end: float | None) -> Iterator[list[Arrival]]:
        """Yield what comes, collected, until nothing will come or the time is over."""
        watch = Watch(self.folder, self.queue, self._reader())
        over = False
        while not over and (end is None or time.monotonic() < end):
            if asked := watch.ask():
                over = status_of(self.folder, watch.standing(), watch.all).is_over
            self.bring()
            if arrivals := watch.new():
                self._put(arrivals)
                yield arrivals
                over = False
            elif self.place is not None and not over:
                time.sleep(_PAUSE_REMOTE)
            elif not (asked and over):
                watch.sleep()

    def missing(self) -> int:
        """Return how many points have not ended, as far as it can be seen here.

        Returns
        -------
        points : int
        """
        return len(self.folder.points) - len(latest(Arrivals(self.folder).new()))

    def _send(self, jobs: Sequence[JobFolder]) -> None:
        """Submit arrays that are arranged, and note each in the store."""
        if self.place is not None:
            push(self.path, self.place)
        for job in jobs:
            self.queue.submit(job)
            self._note_jobs()

    def _write_again(self, numbers: Sequence[int]) -> None:
        """Put what earlier runs of points have left aside, and write their folders anew."""
        model = self._reader()
        for number in numbers:
            write_point_again(model, self.folder.points[number], number, self.path / point_folder(number))

    def _note_jobs(self) -> None:
        """Note the ids of the jobs in the store, if that is the study's own."""
        if os.path.exists(self.store):
            with Store(self.store) as store:
                ids = [job.id for job in self.folder.jobs() if job.id is not None]
                store.change_submission(self.folder.id, jobs=ids, is_open=True)

    def _queue_if_any(self) -> Any:
        """Return the jobs, of which there are none if it was only prepared."""
        return self.queue if self.folder.about.get("profile") else None

    def _reader(self) -> Any:
        """Return what reads output files; nothing where the records have all."""
        if self.folder.way == "worker":
            return None
        evaluator = model_of(self.folder, self.store) if self._given is None else evaluator_of(self._given)
        return getattr(evaluator, "wrapper", None)

    def _put(self, arrivals: Sequence[Arrival]) -> Collected:
        """Put what the store does not know."""
        fingerprints = None if self._given is None else evaluator_of(self._given).fingerprints()
        return collect_into(self.store, self.folder, arrivals, fingerprints)
