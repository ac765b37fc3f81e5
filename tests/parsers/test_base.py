"""What all parsers share: contract, functions, parsers of one's own, fingerprints, pickles."""

from __future__ import annotations

import functools
import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import otwrap.parsers
from otwrap.errors import InputError, OutputError
from otwrap.parsers import (
    Binary,
    Csv,
    Curve,
    FortranRecord,
    Function,
    Hdf5,
    Json,
    KeyValue,
    LineColumn,
    NetCdf,
    Npy,
    Npz,
    Parser,
    Regex,
    Stdout,
    Value,
    Xml,
)

Write = Callable[..., Path]
Refused = Callable[..., str]


def count_files(workdir: str) -> int:
    return len(list(Path(workdir).iterdir()))


class Size(Parser):
    """A parser of one's own, with nothing but `_read`."""

    def _read(self, workdir: str) -> float:
        return float(Path(workdir, self.files[0]).stat().st_size)


class Bare(Parser):
    """A parser of one's own that does not call the base's constructor."""

    def __init__(self, number: Any) -> None:
        self.number = number

    def _read(self, workdir: str) -> Any:
        return self.number


ALL: list[Parser] = [
    Value("out.txt", "y =", "last", count=2, valid=(0, None)),
    Regex("out.txt", r"y = (\d)", group=1),
    Regex("out.txt", re.compile("y = (?P<a>.)", re.IGNORECASE), group="a"),
    LineColumn("out.txt", 1, -1, separator=";"),
    KeyValue("out.txt", "y"),
    Stdout("y ="),
    Stdout(pattern="y = (.)"),
    Stdout(),
    Csv("out.csv", "u", row="all"),
    Curve(Csv("out.csv", "t", row="all"), Csv("out.csv", "u", row="all"), [0.0, 1.0], valid=(0, 1)),
    Json("out.json", "nodes[3].u", valid=(float("-inf"), 1)),
    Xml("out.xml", "a", "b"),
    Npy("out.npy", (0, slice(1, 2), ...)),
    Npz("out.npz", "u"),
    Hdf5("out.h5", "u"),
    NetCdf("out.nc", "u", -1),
    Binary("out.bin", [("t", "<f8"), ("u", "<f4", 3)], (-1, 0), field="u", count=None, ending=b"END"),
    FortranRecord("out.dat", ">f8", -1, slice(2), marker=">i8"),
    Function(count_files, ["a.txt", "b.txt"]),
    Function(functools.partial(max, 3)),
    Size(["out.txt"]),
    Bare(1.0),
]
each = pytest.mark.parametrize("parser", ALL, ids=lambda parser: type(parser).__name__)


def test_all_are_covered() -> None:
    """Every parser of the room is in the tests below."""
    kinds = {value for value in vars(otwrap.parsers).values() if isinstance(value, type)}
    assert kinds - {type(parser) for parser in ALL} == {
        Parser,
        otwrap.parsers.FileParser,
        otwrap.parsers.TextParser,
    }


@each
def test_pickles(parser: Parser) -> None:
    """A parser goes through a plain pickle and is the same afterwards."""
    copy = pickle.loads(pickle.dumps(parser))
    assert type(copy) is type(parser)
    assert copy.fingerprint() == parser.fingerprint()
    assert repr(copy) == repr(parser)


@each
def test_fingerprint(parser: Parser) -> None:
    """A fingerprint is JSON, the same for the same settings, without this machine's paths."""
    text = json.dumps(parser.fingerprint(), allow_nan=False)
    assert type(parser).__name__ in text
    assert str(Path.cwd()) not in text and "0x" not in text
    assert isinstance(parser.files, tuple)


def test_fingerprints_differ() -> None:
    """Any other setting is another fingerprint."""
    parsers = [
        Value("out.txt", "y"),
        Value("out.txt", "z"),
        Value("out2.txt", "y"),
        Value("out.txt", "y", 2),
        Value("out.txt", "y", valid=(0, 1)),
        Value("out.txt", "y", allow_nan=True),
        Value("out.txt", "y", encoding="latin-1"),
        Value("out.txt", "y", decimal=","),
        Regex("out.txt", "y"),
        Regex("out.txt", re.compile("y")),
        Stdout("y", file="out.txt"),
        Npy("out.npy", slice(1)),
        Npy("out.npy", slice(2)),
    ]
    texts = {json.dumps(parser.fingerprint(), sort_keys=True) for parser in parsers}
    assert len(texts) == len(parsers)


def test_fingerprint_of_a_function() -> None:
    """A function's source and what it closes over count, or the version given in their place."""

    def make(factor: float) -> Callable[[str], float]:
        return lambda workdir: factor * len(workdir)

    assert Function(make(1)).fingerprint() == Function(make(1)).fingerprint()
    assert Function(make(1)).fingerprint() != Function(make(2)).fingerprint()
    assert Function(make(1), version="1").fingerprint() == Function(make(2), version="1").fingerprint()
    assert Function(make(1), version="1").fingerprint() != Function(make(1), version="2").fingerprint()
    assert Function(count_files).fingerprint() != Function(lambda workdir: 1).fingerprint()


def test_fingerprint_of_a_changed_class(tmp_path: Path) -> None:
    """A parser class of one's own whose code changes has another fingerprint."""
    found = []
    for result in ("1.0", "2.0", "1.0"):
        source = (
            "from otwrap.parsers import Parser\nclass Mine(Parser):\n    def _read(self, workdir):\n        "
        )
        (tmp_path / "mine.py").write_text(f"{source}return {result}\n", encoding="utf-8")
        code = "import mine, json; print(json.dumps(mine.Mine().fingerprint()))"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
        command = [sys.executable, "-B", "-c", code]
        found.append(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
    assert found[0] == found[2] != found[1]


def test_fingerprint_ends_on_cycles() -> None:
    """A function that reaches itself, or the parser that holds it, has a fingerprint too."""

    class Code:
        def __init__(self) -> None:
            self.parsers = [Function(self.read)]

        def read(self, workdir: str) -> float:
            return 1.0

    def again(workdir: str) -> Any:
        return again

    assert Code().parsers[0].fingerprint() == Code().parsers[0].fingerprint()
    assert Function(again).fingerprint()["function"]["name"].endswith("again")


# -- Function


@pytest.mark.parametrize(
    ("result", "numbers"),
    [
        (1, [1]),
        (np.float32(0.5), [0.5]),
        (np.array(2.5), [2.5]),
        (np.array([1.5]), [1.5]),
        ([1, 2.5], [1, 2.5]),
        ((n for n in (1, 2)), [1, 2]),
        (np.arange(3), [0, 1, 2]),
        ("1.5D+03", [1500]),
        (["1", "2"], [1, 2]),
    ],
)
def test_function_results(result: Any, numbers: list[float]) -> None:
    """A function returns a number or any flat sequence of them."""
    found = Function(lambda workdir: result)(".")
    assert found == numbers
    assert all(type(number) is float for number in found)


@pytest.mark.parametrize(
    "result", [None, True, "1,234", "abc", [[1.0]], np.zeros((2, 2)), {"a": 1}, 1j, np.bool_(1)]
)
def test_function_bad_results(result: Any, tmp_path: Path, refused: Refused) -> None:
    """What is no number is told with its type."""
    refused(Function(lambda workdir: result), tmp_path, "not a number", "lambda", "Give a float")


def test_function_checks(tmp_path: Path, refused: Refused) -> None:
    """A function's numbers and files are checked as any parser's."""
    assert Function(count_files)(tmp_path) == [0]
    refused(Function(count_files, valid=(1, None)), tmp_path, "out of range", "0.0")
    refused(Function(lambda workdir: float("nan")), tmp_path, "not a number", "nan")
    refused(Function(lambda workdir: 10**400), tmp_path, "not a number", "inf")
    refused(Function(lambda workdir: []), tmp_path, "no match", "no number at all")
    refused(Function(count_files, ["a.txt"]), tmp_path, "output missing", "a.txt")
    (tmp_path / "a.txt").touch()
    refused(Function(count_files, ["a.txt"]), tmp_path, "output empty", "a.txt")
    with pytest.raises(TypeError, match="give something that is called"):
        Function("count_files")  # type: ignore[arg-type]


def test_function_raises(tmp_path: Path) -> None:
    """What a function raises is told with its type, text and place, once; our own errors pass."""

    def broken(workdir: str) -> float:
        raise KeyError("u")

    with pytest.raises(OutputError, match=r"broken.*KeyError: 'u' \(in broken, line \d+\)") as caught:
        Function(broken)(tmp_path)
    assert (caught.value.status, caught.value.cause) == ("failed", "exception")
    assert isinstance(caught.value.__cause__, KeyError)

    def ours(workdir: str) -> float:
        raise InputError("mine")

    with pytest.raises(InputError, match="^mine$"):
        Function(ours)(tmp_path)


# -- a parser of one's own


def test_own_parser(write: Write, refused: Refused) -> None:
    """A parser of one's own writes `_read`; checks and files come with the base."""
    workdir = write("12345")
    assert Size(["out.txt"])(workdir) == Size("out.txt")(workdir) == [5]
    refused(Size(["out.txt"], valid=(6, None)), workdir, "out of range", "5.0")
    assert Bare([1, 2])(workdir) == [1, 2]
    refused(Bare(float("nan")), workdir, "not a number")
    with pytest.raises(NotImplementedError, match="_read"):
        Parser()(workdir)


def test_paths(tmp_path: Path) -> None:
    """The work directory is a str or a path, and a file in a subfolder is found."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "out.txt").write_text("y = 1", encoding="utf-8")
    parser = Value(Path("a", "out.txt"), "y =")
    assert parser.files == ("a/out.txt",)
    assert parser(tmp_path) == parser(str(tmp_path)) == [1]


def test_odd_folders(odd_folder: Path) -> None:
    """Folders with odd names are read as any other."""
    (odd_folder / "out.txt").write_text("y = 1", encoding="utf-8")
    assert Value("out.txt", "y =")(odd_folder) == [1]


def test_import_is_light() -> None:
    """Importing the parsers loads none of the packages that only some of them need."""
    heavy = ("numpy", "h5py", "netCDF4", "xml.etree", "json", "difflib", "inspect", "zipfile", "csv")
    code = (
        "import sys, types, pathlib; package = types.ModuleType('otwrap'); "
        f"package.__path__ = [{str(Path(otwrap.parsers.__file__).parents[1])!r}]; "
        "sys.modules['otwrap'] = package; before = set(sys.modules); import otwrap.parsers; "
        f"print([name for name in {heavy} if name in set(sys.modules) - before])"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
