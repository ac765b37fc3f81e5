"""The rows of a damaged SQLite file, read page by page: SQLite itself gives up at the first bad one.

Tables keep their rows in leaf pages, which can be read without any other page, but for the overflow pages of
long rows. What the write-ahead log has committed comes before what the file has. The format of both is
public: https://www.sqlite.org/fileformat2.html
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from struct import error as StructError
from struct import unpack, unpack_from
from typing import Any

__all__ = ["leaf_rows", "pages_of"]

_MAGIC = b"SQLite format 3\0"
_LEAF = 0x0D
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


def pages_of(path: str | os.PathLike[str]) -> tuple[dict[int, bytes], int]:
    """Return the pages of a file as of the last commit, and how many the file says that it has.

    Parameters
    ----------
    path : path
        A file of SQLite, whole or not, with its log beside it if there is one.

    Returns
    -------
    pages : dict of bytes
        By number, from 1.
    expected : int
        More than there are if the file was cut off; of no use if its header is lost.
    """
    content, log = _content(path), _content(os.fspath(path) + "-wal")
    size, newer = _committed(log, _page_size(content))
    count = max(-(-len(content) // size), max(newer, default=0))
    pages = {
        number: newer.get(number) or content[(number - 1) * size : number * size]
        for number in range(1, count + 1)
    }
    header = pages.get(1, b"")
    return pages, int.from_bytes(header[28:32], "big") if header.startswith(_MAGIC) else count


def leaf_rows(pages: Mapping[int, bytes]) -> Iterator[tuple[int, list[Any]]]:
    """Yield row number and columns of every table row that can still be read.

    Parameters
    ----------
    pages : mapping
        As :func:`pages_of` returns them.

    Yields
    ------
    row : (int, list)
        Of any table, in the order of the pages; who calls knows a table by its columns.
    """
    size = max(map(len, pages.values()), default=0)
    for number, page in pages.items():
        # The first page begins with the header of the file.
        yield from _rows_of(page, 100 if number == 1 else 0, size, pages)


def _content(path: str | os.PathLike[str]) -> bytes:
    """Return what is in a file, nothing if it is not there."""
    if not os.path.exists(path):
        return b""
    with open(path, "rb") as file:
        return file.read()


def _page_size(content: bytes) -> int:
    """Return the size of a page; where the header is lost, what SQLite takes by default."""
    size = int.from_bytes(content[16:18], "big")
    size = 65536 if size == 1 else size
    return size if 512 <= size <= 65536 and size & (size - 1) == 0 else 4096


def _committed(log: bytes, size: int) -> tuple[int, dict[int, bytes]]:
    """Return the page size and the last committed version of each page in a write-ahead log."""
    pages: dict[int, bytes] = {}
    if len(log) < 32 or log[:4] not in (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"):
        return size, pages
    order = ">" if log[3] & 1 else "<"
    size, salts = int.from_bytes(log[8:12], "big"), log[16:24]
    sums = _checksum(log[:24], (0, 0), order)
    waiting: dict[int, bytes] = {}
    for start in range(32, len(log) - 24 - size + 1, 24 + size):
        head, page = log[start : start + 24], log[start + 24 : start + 24 + size]
        sums = _checksum(page, _checksum(head[:8], sums, order), order)
        # The rest is of a former round, or was cut off.
        if head[8:16] != salts or sums != unpack(">2I", head[16:24]):
            break
        waiting[int.from_bytes(head[:4], "big")] = page
        if int.from_bytes(head[4:8], "big"):
            pages |= waiting
            waiting = {}
    return size, pages


def _checksum(data: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    """Return the running checksum of a log."""
    first, second = sums
    words = unpack(f"{order}{len(data) // 4}I", data)
    for a, b in zip(words[::2], words[1::2], strict=True):
        first = (first + a + second) & 0xFFFFFFFF
        second = (second + b + first) & 0xFFFFFFFF
    return first, second


def _rows_of(
    page: bytes, head: int, size: int, pages: Mapping[int, bytes]
) -> Iterator[tuple[int, list[Any]]]:
    """Yield the rows of a page, if it is a leaf of a table."""
    if len(page) <= head + 8 or page[head] != _LEAF:
        return
    for i in range(int.from_bytes(page[head + 3 : head + 5], "big")):
        try:
            (place,) = unpack_from(">H", page, head + 8 + 2 * i)
            length, place = _varint(page, place)
            number, place = _varint(page, place)
            yield number, _columns(_payload(page, place, length, size, pages))
        except (StructError, IndexError, ValueError, KeyError):
            continue


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """Return an integer of variable length, and the place behind it."""
    value = 0
    for i in range(8):
        byte = data[place + i]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + i + 1
    return value << 8 | data[place + 8], place + 9


def _payload(page: bytes, place: int, length: int, size: int, pages: Mapping[int, bytes]) -> bytes:
    """Return the bytes of a row: in its page, and in overflow pages if it is long."""
    if length > size * len(pages):
        raise ValueError(length)
    most, least = size - 35, (size - 12) * 32 // 255 - 23
    here = length
    if length > most:
        here = least + (length - least) % (size - 4)
        here = least if here > most else here
    parts, missing = [page[place : place + here]], length - here
    following = unpack_from(">I", page, place + here)[0] if missing else 0
    while missing > 0:
        beyond = pages[following]
        (following,) = unpack_from(">I", beyond)
        parts.append(beyond[4 : 4 + min(missing, size - 4)])
        missing -= size - 4
    payload = b"".join(parts)
    if len(payload) != length:
        raise ValueError(length)
    return payload


def _columns(payload: bytes) -> list[Any]:
    """Return the values of a row."""
    end, place = _varint(payload, 0)
    start, columns = end, []
    while place < end:
        kind, place = _varint(payload, place)
        value, start = _value(payload, kind, start)
        columns.append(value)
    if start != len(payload):
        raise ValueError(start)
    return columns


def _value(payload: bytes, kind: int, start: int) -> tuple[Any, int]:
    """Return a value of a kind, and the place behind it."""
    if kind in (0, 8, 9):
        return (None, 0, 1)[kind and kind - 7], start
    if kind in _INTEGERS:
        end = start + _INTEGERS[kind]
        return int.from_bytes(payload[start:end], "big", signed=True), end
    if kind == 7:
        return unpack_from(">d", payload, start)[0], start + 8
    if kind < 12:
        raise ValueError(kind)
    end = start + (kind - 12) // 2
    piece = payload[start:end]
    return (piece.decode() if kind % 2 else piece), end
