"""The dask clusters that otwrap starts: on this machine, by ssh, as jobs of a batch system."""

from __future__ import annotations

import asyncio
import importlib
import logging
import math
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ..cpus import available_cpus
from ..errors import BackendError

__all__ = [
    "JOBQUEUES",
    "end_with_client",
    "jobqueue_cluster",
    "local_cluster",
    "places_of_hosts",
    "ssh_cluster",
]

#: Batch system -> its class in dask-jobqueue.
JOBQUEUES = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "sge": "SGECluster",
    "lsf": "LSFCluster",
    "htcondor": "HTCondorCluster",
    "oar": "OARCluster",
}

#: Nobody else on the network, and no port that another dashboard may have.
_DASHBOARD = "127.0.0.1:0"
#: How long a scheduler on another machine waits for its first call, if the driver was killed meanwhile.
_IDLE = "600 s"
#: Seconds that it waits for a driver whose connection is lost.
_RETURN = 3.0


def local_cluster(n_cpus: int, options: Mapping[str, Any]) -> Any:
    """Return a cluster in this process.

    Evaluations have processes of their own in any case, and dask's could be told by any user of this machine
    what to run, since they have ports. Threads have none, they end with this process, and scripts need no guard.

    Parameters
    ----------
    n_cpus : int
        Evaluations at a time; -1 for every CPU this process may use.
    options : dict
        Keywords of ``LocalCluster``, which win.

    Returns
    -------
    cluster : distributed.LocalCluster
    """
    defaults = {
        "n_workers": 1,
        "threads_per_worker": available_cpus() if n_cpus == -1 else n_cpus,
        "processes": False,
        # The memory of this process is nobody's but the user's.
        "memory_limit": 0,
        "dashboard_address": _DASHBOARD,
        "worker_dashboard_address": _DASHBOARD,
    }
    return importlib.import_module("distributed").LocalCluster(**{**defaults, **options})


def places_of_hosts(hosts: Sequence[str] | Mapping[str, int]) -> dict[str, int]:
    """Return how many evaluations run at a time on each host.

    Parameters
    ----------
    hosts : sequence of str, or dict of int
        Names, once for each evaluation at a time; or the number for each name.

    Returns
    -------
    places : dict of int

    Raises
    ------
    ValueError
        If there is no host, or a number is not positive.

    Examples
    --------
    >>> places_of_hosts(["a", "b", "b"])
    {'a': 1, 'b': 2}
    """
    if isinstance(hosts, str):
        hosts = [hosts]
    places = dict(hosts) if isinstance(hosts, Mapping) else {name: list(hosts).count(name) for name in hosts}
    if not places or not all(isinstance(number, int) and number > 0 for number in places.values()):
        msg = f"hosts={hosts!r}: give names of machines, or how many evaluations run at a time on each: {{'node1': 8}}"
        raise ValueError(msg)
    return places


def ssh_cluster(places: Mapping[str, int], scheduler_host: str | None, options: Mapping[str, Any]) -> Any:
    """Return a cluster whose scheduler and workers are started by ssh.

    Parameters
    ----------
    places : dict of int
        Host -> evaluations at a time.
    scheduler_host : str or None
        Where the scheduler runs. Default is the first host.
    options : dict
        Keywords of ``SSHCluster``, which win; ``remote_python`` may be a dict by host.

    Returns
    -------
    cluster : distributed.SpecCluster

    Raises
    ------
    BackendError
        If the keys of the hosts would not be checked.
    """
    options = dict(options)
    # One worker of dask with several threads takes less than several workers.
    threads = math.gcd(*places.values())
    names = [scheduler_host or next(iter(places))]
    names += [name for name, number in places.items() for _ in range(number // threads)]
    connect = options.pop("connect_options", {})
    each = [dict(keywords) for keywords in (connect if isinstance(connect, list) else [connect] * len(names))]
    for keywords in each:
        keywords.setdefault("config", _ssh_config())
    _refuse_unchecked(names, each)
    python = options.pop("remote_python", None)
    if isinstance(python, Mapping):
        python = [python.get(name, sys.executable) for name in names]
    both = {"dashboard_address": _DASHBOARD}
    if set(names) <= {"127.0.0.1", "localhost"}:
        both["host"] = "127.0.0.1"
    worker = {"nthreads": threads, **both, **options.pop("worker_options", {})}
    scheduler = {
        "port": 0,
        "idle_timeout": _IDLE,
        **both,
        **options.pop("scheduler_options", {}),
    }
    return importlib.import_module("distributed").SSHCluster(
        names,
        connect_options=each,
        worker_options=worker,
        scheduler_options=scheduler,
        remote_python=python,
        **{"silence_logs": logging.WARNING, **options},
    )


def end_with_client(client: str, dask_scheduler: Any) -> None:
    """Have a scheduler end when a client is gone; it runs where the scheduler is.

    Parameters
    ----------
    client : str
        Its name.
    dask_scheduler : distributed.Scheduler
        Given by dask.
    """
    plugin: Any = importlib.import_module("distributed.diagnostics.plugin").SchedulerPlugin
    loop = asyncio.get_running_loop()

    async def end() -> None:
        await asyncio.sleep(_RETURN)
        if client not in dask_scheduler.clients:
            await dask_scheduler.close(reason="the driver of otwrap is gone")

    class End(plugin):
        """Told of clients that leave."""

        def remove_client(self, scheduler: Any, client: str) -> None:
            """End soon, unless it comes back."""
            self.ending = loop.create_task(end())

    dask_scheduler.add_plugin(End(), name="otwrap")


def jobqueue_cluster(
    system: str, jobs: tuple[int, int] | None, n_cpus: int, host: str | None, options: Mapping[str, Any]
) -> Any:
    """Return a cluster whose workers are jobs of a batch system.

    Parameters
    ----------
    system : str
        One of :data:`JOBQUEUES`.
    jobs : tuple of two int, or None
        At least and at most so many; `None` for as many as `n_cpus` needs.
    n_cpus : int
        Evaluations at a time.
    host : str or None
        The address of this machine for the jobs.
    options : dict
        Keywords of the class in dask-jobqueue, which win.

    Returns
    -------
    cluster : dask_jobqueue.JobQueueCluster
    """
    options = dict(options)
    scheduler = {"dashboard_address": _DASHBOARD, **options.pop("scheduler_options", {})}
    if host is not None and "interface" not in scheduler:
        scheduler.setdefault("host", host)
    cluster_class = getattr(importlib.import_module("dask_jobqueue"), JOBQUEUES[system])
    cluster = cluster_class(scheduler_options=scheduler, **options)
    if jobs is None:
        job = cluster._dummy_job
        number = math.ceil(n_cpus / (job.worker_processes * job.worker_process_threads))
        jobs = (number, number)
    # A job that ends is replaced, also where their number is fixed. The calls last as long as the study, of
    # which dask knows nothing: whatever waits is reason enough for one more job.
    cluster.adapt(minimum_jobs=jobs[0], maximum_jobs=jobs[1], target_duration="10 ms")
    return cluster


def _ssh_config() -> list[str] | None:
    """Return the file that ssh reads, which asyncssh takes by itself only where it connects."""
    path = os.path.expanduser("~/.ssh/config")
    return [path] if os.access(path, os.R_OK) else None


def _refuse_unchecked(names: Sequence[str], each: Sequence[Mapping[str, Any]]) -> None:
    """Raise if somebody else could answer for one of the hosts."""
    read = importlib.import_module("asyncssh").SSHClientConnectionOptions
    for name, keywords in zip(names, each, strict=False):
        if read(host=name, **keywords).known_hosts is None:
            msg = (
                f"hosts={name!r}: its key would not be checked (known_hosts is None, or UserKnownHostsFile is none "
                "in the configuration of ssh), so that another machine could take its place; leave known_hosts "
                "out for ~/.ssh/known_hosts, or give the path of such a file"
            )
            raise BackendError(msg)
