"""Worker processes of this machine, started afresh: no fork, no guard in the user's script."""

from __future__ import annotations

import os
import subprocess
import sys
import weakref
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Pipe
from typing import Any

from ..cpus import evaluations_at_a_time
from ..errors import BackendError, BackendUnavailable
from ..evaluation import Evaluation, Task
from ._crew import Crew, Run, Worker
from ._survey import Survey

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
        self._crew = Crew()
        self._finalizer = weakref.finalize(self, self._crew.end)

    def imap(self, evaluate: Any, tasks: Iterator[Task]) -> Iterator[_Results]:
        """Yield lists of task id and evaluation as they end, see :class:`otwrap.backends.Backend`."""
        width = evaluations_at_a_time(self.n_cpus, getattr(evaluate, "cpus", 1))
        self._use(evaluate.payload)
        yield from Run(self._crew, _Starter(evaluate.payload), width, tasks).results()

    def survey(self, evaluate: Any, point: Sequence[float]) -> Iterator[Evaluation]:
        """Evaluate one point on every worker, see :meth:`otwrap.backends.executor.Executor.survey`."""
        width = evaluations_at_a_time(self.n_cpus, getattr(evaluate, "cpus", 1))
        self._use(evaluate.payload)
        for results in Survey(self._crew, _Starter(evaluate.payload), width, point).results():
            yield from (evaluation for _, evaluation in results)

    def close(self) -> None:
        """End the workers."""
        self._crew.end()

    def _use(self, payload: bytes) -> None:
        """Start anew if the workers have another evaluator."""
        if payload != self._payload:
            self.close()
            self._payload = payload

    def __repr__(self) -> str:
        return f"Multiprocessing(n_cpus={self.n_cpus})"


class _Local(Worker):
    """A worker process of this machine."""

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
        super().__init__(ours, payload)

    def end(self) -> None:
        """Close the connection, on which the worker ends what it runs and itself."""
        super().end()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def ending(self) -> str:
        """Return how the process ended, in words."""
        code = self.process.returncode
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


class _Starter:
    """Starts worker processes, which are there at once."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload

    def start(self, crew: Crew, number: int) -> None:
        """Start more workers."""
        for _ in range(number):
            crew.add(_Local(self.payload))

    def coming(self) -> int:
        """Return 0: none is on its way."""
        return 0

    def pause(self) -> None:
        """Return that there is nothing to look at."""

    def arrived(self, crew: Crew) -> None:
        """Nothing is on its way."""

    def buried(self, worker: Worker) -> None:
        """Raise if a worker never got ready: another one would not either."""
        if not worker.ready:
            msg = (
                f"a worker process ended ({worker.ending()}) before its first point: what it printed stands "
                f"above; does {sys.executable} start, and can it import otwrap?"
            )
            raise BackendError(msg)
