"""Every status and every cause, each made to happen by a real program, on `serial` and on `multiprocessing`.

One study a backend: a point for each thing that goes wrong, between points where all is well. The record of each
says what it should, no point is run once too often, and nothing is left of any of them.
"""

import math
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import NamedTuple

import pytest

import otwrap as otw
from otwrap.evaluation import CAUSES, STATUSES
from otwrap.process import end_all
from otwrap.testing import FakeSimulator, Fault

BACKENDS = ["serial", "multiprocessing"]


class Case(NamedTuple):
    """A fault, what the record of its point should say, and what its text should tell."""

    fault: Fault
    status: str
    cause: str
    text: str
    exit_code: int | None = 0


CASES = [
    Case(Fault("slow", value=0.1), "done", "", ""),
    Case(Fault("children"), "done", "", ""),
    Case(Fault("output enormous", value="5 MB"), "done", "", ""),
    Case(Fault("exit code", value=4), "failed", "exit code", "exit code 4 .*the model is singular", 4),
    Case(Fault("licence"), "failed", "transient", "no licence available", 75),
    Case(Fault("abort"), "failed", "signal", "SIGABRT", -signal.SIGABRT),
    Case(Fault("segfault"), "failed", "signal", "SIGSEGV .*crashed", -signal.SIGSEGV),
    Case(Fault("kill"), "killed", "signal", "SIGKILL .*not otwrap's doing", -signal.SIGKILL),
    Case(Fault("hang"), "timeout", "time limit", r"time limit of 2 s.*timeout=", -signal.SIGTERM),
    Case(Fault("endless printing"), "timeout", "time limit", "time limit.*no progress", -signal.SIGTERM),
    Case(Fault("memory", value="400 MB"), "killed", "memory limit", "limit of 150000000.*memory=", None),
    Case(Fault("no convergence"), "failed", "failure pattern", "'ERROR: no convergence'"),
    Case(Fault("output partial"), "failed", "success pattern missing", "NORMAL END.*was not found"),
    Case(Fault("output missing"), "failed", "output missing", "output.txt.*no such file"),
    Case(Fault("output empty"), "failed", "output empty", "output.txt.*an empty file"),
    Case(Fault("output stale"), "failed", "output stale", "output.txt.*older than the run"),
    Case(Fault("output garbled"), "failed", "no match", "output.txt.*'y0 = number'.*found nothing"),
    Case(Fault("nan"), "invalid", "not a number", "'y1 = nan'"),
    Case(Fault("inf"), "invalid", "not a number", "'y1 = -inf'"),
    Case(Fault("stars"), "invalid", "not a number", r"\*\*\*\*.*wider than its field"),
    Case(Fault("out of range"), "invalid", "out of range", r"1e\+300.*Valid is \[-1000.0, 1000.0\]"),
]  # fmt: skip

#: What no program can do to itself, and where it is tested below.
ELSEWHERE = {
    ("failed", "input"),
    ("failed", "command not found"),
    ("failed", "output"),
    ("failed", "exception"),
    ("killed", "worker lost"),
    ("cancelled", "cancelled"),
}


def test_nothing_is_left_out():
    """Each status and each cause that a record can have is made to happen here."""
    made = {(case.status, case.cause) for case in CASES} | ELSEWHERE
    assert {status for status, _ in made} == set(STATUSES)
    assert {cause for _, cause in made} == set(CAUSES)


def make(folder):
    """Return a simulator whose point i + 0.5 meets fault i, and no other point any."""
    faults = [Fault(**{**vars(case.fault), "where": f"{i} < x0 < {i + 1}"}) for i, case in enumerate(CASES)]
    return FakeSimulator(
        2, 2, faults=faults, folder=folder, base_temp_work_dir=f"{folder}/work", timeout=2, memory="150 MB",
        failure="^ERROR: no conv", success="^NORMAL END", valid=(-1000, 1000),
        retries=otw.Retries(transient="no licence", patience=0.3, pause=0.1),
    )  # fmt: skip


class Study(NamedTuple):
    """What came of a study."""

    simulator: FakeSimulator
    evaluations: list
    points: list
    left_over: list
    campaign: otw.Campaign


@pytest.fixture(scope="module", params=BACKENDS)
def study(request, tmp_path_factory):
    """One study with everything that can go wrong, and a good point after each."""
    folder = tmp_path_factory.mktemp(request.param)
    simulator = make(folder)
    points = [[i + offset, 0.25] for i in range(len(CASES)) for offset in (0.5, 100.0)]
    with otw.Campaign(simulator, request.param, 2, store=folder / "store") as campaign:
        evaluations = campaign.map(points)
        deadline = time.monotonic() + 5.0
        while simulator.processes() and time.monotonic() < deadline:
            time.sleep(0.05)
        yield Study(simulator, evaluations, points, simulator.processes(), campaign)


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case.fault.kind for case in CASES])
def test_each_says_what_it_is(study, number):
    """Status, cause, exit code and a text that tells; the simulator expects the same."""
    case, evaluation = CASES[number], study.evaluations[2 * number]
    assert (evaluation.status, evaluation.cause) == (case.status, case.cause)
    assert evaluation.exit_code == case.exit_code or case.exit_code is None
    expected = study.simulator.expected(evaluation.point)
    assert (expected.status, expected.cause, expected.output) == (
        evaluation.status,
        evaluation.cause,
        evaluation.output,
    )
    assert_text(evaluation, case.text)


def assert_text(evaluation, text):
    """Check that a record's text has some words, and where its files are, if they were kept."""
    assert bool(evaluation.error) != evaluation.done
    assert re.search(text, evaluation.error.replace("\n", " ")), evaluation.error
    if evaluation.workdir is not None:
        assert evaluation.workdir in evaluation.error
        assert os.path.exists(f"{evaluation.workdir}/input.txt") == (evaluation.cause != "input")


def test_a_failed_run_keeps_its_folder(study):
    """Each failed record names a folder that is there; good ones keep none, and no other folder is left."""
    kept = {evaluation.workdir for evaluation in study.evaluations} - {None}
    failed = [e for e in study.evaluations if not e.done and e.cause != "transient"]
    assert len(kept) == len(failed)
    study.campaign.close()
    there = {f"{study.simulator.folder}/work/{name}" for name in os.listdir(f"{study.simulator.folder}/work")}
    assert there == kept


def test_good_points_do_not_notice(study):
    """Every other point is done, with the number to the last bit."""
    good = study.evaluations[1::2]
    assert [e.output for e in good] == [study.simulator.expected(e.point).output for e in good]
    assert all(e.done and e.attempts == 1 for e in good)


def test_each_point_ran_once(study):
    """The code's own log has one run for each point, and more for transient faults alone."""
    ran = [run.point for run in study.simulator.runs()]
    licence = [case.fault.kind for case in CASES].index("licence") + 0.5
    assert sorted(set(ran)) == sorted(map(tuple, study.points))
    assert {point[0] for point in ran if ran.count(point) > 1} == {licence}


def test_nothing_is_left_running(study):
    """5 s after the study no process of the code is there, children in sessions of their own included."""
    assert study.left_over == []


def test_store_says_the_same(study):
    """The next day serves what the study got, text and all, if failed points are not to run again."""
    study.campaign.close()
    before = len(study.simulator.runs())
    store = f"{study.simulator.folder}/store"
    with otw.Campaign(make(study.simulator.folder), "serial", store=store, rerun_failed=0) as campaign:
        assert campaign.map(study.points) == study.evaluations
    assert len(study.simulator.runs()) == before


class Shaky(FakeSimulator):
    """A parser of one's own that is wrong in places."""

    def _parse_output(self, workdir):
        (value,) = super()._parse_output(workdir)
        if value == 1.0:
            raise KeyError("stress")
        return [value] * (2 if value == 2.0 else 1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_goes_wrong_in_python(backend):
    """A point that cannot be written, a parser that raises, and one that returns too many numbers."""
    with otw.Campaign(Shaky(1), backend, 2) as campaign:
        evaluations = campaign.map([[math.nan], [1.0], [2.0], [3.0]])
    assert [(e.status, e.cause) for e in evaluations] == [
        ("failed", "input"),
        ("failed", "exception"),
        ("failed", "output"),
        ("done", ""),
    ]
    for evaluation, text in zip(evaluations, ["nan is not written", "KeyError: 'stress'", r"2 value\(s\)", ""], strict=True):  # fmt: skip
        assert_text(evaluation, text)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_program_that_is_not_there(backend, tmp_path):
    """The record names the program and where it was looked for."""
    simulator = FakeSimulator(1, folder=tmp_path)
    with otw.Campaign(simulator, backend, 2) as campaign:
        os.unlink(tmp_path / "simulator")
        (evaluation,) = campaign.map([[1.0]])
    assert (evaluation.status, evaluation.cause) == ("failed", "command not found")
    assert_text(evaluation, "simulator")


def test_a_worker_that_dies_costs_its_point():
    """A code that kills its worker is tried once more in a fresh one, then recorded; nothing is left of it."""
    simulator = FakeSimulator(
        1, faults=[Fault("children", where="x0 > 9"), Fault("worker lost", where="x0 > 9")]
    )
    points = [[float(i)] for i in range(11)]
    with otw.Campaign(simulator, "multiprocessing", 2) as campaign:
        evaluations = campaign.map(points)
    assert [(e.status, e.cause) for e in evaluations] == [("done", "")] * 10 + [("killed", "worker lost")]
    assert_text(evaluations[10], "worker process died twice .signal 9")
    assert simulator.expected([10.0])[:2] == ("killed", "worker lost")
    ran = [run.point[0] for run in simulator.runs()]
    assert (ran.count(10.0), len(set(ran))) == (2, 11)
    assert_nothing_left(simulator)


def assert_nothing_left(simulator):
    """Check that all processes of the code are gone after 5 s."""
    deadline = time.monotonic() + 5.0
    while simulator.processes() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert simulator.processes() == []


def test_on_serial_the_worker_is_the_driver(tmp_path):
    """A code that kills its driver leaves nothing running; all that had ended is recorded, and nothing else runs again."""
    script = f"""
        import otwrap as otw
        from otwrap.testing import FakeSimulator, Fault
        faults = [Fault(kind, where="4 < x0 < 6", tries=1) for kind in ("children", "worker lost")]
        simulator = FakeSimulator(1, faults=faults, folder={str(tmp_path)!r})
        with otw.Campaign(simulator, "serial", store={str(tmp_path / "store")!r}) as campaign:
            print(campaign.outputs([[float(i)] for i in range(8)]))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    first = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert first.returncode == -signal.SIGKILL
    simulator = FakeSimulator(1, folder=tmp_path / "other")
    simulator._plan["log"], simulator.folder = str(tmp_path / "runs.log"), str(tmp_path)
    assert_nothing_left(simulator)
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert second.stdout.strip() == str([(float(i),) for i in range(8)])
    ran = [run.point[0] for run in simulator.runs()]
    assert sorted(ran) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 6.0, 7.0]


def test_what_is_cancelled_runs_again(tmp_path):
    """A run that was cancelled is recorded as such, keeps no folder, and is served by the next call."""
    hang = Fault("hang", where="x0 > 0", tries=1)
    simulator = FakeSimulator(1, faults=[hang], folder=tmp_path, base_temp_work_dir=tmp_path / "work")
    with otw.Campaign(simulator, "serial") as campaign:
        ender = threading.Thread(target=lambda: wait_for(simulator.processes) and end_all())
        ender.start()
        (evaluation,) = campaign.map([[1.0]])
        ender.join()
        assert (evaluation.status, evaluation.cause) == ("cancelled", "cancelled")
        assert_text(evaluation, "cancelled after")
        assert evaluation.workdir is None
        assert simulator.processes() == []
        assert campaign.outputs([[1.0]]) == [(1.0,)]


def test_stopping_early_cancels_in_the_workers(tmp_path):
    """Closing the stream ends the codes that run, children that ignore TERM too; the next call runs them again."""
    faults = [Fault("children", where="x0 > 0", tries=1), Fault("hang", where="x0 > 0", tries=1)]
    simulator = FakeSimulator(1, faults=faults, folder=tmp_path, base_temp_work_dir=tmp_path / "work")
    with otw.Campaign(simulator, "multiprocessing", 2) as campaign:
        stream = campaign.run([[0.0], [1.0]])
        assert next(stream).output == (0.0,)
        assert wait_for(lambda: len(simulator.processes()) == 4)
        stream.close()
        assert_nothing_left(simulator)
        assert [e.point for e in campaign.evaluations] == [(0.0,)]
        assert campaign.outputs([[0.0], [1.0]]) == [(0.0,), (1.0,)]
    assert wait_for(lambda: os.listdir(tmp_path / "work") == [], 5.0)
    assert [run.point[0] for run in simulator.runs() if run.end is None] == [1.0]
    assert len(simulator.runs()) == 3


def wait_for(condition, seconds=20.0):
    """Wait until a condition holds, and say whether it does."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(condition())
