"""One point on every worker of a backend, as the doctor looks at them."""

import os
from concurrent.futures import ThreadPoolExecutor

import openturns as ot
import pytest

import otwrap as otw
from otwrap.backends import Executor, create_backend
from otwrap.doctor import examine
from otwrap.evaluator import evaluator_of


class WhoAmI(ot.OpenTURNSPythonFunction):
    """Returns the number of its process, or ends it."""

    def __init__(self):
        super().__init__(1, 1)

    def _exec(self, x):
        if x[0] < 0.0:
            os._exit(3)
        return [os.getpid()]


@pytest.fixture(params=["multiprocessing", "executor"])
def three(request):
    """A backend with three workers."""
    if request.param == "multiprocessing":
        backend = create_backend("multiprocessing", 3)
        yield backend
        backend.close()
        return
    with ThreadPoolExecutor(3) as pool:
        backend = Executor(pool)
        yield backend
        backend.close()


def test_every_worker_has_the_point_once(three):
    """Three workers, three answers from three processes; afterwards the backend does its usual work."""
    evaluations = list(three.survey(evaluator_of(WhoAmI()), [1.0]))
    assert [evaluation.status for evaluation in evaluations] == ["done"] * 3
    assert len({evaluation.output for evaluation in evaluations}) == 3
    with otw.Campaign(WhoAmI(), three) as campaign:
        assert len(campaign.outputs([[float(i)] for i in range(20)])) == 20


def test_a_worker_that_dies_of_it_is_told(three):
    """A point that ends the process is told of each worker, and nothing hangs."""
    evaluations = list(three.survey(evaluator_of(WhoAmI()), [-1.0]))
    assert [evaluation.cause for evaluation in evaluations] == ["worker lost"] * 3


@pytest.fixture
def wrapper(tmp_path):
    """A wrapper whose program is in a folder of its own."""
    program = tmp_path / "code"
    program.write_text("#!/bin/sh\necho $1\n")
    program.chmod(0o755)
    return otw.Wrapper(
        ["a"],
        ["y"],
        command=[str(program), "{a}"],
        parsers=[otw.parsers.LineColumn("stdout.txt", 1, 1)],
        nominal=[2.0],
    )


def test_the_doctor_tells_each_worker_in_a_line(wrapper, tmp_path):
    """Host, versions, the executable that was found, and the time; the estimate counts the workers."""
    with ThreadPoolExecutor(3) as pool:
        report = examine(wrapper, backend=Executor(pool))
    (finding,) = [finding for finding in report.findings if finding.name == "workers"]
    assert finding.outcome == "ok", finding.text
    lines = finding.text.splitlines()
    assert len(lines) == 3
    for line in lines:
        assert f"{os.uname().nodename}, process " in line
        assert "otwrap " in line and "openturns " in line
        assert f"{tmp_path / 'code'}; " in line
        assert line.endswith("s")
    assert "3 at a time" in report.verdict


def test_the_doctor_finds_the_worker_that_cannot(wrapper, tmp_path, monkeypatch):
    """A worker whose answer is another one is a problem that names its host."""
    (tmp_path / "code").write_text('#!/bin/sh\nif [ -n "$ELSEWHERE" ]; then echo 5; else echo $1; fi\n')
    monkeypatch.setattr("otwrap.backends._launch._environment", lambda: {**os.environ, "ELSEWHERE": "yes"})
    with ThreadPoolExecutor(2) as pool:
        report = examine(wrapper, backend=Executor(pool))
    (finding,) = [finding for finding in report.findings if finding.name == "workers"]
    assert finding.outcome == "problem"
    assert "2 of 2 workers cannot do the work" in finding.text
    assert "the answer is (5.0,), and (2.0,) here" in finding.text


def test_the_workers_may_have_a_code_that_is_not_here(wrapper, tmp_path, monkeypatch):
    """The code is looked for where it runs: on the workers, also if this machine has none."""
    wrapper = otw.Wrapper(
        ["a"],
        ["y"],
        command=["code", "{a}"],
        parsers=[otw.parsers.LineColumn("stdout.txt", 1, 1)],
        nominal=[2.0],
    )
    there = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    monkeypatch.setattr("otwrap.backends._launch._environment", lambda: there)
    with ThreadPoolExecutor(2) as pool:
        report = examine(wrapper, backend=Executor(pool))
    outcomes = {finding.name: finding.outcome for finding in report.findings}
    assert outcomes["executable"] == "problem"
    assert outcomes["workers"] == "ok"
