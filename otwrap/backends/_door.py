"""Where workers connect to the driver, and how: each side proves that it knows the key before it says anything.

The key is random and as old as the door. What follows the handshake is neither encrypted nor signed.
"""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import threading
import time
from collections.abc import Iterator
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from typing import Any

from ..errors import BackendError

__all__ = ["Door", "knock"]

#: Seconds in which a caller proves that it knows the key and says who it is, and in which it must be let in.
_HANDSHAKE = 20.0
#: Seconds between two looks at callers that take too long.
_LOOK = 1.0
#: Callers at the door at a time; when there is one more, who has stood there longest is turned away.
_CALLERS = 64
#: Seconds after which a connection counts as lost whose other machine does not answer any more.
_SILENCE = 60


class Door:
    """Where workers connect to; who does not know the key is turned away.

    Parameters
    ----------
    host : str
        Address of this machine to listen at.
    port : int, optional
        Default is 0, any that is free.

    Raises
    ------
    BackendError
        If it cannot listen there.
    """

    def __init__(self, host: str, port: int = 0) -> None:
        self.host = host
        self.key = os.urandom(32)
        try:
            self._socket = socket.create_server((host, port), backlog=128)
        except (OSError, OverflowError) as error:
            msg = f"workers cannot connect to host={host!r}, port {port}: {error}; give an address of this machine, and a port that is free"
            raise BackendError(msg) from error
        self._socket.settimeout(_LOOK)
        self.port: int = self._socket.getsockname()[1]
        self._arrived: queue.SimpleQueue[tuple[Connection[Any, Any], bytes]] = queue.SimpleQueue()
        self._bell, self._ringer = socket.socketpair()
        self._bell.setblocking(False)
        #: Callers that have not proved anything, and until when each may; the oldest comes first.
        self._callers: dict[socket.socket, float] = {}
        self._lock = threading.Lock()
        self._open = True
        threading.Thread(target=self._listen, daemon=True, name="otwrap-door").start()

    def fileno(self) -> int:
        """Return the descriptor that can be read when somebody arrives."""
        return self._bell.fileno()

    def arrivals(self) -> Iterator[tuple[Connection[Any, Any], bytes]]:
        """Yield the connection to each worker that has arrived, and what it said first.

        Yields
        ------
        arrival : tuple of Connection and bytes
        """
        with contextlib.suppress(OSError):
            self._bell.recv(1024)
        with contextlib.suppress(queue.Empty):
            while True:
                yield self._arrived.get_nowait()

    def close(self) -> None:
        """Let nobody in any more, and turn away who stands at the door."""
        with self._lock:
            self._open = False
            callers = list(self._callers)
        for end in (self._socket, *callers):
            # Closing alone would leave a thread waiting in it.
            _shut(end)
        self._socket.close()
        for connection, _ in self.arrivals():
            connection.close()
        self._bell.close()
        self._ringer.close()

    def _listen(self) -> None:
        """Accept callers until the door is closed."""
        while self._open:
            with contextlib.suppress(OSError):  # nobody came, or this process has too many files open
                caller, _ = self._socket.accept()
                with self._lock:
                    self._callers[caller] = time.monotonic() + _HANDSHAKE
                threading.Thread(target=self._welcome, args=(caller,), daemon=True).start()
            self._turn_away()

    def _turn_away(self) -> None:
        """Turn away who takes too long, and the oldest where there are too many."""
        with self._lock:
            callers = list(self._callers.items())
        now = time.monotonic()
        for caller, deadline in callers:
            if now > deadline or len(callers) > _CALLERS:
                callers = callers[1:]
                _shut(caller)

    def _welcome(self, caller: socket.socket) -> None:
        """Let in who knows the key, in a thread: one who says nothing holds up nobody."""
        connection: Connection[Any, Any] | None = None
        try:
            _be_lively(caller)
            connection = Connection(os.dup(caller.fileno()))
            deliver_challenge(connection, self.key)
            answer_challenge(connection, self.key)
            said = connection.recv_bytes()
            self._let_in(caller, connection, said)
        except (OSError, EOFError, AuthenticationError):
            if connection is not None:
                connection.close()
        finally:
            with self._lock:
                self._callers.pop(caller, None)
            caller.close()

    def _let_in(self, caller: socket.socket, connection: Connection[Any, Any], said: bytes) -> None:
        """Put somebody where :meth:`arrivals` looks, and ring."""
        with self._lock:
            if not self._open:
                raise EOFError
            self._arrived.put((connection, said))
            self._callers.pop(caller, None)
            self._ringer.send(b"!")


def knock(host: str, port: int, key: bytes) -> Connection[Any, Any]:
    """Return a connection to the driver that has the door.

    Parameters
    ----------
    host : str
        Of the driver.
    port : int
        Of its door.
    key : bytes
        Of its door.

    Returns
    -------
    connection : Connection

    Raises
    ------
    OSError, EOFError, AuthenticationError
        If there is no door, or another one.
    """
    with socket.create_connection((host, port), timeout=_HANDSHAKE) as caller:
        caller.settimeout(None)
        _be_lively(caller)
        connection: Connection[Any, Any] = Connection(caller.detach())
    try:
        answer_challenge(connection, key)
        deliver_challenge(connection, key)
    except BaseException:
        connection.close()
        raise
    return connection


def _be_lively(end: socket.socket) -> None:
    """Send small messages at once, and notice a machine that is switched off or a cable that is pulled."""
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", _SILENCE // 2),
        ("TCP_KEEPINTVL", _SILENCE // 6),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", 1000 * _SILENCE),
    ):
        if hasattr(socket, name):
            end.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _shut(end: socket.socket) -> None:
    """End a connection under the thread that waits in it."""
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
