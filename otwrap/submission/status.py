"""How a submission stands, in numbers and in words."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from ..batch.arrivals import Arrival
from ..batch.folder import BatchFolder
from ..batch.standing import Lost, Standing

__all__ = ["Status", "status_of"]


class Status(NamedTuple):
    """How a submission stands.

    Attributes
    ----------
    points : int
        All of them.
    done, failed : int
        That have ended.
    running, waiting : int
        That a task has, or that wait for one.
    lost : int
        Whose task has ended, or is gone, without a record of them; `resubmit` takes them.
    unsubmitted : int
        That no job has.
    expected_end : float or None
        When the last one will have ended if it goes on like this, in seconds since the epoch; `None` where that
        cannot be said.
    jobs : list of (str, int, int)
        Id (empty if not submitted), number of tasks and of points, of each job.
    lost_tasks : list of Lost
        Where points were lost, and why as far as it is known.
    remarks : list of str
        What else is to be known.
    """

    points: int
    done: int
    failed: int
    running: int
    waiting: int
    lost: int
    unsubmitted: int
    expected_end: float | None
    jobs: list[tuple[str, int, int]]
    lost_tasks: list[Lost]
    remarks: list[str]

    @property
    def is_over(self) -> bool:
        """Whether nothing will come any more without a `resubmit`."""
        return not self.running and not self.waiting

    @property
    def is_complete(self) -> bool:
        """Whether all points have ended, well or not."""
        return self.done + self.failed == self.points


def status_of(
    folder: BatchFolder, standing: Standing, arrivals: Iterable[Arrival], damaged: int = 0
) -> Status:
    """Return the numbers.

    Parameters
    ----------
    folder : BatchFolder
        Of the submission.
    standing : Standing
        Of its points.
    arrivals : iterable of Arrival
        All that have ended.
    damaged : int, optional
        Lines of records that cannot be read.

    Returns
    -------
    status : Status
    """
    counts = {name: len(numbers) for name, numbers in standing.points.items()}
    remarks = list(standing.remarks)
    if damaged:
        remarks.append(f"{damaged} lines of records are damaged; their points count as lost")
    return Status(
        folder.about["points"],
        counts["done"],
        counts["failed"],
        counts["running"],
        counts["waiting"],
        counts["lost"],
        counts["not submitted"],
        _expected_end(arrivals, counts["running"] + counts["waiting"]),
        [(job.id or "", len(job.tasks), sum(map(len, job.tasks))) for job in folder.jobs()],
        standing.lost,
        remarks,
    )


def _expected_end(arrivals: Iterable[Arrival], left: int) -> float | None:
    """Return when the last point will have ended, at the rate of those that have."""
    times = [
        (arrival.evaluation.start_time, arrival.evaluation.start_time + arrival.evaluation.wall_time)
        for arrival in arrivals
    ]
    if not left or not times:
        return None
    first, last = min(start for start, _ in times), max(end for _, end in times)
    return max(time.time(), last) + left * (last - first) / len(times)


def moment(seconds: float) -> str:
    """Return a time of day, with the date if that is another one.

    Parameters
    ----------
    seconds : float
        Since the epoch.

    Returns
    -------
    text : str
    """
    then = datetime.fromtimestamp(seconds)
    return then.strftime("%H:%M:%S" if then.date() == datetime.now().date() else "%Y-%m-%d %H:%M")
