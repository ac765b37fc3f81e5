"""Workers at the other end of a connection: who has which points, and what becomes of those whose worker dies.

Each worker gets the evaluator once, then chunks of tasks. It is known which worker has which points, so one
that dies costs its own point a retry, and the others' points go to somebody else.
"""

from __future__ import annotations

import pickle
import selectors
from collections import deque
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any, Protocol

from ..errors import BackendError
from ..evaluation import Evaluation, Task
from ._chunks import Chunks
from ._lost import lost_evaluation

__all__ = ["Crew", "Run", "Worker"]

_Results = list[tuple[int, Evaluation]]


class Worker:
    """One worker: the connection to it, and the tasks it has.

    Parameters
    ----------
    connection : Connection
        To the worker.
    payload : bytes
        What it evaluates.
    """

    def __init__(self, connection: Connection[Any, Any], payload: bytes) -> None:
        self.connection = connection
        self.tasks: deque[Task] = deque()
        self.ready = False
        self._send(payload)

    def give(self, chunk: list[Task]) -> None:
        """Send tasks.

        Parameters
        ----------
        chunk : list of Task
            One or more.
        """
        self.tasks.extend(chunk)
        self._send(pickle.dumps([tuple(task) for task in chunk], 5))

    def receive(self) -> tuple[float, _Results] | None:
        """Return the time in seconds and the evaluations that arrived; `None` if the worker has died.

        Returns
        -------
        received : tuple or None

        Raises
        ------
        BackendError
            If the worker could not load the evaluator.
        """
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
        if kind == "files":
            self.asked(content)
            return 0.0, []
        for _ in content:
            self.tasks.popleft()
        return kind, [(number, Evaluation._make(fields)) for number, fields in content]

    def asked(self, wanted: list[int]) -> None:
        """Send files that the worker has not; one of this machine has them all.

        Parameters
        ----------
        wanted : list of int
            Which of the model's files.
        """

    def end(self) -> None:
        """Close the connection, on which the worker ends what it runs and itself."""
        self.connection.close()

    def ending(self) -> str:
        """Return how the worker ended, in words."""
        return "its connection closed"

    def _send(self, message: bytes) -> None:
        """Send, and leave it to `receive` to notice that the worker has died."""
        try:
            self.connection.send_bytes(message)
        except OSError:
            return


class Starter(Protocol):
    """How a crew gets its workers."""

    def start(self, crew: Crew, number: int) -> None:
        """Start so many more workers, which are in the crew at once or come later.

        Parameters
        ----------
        crew : Crew
            Where they are added.
        number : int
            At least 1.
        """
        ...

    def coming(self) -> int:
        """Return how many were started and are not there yet."""
        ...

    def pause(self) -> float | None:
        """Return after how many seconds to look again at what no connection tells; `None` for never."""
        ...

    def arrived(self, crew: Crew) -> None:
        """Take in workers that have arrived; raise if none can."""
        ...

    def buried(self, worker: Worker) -> None:
        """Take note of a worker that died; raise if there is no use in another one.

        Parameters
        ----------
        worker : Worker
            Is not in the crew any more.
        """
        ...


class Crew:
    """The workers that are alive."""

    def __init__(self) -> None:
        self.all: list[Worker] = []
        # Kept from one wait to the next: making one costs more than the wait itself.
        self._selector: selectors.BaseSelector | None = None

    def watch(self, fileobj: Any, data: Any) -> None:
        """Have :meth:`wait` look at something.

        Parameters
        ----------
        fileobj : object
            A connection or a socket.
        data : object
            What :meth:`wait` returns for it.
        """
        if self._selector is None:
            self._selector = selectors.DefaultSelector()
        self._selector.register(fileobj, selectors.EVENT_READ, data)

    def watches(self, fileobj: Any) -> bool:
        """Return whether :meth:`wait` looks at something."""
        return self._selector is not None and fileobj in self._selector.get_map()

    def add(self, worker: Worker) -> None:
        """Take in a worker."""
        self.all.append(worker)
        self.watch(worker.connection, worker)

    def wait(self, timeout: float | None = None) -> list[Any]:
        """Return what has something to read: workers that have sent something or have died.

        Parameters
        ----------
        timeout : float, optional
            In seconds. Default is none.

        Returns
        -------
        found : list
        """
        return [key.data for key, _ in self._selector.select(timeout)] if self._selector else []

    def remove(self, worker: Worker) -> None:
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


class Run:
    """One call of `imap`.

    Parameters
    ----------
    crew : Crew
        The workers.
    starter : Starter
        Where more come from.
    width : int
        How many work at a time; may change while it runs.
    tasks : iterator of Task
        Pulled lazily.
    """

    def __init__(self, crew: Crew, starter: Starter, width: int, tasks: Iterator[Task]) -> None:
        self.crew = crew
        self.starter = starter
        self.width = width
        self.chunks = Chunks(tasks)
        #: Tasks that were with a worker that died; each goes out alone, to learn which one it is.
        self.suspects: deque[Task] = deque()
        self.losses: dict[int, int] = {}

        #: Tasks that no worker has yet.
        self.held: list[Task] = []

    def results(self) -> Iterator[_Results]:
        """Yield evaluations until there is nothing in flight and nothing to do.

        Yields
        ------
        results : list of (int, Evaluation)
        """
        try:
            while self._feed():
                for found in self.crew.wait(self.starter.pause()):
                    if not isinstance(found, Worker):
                        continue
                    received = found.receive()
                    if received is None:
                        yield from self._bury(found)
                        continue
                    seconds, results = received
                    self.chunks.measured(seconds, len(results))
                    if results:
                        yield results
                self.starter.arrived(self.crew)
        finally:
            self._cancel()

    def _feed(self) -> bool:
        """Give work to who has little; return whether anything is in flight or waits for a worker."""
        for worker in self.crew.all:
            self._feed_one(worker)
        while self._waits() and (there := len(self.crew.all) + self.starter.coming()) < self.width:
            self.starter.start(self.crew, 1)
            if len(self.crew.all) + self.starter.coming() == there:
                break
            if self.crew.all:
                self._feed_one(self.crew.all[-1])
        return self._waits() or any(worker.tasks for worker in self.crew.all)

    def _waits(self) -> bool:
        """Whether there is a task that no worker has."""
        if not self.suspects and not self.held:
            self.held = self.chunks.take()
        return bool(self.suspects or self.held)

    def _feed_one(self, worker: Worker) -> None:
        """Give a chunk to a worker that is about to run out; a suspect goes alone."""
        if not worker.tasks and self.suspects:
            worker.give([self.suspects.popleft()])
        elif len(worker.tasks) <= self.chunks.ahead() and (chunk := self.held or self.chunks.take()):
            self.held = []
            worker.give(chunk)

    def _bury(self, worker: Worker) -> Iterator[_Results]:
        """Replace a worker that died; its point is tried once more, then recorded as killed."""
        self.crew.remove(worker)
        self.starter.buried(worker)
        lost = list(worker.tasks)
        if not lost:
            return
        if not worker.ready:  # it has not seen them
            self.suspects.extend(lost)
            return
        first = lost[0]
        self.losses[first.id] = self.losses.get(first.id, 0) + 1
        if len(lost) == 1 and self.losses[first.id] > 1:
            yield [(first.id, lost_evaluation(first, worker.ending()))]
            return
        self.suspects.extend(lost)

    def _cancel(self) -> None:
        """End the workers that are still evaluating, and with them their codes."""
        for worker in [worker for worker in self.crew.all if worker.tasks]:
            self.crew.remove(worker)
