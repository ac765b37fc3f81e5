"""How the steps of a wrapper want to be called."""

import pytest

from otwrap.logs import Debug
from otwrap.steps import step_arguments


def both(self, x, workdir): ...
def only_point(self, X): ...
def only_workdir(self, folder): ...
def neither(self): ...
def too_many(self, x, workdir, other): ...
def optional(self, workdir, verbose=False): ...


@pytest.mark.parametrize(
    ("name", "function", "expected"),
    [
        ("_prepare_input", both, ("point", "workdir")),
        ("_prepare_input", only_point, ("point",)),
        ("_run_code", only_point, ("point",)),
        ("_run_code", only_workdir, ("workdir",)),
        ("_run_code", neither, ()),
        ("_parse_output", neither, ()),
        ("_parse_output", optional, ("workdir",)),
    ],
)
def test_signatures_of_the_slides_and_of_today(name, function, expected):
    """A step gets the point, the work directory, both or neither, as its signature says."""
    assert step_arguments(name, function) == expected


def test_a_decorated_step_keeps_its_signature(tmp_path):
    """Debug around a step changes nothing."""
    assert step_arguments("_run_code", Debug(str(tmp_path / "log"))(neither)) == ()


def test_a_step_that_asks_for_more_is_refused():
    """The message shows how the step is written."""
    with pytest.raises(TypeError, match=r"def _run_code\(self, workdir\)"):
        step_arguments("_run_code", too_many)
