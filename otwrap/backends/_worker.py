"""The process at the other end of the `multiprocessing` backend.

It gets the evaluator once, then chunks of tasks, and sends each evaluation back as it ends. A thread
listens for more; when the driver is gone, the codes that run here end and so does the process.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from ..evaluation import Task
from ..payload import load_payload
from ..process import adopt_orphans, end_all

__all__ = ["main"]

#: Evaluations shorter than this, in seconds, are sent together, but not later than the second number.
_SHORT, _PATIENCE = 0.0005, 0.005


def main(descriptor: int) -> None:
    """Serve the driver until it closes the connection.

    Parameters
    ----------
    descriptor : int
        Of the inherited end of the connection.
    """
    connection = Connection(descriptor)
    adopt_orphans()
    try:
        evaluate = load_payload(connection.recv_bytes())
    except Exception as error:  # the worker's last guard: whatever it is, the driver says it
        connection.send_bytes(pickle.dumps(("broken", f"{type(error).__name__}: {error}")))
        sys.exit(1)
    with contextlib.suppress(OSError):  # the driver is gone already: the listener will notice
        connection.send_bytes(pickle.dumps(("ready", os.getpid())))
    chunks: queue.SimpleQueue[list[tuple[Any, ...]] | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, chunks, evaluate), daemon=True).start()
    while (chunk := chunks.get()) is not None:
        with contextlib.suppress(BrokenPipeError):
            _evaluate(connection, evaluate, chunk)


def _listen(connection: Connection, chunks: queue.SimpleQueue[Any], evaluate: Any) -> None:
    """Queue what the driver sends; end everything when it is gone."""
    try:
        while True:
            chunks.put(pickle.loads(connection.recv_bytes()))
    except (EOFError, OSError):
        end_all()
        evaluate.close()
        os._exit(0)


def _evaluate(connection: Connection, evaluate: Any, chunk: list[tuple[Any, ...]]) -> None:
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
