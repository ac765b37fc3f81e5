"""Engines of ipyparallel: of a cluster that runs already, or of one that is started here."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
import tempfile
import time
import weakref
from collections.abc import Iterator, Mapping
from concurrent.futures import wait
from typing import Any

from ..cpus import available_cpus
from ..errors import BackendError, BackendUnavailable
from ..process.registry import Ours
from ._crew import Crew
from ._launch import IDLE, launch
from ._served import Served, facing_hosts

__all__ = ["Ipyparallel"]

#: Seconds until a cluster that should be there has answered, and one that may be there.
_TIMEOUT, _GLANCE = 10.0, 2.0
#: Seconds between two looks at whether the engines that were started here live.
_LOOK = 1.0
#: Seconds for engines to say where they are; one that is busy does not answer.
_CALL = 3.0


class Ipyparallel(Served):
    """Evaluate in workers that engines of ipyparallel start.

    Without arguments, these are the engines of the cluster that runs under the default profile, as
    ``ipcluster start`` leaves it; if there is none, a cluster is started on this machine, which listens on the
    loopback address only and ends with :meth:`close`. With arguments, that cluster is used and nothing is
    started. Each worker takes one engine until :meth:`close`; it gives one that was not started here back when it
    has had nothing to do for five seconds.

    Parameters
    ----------
    n_cpus : int, optional
        Evaluations at a time; -1 (default) for one per engine, or, where the cluster is started here, per CPU
        this process may use.
    client : ipyparallel.Client, optional
        A client of one's own. It is not closed.
    profile : str, optional
        Profile of the cluster.
    cluster_id : str, optional
        Which cluster of the profile.
    url_file : path, optional
        The connection file of the cluster, ``ipcontroller-client.json``.
    client_kw : dict, optional
        Other arguments of ``ipyparallel.Client``, as otwrapy's ``ipp_client_kw``.
    host : str, optional
        The address of this machine that the workers connect to. Default is the one that faces the engines.
    port : int, optional
        Where they connect to, for firewalls. Default is 0, any that is free.

    Raises
    ------
    BackendUnavailable
        If ipyparallel is not installed.
    TypeError
        If `client` comes with arguments for another one.

    Examples
    --------
    >>> import otwrap as otw
    >>> otw.backends.Ipyparallel(profile="office")  # doctest: +SKIP
    Ipyparallel(n_cpus=-1, profile='office')
    """

    def __init__(
        self,
        n_cpus: int = -1,
        *,
        client: Any = None,
        profile: str | None = None,
        cluster_id: str | None = None,
        url_file: str | os.PathLike[str] | None = None,
        client_kw: Mapping[str, Any] | None = None,
        host: str | None = None,
        port: int = 0,
    ) -> None:
        super().__init__(n_cpus, host, port)
        given = {
            "connection_info": url_file and os.fspath(url_file),
            "profile": profile,
            "cluster_id": cluster_id,
        }
        self._asked = {**{name: value for name, value in given.items() if value}, **(client_kw or {})}
        if "url_file" in self._asked:  # as otwrapy's users wrote it
            self._asked["connection_info"] = self._asked.pop("url_file")
        if client is not None and self._asked:
            msg = f"client= is a client already: leave out {', '.join(self._asked)}"
            raise TypeError(msg)
        try:
            import ipyparallel
        except ImportError as error:
            msg = "backend='ipyparallel' needs the package ipyparallel: pip install 'otwrap[ipyparallel]'"
            raise BackendUnavailable(msg) from error
        self._ipyparallel = ipyparallel
        self._owns_client = client is None
        self._client = client
        self._cluster: _Cluster | None = None

    def where(self) -> str:
        """Return where evaluations would run now, see :meth:`Served.where`."""
        client = self._client
        if client is None and (self._asked or _default_file_is_there()):
            try:
                client = self._connect(_GLANCE)
            except BackendError:
                if self._asked:
                    raise
        if client is None:
            return "no cluster runs: starts one on this machine"
        engines = len(client.ids)
        if self._cluster is not None:
            return f"{engines} engine(s) on this machine"
        if client is not self._client:
            client.close()
        return f"{engines} engine(s) of a cluster that runs"

    def _connected(self) -> Any:
        """Return the client, after finding or starting the cluster."""
        if self._client is None:
            self._client = self._connect(_TIMEOUT) if self._asked else self._find_or_start()
        return self._client

    def _connect(self, timeout: float) -> Any:
        """Return a client of the cluster that was asked for."""
        try:
            with contextlib.redirect_stdout(sys.stderr):  # it prints what it waits for
                return self._ipyparallel.Client(**{"timeout": timeout, **self._asked})
        except (OSError, self._ipyparallel.TimeoutError) as error:
            reason = " ".join(str(error).split())
            msg = f"{self!r} finds no running cluster ({reason}); start one: ipcluster start -n 4"
            raise BackendError(msg) from error

    def _find_or_start(self) -> Any:
        """Return a client of the default cluster, or of one that is started."""
        if _default_file_is_there():
            with contextlib.suppress(BackendError):  # a file that a killed controller left
                return self._connect(_GLANCE)
        engines = available_cpus() if self.n_cpus == -1 else self.n_cpus
        self._cluster = _Cluster(self._ipyparallel, engines)
        # Engines end at once only if none of their calls lasts any more.
        weakref.finalize(self, _end, self._crew, self._cluster)
        return self._cluster.client

    def _places(self) -> int:
        return len(self._connected().ids)

    def _address(self) -> str:
        client = self._connected()
        if self._cluster is not None:
            return "127.0.0.1"
        try:
            client.wait_for_engines(1, timeout=_TIMEOUT, interactive=False)
        except self._ipyparallel.TimeoutError as error:
            msg = f"{self!r}: the cluster has no engines; start some: ipcluster engines -n 4"
            raise BackendError(msg) from error
        calls = [client[engine].apply_async(socket.gethostname) for engine in client.ids]
        wait(calls, _CALL)
        return facing_hosts(call.get() for call in calls if call.done() and call.successful())

    def _launch(self, *arguments: Any) -> Any:
        client = self._connected()
        idle = IDLE if self._cluster is None else None
        return client.load_balanced_view().apply_async(launch, *arguments, idle)

    def _forget_ended(self) -> dict[int, str]:
        if self._cluster is not None:
            self._cluster.replace_dead()
        return super()._forget_ended()

    def _ended(self, ticket: Any) -> str | None:
        if not ticket.done():
            return None
        error = ticket.exception()
        return str(ticket.get()) if error is None else str(error)

    def _cancel(self, ticket: Any) -> None:
        with contextlib.suppress(RuntimeError):  # it has just ended
            ticket.abort()

    def _stop(self) -> None:
        if self._cluster is not None:
            self._cluster.stop()
            self._cluster = None
            self._client = None
        elif self._owns_client and self._client is not None:
            self._client.close()
            self._client = None

    def __repr__(self) -> str:
        # No passwords, and no keys, which the content of a connection file has.
        shown = [name for name in ("profile", "cluster_id", "connection_info") if name in self._asked]
        words = "".join(
            f", {name}={self._asked[name]!r}" for name in shown if isinstance(self._asked[name], str)
        )
        return f"Ipyparallel(n_cpus={self.n_cpus}{words})"


class _Cluster:
    """A cluster on this machine, in a profile of its own, that does not outlive this process."""

    def __init__(self, ipyparallel: Any, engines: int) -> None:
        self._engines = 0
        self._looked = 0.0
        # Engines do not notice the end of their driver: a guardian of their own ends them, even after kill -9.
        self._guarded = Ours()
        self._ended = False
        self._profile = tempfile.mkdtemp(prefix="otwrap-ipyparallel-")
        self._guarded.tell(f"+{self._profile}")
        self._cluster = ipyparallel.Cluster(
            profile_dir=self._profile,
            controller_ip="127.0.0.1",
            delay=0.0,
            log_level=40,
            shutdown_atexit=False,
        )
        try:
            self._cluster.start_controller_sync(environment=self._environment())
            self._engines = engines
            self._start(engines)
            self.client = self._cluster.connect_client_sync()
            self.client.wait_for_engines(engines, timeout=60, interactive=False)
        except (OSError, RuntimeError, ipyparallel.TimeoutError) as error:
            said = "".join(_last_lines(self._profile))
            self.stop()
            msg = f"a cluster of {engines} engines could not be started here: {error}\n{said}".rstrip()
            raise BackendError(msg) from error

    def replace_dead(self) -> None:
        """Start as many engines as have died; now and then, as the controller itself takes half a minute to see."""
        if self._ended or time.monotonic() < self._looked + _LOOK:
            return
        self._looked = time.monotonic()
        engines = [engine for group in self._cluster.engines.values() for engine in group.launchers.values()]
        alive = sum(engine.process.is_running() for engine in engines)
        if alive < self._engines:
            self._start(self._engines - alive)

    def stop(self) -> None:
        """End engines and controller, and remove the profile."""
        if self._ended:
            return
        self._ended = True
        client = getattr(self, "client", None)
        if client is not None:
            client.close()
        self._cluster.stop_cluster_sync()
        shutil.rmtree(self._profile, ignore_errors=True)
        self._guarded.leave()

    def _start(self, engines: int) -> None:
        self._cluster.start_engines_sync(n=engines, environment=self._environment())

    def _environment(self) -> dict[str, str]:
        """Return variables by which the guardian knows the process, and with which it imports what we do."""
        return {
            "OTWRAP_RUN": self._guarded.variable(self._guarded.new_token()),
            "PYTHONPATH": os.pathsep.join(os.path.abspath(folder) for folder in sys.path),
            "IPYTHONDIR": self._profile,
        }


def _end(crew: Crew, cluster: _Cluster) -> None:
    """End workers and cluster where nobody has called `close`."""
    crew.end()
    cluster.stop()


def _default_file_is_there() -> bool:
    """Whether the default profile has the connection file of a cluster."""
    from IPython.paths import get_ipython_dir

    file = os.path.join(get_ipython_dir(), "profile_default", "security", "ipcontroller-client.json")
    return os.path.exists(file)


def _last_lines(profile: str) -> Iterator[str]:
    """Yield the last line of each log."""
    folder = os.path.join(profile, "log")
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
            yield "".join(file.readlines()[-1:])
