"""Places on other machines, as they are typed: ``HOST:DIR``."""

from __future__ import annotations

import posixpath
import re
from typing import NamedTuple

__all__ = ["Place"]

_ACCEPTED = "accepted is HOST:DIR or USER@HOST:DIR, an IPv6 address in brackets: cluster:runs/beam, me@[::1]:/scratch/beam"
#: Host, or the address in brackets, and what stands before it.
_LOGIN = r"(?:(?P<user>[^@:/\\\[\]\s]+)@)?(?:\[(?P<address>[^\]\s]+)\]|(?P<host>[^@:/\\\[\]\s]+))"
_PLACE = re.compile(rf"{_LOGIN}:(?P<directory>.*)", re.DOTALL)
_BARE = re.compile(r"(?:(?P<user>[^@:/\\\[\]\s]+)@)?\[?(?P<host>[^@/\\\[\]\s]+)\]?")


class Place(NamedTuple):
    """A folder on another machine.

    Attributes
    ----------
    host : str
        What ``ssh`` is told: a name of its configuration, of the network, or an address.
    directory : str
        Absolute, or relative to the home folder there.
    user : str or None
        Who logs in, if not whom the configuration says.

    Examples
    --------
    >>> place = Place.parse("me@cluster:~/runs/beam")
    >>> place.login, place.directory
    ('me@cluster', 'runs/beam')
    >>> print(Place.parse("[::1]:/scratch/beam/"))
    [::1]:/scratch/beam
    """

    host: str
    directory: str
    user: str | None = None

    @classmethod
    def parse(cls, text: str) -> Place:
        """Return the place that a text names.

        Parameters
        ----------
        text : str
            ``HOST:DIR`` or ``USER@HOST:DIR``. The port, the key and the like stand in the configuration of ssh.

        Returns
        -------
        place : Place

        Raises
        ------
        ValueError
            If it is none, such as a path of this machine.
        """
        found = _PLACE.fullmatch(text)
        if found is None:
            msg = f"{text!r} names no host: {_ACCEPTED}"
            raise ValueError(msg)
        host = found["host"] or found["address"]
        if found["user"] is None and found["host"] is not None and len(host) == 1:
            msg = f"{text!r} looks like a drive of Windows, not like a host: {_ACCEPTED}"
            raise ValueError(msg)
        if found["directory"].startswith(":"):
            msg = f"{text!r}: {_ACCEPTED}; for an address write [ADDRESS]:DIR"
            raise ValueError(msg)
        return cls(_checked(host, text), _directory(found["directory"], text), _checked(found["user"], text))

    @classmethod
    def of(cls, host: str, directory: str) -> Place:
        """Return the place of a host, or ``user@host``, and a directory.

        Parameters
        ----------
        host : str
            Host or ``user@host``; brackets around an address are not needed.
        directory : str
            The folder there.

        Returns
        -------
        place : Place

        Raises
        ------
        ValueError
            If one of them cannot be.

        Examples
        --------
        >>> Place.of("me@::1", "runs")
        Place(host='::1', directory='runs', user='me')
        """
        found = _BARE.fullmatch(host)
        if found is None:
            msg = f"{host!r} is no host: accepted is HOST or USER@HOST, as in `ssh HOST`"
            raise ValueError(msg)
        return cls(_checked(found["host"], host), _directory(directory, host), _checked(found["user"], host))

    @property
    def login(self) -> str:
        """What ``ssh`` is told: ``host`` or ``user@host``."""
        return self.host if self.user is None else f"{self.user}@{self.host}"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host if self.user is None else f'{self.user}@{host}'}:{self.directory}"


def _checked(word: str | None, text: str) -> str:
    """Return a host or a user; ssh would take one with a dash for an option."""
    if word is not None and word.startswith("-"):
        msg = f"{text!r}: neither host nor user can begin with a dash"
        raise ValueError(msg)
    return word  # type: ignore[return-value]


def _directory(text: str, whole: str) -> str:
    """Return a directory, relative ones to the home folder."""
    if not text:
        msg = f"{whole!r} names no directory on the host: {_ACCEPTED}; `~` is the home folder"
        raise ValueError(msg)
    if any(ord(letter) < 32 for letter in text):
        msg = f"{whole!r}: a directory with control characters is not accepted; rename it"
        raise ValueError(msg)
    if text == "~" or text.startswith("~/"):
        text = text[2:].lstrip("/") or "."
    elif text.startswith("~"):
        msg = f"{whole!r}: the home of another user is not known here; write the absolute path"
        raise ValueError(msg)
    text = posixpath.normpath(text)
    return text[1:] if text.startswith("//") else text
