"""Worker processes of this machine, started afresh: no fork, no guard in the user's script.

Each worker is one `python` that gets the evaluator once. It is known which worker has which points, so
one that dies costs its own point a retry, and the others' points go to somebody else.
"""

from __future__ import annotations

import os
import pickle
import selectors
import subprocess
import sys
import weakref
from collections import deque
from collections.abc import Iterator
from multiprocessing.connection import Connection, Pipe
from typing import Any

from ..cpus import evaluations_at_a_time
from ..errors import BackendError, BackendUnavailable
from ..evaluation import Evaluation, Task
from ._chunks import Chunks
from ._lost import lost_evaluation

__all__ = ["Multiprocessing"]

_Results = list[tuple[int, Evaluation]]


class Multiprocessing:
    """Evaluate in worker processes of this machine.

    The workers start with the first sample and live until :meth:`close`, or as long as this process.

    Parameters
    ----------
    n_cpus : int, optional
        CPUs to use; -1 (default) means every CPU this process may use.

    Examples
    --------
    >>> from otwrap.backends.multiprocessing import Multiprocessing
    >>> Multiprocessing(n_cpus=2)
    Multiprocessing(n_cpus=2)
    """

    def __init__(self, n_cpus: int = -1) -> None:
        evaluations_at_a_time(n_cpus)
        if os.name == "nt":
            msg = "backend='multiprocessing' needs a POSIX system; use backend='joblib' or 'threads' here"
            raise BackendUnavailable(msg)
        self.n_cpus = n_cpus
        self._payload: bytes | None = None
        self._workers = _Workers()
        self._finalizer = weakref.finalize(self, self._workers.end)

    def imap(self, evaluate: Any, tasks: Iterator[Task]) -> Iterator[_Results]:
        """Yield lists of task id and evaluation as they end, see :class:`otwrap.backends.Backend`."""
        width = evaluations_at_a_time(self.n_cpus, getattr(evaluate, "cpus", 1))
        self._use(evaluate.payload)
        yield from _Run(self._workers, evaluate.payload, width, tasks).results()

    def close(self) -> None:
        """End the workers."""
        self._workers.end()

    def _use(self, payload: bytes) -> None:
        """Start anew if the workers have another evaluator."""
        if payload != self._payload:
            self.close()
            self._payload = payload

    def __repr__(self) -> str:
        return f"Multiprocessing(n_cpus={self.n_cpus})"


class _Worker:
    """One worker process, the connection to it, and the tasks it has."""

    def __init__(self, payload: bytes) -> None:
        ours, theirs = Pipe()
        code = (
            f"import sys; sys.path[:] = {sys.path!r}; "
            f"from otwrap.backends._worker import main; main({theirs.fileno()})"
        )
        # A session of its own: Ctrl-C at the terminal reaches the driver alone, which ends the rest in order.
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        theirs.close()
        self.connection: Connection[Any, Any] = ours
        self.tasks: deque[Task] = deque()
        self.ready = False
        self._send(payload)

    def give(self, chunk: list[Task]) -> None:
        """Send tasks."""
        self.tasks.extend(chunk)
        self._send(pickle.dumps([tuple(task) for task in chunk], 5))

    def receive(self) -> tuple[float, _Results] | None:
        """Return the time and the evaluations that arrived; `None` if the worker has died."""
        try:
            kind, content = pickle.loads(self.connection.recv_bytes())
        except (EOFError, OSError):
            return None
        if kind == "broken":
            msg = f"a worker process could not load the model: {content}"
            raise BackendError(msg)
        if kind == "ready":
            self.ready = True
            return 0.0, []
        for _ in content:
            self.tasks.popleft()
        return kind, [(number, Evaluation._make(fields)) for number, fields in content]

    def end(self) -> None:
        """Close the connection, on which the worker ends what it runs and itself."""
        self.connection.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _send(self, message: bytes) -> None:
        """Send, and leave it to `receive` to notice that the worker has died."""
        try:
            self.connection.send_bytes(message)
        except OSError:
            return


class _Workers:
    """The workers that are alive."""

    def __init__(self) -> None:
        self.all: list[_Worker] = []
        # Kept from one wait to the next: making one costs more than the wait itself.
        self._selector: selectors.BaseSelector | None = None

    def start(self, payload: bytes) -> _Worker:
        """Start one more."""
        if self._selector is None:
            self._selector = selectors.DefaultSelector()
        worker = _Worker(payload)
        self.all.append(worker)
        self._selector.register(worker.connection, selectors.EVENT_READ, worker)
        return worker

    def wait(self) -> list[_Worker]:
        """Return those that have sent something, or have died."""
        return [key.data for key, _ in self._selector.select()] if self._selector else []

    def remove(self, worker: _Worker) -> None:
        """End a worker."""
        self.all.remove(worker)
        if self._selector is not None:
            self._selector.unregister(worker.connection)
        worker.end()

    def end(self) -> None:
        """End all."""
        for worker in self.all:
            worker.connection.close()
        while self.all:
            self.all.pop().end()
        if self._selector is not None:
            self._selector.close()
            self._selector = None


class _Run:
    """One call of `imap`."""

    def __init__(self, workers: _Workers, payload: bytes, width: int, tasks: Iterator[Task]) -> None:
        self.workers = workers
        self.payload = payload
        self.width = width
        self.chunks = Chunks(tasks)
        #: Tasks that were with a worker that died; each goes out alone, to learn which one it is.
        self.suspects: deque[Task] = deque()
        self.losses: dict[int, int] = {}

    def results(self) -> Iterator[_Results]:
        """Yield evaluations until there is nothing in flight and nothing to do."""
        try:
            while self._feed():
                for worker in self.workers.wait():
                    received = worker.receive()
                    if received is None:
                        yield from self._bury(worker)
                        continue
                    seconds, results = received
                    self.chunks.measured(seconds, len(results))
                    if results:
                        yield results
        finally:
            self._cancel()

    def _feed(self) -> bool:
        """Give work to who has little; return whether anything is in flight."""
        for worker in self.workers.all:
            self._feed_one(worker)
        while len(self.workers.all) < self.width:
            worker = self.workers.start(self.payload)
            self._feed_one(worker)
            if not worker.tasks:
                break
        return any(worker.tasks for worker in self.workers.all)

    def _feed_one(self, worker: _Worker) -> None:
        """Give a chunk to a worker that is about to run out; a suspect goes alone."""
        if not worker.tasks and self.suspects:
            worker.give([self.suspects.popleft()])
        elif len(worker.tasks) <= self.chunks.ahead() and (chunk := self.chunks.take()):
            worker.give(chunk)

    def _bury(self, worker: _Worker) -> Iterator[_Results]:
        """Replace a worker that died; its point is tried once more, then recorded as killed."""
        self.workers.remove(worker)
        if not worker.ready:
            msg = (
                f"a worker process ended with code {worker.process.returncode} before its first point: what it "
                f"printed stands above; does {sys.executable} start, and can it import otwrap?"
            )
            raise BackendError(msg)
        lost = list(worker.tasks)
        if not lost:
            return
        first = lost[0]
        self.losses[first.id] = self.losses.get(first.id, 0) + 1
        if len(lost) == 1 and self.losses[first.id] > 1:
            yield [(first.id, lost_evaluation(first, _ending(worker.process.returncode)))]
            return
        self.suspects.extend(lost)

    def _cancel(self) -> None:
        """End the workers that are still evaluating, and with them their codes."""
        for worker in [worker for worker in self.workers.all if worker.tasks]:
            self.workers.remove(worker)


def _ending(code: int | None) -> str:
    """Return how a process ended, in words."""
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
