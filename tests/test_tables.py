"""Evaluations as tables."""

from otwrap.evaluation import Evaluation
from otwrap.tables import rows


def test_names_that_meet_are_told_apart():
    """An output called like an input, or like an attribute, has a column of its own."""
    header, table = rows(["x", "status"], ["x"], [(5, Evaluation((1.0, 2.0), (3.0,)))])
    assert header[:5] == ["id", "x", "status", "x_2", "status_2"]
    assert table[0][:5] == [5, 1.0, 2.0, 3.0, "done"]


def test_a_failure_has_no_numbers():
    """A failed evaluation has None for its outputs, never a number."""
    _, table = rows(["x"], ["y", "z"], [(1, Evaluation((1.0,), None, "failed", "exit code"))])
    assert table[0][2:6] == [None, None, "failed", "exit code"]
