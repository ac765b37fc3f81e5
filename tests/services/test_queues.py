"""Submissions on real batch systems: a Slurm of two nodes, a Grid Engine; 0 points lost whatever happens."""

import os
import signal
import struct
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import openturns as ot
import pytest
from engines import Missing, until
from gridengine import gridengine
from servers import slurm

import otwrap as otw
from otwrap.batch.records import RecordFile
from otwrap.examples.beam import Beam
from otwrap.examples.beam.models import MODELS

pytestmark = pytest.mark.services

#: Doubles its first argument after the seconds that stand second, notes when it ran, and fails below zero.
CODE = (
    "import sys, time; x, s = map(float, sys.argv[1:3]); begin = time.time(); time.sleep(s)\n"
    "open(sys.argv[3], 'a').write(f'{x!r} {begin!r} {time.time()!r}\\n')\n"
    "print('y =', 2 * x if x >= 0 else 1 / 0)"
)


class Queue(NamedTuple):
    """A batch system that runs, and the word for it."""

    name: str
    cluster: object


@pytest.fixture(scope="module")
def queues():
    """Start each batch system once."""
    started = {}
    with ExitStack() as stack:

        def start(name):
            if name not in started:
                server = slurm(cpus=4) if name == "slurm" else gridengine(slots=8)
                started[name] = Queue(name, stack.enter_context(server))
            return started[name]

        yield start


@pytest.fixture(params=["slurm", "sge"])
def queue(request, queues, need):
    """A batch system."""
    try:
        return queues(request.param)
    except Missing as missing:
        need(False, str(missing))
        raise


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder of a study."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def model(here):
    """A wrapper of a small code that notes its runs."""
    return make_model(here)


def make_model(here):
    """Return the wrapper."""
    return otw.Wrapper(
        ["x", "s"],
        ["y"],
        command=[sys.executable, "-c", CODE, "{x}", "{s}", str(here / "runs.txt")],
        parsers=[otw.parsers.Value("stdout.txt", "y =")],
    )


def submit(queue, model, points, **settings):
    """Submit points, with a store."""
    return otw.submit(model, points, **{"scheduler": queue.name, "store": "s.db", **settings})


def design(size, seconds=0.0):
    """Return points with bits in all places."""
    return [[number / 7.0, seconds] for number in range(size)]


def runs(here):
    """Return input, begin and end of each run of the code that has ended."""
    path = here / "runs.txt"
    return (
        [tuple(map(float, line.split())) for line in path.read_text().splitlines()] if path.exists() else []
    )


def states(submission):
    """Return what the batch system says of the last array's tasks."""
    job = submission.folder.jobs()[-1]
    return submission.queue.states([job]).get(job.number, {})


def identifier(submission):
    """Return the id of the last array."""
    return submission.folder.jobs()[-1].id


@pytest.mark.parametrize("way", ["worker", "shell"])
def test_the_beam_is_that_of_a_serial_run(queue, here, way):
    """The beam study's sample, submitted, equals the serial one bit for bit; nothing is lost."""
    ot.RandomGenerator.SetSeed(0)
    sample = MODELS["guide"].distribution().getSample(200)
    beam = Beam()
    status = submit(queue, beam, sample, way=way, chunk=25, name="beam").wait(120)
    assert (status.done, status.failed, status.lost) == (200, 0, 0)
    with otw.Parallelizer(beam, backend="serial", store="s.db") as served:
        queued = served(sample)
        assert served.campaign.evaluated == 0
    with otw.Parallelizer(beam, backend="serial") as f:
        serial = f(sample)
    assert [struct.pack("<d", y) for (y,) in queued] == [struct.pack("<d", y) for (y,) in serial]


def test_so_many_tasks_run_at_a_time(queue, model, here):
    """An array with a limit never has more tasks at work."""
    status = submit(queue, model, design(8, 0.5), chunk=1, at_a_time=2).wait(120)
    assert status.done == 8
    spans = [(begin, end) for _, begin, end in runs(here)]
    assert max(sum(begin <= moment < end for begin, end in spans) for moment, _ in spans) <= 2


def test_failed_points_keep_their_reason(queue, model, here):
    """A failing code costs its own point, whose record says why; `resubmit` leaves it unless it is asked to."""
    submission = submit(queue, model, [[1.0, 0.0], [-1.0, 0.0], [2.0, 0.0]], chunk=2)
    status = submission.wait(120)
    assert (status.done, status.failed, status.lost) == (2, 1, 0)
    with otw.Store("s.db", readonly=True) as store:
        store.select_last()
        (failure,) = [evaluation for _, evaluation in store.items() if not evaluation.done]
    assert "ZeroDivisionError" in failure.error and Path(failure.workdir).is_dir()
    assert submission.resubmit() == []
    submission.resubmit(failed=True)
    assert submission.wait(120).failed == 1


def test_a_killed_worker_costs_its_point_alone(queue, model, here):
    """`kill -9` of a task's processes: what was recorded is kept, and `resubmit` runs just the rest."""
    submission = submit(queue, model, [[0.0, 0.0], [1.0, 3.0], [2.0, 0.0]], chunk=3)
    assert until(lambda: 0.0 in [x for x, *_ in runs(here)] and submission.status().running)
    for pid in queue.cluster.pids(identifier(submission), 1):
        os.kill(pid, signal.SIGKILL)
    assert until(lambda: submission.status().is_over)
    status = submission.status()
    assert status.done + status.lost == 3
    if status.lost:  # some batch systems run such a task again by themselves
        assert (status.done, status.lost) == (1, 2)
        submission.resubmit()
    assert submission.wait(120).done == 3
    assert [x for x, *_ in runs(here)].count(0.0) == 1


def test_elements_cancelled_by_hand(queue, model, here):
    """What a person cancels with the batch system's own command is lost, told, and run by `resubmit`."""
    submission = submit(queue, model, design(6, 2.0), chunk=1, at_a_time=2)
    until(lambda: submission.status().running)
    number = identifier(submission)
    command = ["scancel", f"{number}_[5-6]"] if queue.name == "slurm" else ["qdel", number, "-t", "5-6"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    status = submission.wait(120)
    assert (status.done, status.lost) == (4, 2)
    assert sorted(n for lost in status.lost_tasks for n in lost.numbers) == [4, 5]
    submission.resubmit()
    assert submission.wait(120).done == 6
    assert len(runs(here)) == 6


def test_cancelled_as_a_whole(queue, model, here):
    """`cancel` ends the codes that run, and the queue is empty."""
    submission = submit(queue, model, design(4, 60.0), chunk=1)
    until(lambda: submission.status().running == 4)
    assert submission.cancel() == 4
    assert until(lambda: submission.status().is_over)
    assert until(lambda: not queue.cluster.pids(identifier(submission)))
    assert submission.status().lost == 4


def test_near_the_limit_no_point_is_begun(queue, model, here):
    """Tasks end by themselves before the time limit; the rest is run by `resubmit` with a longer one."""
    submission = submit(queue, model, design(8, 1.0), chunk=8, resources={"time": 6})
    status = submission.wait(120)
    assert 0 < status.done < 8 and status.lost == 8 - status.done and status.failed == 0
    assert "time limit is near" in status.lost_tasks[0].reason
    submission.resubmit(resources={"time": "5m"})
    assert submission.wait(120).done == 8
    assert len(runs(here)) == 8


def test_the_node_goes_down_in_the_middle(queue, model, here):
    """A node is taken away with all that runs on it: the batch system runs its tasks again, each point has one record."""
    submission = submit(queue, model, design(24, 0.5), chunk=3)
    until(lambda: len(runs(here)) >= 6)
    if queue.name == "slurm":
        queue.cluster.crash("n2")
        queue.cluster.node_down("n2")
        queue.cluster.start_node("n2")
    else:
        queue.cluster.crash()
        queue.cluster.start_node()
    status = submission.wait(180)
    if status.lost:  # the batch system has given up tasks
        submission.resubmit()
        status = submission.wait(120)
    assert (status.done, status.failed, status.lost) == (24, 0, 0)
    with otw.Store("s.db", readonly=True) as store:
        store.select_last()
        assert len(list(store.items())) == 24


def test_the_collecting_step(queue, model, here):
    """A job that depends on the array collects when it has ended."""
    submission = submit(queue, model, design(4, 0.5), store=None, chunk=1, collect=True)
    db = submission.path / "evaluations.db"

    def collected():
        with otw.Store(db, readonly=True) as store:
            store.select_last()
            return len(store) == 4

    assert until(lambda: (submission.path / "jobs/collect/logs/1.txt").exists())
    assert until(collected)


def test_an_algorithm_drives_the_queue(queue, model, here):
    """FORM asks for one sample after the other, and each goes through the queue."""
    x = ot.JointDistribution([ot.Normal(1.0, 0.1), ot.Dirac(0.0)])
    with otw.Parallelizer(model, backend=queue.name, n_cpus=4, store="f.db") as f:
        f.setInputDescription(["x", "s"])
        sample = x.getSample(12)
        assert [y for (y,) in f(sample)] == [2.0 * a for a, _ in sample]
        vector = ot.CompositeRandomVector(f, ot.RandomVector(x))
        event = ot.ThresholdEvent(vector, ot.Greater(), 2.0)
        algorithm = ot.ProbabilitySimulationAlgorithm(event, ot.MonteCarloExperiment())
        algorithm.setBlockSize(16)
        algorithm.setMaximumOuterSampling(2)
        algorithm.run()
        assert 0.0 < algorithm.getResult().getProbabilityEstimate() < 1.0
    assert not list((here / "otwrap-jobs").glob("*"))


def test_a_dead_driver_is_followed_by_another(queue, here):
    """`kill -9` of who waits: the same script takes over what is queued, and no point runs twice."""
    script = here / "study.py"
    script.write_text(
        f"import sys; sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[1])]!r}\n"
        "import pathlib, otwrap as otw\nfrom test_queues import make_model, design\n"
        f"with otw.Parallelizer(make_model(pathlib.Path.cwd()), backend={queue.name!r}, store='f.db') as f:\n"
        "    print(len(f(design(24, 0.5))))\n"
    )
    first = subprocess.Popen([sys.executable, script])
    assert until(lambda: len(runs(here)) >= 4)
    first.kill()
    first.wait()
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=180)
    assert ended.stdout.split() == ["24"], ended.stderr
    assert len(runs(here)) == len({x for x, *_ in runs(here)}) == 24


@pytest.mark.parametrize("queue", ["slurm"], indirect=True)
def test_a_hanging_task_ends_at_the_limit(queue, model, here):
    """Slurm ends it: the points before the one that hangs are kept, and the reason is told."""
    submission = submit(queue, model, [[0.0, 0.0], [1.0, 600.0], [2.0, 0.0]], chunk=3, resources={"time": 60})
    started = time.monotonic()
    assert until(lambda: submission.status().is_over, 150)
    assert time.monotonic() - started > 50
    status = submission.status()
    assert (status.done, status.lost) == (1, 2)
    assert "ended from outside" in status.lost_tasks[0].reason or "TIMEOUT" in status.lost_tasks[0].reason


@pytest.mark.parametrize("queue", ["sge"], indirect=True)
def test_two_copies_of_a_task_give_one_record_each_point(queue, model, here):
    """A node that was set up anew knows nothing of a task that is alive, which is run again beside itself."""
    submission = submit(queue, model, design(24, 0.7), chunk=24)
    assert until(lambda: len(runs(here)) >= 2)
    job, cell = submission.folder.jobs()[0], queue.cluster
    cell.lose_track()
    cell.run("qmod", "-rj", job.id)
    assert until(lambda: len(job.record_files()) == 2), states(submission)
    assert until(lambda: submission.status().is_over)
    assert until(lambda: not cell.pids(job.id))
    entries = [RecordFile.read(str(path)).entries for path in job.record_files()]
    numbers = [entry[1] for file in entries for entry in file if entry[0] == "done"]
    assert len(numbers) > 24 and set(numbers) == set(range(24))
    assert submission.collect().done == 24
    with otw.Store("s.db", readonly=True) as store:
        store.select_last()
        assert len(list(store.items())) == 24
    assert submission.status().done == 24
