"""A submission watched: what comes of it, and which tasks have ended without all of their points."""

from __future__ import annotations

import time
from typing import Any

from ..schedulers import TaskState
from .arrivals import Arrival, Arrivals
from .folder import BatchFolder
from .queue import Queue
from .standing import Standing, standing_of

__all__ = ["Watch"]

#: Seconds between two looks at the records: at least, at most, and by which factor they grow while nothing comes.
_SHORTEST, _LONGEST, _GROWTH = 0.05, 2.0, 1.3
#: Seconds between two questions to the batch system, which has other users: as above.
_ASK_SHORTEST, _ASK_LONGEST = 0.5, 30.0
#: Seconds for which records may be late on a file system of the network, after their task has ended.
_LATE = 5.0


class Watch:
    """Look at a submission again and again, not too often.

    Parameters
    ----------
    folder : BatchFolder
        Of the submission.
    queue : Queue
        Its jobs.
    model : Wrapper, optional
        What reads the output, where a shell runs the code.
    """

    def __init__(self, folder: BatchFolder, queue: Queue, model: Any = None) -> None:
        self.folder, self.queue = folder, queue
        self.arrivals = Arrivals(folder, model)
        self.all: list[Arrival] = []
        self._states: dict[int, dict[int, TaskState]] = {}
        self._asked = 0.0
        self._ask_every = _ASK_SHORTEST
        self._pause = _SHORTEST
        self._lost_since: dict[tuple[int, int], float] = {}

    def new(self) -> list[Arrival]:
        """Return what has come since the last look."""
        found = self.arrivals.new()
        self.all += found
        if found:
            self._pause, self._ask_every = _SHORTEST, _ASK_SHORTEST
        return found

    def sleep(self) -> None:
        """Wait a little, longer each time that nothing comes."""
        time.sleep(self._pause)
        self._pause = min(self._pause * _GROWTH, _LONGEST)

    def ask(self) -> bool:
        """Ask the batch system for its tasks, if it is time to; return whether it was.

        Returns
        -------
        asked : bool
        """
        now = time.monotonic()
        if self._asked and now < self._asked + self._ask_every:
            return False
        self._states = self.queue.states(self.folder.jobs())
        self._asked = time.monotonic()
        # Asking takes its time on a busy system: never more than a tenth of the time goes into it.
        self._ask_every = min(max(self._ask_every * 1.5, 10 * (self._asked - now)), _ASK_LONGEST)
        return True

    def standing(self) -> Standing:
        """Return how the points stand, as far as it was asked and read."""
        return standing_of(self.folder, self.all, self._states, self.arrivals.ends, self.arrivals.begun)

    def lost(self, standing: Standing) -> list[tuple[int, int]]:
        """Return the tasks that have ended without all of their points, and long enough ago for records to come.

        Parameters
        ----------
        standing : Standing
            What was found after asking.

        Returns
        -------
        tasks : list of (int, int)
            Number of the array, and task.
        """
        now = time.monotonic()
        gone = {(lost.job, lost.task) for lost in standing.lost}
        self._lost_since = {task: self._lost_since.get(task, now) for task in gone}
        return [task for task, since in self._lost_since.items() if now >= since + _LATE]
