"""When a failed evaluation is tried again, after how long, and with which settings."""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from .command.settings import Pattern, patterns_of
from .evaluation import Evaluation, Task

__all__ = ["Retries", "TaskQueue"]


class Retries:
    """How failed evaluations are tried again within one call.

    Parameters
    ----------
    count : int, optional
        How many times. Default is as many as `retry_with` has steps, else 0.
    delay : float, optional
        Seconds between a failure and the next try. Default is 0.
    retry_with : sequence of dict, optional
        What is changed for the second attempt, the third and so on; the last step holds for all further
        ones. A step has settings of :class:`otwrap.Command` (``{"timeout": 600}``, ``{"env": {...}}``),
        another ``command``, or ``constants`` of the templates (``{"constants": {"@DT@": 1e-4}}``).
    transient : sequence of str or of (str, str), optional
        What the code says when the fault is not the point's, as a licence server's message: a regular
        expression, looked for in the lines of standard output and error, or a pair of a file and an
        expression. Such a failure costs no attempt: the point waits and is tried again.
    patience : float, optional
        For how many seconds in all a point waits for transient faults to pass; then it has failed.
        Default is 3600.
    pause : float, optional
        Seconds between two tries of a transient fault. Default is 10.

    Raises
    ------
    ValueError, TypeError
        If a number is negative, or a step is no dict.

    Examples
    --------
    >>> import otwrap as otw
    >>> retries = otw.Retries(delay=5.0, retry_with=[{"timeout": 600}], transient=["no licence"])
    >>> retries.count, retries.settings(2)
    (1, {'timeout': 600})
    """

    def __init__(
        self,
        count: int | None = None,
        *,
        delay: float = 0.0,
        retry_with: Sequence[Mapping[str, Any]] = (),
        transient: Pattern | Sequence[Pattern] = (),
        patience: float = 3600.0,
        pause: float = 10.0,
    ) -> None:
        steps: Any = [retry_with] if isinstance(retry_with, Mapping) else list(retry_with)
        for step in steps:
            if not isinstance(step, Mapping):
                msg = (
                    f"retry_with has {step!r}; each step is a dict of changed settings, as {{'timeout': 600}}"
                )
                raise TypeError(msg)
        self.count = len(steps) if count is None else count
        for name, value in (
            ("count", self.count),
            ("delay", delay),
            ("patience", patience),
            ("pause", pause),
        ):
            if not value >= 0:
                msg = f"retries: {name} is {value!r}; give 0 or a positive number"
                raise ValueError(msg)
        if self.count < len(steps):
            msg = f"retries: count={count!r} never reaches the last of the {len(steps)} steps of retry_with"
            raise ValueError(msg)
        self.delay = float(delay)
        self.retry_with = tuple(dict(step) for step in steps)
        self.transient = patterns_of("transient", transient)
        self.patience = float(patience)
        self.pause = float(pause)

    def settings(self, attempt: int) -> dict[str, Any] | None:
        """Return what is changed for an attempt.

        Parameters
        ----------
        attempt : int
            1 for the first try.

        Returns
        -------
        settings : dict or None
            `None` if nothing is.
        """
        if attempt < 2 or not self.retry_with:
            return None
        return self.retry_with[min(attempt - 2, len(self.retry_with) - 1)]

    def __repr__(self) -> str:
        return f"Retries({self.count}, delay={self.delay:g}, retry_with={list(self.retry_with)!r})"


class TaskQueue(Iterator[Task]):
    """Tasks to come; its end is not final, since failed points may come again.

    Parameters
    ----------
    tasks : iterable of Task
        Pulled lazily.
    retries : Retries
        When and how points come again.
    settings : callable, optional
        Changes the settings of a task when it goes out; takes and returns a dict or `None`.

    Examples
    --------
    >>> queue = TaskQueue([Task(0, (1.0,))], Retries(1))
    >>> task = next(queue)
    >>> queue.ended([(0, Evaluation(task.input, None, "failed"))])
    []
    >>> next(queue).attempt
    2
    """

    def __init__(
        self,
        tasks: Iterable[Task],
        retries: Retries,
        settings: Callable[[dict[str, Any] | None], dict[str, Any] | None] | None = None,
    ) -> None:
        self._fresh: Iterator[Task] = iter(tasks)
        self._again: deque[Task] = deque()
        self._waiting: list[tuple[float, int, Task]] = []
        self._since: dict[int, float] = {}
        self._retries = retries
        self._settings = settings
        #: Tasks that went out and whose end was not told.
        self.in_flight = 0

    def is_empty(self) -> bool:
        """Return whether there is nothing to do at the beginning; then no worker needs to start.

        Returns
        -------
        is_empty : bool
        """
        first = next(self._fresh, None)
        if first is None:
            return True
        self._fresh = chain([first], self._fresh)
        return False

    def ended(self, batch: Sequence[tuple[int, Evaluation]]) -> Sequence[tuple[int, Evaluation]]:
        """Take note of tasks that have ended, and put back those that are to be tried again.

        Parameters
        ----------
        batch : sequence of (int, Evaluation)
            What ended together.

        Returns
        -------
        final : sequence of (int, Evaluation)
            Those that are not tried again.
        """
        self.in_flight -= len(batch)
        if all(evaluation.output is not None for _, evaluation in batch):
            return batch
        return [result for result in batch if result[1].output is not None or not self._tried_again(*result)]

    def _tried_again(self, index: int, evaluation: Evaluation) -> bool:
        """Put a failed task back while it has tries or patience left."""
        if evaluation.cause == "transient":
            now = time.monotonic()
            if now - self._since.setdefault(index, now) + self._retries.pause > self._retries.patience:
                return False
            self._put(Task(index, evaluation.point, evaluation.attempts), self._retries.pause)
            return True
        if evaluation.attempts > self._retries.count or evaluation.status == "cancelled":
            return False
        self._put(Task(index, evaluation.point, evaluation.attempts + 1), self._retries.delay)
        return True

    def _put(self, task: Task, delay: float) -> None:
        """Add a task that is due after some time."""
        task = task._replace(settings=self._retries.settings(task.attempt))
        if delay > 0:
            heapq.heappush(self._waiting, (time.monotonic() + delay, task.id, task))
        else:
            self._again.append(task)

    def __next__(self) -> Task:
        task = self._returned() if self._again or self._waiting else next(self._fresh)
        self.in_flight += 1
        return task if self._settings is None else task._replace(settings=self._settings(task.settings))

    def _returned(self) -> Task:
        """Return the next task; wait for one only if nothing is in flight that could bring others."""
        if self._again:
            return self._again.popleft()
        if self._waiting[0][0] > time.monotonic():
            for task in self._fresh:
                return task
            if self.in_flight:
                raise StopIteration
        due, _, task = heapq.heappop(self._waiting)
        time.sleep(max(0.0, due - time.monotonic()))
        return task
