"""A task of an array: what it records, and what it leaves when it is cut short."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import otwrap as otw
from otwrap.batch import write_folder
from otwrap.batch.arrivals import Arrivals
from otwrap.batch.records import RecordFile
from otwrap.evaluator import evaluator_of

#: Doubles its argument after the seconds that stand second.
CODE = "import sys, time; x, s = map(float, sys.argv[1:]); time.sleep(s); print('y =', 2 * x if x < 100 else 1 / 0)"


@pytest.fixture
def submission(tmp_path):
    """Return a function that makes a folder with one array: points, and how many a task gets."""

    def make(points, chunk=100, **settings):
        model = otw.Wrapper(
            ["x", "s"],
            ["y"],
            command=[sys.executable, "-c", CODE, "{x}", "{s}"],
            parsers=[otw.parsers.Value("stdout.txt", "y =")],
            **settings,
        )
        folder = write_folder(tmp_path / "queue", evaluator_of(model), points, name="double")
        tasks = [list(range(len(points)))[start : start + chunk] for start in range(0, len(points), chunk)]
        return folder, folder.add_job(tasks, {}, lambda place: {"script.sh": ""})

    return make


def started(folder, task=1, **environment):
    """Start a task as its script does."""
    command = [sys.executable, "-m", "otwrap.task", "jobs/001", str(task)]
    env = {**os.environ, "OTWRAP_CPUS": "1", "NSLOTS": "1", **environment}
    return subprocess.Popen(command, cwd=folder.path, env=env, stderr=subprocess.PIPE, text=True)


def run(folder, task=1, **environment):
    """Run a task to its end and return what it said."""
    process = started(folder, task, **environment)
    said = process.communicate(timeout=60)[1]
    return process.returncode, said


def ended(folder):
    """Return the records by number of the point."""
    return {arrival.number: arrival.evaluation for arrival in Arrivals(folder).new()}


def until(condition):
    """Wait for something."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_records_are_those_of_an_evaluation_here(submission):
    """Each point of the task, and of no other, has the record that `evaluate` gives; failures with their folder."""
    folder, _ = submission([(0.1, 0.0), (100.0, 0.0), (0.3, 0.0)], chunk=2)
    assert run(folder) == (0, "")
    records = ended(folder)
    assert sorted(records) == [0, 1]
    assert (records[0].status, records[0].output, records[0].point) == ("done", (0.2,), (0.1, 0.0))
    assert (records[1].status, records[1].cause) == ("failed", "exit code")
    assert "ZeroDivisionError" in records[1].error
    assert Path(records[1].workdir).parent == folder.path / "kept"


def test_several_at_a_time(submission):
    """A task that has several CPUs evaluates as many points at a time."""
    folder, _ = submission([(float(x), 1.0) for x in range(4)])
    run(folder, OTWRAP_CPUS="4", NSLOTS="4")
    spans = [(e.start_time, e.start_time + e.wall_time) for e in ended(folder).values()]
    assert len(spans) == 4
    if len(os.sched_getaffinity(0)) > 1:
        assert any(a[0] < b[0] < a[1] for a in spans for b in spans)


def test_no_point_is_begun_that_the_limit_would_cut(submission):
    """Near the time limit the task ends by itself, says so, and what it has done is whole."""
    folder, job = submission([(float(x), 0.7) for x in range(20)])
    code, said = run(folder, OTWRAP_TIME_LIMIT="4", OTWRAP_STARTED=str(time.time()))
    assert code == 0 and "the time limit is near" in said
    records = ended(folder)
    assert 0 < len(records) < 20 and all(record.done for record in records.values())
    arrivals = Arrivals(folder)
    arrivals.new()
    assert arrivals.ends[1, 1][0] == "limit" and not arrivals.begun


def test_request_to_end_costs_the_point_in_flight_alone(submission):
    """After SIGTERM, as of a batch system at its limit, the code ends too, and nothing recorded is lost."""
    folder, _ = submission([(0.0, 0.0), (1.0, 60.0), (2.0, 0.0)])
    process = started(folder)
    until(lambda: 0 in ended(folder) and (1, 1) in begun(folder))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert sorted(ended(folder)) == [0]
    assert begun(folder).keys() == {(1, 1)}


def test_a_code_that_is_ended_with_its_task_has_not_failed(submission):
    """A batch system ends the code first and the worker a moment later: nothing is recorded of the point."""
    folder, _ = submission([(0.0, 0.0), (1.0, 60.0)])
    process = started(folder)
    until(lambda: (1, 1) in begun(folder))
    until(lambda: codes_of(process.pid))
    for pid in codes_of(process.pid):
        os.kill(pid, signal.SIGTERM)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert sorted(ended(folder)) == [0]


def codes_of(pid):
    """Return the processes that run the code for a worker."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [
        int(child) for child in children if b"time.sleep(s)" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


def begun(folder):
    """Return what was begun and has not ended."""
    arrivals = Arrivals(folder)
    arrivals.new()
    return arrivals.begun


def test_killed_task_goes_on_where_it_was(submission):
    """`kill -9`, and the batch system runs the task again: points that are recorded are not run again."""
    folder, job = submission([(0.0, 0.0), (1.0, 0.0), (2.0, 60.0), (3.0, 0.0)])
    process = started(folder)
    until(lambda: (1, 2) in begun(folder))
    process.kill()
    process.communicate()
    (folder.path / "design.csv").write_text(
        (folder.path / "design.csv").read_text().replace("60.0", "0.0").replace("60", "0")
    )
    assert run(folder)[0] == 0
    names = [path.name for path in job.record_files()]
    assert names == ["1.rec", "1-2.rec"]
    again = [entry[1] for entry in RecordFile.read(str(job.record_files()[1])).entries if entry[0] == "done"]
    assert again == [2, 3]
    assert sorted(ended(folder)) == [0, 1, 2, 3]


def test_two_runs_of_one_task_side_by_side(submission):
    """A batch system that runs a task twice at the same time gets one record of each point."""
    folder, job = submission([(float(x), 0.2) for x in range(5)])
    processes = [started(folder), started(folder)]
    for process in processes:
        assert process.wait(timeout=60) == 0
        process.stderr.close()
    assert len(job.record_files()) == 2
    numbers = [arrival.number for arrival in Arrivals(folder).new()]
    assert sorted(numbers) == [0, 1, 2, 3, 4]


def test_worker_with_other_versions_says_so(submission):
    """Another Python on the node is told before the first point."""
    folder, _ = submission([(0.0, 0.0)])
    folder.note(versions={**folder.about["versions"], "python": "2.7"})
    code, said = run(folder)
    assert code == 1 and "other versions" in said and "2.7" in said
    arrivals = Arrivals(folder)
    assert not arrivals.new() and arrivals.ends[1, 1][0] == "broken"


def test_changed_model_is_refused(submission):
    """A model.bin that is not what was written is not loaded."""
    folder, _ = submission([(0.0, 0.0)])
    (folder.path / "model.bin").write_bytes(b"cos\nsystem\n(S'touch stolen'\ntR.")
    code, said = run(folder)
    assert code == 1 and "is not what was written" in said
    assert not (folder.path / "stolen").exists()


def test_retries_are_those_of_the_model(submission):
    """A failing point is tried as often as the model says."""
    folder, _ = submission([(100.0, 0.0)], retries=2)
    run(folder)
    assert ended(folder)[0].attempts == 3


def test_user_modules_and_files_travel(tmp_path):
    """Copied to where neither the model's module nor its files are, a task still evaluates."""
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir()
    (home / "table.txt").write_text("factor 3\n")
    (home / "reading.py").write_text(
        "def factor(workdir):\n    return float(open(f'{workdir}/table.txt').read().split()[1])\n"
    )
    (home / "mine.py").write_text(
        textwrap.dedent(
            """
            import os
            import otwrap as otw
            from reading import factor

            class Mine(otw.Wrapper):
                def __init__(self):
                    super().__init__(["x"], ["y"], files=[os.path.join(os.path.dirname(__file__), "table.txt")])

                def _run_code(self, workdir):
                    pass

                def _parse_output(self, workdir):
                    return [factor(workdir)]
            """
        )
    )
    code = (
        "import sys; sys.path.insert(0, '.')\n"
        "import mine\nfrom otwrap.batch import write_folder\nfrom otwrap.evaluator import evaluator_of\n"
        "folder = write_folder('queue', evaluator_of(mine.Mine()), [(1.0,)], name='mine')\n"
        "folder.note(path=[])\n"
        "folder.add_job([[0]], {}, lambda place: {'script.sh': ''})\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=home, check=True)
    (home / "queue").rename(away)
    for left in home.iterdir():
        left.unlink() if left.is_file() else None
    command = [sys.executable, "-m", "otwrap.task", "jobs/001", "1"]
    subprocess.run(command, cwd=away, check=True, timeout=60)
    from otwrap.batch import BatchFolder

    (arrival,) = Arrivals(BatchFolder(away)).new()
    assert arrival.evaluation.output == (3.0,)


def test_records_of_another_submission_are_refused(submission):
    """Record files that were copied from elsewhere are not taken for ours."""
    folder, _ = submission([(0.0, 0.0)])
    run(folder)
    about = json.loads((folder.path / "submission.json").read_text())
    (folder.path / "submission.json").write_text(json.dumps({**about, "id": "other"}))
    from otwrap.batch import BatchFolder

    with pytest.raises(otw.OtwrapError, match="another submission"):
        Arrivals(BatchFolder(folder.path)).new()
