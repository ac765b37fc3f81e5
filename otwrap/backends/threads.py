"""Threads of this process: right for codes that run as processes of their own, with nothing to ship."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator

from ..cpus import evaluations_at_a_time
from ..evaluation import Evaluation, Task
from ..process import end_all
from ..workdir import own_current_directory
from ._chunks import Chunks

__all__ = ["Threads"]

_Results = list[tuple[int, Evaluation]]


class Threads:
    """Evaluate in threads of this process.

    Each thread has a current directory of its own where the system allows it.

    Parameters
    ----------
    n_cpus : int, optional
        CPUs to use; -1 (default) means every CPU this process may use.

    Examples
    --------
    >>> from otwrap.backends.threads import Threads
    >>> Threads(n_cpus=2)
    Threads(n_cpus=2)
    """

    def __init__(self, n_cpus: int = -1) -> None:
        evaluations_at_a_time(n_cpus)
        self.n_cpus = n_cpus
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def imap(self, evaluate: Callable[[Task], Evaluation], tasks: Iterator[Task]) -> Iterator[_Results]:
        """Yield lists of task id and evaluation as they end, see :class:`otwrap.backends.Backend`."""
        width = evaluations_at_a_time(self.n_cpus, getattr(evaluate, "cpus", 1))
        self._start(width)
        chunks = Chunks(tasks)
        call = _Call(evaluate)
        in_flight = 0
        try:
            while True:
                while in_flight < width + chunks.ahead() * width and (chunk := chunks.take()):
                    in_flight += len(chunk)
                    self._jobs.put((call, chunk))
                if not in_flight:
                    return
                seconds, results = call.results.get()
                chunks.measured(seconds, len(results))
                in_flight -= len(results)
                yield results
        finally:
            if in_flight:
                call.cancelled.set()
                end_all()

    def close(self) -> None:
        """End the threads, after what they are evaluating."""
        for _ in self._threads:
            self._jobs.put(None)
        self._threads.clear()

    def _start(self, width: int) -> None:
        """Start the threads that are missing."""
        while len(self._threads) < width:
            thread = threading.Thread(target=_work, args=(self._jobs,), daemon=True, name="otwrap")
            thread.start()
            self._threads.append(thread)

    def __repr__(self) -> str:
        return f"Threads(n_cpus={self.n_cpus})"


class _Call:
    """One call of `imap`: what its threads need to know."""

    def __init__(self, evaluate: Callable[[Task], Evaluation]) -> None:
        self.evaluate = evaluate
        self.results: queue.SimpleQueue[tuple[float, _Results]] = queue.SimpleQueue()
        self.cancelled = threading.Event()


_Job = tuple[_Call, list[Task]]


def _work(jobs: queue.SimpleQueue[_Job | None]) -> None:
    """Evaluate chunks until told to end."""
    own_current_directory()
    while (job := jobs.get()) is not None:
        call, chunk = job
        results: _Results = []
        clock = time.perf_counter()
        for task in chunk:
            if call.cancelled.is_set():
                break
            results.append((task.id, call.evaluate(task)))
            elapsed = time.perf_counter() - clock
            # What took a while is told at once; only what is too cheap to be told alone is gathered.
            if elapsed > 0.0005:
                call.results.put((elapsed, results))
                results, clock = [], time.perf_counter()
        if results:
            call.results.put((time.perf_counter() - clock, results))
