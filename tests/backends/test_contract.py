"""The promises that every backend keeps."""

import math
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import openturns as ot
import pytest
from clusters import ENGINES, QUEUES
from engines import MPIEXEC

import otwrap as otw

#: Engines are started once, by tests/clusters.py.
OF_PROCESSES = [
    "multiprocessing",
    "joblib",
    "executor",
    *(pytest.param(name, marks=pytest.mark.services) for name in ENGINES),
]
QUEUED = [pytest.param(name, marks=pytest.mark.services) for name in QUEUES]
#: Those that answer at once; a batch system takes seconds to start a task.
PROMPT = ["serial", "threads", *OF_PROCESSES]
BACKENDS = [*PROMPT, *QUEUED]


class Model(ot.OpenTURNSPythonFunction):
    """A function that does as its second input says."""

    def __init__(self, folder=None):
        super().__init__(2, 1)
        self.folder = folder

    def _exec(self, x):
        if self.folder is not None:
            with open(os.path.join(self.folder, f"{x[0]!r}"), "a") as file:
                file.write("x")
        if x[1] == 1.0:
            raise ValueError("no convergence")
        if x[1] == 2.0:
            os.kill(os.getpid(), signal.SIGKILL)
        if x[1] == 3.0:
            return [math.nan]
        if x[1] > 10.0:
            time.sleep(x[1] - 10.0)
        return [2.0 * x[0]]


@pytest.fixture(scope="module")
def executor():
    """An executor that this process has anyway; its workers are spawned, not forked."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.fixture(params=BACKENDS)
def backend(request, engine):
    """What `backend=` is given: the name of each backend that is installed, an executor, or a backend."""
    name = request.param
    if name == "joblib":
        pytest.importorskip("joblib")
    if name in {**ENGINES, **QUEUES}:
        return engine(name).backend
    return request.getfixturevalue("executor") if name == "executor" else name


@pytest.fixture
def scripted(request, backend, engine):
    """The same, as a script says it, and the command that runs the script."""
    name = request.node.callspec.params["backend"]
    if name == "mpi":
        # A job of its own, and no part of the one that these tests run in.
        ours = [f"--unset={name}" for name in os.environ if name.startswith(("OMPI_", "PMIX_"))]
        return repr(backend), ["env", *ours, *MPIEXEC, sys.executable, "-m", "mpi4py.futures"]
    if isinstance(backend, otw.backends.Backend):
        # A node of dispy serves one driver at a time.
        backend.close()
    if name in {**ENGINES, **QUEUES}:
        return engine(name).words, [sys.executable]
    words = "concurrent.futures.ThreadPoolExecutor(2)" if name == "executor" else repr(name)
    return words, [sys.executable]


def sample(size):
    """Return points that are evaluated without ado."""
    return [[float(i) + 0.1, 0.0] for i in range(size)]


def test_outputs_come_in_the_order_of_the_points(backend):
    """Whatever ends first, Y[i] belongs to X[i], bit for bit."""
    points = np.random.default_rng(0).random((200, 2)) * [1e9, 0.5]
    with otw.Campaign(Model(), backend, 2) as campaign:
        assert [y for (y,) in campaign.outputs(points)] == (2.0 * points[:, 0]).tolist()


def test_a_failing_point_costs_nobody_else_and_keeps_its_reason(backend):
    """Failures are records with a status, a cause and the words of the code."""
    points = sample(20)
    points[7][1], points[13][1] = 1.0, 3.0
    with otw.Campaign(Model(), backend, 2) as campaign:
        evaluations = campaign.map(points)
    assert [i for i, e in enumerate(evaluations) if not e.done] == [7, 13]
    assert (evaluations[7].status, evaluations[7].cause) == ("failed", "exception")
    assert "no convergence" in evaluations[7].error
    assert (evaluations[13].status, evaluations[13].cause) == ("invalid", "not a number")


@pytest.mark.parametrize("backend", PROMPT, indirect=True)
def test_results_come_as_they_end(backend):
    """The first evaluation is there long before the last one ends."""
    points = [*sample(4), [9.0, 11.0]]
    with otw.Campaign(Model(), backend, 2) as campaign:
        campaign.outputs(sample(1))
        clock = time.perf_counter()
        next(stream := campaign.run(points))
        first = time.perf_counter() - clock
        rest = list(stream)
    assert len(rest) == 4
    assert first < 0.8


class Timed(ot.OpenTURNSPythonFunction):
    """A function that takes a while and says when it began and ended, on the clock that all processes share."""

    def __init__(self):
        super().__init__(1, 2)

    def _exec(self, x):
        began = time.monotonic()
        time.sleep(0.2)
        return [began, time.monotonic()]


def test_so_many_evaluations_run_at_a_time(backend):
    """With `n_cpus=2` it is two, and never more; one where they run one after the other."""
    with otw.Campaign(Timed(), backend, 2) as campaign:
        times = campaign.outputs([[float(i)] for i in range(10)])
    at_a_time = [sum(began <= moment < ended for began, ended in times) for moment, _ in times]
    assert max(at_a_time) == (1 if backend == "serial" else 2)


class Brought:
    """Whoever unpickles it says so in a file."""

    def __init__(self, file):
        self.file = file

    def __setstate__(self, state):
        self.__dict__.update(state)
        with open(self.file, "a") as file:
            print(os.getpid(), file=file)


class Bringing(ot.OpenTURNSPythonFunction):
    """A function that brings something along."""

    def __init__(self, file):
        super().__init__(1, 1)
        self.brought = Brought(file)

    def _exec(self, x):
        return [os.getpid()]


@pytest.mark.parametrize("backend", OF_PROCESSES, indirect=True)
def test_a_model_travels_once_per_worker(backend, tmp_path):
    """Each of two workers makes it once, in all of two samples of many points."""
    file = tmp_path / "made"
    with otw.Campaign(Bringing(str(file)), backend, 2) as campaign:
        first = campaign.outputs([[float(i)] for i in range(100)])
        second = campaign.outputs([[-1.0 - i] for i in range(100)])
    workers = {int(pid) for (pid,) in [*first, *second]}
    made = [int(pid) for pid in file.read_text().split()]
    assert workers <= set(made)
    assert len(made) == len(set(made)) <= 2


@pytest.mark.parametrize("backend", PROMPT, indirect=True)
def test_load_is_shared_point_by_point(backend):
    """One slow point among many does not make the others of its share wait."""
    points = [[0.5, 11.0], *[[float(i), 10.04] for i in range(1, 21)]]
    with otw.Campaign(Model(), backend, 2) as campaign:
        campaign.outputs([[100.0, 0.0], [101.0, 0.0]])
        clock = time.perf_counter()
        campaign.outputs(points)
        seconds = time.perf_counter() - clock
    if backend != "serial":
        assert seconds < 1.5


def test_each_point_is_evaluated_once(backend, tmp_path):
    """No point of a sample is sent twice, and one that comes twice is run once."""
    points = sample(50) + sample(5)
    with otw.Campaign(Model(str(tmp_path)), backend, 2) as campaign:
        assert len(list(campaign.run(points))) == 55
    assert sorted(file.read_text() for file in tmp_path.iterdir()) == ["x"] * 50


def test_retries_are_fed_in(backend, tmp_path):
    """A failed point is tried again in the same call, as often as asked, and the attempts are counted."""
    wrapper = otw.Wrapper(
        ["a"],
        ["y"],
        command=[
            "sh",
            "-c",
            f"echo x >> {tmp_path}/n$0; test $(wc -l < {tmp_path}/n$0) -ge 3 && echo $0",
            "{a}",
        ],
        parsers=[otw.parsers.LineColumn("stdout.txt", 1, 1)],
        retries=2,
    )
    with otw.Campaign(wrapper, backend, 2) as campaign:
        evaluations = campaign.map([[1.0], [2.0], [3.0]])
    assert [(e.status, e.attempts, e.output) for e in evaluations] == [
        ("done", 3, (1.0,)),
        ("done", 3, (2.0,)),
        ("done", 3, (3.0,)),
    ]


def test_stopping_early_keeps_what_ended(backend):
    """Closing the iterator cancels the rest; the backend works on."""
    with otw.Campaign(Model(), backend, 2) as campaign:
        stream = campaign.run(sample(1000))
        for _ in range(3):
            next(stream)
        stream.close()
        assert len(campaign.evaluations) >= 3
        assert campaign.outputs([[5.0, 0.0]]) == [(10.0,)]


def test_chosen_width_runs_also_as_one(backend):
    """n_cpus=1 keeps the backend that was chosen, one evaluation at a time."""
    with otw.Campaign(Model(), backend, 1) as campaign:
        assert campaign.outputs(sample(3)) == [(0.2,), (2.2,), (4.2,)]
        if isinstance(backend, str):
            assert type(campaign.backend).__name__.lower() == backend
        elif not isinstance(backend, otw.backends.Backend):
            assert type(campaign.backend).__name__ == "Executor"


def test_close_may_be_called_twice(backend):
    """Closing is safe at any time, and leaves no process of ours."""
    campaign = otw.Campaign(Model(), backend, 2)
    campaign.outputs(sample(2))
    campaign.close()
    campaign.close()


@pytest.mark.parametrize("backend", [*OF_PROCESSES, *QUEUED], indirect=True)
def test_a_worker_that_dies_costs_its_own_point_only(backend):
    """A point that kills its worker is tried once more, then recorded as killed; all others are done."""
    points = sample(30)
    points[11][1] = 2.0
    with otw.Campaign(Model(), backend, 2) as campaign:
        evaluations = campaign.map(points)
    assert [i for i, e in enumerate(evaluations) if not e.done] == [11]
    assert (evaluations[11].status, evaluations[11].cause) == ("killed", "worker lost")
    assert "serial" in evaluations[11].error


SCRIPT = """
import concurrent.futures
import openturns as ot
import otwrap as otw
factor = 3.0
class Model(ot.OpenTURNSPythonFunction):
    def __init__(self):
        super().__init__(1, 1)
    def _exec(self, x):
        return [factor * x[0]]
def make():
    offset = 1.0
    class Shifted(Model):
        def _exec(self, x):
            return [offset + super()._exec(x)[0]]
    return Shifted()
print(otw.Parallelizer(Model(), BACKEND, 2)([[1.0], [2.0]])[1][0])
print(otw.Parallelizer(make(), BACKEND, 2)([[1.0], [2.0]])[1][0])
"""


def test_a_plain_script_needs_no_guard(scripted, tmp_path):
    """Wrappers defined in a script or a closure work, with no `if __name__ == '__main__'`."""
    script = tmp_path / "study.py"
    words, command = scripted
    script.write_text(textwrap.dedent(SCRIPT).replace("BACKEND", words))
    ended = subprocess.run([*command, script], capture_output=True, text=True, timeout=120, check=False)
    assert ended.stdout.split() == ["6.0", "7.0"], ended.stderr


def test_a_model_that_cannot_be_loaded_is_told(tmp_path, monkeypatch):
    """A worker that cannot make the model says why, once, instead of hanging."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "shaky.py").write_text(
        "import openturns as ot, os\n"
        "if os.getpid() != int(os.environ['DRIVER']): raise ImportError('licence missing')\n"
        "class Model(ot.OpenTURNSPythonFunction):\n"
        "    def __init__(self): super().__init__(1, 1)\n"
        "    def _exec(self, x): return x\n"
    )
    monkeypatch.setenv("DRIVER", str(os.getpid()))
    import shaky

    with (
        otw.Campaign(shaky.Model(), "multiprocessing", 2) as campaign,
        pytest.raises(otw.BackendError, match="licence missing"),
    ):
        campaign.outputs([[1.0]])


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("concurrent/thread", "Threads"),
        ("concurrent/process", "Multiprocessing"),
        ("pathos", "Multiprocessing"),
    ],
)
def test_names_of_otwrapy_are_known(alias, name):
    """otwrapy's names for local backends run the ones that do the same."""
    with otw.Campaign(Model(), alias, 2) as campaign:
        assert type(campaign.backend).__name__ == name


def test_unknown_and_missing_backends_are_told_apart():
    """A typo gets a hint, a backend that is not there never becomes another one."""
    with pytest.raises(otw.BackendError, match="did you mean 'threads'"):
        otw.Campaign(Model(), "thread")
    with pytest.raises(otw.BackendUnavailable, match=r"mpiexec -n 8|pip install 'otwrap\[mpi\]'"):
        otw.Campaign(Model(), "mpi", 1)


def test_a_worker_that_cannot_start_is_told(monkeypatch, capfd):
    """A broken interpreter is the backend's failure, not that of a point, and nothing hangs."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with (
        otw.Campaign(Model(), "multiprocessing", 2) as campaign,
        pytest.raises(otw.BackendError, match="before its first point"),
    ):
        campaign.outputs(sample(4))
