"""A submission from its first day to its last, in the queue of this machine: the same scripts as on a cluster."""

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

import otwrap as otw
from otwrap.batch.records import RecordFile
from otwrap.errors import InputError, OtwrapError

#: Doubles its first argument after the seconds that stand second; negative ones fail while there is a file "broken".
CODE = (
    "import os, sys, time; x, s = map(float, sys.argv[1:3]); open(sys.argv[3], 'a').write(f'{x!r}\\n')\n"
    "time.sleep(s); print('y =', 2 * x if x >= 0 or not os.path.exists(sys.argv[3] + '.broken') else 1 / 0)"
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder of a study; evaluations run one at a time in each task."""
    folder = tmp_path / "study"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


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


def submit(model, points, **settings):
    """Submit to this machine."""
    return otw.submit(model, points, **{"scheduler": "local", "chunk": 3, **settings})


def design(size, seconds=0.0):
    """Return points with bits in all places."""
    return [[number / 7.0, seconds] for number in range(size)]


def runs(here):
    """Return the first input of each run of the code."""
    path = here / "runs.txt"
    return path.read_text().split() if path.exists() else []


def until(condition, seconds=60.0):
    """Wait for something."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def records(path):
    """Return the outputs of a store by point."""
    with otw.Store(path, readonly=True) as store:
        store.select_last()
        return {evaluation.point: evaluation.output for _, evaluation in store.items()}


@pytest.mark.parametrize("way", ["worker", "shell"])
def test_the_same_bits_as_here(model, here, way):
    """Submitted, waited for, collected: what a serial run gives, bit for bit, and each point was run once."""
    points = design(10)
    submission = submit(model, points, store="s.db", way=way)
    status = submission.wait(60)
    assert (status.points, status.done, status.is_complete) == (10, 10, True)
    assert sorted(map(float, runs(here))) == [x for x, _ in points]
    with otw.Parallelizer(model, backend="serial", store="s.db") as served:
        queued = served(points)
    assert len(runs(here)) == 10
    with otw.Parallelizer(model, backend="serial") as serial:
        here_ = serial(points)
    assert [struct.pack("<d", y) for (y,) in queued] == [struct.pack("<d", y) for (y,) in here_]


def test_the_same_script_goes_on_where_it_was(model, here):
    """Called again, it finds what it had submitted; more points are added to what is known, and no point twice."""
    first = submit(model, design(6), store="s.db")
    again = submit(model, design(6), store="s.db")
    assert again.path == first.path
    more = submit(model, design(9), store="s.db")
    assert more.path != first.path and more.status().points == 3
    first.wait(60)
    more.wait(60)
    assert len(records("s.db")) == 9 and len(runs(here)) == 9
    assert submit(model, design(9), store="s.db").status().done in (3, 6)
    assert len(runs(here)) == 9


def test_another_process_finds_it(model, here):
    """The folder is all that another process needs."""
    submission = submit(model, design(4))
    code = f"import otwrap as otw; print(otw.Submission({str(submission.path)!r}).wait(60).done)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["4"]
    assert submission.collect().known == 4


def test_evaluations_come_as_they_end(model, here):
    """The first one is there, and in the store, while others still run."""
    submission = submit(model, [*design(3), [50.0, 8.0]], chunk=1, store="s.db")
    found = []
    for evaluation in submission:
        found.append(evaluation)
        if len(found) == 3:
            assert len(records("s.db")) >= 3
            assert not submission.status().is_over
            submission.cancel()
    assert len(found) == 3


def test_collect_as_often_as_one_likes(model, here):
    """What is there is taken, what is known is left; a failure counts once."""
    (here / "runs.txt.broken").touch()
    submission = submit(model, [[1.0, 0.0], [-1.0, 0.0]], store="s.db")
    until(lambda: submission.status().is_complete)
    first, second = submission.collect(), submission.collect()
    assert (first.done, first.failed, first.known) == (1, 1, 0)
    assert (second.done, second.failed, second.known) == (0, 1, 1)
    with otw.Store("s.db", readonly=True) as store:
        store.select_last()
        (failure,) = [evaluation for _, evaluation in store.items() if not evaluation.done]
    assert "ZeroDivisionError" in failure.error and Path(failure.workdir).is_dir()


@pytest.mark.parametrize("way", ["worker", "shell"])
def test_failed_points_again(model, here, way):
    """`resubmit` takes nothing that has ended; with `failed` it takes what failed, and the good record counts."""
    (here / "runs.txt.broken").touch()
    submission = submit(model, [[1.0, 0.0], [-1.0, 0.0], [2.0, 0.0]], store="s.db", way=way)
    assert submission.wait(60).failed == 1
    assert submission.resubmit() == []
    (here / "runs.txt.broken").unlink()
    (job,) = submission.resubmit(failed=True, resources={"time": "2h"})
    assert job.tasks == [[1]]
    status = submission.wait(60)
    assert (status.done, status.failed) == (3, 0)
    assert records("s.db")[-1.0, 0.0] == (-2.0,)
    assert len(runs(here)) == 4


def test_a_killed_task_loses_its_point_in_flight_alone(model, here):
    """`kill -9` of a worker: what it had recorded is kept, `status` says what was lost, `resubmit` runs just that."""
    submission = submit(model, [[0.0, 0.0], [1.0, 0.0], [2.0, 60.0], [3.0, 0.0]], chunk=4, store="s.db")
    until(lambda: submission.status().running == 1 and submission.status().done == 2)
    ((file,),) = [job.record_files() for job in submission.folder.jobs()]
    os.kill(RecordFile.read(str(file)).entries[0][3], signal.SIGKILL)
    until(lambda: submission.status().is_over)
    status = submission.status()
    assert (status.done, status.lost) == (2, 2)
    assert status.lost_tasks[0].numbers == [2, 3]
    shutil.copy(submission.path / "design.csv", here / "before.csv")
    design_csv = submission.path / "design.csv"
    design_csv.write_text(design_csv.read_text().replace("60", "0"))
    submission = otw.Submission(submission.path)
    submission.resubmit()
    assert submission.wait(60).done == 4
    assert sorted(map(float, runs(here))) == [0.0, 1.0, 2.0, 2.0, 3.0]


def test_the_time_limit_costs_no_record(model, here):
    """Tasks end before their limit, and what they left is run by `resubmit` until nothing is left."""
    submission = submit(model, design(8, 0.8), chunk=8, resources={"time": 5}, store="s.db")
    status = submission.wait(60)
    assert 0 < status.done < 8 and status.lost == 8 - status.done
    assert "time limit is near" in status.lost_tasks[0].reason
    submission.resubmit(resources={"time": 60})
    assert submission.wait(60).done == 8
    assert len(runs(here)) == 8


def test_cancelled_and_taken_up_again(model, here):
    """`cancel` leaves what has ended and ends the codes; `resubmit` runs the rest."""
    submission = submit(model, [[0.0, 0.0], [1.0, 30.0], [2.0, 0.0]], chunk=1, at_a_time=1)
    until(lambda: len(runs(here)) == 2)
    assert submission.cancel() == 2
    until(lambda: submission.status().is_over)
    status = submission.status()
    assert (status.done, status.lost) == (1, 2) and status.lost_tasks[0].reason == "cancelled"
    design_csv = submission.path / "design.csv"
    design_csv.write_text(design_csv.read_text().replace("30", "0"))
    submission = otw.Submission(submission.path)
    submission.resubmit()
    assert submission.wait(60).done == 3


def test_single_tasks_are_cancelled(model, here):
    """Only the tasks that have the points are cancelled."""
    submission = submit(model, [[0.0, 1.0], [1.0, 60.0], [2.0, 1.0]], chunk=1)
    until(lambda: submission.status().running >= 1)
    assert submission.cancel([1]) == 1
    status = submission.wait(60)
    assert (status.done, status.lost) == (2, 1)


def test_arrays_are_split_where_the_site_limits_them(model, here):
    """No array has more tasks than the profile says."""
    profile = otw.Profile(scheduler="local", array_limit=2, chunk=1)
    submission = otw.submit(model, design(5), profile=profile)
    assert [len(job.tasks) for job in submission.folder.jobs()] == [2, 2, 1]
    assert submission.wait(60).done == 5


def test_nothing_is_submitted_by_two_at_once(model, here):
    """While another process submits, `resubmit` refuses, and says who it is."""
    submission = submit(model, design(1))
    submission.wait(60)
    with otw.Submission(submission.path)._alone(), pytest.raises(InputError, match=f"process {os.getpid()}"):
        submission.resubmit(failed=True)


def test_the_ids_stand_in_the_store(model, here):
    """The store says which submissions there are, where, and as which jobs; when all has come, none is open."""
    submission = submit(model, design(2), store="s.db")
    with otw.Store("s.db", readonly=True) as store:
        store.select_last()
        (ticket,) = store.submissions()
    assert ticket.folder == str(submission.path) and ticket.is_open
    assert list(ticket.jobs) == [job.id for job in submission.folder.jobs()]
    submission.wait(60)
    with otw.Store("s.db", readonly=True) as store:
        store.select_last()
        assert not store.submissions()[0].is_open


def test_the_collecting_step(model, here):
    """A job that waits for the others collects into the folder."""
    submission = submit(model, design(4, 0.5), collect=True)
    until(lambda: (submission.path / "evaluations.db").exists())
    until(lambda: len(records(submission.path / "evaluations.db")) == 4)


@pytest.mark.parametrize("way", ["worker", "shell"])
def test_copied_to_another_place_and_back(model, here, way):
    """Run where it was copied to, by what the README says, and collected when it is back."""
    submission = submit(model, design(3), way=way, store="s.db")
    submission.cancel()
    until(lambda: submission.status().is_over)
    for job in submission.folder.jobs():
        shutil.rmtree(job.path)
    (here / "runs.txt").unlink(missing_ok=True)
    for place in submission.path.glob("point-*/exit_code.txt"):
        place.unlink()
    submission.arrange(range(3), submission.profile)
    away = here / "cluster" / "copy"
    shutil.copytree(submission.path, away)
    readme = (away / "README.txt").read_text()
    command = next(line for line in readme.splitlines() if "jobs/001/script.sh" in line and line[0] == " ")
    subprocess.run(command.strip(), shell=True, cwd=away, check=True, stdout=subprocess.DEVNULL)
    copy = otw.Submission(away, model=model, store=here / "other.db")
    until(lambda: copy.status().is_complete)
    shutil.rmtree(submission.path)
    shutil.copytree(away, submission.path)
    assert otw.Submission(submission.path).collect().done == 3


def test_a_folder_from_elsewhere_runs_nothing(model, here):
    """Where a shell ran the code, the model in the folder is loaded only if the store knows it; else one is asked for."""
    submission = submit(model, design(1), way="shell", store="s.db")
    submission.wait(60)
    with pytest.raises(OtwrapError, match="Name the model"):
        otw.Submission(submission.path, store=here / "unknown.db").collect()
    assert otw.Submission(submission.path, model=model, store=here / "unknown.db").collect().done == 1


def test_another_model_is_refused(model, here):
    """What was submitted with one model is not collected as another's."""
    submission = submit(model, design(1))
    other = otw.Wrapper(
        ["x", "s"], ["y"], command=["other"], parsers=[otw.parsers.Value("stdout.txt", "y =")]
    )
    with pytest.raises(OtwrapError, match="the command or the version"):
        otw.Submission(submission.path, model=other)
    submission.wait(60)


def test_the_log_of_a_point(model, here):
    """What a task printed is found by the number of the point."""
    submission = submit(model, design(4))
    submission.wait(60)
    path, text = submission.log(3)
    assert path.name == "2.txt" and "task 2" in text
    with pytest.raises(InputError, match="points 0 to 3"):
        submission.log(4)


def test_nothing_is_written_that_cannot_be_submitted(model, here, monkeypatch):
    """A batch system that is not there: the error says so, the folder stays, and `resubmit` submits it."""
    profile = otw.Profile(scheduler="local", commands={"submit": "no-such-qsub"})
    with pytest.raises(otw.SchedulerError, match="no-such-qsub"):
        otw.submit(model, design(2), profile=profile, folder="queue", store="s.db")
    about = json.loads((here / "queue" / "submission.json").read_text())
    del about["profile"]["commands"]
    (here / "queue" / "submission.json").write_text(json.dumps(about))
    submission = otw.Submission("queue")
    assert submission.status().unsubmitted == 2
    submission.resubmit()
    assert submission.wait(60).done == 2


def test_a_folder_that_is_in_use_is_refused(model, here):
    """Nothing is written over."""
    (here / "queue").mkdir()
    (here / "queue" / "mine.txt").touch()
    with pytest.raises(InputError, match="not empty"):
        submit(model, design(1), folder="queue")
    assert os.listdir(here / "queue") == ["mine.txt"]


def test_a_dead_driver_leaves_the_queue_alone(here):
    """Killed while it waits, the driver loses nothing: the same script takes over what it had submitted."""
    script = here / "study.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import pathlib, otwrap as otw\nfrom test_submission import make_model, design\n"
        "with otw.Parallelizer(make_model(pathlib.Path.cwd()), backend='local', n_cpus=2, store='s.db') as f:\n"
        "    print(len(f(design(12, 0.3))), f.campaign.evaluated)\n"
    )
    first = subprocess.Popen([sys.executable, script])
    until(lambda: len(runs(here)) >= 3)
    first.kill()
    first.wait()
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, timeout=120)
    assert ended.stdout.split()[0] == "12"
    assert len(runs(here)) == len(set(runs(here))) == 12


def test_an_algorithm_drives_the_queue(model, here):
    """`Parallelizer(model, backend="local")` waits for its points, sample by sample, and leaves no folder."""
    with otw.Parallelizer(model, backend="local", n_cpus=2) as f:
        assert [y for (y,) in f(design(4))] == [2 * x for x, _ in design(4)]
        assert f([3.0, 0.0])[0] == 6.0
    assert not list((here / "otwrap-jobs").glob("*"))


def test_a_worker_that_never_comes_up_is_told(model, here):
    """A wrong interpreter is the backend's error, with what the log says, and nothing hangs."""
    profile = otw.Profile(scheduler="local", python="/no/such/python", chunk=1)
    backend = otw.backends.Local(2, profile=profile)
    with otw.Campaign(model, backend) as campaign, pytest.raises(otw.BackendError, match="no/such/python"):
        campaign.outputs(design(4))
