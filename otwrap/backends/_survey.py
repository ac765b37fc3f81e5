"""One point on every worker, once: to learn whether all of them can do the work."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from ..evaluation import Evaluation, Task
from ._crew import Crew, Run, Starter, Worker
from ._lost import lost_evaluation

__all__ = ["Survey"]

_Results = list[tuple[int, Evaluation]]

#: Seconds for which further workers are waited for when one has come.
_PATIENCE = 30.0


class Survey(Run):
    """Give each worker the same point.

    Parameters
    ----------
    crew : Crew
        The workers.
    starter : Starter
        Where more come from.
    width : int
        How many there are to be.
    point : sequence of float
        What each evaluates.
    """

    def __init__(self, crew: Crew, starter: Starter, width: int, point: Sequence[float]) -> None:
        super().__init__(crew, starter, width, iter(()))
        self._point = tuple(point)
        self._visited: set[Worker] = set()
        self._latest = 0.0

    def _waits(self) -> bool:
        """Whether there is a worker to come."""
        patient = not self._visited or time.monotonic() < self._latest + _PATIENCE
        return len(self._visited) < self.width and patient

    def _feed_one(self, worker: Worker) -> None:
        """Give the point to a worker that has not had it."""
        if worker not in self._visited and len(self._visited) < self.width:
            worker.give([Task(len(self._visited), self._point)])
            self._visited.add(worker)
            self._latest = time.monotonic()

    def _bury(self, worker: Worker) -> Iterator[_Results]:
        """Tell of a worker that died of the point."""
        self.crew.remove(worker)
        self.starter.buried(worker)
        for task in worker.tasks:
            yield [(task.id, lost_evaluation(task, worker.ending()))]
