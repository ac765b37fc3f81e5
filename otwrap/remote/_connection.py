"""A connection of asyncssh, with the user's configuration of ssh and host keys that are checked."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import socket
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from ..errors import BackendUnavailable, SchedulerError
from ._ssh import LineBroken, refusal
from .places import Place

__all__ = ["Connection"]

_T = TypeVar("_T")


class Connection:
    """A connection for SFTP, on a thread of its own: notebooks have a loop of theirs.

    Parameters
    ----------
    place : Place
        Where to.
    ssh_config : str or None
        Configuration of ssh instead of the user's.

    Attributes
    ----------
    ssh : module
        asyncssh.
    client : asyncssh.SFTPClient
        What files are worked on with.
    """

    def __init__(self, place: Place, ssh_config: str | None) -> None:
        self.place = place
        try:
            # By name, so that type checkers say the same with and without it.
            self.ssh: Any = importlib.import_module("asyncssh")
        except ImportError as error:
            msg = (
                f"files go to {place.login} and back with rsync, which is missing at one end, or with the package "
                "asyncssh, which is missing here: install rsync at both ends, or pip install 'otwrap[ssh]'"
            )
            raise BackendUnavailable(msg) from error
        self._loop = asyncio.new_event_loop()
        # When a line breaks, whoever waits is told; what nobody waits for any more need not be printed.
        self._loop.set_exception_handler(lambda loop, context: None)
        self._thread = threading.Thread(target=self._loop.run_forever, name="otwrap-sftp", daemon=True)
        self._thread.start()
        self._connection: Any = None
        self.client: Any = None
        try:
            self.client = self.do(self._connect(ssh_config), connecting=True)
        except BaseException:
            self.close()
            raise

    async def _connect(self, ssh_config: str | None) -> Any:
        """Connect with the user's configuration; the host key has to be known."""
        names = ["~/.ssh/config", "/etc/ssh/ssh_config"] if ssh_config is None else [ssh_config]
        files = [file for file in map(os.path.expanduser, names) if os.access(file, os.R_OK)]
        user = {} if self.place.user is None else {"username": self.place.user}
        read = self.ssh.SSHClientConnectionOptions(host=self.place.host, config=files, **user)
        self._connection = await self.ssh.connect(
            self.place.host,
            config=files,
            known_hosts=self._known_hosts(read.known_hosts),
            connect_timeout=30,
            login_timeout=60,
            keepalive_interval=15,
            keepalive_count_max=4,
            agent_forwarding=False,
            **user,
        )
        return await self._connection.start_sftp_client(path_errors="surrogateescape")

    def _known_hosts(self, configured: Any) -> list[str] | bytes:
        """Return the files of known host keys; without one, no host is known."""
        # None would mean that any key is good.
        usual = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2", "/etc/ssh/ssh_known_hosts")
        files = [os.path.expanduser(name) for name in (configured or usual)]
        return [file for file in files if os.path.isfile(file)] or b""

    def do(self, work: Coroutine[Any, Any, _T], connecting: bool = False) -> _T:
        """Wait for something that is done on the thread; tell its errors in our words."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except (self.ssh.Error, asyncio.TimeoutError, ConnectionError, EOFError) as error:
            raise self._told(error) from None
        except OSError as error:
            if connecting:
                raise self._told(error) from None
            raise
        except (ValueError, ImportError) as error:
            # Of a key that needs a passphrase, or a line of the configuration.
            if connecting:
                msg = f"asyncssh cannot use the configuration of ssh for {self.place.login}: {error}"
                raise SchedulerError(msg) from None
            raise
        except BaseException:
            future.cancel()
            raise

    def _told(self, error: Exception) -> SchedulerError:
        """Return an error of asyncssh in our words."""
        ssh, login, words = self.ssh, self.place.login, f"{type(error).__name__}: {error}"
        if isinstance(error, ssh.HostKeyNotVerifiable):
            return refusal(login, f"Host key verification failed: {error}")
        if isinstance(error, ssh.PermissionDenied):
            return refusal(login, f"Permission denied (sftp): {error}")
        if isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN:
            return refusal(login, f"Could not resolve hostname: {error}")
        lasting = (
            ssh.ChannelOpenError,
            ssh.KeyExchangeFailed,
            ssh.ProtocolError,
            ssh.IllegalUserName,
            ssh.SFTPError,
        )
        passing = (ssh.SFTPConnectionLost, ssh.SFTPNoConnection)
        if isinstance(error, lasting) and not isinstance(error, passing):
            return SchedulerError(f"SFTP failed between here and {self.place}: {words}")
        return LineBroken(
            f"the line to {login} broke: {words}" if self.client else f"no connection to {login}: {words}"
        )

    def close(self) -> None:
        """End the connection, and the thread."""

        async def end() -> None:
            if self._connection is not None:
                self._connection.abort()
                with contextlib.suppress(self.ssh.Error, OSError, asyncio.TimeoutError):
                    await asyncio.wait_for(self._connection.wait_closed(), 5)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

        if not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(end(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
