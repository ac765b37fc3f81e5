"""joblib's own processes (loky), which run on every system."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from multiprocessing.connection import Connection
from typing import Any

from ..cpus import evaluations_at_a_time
from ..errors import BackendUnavailable
from ..evaluation import Evaluation, Task
from ..payload import load_payload
from ._chunks import Chunks
from ._lost import lost_evaluation

__all__ = ["Joblib"]

_Results = list[tuple[int, Evaluation]]
_Answer = tuple[float, list[tuple[int, tuple[Any, ...]]]]

#: Seconds that the processes have to end before they are killed: a code may take 2 s to end.
_PATIENCE = 6.0


class Joblib:
    """Evaluate in the processes of joblib's loky.

    Parameters
    ----------
    n_cpus : int, optional
        CPUs to use; -1 (default) means every CPU this process may use.

    Raises
    ------
    BackendUnavailable
        If joblib is not installed.
    """

    def __init__(self, n_cpus: int = -1) -> None:
        evaluations_at_a_time(n_cpus)
        try:
            from joblib.externals import loky
        except ImportError as error:
            msg = "backend='joblib' needs the package joblib: pip install 'otwrap[joblib]'"
            raise BackendUnavailable(msg) from error
        self._loky = loky
        self.n_cpus = n_cpus
        self._payload: bytes | None = None
        self._executor: Any = None
        #: Its end tells the processes that they are not needed any more, also if this one is killed.
        self._line: Connection[Any, Any] | None = None

    def imap(self, evaluate: Any, tasks: Iterator[Task]) -> Iterator[_Results]:
        """Yield lists of task id and evaluation as they end, see :class:`otwrap.backends.Backend`."""
        width = evaluations_at_a_time(self.n_cpus, getattr(evaluate, "cpus", 1))
        if evaluate.payload != self._payload:
            self.close()
            self._payload = evaluate.payload
        run = _Run(lambda: self._submitter(width), self.close, width, tasks)
        yield from run.results()

    def close(self) -> None:
        """End the processes."""
        executor, self._executor = self._executor, None
        if executor is None:
            return
        if self._line is not None:
            self._line.close()
        # It waits for what is in flight; a model that does not notice that it is not needed is killed.
        ending = threading.Thread(target=executor.shutdown, daemon=True)
        ending.start()
        ending.join(_PATIENCE)
        executor.shutdown(wait=True, kill_workers=True)

    def _submitter(self, width: int) -> Callable[..., Future[_Answer]]:
        """Return how tasks are submitted; the processes start when there are none."""
        if self._executor is None:
            theirs, self._line = self._loky.backend.get_context().Pipe(duplex=False)
            self._executor = self._loky.ProcessPoolExecutor(
                max_workers=width, initializer=_load, initargs=(self._payload, theirs, os.getpid())
            )
        submit: Callable[..., Future[_Answer]] = self._executor.submit
        return submit

    def __repr__(self) -> str:
        return f"Joblib(n_cpus={self.n_cpus})"


class _Run:
    """One call of `imap`."""

    def __init__(
        self,
        submitter: Callable[[], Callable[..., Future[_Answer]]],
        close: Callable[[], None],
        width: int,
        tasks: Iterator[Task],
    ) -> None:
        self.submitter = submitter
        self.close = close
        self.width = width
        self.chunks = Chunks(tasks)
        self.flying: dict[Future[_Answer], list[Task]] = {}
        #: A dead process breaks all of them, so these go out one at a time, to learn which one it is.
        self.suspects: deque[Task] = deque()
        self.losses: dict[int, int] = {}

    def results(self) -> Iterator[_Results]:
        """Yield evaluations until there is nothing in flight and nothing to do."""
        try:
            while self._feed():
                done, _ = wait(self.flying, return_when=FIRST_COMPLETED)
                for future in done:
                    if future in self.flying:
                        yield from self._collect(future)
        finally:
            if self.flying:
                self.close()

    def _feed(self) -> bool:
        """Submit work; return whether anything is in flight."""
        if self.suspects:
            if not self.flying:
                self._submit([self.suspects.popleft()])
            return True
        wanted = self.width * (2 if self.chunks.ahead() else 1)
        while len(self.flying) < wanted and (chunk := self.chunks.take()):
            self._submit(chunk)
        return bool(self.flying)

    def _submit(self, chunk: list[Task]) -> None:
        """Submit a chunk, to fresh processes if the former ones have died meanwhile."""
        tasks = [tuple(task) for task in chunk]
        try:
            future = self.submitter()(_evaluate, tasks)
        except BrokenExecutor:
            self._suspect_all()
            future = self.submitter()(_evaluate, tasks)
        self.flying[future] = chunk

    def _collect(self, future: Future[_Answer]) -> Iterator[_Results]:
        """Yield what a future brought; if its process died, learn whose fault it is."""
        try:
            seconds, results = future.result()
        except BrokenExecutor as error:
            alone = self.flying[future] if len(self.flying) == 1 and len(self.flying[future]) == 1 else []
            self._suspect_all()
            for task in alone:
                self.losses[task.id] = self.losses.get(task.id, 0) + 1
                if self.losses[task.id] > 1:
                    self.suspects.remove(task)
                    yield [(task.id, lost_evaluation(task, str(error)))]
            return
        del self.flying[future]
        self.chunks.measured(seconds, len(results))
        yield [(number, Evaluation._make(fields)) for number, fields in results]

    def _suspect_all(self) -> None:
        """Take back everything that is in flight, and end the broken processes."""
        for chunk in self.flying.values():
            self.suspects.extend(chunk)
        self.flying.clear()
        self.close()


_evaluator: Any = None
#: Set when nobody waits for results any more.
_ended = threading.Event()


def _load(payload: bytes, line: Connection[Any, Any], driver: int) -> None:
    """Make the evaluator, once in each process."""
    from ..process import adopt_orphans

    global _evaluator
    adopt_orphans()
    # A session of its own: Ctrl-C at the terminal reaches the driver alone, which ends the rest in order.
    if hasattr(os, "setsid"):
        os.setsid()
    _evaluator = load_payload(payload)
    threading.Thread(target=_follow, args=(line, driver), daemon=True).start()


def _follow(line: Connection[Any, Any], driver: int) -> None:
    """End what runs here when nobody waits for it, and this process if the driver is gone."""
    from ..process import end_all

    with contextlib.suppress(EOFError, OSError):
        line.recv_bytes()
    _ended.set()
    end_all()
    # The line of a killed driver ends a moment before the driver does.
    while os.getppid() == driver:
        time.sleep(0.1)
    _evaluator.close()
    os._exit(0)


def _evaluate(tasks: list[tuple[Any, ...]]) -> _Answer:
    """Evaluate a chunk."""
    clock = time.perf_counter()
    results = []
    for fields in tasks:
        if _ended.is_set():
            break
        results.append((fields[0], tuple(_evaluator(Task(*fields)))))
    return time.perf_counter() - clock, results
