"""A line to a server of this machine that a test can cut, or hold up."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading

__all__ = ["Line"]


class Line:
    """A line to a port of this machine: what goes through is counted, and it can be cut or held up.

    Attributes
    ----------
    port : int
        Where it begins.
    carried : int
        Bytes that went through, in both directions.
    breaks : list of int
        After how many bytes more it breaks, time after time; all connections end then.
    """

    def __init__(self, port: int) -> None:
        self._goal = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.carried = 0
        self.breaks: list[int] = []
        self._hold_at: int | None = None
        #: Set while it is held up.
        self.held = threading.Event()
        self._goes_on = threading.Event()
        self._goes_on.set()
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def hold_after(self, number: int) -> None:
        """Let so many bytes through, and then nothing more."""
        self.held.clear()
        with self._lock:
            self._hold_at = self.carried + number

    def go_on(self) -> None:
        """Let everything through again."""
        with self._lock:
            self._hold_at = None
        self._goes_on.set()

    def cut(self) -> None:
        """End all connections, as a network does that is gone."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for end in sockets:
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        """End it."""
        self.go_on()
        with contextlib.suppress(OSError):
            # Only so does it stop waiting for the next connection.
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()

    def _accept(self) -> None:
        """Take connections on."""
        while True:
            try:
                begin, _ = self._server.accept()
                goal = socket.create_connection(("127.0.0.1", self._goal))
            except OSError:
                return
            for end in (begin, goal):
                # ssh does so too: else each question waits for the answer to the one before.
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._sockets += [begin, goal]
            for source, target in ((begin, goal), (goal, begin)):
                threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        """Carry bytes one way."""
        with contextlib.suppress(OSError):
            while content := source.recv(1 << 14):
                self._goes_on.wait()
                target.sendall(content)
                self._count(len(content))
            target.shutdown(socket.SHUT_WR)

    def _count(self, number: int) -> None:
        """Count bytes, and break or hold up where that was asked for."""
        with self._lock:
            self.carried += number
            hold = self._hold_at is not None and self.carried >= self._hold_at
            if self.breaks:
                self.breaks[0] -= number
            broken = bool(self.breaks) and self.breaks[0] <= 0
            if broken:
                self.breaks.pop(0)
        if hold:
            self._goes_on.clear()
            self.held.set()
        if broken:
            self.cut()
