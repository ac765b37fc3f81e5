"""An executor of one's own: whatever has `submit`, as `concurrent.futures.Executor` does."""

from __future__ import annotations

import os
from typing import Any

from ..errors import BackendError
from ._launch import IDLE, launch
from ._served import Served

__all__ = ["Executor"]


class Executor(Served):
    """Evaluate in workers that an executor starts.

    Each worker takes one place of the executor until :meth:`close`, or until it has had nothing to do for five
    seconds. The executor itself is not shut down; but its processes that are children of a driver which was
    killed end, where a worker was at work.

    Parameters
    ----------
    executor : object
        With a method ``submit(function, *arguments)`` that returns a future: loky, ``concurrent.futures``,
        executorlib, parsl, SCOOP, ``MPIPoolExecutor``.
    n_cpus : int, optional
        Evaluations at a time; -1 (default) for as many as the executor says it has workers.
    host : str, optional
        The address of this machine that its workers connect to. Default is the loopback address: give
        another one if the workers are on other machines.
    port : int, optional
        Where they connect to, for firewalls. Default is 0, any that is free.

    Raises
    ------
    TypeError
        If there is no ``submit``.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> import openturns as ot
    >>> import otwrap as otw
    >>> with ThreadPoolExecutor(2) as threads:
    ...     with otw.Parallelizer(
    ...         ot.SymbolicFunction(["x"], ["x^2"]), backend=otw.backends.Executor(threads, 2)
    ...     ) as f:
    ...         print(f([[1.0], [2.0]])[1, 0])
    ...         f.campaign.backend.close()
    4.0
    """

    def __init__(self, executor: Any, n_cpus: int = -1, *, host: str | None = None, port: int = 0) -> None:
        super().__init__(n_cpus, host, port)
        if not callable(getattr(executor, "submit", None)):
            msg = f"{executor!r} is no executor: it has no method submit(function, *arguments)"
            raise TypeError(msg)
        self.executor = executor

    def _places(self) -> int:
        for name in ("_max_workers", "max_workers", "num_workers"):
            number = getattr(self.executor, name, None)
            if isinstance(number, int) and number > 0:
                return number
        msg = f"{self.executor!r} does not say how many workers it has; give n_cpus="
        raise ValueError(msg)

    def _launch(self, *arguments: Any) -> Any:
        try:
            return self.executor.submit(launch, *arguments, IDLE, os.getpid())
        except RuntimeError as error:  # it was shut down, or one of its own processes died
            msg = f"{self.executor!r} starts no worker any more: {type(error).__name__}: {error}"
            raise BackendError(msg) from error

    def _ended(self, ticket: Any) -> str | None:
        if not ticket.done():
            return None
        if ticket.cancelled():
            return "the executor cancelled it"
        error = ticket.exception()
        return str(ticket.result()) if error is None else f"{type(error).__name__}: {error}"

    def _stop(self) -> None:
        """The executor is its owner's."""
