"""Points that a shell alone runs: in a task of an array, within its time limit, each once."""

import os
import subprocess
import time

import pytest

import otwrap as otw
from otwrap.batch import write_folder
from otwrap.batch.arrivals import Arrivals
from otwrap.batch.shell import write_point_again
from otwrap.batch.work import shell_work
from otwrap.errors import InputError
from otwrap.evaluator import evaluator_of


def model():
    """Return a wrapper whose code sleeps for its second input, and fails above 99."""
    code = "case {x} in 1??.*) exit 7 ;; esac; sleep {s}; echo run >>../runs.txt; echo y = {x}"
    return otw.Wrapper(
        ["x", "s"],
        ["y"],
        command=otw.Command(code, shell=True),
        parsers=[otw.parsers.Value("stdout.txt", "y =")],
    )


@pytest.fixture
def made(tmp_path):
    """Return a function that makes a folder of points and one array, and runs a task of it."""

    def make(points, at_a_time=1):
        folder = write_folder(tmp_path / "queue", evaluator_of(model()), points, name="m", way="shell")
        work, point = shell_work("jobs/001", at_a_time)
        folder.add_job([list(range(len(points)))], {}, lambda place: {"script.sh": work, "point.sh": point})
        return folder

    return make


def run(folder, **environment):
    """Run the task as its script does, and return what it said."""
    env = {**os.environ, "OTWRAP_TASK": "1", "OTWRAP_STARTED": str(int(time.time())), **environment}
    ended = subprocess.run(
        ["sh", "jobs/001/script.sh"], cwd=folder.path, env=env, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_each_point_is_run_once(made):
    """What a task has run it does not run again; the records are those of the points."""
    folder = made([(1.0, 0.0), (100.0, 0.0), (3.0, 0.0)])
    run(folder)
    run(folder)
    arrivals = {a.number: a.evaluation for a in Arrivals(folder, model()).new()}
    assert [arrivals[n].status for n in range(3)] == ["done", "failed", "done"]
    assert arrivals[0].output == (1.0,) and arrivals[1].exit_code == 7
    assert (folder.path / "runs.txt").read_text().count("run") == 2


def test_several_at_a_time(made):
    """A task of several CPUs runs as many points at a time."""
    folder = made([(float(n), 1.0) for n in range(4)], at_a_time=4)
    clock = time.monotonic()
    run(folder)
    assert time.monotonic() - clock < 3.5


def test_no_point_is_begun_that_the_limit_would_cut(made):
    """Near the time limit points are left, and the log says which."""
    folder = made([(float(n), 1.0) for n in range(9)])
    said = run(folder, OTWRAP_TIME_LIMIT="6")
    ended = Arrivals(folder, model()).new()
    assert 0 < len(ended) < 9 and all(arrival.evaluation.done for arrival in ended)
    assert "is not begun: the time limit of 6 s is near" in said


def test_a_point_again_begins_afresh(made):
    """Nothing of an earlier run stays in the folder of a point; it is put aside."""
    folder = made([(100.0, 0.0)])
    run(folder)
    place = folder.path / "point-000000"
    (place / "left.txt").write_text("old")
    write_point_again(model(), (100.0, 0.0), 0, place)
    assert not (place / "left.txt").exists() and not (place / "exit_code.txt").exists()
    assert (folder.path / "earlier" / "point-000000-1" / "left.txt").read_text() == "old"


def test_what_only_python_runs_is_refused(tmp_path):
    """A model whose run step is Python's cannot be written for a shell, and nothing is left behind."""

    class Own(otw.Wrapper):
        def __init__(self):
            super().__init__(["x"], ["y"])

        def _run_code(self, workdir):
            pass

        def _parse_output(self, workdir):
            return [1.0]

    with pytest.raises(InputError, match="has its own _run_code"):
        write_folder(tmp_path / "queue", evaluator_of(Own()), [(1.0,)], name="own", way="shell")
    assert not list(tmp_path.iterdir())
