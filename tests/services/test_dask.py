"""The promises of the backend on real dasks: a scheduler of one's own, machines by ssh, jobs of a Slurm."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import urllib.parse
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import openturns as ot
import pytest
from clusters import job_options
from engines import Missing, until
from servers import slurm, sshd

import otwrap as otw
from otwrap.doctor import examine
from otwrap.examples.beam import Beam
from otwrap.versions import hello

try:
    import dask as configured
    import distributed
except ImportError:
    distributed = None

pytestmark = pytest.mark.services

#: Seconds that a driver which is killed may leave something running.
LEFT = 15.0


@pytest.fixture(autouse=True, scope="module")
def dask_is_there(need):
    """Skip where dask is not installed."""
    need(distributed is not None, "dask is not installed: pip install 'otwrap[dask]'")


class Doubled(ot.OpenTURNSPythonFunction):
    """A function that takes a while."""

    def __init__(self, seconds=0.02):
        super().__init__(1, 1)
        self.seconds = seconds

    def _exec(self, x):
        time.sleep(self.seconds)
        return [2.0 * x[0]]


POINTS = [[float(i)] for i in range(200)]
DOUBLED = [(2.0 * i,) for i in range(200)]

#: A driver whose code runs until somebody ends it; it prints the processes that dask and otwrap have started.
DRIVER = """
import json, os, sys, threading, time
import otwrap as otw

def tell(backend):
    while len(backend._crew.all) < 2 or not all(worker.tasks for worker in backend._crew.all):
        time.sleep(0.05)
    client = backend._client
    pids = [int(worker.said["pid"]) for worker in backend._crew.all]
    theirs = [*client.run(os.getpid).values(), client.run_on_scheduler(os.getpid)]
    print(json.dumps([pids, theirs]), flush=True)

wrapper = otw.Wrapper(["seconds"], ["y"], command=["sleep", "{seconds}"], parsers=[otw.parsers.Json("y", "y")])
if __name__ == "__main__":
    backend = otw.backends.Dask(**BACKEND)
    threading.Thread(target=tell, args=(backend,), daemon=True).start()
    otw.Campaign(wrapper, backend).map([[SECONDS + i / 1000] for i in range(4)])
"""


def killed_driver(tmp_path, seconds, keywords):
    """Kill a driver whose code is running; return the processes of otwrap and those of dask."""
    script = tmp_path / "study.py"
    text = textwrap.dedent(DRIVER).replace("BACKEND", repr(keywords)).replace("SECONDS", repr(seconds))
    script.write_text(text)
    driver = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    with driver:
        try:
            pids = json.loads(driver.stdout.readline())
            assert until(lambda: len(codes(seconds)) == 2)
        finally:
            driver.kill()
    return pids


def codes(seconds):
    """Return the processes of the code."""
    answer = subprocess.run(
        ["pgrep", "-f", f"^sleep {seconds:.0f}"], capture_output=True, text=True, check=False
    )
    return answer.stdout.split()


def is_alive(pid):
    """Whether a process runs."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def command(name, *arguments, before=(), **environment):
    """Start a part of dask as its users do."""
    return subprocess.Popen(
        [*before, sys.executable, "-m", f"distributed.cli.dask_{name}", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )


def worker(file, *before, **environment):
    """Start a worker of dask that evaluates one point at a time."""
    quiet = ["--host", "127.0.0.1", "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    words = ["--scheduler-file", str(file), "--nthreads", "1", *quiet]
    return command("worker", *words, before=before, **environment)


@pytest.fixture(scope="module")
def scheduler_file(tmp_path_factory):
    """The file of a scheduler with two workers."""
    file = tmp_path_factory.mktemp("dask") / "scheduler.json"
    quiet = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    started = [command("scheduler", "--scheduler-file", str(file), *quiet)]
    started += [worker(file) for _ in range(2)]
    assert until(file.exists)
    with distributed.Client(scheduler_file=str(file), set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
    yield file
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def address(scheduler_file):
    """The address of that scheduler."""
    return json.loads(scheduler_file.read_text())["address"]


@pytest.fixture
def dask():
    """Return a function that makes a backend, which is closed at the end."""
    with ExitStack() as stack:

        def make(*arguments, **keywords):
            backend = otw.backends.Dask(*arguments, **keywords)
            stack.callback(backend.close)
            return backend

        yield make


@pytest.mark.parametrize("way", ["client", "the configuration of dask"])
def test_a_scheduler_that_is_there_is_used_and_left_alone(way, address, dask):
    """However it is named, its workers evaluate; closing the backend ends only what is ours."""
    with distributed.Client(address, set_as_default=False) as own:
        with configured.config.set({} if way == "client" else {"scheduler-address": address}):
            backend = dask(client=own) if way == "client" else dask()
            with otw.Campaign(Doubled(), backend) as campaign:
                assert campaign.outputs(POINTS[:20]) == DOUBLED[:20]
                assert len(backend._crew.all) == 2
            pids = [int(member.said["pid"]) for member in backend._crew.all]
            backend.close()
        assert not any(map(is_alive, pids))
        assert len(own.nthreads()) == 2
        assert not own.processing() or not any(own.processing().values())


def test_a_cluster_of_ones_own_has_processes_and_stays(dask):
    """A LocalCluster with processes is used as it is, and not closed."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as cluster:
        backend = dask(cluster=cluster)
        with otw.Campaign(Doubled(), backend) as campaign:
            assert campaign.outputs(POINTS[:20]) == DOUBLED[:20]
        backend.close()
        assert cluster.status.name == "running"


def test_the_beam_gives_the_serial_answer(address, dask):
    """200 points of the beam, bit for bit."""
    beam = Beam()
    points = beam.distribution.getSample(200)
    with otw.Campaign(beam, "serial") as campaign:
        expected = campaign.outputs(points)
    with otw.Campaign(beam, dask(address=address)) as campaign:
        assert campaign.outputs(points) == expected


def test_the_doctor_looks_at_every_worker(address, dask):
    """Two workers of dask, two lines, on the command line too."""
    backend = dask(address=address)
    report = examine(Beam(), backend=backend)
    backend.close()
    (finding,) = [finding for finding in report.findings if finding.name == "workers"]
    assert finding.outcome == "ok", finding.text
    assert len(finding.text.splitlines()) == 2
    model = f"{sys.modules[Beam.__module__].__file__}:Beam"
    told = subprocess.run(
        [sys.executable, "-m", "otwrap", "check", model, "--backend", "dask", "--json"],
        env={**os.environ, "DASK_SCHEDULER_ADDRESS": address},
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = [found for found in json.loads(told.stdout)["findings"] if found["name"] == "workers"]
    assert len(line["text"].splitlines()) == 2


@pytest.mark.parametrize("whose", ["otwrap", "dask"])
def test_a_killed_worker_costs_no_point(whose, address, dask):
    """kill -9 of a worker, or of the process of dask above it, in the middle of 200 points: 200 answers."""
    backend = dask(address=address)
    with otw.Campaign(Doubled(), backend) as campaign:
        evaluations = []
        for evaluation in campaign.run(POINTS):
            evaluations.append(evaluation)
            if len(evaluations) == 50:
                ours = int(backend._crew.all[0].said["pid"])
                theirs = next(iter(backend._client.run(os.getpid).values()))
                os.kill(ours if whose == "otwrap" else theirs, signal.SIGKILL)
    assert sorted(e.output for e in evaluations) == DOUBLED


def test_a_worker_that_joins_is_used(scheduler_file, dask):
    """A worker of dask that starts in the middle of a sample gets points too."""
    backend = dask(scheduler_file=scheduler_file)
    late = []
    try:
        with otw.Campaign(Doubled(0.05), backend) as campaign:
            for evaluation in campaign.run([[float(i)] for i in range(10_000)]):
                assert evaluation.done
                if not late:
                    late.append(worker(scheduler_file))
                if len(backend._crew.all) == 3:
                    break
            else:
                pytest.fail("the third worker got no point")
    finally:
        for process in late:
            process.terminate()
            process.wait(timeout=30)


def test_what_a_model_brings_along_reaches_a_worker_elsewhere(dask, need, tmp_path):
    """Where nothing of this machine's folder is seen, input file and executable come, and work is done on a disk there."""
    data, scratch = tmp_path / "data", tmp_path / "scratch"
    data.mkdir()
    scratch.mkdir()
    (data / "mesh.txt").write_text("40\n")
    # Prints what it has read, and 1 if it is here, and 2 if it works elsewhere.
    (data / "code").write_text(
        f'#!/bin/sh\nseen=0; [ -e {data}/mesh.txt ] && seen=1; case "$PWD" in {scratch}/*) ;; *) seen=2 ;; esac\n'
        "echo $(cat mesh.txt) $seen\n"
    )
    (data / "code").chmod(0o755)
    wrapper = otw.Wrapper(
        ["a"],
        ["y", "seen"],
        files=[data / "mesh.txt", data / "code"],
        command=["./code"],
        parsers=[otw.parsers.LineColumn("stdout.txt", 1, column) for column in (1, 2)],
        base_temp_work_dir="$SCRATCH_OF_TEST",
    )
    with distributed.LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster:
        file = tmp_path / "scheduler.json"
        file.write_text(json.dumps({"address": cluster.scheduler_address}))
        hidden = ["unshare", "-m", "sh", "-c", f'mount -t tmpfs none {data} && exec "$@"', "sh"]
        tried = subprocess.run([*hidden, "true"], capture_output=True, text=True, check=False)
        need(tried.returncode == 0, f"there are no mount namespaces, which need root: {tried.stderr}")
        process = worker(file, *hidden, SCRATCH_OF_TEST=str(scratch))
        try:
            with otw.Campaign(wrapper, dask(cluster=cluster)) as campaign:
                assert campaign.outputs([[1.0], [2.0]]) == [(40.0, 0.0)] * 2
        finally:
            process.terminate()
            process.wait(timeout=30)
    # So it is here.
    with otw.Campaign(wrapper, "serial") as campaign, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCRATCH_OF_TEST", str(scratch))
        assert campaign.outputs([[1.0]]) == [(40.0, 1.0)]


def test_the_dashboard_is_told(dask, capsys):
    """Its link is printed once, and is an attribute; where it points, dask answers."""
    backend = dask(2)
    assert backend.dashboard_link is None
    with otw.Campaign(Doubled(), backend) as campaign:
        campaign.outputs(POINTS[:2])
        campaign.outputs(POINTS[2:4])
        link = backend.dashboard_link
        assert capsys.readouterr().err.count(f"otwrap: dask's dashboard is at {link}\n") == 1
        address = urllib.parse.urlsplit(link)
        assert address.hostname == "127.0.0.1"
        # Its own page needs bokeh.
        with urllib.request.urlopen(f"http://{address.netloc}/health", timeout=30) as answer:
            assert answer.read() == b"ok"


def test_a_killed_driver_leaves_only_the_users_own(address, tmp_path):
    """On a scheduler that was there before, our workers and their codes end, and nothing else."""
    ours, theirs = killed_driver(tmp_path, 71.0, {"address": address})
    assert until(lambda: not codes(71.0) and not any(map(is_alive, ours)), LEFT)
    assert all(map(is_alive, theirs))


def test_a_killed_driver_takes_its_own_cluster_along(tmp_path):
    """With a cluster that was started here, nothing is left at all."""
    ours, _ = killed_driver(tmp_path, 72.0, {"n_cpus": 2})
    assert until(lambda: not codes(72.0) and not any(map(is_alive, ours)), LEFT)


def test_other_versions_are_told_before_the_first_point(address, dask, monkeypatch):
    """A worker with another otwrap is refused, by name of its host."""
    ours = hello()
    monkeypatch.setattr("otwrap.backends._served.hello", lambda: {**ours, "otwrap": "99"})
    with (
        otw.Campaign(Doubled(), dask(address=address)) as campaign,
        pytest.raises(otw.BackendError, match=r"otwrap .* there, 99 here"),
    ):
        campaign.outputs(POINTS[:2])


def test_a_worker_that_lacks_otwrap_says_so(dask, tmp_path, monkeypatch):
    """What a worker cannot import is the error, once, and nothing hangs."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['otwrap'] = None\n")
    with distributed.LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster:
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        file = tmp_path / "scheduler.json"
        file.write_text(json.dumps({"address": cluster.scheduler_address}))
        process = worker(file)
        try:
            with (
                otw.Campaign(Doubled(), dask(cluster=cluster)) as campaign,
                pytest.raises(otw.BackendError, match="install otwrap where"),
            ):
                campaign.outputs(POINTS[:2])
        finally:
            process.terminate()
            process.wait(timeout=30)


def test_a_scheduler_that_dies_is_told(dask):
    """The sample ends with an error that names the scheduler; what was evaluated is kept."""
    quiet = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    with ExitStack() as stack:
        stack.enter_context(configured.config.set({"distributed.comm.timeouts.connect": "2 s"}))
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        file = Path(folder) / "scheduler.json"
        started = [stack.enter_context(command("scheduler", "--scheduler-file", str(file), *quiet))]
        assert until(file.exists)
        started.append(stack.enter_context(worker(file)))
        stack.callback(lambda: [process.kill() for process in started])
        with otw.Campaign(Doubled(), dask(scheduler_file=file)) as campaign:
            stream = campaign.run([[float(i)] for i in range(10_000)])
            next(stream)
            started[0].kill()
            with pytest.raises(otw.BackendError, match="scheduler"):
                list(stream)
            assert campaign.evaluations


def test_a_scheduler_that_is_not_there_is_told(dask):
    """An address where nobody answers is an error of the backend that names it."""
    backend = dask(address="tcp://127.0.0.1:9", options={"timeout": 1})
    with otw.Campaign(Doubled(), backend) as campaign, pytest.raises(otw.BackendError, match="127.0.0.1:9"):
        campaign.outputs(POINTS[:2])


@pytest.fixture(scope="module")
def machine():
    """An sshd on the loopback address."""
    with ExitStack() as stack:
        try:
            yield stack.enter_context(sshd())
        except Missing as missing:
            yield missing


@pytest.fixture
def ssh_home(machine, need, tmp_path, monkeypatch):
    """A home whose configuration of ssh leads to the machine."""
    need(not isinstance(machine, Missing), str(machine))
    need(bool(__import__("importlib").util.find_spec("asyncssh")), "asyncssh is not installed")
    folder = tmp_path / ".ssh"
    folder.mkdir(mode=0o700)
    (folder / "config").write_text(f"Host 127.0.0.1\n  Port {machine.port}\n  IdentityFile {machine.key}\n")
    with open(machine.known_hosts) as file:
        (folder / "known_hosts").write_text(file.read())
    monkeypatch.setenv("HOME", str(tmp_path))
    return folder


def test_machines_by_ssh_as_otwrapy_names_them(ssh_home):
    """dask/ssh with otwrapy's dask_args runs on the machine, and closing the function ends all of it."""
    settings = {
        "scheduler": "127.0.0.1",
        "workers": {"127.0.0.1": 2},
        "remote_python": {"127.0.0.1": sys.executable},
    }
    with otw.Parallelizer(Doubled(), "dask/ssh", verbosity=False, dask_args=settings) as f:
        assert [tuple(y) for y in f(POINTS)] == DOUBLED
        backend = f.campaign.backend
        assert len(backend._crew.all) == 2
        pids = [*backend._client.run(os.getpid).values(), backend._client.run_on_scheduler(os.getpid)]
    assert until(lambda: not any(map(is_alive, pids)), LEFT)


def test_a_killed_driver_leaves_nothing_on_the_machines(ssh_home, tmp_path):
    """The scheduler and the workers that were started by ssh end too."""
    ours, theirs = killed_driver(tmp_path, 73.0, {"hosts": {"127.0.0.1": 2}})
    assert until(lambda: not codes(73.0) and not any(map(is_alive, [*ours, *theirs])), LEFT)


@pytest.mark.parametrize(
    "known", ["nobody", "another key", "no check by keyword", "no check by configuration"]
)
def test_a_machine_whose_key_is_not_known_is_refused(known, ssh_home, machine, dask):
    """Host keys are checked as ssh does, and the check cannot be turned off by the way."""
    connect = {"known_hosts": None} if known == "no check by keyword" else {}
    if known == "no check by configuration":
        with (ssh_home / "config").open("a") as file:
            file.write("  UserKnownHostsFile none\n")
    elif known == "another key":
        host, kind, _ = (ssh_home / "known_hosts").read_text().split(maxsplit=2)
        with open(f"{machine.key}.pub") as file:
            other = file.read().split()[1]
        (ssh_home / "known_hosts").write_text(f"{host} {kind} {other}\n")
    elif known == "nobody":
        (ssh_home / "known_hosts").unlink()
    backend = dask(hosts=["127.0.0.1"], options={"connect_options": connect})
    with (
        otw.Campaign(Doubled(), backend) as campaign,
        pytest.raises(otw.BackendError, match=r"~/\.ssh/known_hosts"),
    ):
        campaign.outputs(POINTS[:2])


def test_an_interpreter_that_is_not_there_is_told(ssh_home, dask):
    """What dask does not say about a machine is asked for by a command to try."""
    backend = dask(hosts=["127.0.0.1"], options={"remote_python": "/nowhere/python"})
    with (
        otw.Campaign(Doubled(), backend) as campaign,
        pytest.raises(otw.BackendError, match="Try `ssh HOST PYTHON"),
    ):
        campaign.outputs(POINTS[:2])


@pytest.fixture(scope="module")
def queue(tmp_path_factory):
    """A Slurm of two nodes, and keywords that keep dask on the loopback address."""
    with ExitStack() as stack:
        try:
            stack.enter_context(slurm())
        except Missing as missing:
            yield missing
            return
        yield job_options(str(tmp_path_factory.mktemp("logs")))


@pytest.fixture
def job(queue, need):
    """Keywords of a job."""
    need(not isinstance(queue, Missing), str(queue))
    need(bool(__import__("importlib").util.find_spec("dask_jobqueue")), "dask-jobqueue is not installed")
    assert until(lambda: not jobs())
    return queue


def jobs():
    """Return the jobs that are queued or run."""
    answer = subprocess.run(["squeue", "-h", "-o", "%i"], capture_output=True, text=True, check=True)
    return answer.stdout.split()


def test_jobs_of_slurm_come_and_go(job, dask):
    """As many jobs as there is work for; one that ends is replaced, no point is lost, and all end with close()."""
    backend = dask(jobqueue="slurm", adapt=(0, 2), options=job)
    with (
        configured.config.set({"distributed.deploy.lost-worker-timeout": "1 s"}),
        otw.Campaign(Doubled(), backend) as campaign,
    ):
        evaluations = []
        for evaluation in campaign.run([[float(i)] for i in range(20_000)]):
            evaluations.append(evaluation)
            if len(evaluations) == 50:
                assert until(lambda: len(jobs()) == 2)
                lost = jobs()[0]
                subprocess.run(["scancel", lost], check=True)
            if len(evaluations) > 200 and len(backend._crew.all) == 2 and lost not in jobs():
                break
        assert len(jobs()) == 2
        assert all(evaluation.output == (2.0 * evaluation.point[0],) for evaluation in evaluations)
    backend.close()
    assert until(lambda: not jobs())


def test_jobs_of_slurm_as_otwrapy_names_them(job):
    """dask/slurm with otwrapy's slurmcluster_kw starts so many workers, and closing the function ends their jobs."""
    settings = {**job, "n_workers": 2}
    with otw.Parallelizer(Doubled(), "dask/slurm", 1, verbosity=False, slurmcluster_kw=settings) as f:
        assert [tuple(y) for y in f(POINTS)] == DOUBLED
        assert len(f.campaign.backend._crew.all) == 2
    assert until(lambda: not jobs())


def test_a_killed_driver_leaves_no_job(job, tmp_path):
    """The jobs notice that their scheduler is gone."""
    ours, theirs = killed_driver(tmp_path, 74.0, {"jobqueue": "slurm", "jobs": 2, "options": job})
    assert until(lambda: not codes(74.0) and not jobs() and not any(map(is_alive, [*ours, *theirs])), LEFT)
