"""Processes of ours that speak dispy: the client that a driver has, and a `dispynode`.

dispy allows one client a process, for good, and waits for nobody. In a process of its own it ends when we say so,
and when the driver is killed: then the nodes are free at once.

dispy loads pickles of whoever reaches its ports, before it looks at the secret. Here both ends load nothing but
dispy's own few classes, announce nothing to the network, and speak TLS with any Python.
"""

from __future__ import annotations

import argparse
import builtins
import contextlib
import io
import multiprocessing
import os
import pickle
import runpy
import socket
import ssl
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager
from importlib.util import find_spec
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any, NamedTuple

from ..cpus import available_cpus

__all__ = ["Settings", "run_client", "run_node", "start_otwrap_worker"]

#: Seconds between two looks at what has become of the jobs.
_TICK = 0.05
#: Seconds between two searches for nodes that are not there (yet); that the end of the jobs may take.
_SEARCH, _PATIENCE = 3.0, 3.0
#: What may be made from a pickle, beside numbers, texts and the like.
_CLASSES = {
    "dispy": {"_Compute", "_DispyJob_", "_JobReply", "_XferFile", "DispyNodeAvailInfo"},
    "builtins": {"set", "frozenset", "bytearray"},
}


class Settings(NamedTuple):
    """What the client is told."""

    nodes: list[tuple[str, int]]
    host: str
    port: int
    secret: str
    pulse: float
    certfile: str | None
    keyfile: str | None


def start_otwrap_worker(host, port, key, number):  # type: ignore[no-untyped-def]
    """Travels to the nodes as source: it has what it imports, and nothing else."""
    import socket
    import sys

    try:
        from otwrap.backends._launch import launch
    except ImportError as error:
        return f"{sys.executable} on {socket.gethostname()} cannot import otwrap ({error}): install it there, for the Python that runs dispynode"
    return launch(host, port, key, number)


def run_client(descriptor: int) -> None:
    """Do what a driver says over a connection, until it closes.

    Parameters
    ----------
    descriptor : int
        Of the inherited end of the connection.
    """
    connection: Connection[Any, Any] = Connection(descriptor)
    settings = Settings(*connection.recv())
    client = _Client(connection, settings)
    with contextlib.suppress(EOFError, OSError):
        client.serve()
    client.close()
    # Threads of dispy would keep the process.
    os._exit(0)


class _Client:
    """A cluster of dispy, and the jobs in it that start workers."""

    def __init__(self, connection: Connection[Any, Any], settings: Settings) -> None:
        dispy = _tamed_dispy()
        self.connection = connection
        self.jobs: dict[int, Any] = {}
        self._arguments: dict[int, tuple[Any, ...]] = {}
        self._told: object = None
        self._gone = (dispy.DispyJob.Abandoned, dispy.DispyJob.Cancelled)
        self._log = dispy.logger.stream = _Log()
        dispy.config.ClientPort = str(settings.port)
        # Discovery is by address, no port for others' announcements is needed.
        dispy._Cluster.udp_server = _no_udp_server
        self.cluster = dispy.JobCluster(
            start_otwrap_worker,
            nodes=[dispy.NodeAllocate(address, port=port) for address, port in settings.nodes],
            host=settings.host,
            secret=settings.secret,
            certfile=settings.certfile,
            keyfile=settings.keyfile,
            pulse_interval=settings.pulse,
            ping_interval=_SEARCH,
            loglevel=dispy.logger.WARNING,
        )

    def serve(self) -> None:
        """Start and cancel jobs, and say what becomes of them and of the nodes."""
        while True:
            if self.connection.poll(_TICK):
                command, number, arguments = self.connection.recv()
                getattr(self, command)(number, *arguments)
            self._tell()

    def launch(self, number: int, *arguments: Any) -> None:
        """Have a node start a worker."""
        self._arguments[number] = arguments
        self.jobs[number] = self.cluster.submit(*arguments)

    def again(self, number: int) -> None:
        """The same once more: the node went away."""
        self.launch(number, *self._arguments[number])

    def cancel(self, number: int) -> None:
        """Take a job back, wherever it is."""
        job = self.jobs.pop(number, None)
        if job is not None and not job.finish.is_set():
            self.cluster.cancel(job)
        self.connection.send(("ended", number, "it was cancelled"))

    def close(self) -> None:
        """Free the nodes, at the latest when the jobs' patience is over."""
        ended = threading.Thread(
            target=self.cluster.close, kwargs={"timeout": _PATIENCE, "terminate": True}, daemon=True
        )
        ended.start()
        ended.join(2 * _PATIENCE)

    def _tell(self) -> None:
        nodes = {node.ip_addr: node.cpus for node in self.cluster.status().nodes if node.cpus > 0}
        if (nodes, self._log.count) != self._told:
            self._told = nodes, self._log.count
            self.connection.send(("nodes", nodes, list(self._log.lines)))
        for number, job in list(self.jobs.items()):
            if job.status in self._gone:
                del self.jobs[number]
                self.connection.send(("gone", number, ""))
            elif job.finish.is_set():
                del self.jobs[number]
                self.connection.send(
                    ("ended", number, job.result if job.exception is None else job.exception)
                )


class _Log(io.TextIOBase):
    """The last lines that dispy would print."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=50)
        self.count = 0

    def write(self, text: str) -> int:
        self.lines.append(text.partition(" - ")[2].strip())
        self.count += 1
        return len(text)


def run_node(arguments: Sequence[str]) -> None:
    """Run a `dispynode`, headless, in a folder of its own.

    Parameters
    ----------
    arguments : sequence of str
        ``--secret-file FILE``, ``--cpus N`` (default: all that this process may use), and those of dispynode.
    """
    parser = argparse.ArgumentParser(
        prog="python -m otwrap.backends.dispy", add_help=False, allow_abbrev=False
    )
    parser.add_argument("--secret-file", required=not {"-h", "--help"} & set(arguments))
    parser.add_argument("-c", "--cpus", type=int, default=available_cpus())
    parser.add_argument("--dest_path_prefix")
    ours, others = parser.parse_known_args(arguments)
    secret = _read_secret(ours.secret_file) if ours.secret_file else ""
    _tamed_dispy()
    # It refuses more evaluations at a time than CPUs, which a code may well allow that waits for something else.
    multiprocessing.cpu_count = lambda: ours.cpus
    with _folder(ours.dest_path_prefix) as folder:
        # Not on the command line, which everybody on this machine can read.
        words = ["--daemon", f"--cpus={ours.cpus}", f"--secret={secret}", f"--dest_path_prefix={folder}"]
        # In minutes: so long it keeps its places for a client whose machine was switched off.
        words += ["--zombie_interval=5"]
        sys.argv = ["dispynode.py", *words, *others]
        runpy.run_path(_path_of_dispynode(), run_name="__main__")


def _folder(given: str | None) -> AbstractContextManager[str]:
    """Return where a node works; in the one that dispy takes by itself anybody may have put files that it loads."""
    return contextlib.nullcontext(given) if given else tempfile.TemporaryDirectory(prefix="otwrap-dispynode-")


def _read_secret(file: str) -> str:
    """Return the content of a file that is its owner's alone."""
    try:
        with open(file, encoding="utf-8") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            secret = opened.read().strip()
    except OSError as error:
        sys.exit(f"--secret-file: {error}")
    if mode & 0o077:
        sys.exit(f"--secret-file: others can read {file}; keep it to yourself: chmod 600 {file}")
    if not secret:
        sys.exit(f"--secret-file: {file} is empty; make a secret: openssl rand -hex 32 > {file}")
    return secret


def _path_of_dispynode() -> str:
    """Return where dispy's program is."""
    spec = find_spec("dispy")
    if spec is None or spec.origin is None:
        sys.exit("dispy is not installed: pip install 'otwrap[dispy]'")
    return os.path.join(os.path.dirname(spec.origin), "dispynode.py")


def _tamed_dispy() -> Any:
    """Return the module, made careful before anything of it runs."""
    import pycos

    pycos.deserialize = _load_careful
    pycos.ssl = _Tls()
    import dispy

    found = dispy.host_addrinfo

    def own_address_only(*arguments: Any, **options: Any) -> Any:
        """Return where to listen; what would be announced to the network comes back here."""
        info = found(*arguments, **options)
        if info is not None:
            info.bind_addr = info.broadcast = info.ip
        return info

    dispy.host_addrinfo = own_address_only
    # It writes what it knows, the secret too, into the current directory, and cannot with Python 3.13.
    dispy.shelve = SimpleNamespace(open=_Shelf)
    return dispy


def _load_careful(pickled: bytes) -> Any:
    """Unpickle what dispy sends."""
    return _Careful(io.BytesIO(pickled)).load()


class _Careful(pickle.Unpickler):
    """Makes nothing but what dispy's messages consist of."""

    def find_class(self, module: str, name: str) -> Any:
        if name not in _CLASSES.get(module, ()):
            msg = f"{module}.{name} is no part of dispy's messages"
            raise pickle.UnpicklingError(msg)
        return getattr(builtins if module == "builtins" else sys.modules["dispy"], name)


class _Shelf(dict[str, Any]):
    """In place of a file by which another client could go on with our jobs."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def sync(self) -> None:
        """Write nothing."""

    close = sync


class _Tls:
    """The module `ssl` as pycos wants it: `wrap_socket` is gone since Python 3.12."""

    def __getattr__(self, name: str) -> Any:
        return getattr(ssl, name)

    def wrap_socket(
        self, sock: socket.socket, *, ca_certs: str, do_handshake_on_connect: bool, **_: Any
    ) -> Any:
        """Return the client's end, which trusts this certificate only."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # all machines share one certificate
        context.load_verify_locations(ca_certs)
        return context.wrap_socket(sock, do_handshake_on_connect=do_handshake_on_connect)


def _no_udp_server(self: Any, bind_addr: str, addrinfo: Any, port_bound_event: Any, task: Any = None) -> Any:
    """In place of dispy's, say that it is ready."""
    port_bound_event.set()
    yield 0
