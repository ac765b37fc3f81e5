"""Curves with abscissas of the code's own choice."""

from __future__ import annotations

import openturns as ot
import pytest

from otwrap.errors import OutputError
from otwrap.parsers import Csv, Curve


def curve(at, **settings):
    """Return a parser of the two columns of out.csv."""
    return Curve(Csv("out.csv", "t", row="all"), Csv("out.csv", "u", row="all"), at, **settings)


def write(folder, *rows):
    """Write rows of t and u."""
    (folder / "out.csv").write_text("\n".join(["t,u", *(f"{t},{u}" for t, u in rows)]))


def test_values_lie_between_the_rows(tmp_path):
    """Runs with other steps give the same abscissas, the ends and a jump included."""
    write(tmp_path, (0, 0), (0.3, 3), (1, 10))
    assert curve(ot.RegularGrid(0.0, 0.5, 3))(tmp_path) == [0.0, 5.0, 10.0]
    write(tmp_path, (0, 0), (0.5, 5), (0.5, 7), (1, 10), (2, 20))
    assert curve([0.25, 0.75, 1.0])(tmp_path) == [2.5, 8.5, 10.0]


def test_ends_may_be_rounded(tmp_path):
    """A last row that was printed with few digits is the end."""
    write(tmp_path, (0, 0), (0.99999999, 10))
    assert curve([0.0, 1.0])(tmp_path) == [0.0, 10.0]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([(0, 1), (0.9, 2)], "found a curve from 0.0 to 0.9. Look whether the code stopped before its end"),
        ([(0.1, 1), (2, 2)], "from 0.1"),
        ([(0, 1), (1, 2), (0, 1), (1, 2)], "found 0.0 after 1.0"),
    ],
)
def test_what_is_no_such_curve_fails(tmp_path, rows, words):
    """A run that stopped early, or two runs in one file, is told and not extrapolated."""
    write(tmp_path, *rows)
    with pytest.raises(OutputError, match=words) as caught:
        curve([0.0, 1.0])(tmp_path)
    assert caught.value.cause == "no match"


def test_missing_file_and_bad_values_are_told(tmp_path):
    """What its two parsers find wrong is told as theirs; `valid` is about the values."""
    with pytest.raises(OutputError, match=r"out\.csv"):
        curve([0.0, 1.0])(tmp_path)
    write(tmp_path, (0, 0), (1, 1e106))
    with pytest.raises(OutputError) as caught:
        curve([0.0, 1.0], valid=(0, 100))(tmp_path)
    assert (caught.value.status, caught.value.cause) == ("invalid", "out of range")
    (tmp_path / "out.csv").write_text("t,u\n0,1\n1,nan\n")
    with pytest.raises(OutputError, match="not a number"):
        curve([0.0, 1.0])(tmp_path)


def test_columns_of_different_lengths_are_told(tmp_path):
    """Abscissas and ordinates that do not go together are told."""
    write(tmp_path, (0, 0), (1, 1))
    with pytest.raises(OutputError, match="2 abscissas and 1 ordinates"):
        Curve(Csv("out.csv", "t", row="all"), Csv("out.csv", "u"), [0.0])(tmp_path)


def test_settings_are_checked_and_identify(tmp_path):
    """No parser or no abscissas is an error at once; other abscissas are another parser."""
    with pytest.raises(TypeError, match="x is 't'"):
        Curve("t", Csv("out.csv", 1), [0.0])
    with pytest.raises(ValueError, match="at is empty"):
        curve([])
    with pytest.raises(ValueError, match="dimension 2"):
        curve(ot.Mesh([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [[0, 1, 2]]))
    assert curve([0.0, 1.0]).fingerprint() == curve(ot.RegularGrid(0.0, 1.0, 2)).fingerprint()
    assert curve([0.0, 1.0]).fingerprint() != curve([0.0, 2.0]).fingerprint()
