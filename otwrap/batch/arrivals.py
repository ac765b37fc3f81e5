"""What has come of the points in the folder of a submission, read as often as one likes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ..errors import OtwrapError
from ..evaluation import Evaluation
from .folder import BatchFolder, point_folder
from .jobs import JobFolder
from .records import RecordFile, evaluation_of
from .shell import evaluation_in, glance_at, has_ended

__all__ = ["Arrival", "Arrivals"]


class Arrival(NamedTuple):
    """A point that has ended.

    Attributes
    ----------
    job : int
        The array that it was in; 0 if it was run by hand.
    number : int
        Of the point.
    evaluation : Evaluation
        Its record.
    """

    job: int
    number: int
    evaluation: Evaluation


class Arrivals:
    """Read what has come since the last time.

    Parameters
    ----------
    folder : BatchFolder
        Of the submission.
    model : Wrapper, optional
        What reads the output, where a shell runs the code. Without it, the exit code alone tells how a point ended,
        and its output is empty.

    Attributes
    ----------
    begun : dict of float
        (job, point) -> since when it runs, in seconds since the epoch, of those that have not ended.
    ends : dict of (str, str)
        (job, task) -> how the last run of the task has ended by itself, one of
        :data:`~otwrap.batch.records.ENDS`, and why.
    started : set of (int, int)
        (job, task) of those whose worker has said that it is there.
    damaged : int
        Lines of records whose checksum is wrong.
    """

    def __init__(self, folder: BatchFolder, model: Any = None) -> None:
        self.folder = folder
        self.model = model
        self.begun: dict[tuple[int, int], float] = {}
        self.ends: dict[tuple[int, int], tuple[str, str]] = {}
        self.started: set[tuple[int, int]] = set()
        self.damaged = 0
        self._seen: set[tuple[int, int]] = set()
        self._positions: dict[str, int] = {}
        self._hosts: dict[str, str] = {}

    def new(self) -> list[Arrival]:
        """Return what has come, each point of an array once: the first record counts.

        Returns
        -------
        arrivals : list of Arrival

        Raises
        ------
        OtwrapError
            If records are of another submission.
        """
        if self.folder.way == "shell":
            return list(self._of_shell())
        return [arrival for job in self.folder.jobs() for arrival in self._of_worker(job)]

    def _of_worker(self, job: JobFolder) -> Iterator[Arrival]:
        """Yield what has come in the record files of an array."""
        for path in job.record_files():
            name = str(path)
            found = RecordFile.read(name, self._positions.get(name, 0))
            self._positions[name] = found.position
            self.damaged += found.damaged
            task = int(path.stem.partition("-")[0])
            for entry in found.entries:
                yield from self._told(job.number, task, name, entry)

    def _told(self, job: int, task: int, name: str, entry: list[Any]) -> Iterator[Arrival]:
        """Yield the evaluation of a line if it has one, and note what it says."""
        what, *rest = entry
        if what == "task":
            if rest[0] != self.folder.id:
                msg = f"{name} has records of another submission ({rest[0]}, this one is {self.folder.id}); take it away"
                raise OtwrapError(msg)
            self._hosts[name] = rest[1]
            self.started.add((job, task))
        elif what == "begin":
            if (job, rest[0]) not in self._seen:
                self.begun[job, rest[0]] = rest[2]
        elif what == "end":
            self.ends[job, task] = rest[0], rest[1]
        elif what == "done" and (job, rest[0]) not in self._seen:
            number = rest[0]
            self._seen.add((job, number))
            self.begun.pop((job, number), None)
            host, folder = self._hosts.get(name, ""), str(self.folder.path)
            yield Arrival(job, number, evaluation_of(self.folder.points[number], rest[1:], host, folder))

    def _of_shell(self) -> Iterator[Arrival]:
        """Yield what runs have left in the folders of their points."""
        jobs = {number: job.number for job in self.folder.jobs() for task in job.tasks for number in task}
        for number, point in enumerate(self.folder.points):
            place = self.folder.path / point_folder(number)
            job = jobs.get(number, 0)
            if (job, number) in self._seen or not has_ended(place):
                continue
            if self.model is None:
                evaluation = glance_at(place, point, self.folder.about["ok codes"])
            else:
                evaluation = evaluation_in(place, self.model, point, self.folder.about["there before"])
            if evaluation is not None:
                self._seen.add((job, number))
                yield Arrival(job, number, evaluation)
