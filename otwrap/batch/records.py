"""Records of evaluations as lines of a file that only ever grows, for tasks that no driver is connected to.

A line is the checksum of what follows it, eight hexadecimal digits of CRC-32, and JSON:

- ``["begin", number, attempt, time]``: the evaluation of a point begins;
- ``["done", number, ...]``: it has ended, well or not, with the fields of its record;
- ``["task", submission, host, process, time]``: the first line, of a task that has begun;
- ``["end", kind, reason]``: it has ended by itself, see :data:`ENDS`.

Doubles are written as the shortest text that reads back as the same bits. A line that is cut off, as by `kill -9`,
is left out, and so is one whose checksum is wrong.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..evaluation import Evaluation

__all__ = ["ENDS", "Lines", "RecordFile", "evaluation_of", "fields_of"]

#: How a task ends by itself: it has done all, has left points as its time limit was near, was asked to end, or could
#: not have the model, which no other task of the same submission could either.
ENDS = ("done", "limit", "stopped", "broken")
#: Seconds between two times that the file is forced to the disk, which may be another machine's.
_SYNC = 1.0


class Lines(NamedTuple):
    """What was read from a record file.

    Attributes
    ----------
    entries : list of list
        What stands in the lines.
    position : int
        Where to go on reading, in bytes.
    damaged : int
        Whole lines whose checksum is wrong.
    """

    entries: list[list[Any]]
    position: int
    damaged: int


class RecordFile:
    """A file that one process appends to.

    Parameters
    ----------
    path : str
        Made; it must not be there.

    Raises
    ------
    FileExistsError
        If somebody else has made it.

    Examples
    --------
    >>> import tempfile
    >>> path = tempfile.mktemp()
    >>> with RecordFile(path) as file:
    ...     file.write("begin", 0, 1, 0.0)
    >>> RecordFile.read(path).entries
    [['begin', 0, 1, 0.0]]
    """

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        self._synced = time.monotonic()

    def write(self, *entry: Any) -> None:
        """Append a line; it survives the end of this process, and within a second that of the machine.

        Parameters
        ----------
        *entry
            What JSON can hold.

        Raises
        ------
        OSError
            If the disk is full or gone.
        """
        text = json.dumps(entry, separators=(",", ":"), default=str).encode("utf-8")
        line = b"%08x %s\n" % (zlib.crc32(text), text)
        while line:
            line = line[os.write(self._descriptor, line) :]
        now = time.monotonic()
        if now > self._synced + _SYNC:
            os.fsync(self._descriptor)
            self._synced = now

    def close(self) -> None:
        """Force it to the disk and close it."""
        if self._descriptor >= 0:
            os.fsync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> RecordFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def read(path: str, position: int = 0) -> Lines:
        """Return the whole lines of a file that may still grow.

        Parameters
        ----------
        path : str
            The file.
        position : int, optional
            Where to begin, in bytes: what an earlier call returned. Default is 0.

        Returns
        -------
        lines : Lines
        """
        with open(path, "rb") as file:
            file.seek(position)
            content = file.read()
        end = content.rfind(b"\n") + 1
        entries, damaged = [], 0
        for line in content[:end].splitlines():
            entry = _entry(line)
            if entry is None:
                damaged += 1
            else:
                entries.append(entry)
        return Lines(entries, position + end, damaged)


def _entry(line: bytes) -> list[Any] | None:
    """Return what stands in a line; `None` if it is damaged."""
    try:
        if int(line[:8], 16) != zlib.crc32(line[9:]):
            return None
        entry = json.loads(line[9:])
    except ValueError:
        return None
    return entry if isinstance(entry, list) and entry else None


def fields_of(evaluation: Evaluation, host: str, folder: str) -> list[Any]:
    """Return what is written of an evaluation, beside the number of its point.

    Parameters
    ----------
    evaluation : Evaluation
        The record.
    host : str
        Left out if it is the host of the record.
    folder : str
        Of the submission; a work directory that is kept in it is noted relative to it.

    Returns
    -------
    fields : list
        For :func:`evaluation_of`.
    """
    _, output, *rest, exit_code, attempts, where, workdir, started, settings = evaluation
    if workdir is not None and workdir.startswith(folder + os.sep):
        workdir = os.path.relpath(workdir, folder)
    return [output, *rest, exit_code, attempts, "" if where == host else where, workdir, started, settings]


def evaluation_of(point: tuple[float, ...], fields: Sequence[Any], host: str, folder: str) -> Evaluation:
    """Return an evaluation from what is written of it.

    Parameters
    ----------
    point : tuple of float, shape (input dimension,)
        The point.
    fields : sequence
        Of :func:`fields_of`.
    host : str
        Where it was evaluated, unless the record says so itself.
    folder : str
        Of the submission, here.

    Returns
    -------
    evaluation : Evaluation

    Examples
    --------
    >>> record = Evaluation((0.1,), (1 / 3,), host="n1", workdir="/there/kept/run-1")
    >>> found = evaluation_of((0.1,), json.loads(json.dumps(fields_of(record, "n1", "/there"))), "n1", "/here")
    >>> found == record._replace(workdir="/here/kept/run-1")
    True
    """
    output, status, cause, error, wall_time, cpu_time, peak_memory, exit_code, attempts, *others = fields
    where, workdir, started, settings = others
    return Evaluation(
        point,
        None if output is None else tuple(output),
        status,
        cause,
        error,
        wall_time,
        cpu_time,
        peak_memory,
        exit_code,
        attempts,
        where or host,
        None if workdir is None else os.path.join(folder, workdir),
        started,
        settings,
    )
