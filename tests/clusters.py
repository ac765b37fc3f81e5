"""The real engines on which the contract of backends is kept, started on the loopback address.

Each is a context manager, see :data:`ENGINES`; one whose packages are not there raises
:class:`~engines.Missing`.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from engines import Missing, ipyparallel, until
from servers import slurm, sshd

import otwrap as otw

__all__ = ["ADDRESSES", "ENGINES", "QUEUES", "Engine", "Nodes", "job_options"]

#: Where nodes of dispy are.
ADDRESSES = ["127.0.0.1", "127.0.0.2"]


class Engine(NamedTuple):
    """An engine that runs, as studies name it: two evaluations at a time."""

    #: What `backend=` is given: a word, an executor, or a backend with its settings.
    backend: Any
    #: The same as Python text, for a script.
    words: str


def _need(extra: str, *packages: str) -> None:
    """Raise if a package is not installed."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            msg = f"{package} is not installed: pip install 'otwrap[{extra}]'"
            raise Missing(msg)


@contextmanager
def _configured(class_name: str, **settings: Any) -> Iterator[Engine]:
    """Give a backend with settings, and close it."""
    words = ", ".join(f"{name}={value!r}" for name, value in settings.items())
    backend = getattr(otw.backends, class_name)(2, **settings)
    try:
        yield Engine(backend, f"otw.backends.{class_name}(2, {words})")
    finally:
        backend.close()


@contextmanager
def two_engines_of_ipyparallel() -> Iterator[Engine]:
    """Run a cluster under the default profile, where the word alone finds it."""
    with ipyparallel():
        yield Engine("ipyparallel", "'ipyparallel'")


@contextmanager
def dask_here() -> Iterator[Engine]:
    """Have dask start a LocalCluster."""
    _need("dask", "distributed")
    yield Engine("dask", "'dask'")


@contextmanager
def dask_by_ssh() -> Iterator[Engine]:
    """Have dask start an SSHCluster, through a real sshd."""
    _need("dask,ssh", "distributed", "asyncssh")
    with sshd() as server:
        login = {"port": server.port, "client_keys": [server.key], "known_hosts": server.known_hosts}
        with _configured("Dask", hosts={"127.0.0.1": 2}, options={"connect_options": login}) as engine:
            yield engine


@contextmanager
def one_slurm() -> Iterator[None]:
    """Run a Slurm, or use that of the tests which runs, as the commands of Slurm know one at a time."""
    with nullcontext() if "otwrap-tests-slurm" in os.environ.get("SLURM_CONF", "") else slurm():
        yield


@contextmanager
def dask_in_slurm() -> Iterator[Engine]:
    """Have dask start a SLURMCluster, on a real Slurm of two nodes."""
    _need("jobqueue", "distributed", "dask_jobqueue")
    with (
        one_slurm(),
        tempfile.TemporaryDirectory() as logs,
        _configured("Dask", jobqueue="slurm", jobs=2, options=job_options(logs)) as engine,
    ):
        yield engine


def job_options(logs: str) -> dict[str, Any]:
    """Return what dask-jobqueue is to know of a job, with which all of dask stays on the loopback address."""
    return {
        "cores": 1,
        "processes": 1,
        "memory": "500 MB",
        "walltime": "00:10:00",
        "interface": "lo",
        "log_directory": logs,
        "worker_extra_args": ["--no-dashboard", "--dashboard-address", "127.0.0.1:0"],
        "scheduler_options": {"host": "127.0.0.1"},
    }


@contextmanager
def dispy_here() -> Iterator[Engine]:
    """Have the backend start a node of dispy."""
    _need("dispy", "dispy")
    yield Engine("dispy", "'dispy'")


@contextmanager
def two_nodes_of_dispy() -> Iterator[Engine]:
    """Run two nodes of dispy, as on two machines."""
    _need("dispy", "dispy")
    with tempfile.TemporaryDirectory() as folder:
        nodes = Nodes(Path(folder))
        try:
            for address in ADDRESSES:
                nodes.start(address)
            with _configured("Dispy", nodes=nodes.names(), secret=nodes.SECRET) as engine:
                yield engine
        finally:
            nodes.stop_all()


class Nodes:
    """Nodes of dispy, as a user starts them."""

    SECRET = "b7c1d0"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.secret = folder / "secret"
        self.secret.write_text(f"{self.SECRET}\n")
        self.secret.chmod(0o600)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, address: str, *options: str, environment: Mapping[str, str] | None = None) -> None:
        """Start one with two places, and wait until it listens."""
        words = ["--secret-file", str(self.secret), "--host", address, "--cpus", "2"]
        words += ["--dispy_port", str(self.port - 1)]
        with (self.folder / f"{address}.log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "otwrap.backends.dispy", *words, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
            )
        self.processes[address] = process
        assert until(lambda: self.listens(address)), self.log(address)

    def listens(self, address: str) -> bool:
        """Return whether one can be connected to."""
        try:
            socket.create_connection((address, self.port), 1).close()
        except OSError:
            return False
        return True

    def log(self, address: str) -> str:
        """Return what a node said."""
        return (self.folder / f"{address}.log").read_text()

    def kill(self, address: str) -> None:
        """Kill a node and its jobs, as a power failure does."""
        os.killpg(self.processes[address].pid, signal.SIGKILL)
        self.processes.pop(address).wait()

    def stop(self, address: str) -> None:
        """End a node."""
        process = self.processes.pop(address)
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def stop_all(self) -> None:
        """End those that run."""
        for address in list(self.processes):
            self.stop(address)

    def names(self, addresses: Sequence[str] = ADDRESSES) -> list[str]:
        """Return what `nodes=` is given."""
        return [f"{address}:{self.port}" for address in addresses]

    def backend(self, n_cpus: int = -1, nodes: Sequence[str] = ADDRESSES, **settings: Any) -> Any:
        """Return a backend that uses nodes."""
        return otw.backends.Dispy(n_cpus, nodes=self.names(nodes), **{"secret": self.SECRET, **settings})


@contextmanager
def loky() -> Iterator[Engine]:
    """Give an executor of loky, as joblib brings it along."""
    _need("joblib", "joblib")
    from joblib.externals.loky import ProcessPoolExecutor

    words = "__import__('joblib.externals.loky', fromlist=['*']).ProcessPoolExecutor(2)"
    with ProcessPoolExecutor(2) as executor:
        yield Engine(executor, words)


@contextmanager
def this_job_of_mpi() -> Iterator[Engine]:
    """Give the word for the job that these tests run in."""
    yield Engine("mpi", "'mpi'")


@contextmanager
def queue_here() -> Iterator[Engine]:
    """Have the local runner as a batch system."""
    with tempfile.TemporaryDirectory() as folder, _configured("Local", folder=folder) as engine:
        yield engine


@contextmanager
def queue_of_slurm() -> Iterator[Engine]:
    """Have a real Slurm of two nodes as a batch system."""
    with one_slurm(), tempfile.TemporaryDirectory() as folder, _configured("Slurm", folder=folder) as engine:
        yield engine


#: Name in the tests -> its start.
ENGINES: dict[str, Callable[[], AbstractContextManager[Engine]]] = {
    "ipyparallel": two_engines_of_ipyparallel,
    "dask": dask_here,
    "dask-ssh": dask_by_ssh,
    "dask-slurm": dask_in_slurm,
    "dispy": dispy_here,
    "dispy-nodes": two_nodes_of_dispy,
    "loky": loky,
}
#: The same for batch systems, whose jobs outlive the driver, and which take their time.
QUEUES: dict[str, Callable[[], AbstractContextManager[Engine]]] = {
    "local": queue_here,
    "slurm": queue_of_slurm,
}
if "mpi4py.futures._core" in sys.modules:
    # Then these tests run inside an MPI job, see tests/services/test_mpi.py, and there is nothing to start.
    ENGINES, QUEUES = {"mpi": this_job_of_mpi}, {}
