"""Where the nodes of dispy are, and why one of them does not answer."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

__all__ = ["Addresses", "objection"]

#: Where dispynode listens unless told otherwise.
_PORT = 9701
#: Seconds in which a node's machine accepts a connection.
_GREETING = 3.0


class Addresses:
    """Names of nodes, and where these are.

    Parameters
    ----------
    names : sequence of str
        As the user gave them.

    Raises
    ------
    ValueError
        If a name is none, or one stands there twice.
    """

    def __init__(self, names: Sequence[str]) -> None:
        #: Address and port of each; None for a name that is not known.
        self.all = {name: _resolved(name) for name in names}
        known = self.known()
        if len({address for address, _ in known}) < len(known) or len(self.all) < len(names):
            msg = f"nodes={list(names)!r}: one stands there twice; dispy allows one node per address, with many CPUs"
            raise ValueError(msg)

    def known(self) -> list[tuple[str, int]]:
        """Return addresses and ports.

        Returns
        -------
        known : list of (str, int)
            Of the names that are known.
        """
        return [where for where in self.all.values() if where is not None]

    def name(self, address: str) -> str:
        """Return what the user calls a node.

        Parameters
        ----------
        address : str
            Of the node.

        Returns
        -------
        name : str
        """
        return next(
            (n for n, where in self.all.items() if where is not None and where[0] == address), address
        )

    def reachable(self) -> set[str]:
        """Return where somebody listens now; all are asked at the same time.

        Returns
        -------
        addresses : set of str
        """
        known = self.known()
        with ThreadPoolExecutor(min(64, len(known) or 1)) as threads:
            refusals = threads.map(_refusal, known)
        return {address for (address, _), refusal in zip(known, refusals, strict=True) if not refusal}

    def why(self, name: str, log: list[str]) -> str:
        """Return why a node has not answered.

        Parameters
        ----------
        name : str
            Of the node.
        log : list of str
            Of dispy.

        Returns
        -------
        why : str
            And what to check.
        """
        where = self.all[name]
        if where is None:
            return "no machine of this name is known; give its address"
        address, port = where
        if said := objection(address, log):
            return said
        if refusal := _refusal(where):
            return (
                f"nothing can be reached at {address}, port {port} ({refusal}): is a node running there "
                f"(python -m otwrap.backends.dispy --host {address}), and does its firewall allow it?"
            )
        return (
            f"something listens at {address}, port {port}, but does not answer: the node is busy with another client, "
            "or was started with TLS and this driver without (certfile=), or the other way round, or it cannot reach "
            "this machine (host=, dispy_port=, firewall)"
        )


def _resolved(name: str) -> tuple[str, int] | None:
    """Return address and port of ``name`` or ``name:port``."""
    host, colon, port = name.partition(":")
    if colon and not (port.isdigit() and 0 < int(port) < 65536):
        msg = f"nodes: {name!r} is no name or address, nor one with a port as in 'office1:9701'"
        raise ValueError(msg)
    try:
        return socket.gethostbyname(host), int(port or _PORT)
    except OSError:
        return None


def _refusal(where: tuple[str, int]) -> str:
    """Return why nobody can be reached there, or an empty text."""
    try:
        socket.create_connection(where, timeout=_GREETING).close()
    except OSError as error:
        return str(error)
    return ""


def objection(address: str, log: list[str]) -> str:
    """Return what dispy's log says against a node.

    Parameters
    ----------
    address : str
        Of the node.
    log : list of str
        Lines of it.

    Returns
    -------
    objection : str
        Empty if there is none.

    Examples
    --------
    >>> objection("127.0.0.1", ['Ignoring node 127.0.0.1 ("secret" mismatch)'])
    'it has another secret'
    """
    lines = [line for line in log if line.startswith(f"Ignoring node {address} ")]
    if any('"secret" mismatch' in line for line in lines):
        return "it has another secret"
    if any("version mismatch" in line for line in lines):
        return f"it has another version of dispy ({lines[-1].rpartition(': ')[2]}): install the same"
    return ""
