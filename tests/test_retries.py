"""Failed evaluations are tried again: after a delay, with other settings, or without end while the fault is transient."""

from __future__ import annotations

import sys
import time

import pytest

import otwrap as otw
from otwrap.errors import InputError
from otwrap.evaluation import Evaluation, Task
from otwrap.retries import Retries, TaskQueue

BACKENDS = ["serial", "threads", "multiprocessing", "joblib"]

#: Counts its runs in a file beside, and does what the arguments say.
CODE = """
import os, pathlib, sys, time
runs = pathlib.Path(sys.argv[1])
with runs.open("a") as file:
    file.write(f"{time.time()} {os.environ.get('TOL', '-')}\\n")
times = len(runs.read_text().splitlines())
"""


def wrapper(tmp_path, code, **settings):
    """Return a wrapper of a code that knows how often it ran, in `times`."""
    return otw.Wrapper(
        inputs=["a"],
        outputs=["b"],
        command=[sys.executable, "-c", CODE + code, str(tmp_path / "runs"), "{a}"],
        parsers=[otw.parsers.Stdout()],
        **settings,
    )


def runs(tmp_path):
    """Return when the code ran, and with which tolerance."""
    lines = [line.split() for line in (tmp_path / "runs").read_text().splitlines()]
    return [(float(when), tolerance) for when, tolerance in lines]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_delay_passes_before_the_next_try(backend, tmp_path):
    """With a delay, a failed point waits before it is tried again, and the record counts the attempts."""
    code = wrapper(tmp_path, "sys.exit(3) if times < 3 else print(times)", retries=Retries(2, delay=0.4))
    with otw.Parallelizer(code, backend=backend, n_cpus=2) as f:
        assert f([1.0])[0] == 3.0
        assert f.campaign.evaluations[0].attempts == 3
    moments = [when for when, _ in runs(tmp_path)]
    assert all(later - earlier >= 0.39 for earlier, later in zip(moments, moments[1:], strict=False))


def test_others_go_on_while_one_waits():
    """A point that waits holds up nobody: the others are evaluated meanwhile."""
    queue = TaskQueue([Task(i, (float(i),)) for i in range(3)], Retries(1, delay=0.2))
    clock = time.monotonic()
    first = next(queue)
    assert queue.ended([(first.id, Evaluation(first.input, None, "failed"))]) == []
    assert [next(queue).id, next(queue).id] == [1, 2]
    with pytest.raises(StopIteration):
        next(queue)  # two are in flight: the backend asks again when one ends
    assert time.monotonic() - clock < 0.15
    queue.ended([(i, Evaluation((float(i),), (1.0,))) for i in (1, 2)])
    again = next(queue)
    assert (again.id, again.attempt) == (0, 2)
    assert time.monotonic() - clock >= 0.2
    final = [(0, Evaluation((0.0,), None, "failed", attempts=2))]
    assert queue.ended(final) == final
    with pytest.raises(StopIteration):
        next(queue)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_ladder_changes_settings_from_attempt_to_attempt(backend, tmp_path):
    """Each attempt has the settings of its step; the last step holds for all further ones."""
    ladder = [{"env": {"TOL": "1e-3"}}, {"env": {"TOL": "1e-2"}}]
    code = wrapper(
        tmp_path, "print(times) if times == 4 else sys.exit(1)", retries=Retries(3, retry_with=ladder)
    )
    with otw.Parallelizer(code, backend=backend, n_cpus=2) as f:
        assert f([1.0])[0] == 4.0
        record = f.campaign.evaluations[0]
    assert [tolerance for _, tolerance in runs(tmp_path)] == ["-", "1e-3", "1e-2", "1e-2"]
    assert record.settings == {"env": {"TOL": "1e-2"}}


def test_a_ladder_changes_constants_of_templates_and_time_limits(tmp_path):
    """A constant of a template, a time limit, and the command itself can be a step's."""
    (tmp_path / "in.tmpl").write_text("@A @DT")
    code = "import sys, time; a, dt = open('in.txt').read().split(); print(dt) if dt == '0.001' else time.sleep(9)"
    solver = otw.Wrapper(
        inputs=["a"],
        outputs=["b"],
        templates={"in.txt": otw.Template(tmp_path / "in.tmpl", {"@A": "a"}, constants={"@DT": 0.1})},
        command=[sys.executable, "-c", code],
        parsers=[otw.parsers.Stdout()],
        timeout=0.5,
        retries=Retries(retry_with=[{"constants": {"@DT": 0.001}, "timeout": 20}]),
    )
    with otw.Parallelizer(solver, backend="threads") as f:
        assert f([1.0])[0] == 0.001
        assert f.campaign.evaluations[0].attempts == 2


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_transient_fault_costs_no_attempt(backend, tmp_path):
    """What the code says to be no fault of the point is tried again without end, and leaves no folder."""
    code = wrapper(
        tmp_path,
        "sys.exit('ERROR: all licences are in use') if times < 4 else print(times)",
        retries=Retries(0, transient="licences? .*in use", pause=0.05),
        keep_to=tmp_path / "kept",
    )
    with otw.Parallelizer(code, backend=backend, n_cpus=2) as f:
        assert f([1.0])[0] == 4.0
        assert f.campaign.evaluations[0].attempts == 1
    assert not (tmp_path / "kept").exists() or not list((tmp_path / "kept").iterdir())


def test_a_transient_fault_that_lasts_is_a_failure(tmp_path):
    """After `patience` the point has failed, and says why."""
    code = wrapper(
        tmp_path, "sys.exit('no licence')", retries=Retries(transient="no licence", pause=0.1, patience=0.5)
    )
    with otw.Parallelizer(code, backend="threads") as f:
        record = f.campaign.map([[1.0]])[0]
    assert (record.status, record.cause) == ("failed", "transient")
    assert "no licence" in record.error
    assert 3 <= len(runs(tmp_path)) <= 7


def test_a_transient_fault_may_stand_in_a_file(tmp_path):
    """A pair of a file and a pattern is looked for in the work directory."""
    code = wrapper(
        tmp_path,
        "pathlib.Path('run.log').write_text('licence: denied'); sys.exit(1)",
        retries=Retries(transient=[("run.log", "denied")], patience=0),
    )
    assert code.evaluate([1.0]).cause == "transient"


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"count": -1}, ValueError, "count is -1; give 0 or a positive number"),
        ({"delay": -1.0}, ValueError, "delay is -1.0"),
        ({"retry_with": [5]}, TypeError, "each step is a dict"),
        ({"count": 1, "retry_with": [{}, {}]}, ValueError, "never reaches the last"),
    ],
)
def test_what_is_wrong_with_retries_is_told(settings, error, words):
    """A setting that means nothing is told where it is given."""
    with pytest.raises(error, match=words):
        Retries(**settings)


def test_what_is_wrong_with_a_step_is_told_at_construction(tmp_path):
    """A step that changes what there is not is told when the wrapper is made."""
    for step, error, words in [
        ({"time_out": 5}, ValueError, "'time_out'; accepted are command, constants"),
        ({"timeout": -5}, ValueError, "timeout"),
        ({"constants": {"@DT": 1}}, InputError, "no template"),
    ]:
        with pytest.raises(error, match=words):
            wrapper(tmp_path, "", retries=Retries(retry_with=[step]))
    (tmp_path / "in.tmpl").write_text("@A")
    with pytest.raises(InputError, match="@DT"):
        wrapper(
            tmp_path,
            "",
            templates={"in.txt": otw.Template(tmp_path / "in.tmpl", {"@A": "a"})},
            retries=Retries(retry_with=[{"constants": {"@DT": 1}}]),
        )
