"""dask: a cluster of this process, one that is there already, machines by ssh, or jobs of a batch system."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import importlib.util
import logging
import os
import re
import sys
import time
import uuid
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import BackendError, BackendUnavailable
from ._dask_clusters import (
    JOBQUEUES,
    end_with_client,
    jobqueue_cluster,
    local_cluster,
    places_of_hosts,
    ssh_cluster,
)
from ._served import Served, facing

__all__ = ["Dask"]

#: Seconds without a point after which a worker gives its place back, where others may want it.
_IDLE = 15.0
#: Seconds for which a scheduler's file is waited for.
_PATIENCE = 30.0
#: A worker of dask that cannot load a function dies of it; it lives on if a text fails when it runs.
_CALL = "__import__('otwrap.backends._launch', fromlist=['launch']).launch(*arguments)"
#: Seconds for which a scheduler that may be there is waited for.
_GLANCE = 3.0
#: Calls that raised are tried on so many other workers.
_RETRIES = 2
#: Those that are to be closed before dask closes its own things at the end of Python.
_open: weakref.WeakSet[Dask] = weakref.WeakSet()


class Dask(Served):
    """Evaluate in workers that dask starts.

    Without arguments, the scheduler that dask is configured for (``DASK_SCHEDULER_ADDRESS``) is used; if there is
    none, a cluster starts in this process. Each worker of ours takes one thread of dask's workers; if the
    cluster is shared or adapts its size, it gives the thread back after 15 s without a point. Whatever
    comes and goes, the study goes on with what is there.

    Parameters
    ----------
    n_cpus : int, optional
        Evaluations at a time; -1 (default) for as many as dask has threads, those included that join later.
    address : str, optional
        Of a scheduler, ``"tcp://node1:8786"``.
    scheduler_file : path, optional
        What ``dask scheduler --scheduler-file`` wrote.
    client : distributed.Client, optional
        One of your own.
    cluster : distributed.deploy.Cluster, optional
        One of your own.
    hosts : sequence of str, or dict of int, optional
        Machines to start workers on by ssh: ``["node1", "node2"]``, or with the number of evaluations at a time,
        ``{"node1": 8, "node2": 4}``. The keys of the machines are checked.
    scheduler_host : str, optional
        The machine that the scheduler runs on. Default is the first of `hosts`.
    jobqueue : {"slurm", "pbs", "sge", "lsf", "htcondor", "oar"}, optional
        The batch system whose jobs are the workers.
    jobs : int, optional
        How many jobs. One that ends, at its time limit for instance, is replaced.
    adapt : tuple of two int, optional
        At least and at most so many jobs, as many as there is work for. Default, without `jobs`, is as many as
        `n_cpus` needs.
    options : dict, optional
        Further keywords, of ``distributed.Client``, ``LocalCluster``, ``SSHCluster`` or the class of
        dask-jobqueue, such as ``{"cores": 4, "memory": "8 GB", "walltime": "01:00:00"}``.
    host : str, optional
        The address of this machine that workers connect to. Default is the one that faces them.
    port : int, optional
        Where they connect to, for firewalls. Default is 0, any that is free.

    Raises
    ------
    ValueError
        If the arguments do not go together.
    BackendUnavailable
        If a package that is needed is not installed.

    Notes
    -----
    A client or a cluster of your own is not closed.

    Examples
    --------
    >>> import openturns as ot
    >>> import otwrap as otw
    >>> office = otw.backends.Dask(hosts={"node1": 8, "node2": 8})  # doctest: +SKIP
    >>> queue = otw.backends.Dask(  # doctest: +SKIP
    ...     jobqueue="slurm", adapt=(0, 20), options={"cores": 4, "memory": "8 GB"})
    """

    def __init__(
        self,
        n_cpus: int = -1,
        *,
        address: str | None = None,
        scheduler_file: str | os.PathLike[str] | None = None,
        client: Any = None,
        cluster: Any = None,
        hosts: Sequence[str] | Mapping[str, int] | None = None,
        scheduler_host: str | None = None,
        jobqueue: str | None = None,
        jobs: int | None = None,
        adapt: tuple[int, int] | None = None,
        options: Mapping[str, Any] | None = None,
        host: str | None = None,
        port: int = 0,
    ) -> None:
        super().__init__(n_cpus, host, port)
        ways = {
            "address": address,
            "scheduler_file": scheduler_file,
            "client": client,
            "cluster": cluster,
            "hosts": hosts,
            "jobqueue": jobqueue,
        }
        self._way = {name: value for name, value in ways.items() if value is not None}
        if len(self._way) > 1:
            msg = f"{' and '.join(self._way)} are given: a backend has one cluster, give one of them"
            raise ValueError(msg)
        if scheduler_host is not None and hosts is None:
            msg = f"scheduler_host={scheduler_host!r} goes with hosts="
            raise ValueError(msg)
        if hosts is not None:
            self._way = {"hosts": places_of_hosts(hosts)}
        self._scheduler_host = scheduler_host
        self._jobs = _checked_jobs(jobqueue, jobs, adapt, n_cpus)
        self._options = dict(options or {})
        _check_packages(hosts, jobqueue)
        self._client: Any = None
        #: What was started here, and is closed here.
        self._own: list[Any] = []

    @property
    def dashboard_link(self) -> str | None:
        """Where dask shows what it does; `None` before the first sample, or if there is no dashboard."""
        if self._client is None:
            return None
        link: str | None = self._client.dashboard_link
        if link is None or not self._dashboard_is_ours():
            return link
        # Dask names the address of its scheduler, where our dashboard does not listen.
        return re.sub(r"//[^/:]*:", "//127.0.0.1:", link)

    def where(self) -> str:
        """Return where evaluations would run now, see :meth:`Served.where`."""
        address = self._way.get("address", None if self._way else _configured_address())
        if address is None:
            return ""
        try:
            with _new_client(address, timeout=_GLANCE) as client:
                return f"{sum(client.nthreads().values())} threads of the scheduler at {address}"
        except OSError as error:
            msg = (
                f"no scheduler of dask answers at {address}; unset DASK_SCHEDULER_ADDRESS, or start one there"
            )
            raise BackendError(msg) from error

    def _places(self) -> int:
        client = self._connected()
        cluster = client.cluster
        try:
            threads = list(client.nthreads().values())
        except OSError:  # the scheduler is gone: the next call of it says so
            return len(self._crew.all)
        planned = len(getattr(cluster, "plan", ()))
        adaptive = getattr(cluster, "_adaptive", None)
        if adaptive is not None and adaptive.maximum != float("inf"):
            planned = max(planned, int(adaptive.maximum))
        each = threads[0] if threads else _threads_of_a_job(cluster)
        return max(int(sum(threads)), planned * each)

    def _launch(self, *arguments: Any) -> Any:
        client = self._connected()
        # A name of our own for dask's dashboard.
        key = f"otwrap-{uuid.uuid4()}"
        names = {"arguments": (*arguments, self._idle())}
        return client.submit(eval, _CALL, names, key=key, pure=False, retries=_RETRIES)

    def _ended(self, ticket: Any) -> str | None:
        status = ticket.status
        if status == "pending":
            return None
        try:
            if status == "finished":
                return str(ticket.result(timeout=10))
            if status == "error":
                error = ticket.exception(timeout=10)
                advice = "; install otwrap where dask's workers run" if isinstance(error, ImportError) else ""
                return f"{type(error).__name__}: {error}{advice}"
        except OSError as error:  # the scheduler is gone meanwhile
            return f"dask's scheduler cannot be reached any more: {error}"
        return "dask's scheduler has dropped its call, or is gone"

    def _cancel(self, ticket: Any) -> None:
        with contextlib.suppress(OSError):
            ticket.cancel()

    def _address(self) -> str:
        client = self._connected()
        # A scheduler on this machine may have workers on others.
        addresses = [*client.nthreads(), client.scheduler.address]
        for address in addresses:
            if not address.startswith("inproc:") and (found := facing(address)) != "127.0.0.1":
                return found
        return "127.0.0.1"

    def _stop(self) -> None:
        _open.discard(self)
        self._client = None
        while self._own:
            with contextlib.suppress(OSError):
                self._own.pop().close()

    def _idle(self) -> float | None:
        """Return the seconds after which an idle worker gives its place back; `None` where nobody wants it."""
        adapts = self._jobs is not None and self._jobs[0] != self._jobs[1]
        return _IDLE if adapts or not (self._cluster_is_ours()) else None

    def _cluster_is_ours(self) -> bool:
        return any(thing is self._client.cluster for thing in self._own)

    def _dashboard_is_ours(self) -> bool:
        given = {"dashboard_address"} & {*self._options, *self._options.get("scheduler_options", {})}
        return self._cluster_is_ours() and not given

    def _dashboard_place(self) -> str:
        """Return the link, and from where it can be followed."""
        if "hosts" not in self._way or not self._dashboard_is_ours():
            return f"{self.dashboard_link}"
        return f"{self.dashboard_link} on {self._scheduler_host or next(iter(self._way['hosts']))}"

    def _connected(self) -> Any:
        """Return the client, after connecting or starting what is needed."""
        if self._client is not None and self._client.status not in ("running", "connecting"):
            if not self._cluster_is_ours():
                msg = f"{self!r}: the connection to dask's scheduler is lost ({self._client.status})"
                raise BackendError(msg)
            self._stop()
        if self._client is None:
            try:
                self._client = self._way.get("client") or self._opened()
            except BackendError:
                self._stop()
                raise
            except (ImportError, OSError, RuntimeError, TypeError, ValueError) as error:
                self._stop()
                msg = f"{self!r} could not be started or reached: {error}{_advice(error)}"
                raise BackendError(msg) from error
            if self.dashboard_link:
                print(f"otwrap: dask's dashboard is at {self._dashboard_place()}", file=sys.stderr)
        return self._client

    def _opened(self) -> Any:
        """Return a client of what the arguments name."""
        if not _open:
            atexit.unregister(_close_open)
            atexit.register(_close_open)
        _open.add(self)
        if "address" in self._way:
            client = _new_client(self._way["address"], **self._options)
        elif "scheduler_file" in self._way:
            path = _awaited(os.fspath(self._way["scheduler_file"]))
            client = _new_client(scheduler_file=path, **self._options)
        elif not self._way and (address := _configured_address()):
            client = _new_client(address, **self._options)
        else:
            cluster = self._way.get("cluster")
            if cluster is None:
                cluster = self._new_cluster()
                self._own.append(cluster)
            client = _new_client(cluster)
            if "hosts" in self._way:
                client.run_on_scheduler(end_with_client, client.id)
        self._own.append(client)
        return client

    def _new_cluster(self) -> Any:
        """Return a cluster that is started here."""
        if "hosts" in self._way:
            return ssh_cluster(self._way["hosts"], self._scheduler_host, self._options)
        if "jobqueue" in self._way:
            name = self._way["jobqueue"]
            return jobqueue_cluster(name, self._jobs, self.n_cpus, self._host, self._options)
        return local_cluster(self.n_cpus, self._options)

    def __repr__(self) -> str:
        settings = {"n_cpus": self.n_cpus, **self._way}
        if self._jobs is not None:
            settings["adapt"] = self._jobs
        return f"Dask({', '.join(f'{name}={value!r}' for name, value in settings.items())})"


def _configured_address() -> str | None:
    """Return the address of the scheduler that dask is configured for."""
    address: str | None = importlib.import_module("dask").config.get("scheduler-address", None)
    return address


def _new_client(*arguments: Any, **keywords: Any) -> Any:
    """Return a client that is not what the user's own computations with dask go to."""
    return importlib.import_module("distributed").Client(*arguments, set_as_default=False, **keywords)


def _close_open() -> None:
    """Close what is open at the end of Python, without the farewells of dask's parts."""
    logging.getLogger("distributed").setLevel(logging.ERROR)
    for backend in list(_open):
        backend.close()


def _checked_jobs(
    jobqueue: str | None, jobs: int | None, adapt: tuple[int, int] | None, n_cpus: int
) -> tuple[int, int] | None:
    """Return the smallest and the largest number of jobs, if it is given."""
    if jobqueue is None:
        if jobs is not None or adapt is not None:
            msg = "jobs= and adapt= go with jobqueue=, the name of a batch system"
            raise ValueError(msg)
        return None
    if jobqueue not in JOBQUEUES:
        msg = f"jobqueue={jobqueue!r}: accepted are {', '.join(JOBQUEUES)}"
        raise ValueError(msg)
    if jobs is not None and adapt is not None:
        msg = f"jobs={jobs!r} and adapt={adapt!r} are given: give one of them"
        raise ValueError(msg)
    if jobs is None and adapt is None:
        if n_cpus == -1:
            msg = f"jobqueue={jobqueue!r}: say how many jobs, by jobs=, adapt=(at least, at most) or n_cpus="
            raise ValueError(msg)
        return None
    least, most = (jobs or 0, jobs or 0) if adapt is None else adapt
    if not all(isinstance(number, int) for number in (least, most)) or not 0 <= least <= most or most < 1:
        msg = f"jobs={jobs!r}, adapt={adapt!r}: give a positive number, or two numbers, as in adapt=(0, 20)"
        raise ValueError(msg)
    return least, most


def _check_packages(hosts: Any, jobqueue: str | None) -> None:
    """Raise if something is not installed, and say how to install it."""
    needed = [("distributed", "dask")]
    if hosts is not None:
        needed.append(("asyncssh", "dask,ssh"))
    if jobqueue is not None:
        needed.append(("dask_jobqueue", "jobqueue"))
    for package, extra in needed:
        if importlib.util.find_spec(package) is None:
            name = package.replace("_", "-")
            msg = f"backend='dask' needs the package {name} here: pip install 'otwrap[{extra}]'"
            raise BackendUnavailable(msg)


def _threads_of_a_job(cluster: Any) -> int:
    """Return how many threads each worker of dask will have when the first one comes."""
    return int(getattr(getattr(cluster, "_dummy_job", None), "worker_process_threads", 1))


def _awaited(path: str) -> str:
    """Return the path of a scheduler's file, after it was written: dask itself waits for ever."""
    deadline = time.monotonic() + _PATIENCE
    while not os.path.exists(path):
        if time.monotonic() > deadline:
            msg = f"scheduler_file={path!r} is not there; start the scheduler with --scheduler-file {path}"
            raise BackendError(msg)
        time.sleep(0.1)
    return path


def _advice(error: BaseException) -> str:
    """Return what to do about an error of ssh."""
    texts = " ".join(f"{type(link).__name__} {link}" for link in (error, error.__cause__, error.__context__))
    if "HostKeyNotVerifiable" in texts or "Host key is not trusted" in texts:
        return (
            ". Connect once by `ssh` and compare the fingerprint that it shows with the machine's own; it then stands in "
            "~/.ssh/known_hosts"
        )
    if "Worker failed to start" in texts:  # all that dask says of what ssh ran
        return ". Try `ssh HOST PYTHON -c 'import distributed, otwrap'` on each of the machines: it says what is missing"
    return ""
