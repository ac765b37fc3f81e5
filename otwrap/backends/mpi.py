"""The processes of an MPI job: `mpiexec -n 8 python -m mpi4py.futures study.py`."""

from __future__ import annotations

import socket
import sys
import time
from typing import Any

from ..errors import BackendUnavailable
from ._served import facing_hosts
from .executor import Executor

__all__ = ["Mpi"]

_HOW = (
    "start the study as: mpiexec -n 8 python -m mpi4py.futures study.py (one process drives, seven evaluate)"
)
#: Seconds that a process keeps still when it is asked where it is, so that each answers once.
_STILL = 0.1


class Mpi(Executor):
    """Evaluate in workers that the processes of an MPI job start, inside an allocation.

    The study is started once, as ``mpiexec -n 8 python -m mpi4py.futures study.py``: the first process runs it,
    the others start one worker each. A worker is a process of its own and no rank: when a model crashes it,
    the job goes on, and codes may call ``mpiexec`` themselves. When one of the job's own processes dies, MPI
    ends the whole job: what was recorded in a store is not run again by the next one.

    Parameters
    ----------
    n_cpus : int, optional
        Evaluations at a time; -1 (default) for one per process of the job, but for the first.
    executor : mpi4py.futures.MPIPoolExecutor, optional
        One of one's own, as ``MPICommExecutor`` gives. It is not shut down.
    host : str, optional
        The address of this machine that the workers connect to. Default is the one that faces the processes.
    port : int, optional
        Where they connect to, for firewalls. Default is 0, any that is free.

    Raises
    ------
    BackendUnavailable
        If mpi4py is not installed, or this is no such job, or it has one process only.

    Examples
    --------
    >>> import otwrap as otw
    >>> otw.backends.Mpi()  # doctest: +SKIP
    Mpi(n_cpus=-1)
    """

    def __init__(
        self, n_cpus: int = -1, *, executor: Any = None, host: str | None = None, port: int = 0
    ) -> None:
        self._owns_executor = executor is None
        super().__init__(executor or _shared_pool(), n_cpus, host=host, port=port)

    def where(self) -> str:
        """Return where evaluations would run now, see :meth:`Served.where`."""
        return f"{self.executor.num_workers} processes of this MPI job"

    def _places(self) -> int:
        return int(self.executor.num_workers)

    def _address(self) -> str:
        return facing_hosts(self.executor.map(_where, range(self.executor.num_workers)))

    def _stop(self) -> None:
        if self._owns_executor:
            self.executor.shutdown()
            self.executor = _shared_pool()


def _where(_: int) -> str:
    """Return where this process runs."""
    time.sleep(_STILL)
    return socket.gethostname()


def _shared_pool() -> Any:
    """Return an executor of the job's other processes, without starting MPI where there is no job."""
    try:
        import mpi4py
    except ImportError as error:
        msg = "backend='mpi' needs the package mpi4py, and an MPI: pip install 'otwrap[mpi]'"
        raise BackendUnavailable(msg) from error
    core: Any = sys.modules.get("mpi4py.futures._core")
    if core is None or core.SharedPool is None:
        msg = f"backend='mpi' needs a job of mpi4py {mpi4py.__version__}, which this process is no part of: {_HOW}"
        raise BackendUnavailable(msg)
    if core.SharedPool.counter is None:
        msg = f"backend='mpi' needs at least two processes, and this job has one: {_HOW}"
        raise BackendUnavailable(msg)
    from mpi4py.futures import MPIPoolExecutor

    # `main`: without it, each of the others would first run the study itself.
    return MPIPoolExecutor(main=False, path=list(sys.path))
