"""What backends of an engine share: the engine starts workers, and these connect to the driver.

From then on no backend has a loop of its own: points, answers and the death of a worker go over that
connection, as they do for worker processes of this machine.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import queue
import socket
import sys
import threading
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from typing import Any

from ..errors import BackendError
from ..evaluation import Evaluation, Task
from ._crew import Crew, Run, Worker
from ._travel import difference, hello, send_files

__all__ = ["Served", "facing", "facing_hosts"]

_Results = list[tuple[int, Evaluation]]

#: Seconds that a connection has to prove that it knows the key.
_HANDSHAKE = 20.0
#: Seconds that workers have to end.
_PATIENCE = 10.0
#: Seconds between two looks at workers that are to come, and at how many places the engine has.
_TICK, _REVIEW = 0.1, 3.0
#: Seconds without any worker after which it is said once that one is waited for.
_SILENCE = 30.0


class Served(ABC):
    """Base of the backends whose workers an engine starts.

    Parameters
    ----------
    n_cpus : int
        Evaluations at a time; -1 for as many as the engine has places for.
    host : str or None
        The address of this machine that workers connect to. Default is found by :meth:`_address`.
    """

    def __init__(self, n_cpus: int, host: str | None) -> None:
        if isinstance(n_cpus, bool) or not isinstance(n_cpus, int) or (n_cpus < 1 and n_cpus != -1):
            msg = f"n_cpus={n_cpus!r}: give a positive number, or -1 for all places of the engine"
            raise ValueError(msg)
        self.n_cpus = n_cpus
        self._host = host
        self._door: _Door | None = None
        self._crew = Crew()
        self._payload: bytes | None = None
        #: Calls of the engine that have not ended, by their number.
        self._launched: dict[int, Any] = {}
        self._numbers = itertools.count()

    @abstractmethod
    def _places(self) -> int:
        """Return how many evaluations the engine can do at a time now."""

    @abstractmethod
    def _launch(self, host: str, port: int, key: str, number: int) -> Any:
        """Have the engine call :func:`otwrap.backends._launch.launch` with these, and return its ticket."""

    @abstractmethod
    def _ended(self, ticket: Any) -> str | None:
        """Return what became of a call: `None` while it lasts, else its problem or an empty text."""

    @abstractmethod
    def _stop(self) -> None:
        """End what was started here, and nothing else."""

    def _address(self) -> str:
        """Return the address of this machine that the workers can reach."""
        return "127.0.0.1"

    def imap(self, evaluate: Any, tasks: Iterator[Task]) -> Iterator[_Results]:
        """Yield lists of task id and evaluation as they end, see :class:`otwrap.backends.Backend`."""
        if evaluate.payload != self._payload:
            self._dismiss()
            self._payload = evaluate.payload
        starter = _Starter(self, evaluate)
        self._forget_departed()
        starter.run = Run(self._crew, starter, self._width(evaluate), tasks)
        yield from starter.run.results()

    def close(self) -> None:
        """End the workers, and the engine if it was started here."""
        self._dismiss()
        self._stop()

    def _width(self, evaluate: Any) -> int:
        """Return how many evaluations run at a time."""
        places = self._places() if self.n_cpus == -1 else self.n_cpus
        return max(1, places // max(1, getattr(evaluate, "cpus", 1)))

    def _dismiss(self) -> None:
        """End the workers, those on their way too."""
        there = {worker.number for worker in self._crew.all if isinstance(worker, _Remote)}
        for number in self._launched.keys() - there:
            self._cancel(self._launched[number])
        self._crew.end()
        self._payload = None
        if self._door is not None:
            self._door.close()
            self._door = None
        deadline = time.monotonic() + _PATIENCE
        while self._launched and time.monotonic() < deadline:
            self._forget_ended()
            time.sleep(0.01 if self._launched else 0)
        for ticket in self._launched.values():
            self._cancel(ticket)
        self._launched.clear()

    def _forget_departed(self) -> None:
        """Forget workers that have ended while there was nothing to do."""
        for found in self._crew.wait(0):
            if isinstance(found, Worker) and found.receive() is None:
                self._crew.remove(found)

    def _forget_ended(self) -> dict[int, str]:
        """Forget calls that have ended, and return their problems."""
        ended = {number: self._ended(ticket) for number, ticket in self._launched.items()}
        problems = {number: problem for number, problem in ended.items() if problem is not None}
        for number in problems:
            del self._launched[number]
        return problems

    def _cancel(self, ticket: Any) -> None:
        """Take back a call that the engine has not begun."""
        if hasattr(ticket, "cancel"):
            ticket.cancel()

    def _open(self) -> _Door:
        """Return where workers connect to."""
        if self._door is None:
            self._door = _Door(self._host or self._address())
        return self._door

    def __repr__(self) -> str:
        return f"{type(self).__name__}(n_cpus={self.n_cpus})"


class _Remote(Worker):
    """A worker that an engine started."""

    def __init__(self, connection: Connection[Any, Any], payload: bytes, said: dict[str, str]) -> None:
        self.said = said
        self.number = int(said["number"])
        super().__init__(connection, payload)

    def ending(self) -> str:
        """Return how the worker ended, in words."""
        return f"its connection closed; it was process {self.said['pid']} on {self.said['host']}"


class _Starter:
    """Has the engine start workers, and takes in those that arrive."""

    def __init__(self, backend: Served, evaluate: Any) -> None:
        self.backend = backend
        self.evaluate = evaluate
        self.run: Run | None = None
        self._reviewed = time.monotonic()
        self._deaths = 0
        self._seen = {worker.number for worker in backend._crew.all if isinstance(worker, _Remote)}
        self._alone_since: float | None = None

    def start(self, crew: Crew, number: int) -> None:
        """Ask the engine for more workers."""
        door = self.backend._open()
        if not door.is_watched_by(crew):
            door.watched_by(crew)
        for _ in range(number):
            number = next(self.backend._numbers)
            self.backend._launched[number] = self.backend._launch(
                door.host, door.port, door.key.hex(), number
            )

    def coming(self) -> int:
        """Return how many were asked for and are not there yet."""
        there = {worker.number for worker in self.backend._crew.all if isinstance(worker, _Remote)}
        return len(self.backend._launched.keys() - there)

    def pause(self) -> float | None:
        """Return after how many seconds to look again: workers are to come, or the engine may grow."""
        if self.coming():
            return _TICK
        return _REVIEW if self.backend.n_cpus == -1 else None

    def arrived(self, crew: Crew) -> None:
        """Take in who has arrived; raise if the engine could not start any."""
        for connection in self.backend._open().arrivals():
            self._take_in(connection, crew)
        self._check_launches()
        self._review()
        self._tell_silence(crew)

    def buried(self, worker: Worker) -> None:
        """Raise if workers die before they get ready, again and again."""
        if worker.ready:
            return
        self._deaths += 1
        if self._deaths >= 3:
            msg = f"{self.backend!r}: three workers ended before their first point, the last one: {worker.ending()}"
            raise BackendError(msg)

    def _take_in(self, connection: Connection[Any, Any], crew: Crew) -> None:
        """Compare versions, send the model and its files."""
        try:
            said = pickle.loads(connection.recv_bytes())
            if different := difference(said, hello()):
                _refuse(said, different)
            self._seen.add(int(said["number"]))
            connection.send_bytes(pickle.dumps([os.path.abspath(folder) for folder in sys.path]))
            worker = _Remote(connection, self.evaluate.payload, said)
            send_files(connection, getattr(self.evaluate, "files", ()))
        except (EOFError, OSError):
            return
        crew.add(worker)

    def _check_launches(self) -> None:
        """Raise if a call of the engine has ended and no worker came of it."""
        for number, problem in self.backend._forget_ended().items():
            if number not in self._seen:
                msg = f"{self.backend!r} could not start a worker: {problem or 'its call returned at once'}"
                raise BackendError(msg)

    def _review(self) -> None:
        """Go with an engine that grows or shrinks."""
        if self.run is None or self.backend.n_cpus != -1 or time.monotonic() < self._reviewed + _REVIEW:
            return
        self.run.width = self.backend._width(self.evaluate)
        self._reviewed = time.monotonic()

    def _tell_silence(self, crew: Crew) -> None:
        """Say once that there is no worker yet."""
        if crew.all:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = time.monotonic()
        elif 0 < self._alone_since < time.monotonic() - _SILENCE:
            self._alone_since = -1.0
            print(f"otwrap: waiting for the first worker of {self.backend!r}", file=sys.stderr)


def _refuse(said: dict[str, str], different: str) -> None:
    """Raise for versions that models cannot travel between, warn for others."""
    text = f"the worker on {said['host']} has other versions: {different}"
    if "python" in different or "otwrap" in different:
        msg = f"{text}; give driver and workers the same Python and otwrap"
        raise BackendError(msg)
    warnings.warn(text, RuntimeWarning, stacklevel=2)


class _Door:
    """Where workers connect to; who does not know the key is turned away."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.key = os.urandom(32)
        self._socket = socket.create_server((host, 0), backlog=128)
        self.port: int = self._socket.getsockname()[1]
        self._arrived: queue.SimpleQueue[Connection[Any, Any]] = queue.SimpleQueue()
        self._bell, self._ringer = socket.socketpair()
        self._bell.setblocking(False)
        self._crew: Crew | None = None
        threading.Thread(target=self._listen, daemon=True, name="otwrap-door").start()

    def is_watched_by(self, crew: Crew) -> bool:
        """Whether a crew wakes up when somebody arrives."""
        return self._crew is crew and crew.watches(self._bell)

    def watched_by(self, crew: Crew) -> None:
        """Have a crew wake up when somebody arrives."""
        crew.watch(self._bell, self)
        self._crew = crew

    def arrivals(self) -> Iterator[Connection[Any, Any]]:
        """Yield the connections of those who have arrived."""
        with contextlib.suppress(BlockingIOError):
            self._bell.recv(1024)
        with contextlib.suppress(queue.Empty):
            while True:
                yield self._arrived.get_nowait()

    def close(self) -> None:
        """Let nobody in any more."""
        for connection in self.arrivals():
            connection.close()
        for end in (self._socket, self._bell, self._ringer):
            # Closing alone would leave the thread waiting in accept.
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _listen(self) -> None:
        """Accept connections until the door is closed."""
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._socket.accept()
                threading.Thread(target=self._welcome, args=(caller,), daemon=True).start()

    def _welcome(self, caller: socket.socket) -> None:
        """Let in who knows the key, in a thread: a stranger who says nothing holds up nobody."""
        # The time limit is the system's: `Connection` reads from the bare descriptor.
        limit = int(_HANDSHAKE).to_bytes(8, sys.byteorder) + bytes(8)
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = caller.detach()
        connection: Connection[Any, Any] = Connection(number)
        try:
            deliver_challenge(connection, self.key)
            answer_challenge(connection, self.key)
        except (OSError, EOFError, AuthenticationError):
            connection.close()
            return
        with socket.socket(fileno=os.dup(number)) as same:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, bytes(16))
        self._arrived.put(connection)
        with contextlib.suppress(OSError):
            self._ringer.send(b"!")


def facing(address: str) -> str:
    """Return the address of this machine on the way to another one.

    Parameters
    ----------
    address : str
        Name or address of the other machine, with or without a protocol and a port.

    Returns
    -------
    address : str
        The loopback address if the other machine is this one.

    Examples
    --------
    >>> facing("tcp://127.0.0.1:8786")
    '127.0.0.1'
    """
    host = address.rpartition("://")[2].rpartition(":")[0] or address.rpartition("://")[2]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host.strip("[]"), 9))
        except OSError:
            return socket.gethostbyname(socket.gethostname())
        found: str = probe.getsockname()[0]
    return found


def facing_hosts(hosts: Iterable[str]) -> str:
    """Return the address of this machine on the way to others.

    Parameters
    ----------
    hosts : iterable of str
        Their names.

    Returns
    -------
    address : str
        The loopback address if all of them are this one.

    Examples
    --------
    >>> facing_hosts([socket.gethostname()])
    '127.0.0.1'
    """
    others = sorted(set(hosts) - {socket.gethostname()})
    return facing(others[0]) if others else "127.0.0.1"
