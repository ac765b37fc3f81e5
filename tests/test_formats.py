"""Numbers become text, and no digit is lost unless asked."""

from __future__ import annotations

import math
import pickle
import random
import struct

import pytest

from otwrap.formats import ACCEPTED, NumberFormat


def doubles(count: int, seed: int = 7) -> list[float]:
    """Finite doubles of all sizes, from random bits, and the corners."""
    draw = random.Random(seed)
    drawn = [struct.unpack("<d", draw.randbytes(8))[0] for _ in range(count)]
    drawn += [draw.uniform(-1e6, 1e6) for _ in range(count)]
    corners = [0.0, -0.0, 1.0, 0.1 + 0.2, 5e-324, -2.2250738585072014e-308, 1.7976931348623157e308, 1e22]
    return [x for x in drawn if math.isfinite(x)] + corners


def same(a: float, b: float) -> bool:
    """Equal to the last bit, the sign of zero too."""
    return struct.pack("<d", a) == struct.pack("<d", b)


@pytest.mark.parametrize(
    "spec", [None, "", "30", "D", "30D", "w25", ">w25", "+", "allow", ".16e", ".17g", ".16D"]
)
def test_reads_back(spec: str | None) -> None:
    """What is written reads back as the same double, bit for bit."""
    write = NumberFormat(spec).write
    for x in doubles(2000):
        assert same(float(write(x).replace("D", "e")), x), x


def test_reads_back_hypothesis() -> None:
    """The default reads back for whatever double hypothesis finds."""
    hypothesis = pytest.importorskip("hypothesis")
    numbers = hypothesis.strategies.floats(allow_nan=False, allow_infinity=False)

    @hypothesis.settings(max_examples=300, database=None, deadline=None)
    @hypothesis.given(numbers)
    def check(x: float) -> None:
        assert same(float(NumberFormat().write(x)), x)

    check()


@pytest.mark.parametrize(
    ("spec", "x", "text"),
    [
        (None, 3.0, "3.0"),
        (None, 0.1, "0.1"),
        (".6e", 1500.0, "1.500000e+03"),
        ("10.4f", 3.14159, "    3.1416"),
        ("d", 3.0, "3"),
        ("5d", -3.0, "   -3"),
        ("d", -0.0, "0"),
        ("D", 1500.0, "1.5D+03"),
        ("D", 1.0, "1.0D+00"),
        (".0D", 2000.0, "2.D+03"),
        (".10D", 1500.0, "1.5000000000D+03"),
        ("24.16D", 1500.0, "  1.5000000000000000D+03"),
        ("w8", -1234.56789, "-1234.57"),
        ("w8", 0.1, "0.1"),
        (">w8", 0.1, "     0.1"),
        ("<w8", 0.1, "0.1     "),
        ("w8", 9999999.9, "1.0000e7"),
        ("w8", 1e22, "1.e22"),
        ("allow", math.nan, "nan"),
        ("allow 8.2f", -math.inf, "    -inf"),
        ("allow .2e", 1.0, "1.00e+00"),
        (lambda x: f"<{x}>", 1.5, "<1.5>"),
    ],
)
def test_text(spec: object, x: float, text: str) -> None:
    """Each spelling writes what its documentation says."""
    assert NumberFormat(spec).write(x) == text  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [8, 10, 16, 20])
def test_as_many_digits_as_fit(width: int) -> None:
    """No text of `w` is longer than its width, and one digit more would be."""
    write = NumberFormat(f"w{width}.1").write
    for x in doubles(1500):
        try:
            text = write(x)
        except ValueError:
            continue
        assert len(text) <= width
        assert "." in text
        if float(text) != x and abs(x) < 1e308:  # the largest would become inf
            digits = len(text.lower().partition("e")[0].replace(".", "").lstrip("-0"))
            assert len(f"{x:.{digits}e}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")) > width


def test_calculix_card() -> None:
    """20 characters, which is all that CalculiX reads, keep at least 13 digits of every number."""
    write = NumberFormat("w20").write
    for x in doubles(2000):
        text = write(x)
        assert len(text) <= 20
        assert abs(float(text) - x) <= max(1e-12 * abs(x), 5e-324)


@pytest.mark.parametrize(
    ("spec", "x", "told"),
    [
        ("10.4f", 1234567.0, ["1234567.0", "'1234567.0000'", "12 characters", "'10.4f'"]),
        ("d", 3.5, ["3.5", "whole number"]),
        ("2d", 100.0, ["100.0", "leaves 2"]),
        ("8D", -1.25e-100, ["-1.25e-100", "leaves 8"]),
        ("w8", -1.23456e-105, ["-1.23456e-105", "8 characters", "3 digits"]),
        ("w8.7", -1234.56789, ["7 digits"]),
        (None, math.nan, ["nan", "allow"]),
        (".6e", math.inf, ["inf", "allow"]),
        (lambda x: "never called", math.nan, ["nan", "allow"]),
        (lambda x: 3, 1.0, ["returned 3"]),
    ],
)
def test_refused_number(spec: object, x: float, told: list[str]) -> None:
    """A number that the format cannot write is an error with the number and the limit."""
    with pytest.raises(ValueError) as caught:
        NumberFormat(spec).write(x)  # type: ignore[arg-type]
    for text in told:
        assert text in str(caught.value)


@pytest.mark.parametrize(
    "spec", ["q", "%", "10,.2f", "_d", "n", ".3d", "w", "w0", "^w8", "e5", "allowed", 6, ["e"]]
)
def test_refused_format(spec: object) -> None:
    """A wrong format is an error at once, which lists what is accepted."""
    with pytest.raises(ValueError) as caught:
        NumberFormat(spec)  # type: ignore[arg-type]
    assert repr(spec) in str(caught.value)
    assert ACCEPTED in str(caught.value)


def test_numpy_scalars() -> None:
    """A NumPy scalar is written as the number it is."""
    numpy = pytest.importorskip("numpy")
    assert NumberFormat().write(numpy.float64(0.1)) == "0.1"
    assert NumberFormat("w20").write(numpy.float64(0.1)) == "0.1"
    assert NumberFormat("allow D").write(numpy.float64(0.5)) == "5.0D-01"


def test_pickle_and_name() -> None:
    """A format survives pickling; its name is the spelling, or the name of the function."""
    assert pickle.loads(pickle.dumps(NumberFormat(".10D"))).write(1.5) == "1.5000000000D+00"
    assert NumberFormat(".6e").name == ".6e"
    assert NumberFormat(doubles).name.endswith("doubles")  # type: ignore[arg-type]
