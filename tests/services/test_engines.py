"""What real engines show beyond the contract: real deaths, other machines' files and versions, the beam."""

import os
import signal
import socket
import subprocess
import sys
import textwrap

import openturns as ot
import pytest
from clusters import ENGINES
from engines import until

import otwrap as otw
from otwrap.backends import _served
from otwrap.examples.beam import MODELS, Beam
from otwrap.guardian import read_proc

pytestmark = pytest.mark.services

#: Seconds that everything of a killed driver has to end.
LONGEST = 15.0


@pytest.fixture(params=ENGINES)
def running(request, engine):
    """Each engine that is installed; it runs."""
    return engine(request.param)


@pytest.fixture
def backend(running):
    """What `backend=` is given."""
    return running.backend


def close(backend):
    """Close a backend that campaigns leave open, as it was given to them as an object."""
    if isinstance(backend, otw.backends.Backend):
        backend.close()


def is_alive(pid):
    """Whether a process is there and no zombie."""
    return read_proc(f"/proc/{pid}/stat").rpartition(b")")[2].split()[:1] not in ([], [b"Z"])


class WhoAmI(ot.OpenTURNSPythonFunction):
    """Sleeps as long as it is told and returns the number of its process."""

    def __init__(self, name=""):
        super().__init__(2, 1)
        # Workers evaluate one model: another one gets workers of its own.
        self.name = name

    def _exec(self, x):
        import os
        import time

        time.sleep(x[1])
        return [os.getpid()]


def test_the_beam_is_that_of_the_serial_backend(backend):
    """200 points of the beam's code: the same bits as one after the other on this machine."""
    ot.RandomGenerator.SetSeed(0)
    points = MODELS["guide"].distribution().getSample(200)
    with otw.Campaign(Beam(), "serial") as campaign:
        expected = campaign.outputs(points)
    with otw.Campaign(Beam(), backend, 2) as campaign:
        assert campaign.outputs(points) == expected


def test_a_killed_worker_costs_no_point(backend):
    """`kill -9` of a worker in the middle of 200 points: 200 answers, and another worker takes its place."""
    points = [[float(i), 0.01] for i in range(200)]
    workers = set()
    with otw.Campaign(WhoAmI(), backend, 2) as campaign:
        for number, evaluation in enumerate(campaign.run(points)):
            assert evaluation.done, evaluation.error
            workers.add(int(evaluation.output[0]))
            if number == 50:
                os.kill(int(evaluation.output[0]), signal.SIGKILL)
        assert len(campaign.evaluations) == 200
    assert len(workers) == 3
    assert os.getpid() not in workers


def test_close_ends_the_workers_and_leaves_the_engine(backend):
    """After `close` no worker is left, and the engine serves the next function."""
    for _ in range(2):
        with otw.Campaign(WhoAmI(), backend, 2) as campaign:
            pids = {int(pid) for (pid,) in campaign.outputs([[float(i), 0.05] for i in range(20)])}
        close(backend)
        assert len(pids) == 2
        assert until(lambda pids=pids: not any(map(is_alive, pids)), 5)


def test_files_of_the_model_reach_the_workers(backend, tmp_path, monkeypatch):
    """A file that is not at the same place where the workers are travels to them."""
    (tmp_path / "mesh.txt").write_text("42\n")
    monkeypatch.chdir(tmp_path)
    wrapper = otw.Wrapper(
        ["a"],
        ["y"],
        # Where this leads depends on the process: the workers are in other folders.
        files=["/proc/self/cwd/mesh.txt"],
        command=["cat", "mesh.txt"],
        parsers=[otw.parsers.LineColumn("stdout.txt", 1, 1)],
    )
    with otw.Campaign(wrapper, backend, 2) as campaign:
        assert campaign.outputs([[float(i)] for i in range(10)]) == [(42.0,)] * 10


def test_other_versions_are_told_before_the_first_point(backend, monkeypatch):
    """Another Python on the workers is an error that says which, and no point is run."""
    hello = _served.hello
    monkeypatch.setattr(_served, "hello", lambda: {**hello(), "python": "3.9"})
    python = ".".join(map(str, sys.version_info[:2]))
    with otw.Campaign(WhoAmI("other versions"), backend, 2) as campaign:
        with pytest.raises(
            otw.BackendError, match=f"{socket.gethostname()}.*python {python} there, 3.9 here"
        ):
            campaign.outputs([[0.0, 0.0]])
        assert campaign.evaluated == 0


def test_what_a_worker_cannot_import_is_told(backend, tmp_path, monkeypatch):
    """A worker that cannot make the model says why, once, and nothing hangs."""
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"licensed_{os.urandom(4).hex()}"
    (tmp_path / f"{name}.py").write_text(
        "import openturns as ot, os\n"
        f"if os.getpid() != {os.getpid()}: raise ImportError('licence missing')\n"
        "class Model(ot.OpenTURNSPythonFunction):\n"
        "    def __init__(self): super().__init__(1, 1)\n"
        "    def _exec(self, x): return x\n"
    )
    model = __import__(name).Model()
    with (
        otw.Campaign(model, backend, 2) as campaign,
        pytest.raises(otw.BackendError, match="licence missing"),
    ):
        campaign.outputs([[1.0]])


DRIVER = """
import os, sys
import otwrap as otw
class Slow(otw.Wrapper):
    def _run_code(self, workdir):
        open(os.path.join(FOLDER, f"worker-{os.getpid()}"), "w").close()
        self.run(["sh", "-c", "touch " + FOLDER + "/code-$$; sleep 300"], workdir)
    def _parse_output(self, workdir):
        return [0.0]
otw.Parallelizer(Slow(["a"], ["y"]), BACKEND, 2)([[1.0], [2.0]])
"""


def numbers(folder, kind):
    """Return the processes that have left their number."""
    return {int(path.name.partition("-")[2]) for path in folder.glob(f"{kind}-*")}


def marked(mark):
    """Return the processes whose environment holds a text."""
    return [name for name in os.listdir("/proc") if mark in read_proc(f"/proc/{name}/environ")]


@pytest.mark.skipif("mpi" in ENGINES, reason="tests/services/test_mpi.py kills a job of its own")
def test_a_killed_driver_leaves_nothing_behind(running, tmp_path):
    """`kill -9` of the driver: all that it has started ends, workers and codes too; the engine serves the next one."""
    close(running.backend)  # a node of dispy serves one driver at a time
    script = tmp_path / "driver.py"
    text = textwrap.dedent(DRIVER).replace("FOLDER", repr(str(tmp_path)))
    script.write_text(text.replace("BACKEND", running.words))
    mark = f"OTWRAP_TESTS={tmp_path}"
    environment = {**os.environ, "OTWRAP_TESTS": str(tmp_path)}
    process = subprocess.Popen([sys.executable, script], env=environment)
    try:
        assert until(lambda: len(numbers(tmp_path, "code")) == 2)
    finally:
        process.kill()
        process.wait()
    pids = numbers(tmp_path, "code") | numbers(tmp_path, "worker")
    assert len(pids) == 4
    assert until(lambda: not any(map(is_alive, pids)) and not marked(mark.encode()), LONGEST), marked(
        mark.encode()
    )
    with otw.Campaign(WhoAmI(), running.backend, 2) as campaign:
        assert len(campaign.outputs([[1.0, 0.0], [2.0, 0.0]])) == 2
