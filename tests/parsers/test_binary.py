"""Parsers of binary files without a description: Binary, FortranRecord."""

from __future__ import annotations

import json
import math
import pickle
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from otwrap.parsers import Binary, FortranRecord

Write = Callable[..., Path]
Refused = Callable[..., str]

FLOATS = [1.5, -2.5, 0.1 + 0.2, 1e300]
DATA = struct.pack("<4d", *FLOATS)


@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", ">f4", "<i4", ">i2", "u1", "<i8", "<f2", np.float64])
def test_types(dtype: Any, write: Write) -> None:
    """Integers and floats of every size and byte order are read to their last bit."""
    workdir = write(np.array([3, 100, 7], dtype).tobytes())
    numbers = Binary("out.txt", dtype, count=3)(workdir)
    assert numbers == [3, 100, 7]
    assert all(type(number) is float for number in numbers)


def test_places(write: Write) -> None:
    """The place counts bytes from the start, or from the end; the count says how many follow."""
    workdir = write(b"head" + DATA)
    assert Binary("out.txt", "<f8", offset=4)(workdir) == FLOATS[:1]
    assert Binary("out.txt", "<f8", offset=12, count=2)(workdir) == FLOATS[1:3]
    assert Binary("out.txt", "<f8", offset=12, count=None)(workdir) == FLOATS[1:]
    assert Binary("out.txt", "<f8", offset=-8)(workdir) == FLOATS[3:]
    assert Binary("out.txt", "<f8", offset=-24, count=2)(workdir) == FLOATS[1:3]
    assert Binary("out.txt", "<f8", -1, offset=4, count=4)(workdir) == FLOATS[3:]
    assert Binary("out.txt", "<f8", slice(1, 3), offset=4, count=None)(workdir) == FLOATS[1:3]


def test_records(write: Write) -> None:
    """A field of records gives one series of several that are written step by step."""
    layout = [("time", "<f8"), ("name", "S4"), ("u", "<f4", (2, 2))]
    steps = np.zeros(3, layout)
    steps["time"] = [0, 60, 120]
    steps["u"] = np.arange(12).reshape(3, 2, 2)
    workdir = write(b"header" + steps.tobytes() + b"tail")
    every: dict[str, Any] = {"offset": 6, "count": 3}
    assert Binary("out.txt", layout, field="time", **every)(workdir) == [0, 60, 120]
    assert Binary("out.txt", layout, (slice(None), 1, 0), field="u", **every)(workdir) == [2, 6, 10]
    last = -4 - steps.itemsize
    assert Binary("out.txt", layout, field="u", offset=last)(workdir) == [8, 9, 10, 11]


def test_padded_record(write: Write) -> None:
    """A C struct with gaps between its members is read as the compiler lays it out."""
    layout = np.dtype([("n", "i1"), ("x", "f8")], align=True)
    workdir = write(np.array([(1, 2.5), (3, 4.5)], layout).tobytes())
    assert Binary("out.txt", layout, field="x", count=None)(workdir) == [2.5, 4.5]


@pytest.mark.parametrize(
    "settings",
    [
        {"offset": 32},
        {"offset": 25},
        {"offset": 99},
        {"offset": -33},
        {"offset": -7},
        {"offset": 99, "count": None},
        {"offset": 32, "count": None},
        {"offset": 3, "count": None},
        {"count": 5},
    ],
)
def test_too_short(settings: dict[str, Any], write: Write, refused: Refused) -> None:
    """Numbers that are not wholly in the file are told with its size, and nothing is made up."""
    refused(Binary("out.txt", "<f8", **settings), write(DATA), "output", "32 bytes", "8 bytes", "to its end")


def test_bad_file(write: Write, refused: Refused, tmp_path: Path) -> None:
    """A file that is missing or empty is told."""
    refused(Binary("out.bin", "<f4"), tmp_path, "output missing")
    refused(Binary("out.txt", "<f4"), write(""), "output empty")
    refused(FortranRecord("out.txt", "<f4"), tmp_path, "output empty")


def test_bad_numbers(write: Write, refused: Refused) -> None:
    """Nan, infinities, a range and an index beyond what was read are told."""
    workdir = write(struct.pack("<3d", 1, math.nan, math.inf))
    refused(Binary("out.txt", "<f8", offset=8), workdir, "not a number", "nan", "from byte 8")
    refused(Binary("out.txt", "<f8", offset=-8), workdir, "not a number", "inf")
    refused(Binary("out.txt", "<f8", valid=(2, None)), workdir, "out of range", "1.0")
    refused(Binary("out.txt", "<f8", 3, count=3), workdir, "no match", "(3,)")
    numbers = Binary("out.txt", "<f8", count=None, allow_nan=True)(workdir)
    assert numbers[0] == 1 and math.isnan(numbers[1]) and numbers[2] == math.inf


def test_ending(write: Write, refused: Refused) -> None:
    """A file cut short is told by its end, where a place counted from the end would give another number."""
    ending = (1234).to_bytes(4, "little")
    parser = Binary("out.txt", "<f8", offset=-12, ending=ending)
    assert parser(write(DATA + ending)) == FLOATS[3:]
    for cut in (1, 4, 8, 35):
        refused(parser, write((DATA + ending)[:-cut]), "output", repr(ending), "to its end")


def records(*contents: bytes, order: str = "<", kind: str = "i", most: int = 2**31) -> bytes:
    """Write records as Fortran does: those of more than `most` bytes in pieces, whose markers tell by their sign."""
    data = b""
    for content in contents:
        pieces = [content[n : n + most] for n in range(0, len(content), most)] or [b""]
        for number, piece in enumerate(pieces):
            first = -len(piece) if number < len(pieces) - 1 else len(piece)
            last = -len(piece) if number else len(piece)
            data += struct.pack(order + kind, first) + piece + struct.pack(order + kind, last)
    return data


@pytest.mark.parametrize(("order", "kind"), [("<", "i"), (">", "i"), ("<", "q"), (">", "q")])
def test_fortran(order: str, kind: str, write: Write) -> None:
    """A record is chosen from either end, whatever the size and byte order of its markers."""
    step, u = struct.pack(f"{order}i", 7), struct.pack(f"{order}3d", 1.5, 2.5, 3.5)
    workdir = write(records(step, b"", step + u, u, order=order, kind=kind))
    marker = order + {"i": "i4", "q": "i8"}[kind]

    def read(dtype: Any, *arguments: Any, **settings: Any) -> list[float]:
        return FortranRecord("out.txt", dtype, *arguments, marker=marker, **settings)(workdir)

    assert read(f"{order}i4") == read(f"{order}i4", 1) == read(f"{order}i4", -4) == [7]
    assert read(f"{order}f8", 4) == read(f"{order}f8", -1) == [1.5, 2.5, 3.5]
    assert read(f"{order}f8", -1, 1) == [2.5]
    assert read(f"{order}f8", 3, offset=4) == read(f"{order}f8", 3, offset=-24) == [1.5, 2.5, 3.5]
    assert read(f"{order}i4", 3, count=1) == [7]
    assert read([("step", f"{order}i4"), ("u", f"{order}f8", 3)], 3, field="u") == [1.5, 2.5, 3.5]


@pytest.mark.parametrize("most", [8, 12, 16])
def test_long_records(most: int, write: Write) -> None:
    """A record that the compiler split because of its length is one record."""
    workdir = write(records(b"head", DATA, DATA[:8], most=most))
    assert FortranRecord("out.txt", "<f8", 2)(workdir) == FLOATS
    assert FortranRecord("out.txt", "<f8", 3)(workdir) == FLOATS[:1]


@pytest.mark.parametrize("cut", [1, 4, 5, 20, 36, 39])
def test_truncated_fortran(cut: int, write: Write, refused: Refused) -> None:
    """A file cut short anywhere is refused, even where the record that is read is whole."""
    data = records(b"head", DATA)
    refused(FortranRecord("out.txt", "<i4"), write(data[:-cut]), "output", "1 whole records", "to its end")


def test_truncated_between_pieces(write: Write, refused: Refused) -> None:
    """A file that ends between the pieces of a long record is refused."""
    data = records(DATA, most=8)
    refused(FortranRecord("out.txt", "<f8"), write(data[:32]), "output", "0 whole records")


def test_fortran_failures(write: Write, refused: Refused) -> None:
    """Another record, other markers and items that do not fit are told."""
    workdir = write(records(DATA, b"12345"))
    refused(FortranRecord("out.txt", "<f8", 3), workdir, "no match", "2 records", "record 3")
    refused(FortranRecord("out.txt", "<f8", -3), workdir, "no match", "2 records")
    refused(FortranRecord("out.txt", "<f8", 2), workdir, "output", "record of 5 bytes")
    refused(FortranRecord("out.txt", "<f8", count=5), workdir, "output", "5 items of <f8", "8 bytes")
    refused(FortranRecord("out.txt", "<f8", marker=">i8"), workdir, "output", "'<i4' would fit")
    refused(FortranRecord("out.txt", "<f8"), write(DATA), "output", "markers")


@pytest.mark.skipif(shutil.which("gfortran") is None, reason="no gfortran")
@pytest.mark.parametrize("options", [[], ["-fmax-subrecord-length=16"], ["-frecord-marker=8"]])
def test_file_of_a_real_compiler(options: list[str], tmp_path: Path) -> None:
    """What gfortran writes is read."""
    (tmp_path / "a.f90").write_text(
        "real(8) :: u(5) = [1,2,3,4,5]\nopen(1,file='out',form='unformatted')\nwrite(1) 7\nwrite(1) 8, u\nend\n"
    )
    subprocess.run(["gfortran", *options, "a.f90", "-o", "a"], cwd=tmp_path, check=True)
    subprocess.run(["./a"], cwd=tmp_path, check=True)
    marker = "<i8" if "-frecord-marker=8" in options else "<i4"
    assert FortranRecord("out", "<i4", marker=marker)(tmp_path) == [7]
    assert FortranRecord("out", "<f8", 2, offset=4, marker=marker)(tmp_path) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"dtype": "float33"}, "float33"),
        ({"dtype": "S4"}, "real number"),
        ({"dtype": "c16"}, "real number"),
        ({"dtype": "?"}, "real number"),
        ({"dtype": "O"}, "real number"),
        ({"dtype": "(2,)f4"}, "real number"),
        ({"dtype": [("u", "<f4")]}, "'u'"),
        ({"dtype": [("u", "<f4"), ("v", "<f4")], "field": "w"}, "'u' or 'v'"),
        ({"dtype": [("u", "S4")], "field": "u"}, "real number"),
        ({"dtype": [("u", "<f4", 0)], "field": "u"}, "real number"),
        ({"field": "u"}, "none"),
        ({"offset": 1.5}, "offset"),
        ({"offset": True}, "offset"),
        ({"count": 0}, "count"),
        ({"count": -1}, "count"),
        ({"ending": "END"}, "bytes"),
        ({"index": "u"}, "index"),
    ],
)
def test_bad_settings(settings: dict[str, Any], word: str) -> None:
    """A setting that means nothing is refused when the parser is made."""
    with pytest.raises(ValueError, match=word):
        Binary("out.bin", **{"dtype": "<f4", **settings})


@pytest.mark.parametrize("settings", [{"record": 0}, {"record": 1.5}, {"marker": "i4"}, {"marker": "<f4"}])
def test_bad_fortran_settings(settings: dict[str, Any]) -> None:
    """A record or a marker that means nothing is refused when the parser is made."""
    with pytest.raises(ValueError, match=f"{next(iter(settings))} is"):
        FortranRecord("out.bin", "<f4", **settings)


def test_travels(write: Write) -> None:
    """A parser is pickled, and its fingerprint is plain text that tells types and places apart."""
    layout = np.dtype([("time", "<f8"), ("u", "<f4", 2)])
    parser = Binary("out.txt", layout, field="u", offset=-16)
    copy = pickle.loads(pickle.dumps(parser))
    assert copy(write(np.array([(1, [2.5, 3.5])], layout).tobytes())) == [2.5, 3.5]
    prints = [
        json.dumps(one.fingerprint())
        for one in (
            parser,
            Binary("out.txt", layout, field="time", offset=-16),
            Binary("out.txt", "<f4"),
            Binary("out.txt", ">f4"),
            Binary("out.txt", "<f4", offset=-4),
            Binary("out.txt", "<f4", ending=b"END"),
            FortranRecord("out.txt", "<f4"),
            FortranRecord("out.txt", "<f4", 2),
        )
    ]
    assert len(set(prints)) == len(prints)
    assert json.dumps(copy.fingerprint()) == prints[0]
    assert Binary("out.txt", np.dtype("<f4")).fingerprint() == Binary("out.txt", "<f4").fingerprint()
