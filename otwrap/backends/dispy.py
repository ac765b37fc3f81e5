"""Nodes of dispy: machines on which a `dispynode` runs, or one that is started here.

On each machine: ``python -m otwrap.backends.dispy --secret-file ~/.dispy-secret --host 192.168.1.21``.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
import weakref
from collections.abc import Sequence
from importlib.util import find_spec
from multiprocessing.connection import Connection, Pipe
from typing import Any

from ..cpus import available_cpus
from ..errors import BackendError, BackendUnavailable
from ..process.registry import Ours
from ._dispy import Settings, run_node
from ._dispy_nodes import Addresses, objection
from ._served import Served, facing

__all__ = ["Dispy"]

#: Seconds in which nodes answer; that one has to end.
_ANSWER, _END = 20.0, 15.0
#: Seconds between a node's signs of life, after five of which without one dispy looks for it anew. Long: a node
#: whose machine is only busy would be lost, as dispy frees it then no more.
_PULSE = 6.0


class Dispy(Served):
    """Evaluate in workers that nodes of dispy start.

    Without `nodes`, one node is started on this machine, which listens on the loopback address only, has a secret
    of its own and ends with :meth:`close`. Each worker takes one of a node's CPUs until :meth:`close`; meanwhile a
    node serves no other client.

    Parameters
    ----------
    n_cpus : int, optional
        Evaluations at a time; -1 (default) for one per CPU that the nodes offer, or, where the node is started
        here, that this process may use.
    nodes : list of str, optional
        Names or addresses of the machines, ``"192.168.1.21"`` or ``"office1:9701"``.
    secret : str, optional
        What the nodes were started with; needed with `nodes`.
    host : str, optional
        The address of this machine that nodes and workers connect to. Default is the one that faces the nodes.
    port : int, optional
        Where workers connect to, for firewalls. Default is 0, any that is free.
    dispy_port : int, optional
        Where nodes connect to, for firewalls. Default is 0, any that is free.
    certfile, keyfile : path, optional
        Certificate and key, the same on all machines: what dispy itself says is encrypted then.

    Raises
    ------
    BackendUnavailable
        If dispy is not installed.
    TypeError, ValueError
        If nodes come without a secret, a secret without nodes, or a node is given twice.

    Examples
    --------
    >>> import otwrap as otw
    >>> otw.backends.Dispy(nodes=["office1", "office2"], secret="6fd1…")  # doctest: +SKIP
    Dispy(n_cpus=-1, nodes=['office1', 'office2'])
    """

    def __init__(
        self,
        n_cpus: int = -1,
        *,
        nodes: Sequence[str] | None = None,
        secret: str | None = None,
        host: str | None = None,
        port: int = 0,
        dispy_port: int = 0,
        certfile: str | os.PathLike[str] | None = None,
        keyfile: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(n_cpus, host, port)
        if find_spec("dispy") is None:
            msg = "backend='dispy' needs the package dispy: pip install 'otwrap[dispy]'"
            raise BackendUnavailable(msg)
        if isinstance(nodes, str) or (nodes is not None and not nodes):
            msg = f"nodes={nodes!r}: give a list of names or addresses, or leave it out to start a node here"
            raise ValueError(msg)
        if nodes is not None and not secret:
            msg = "secret= is missing: without one a node runs what anybody sends; give that of --secret-file"
            raise TypeError(msg)
        if nodes is None and (secret or certfile or keyfile):
            msg = "nodes= is missing: the node that is started here has a secret of its own"
            raise TypeError(msg)
        self.nodes = None if nodes is None else list(nodes)
        self._tls = [os.path.abspath(file) if file else None for file in (certfile, keyfile)]
        self._secret = secret or secrets.token_hex(32)
        self._dispy_port = dispy_port
        self._addresses = Addresses(self.nodes or [])
        self._local: _Node | None = None
        self._client: _Client | None = None

    def _connected(self) -> _Client:
        """Return the client, after the nodes have answered."""
        if self._client is None:
            if self.nodes is None:
                places = available_cpus() if self.n_cpus == -1 else self.n_cpus
                self._local = _Node(places, self._secret)
                self._addresses = Addresses([f"127.0.0.1:{self._local.port}"])
            host = self._host or self._address()
            port = _free_port(host, self._dispy_port)
            if not self._addresses.reachable():
                msg = f"{self!r}: {self._why({}, [])}"
                raise BackendError(msg)
            settings = Settings(self._addresses.known(), host, port, self._secret, _PULSE, *self._tls)
            self._client = _Client(settings)
            self._wait_for_nodes(self._client)
        return self._client

    def _wait_for_nodes(self, client: _Client) -> None:
        """Wait until all nodes have answered; raise if none has, and warn if some have not."""
        expected = self._addresses.reachable()
        deadline = time.monotonic() + _ANSWER
        while not expected <= client.nodes.keys() and time.monotonic() < deadline and not client.problem:
            client.listen(0.2)
            expected = {address for address in expected if not objection(address, client.log)}
        if self._addresses.all.keys() <= {self._addresses.name(address) for address in client.nodes}:
            return
        msg = f"{self!r}: {client.problem or self._why(client.nodes, client.log)}"
        if not client.nodes or client.problem:
            self._stop()
            raise BackendError(msg)
        warnings.warn(msg, RuntimeWarning, stacklevel=2)

    def _why(self, nodes: dict[str, int], log: list[str]) -> str:
        """Return who has answered, and for each of the others why not, as far as one can know."""
        there = [self._addresses.name(address) for address in nodes]
        missing = [name for name in self._addresses.all if name not in there]
        lines = [f"- {name}: {self._addresses.why(name, log)}" for name in missing]
        answered = ", ".join(there) or "none"
        return "\n".join([f"of the nodes, {answered} answered and {len(missing)} did not:", *lines])

    def _address(self) -> str:
        addresses = [address for address, _ in self._addresses.known()]
        return facing(addresses[0]) if addresses else "127.0.0.1"

    def _places(self) -> int:
        client = self._connected()
        client.listen()
        return sum(client.nodes.values())

    def _launch(self, *arguments: Any) -> Any:
        number = arguments[-1]
        self._connected().send("launch", number, arguments)
        return number

    def _ended(self, ticket: int) -> str | None:
        client = self._connected()
        client.listen()
        if client.problem:
            return client.problem
        if ticket in client.ended:
            return client.ended.pop(ticket)
        if ticket in client.gone and self._door is None:
            return "its node went away"
        if ticket in client.gone and ticket not in {worker.number for worker in self._remote()}:
            client.gone.discard(ticket)
            client.send("again", ticket, ())
        if not client.nodes and time.monotonic() > client.alone_since + _ANSWER:
            return f"no node is left: {self._why({}, client.log)}"
        return None

    def _cancel(self, ticket: int) -> None:
        if self._client is not None:
            self._client.send("cancel", ticket, ())

    def _stop(self) -> None:
        for started in (self._client, self._local):
            if started is not None:
                started.stop()
        self._client = self._local = None

    def __repr__(self) -> str:
        where = "" if self.nodes is None else f", nodes={self.nodes!r}"
        return f"Dispy(n_cpus={self.n_cpus}{where})"


class _Client:
    """The process that speaks dispy, and what it has told."""

    def __init__(self, settings: Settings) -> None:
        #: CPUs of the nodes that are there, by their address.
        self.nodes: dict[str, int] = {}
        self.log: list[str] = []
        self.ended: dict[int, str] = {}
        #: Calls whose node went away.
        self.gone: set[int] = set()
        self.alone_since = time.monotonic()
        self.problem = ""
        ours, theirs = Pipe()
        self._connection: Connection[Any, Any] = ours
        self._process = _Process(f"run_client({theirs.fileno()})", [theirs.fileno()])
        theirs.close()
        self._connection.send(tuple(settings))

    def send(self, command: str, number: int, arguments: tuple[Any, ...]) -> None:
        """Say what to do with a call; :meth:`listen` notices if nobody hears it."""
        with contextlib.suppress(OSError):
            self._connection.send((command, number, arguments))

    def listen(self, timeout: float = 0.0) -> None:
        """Take in what the client has told."""
        try:
            while not self.problem and self._connection.poll(timeout):
                timeout = 0.0
                kind, what, text = self._connection.recv()
                if kind == "nodes":
                    if not what and self.nodes:
                        self.alone_since = time.monotonic()
                    self.nodes, self.log = what, text
                elif kind == "ended":
                    self.ended[what] = str(text).strip()
                else:
                    self.gone.add(what)
        except (EOFError, OSError):
            self.problem = f"our process that speaks dispy has ended: {self._process.said()}"

    def stop(self) -> None:
        """Free the nodes."""
        self._connection.close()
        self._process.end()


class _Node:
    """A node on this machine, which does not outlive this process."""

    def __init__(self, places: int, secret: str) -> None:
        # A node does not notice the end of its client's machine: a guardian ends it, even after kill -9.
        self._guarded = Ours()
        self.port = _free_port("127.0.0.1", 0)
        folder = tempfile.mkdtemp(prefix="otwrap-dispy-")
        self._guarded.tell(f"+{folder}")
        secret_file = os.path.join(folder, "secret")
        with open(os.open(secret_file, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
            file.write(secret)
        node = ["--secret-file", secret_file, "--dest_path_prefix", folder, "--host", "127.0.0.1"]
        # dispy's port is that of clients, the one below.
        node += ["--cpus", str(places), "--dispy_port", str(self.port - 1)]
        self._process = _Process(
            f"run_node({node!r})",
            environment={"OTWRAP_RUN": self._guarded.variable(self._guarded.new_token())},
        )
        self._finalizer = weakref.finalize(self, _end_node, self._process, folder)
        self._wait()

    def stop(self) -> None:
        """End the node."""
        self._finalizer()
        self._guarded.leave()

    def _wait(self) -> None:
        """Wait until it listens."""
        deadline = time.monotonic() + _ANSWER
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.port), timeout=1.0).close()
            except OSError as error:
                if self._process.has_ended() or time.monotonic() > deadline:
                    msg = f"a node of dispy could not be started here: {error}; {self._process.said()}"
                    self.stop()
                    raise BackendError(msg) from error
            time.sleep(0.05)


def _end_node(process: _Process, folder: str) -> None:
    """End a node, and remove its folder."""
    process.end(signal.SIGTERM)
    shutil.rmtree(folder, ignore_errors=True)


class _Process:
    """A process of ours that speaks dispy, in a session of its own."""

    def __init__(
        self, call: str, descriptors: Sequence[int] = (), environment: dict[str, str] | None = None
    ) -> None:
        code = f"import sys; sys.path[:] = {sys.path!r}; from otwrap.backends._dispy import *; {call}"
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - it lives as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            pass_fds=descriptors,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )

    def has_ended(self) -> bool:
        """Whether it is gone."""
        return self._process.poll() is not None

    def said(self) -> str:
        """Return its last lines."""
        self._log.seek(0)
        return "".join(self._log.readlines()[-10:]).strip() or "it said nothing"

    def end(self, request: int = 0) -> None:
        """Wait for its end, after a request, and insist with the whole group."""
        if request and not self.has_ended():
            self._process.send_signal(request)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END)
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()


def _free_port(host: str, wanted: int) -> int:
    """Return a port of this machine that is free now."""
    try:
        with socket.create_server((host, wanted)) as found:
            port: int = found.getsockname()[1]
    except (OSError, OverflowError) as error:
        msg = f"nodes cannot connect to host={host!r}, dispy_port={wanted}: {error}; give an address of this machine, and a port that is free"
        raise BackendError(msg) from error
    return port


if __name__ == "__main__":
    run_node(sys.argv[1:])
