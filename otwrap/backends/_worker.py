"""The process at the other end of a connection: on this machine, or started by an engine on another one.

It gets the evaluator once, then chunks of tasks, and sends each evaluation back as it ends. A thread
listens for more; when the driver is gone, the codes that run here end and so does the process.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import socket
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection
from typing import Any

from ..evaluation import Task
from ..payload import load_payload
from ..process import adopt_orphans, end_all
from ..versions import hello
from ._door import knock
from ._launch import UNREACHABLE
from ._travel import with_files

__all__ = ["join", "main"]

#: Evaluations shorter than this, in seconds, are sent together, but not later than the second number.
_SHORT, _PATIENCE = 0.0005, 0.005


def main(descriptor: int) -> None:
    """Serve the driver that started this process until it closes the connection.

    Parameters
    ----------
    descriptor : int
        Of the inherited end of the connection.
    """
    connection = Connection(descriptor)
    _serve(connection, load_payload)


def join(host: str, port: int, idle: float | None = None) -> None:
    """Connect to a driver elsewhere and serve it; for a process that an engine's own worker started.

    The key, and the number of the call that started this process, stand in the first line of the standard
    input, whose end says that the engine's worker is gone.

    Parameters
    ----------
    host : str
        Of the driver.
    port : int
        Where it listens.
    idle : float, optional
        Seconds without a point after which it ends. Default is never.
    """
    key, number = sys.stdin.readline().split()
    try:
        connection = knock(host, port, bytes.fromhex(key))
    except (OSError, EOFError, AuthenticationError) as error:
        sys.exit(
            f"{UNREACHABLE} from {socket.gethostname()} at {host}, port {port}: {error or 'it turned us away'}; "
            "give the backend host=, the driver's address as seen from there, and let its firewall allow it"
        )
    threading.Thread(target=_follow_starter, daemon=True).start()
    connection.send_bytes(pickle.dumps({**hello(), "number": number}))
    try:
        if not connection.poll(idle):  # the points were done before it came
            return
        driver_path = pickle.loads(connection.recv_bytes())
    except (EOFError, ConnectionError):  # the driver has no use for this worker any more
        return
    # Last, for the user's own modules: on this machine, or where the file system is shared.
    sys.path += [folder for folder in driver_path if folder not in sys.path]
    _serve(connection, lambda payload: with_files(load_payload(payload), connection), idle)


def _follow_starter() -> None:
    """End everything when whoever started this process is gone."""
    with contextlib.suppress(OSError):
        while os.read(0, 1):
            pass
    end_all()
    os._exit(0)


def _serve(connection: Connection[Any, Any], load: Callable[[bytes], Any], idle: float | None = None) -> None:
    """Load the evaluator and evaluate what comes until the connection closes."""
    adopt_orphans()
    try:
        evaluate = load(connection.recv_bytes())
    except (EOFError, ConnectionError):  # the driver has no use for this worker any more
        return
    except Exception as error:  # the worker's last guard: whatever it is, the driver says it
        with contextlib.suppress(OSError):
            connection.send_bytes(pickle.dumps(("broken", f"{type(error).__name__}: {error}")))
        sys.exit(1)
    with contextlib.suppress(OSError):  # the driver is gone already: the listener will notice
        connection.send_bytes(pickle.dumps(("ready", os.getpid())))
    chunks: queue.SimpleQueue[list[tuple[Any, ...]]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, chunks, evaluate), daemon=True).start()
    with contextlib.suppress(queue.Empty):  # idle for long: its place is somebody else's
        while True:
            chunk = chunks.get(timeout=idle)
            with contextlib.suppress(BrokenPipeError, ConnectionError):
                _evaluate(connection, evaluate, chunk)
    evaluate.close()


def _listen(connection: Connection[Any, Any], chunks: queue.SimpleQueue[Any], evaluate: Any) -> None:
    """Queue what the driver sends; end everything when it is gone."""
    try:
        while True:
            chunks.put(pickle.loads(connection.recv_bytes()))
    except (EOFError, OSError):
        end_all()
        evaluate.close()
        os._exit(0)


def _evaluate(connection: Connection[Any, Any], evaluate: Any, chunk: list[tuple[Any, ...]]) -> None:
    """Evaluate a chunk and send each evaluation as it ends, cheap ones together."""
    results: list[tuple[int, tuple[Any, ...]]] = []
    sent = clock = time.perf_counter()
    for fields in chunk:
        task = Task(*fields)
        results.append((task.id, tuple(evaluate(task))))
        now = time.perf_counter()
        if now - clock > _SHORT or now - sent > _PATIENCE:
            connection.send_bytes(pickle.dumps((now - sent, results), 5))
            results, sent = [], now
        clock = now
    if results:
        connection.send_bytes(pickle.dumps((time.perf_counter() - sent, results), 5))
