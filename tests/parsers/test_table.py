"""The parser of tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otwrap.parsers import Csv

Write = Callable[..., Path]
Refused = Callable[..., str]


def csv(*args: Any, **settings: Any) -> Csv:
    return Csv("out.csv", *args, **settings)


TABLE = "t, u ,v\n0,1.5,10\n1,-2.5D+01,20\n2,3.5,30\n"


def test_column_and_row(write: Write) -> None:
    """A column by name or index, a row from either end or all of them."""
    workdir = write(TABLE, "out.csv")
    assert csv("u")(workdir) == csv(1)(workdir) == csv(-2)(workdir) == [3.5]
    assert csv("u", row=0)(workdir) == csv(1, row=-3)(workdir) == [1.5]
    assert csv("u", row="all")(workdir) == csv(1, row="all")(workdir) == [1.5, -25.0, 3.5]


def test_header(write: Write) -> None:
    """Where the column is an index, a first row of numbers is no header, and one of names is."""
    workdir = write("0,1\n2,3\n", "out.csv")
    assert csv(0, row=0)(workdir) == [0]
    assert csv(0, row=0, header=True)(workdir) == [2]
    workdir = write("t,u\n[s],[m]\n0,1\n", "out.csv")
    assert csv("u", row="all", header=2)(workdir) == [1]


@pytest.mark.parametrize("first", ["1,234", "***", "nan", "1_0", "12abc"])
def test_bad_first_row_is_no_header(write: Write, refused: Refused, first: str) -> None:
    """A bad number in the first row is not passed over as a header."""
    refused(
        csv(0, row=0, separator=";"), write(f"{first};1\n2;3\n", "out.csv"), "not a number", first, "line 1"
    )


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("t;u\n0;1.5\n", {"separator": ";"}),
        ("t;u\n0;1,5\n", {"separator": ";", "decimal": ","}),
        ("t\tu\n\t1.5\n", {"separator": "\t"}),
        ("  t   u\n 0 \t 1.5 \n", {"separator": None}),
        ("  t   u\n 0 \t 1.5 \n", {"separator": " "}),
        ("t||u\n0||1.5\n", {"separator": "||"}),
        ("# made by\nt,u\n#\n0,1.5\n", {"comment": "#"}),
        ("made by\n\nt,u\n0,1.5\n", {"skip": 1}),
        ('"t","u"\n"a, ""b""","1.5"\n', {}),
        ('"t" "u"\n"a b" "1.5"\n', {"separator": None}),
        ('"t";"u"\r\n0;1.5\r\n', {"separator": ";"}),
        ('t,u\n"0\n0",1.5\n', {}),
        ("\n\nt,u\n\n0,1.5\n\n", {}),
        ("\ufefft,u\n0,1.5", {}),
    ],
)
def test_separators_and_quotes(write: Write, text: str, settings: dict[str, Any]) -> None:
    """Any separator, comments, quotes and blank lines are read."""
    assert csv("u", **settings)(write(text, "out.csv")) == [1.5]


def test_failures(write: Write, refused: Refused, tmp_path: Path) -> None:
    """Each failure says file, column and what was found."""
    refused(csv("u"), tmp_path, "output missing", "no such file")
    refused(csv("u"), write("", "out.csv"), "output empty")
    refused(csv("u", comment="#"), write("#\n", "out.csv"), "no match", "no rows")
    refused(csv("u"), write("t,u\n", "out.csv"), "no match", "a header and no rows")
    workdir = write(TABLE, "out.csv")
    refused(csv("stress"), workdir, "no match", "'stress'", "'t', 'u', 'v'", "line 1")
    refused(csv("U"), workdir, "no match", "columns 't', 'u', 'v'")
    refused(csv("vv"), workdir, "no match", "did you mean 'v'?")
    refused(csv(3), workdir, "no match", "3 columns")
    refused(csv("u", row=3), workdir, "no match", "3 rows")
    refused(csv("u", row=-4), workdir, "no match", "3 rows")
    refused(csv("u", valid=(0, None), row="all"), workdir, "out of range", "-2.5D+01", "line 3")
    refused(csv("u"), write("t,u,u\n0,1,2\n", "out.csv"), "no match", "2 columns of that name")
    refused(csv("u", separator=";"), workdir, "no match", "separator=")


def test_ragged(write: Write, refused: Refused) -> None:
    """A row with another number of fields is an error, wherever it is; 1,234 makes one too."""
    refused(
        csv("u", row=0), write("t,u\n0,1\n2\n", "out.csv"), "no match", "line 3", "1 fields", "line 1 has 2"
    )
    refused(csv("u"), write("t,u\n0,1,234\n", "out.csv"), "no match", "line 2", "3 fields in '0,1,234'")


def test_not_a_number(write: Write, refused: Refused) -> None:
    """A nan, an empty field or a quoted 1,234 in a table is not taken silently."""
    for number in ("nan", "NaN", "inf", '"1,234"', "*****", "1_0"):
        workdir = write(f"t,u\n0,{number}\n1,2\n", "out.csv")
        refused(csv("u", row="all"), workdir, "not a number", number.strip('"'), "line 2")
        assert csv("u")(workdir) == [2]
    refused(csv("u"), write("t,u\n0,\n", "out.csv"), "not a number", "line 2", "nothing stands there")
    assert csv("u", allow_nan=True)(write("t,u\n0,-inf\n", "out.csv")) == [float("-inf")]


def test_quoted_line_numbers(write: Write, refused: Refused) -> None:
    """With quotes and blank lines too, the line told is the line of the file."""
    refused(csv("u", row=1), write('\n"t",u\n\n0,1\n\n1,x\n', "out.csv"), "not a number", "line 6")


@pytest.mark.parametrize(
    "make",
    [
        lambda: csv(True),
        lambda: csv(1.5),
        lambda: csv("u", row="last"),
        lambda: csv("u", row=1.5),
        lambda: csv("u", decimal=","),
        lambda: csv("u", header=False),
        lambda: csv("u", skip=-1),
        lambda: csv(0, header=-1),
        lambda: csv("u", comment=""),
    ],
)
def test_bad_settings(make: Callable[[], object]) -> None:
    """A setting that means nothing is refused when the parser is made."""
    with pytest.raises((TypeError, ValueError), match="give|none|says"):
        make()
