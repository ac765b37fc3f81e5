"""How the points of a submission stand: ended, running, waiting, or lost with their tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..evaluation import Evaluation
from ..schedulers import TaskState
from .arrivals import Arrival
from .folder import BatchFolder
from .jobs import JobFolder

__all__ = ["STANDINGS", "Lost", "Standing", "latest", "standing_of"]

#: What a point can be, in the order of a life.
STANDINGS = ("not submitted", "waiting", "running", "done", "failed", "lost")


class Lost(NamedTuple):
    """Points whose task has ended, or is gone, without a record of them.

    Attributes
    ----------
    job, task : int
        Which task.
    numbers : list of int
        Of the points.
    reason : str
        What the task or the batch system says; empty if nothing.
    """

    job: int
    task: int
    numbers: list[int]
    reason: str


class Standing(NamedTuple):
    """How all points stand.

    Attributes
    ----------
    points : dict of list of int
        One of :data:`STANDINGS` -> numbers of the points.
    lost : list of Lost
        By task.
    remarks : list of str
        What the batch system says of tasks that wait in vain.
    """

    points: dict[str, list[int]]
    lost: list[Lost]
    remarks: list[str]


def latest(arrivals: Iterable[Arrival]) -> dict[int, Evaluation]:
    """Return the record of each point that counts: a good one, else that of the last array.

    Parameters
    ----------
    arrivals : iterable of Arrival
        All there are.

    Returns
    -------
    evaluations : dict of Evaluation
        By number of the point.
    """
    found: dict[int, Evaluation] = {}
    for _, number, evaluation in sorted(arrivals, key=lambda arrival: arrival.job):
        before = found.get(number)
        if before is None or not before.done:
            found[number] = evaluation
    return found


def standing_of(
    folder: BatchFolder,
    arrivals: Iterable[Arrival],
    states: Mapping[int, Mapping[int, TaskState]],
    ends: Mapping[tuple[int, int], tuple[str, str]],
    begun: Iterable[tuple[int, int]] = (),
) -> Standing:
    """Return how the points stand.

    Parameters
    ----------
    folder : BatchFolder
        Of the submission.
    arrivals : iterable of Arrival
        All that have ended.
    states : mapping
        Number of an array -> task -> state; asked for before the arrivals were read.
    ends : mapping of (str, str)
        (array, task) -> how and why it has ended, as it says itself.
    begun : iterable of (int, int)
        (array, point) of those that were begun.

    Returns
    -------
    standing : Standing
    """
    arrived = list(arrivals)
    recorded = {(job, number) for job, number, _ in arrived}
    ended = latest(arrived)
    points: dict[str, list[int]] = {name: [] for name in STANDINGS}
    # The last array that has a point decides; what was run by hand is nobody's task.
    settled = {number for number, evaluation in ended.items() if evaluation.done}
    settled |= {number for job, number, _ in arrived if not job}
    lost: list[Lost] = []
    held: Counter[tuple[str, str]] = Counter()
    at_work = set(begun)
    for job in reversed(folder.jobs()):
        cancelled = job.cancelled_tasks()
        for task, numbers in enumerate(job.tasks, 1):
            mine = [number for number in numbers if number not in settled]
            settled.update(mine)
            missing = [number for number in mine if (job.number, number) not in recorded]
            if not missing:
                continue
            state = states.get(job.number, {}).get(task)
            where = _where(job, state)
            if where == "lost":
                lost.append(
                    Lost(
                        job.number,
                        task,
                        missing,
                        _reason(task, cancelled, state, ends.get((job.number, task), ("", ""))),
                    )
                )
            elif state is not None and state.state == "held":
                held[job.id or "", state.reason] += 1
            running = _running(job.number, missing, at_work) if where == "running" else set()
            points["running"] += running
            points["waiting" if where == "running" else where] += [n for n in missing if n not in running]
    taken = {number for numbers in points.values() for number in numbers}
    for number in range(folder.about["points"]):
        if number not in taken:
            evaluation = ended.get(number)
            where = "not submitted" if evaluation is None else "done" if evaluation.done else "failed"
            points[where].append(number)
    remarks = [
        f"job {job}: {tasks} tasks wait in vain: {reason or 'held'}" for (job, reason), tasks in held.items()
    ]
    return Standing({name: sorted(numbers) for name, numbers in points.items()}, sorted(lost), remarks)


def _where(job: JobFolder, state: TaskState | None) -> str:
    """Return how a point stands that has no record in its task."""
    if state is None or state.state == "ended":
        return "not submitted" if job.id is None and not job.cancelled else "lost"
    return "running" if state.state == "running" else "waiting"


def _reason(task: int, cancelled: set[int], state: TaskState | None, end: tuple[str, str]) -> str:
    """Return why a task has ended before it had done all."""
    if task in cancelled:
        return "cancelled"
    return end[1] or (state.reason if state is not None else "")


def _running(job: int, missing: list[int], at_work: set[tuple[int, int]]) -> set[int]:
    """Return which points of a task that runs are run just now; short ones are not announced one by one."""
    return {number for number in missing if (job, number) in at_work} or set(missing[:1])
