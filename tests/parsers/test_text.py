"""Parsers of text: Value, Regex, LineColumn, KeyValue, Stdout."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otwrap.parsers import NUMBER, KeyValue, LineColumn, Regex, Stdout, Value

Write = Callable[..., Path]
Refused = Callable[..., str]

# One parser of each kind, for a file of the one line "y = {number}".
EACH: list[Callable[..., Any]] = [
    lambda **settings: Value("out.txt", "y =", **settings),
    lambda **settings: Regex("out.txt", r"^y = (.*)$", **settings),
    lambda **settings: LineColumn("out.txt", 1, 3, **settings),
    lambda **settings: KeyValue("out.txt", "y", **settings),
    lambda **settings: Stdout("y =", file="out.txt", **settings),
    lambda **settings: Stdout(file="out.txt", **settings),
]
each = pytest.mark.parametrize(
    "make", EACH, ids=["Value", "Regex", "LineColumn", "KeyValue", "Stdout-token", "Stdout"]
)


@each
@pytest.mark.parametrize("number", ["2.5", "-1.5D+03", "0.30000000000000004", "1.5-103"])
def test_good(make: Any, write: Write, number: str) -> None:
    """Each parser reads a number to its last bit, Fortran's exponents too."""
    (value,) = make()(write(f"y = {number}\n"))
    assert value == float(number.replace("D", "e").replace("5-103", "5e-103"))
    assert type(value) is float


@each
def test_missing(make: Any, tmp_path: Path, refused: Refused) -> None:
    """A missing file is told with its name and what the folder has."""
    refused(make(), tmp_path, "output missing", "no such file", "folder is empty")
    (tmp_path / "out.tx").touch()
    refused(make(), tmp_path, "output missing", "did you mean 'out.tx'?")
    refused(make(), tmp_path / "nowhere", "output missing")


@each
@pytest.mark.parametrize("content", ["", "\n", "  \r\n\t\n"])
def test_empty(make: Any, write: Write, refused: Refused, content: str) -> None:
    """A file that is empty, or blank, is told so."""
    refused(make(), write(content), "output empty")


@each
@pytest.mark.parametrize("number", ["1,234", "1_000", "12abc", "*****", "1'234", "0x1F", "1.5-2.5", "1,5"])
def test_not_a_number(make: Any, write: Write, refused: Refused, number: str) -> None:
    """What is a number only in part is refused whole, with file and what stands there."""
    refused(make(), write(f"y = {number}\n"), "not a number", number)


@each
@pytest.mark.parametrize("number", ["nan", "NaN", "inf", "-Infinity", "1e999"])
def test_nan_and_inf(make: Any, write: Write, refused: Refused, number: str) -> None:
    """A nan or an infinity is refused by default, and taken if the user says so."""
    workdir = write(f"y = {number}\n")
    refused(make(), workdir, "not a number", number, "allow_nan=True")
    (value,) = make(allow_nan=True)(workdir)
    assert not math.isfinite(value)


@each
def test_range(make: Any, write: Write, refused: Refused) -> None:
    """A number outside its range is refused with the range; its ends are inside."""
    workdir = write("y = 2.5\n")
    assert make(valid=(2.5, 2.5))(workdir) == [2.5]
    assert make(valid=(None, 3))(workdir) == make(valid=(0, None))(workdir) == [2.5]
    refused(make(valid=(None, 2)), workdir, "out of range", "2.5", "[-inf, 2.0]")
    refused(make(valid=(3, None)), workdir, "out of range", "[3.0, inf]")
    assert math.isnan(make(valid=(0, 1), allow_nan=True)(write("y = nan\n"))[0])
    refused(make(valid=(0, 1), allow_nan=True), write("y = inf\n"), "out of range")


@each
def test_decimal_comma(make: Any, write: Write, refused: Refused) -> None:
    """A decimal comma is read where it is declared; a point is then refused."""
    assert make(decimal=",")(write("y = 1,5\n")) == [1.5]
    refused(make(decimal=","), write("y = 1.5\n"), "not a number", "'1.5'")
    refused(make(), write("y = 1,5\n"), "not a number", "decimal=','")


@each
def test_encoding(make: Any, write: Write) -> None:
    """Bytes that the encoding lacks do not hide the rest; a byte order mark and other encodings are read."""
    assert make()(write(b"y = 2.5\n\xb5m \xff\xfe\n")) == [2.5]
    assert make()(write(b"\xef\xbb\xbfy = 2.5\n")) == [2.5]
    assert make(encoding="utf-16")(write("y = 2.5\n".encode("utf-16"))) == [2.5]


@each
def test_line_ends(make: Any, write: Write) -> None:
    """Windows' and old Mac's line ends are line ends."""
    for end in ("\n", "\r\n", "\r", ""):
        assert make()(write(f"y = 2.5{end}")) == [2.5]


def test_directory_in_place_of_file(tmp_path: Path, refused: Refused) -> None:
    """A file that cannot be opened is an error of the output too."""
    (tmp_path / "out.txt").mkdir()
    refused(Value("out.txt", "y"), tmp_path, "output", "IsADirectoryError")


# -- Value


@pytest.mark.parametrize(
    "line",
    [
        "y 2.5",
        "y: 2.5 mm",
        "y=2.5,z=3",
        "y [mm] = 2.5",
        "y (m2/s) : 2.5",
        "y ........ 2.5",
        "y -----> 2.5",
        "y =\n\n   2.5\n",
        "y:\n-------\n2.5",
        "y = (2.5, 3.5)",
        'y = "2.5"',
        "<y>2.5</y>",
        "The y is not it, y = 2.5.",
    ],
)
def test_value_finds(write: Write, line: str) -> None:
    """Blanks, signs of equality, leaders, units in brackets and line ends may stand before the number."""
    token = "y =" if "The" in line else "y"
    assert Value("out.txt", token)(write(line)) == [2.5]


@pytest.mark.parametrize(
    "line", ["y = failed after 3 steps", "y = failed\n3", "y = N/A\nz = 3", "y", "y =\nz = 3", "y = \n\n"]
)
def test_value_is_next(write: Write, refused: Refused, line: str) -> None:
    """A number that does not come next is not the token's."""
    refused(Value("out.txt", "y"), write("begin\n" + line), "not a number", "'y'", "line ")


def test_value_line_is_told(write: Write, refused: Refused) -> None:
    """The error has the line's number and text."""
    text = refused(Value("out.txt", "y"), write("a\nb\ny = abc d\nc\n"), "not a number", "line 3")
    assert "'abc' in 'y = abc d'" in text


def test_value_whole_words(write: Write, refused: Refused) -> None:
    """A token is not found inside a longer word: Y1 is not in Y10, y is not in my."""
    workdir = write("Y10 = 10\nmY1 = 5\nY1_a = 4\nY1 = 1\n")
    assert Value("out.txt", "Y1")(workdir) == [1.0]
    assert Value("out.txt", "Y10 =")(workdir) == [10.0]
    refused(Value("out.txt", "Y"), workdir, "no match", "longer word", "'Y'")


def test_value_token_is_literal(write: Write) -> None:
    """A token is no regular expression."""
    assert Value("out.txt", "a.b (x+y)* =")(write("aXb (x+y)* = 1\na.b (x+y)* = 2\n")) == [2.0]


def test_value_occurrence(write: Write, refused: Refused) -> None:
    """Which occurrence is explicit; one that is not there, and a wrong number of them, are errors."""
    workdir = write("y = 1\ny = 2\nz\ny = 3\n")

    def value(*args: Any, **settings: Any) -> Value:
        return Value("out.txt", "y =", *args, **settings)

    assert [value(n)(workdir)[0] for n in (1, 2, 3, -1, -3, "first", "last")] == [1, 2, 3, 3, 1, 1, 3]
    assert value()(workdir) == [1.0]
    assert value("all")(workdir) == value("all", count=3)(workdir) == [1.0, 2.0, 3.0]
    assert value(-1, count=3)(workdir) == [3.0]
    refused(value(None), workdir, "no match", "3 matches (line 1, 2, 4)", "exactly one")
    refused(value(4), workdir, "no match", "3 matches")
    refused(value(-4), workdir, "no match", "3 matches")
    refused(value("all", count=2), workdir, "no match", "3 matches", "of 2")
    refused(value(1, count=2), workdir, "no match", "3 matches")


def test_value_no_match(write: Write, refused: Refused) -> None:
    """A token that is not there is told, with the start of the file or the other letters it has."""
    refused(Value("out.txt", "stress"), write("a = 1\n"), "no match", "'stress'", "'a = 1")
    refused(
        Value("out.txt", "stress"), write("a\nStress = 1\n"), "no match", "line 2 has it in other letters"
    )


# -- Regex


def test_regex_exactly_one(write: Write, refused: Refused) -> None:
    """Without an occurrence there must be exactly one match, and the error counts them with their lines."""
    workdir = write("y = 1\nx\ny = 2\n")
    refused(
        Regex("out.txt", r"y = (\d+)"), workdir, "no match", "2 matches (line 1, 3)", "exactly one", "y = ("
    )
    refused(Regex("out.txt", r"z = (\d+)"), workdir, "no match", "z = (")


def test_regex_occurrence(write: Write, refused: Refused) -> None:
    """The last match wins only where it was asked for."""
    workdir = write("y = 1\nx\ny = 2\n")
    assert (
        Regex("out.txt", r"y = (\d+)", "last")(workdir) == Regex("out.txt", r"y = (\d+)", -1)(workdir) == [2]
    )
    assert Regex("out.txt", r"y = (\d+)", "all", count=2)(workdir) == [1, 2]
    refused(Regex("out.txt", r"y = (\d+)", "all", count=3), workdir, "no match", "2 matches", "of 3")
    refused(Regex("out.txt", r"y = (\d+)", 3), workdir, "no match", "2 matches")
    many = write("y = 1\n" * 50)
    refused(Regex("out.txt", r"y = (\d+)"), many, "no match", "50 matches (line 1, 2, 3, 4, 5, 6, 7, 8, ...)")


def test_regex_groups(write: Write, refused: Refused) -> None:
    """The group is a number, a name, or the match; one that took no part is an error."""
    workdir = write("y = 1 2\n")
    assert Regex("out.txt", r"y = (\d) (\d)", group=2)(workdir) == [2]
    assert Regex("out.txt", r"y = \d (?P<z>\d)", group="z")(workdir) == [2]
    assert Regex("out.txt", re.compile(r"(?<=Y = )\d", re.IGNORECASE))(workdir) == [1]
    refused(Regex("out.txt", r"y = (x)?1"), workdir, "not a number", "line 1")


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (r"y = (\d+)", "y = 1,234"),
        (r"y = (\d+)", "y = 1.5"),
        (r"y = ([\d.]+)", "y = 1.5D+03"),
        (r"y = ([\d.]+)", "y = 1.5e-3"),
        (r"y = ([\d.]+)", "y = 1.5-103"),
        (r"y = ([\d.]+).*", "y = 1.5D+03"),
        (r"y = (\d\.)", "y = 1.5"),
        (r"y = ([\d.]+)", "y = 1'234"),
        (r"(\d+) mm", "y = 1,234 mm"),
        (r"(\d+) mm", "y = 1.5 mm"),
        (r"([\d.]+) mm", "y = -1.5 mm"),
        (r"[\d.]+", "-1.5"),
    ],
)
def test_regex_never_cuts(write: Write, refused: Refused, pattern: str, line: str) -> None:
    """A pattern that cuts a number is an error: 1.5D+03 is not 1.5, 1,234 is not 1, -1.5 is not 1.5."""
    refused(
        Regex("out.txt", pattern, "first"),
        write(line),
        "not a number",
        "cut out of",
        "line 1",
        line.split()[-1],
    )


@pytest.mark.parametrize(
    ("pattern", "line", "number"),
    [
        (r"y = (\d+)", "y = 12mm", 12),
        (r"y = (\d+)", "y = 12.", 12),
        (r"y = (\d+)", "y = 12, z", 12),
        (r"y = (\d+),(\d+)", "y = 1,234", 1),
        (r"run-(\d+)", "run-12", 12),
        (r"^(.{6}).{4}", "  1.502.25", 1.50),
        (rf"y\s*=\s*({NUMBER})", "y = 1.5D+03", 1500),
        (r"([-+.\dED]+)$", "y = -1.5E+03", -1500),
    ],
)
def test_regex_takes(write: Write, pattern: str, line: str, number: float) -> None:
    """A pattern may cut off a unit, a comma it names, or a fixed column."""
    assert Regex("out.txt", pattern)(write(line)) == [number]


# -- LineColumn


def test_line_column(write: Write) -> None:
    """Lines and columns count from 1, or from the end; blank lines at the end do not count."""
    workdir = write("# t u v\n0 1 2\n\n3 4 5\n\n\n")
    assert LineColumn("out.txt", 2, 3)(workdir) == [2]
    assert LineColumn("out.txt", -1, -1)(workdir) == [5]
    assert LineColumn("out.txt", 4, 1)(workdir) == LineColumn("out.txt", -1, -3)(workdir) == [3]
    assert LineColumn("out.txt", 1, 1, comment="#")(workdir) == [0]
    assert LineColumn("out.txt", 2, 1, comment="#", skip_blank=True)(workdir) == [3]
    assert LineColumn("out.txt", 1, 2, separator=";")(write("1; 2 ;3")) == [2]


def test_line_column_form_feed(write: Write) -> None:
    """A form feed, as in Fortran listings, ends no line."""
    assert LineColumn("out.txt", 2, 1)(write("\x0ctitle\x0c\x1c\n5\n")) == [5]


def test_line_column_failures(write: Write, refused: Refused) -> None:
    """A line or column that is not there is told with how many there are."""
    workdir = write("a\n1 2\n")
    refused(LineColumn("out.txt", 3, 1), workdir, "no match", "2 lines", "line 3")
    refused(LineColumn("out.txt", -3, 1), workdir, "no match", "2 lines")
    refused(LineColumn("out.txt", 2, 3), workdir, "no match", "2 columns", "'1 2'", "line 2")
    refused(LineColumn("out.txt", 1, 1), workdir, "not a number", "line 1", "'a'")
    refused(LineColumn("out.txt", 2, 1, comment="a"), workdir, "no match", "1 lines that count")


# -- KeyValue


def test_key_value(write: Write) -> None:
    """A key is all before the separator; units and comments after the number do not matter."""
    workdir = write("# y = 0\n  y = 2.5#end\nmy=3\ny max = 4 mm  ! max\n'q' = '5'\nz==6\n")
    assert KeyValue("out.txt", "y")(workdir) == [2.5]
    assert KeyValue("out.txt", "y max")(workdir) == [4]
    assert KeyValue("out.txt", "q")(workdir) == [5]
    assert KeyValue("out.txt", "y", ":")(write("y : 7\n")) == [7]
    assert KeyValue("out.txt", "y", " ")(write("y\t 8\n")) == [8]
    assert KeyValue("out.txt", "a.b", "->")(write("aXb -> 1\na.b->2\n")) == [2]


def test_key_value_failures(write: Write, refused: Refused) -> None:
    """A key that is not there, there twice, or without a number is told."""
    workdir = write("width = 1\nheight = \nheight2 = x\nwidth = 2\n")
    refused(KeyValue("out.txt", "widht"), workdir, "no match", "did you mean 'width'?")
    refused(KeyValue("out.txt", "width"), workdir, "no match", "2 matches (line 1, 4)")
    refused(KeyValue("out.txt", "height"), workdir, "not a number", "line 2")
    refused(KeyValue("out.txt", "height2"), workdir, "not a number", "line 3", "'x'")
    refused(KeyValue("out.txt", "width", occurrence=3), workdir, "no match", "2 matches")
    assert KeyValue("out.txt", "width", occurrence="last")(workdir) == [2]


# -- Stdout


def test_stdout(write: Write, refused: Refused) -> None:
    """Standard output is read by token, by pattern, or as the only number printed."""
    workdir = write("Solving model1...\nu = 2.5\n", "stdout.txt")
    assert Stdout()(workdir) == Stdout("u =")(workdir) == Stdout(pattern="u = (.*)")(workdir) == [2.5]
    workdir = write("step 1 of 2\nu = 2.5.\n", "stdout.txt")
    refused(Stdout(), workdir, "no match", "3 matches (line 1, 1, 2)", "token=")
    assert Stdout(occurrence=-1)(workdir) == [2.5]
    assert Stdout(occurrence="all", count=3)(workdir) == [1, 2, 2.5]
    refused(Stdout("v ="), workdir, "no match", "'v ='")
    refused(Stdout("u =", valid=(0, 1)), workdir, "out of range")
    refused(Stdout(), write("done\n", "stdout.txt"), "no match")
    refused(Stdout("u ="), write("u = 1\nu = 2\n", "stdout.txt"), "no match", "2 matches")


def test_stdout_counts_overflow(write: Write, refused: Refused) -> None:
    """A number that Fortran could not print is not passed over for another."""
    refused(Stdout(), write("step 3\nu = *****\n", "stdout.txt"), "no match", "2 matches")


# -- settings


@pytest.mark.parametrize(
    "make",
    [
        lambda: Value("out.txt", ""),
        lambda: Value("out.txt", "y", 0),
        lambda: Value("out.txt", "y", "second"),
        lambda: Value("out.txt", "y", True),
        lambda: Value("out.txt", "y", "all", count=0),
        lambda: Value("out.txt", "y", decimal=";"),
        lambda: Value("out.txt", "y", encoding="utf-9"),
        lambda: Value("out.txt", "y", valid=(2, 1)),
        lambda: Value("out.txt", "y", valid=3),  # type: ignore[arg-type]
        lambda: Value("out.txt", "y", valid=(float("nan"), 1)),
        lambda: Value("/out.txt", "y"),
        lambda: Value("../out.txt", "y"),
        lambda: Value("", "y"),
        lambda: Regex("out.txt", "("),
        lambda: Regex("out.txt", "(y)", group=2),
        lambda: Regex("out.txt", "(y)", group="z"),
        lambda: LineColumn("out.txt", 0, 1),
        lambda: LineColumn("out.txt", 1, 0),
        lambda: LineColumn("out.txt", 1, 1, separator=""),
        lambda: KeyValue("out.txt", " "),
        lambda: KeyValue("out.txt", "y", ""),
        lambda: Stdout("y", pattern="y"),
        lambda: Stdout(pattern="("),
    ],
)
def test_bad_settings(make: Callable[[], object]) -> None:
    """A setting that means nothing is refused when the parser is made, with what is accepted."""
    with pytest.raises(ValueError, match="give|cannot|none|no regular"):
        make()


def test_long_leaders_are_quick(write: Write, refused: Refused) -> None:
    """A long line of leaders, or a long file without the token, takes no time."""
    start = time.perf_counter()
    refused(Value("out.txt", "y"), write("y " + "." * 20_000 + "-" * 20_000 + "x\n"), "not a number")
    refused(Stdout(file="out.txt"), write("-." * 50_000 + "\n"), "no match")
    refused(Value("out.txt", "y"), write("y " + "_" * 50_000 + "x\n"), "not a number")
    refused(Value("out.txt", "y"), write("y 1" + "_" * 50_000 + "x\n"), "not a number")
    refused(KeyValue("out.txt", "y"), write(" " * 50_000 + "x\n"), "no match")
    assert time.perf_counter() - start < 2


def test_many_matches_are_quick(write: Write) -> None:
    """All of many matches are read in one pass."""
    workdir = write("y = 1.5\n" * 20_000)
    start = time.perf_counter()
    assert len(Regex("out.txt", "^y = (.*)$", "all")(workdir)) == 20_000
    assert len(Value("out.txt", "y =", "all")(workdir)) == 20_000
    assert time.perf_counter() - start < 3
