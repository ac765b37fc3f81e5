"""Numbers as simulation codes write them."""

from __future__ import annotations

import math
import re

import pytest

from otwrap.parsers import NUMBER, to_float


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1.0),
        ("  -1.50 \n", -1.5),
        ("+.5", 0.5),
        ("5.", 5.0),
        ("1e3", 1e3),
        ("1.5D+03", 1500.0),
        ("1.5d3", 1500.0),
        ("-.15D-02", -0.0015),
        ("1.Q2", 100.0),
        ("1.5+103", 1.5e103),
        ("-1.5-103", -1.5e-103),
        ("0.30000000000000004", 0.1 + 0.2),
        ("5e-324", 5e-324),
        ("inf", math.inf),
        ("-Infinity", -math.inf),
        ("1.#INF", math.inf),
        ("-1.#INF00", -math.inf),
    ],
)
def test_reads(text: str, number: float) -> None:
    """A number is read to its last bit, Fortran's exponents and infinities too."""
    assert to_float(text) == number


@pytest.mark.parametrize("text", ["nan", "NaN", "-nan", "NAN", "NaNQ", "nan(0x8000)", "1.#QNAN", "-1.#IND00"])
def test_reads_nan(text: str) -> None:
    """Every usual spelling of nan is read."""
    assert math.isnan(to_float(text))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "nothing stands there"),
        ("   ", "nothing stands there"),
        ("1,234", "thousands separator or decimal comma"),
        ("1,234,567.8", "thousands separator or decimal comma"),
        ("1,5", "decimal comma"),
        ("1'234", "thousands separator"),
        ("1\u202f234", "thousands separator"),
        ("1 234", "thousands separator"),
        ("1_000", "underscore"),
        ("0x1F", "hexadecimal"),
        ("12abc", "only its beginning"),
        ("12mm", "only its beginning"),
        ("*****", "wider than its field"),
        ("-***.**", "wider than its field"),
        ("1.5-2.5", "grown together"),
        ("1-234", "grown together"),
        ("1.5+10", "grown together"),
        ("abc", "is not a number"),
        ("1.5D", "only its beginning"),
        ("1.2.3", "only its beginning"),
        ("\u0661\u0662", "is not a number"),
        ("\u22125", "is not a number"),
        ("True", "is not a number"),
        ("--5", "is not a number"),
        ("1e5 2", "only its beginning"),
    ],
)
def test_refuses(text: str, why: str) -> None:
    """What is not a number as a whole is refused, never read in part, and the reason told."""
    with pytest.raises(ValueError, match=re.escape(why)):
        to_float(text)


def test_decimal_comma() -> None:
    """With a decimal comma, a comma is the decimal sign and a point is refused."""
    assert to_float("-1,5e3", ",") == -1500.0
    assert to_float("1,5D+03", ",") == 1500.0
    for text in ("1.5", "1.234,5", "1,234,567"):
        with pytest.raises(ValueError, match="is not a number"):
            to_float(text, ",")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("y=1.5D+03 mm", ["1.5D+03"]),
        ("from 1-234 on", ["1-234"]),
        ("y = 1,234;", ["1,234"]),
        ("a, 1.5, -2e3, 3", ["1.5", "-2e3", "3"]),
        ("x1 = 2, Y10=3", ["2", "3"]),
        ("[1.5] (2) <b>3</b>", ["1.5", "2", "3"]),
        ("info: infinite, nan, -inf", ["nan", "-inf"]),
        ("y = *****", ["*****"]),
        ("at 12:30:45", ["12:30:45"]),
        ("1.5-103 1.5-2.5", ["1.5-103", "1.5-2.5"]),
    ],
)
def test_number_pattern(text: str, found: list[str]) -> None:
    """The pattern of a number takes each one whole, and no digits of a name."""
    assert re.findall(NUMBER, text) == found
