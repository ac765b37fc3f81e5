"""The promises of the MPI backend, in real jobs of `mpiexec`."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from clusters import ENGINES
from engines import MPIEXEC, in_private_network, until

import otwrap as otw
from otwrap.guardian import read_proc

pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif("mpi" in ENGINES, reason="is what starts these jobs"),
]

ROOT = Path(__file__).resolve().parents[2]
#: Seconds that everything of a killed driver has to end.
LONGEST = 15.0


@pytest.fixture(autouse=True)
def mpi(need):
    """What the tests need."""
    need(shutil.which("mpiexec") is not None, "there is no mpiexec: apt-get install openmpi-bin")
    need(importlib.util.find_spec("mpi4py") is not None, "mpi4py is not installed: pip install 'otwrap[mpi]'")


@pytest.fixture
def job(tmp_path):
    """A function that starts a script in a job of three processes, or in what is given instead of `mpiexec -n 3`."""
    started = []

    def start(script, *options, mpiexec=MPIEXEC, module=("-m", "mpi4py.futures"), **values):
        text = textwrap.dedent(script)
        for name, value in {"FOLDER": str(tmp_path), **values}.items():
            text = text.replace(name, repr(value))
        path = tmp_path / "study.py"
        path.write_text(text)
        command = in_private_network([*mpiexec, sys.executable, *module, *options, str(path)])
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def numbers(folder, kind):
    """Return the processes that have left their number."""
    return {int(path.name.partition("-")[2]) for path in folder.glob(f"{kind}-*")}


def is_alive(pid):
    """Whether a process is there and no zombie."""
    return read_proc(f"/proc/{pid}/stat").rpartition(b")")[2].split()[:1] not in ([], [b"Z"])


def test_a_job_keeps_the_promises_of_every_backend():
    """The contract, and what engines show, inside a job: also `kill -9` of a worker costs no point."""
    command = [
        *MPIEXEC,
        sys.executable,
        "-m",
        "mpi4py.futures",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
    ]
    tests = ["tests/backends/test_contract.py", "tests/services/test_engines.py", "-k", "mpi"]
    ended = subprocess.run(
        in_private_network([*command, *tests]), cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, ended.stdout[-5000:] + ended.stderr[-2000:]
    assert "passed" in ended.stdout


STUDY = """
import os
import openturns as ot
import otwrap as otw
class Slow(otw.Wrapper):
    def _run_code(self, workdir):
        open(os.path.join(FOLDER, f"worker-{os.getpid()}"), "w").close()
        self.run(["sh", "-c", "echo x >> " + FOLDER + "/runs; touch " + FOLDER + "/code-$$; sleep SECONDS"], workdir)
    def _parse_output(self, workdir):
        return [1.0]
open(os.path.join(FOLDER, f"driver-{os.getpid()}"), "w").close()
open(os.path.join(FOLDER, f"rank-{os.getppid()}"), "w").close()
f = otw.Parallelizer(Slow(["a"], ["y"]), "mpi", verbosity=False, store=FOLDER + "/study.sqlite")
print(len(f([[float(i)] for i in range(40)])), "points")
"""


def test_a_killed_driver_leaves_nothing_behind(job, tmp_path):
    """`kill -9` of the study's process: the job ends, and with it all workers and codes."""
    process = job(STUDY.replace("SECONDS", "300"))
    assert until(lambda: len(numbers(tmp_path, "code")) == 2 or process.poll() is not None)
    pids = numbers(tmp_path, "code") | numbers(tmp_path, "worker")
    assert len(pids) == 4, process.communicate()
    (driver,) = numbers(tmp_path, "driver")
    os.kill(driver, signal.SIGKILL)
    assert process.wait(timeout=LONGEST) != 0
    assert until(lambda: not any(map(is_alive, pids)), LONGEST)


def test_a_job_that_lost_a_process_is_completed_by_the_next_one(job, tmp_path):
    """`kill -9` of one of MPI's own processes ends the job; the same script again runs only what is missing."""
    process = job(STUDY.replace("SECONDS", "0.1"))
    assert until(lambda: len(numbers(tmp_path, "code")) >= 12 or process.poll() is not None)
    worker = min(numbers(tmp_path, "worker"))
    rank = int(read_proc(f"/proc/{worker}/stat").rpartition(b")")[2].split()[1])
    os.kill(rank, signal.SIGKILL)
    assert process.wait(timeout=LONGEST) != 0
    with otw.Store(tmp_path / "study.sqlite", readonly=True) as store:
        store.select_last()
        done = len(store)
    assert 8 <= done < 40
    (tmp_path / "runs").unlink()
    output, error = job(STUDY.replace("SECONDS", "0.1")).communicate(timeout=60)
    assert output == "40 points\n", error
    assert len((tmp_path / "runs").read_text().split()) == 40 - done


def test_codes_may_call_mpiexec_themselves(job):
    """A worker is no rank: a parallel code starts in it as it does from a shell."""
    output, error = job(
        """
        import otwrap as otw
        command = MPIEXEC
        model = otw.Wrapper(["a"], ["y"], command=[*command, "sh", "-c", "echo $OMPI_COMM_WORLD_SIZE$PMI_SIZE"],
                            parsers=[otw.parsers.LineColumn("stdout.txt", 1, 1)])
        with otw.Parallelizer(model, "mpi", verbosity=False) as f:
            print(*f([[1.0], [2.0]]))
        """,
        MPIEXEC=MPIEXEC,
    ).communicate(timeout=60)
    assert output == "[3] [3]\n", error


def test_an_executor_of_mpi4py_is_welcome(job):
    """Where all processes run the script, `MPICommExecutor` makes the first one the driver."""
    output, error = job(
        """
        import openturns as ot
        import otwrap as otw
        from mpi4py.futures import MPICommExecutor
        with MPICommExecutor() as executor:
            if executor is not None:
                model = ot.SymbolicFunction(["x"], ["2 * x"])
                backend = otw.backends.Mpi(executor=executor)
                print(*otw.Parallelizer(model, backend, verbosity=False)([[1.0], [2.0]]))
                backend.close()
        """,
        module=("-m", "mpi4py"),
    ).communicate(timeout=60)
    assert output == "[2] [4]\n", error


@pytest.mark.parametrize(
    ("mpiexec", "module", "told"),
    [
        (
            [],
            [],
            "this process is no part of: start the study as: mpiexec -n 8 python -m mpi4py.futures study.py",
        ),
        (MPIEXEC, [], "this process is no part of"),
        (
            [*MPIEXEC[:-1], "1"],
            ["-m", "mpi4py.futures"],
            "needs at least two processes, and this job has one",
        ),
    ],
    ids=["no mpiexec", "no mpi4py.futures", "one process"],
)
def test_a_study_that_is_started_otherwise_is_told_how(job, mpiexec, module, told):
    """Without a job of its own, with one process, or where each process would run the study: a clear error."""
    script = "import openturns as ot, otwrap as otw\notw.Campaign(ot.SymbolicFunction('x', 'x'), 'mpi')"
    _, error = job(script, mpiexec=mpiexec, module=module).communicate(timeout=60)
    assert "BackendUnavailable" in error
    assert told in error
