"""Parsers of binary files that say nothing of their layout: C and Fortran records."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from .arrays import _Array
from .base import Range

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Binary", "FortranRecord"]

_ADVICE = "Look whether the code wrote it to its end, or correct"
_MARKERS = ("<i4", ">i4", "<i8", ">i8")


class Binary(_Array):
    """Numbers at a known place in a binary file.

    Parameters
    ----------
    file : str
        The output file, relative to the work directory.
    dtype : str or what :class:`numpy.dtype` takes
        The type of an item: ``"<f4"`` and ``"<f8"`` are little-endian floats of 4 and 8 bytes, ``">i4"`` is a
        big-endian integer. Records are lists of fields: ``[("time", "<f8"), ("depth", "<f4", 3)]``.
    index : int, slice or tuple of them, optional
        Which of what was read, from 0; default is all, row by row.
    field : str, optional
        The field of the records that is read.
    offset : int, optional
        Where the first item begins, in bytes; a negative one counts from the end of the file. Default is 0.
    count : int or None, optional
        How many items are read; default is 1, and `None` reads to the end of the file.
    ending : bytes, optional
        What a whole file ends with, such as the magic number of its format. It tells a file that was cut short,
        where an offset from the end would read something else. Default is not checked.
    valid, allow_nan
        As in :class:`~otwrap.parsers.Parser`.

    Raises
    ------
    ValueError
        A setting means nothing.

    Examples
    --------
    >>> import pathlib, struct, tempfile
    >>> from otwrap.parsers import Binary
    >>> layout = [("time", "<f8"), ("depth", "<f4", 2)]
    >>> with tempfile.TemporaryDirectory() as workdir:
    ...     data = struct.pack("<dff dff i", 0.0, 1.5, 2.5, 60.0, 3.5, 4.5, 1234)
    ...     _ = pathlib.Path(workdir, "out.bin").write_bytes(data)
    ...     Binary("out.bin", "<f4", offset=-8)(workdir)
    ...     Binary("out.bin", layout, (-1, 0), field="depth", count=2)(workdir)
    [4.5]
    [3.5]
    """

    _place = "file"

    def __init__(
        self,
        file: str | os.PathLike[str],
        dtype: Any,
        index: Any = None,
        *,
        field: str | None = None,
        offset: int = 0,
        count: int | None = 1,
        ending: bytes = b"",
        valid: Range | None = None,
        allow_nan: bool = False,
    ) -> None:
        super().__init__(file, index, valid=valid, allow_nan=allow_nan)
        if not _is_whole(offset):
            raise ValueError(f"offset is {offset!r}; give bytes, from the end where negative")
        if count is not None and (not _is_whole(count) or count < 1):
            raise ValueError(f"count is {count!r}; give 1 or more, or None for all to the end")
        if not isinstance(ending, bytes):
            raise ValueError(f"ending is {ending!r}; give bytes, as b'END' or (1234).to_bytes(4, 'little')")
        self.dtype = _description(dtype, field)
        self.field = field
        self.offset = offset
        self.count = count
        self.ending = ending

    def _read(self, workdir: str) -> list[float]:
        with open(self._path(workdir), "rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            self._check_end(stream, size)
            start, length = self._span(size)
            return self._numbers(_bytes_at(stream, start, length))

    def _check_end(self, stream: BinaryIO, size: int) -> None:
        """Raise if the file does not end as a whole one."""
        length = len(self.ending)
        end = _bytes_at(stream, max(size - length, 0), length)
        if end != self.ending:
            found = f"a file of {size} bytes that ends with {end!r}, not with {self.ending!r}"
            raise self._error(found, f"{_ADVICE} ending=")

    def _span(self, size: int) -> tuple[int, int]:
        """Return where the items begin and how many bytes they have, in something of that size."""
        item = _numpy_dtype(self.dtype).itemsize
        start = self.offset + (size if self.offset < 0 else 0)
        length = size - start if self.count is None else self.count * item
        fits = start >= 0 and start + length <= size
        if not fits or length <= 0 or length % item:
            found = f"a {self._place} of {size} bytes, where that does not fit (an item has {item} bytes)"
            raise self._error(found, f"{_ADVICE} dtype, offset or count")
        return start, length

    def _numbers(self, data: bytes) -> list[float]:
        """Return the numbers that the bytes of the items are."""
        import numpy as np

        items = np.frombuffer(data, _numpy_dtype(self.dtype))
        return self._take(items if self.field is None else items[self.field])

    def _sought(self) -> str:
        what = "the items" if self.count is None else f"{self.count} item{'s' * (self.count > 1)}"
        field = "" if self.field is None else f", field {self.field!r},"
        return f"{what} of {self.dtype}{field} from byte {self.offset}{self._at()}"


class FortranRecord(Binary):
    """Numbers of a record in a Fortran file written with ``form="unformatted"``.

    Each such record stands between two markers, integers that say its length.

    Parameters
    ----------
    file : str
        The output file, relative to the work directory.
    dtype : str or what :class:`numpy.dtype` takes
        The type of an item: ``"<f8"`` is a ``double precision`` or ``real(8)``, ``"<f4"`` a ``real(4)``,
        ``"<i4"`` an ``integer``. A record of several kinds is a list of fields:
        ``[("step", "<i4"), ("u", "<f8", 3)]``.
    record : int, optional
        Which record, from 1, or from -1 for the last. Default is the first.
    index : int, slice or tuple of them, optional
        Which of what was read, from 0; default is all, in the order of the file.
    field : str, optional
        The field of `dtype` that is read.
    offset : int, optional
        Where in the record the first item begins, in bytes; a negative one counts from the record's end.
        Default is 0.
    count : int or None, optional
        How many items are read; default is `None`, all to the end of the record.
    marker : {"<i4", ">i4", "<i8", ">i8"}, optional
        The type of the markers; default is 4 bytes, little-endian, as of gfortran, ifort and flang.
    valid, allow_nan
        As in :class:`~otwrap.parsers.Parser`.

    Raises
    ------
    ValueError
        A setting means nothing.

    Notes
    -----
    Records of 2 GiB and more, which compilers split where markers have 4 bytes, are put together. Files with
    ``access="stream"`` or ``access="direct"`` have no markers: read them with :class:`Binary`.

    Examples
    --------
    >>> import pathlib, struct, tempfile
    >>> from otwrap.parsers import FortranRecord
    >>> with tempfile.TemporaryDirectory() as workdir:
    ...     data = struct.pack("<i i i", 4, 2, 4) + struct.pack("<i dd i", 16, 1.5, 2.5, 16)
    ...     _ = pathlib.Path(workdir, "out.dat").write_bytes(data)
    ...     FortranRecord("out.dat", "<i4")(workdir), FortranRecord("out.dat", "<f8", -1)(workdir)
    ([2.0], [1.5, 2.5])
    """

    _place = "record"

    def __init__(
        self,
        file: str | os.PathLike[str],
        dtype: Any,
        record: int = 1,
        index: Any = None,
        *,
        field: str | None = None,
        offset: int = 0,
        count: int | None = None,
        marker: str = "<i4",
        valid: Range | None = None,
        allow_nan: bool = False,
    ) -> None:
        super().__init__(
            file, dtype, index, field=field, offset=offset, count=count, valid=valid, allow_nan=allow_nan
        )
        if not _is_whole(record) or record == 0:
            raise ValueError(
                f"record is {record!r}; give 1, 2, ... from the start or -1, -2, ... from the end"
            )
        if marker not in _MARKERS:
            raise ValueError(f"marker is {marker!r}; give one of {', '.join(map(repr, _MARKERS))}")
        self.record = record
        self.marker = marker

    def _read(self, workdir: str) -> list[float]:
        with open(self._path(workdir), "rb") as stream:
            pieces = self._pieces(stream)
            start, length = self._span(sum(size for _, size in pieces))
            content = b"".join(_bytes_at(stream, *piece) for piece in pieces)
        return self._numbers(content[start : start + length])

    def _pieces(self, stream: BinaryIO) -> list[tuple[int, int]]:
        """Return position and size of each piece of the record."""
        records, whole = _records(stream, self.marker)
        if not whole:
            fitting = [marker for marker in _MARKERS if _records(stream, marker)[1]]
            hint = f" ({', '.join(map(repr, fitting))} would fit)" if fitting else ""
            found = f"markers that do not fit together after {len(records)} whole records"
            raise self._error(found, f"{_ADVICE} marker={hint}")
        place = self.record - (self.record > 0)
        if not -len(records) <= place < len(records):
            raise self._error(
                f"{len(records)} records", "Look at the code's log, or correct record=", "no match"
            )
        return records[place]

    def _sought(self) -> str:
        return f"record {self.record}, {super()._sought()}"


def _records(stream: BinaryIO, marker: str) -> tuple[list[list[tuple[int, int]]], bool]:
    """Return the pieces of each whole record, and whether there is nothing but whole records."""
    width = int(marker[-1])
    order: Literal["little", "big"] = "little" if marker[0] == "<" else "big"
    size = stream.seek(0, os.SEEK_END)
    records: list[list[tuple[int, int]]] = []
    position, begun = 0, False
    pieces: list[tuple[int, int]] = []
    while position < size:
        first = int.from_bytes(_bytes_at(stream, position, width), order, signed=True)
        length = abs(first)
        end = position + width + length
        if end + width > size:
            return records, False
        last = int.from_bytes(_bytes_at(stream, end, width), order, signed=True)
        # The first marker of a piece is negative if the record goes on, the last if it had begun before.
        if last != (-length if begun else length):
            return records, False
        pieces.append((position + width, length))
        begun = first < 0
        if not begun:
            records.append(pieces)
            pieces = []
        position = end + width
    return records, not pieces


def _bytes_at(stream: BinaryIO, position: int, size: int) -> bytes:
    stream.seek(position)
    return stream.read(size)


def _is_whole(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)


def _description(dtype: Any, field: str | None) -> Any:
    """Return a type as text, or as a list of fields, which are the same on every machine."""
    import numpy as np

    advice = "give the type of a real number such as '<f4', '<f8' or '>i4', or a list of fields"
    try:
        known = np.dtype(dtype)
    except (TypeError, ValueError) as error:
        raise ValueError(f"dtype is {dtype!r} ({error}); {advice}") from None
    if (field is None) != (known.names is None) or (field is not None and field not in known.names):
        names = "none" if known.names is None else " or ".join(map(repr, known.names))
        raise ValueError(
            f"field is {field!r} of dtype {dtype!r}; give the name of one of its fields: {names}"
        )
    read = known if field is None else known[field]
    if read.base.kind not in "iuf" or known.hasobject or known.subdtype or not read.itemsize:
        raise ValueError(f"dtype is {dtype!r}; {advice}")
    return np.lib.format.dtype_to_descr(known)


def _numpy_dtype(description: Any) -> np.dtype[Any]:
    import numpy as np

    return np.lib.format.descr_to_dtype(description)
