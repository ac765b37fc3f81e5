"""What backends of an engine share: the engine starts workers, and these connect to the driver.

From then on no backend has a loop of its own: points, answers and the death of a worker go over that
connection, as they do for worker processes of this machine.
"""

from __future__ import annotations

import itertools
import os
import pickle
import socket
import sys
import time
import warnings
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

from ..errors import BackendError
from ..evaluation import Evaluation, Task
from ..versions import difference, hello
from ._crew import Crew, Run, Worker
from ._door import Door
from ._survey import Survey
from ._travel import list_of_files, pack_files

__all__ = ["Served", "facing", "facing_hosts"]

_Results = list[tuple[int, Evaluation]]

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
    port : int, optional
        Where they connect to, for firewalls. Default is 0, any that is free.
    """

    def __init__(self, n_cpus: int, host: str | None, port: int = 0) -> None:
        if isinstance(n_cpus, bool) or not isinstance(n_cpus, int) or (n_cpus < 1 and n_cpus != -1):
            msg = f"n_cpus={n_cpus!r}: give a positive number, or -1 for all places of the engine"
            raise ValueError(msg)
        self.n_cpus = n_cpus
        self._host = host
        self._port = port
        self._door: Door | None = None
        self._crew = Crew()
        self._payload: bytes | None = None
        #: Calls of the engine that have not ended, by their number.
        self._launched: dict[int, Any] = {}
        self._numbers = itertools.count()
        #: Of these calls, those whose worker has come, be it gone again.
        self._come: set[int] = set()
        #: When workers died whose calls may last, by their number.
        self._dead: dict[int, float] = {}
        #: Also where nobody calls `close`, so that an engine that waits for its calls can end.
        self._finalizer = weakref.finalize(self, self._crew.end)

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

    def where(self) -> str:
        """Return where evaluations would run now, in words; nothing is started for it.

        Returns
        -------
        where : str
            Empty if there is nothing to say.
        """
        return ""

    def imap(self, evaluate: Any, tasks: Iterator[Task]) -> Iterator[_Results]:
        """Yield lists of task id and evaluation as they end, see :class:`otwrap.backends.Backend`."""
        starter = self._starter(evaluate)
        starter.run = Run(self._crew, starter, self._width(evaluate), tasks)
        try:
            yield from starter.run.results()
        finally:
            # A function that is dropped gives its places back at once, not when the garbage is collected.
            starter.run = None

    def survey(self, evaluate: Any, point: Sequence[float]) -> Iterator[Evaluation]:
        """Evaluate one point on every worker.

        Parameters
        ----------
        evaluate : callable
            A task in, an evaluation out.
        point : sequence of float
            What each evaluates.

        Yields
        ------
        evaluation : Evaluation
            Of one worker each, as they end; further ones are waited for while they come.
        """
        starter = self._starter(evaluate)
        for results in Survey(self._crew, starter, self._width(evaluate), point).results():
            yield from (evaluation for _, evaluation in results)

    def close(self) -> None:
        """End the workers, and the engine if it was started here."""
        self._dismiss()
        self._stop()

    def _starter(self, evaluate: Any) -> _Starter:
        """Return what gets workers for an evaluator; those of another one end."""
        if evaluate.payload != self._payload:
            self._dismiss()
            self._payload = evaluate.payload
        self._forget_departed()
        # A run that was cancelled has ended its workers, whose calls may last a moment longer.
        for number in self._come & self._launched.keys() - {worker.number for worker in self._remote()}:
            self._dead.setdefault(number, time.monotonic())
        return _Starter(self, evaluate)

    def _width(self, evaluate: Any) -> int:
        """Return how many evaluations run at a time."""
        places = self._places() if self.n_cpus == -1 else self.n_cpus
        return max(1, places // max(1, getattr(evaluate, "cpus", 1)))

    def _dismiss(self) -> None:
        """End the workers, those on their way too."""
        there = {worker.number for worker in self._remote()}
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
        self._come.clear()
        self._dead.clear()

    def _remote(self) -> list[_Remote]:
        """Return the workers that are there."""
        return [worker for worker in self._crew.all if isinstance(worker, _Remote)]

    def _forget_departed(self) -> None:
        """Forget workers that have ended while there was nothing to do."""
        for found in self._crew.wait(0):
            if isinstance(found, Worker) and found.receive() is None:
                self._crew.remove(found)
                self._bury(found)

    def _forget_ended(self) -> dict[int, str]:
        """Forget calls that have ended, and return the problems of those of which no worker came."""
        ended = {number: self._ended(ticket) for number, ticket in self._launched.items()}
        problems = {number: problem for number, problem in ended.items() if problem is not None}
        came = self._come & problems.keys()
        for number in problems:
            del self._launched[number]
            self._dead.pop(number, None)
        self._come -= came
        self._give_up()
        return {number: problem for number, problem in problems.items() if number not in came}

    def _bury(self, worker: Worker) -> None:
        """Take note that the call of a worker is to end."""
        if isinstance(worker, _Remote):
            self._dead[worker.number] = time.monotonic()

    def _give_up(self) -> None:
        """Forget calls that last without their worker: an engine may never notice that its own process died."""
        late = [number for number, since in self._dead.items() if time.monotonic() > since + _PATIENCE]
        for number in late:
            del self._dead[number]
            self._come.discard(number)
            if number in self._launched:
                self._cancel(self._launched.pop(number))

    def _cancel(self, ticket: Any) -> None:
        """Take back a call that the engine has not begun."""
        if hasattr(ticket, "cancel"):
            ticket.cancel()

    def _open(self) -> Door:
        """Return where workers connect to."""
        if self._door is None:
            self._door = Door(self._host or self._address(), self._port)
            weakref.finalize(self, self._door.close)
        return self._door

    def __repr__(self) -> str:
        return f"{type(self).__name__}(n_cpus={self.n_cpus})"


class _Remote(Worker):
    """A worker that an engine started."""

    def __init__(
        self, connection: Connection[Any, Any], said: dict[str, str], evaluate: Any, files: bytes
    ) -> None:
        self.said = said
        self.number = int(said["number"])
        self._files: Sequence[str] = getattr(evaluate, "files", ())
        #: What it gets after the files that it asks for.
        self._later: list[bytes] | None = None
        super().__init__(connection, pickle.dumps([os.path.abspath(folder) for folder in sys.path]))
        self._send(evaluate.payload)
        self._send(files)
        if self._files:
            self._later = []

    def asked(self, wanted: list[int]) -> None:
        """Send files that are not where the worker is; it asks once, and nobody waits for it to ask."""
        later, self._later = self._later or [], None
        for message in (pack_files(self._files, wanted), *later):
            self._send(message)

    def _send(self, message: bytes) -> None:
        """Send, or keep until the files are sent."""
        if self._later is None:
            super()._send(message)
        else:
            self._later.append(message)

    def ending(self) -> str:
        """Return how the worker ended, in words."""
        return f"its connection closed; it was process {self.said['pid']} on {self.said['host']}"


class _Starter:
    """Has the engine start workers, and takes in those that arrive."""

    def __init__(self, backend: Served, evaluate: Any) -> None:
        self.backend = backend
        self.evaluate = evaluate
        self.run: Run | None = None
        self._files: bytes | None = None
        self._reviewed = time.monotonic()
        self._deaths = 0
        self._alone_since: float | None = None

    def start(self, crew: Crew, number: int) -> None:
        """Ask the engine for more workers."""
        door = self.backend._open()
        if not crew.watches(door):
            crew.watch(door, door)
        for _ in range(number):
            number = next(self.backend._numbers)
            self.backend._launched[number] = self.backend._launch(
                door.host, door.port, door.key.hex(), number
            )

    def coming(self) -> int:
        """Return how many were asked for and are not there yet."""
        there = {worker.number for worker in self.backend._remote()}
        return len(self.backend._launched.keys() - there)

    def pause(self) -> float | None:
        """Return after how many seconds to look again: workers are to come, or the engine may grow."""
        if self.coming():
            return _TICK
        return _REVIEW if self.backend.n_cpus == -1 else None

    def arrived(self, crew: Crew) -> None:
        """Take in who has arrived; raise if the engine could not start any."""
        for connection, said in self.backend._open().arrivals():
            self._take_in(connection, pickle.loads(said), crew)
        self._check_launches()
        self._review()
        self._tell_silence(crew)

    def buried(self, worker: Worker) -> None:
        """Take note; raise if workers die before they get ready, again and again."""
        self.backend._bury(worker)
        if worker.ready:
            return
        self._deaths += 1
        if self._deaths >= 3:
            msg = f"{self.backend!r}: three workers ended before their first point, the last one: {worker.ending()}"
            raise BackendError(msg)

    def _take_in(self, connection: Connection[Any, Any], said: dict[str, str], crew: Crew) -> None:
        """Compare versions, send the model."""
        if connection.poll():
            # It has nothing to say yet, so this is its end: it came when there was nothing to do, and did not wait.
            self.backend._come.add(int(said["number"]))
            self.backend._dead[int(said["number"])] = time.monotonic()
            connection.close()
            return
        if different := difference(said, hello()):
            _refuse(said, different)
        self.backend._come.add(int(said["number"]))
        # An engine may have done the call of a worker that died once more.
        self.backend._dead.pop(int(said["number"]), None)
        if self._files is None:
            self._files = list_of_files(getattr(self.evaluate, "files", ()))
        crew.add(_Remote(connection, said, self.evaluate, self._files))

    def _check_launches(self) -> None:
        """Raise if a call of the engine has ended and no worker came of it."""
        for problem in self.backend._forget_ended().values():
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
