"""How many tasks go to a worker at once, from measured times."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from ..evaluation import Task

__all__ = ["Chunks"]

#: A chunk should last about this long, in seconds: long against the cost of sending it, short against
#: the wait of the last worker.
_TARGET = 0.005
#: Above this time of one evaluation, in seconds, nothing is sent ahead: the load stays balanced.
_LONG = 0.02
_LARGEST = 2000


class Chunks:
    """Cut tasks into chunks whose size follows the measured time of an evaluation.

    Parameters
    ----------
    tasks : iterator of Task
        Pulled lazily.

    Examples
    --------
    >>> chunks = Chunks(iter([Task(0, (1.0,)), Task(1, (2.0,))]))
    >>> len(chunks.take())
    1
    """

    def __init__(self, tasks: Iterator[Task]) -> None:
        self._tasks = tasks
        self._mean: float | None = None

    def take(self) -> list[Task]:
        """Return the next chunk, empty if there is nothing to do now."""
        return list(islice(self._tasks, self.size()))

    def size(self) -> int:
        """Return how many tasks make a chunk at present."""
        if self._mean is None:
            return 1
        return max(1, min(_LARGEST, int(_TARGET / max(self._mean, 1e-7))))

    def ahead(self) -> int:
        """Return how many tasks a worker may have before it is sent more."""
        if self._mean is None or self._mean > _LONG:
            return 0
        return self.size()

    def measured(self, seconds: float, evaluations: int) -> None:
        """Take in how long a number of evaluations took on one worker.

        Parameters
        ----------
        seconds : float
            Time of the worker.
        evaluations : int
            How many it made in it.
        """
        if evaluations <= 0:
            return
        mean = seconds / evaluations
        # A slow evaluation counts at once, fast ones little by little: too large a chunk is the costlier error.
        self._mean = mean if self._mean is None or mean > self._mean else 0.7 * self._mean + 0.3 * mean
