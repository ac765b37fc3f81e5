"""The local runner: real processes of this machine, limits, kills, cancelled and orphaned tasks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otwrap import cpus
from otwrap.errors import SchedulerError
from otwrap.guardian import find_tree
from otwrap.schedulers import Resources
from otwrap.schedulers.running import Order
from otwrap.schedulers.spool import Spool, identity_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def here(place: Callable[..., Any]) -> Iterator[Any]:
    """Return a folder of a submission for the local runner; nothing of it is left afterwards."""
    made = place("local")
    yield made
    for path in made.folder.glob("jobs/*/local-*.jsonl"):
        made.cancel(path.stem)
        assert not processes(path.stem)


def processes(job: str) -> list[int]:
    """Return all living processes of a job's tasks."""
    return find_tree(f"OTWRAP_RUN={job}-".encode())


def runner_of(here: Any, job: str) -> int:
    """Return the process that runs the tasks of a job."""
    (path,) = here.folder.glob(f"jobs/*/{job}.jsonl")
    return int(json.loads(path.read_text().splitlines()[0])["pid"])


def is_running(*indices: int) -> Callable[[dict[int, Any]], bool]:
    """Return whether tasks run."""
    return lambda states: all(states[index].state == "running" for index in indices)


def test_from_submit_to_end(here: Any) -> None:
    """Tasks run in the folder of the submission, and their ends are told as they were."""
    work = "case $OTWRAP_TASK in 2) exit 7 ;; 3) kill -9 $$ ;; esac\necho $OTWRAP_TASK $OTWRAP_JOB_ID $OTWRAP_CPUS"
    job = here.submit(work, 4, at_a_time=4, resources=Resources(cpus=3))
    assert here.ended(job) == {1: "", 2: "exit code 7", 3: "signal 9", 4: ""}
    assert f"4 {job} 3\n" in here.log(4)
    assert (here.folder / "jobs/001/id").read_text() == f"{job}\n"
    # The runner, too, has ended, and left nothing but its file.
    pid = runner_of(here, job)
    deadline = time.monotonic() + 10
    while identity_of(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not identity_of(pid)
    assert sorted(path.name for path in (here.folder / "jobs/001").glob("local*")) == [f"{job}.jsonl"]


def test_limit_on_tasks_at_a_time(here: Any) -> None:
    """No more tasks than the limit run at a time; the next one follows when one has ended."""
    job = here.submit("until [ -e go$OTWRAP_TASK ]; do sleep 0.05; done", 4, at_a_time=2)
    states = here.until(job, is_running(1, 2))
    assert [states[index].state for index in (3, 4)] == ["waiting", "waiting"]
    (here.folder / "go2").touch()
    states = here.until(job, is_running(3))
    assert (states[2].state, states[4].state) == ("ended", "waiting")


def test_as_many_as_there_are_cpus_for(tmp_path: Path) -> None:
    """Without a limit, as many tasks run as the CPUs that may be used allow, and at least one."""
    script = tmp_path / "script.sh"
    script.write_text("#LOCAL --array=1-9\n#LOCAL --cpus=1\n")
    assert Order.read(str(script)).at_a_time == cpus.available_cpus()
    script.write_text("#LOCAL --array=1-9\n#LOCAL --cpus=1000\n")
    assert Order.read(str(script)).at_a_time == 1
    script.write_text("#LOCAL --array=1-9%7\n#LOCAL --cpus=1000\n")
    assert Order.read(str(script)).at_a_time == 7


def test_time_limit(here: Any) -> None:
    """A task that reaches its limit ends with all that it has started, even what does not listen and has gone away."""
    work = """trap '' TERM
(trap '' TERM; setsid sleep 1000) &
setsid sh -c 'trap "" TERM; while :; do sleep 1; done' &
sleep 1000"""
    job = here.submit(work, 2, at_a_time=2, resources=Resources(time="1s"))
    assert set(here.ended(job).values()) == {"TIMEOUT"}
    assert not processes(job)
    assert "ends this task: TIMEOUT" in here.log(1)


def test_what_a_task_leaves_behind(here: Any) -> None:
    """A task that has ended has left nothing behind."""
    job = here.submit("setsid sleep 1000 & exit 3", 1)
    assert here.ended(job) == {1: "exit code 3"}
    assert not processes(job)


def test_cancel_some(here: Any) -> None:
    """Cancelled tasks end with their grandchildren, or never begin; the others go on."""
    work = "echo $OTWRAP_TASK >>begun; setsid sh -c 'sleep 1000; true' & sleep 1000"
    job = here.submit(work, 4, at_a_time=2)
    here.until(job, is_running(1, 2))
    here.cancel(job, [1, 3])
    states = here.until(job, lambda states: is_running(4)(states) and states[1].state == "ended")
    assert (states[1].reason, states[3].reason, states[2].state) == ("CANCELLED", "CANCELLED", "running")
    assert not find_tree(f"OTWRAP_RUN={job}-1.".encode())
    here.until(job, lambda _: len((here.folder / "begun").read_text().split()) == 3)
    assert sorted((here.folder / "begun").read_text().split()) == ["1", "2", "4"]


def test_cancel_all(here: Any) -> None:
    """A cancelled job has no processes any more when the command returns; what had ended keeps its end."""
    job = here.submit("[ $OTWRAP_TASK = 1 ] && exit 7; setsid sleep 1000", 4, at_a_time=2)
    here.until(job, lambda states: is_running(2, 3)(states) and states[1].state == "ended")
    here.cancel(job)
    assert not processes(job)
    assert here.ended(job) == {1: "exit code 7", 2: "CANCELLED", 3: "CANCELLED", 4: "CANCELLED"}
    here.cancel(job)
    here.cancel(job, [1, 2])
    here.cancel("local-00000000")


def test_after(here: Any) -> None:
    """A job after others waits for their ends, whatever they are, and also if they vanish."""
    first = here.submit("until [ -e go ]; do sleep 0.05; done; exit 3", 1)
    second = here.submit("sleep 1000", 1)
    last = here.submit("true", None, after=(first, second))
    here.until(first, is_running(1))
    here.until(second, is_running(1))
    assert here.states(last)[last][1].state == "waiting"
    (here.folder / "go").touch()
    here.ended(first)
    assert here.states(last)[last][1].state == "waiting"
    os.kill(runner_of(here, second), signal.SIGKILL)
    for pid in processes(second):
        os.kill(pid, signal.SIGKILL)
    assert here.ended(last) == {1: ""}


def test_runner_killed(here: Any) -> None:
    """After `kill -9` of the runner, tasks at work are still running, those that waited are gone, and nothing is invented."""
    job = here.submit("[ $OTWRAP_TASK = 1 ] && exit 0; until [ -e go ]; do sleep 0.05; done", 4, at_a_time=2)
    here.until(job, is_running(2, 3))
    os.kill(runner_of(here, job), signal.SIGKILL)
    states = here.until(job, lambda states: 4 not in states)
    assert {index: state.state for index, state in states.items()} == {1: "ended", 2: "running", 3: "running"}
    # The orphans end, and nobody has seen how.
    (here.folder / "go").touch()
    states = here.until(job, lambda states: set(states) == {1})
    assert states[1].state == "ended"


def test_cancel_after_the_runner_was_killed(here: Any) -> None:
    """Orphans of a killed runner are cancelled like other tasks, also those that do not listen."""
    job = here.submit("trap '' TERM; setsid sleep 1000 & setsid sleep 1000; sleep 1000", 3, at_a_time=2)
    here.until(job, is_running(1, 2))
    os.kill(runner_of(here, job), signal.SIGKILL)
    here.cancel(job, [1])
    assert set(here.until(job, lambda states: 1 not in states)) == {2}
    here.cancel(job)
    assert not processes(job)


def test_number_of_a_process_is_used_again(here: Any) -> None:
    """Another process that has a dead runner's or task's number, as after a reboot, is not taken for it."""
    job = here.submit("sleep 1000", 2, at_a_time=1)
    here.until(job, is_running(1))
    here.cancel(job)
    (path,) = here.folder.glob(f"jobs/*/{job}.jsonl")
    runner, begun = (json.loads(line) for line in path.read_text().splitlines()[:2])
    mine = {"pid": os.getpid(), "identity": begun["identity"]}
    path.write_text(json.dumps({**runner, **mine}) + "\n" + json.dumps({**begun, **mine}) + "\n")
    path.with_suffix(".cancel").unlink()
    assert here.states(job) == {job: {}}
    # It is not this process that a cancelled task's end would be.
    here.cancel(job)


def test_job_of_another_machine(here: Any) -> None:
    """In a folder that several machines see, a job is asked for where it runs; elsewhere it is an error, and no end."""
    job = here.submit("true", 1)
    here.ended(job)
    (path,) = here.folder.glob(f"jobs/*/{job}.jsonl")
    runner, *events = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps({**json.loads(runner), "host": "elsewhere"}), *events, ""]))
    with pytest.raises(SchedulerError, match="runs on 'elsewhere'"):
        here.states(job)
    with pytest.raises(SchedulerError, match="runs on 'elsewhere'"):
        here.cancel(job)
    path.unlink()


def test_survives_who_submitted_it(here: Any) -> None:
    """A job goes on when the process that submitted it, its group and its terminal are gone."""
    job = here.submit("true", 1)
    here.ended(job)
    command = [sys.executable, "-m", "otwrap.schedulers.runner", "submit", "jobs/002/script.sh"]
    (here.folder / "jobs/002").mkdir()
    script = (here.folder / "jobs/001/script.sh").read_text().replace("001", "002")
    script = script.replace("\ntrue\n", "\nuntil [ -e go ]; do sleep 0.05; done\necho done\n")
    (here.folder / "jobs/002/script.sh").write_text(script)
    code = "import os, subprocess, sys; print(subprocess.check_output(sys.argv[1:], text=True), flush=True); input()"
    environment = {**os.environ, "OTWRAP_RUN": "1-2-3."}
    with subprocess.Popen(
        [sys.executable, "-c", code, *command],
        cwd=here.folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as submitter:
        assert submitter.stdout is not None
        job = submitter.stdout.readline().strip()
        here.until(job, is_running(1))
        os.killpg(submitter.pid, signal.SIGHUP)
        os.killpg(submitter.pid, signal.SIGKILL)
        submitter.wait()
        # Nor does it end with the run that had submitted it.
        assert not find_tree(b"OTWRAP_RUN=1-2-3.")
    (here.folder / "go").touch()
    assert here.ended(job) == {1: ""}
    assert "done\n" in here.log(1, 2)


def test_machine_goes_down(here: Any) -> None:
    """A runner that is asked to end cancels its tasks."""
    job = here.submit("sleep 1000", 2, at_a_time=1)
    here.until(job, is_running(1))
    os.kill(runner_of(here, job), signal.SIGTERM)
    assert here.ended(job) == {1: "CANCELLED", 2: "CANCELLED"}


def test_full_disk(tmp_path: Path) -> None:
    """What cannot be written down now is written down later, behind a line that was cut."""
    spool = Spool(tmp_path, "local-1")
    path = tmp_path / "local-1.jsonl"
    path.symlink_to("/dev/full")
    spool.note(task=1, end="")
    spool.note(task=2, end="")
    path.unlink()
    path.write_text('{"pid": 1}\n{"task":')
    spool.note(task=3, end="")
    assert spool.lines() == [{"pid": 1}, *({"task": index, "end": ""} for index in (1, 2, 3))]


def test_set_up_that_fails(here: Any) -> None:
    """A set-up line that fails ends the task, and its log says which."""
    job = here.submit("echo worked", 1, resources=Resources(setup=["cd /nowhere"]))
    assert here.ended(job) == {1: "exit code 1"}
    assert "a set-up line failed with exit code 1: cd /nowhere" in here.log(1)


@pytest.mark.parametrize("line", ["--mail=me", "--array 1-5", "array=1", "--array=1-x", "--cpus=a"])
def test_line_that_is_not_understood(line: str, here: Any) -> None:
    """A line for the runner that is wrong is refused with its number, and nothing is started."""
    with pytest.raises(SchedulerError, match=r"exit code 1; it said:"):
        here.submit("true", 2, resources=Resources(extra=[f"#LOCAL {line}"]))
    assert not list(here.folder.glob("jobs/*/local-*"))


def test_unknown_jobs(here: Any) -> None:
    """Jobs that are not of this folder are not there; a text that is no id leads nowhere."""
    assert here.states("local-00000000", "../../x", "*") == {}


def test_many_short_tasks(here: Any) -> None:
    """Hundreds of tasks each run once."""
    job = here.submit("echo $OTWRAP_TASK >>all", 100, at_a_time=2)
    assert set(here.ended(job).values()) == {""}
    lines = (here.folder / "all").read_text().split()
    assert sorted(map(int, lines)) == list(range(1, 101))
