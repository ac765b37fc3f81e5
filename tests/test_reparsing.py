"""A changed parser reads the kept work directories again: the code does not run."""

from __future__ import annotations

import shutil
import sys

import pytest

import otwrap as otw
from otwrap.errors import SampleError, StoreError

CODE = (
    "import sys, pathlib; a = sys.argv[2]; open(sys.argv[1], 'a').write(a + chr(10)); "
    "pathlib.Path('out.txt').write_text('first = ' + a + chr(10) + 'second = 2' + a + chr(10))"
)
X = [[1.0], [2.0], [3.0]]


def model(tmp_path, key, **settings):
    """Return a wrapper that reads one of two numbers of the code's output."""
    return otw.Wrapper(
        inputs=["a"],
        outputs=["y"],
        command=[sys.executable, "-I", "-S", "-c", CODE, str(tmp_path / "runs"), "{a}"],
        parsers=[otw.parsers.Value("out.txt", f"{key} =")],
        **settings,
    )


def number_of_runs(tmp_path):
    """Return how often the code ran."""
    return len((tmp_path / "runs").read_text().splitlines())


def study(tmp_path, key, on_change="refuse", **settings):
    """Return the outputs of the sample."""
    with otw.Parallelizer(
        model(tmp_path, key, **settings), backend="threads", store=tmp_path / "s.sqlite", on_change=on_change
    ) as f:
        return [y[0] for y in f(X)]


def test_kept_folders_are_parsed_again(tmp_path):
    """With all folders kept, another parser gives its numbers from the same three runs, and again from the store."""
    keep = {"keep": "all", "keep_to": tmp_path / "kept"}
    assert study(tmp_path, "first", **keep) == [1.0, 2.0, 3.0]
    assert study(tmp_path, "second", **keep) == [21.0, 22.0, 23.0]
    assert study(tmp_path, "second", **keep) == [21.0, 22.0, 23.0]
    assert study(tmp_path, "first", **keep) == [1.0, 2.0, 3.0]
    assert number_of_runs(tmp_path) == 3


def test_a_failure_of_the_parser_is_mended_without_a_run(tmp_path):
    """Points that failed because the parser was wrong are good once it is right."""
    keep = {"keep_to": tmp_path / "kept"}
    with pytest.raises(SampleError, match="3 of 3 points failed"):
        study(tmp_path, "frist", **keep)
    assert study(tmp_path, "first", **keep) == [1.0, 2.0, 3.0]
    assert number_of_runs(tmp_path) == 3


def test_what_kept_nothing_is_told_with_its_cost(tmp_path):
    """Good evaluations without a folder are not run again unasked: the error names them and what they would cost."""
    study(tmp_path, "first")
    with pytest.raises(
        StoreError,
        match=r"3 good ones kept no .*a=[123]\.0; a=[123]\.0; a=[123]\.0\. .* of computing: on_change",
    ):
        study(tmp_path, "second")
    assert number_of_runs(tmp_path) == 3
    assert study(tmp_path, "second", on_change="rerun") == [21.0, 22.0, 23.0]
    assert number_of_runs(tmp_path) == 6


def test_rerun_runs_only_what_kept_nothing(tmp_path):
    """With some folders gone, 'rerun' parses the others and runs these alone."""
    study(tmp_path, "first", keep="all", keep_to=tmp_path / "kept")
    shutil.rmtree(sorted((tmp_path / "kept").iterdir())[0])
    assert study(tmp_path, "second", on_change="rerun", keep="all") == [21.0, 22.0, 23.0]
    assert number_of_runs(tmp_path) == 4


def test_another_code_is_not_taken_for_another_parser(tmp_path):
    """If the version of the code changed too, kept folders are not parsed again."""
    study(tmp_path, "first", keep="all", keep_to=tmp_path / "kept")
    with pytest.raises(StoreError, match="command|version"):
        study(tmp_path, "second", version="2")


def test_a_parser_that_fails_again_is_recorded(tmp_path):
    """Where the new parser finds nothing, the point has failed for that reason."""
    study(tmp_path, "first", keep="all", keep_to=tmp_path / "kept")
    with otw.Campaign(model(tmp_path, "third"), "serial", store=tmp_path / "s.sqlite") as campaign:
        assert {record.cause for record in campaign.evaluations} == {"no match"}
        assert "kept" in campaign.failures()[0].error
    assert number_of_runs(tmp_path) == 3
