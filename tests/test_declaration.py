"""What users declare, brought into one form."""

import numpy as np
import pytest

from otwrap.command import Command
from otwrap.declaration import commands_of, floats_of, names_of, point_of
from otwrap.errors import InputError, OutputError


def test_commands_of_all_shorthands():
    """A text, a list, a Command and a chain of them mean commands."""
    assert commands_of(None, None) == ()
    assert [commands_of(c, None)[0].argv for c in ("a 'b c'", ["a", "b c"])] == [
        ("a", "b c"),
        ("a", "b c"),
    ]
    chain = commands_of([["mesh"], Command("solve -x", timeout=5), "post"], None)
    assert [command.argv[0] for command in chain] == ["mesh", "solve", "post"]


def test_shorthand_timeout_is_that_of_each_command():
    """timeout= goes to every command."""
    assert [c.timeout for c in commands_of([["a"], ["b"]], 7.0)] == [7.0, 7.0]


@pytest.mark.parametrize("names", [[], ["a", "a"]])
def test_descriptions_need_names_that_differ(names):
    """No name, or one twice, is refused."""
    with pytest.raises(ValueError, match="each of them once"):
        names_of(names, "x")


def test_a_text_is_no_description():
    """inputs='F' would be a list of letters."""
    with pytest.raises(TypeError, match=r"\['F'\]"):
        names_of("F", "x")


def test_numbers_of_all_kinds():
    """Arrays, numpy scalars and sequences are numbers; a text is not."""
    assert floats_of(np.array([[1, 2]])) == [1.0, 2.0]
    assert floats_of(np.float32(0.5)) == [0.5]
    with pytest.raises(OutputError, match="'a'"):
        floats_of("a")


def test_a_point_has_its_length():
    """Too many values are told with both numbers."""
    with pytest.raises(InputError, match=r"3 value\(s\); 2 are expected"):
        point_of([1, 2, 3], 2)
