"""What is ipyparallel's own: clusters that are found, given or started here, and engines that die."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import openturns as ot
import pytest
from engines import ipyparallel, until

import otwrap as otw
from otwrap.backends import Ipyparallel
from otwrap.guardian import read_proc

pytestmark = pytest.mark.services

#: Seconds that everything of a killed driver has to end.
LONGEST = 15.0
POINTS = [[float(i), 0.0] for i in range(8)]


class WhoAmI(ot.OpenTURNSPythonFunction):
    """Sleeps as long as it is told and returns the number of its process."""

    def __init__(self):
        super().__init__(2, 1)

    def _exec(self, x):
        import os
        import time

        time.sleep(x[1])
        return [os.getpid()]


def parent(pid):
    """Return the process that started another one."""
    return int(read_proc(f"/proc/{int(pid)}/stat").rpartition(b")")[2].split()[1])


def engines_of(backend):
    """Return the engines whose workers have evaluated something for a backend."""
    with otw.Campaign(WhoAmI(), backend, verbosity=False) as campaign:
        return {parent(pid) for (pid,) in campaign.outputs([[i, 0.05] for i, _ in POINTS])}


@pytest.fixture
def folder(engine):
    """The folder of the profiles; a cluster of two engines runs under the default one."""
    engine("ipyparallel")
    return Path(os.environ["IPYTHONDIR"])


@pytest.fixture
def nothing_runs(need, tmp_path, monkeypatch):
    """No cluster is to be found."""
    need(_is_installed(), "ipyparallel is not installed: pip install 'otwrap[ipyparallel]'")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))


def _is_installed():
    try:
        import ipyparallel  # noqa: F401
    except ImportError:
        return False
    return True


@pytest.mark.parametrize("way", ["found", "profile", "url_file", "client_kw", "client", "ipp_client_kw"])
def test_a_running_cluster_is_used(folder, way):
    """By the default profile, by its name, its connection file, or a client: the same two engines."""
    import ipyparallel as ipp

    with ipp.Client() as client:
        theirs = set(client[:].apply_sync(os.getpid))
        file = folder / "profile_default" / "security" / "ipcontroller-client.json"
        if way == "ipp_client_kw":
            # otwrapy's word and argument.
            keywords = {"profile": "default", "timeout": 5}
            with otw.Parallelizer(WhoAmI(), "ipython", 2, False, ipp_client_kw=keywords) as f:
                assert {parent(pid) for (pid,) in f([[i, 0.05] for i, _ in POINTS])} == theirs
            return
        settings = {
            "found": {},
            "profile": {"profile": "default"},
            "url_file": {"url_file": file},
            "client_kw": {"client_kw": {"connection_info": str(file), "timeout": 5}},
            "client": {"client": client},
        }[way]
        backend = Ipyparallel(**settings)
        assert engines_of(backend) == theirs
        backend.close()
        # A client of the user's, and the engines, are there after `close`.
        assert set(client[:].apply_sync(os.getpid)) == theirs


def test_otwrap_backends_sees_it(folder):
    """The table says how many engines there are; nothing is started."""
    assert Ipyparallel().where() == "2 engine(s) of a cluster that runs"


def test_an_idle_worker_gives_its_engine_back(folder):
    """A second function of the study does not wait for ever for the engines of the first one."""
    first, second = Ipyparallel(), Ipyparallel()
    try:
        assert engines_of(first) == engines_of(second)
    finally:
        first.close()
        second.close()


@pytest.fixture
def late_engine(folder):
    """A function that starts one more engine, which is ended."""
    started = []

    def start():
        words = [sys.executable, "-m", "ipyparallel.engine", "--log-level=40"]
        started.append(subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return started[-1].pid

    yield start
    for process in started:
        process.terminate()
        process.wait(timeout=30)


def test_an_engine_that_joins_is_used(late_engine):
    """One that is started in the middle of a sample gets points too."""
    backend = Ipyparallel()
    engines, late = set(), None
    with otw.Campaign(WhoAmI(), backend, verbosity=False) as campaign:
        for evaluation in campaign.run([[float(i), 0.05] for i in range(10_000)]):
            assert evaluation.done, evaluation.error
            engines.add(parent(evaluation.output[0]))
            if len(engines) == 2 and late is None:
                late = late_engine()
            if len(engines) == 3:
                break
    backend.close()
    assert late in engines


def test_a_call_that_has_ended_can_be_cancelled(folder):
    """As it may while a backend is being closed."""
    backend = Ipyparallel()
    call = backend._connected()[0].apply_async(os.getpid)
    call.get(60)
    backend._cancel(call)
    backend.close()


def test_a_cluster_that_does_not_run_is_told(nothing_runs):
    """Where a cluster was asked for by name, none is started in its place."""
    backend = Ipyparallel(profile="office", client_kw={"timeout": 1})
    with (
        otw.Campaign(WhoAmI(), backend) as campaign,
        pytest.raises(otw.BackendError, match=r"profile='office'.*finds no running cluster.*ipcluster start"),
    ):
        campaign.outputs(POINTS)
    assert Ipyparallel().where() == "no cluster runs: starts one on this machine"


def test_a_cluster_without_engines_is_told(need):
    """With a controller alone, nothing waits for engines in silence."""
    need(_is_installed(), "ipyparallel is not installed: pip install 'otwrap[ipyparallel]'")
    with (
        ipyparallel(engines=0),
        otw.Campaign(WhoAmI(), "ipyparallel", 2) as campaign,
        pytest.raises(otw.BackendError, match=r"no engines.*ipcluster engines"),
    ):
        campaign.outputs(POINTS)


def test_a_client_goes_with_nothing_else(nothing_runs):
    """Arguments that would be ignored are refused."""
    with pytest.raises(TypeError, match="leave out profile"):
        Ipyparallel(client=object(), profile="office")


def test_a_cluster_that_was_started_here(nothing_runs):
    """`kill -9` of an engine: the other goes on, a new one comes, no point fails; `close` leaves nothing."""
    with otw.Campaign(WhoAmI(), "ipyparallel", 2, verbosity=False) as campaign:
        workers = set()
        stream = campaign.run([[float(i), 0.1] for i in range(1000)])
        for number, evaluation in enumerate(stream):
            assert evaluation.done, evaluation.error
            workers.add(evaluation.output[0])
            if number == 10:
                os.kill(parent(evaluation.output[0]), signal.SIGKILL)
            if len(workers) == 3:
                break
        stream.close()
        assert len(workers) == 3
        assert len(of_the_cluster()[1]) == 1
    assert until(lambda: of_the_cluster() == ([], []), 5), of_the_cluster()


DRIVER = """
import openturns as ot
import otwrap as otw
class Asleep(ot.OpenTURNSPythonFunction):
    def __init__(self):
        super().__init__(1, 1)
    def _exec(self, x):
        import os, time
        open(FOLDER + f"/worker-{os.getpid()}", "w").close()
        time.sleep(300)
otw.Parallelizer(Asleep(), "ipyparallel", 2, verbosity=False)([[1.0], [2.0]])
"""


def of_the_cluster():
    """Return the processes and the profiles of clusters that backends have started."""
    mark = b"IPYTHONDIR=" + os.fsencode(os.environ["TMPDIR"]) + b"/otwrap-ipyparallel-"
    found = [
        name for name in os.listdir("/proc") if name.isdigit() and mark in read_proc(f"/proc/{name}/environ")
    ]
    return found, [
        name for name in os.listdir(os.environ["TMPDIR"]) if name.startswith("otwrap-ipyparallel-")
    ]


def test_a_killed_driver_takes_its_cluster_along(nothing_runs, tmp_path):
    """`kill -9` of the driver: engines, controller, workers and the temporary profile are gone after 15 s."""
    script = tmp_path / "study.py"
    script.write_text(textwrap.dedent(DRIVER).replace("FOLDER", repr(str(tmp_path))))
    process = subprocess.Popen([sys.executable, script])
    try:
        assert until(lambda: len(list(tmp_path.glob("worker-*"))) == 2)
        processes, profiles = of_the_cluster()
        assert len(processes) >= 5 and len(profiles) == 1  # a controller, two engines, two workers
    finally:
        process.kill()
        process.wait()
    assert until(lambda: of_the_cluster() == ([], []), LONGEST), of_the_cluster()
