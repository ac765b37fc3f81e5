"""The record of one evaluation, and its bit-exact key."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from struct import Struct, pack
from typing import Any, NamedTuple

__all__ = ["CAUSES", "STATUSES", "Evaluation", "Task", "occurrence_key", "point_key", "point_keys"]

#: How an evaluation can end.
STATUSES = ("done", "failed", "timeout", "killed", "invalid", "cancelled")

#: Why it did not end well, in finer words; empty for ``done``.
CAUSES = (
    "",
    "input",
    "command not found",
    "exit code",
    "signal",
    "memory limit",
    "time limit",
    "failure pattern",
    "success pattern missing",
    "output",
    "output missing",
    "output empty",
    "output stale",
    "no match",
    "not a number",
    "out of range",
    "exception",
    "transient",
    "worker lost",
    "cancelled",
)


class Task(NamedTuple):
    """What a backend gets for one evaluation.

    Attributes
    ----------
    id : int
        Comes back with the evaluation.
    input : tuple
        The point.
    attempt : int
        1 for the first try.
    settings : dict or None
        What is changed for this attempt.

    Examples
    --------
    >>> Task(0, (1.0, 2.0)).attempt
    1
    """

    id: int
    input: tuple[Any, ...]
    attempt: int = 1
    settings: dict[str, Any] | None = None


class Evaluation(NamedTuple):
    """One point run through the code, and what came of it. Immutable.

    Attributes
    ----------
    point : tuple of float
        The input, one value per input.
    output : tuple of float or None
        One value per output; `None` unless `status` is ``done``.
    status : str
        One of :data:`STATUSES`.
    cause : str
        One of :data:`CAUSES`: the finer reason of a failure.
    error : str
        The whole text of the failure, with the tail of the code's own messages.
    wall_time : float
        In seconds, of the whole evaluation.
    cpu_time : float or None
        In seconds, of the code's processes; `None` if no process was measured.
    peak_memory : int or None
        In bytes, of the code's processes; `None` where it could not be told from our own.
    exit_code : int or None
        Of the last command; negative for a signal.
    attempts : int
        How many times the point was tried in this campaign's call.
    host : str
        The machine that ran it.
    workdir : str or None
        The work directory, if it was kept.
    start_time : float
        In seconds since the epoch.
    settings : dict or None
        What was changed for this attempt.

    Examples
    --------
    >>> from otwrap import Evaluation
    >>> Evaluation((1.0, 2.0), (3.0,)).status
    'done'
    """

    point: tuple[Any, ...]
    output: tuple[float, ...] | None
    status: str = "done"
    cause: str = ""
    error: str = ""
    wall_time: float = 0.0
    cpu_time: float | None = None
    peak_memory: int | None = None
    exit_code: int | None = None
    attempts: int = 1
    host: str = ""
    workdir: str | None = None
    start_time: float = 0.0
    settings: dict[str, Any] | None = None

    @property
    def done(self) -> bool:
        """Whether the output is there and valid."""
        return self.status == "done"

    @property
    def key(self) -> bytes:
        """The bit-exact key of the point, see :func:`point_key`."""
        return point_key(self.point)


def point_key(point: Sequence[float], match_digits: int | None = None) -> bytes:
    """Return the key of a point: 16 bytes hashed from the bytes of its doubles.

    Parameters
    ----------
    point : sequence of float, shape (input dimension,)
        The point. ``-0.0`` and ``0.0`` have one key.
    match_digits : int, optional
        Significant digits that count; default is all bits.

    Returns
    -------
    key : bytes
        The same for the same doubles, on every machine.

    Examples
    --------
    >>> point_key([0.1 + 0.2]) == point_key([0.3])
    False
    >>> point_key([0.1 + 0.2], match_digits=15) == point_key([0.3], match_digits=15)
    True
    """
    return point_keys([point], match_digits)[0]


def point_keys(points: Sequence[Sequence[float]], match_digits: int | None = None) -> list[bytes]:
    """Return the keys of several points, see :func:`point_key`.

    Parameters
    ----------
    points : 2-d sequence of float, shape (size, input dimension)
        The points.
    match_digits : int, optional
        Significant digits that count; default is all bits.

    Returns
    -------
    keys : list of bytes

    Examples
    --------
    >>> point_keys([[1.0], [2.0]]) == [point_key([1.0]), point_key([2.0])]
    True
    """
    if not points:
        return []
    if match_digits is not None:
        points = [[float(f"{x:.{match_digits - 1}e}") for x in point] for point in points]
    pack, blake2b = Struct(f"<{len(points[0])}d").pack, hashlib.blake2b
    # Adding 0.0 makes -0.0 the 0.0 that it is equal to.
    return [blake2b(pack(*[x + 0.0 for x in point]), digest_size=16).digest() for point in points]


def occurrence_key(key: bytes, occurrence: int) -> bytes:
    """Return the key of the n-th evaluation of one point, for models that differ each time.

    Parameters
    ----------
    key : bytes
        Of the point.
    occurrence : int
        0 for the first.

    Returns
    -------
    key : bytes

    Examples
    --------
    >>> occurrence_key(b"k", 0) == occurrence_key(b"k", 1)
    False
    """
    return hashlib.blake2b(key + pack("<q", occurrence), digest_size=16).digest()
