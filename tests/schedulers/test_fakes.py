"""PBS Pro, Torque and LSF end to end, against fakes of their commands that run the arrays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otwrap.errors import SchedulerError
from otwrap.schedulers import Resources

SYSTEMS = ["pbs", "torque", "lsf"]
each = pytest.mark.parametrize("name", SYSTEMS)

#: Task 1 is fine, 2 fails, 3 is killed; what is in the environment goes into the log.
WORK = """case $OTWRAP_TASK in 2) exit 7 ;; 3) kill -9 $$ ;; esac
echo "task=$OTWRAP_TASK job=$OTWRAP_JOB_ID cpus=$OTWRAP_CPUS limit=${OTWRAP_TIME_LIMIT-none} in $(basename "$PWD")"
read -r line || echo "nothing to read" """


@each
def test_array_from_submit_to_end(name: str, fakes: Any, place: Callable[..., Any]) -> None:
    """Each task runs once in the folder of the submission, and its end is told as it was."""
    fakes(name)
    here = place(name)
    job = here.submit(WORK, 4, at_a_time=2, resources=Resources(cpus=3, time="2m", memory="1 GB"))
    reasons = here.ended(job)
    killed = "exit code 137" if name == "lsf" else "signal 9"
    assert reasons == {1: "", 2: "exit code 7", 3: killed, 4: ""}
    assert f"task=4 job={job} cpus=3 limit=120 in with space\nnothing to read\n" in here.log(4)
    assert (here.folder / "jobs/001/id").read_text() == f"{job}\n"


@each
def test_offset(name: str, fakes: Any, place: Callable[..., Any]) -> None:
    """With an offset, index 1 is a later task, in the script and in the name of its log."""
    fakes(name)
    here = place(name)
    assert set(here.ended(here.submit("echo task=$OTWRAP_TASK", 2, first=10))) == {1, 2}
    assert "task=12" in here.log(12)


@each
def test_array_of_one_task(name: str, fakes: Any, place: Callable[..., Any]) -> None:
    """An array of one task runs, also where the batch system refuses such a thing, and can be cancelled by index."""
    fakes(name)
    here = place(name)
    job = here.submit("sleep 60", 1)
    here.until(job, lambda states: states[1].state == "running")
    here.cancel(job, [1])
    assert here.ended(job)[1] != ""


@each
def test_limit_on_tasks_at_a_time(name: str, fakes: Any, place: Callable[..., Any]) -> None:
    """No more tasks than the limit run at a time; the others are waiting, and their node is not known yet."""
    fakes(name)
    here = place(name)
    job = here.submit("sleep 60", 5, at_a_time=2)
    states = here.until(job, lambda states: [s.state for s in states.values()].count("running") == 2)
    assert sorted(state.state for state in states.values()) == ["running"] * 2 + ["waiting"] * 3
    assert {state.node for state in states.values()} == {"node1", ""}


@each
def test_cancel_some_then_all(name: str, fakes: Any, place: Callable[..., Any]) -> None:
    """Single tasks are cancelled, running or waiting ones, and the rest with the job; once more is no error."""
    fakes(name)
    here = place(name)
    job = here.submit("sleep 60", 6, at_a_time=3)
    here.until(job, lambda states: [s.state for s in states.values()].count("running") == 3)
    here.cancel(job, [2, 4, 5])
    states = here.until(
        job, lambda states: {s.state for i, s in states.items() if i in (2, 4, 5)} == {"ended"}
    )
    assert states[1].state == "running"
    here.cancel(job)
    assert set(here.ended(job)) == {1, 2, 3, 4, 5, 6}
    here.cancel(job)
    here.cancel(job, [1, 3])


@each
def test_time_limit(
    name: str, fakes: Any, place: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that reaches its time limit has ended with the batch system's own word for it."""
    monkeypatch.setenv("FAKE_MINUTE", "1")
    fakes(name)
    here = place(name)
    job = here.submit("sleep 60", 2, resources=Resources(time="1s"))
    words = {"pbs": "walltime exceeded", "torque": "signal 15", "lsf": "TERM_RUNLIMIT"}
    assert set(here.ended(job).values()) == {words[name]}


@each
def test_after(name: str, fakes: Any, place: Callable[..., Any]) -> None:
    """A job after others starts when they have ended, well or not, and only waits until then."""
    fakes(name)
    here = place(name)
    array = here.submit("sleep 1; exit 3", 2)
    single = here.submit("sleep 1", None)
    last = here.submit("ls jobs; test -s jobs/001/logs/2.txt", None, after=(array, single))
    assert here.states(last)[last][1].state == "waiting"
    assert here.ended(last) == {1: ""}
    assert set(here.ended(array).values()) == {"exit code 3"}


@each
def test_jobs_that_are_not_known(name: str, fakes: Any, place: Callable[..., Any]) -> None:
    """An unknown job is no error and hides no other one; to cancel it is none, either."""
    fakes(name)
    here = place(name)
    job = here.submit("true", 2)
    here.ended(job)
    other = {"pbs": "999[].head", "torque": "999[].head", "lsf": "999"}[name]
    assert set(here.states(other, job)) == {job}
    assert here.states(other) == {}
    here.cancel(other)


@each
def test_server_down(name: str, fakes: Any, place: Callable[..., Any]) -> None:
    """A batch system that does not answer is an error, for whatever it is asked, and never taken for an empty queue."""
    folder: Path = fakes(name)
    here = place(name)
    job = here.submit("true", 2)
    (folder / "down").touch()
    for ask in (lambda: here.states(job), lambda: here.cancel(job), lambda: here.submit("true", 2)):
        with pytest.raises(SchedulerError, match=r"Connection refused|LIM is down"):
            ask()


def test_without_a_history(fakes: Any, place: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PBS keeps no history, tasks are known as long as the array is there."""
    monkeypatch.setenv("FAKE_HISTORY", "0")
    fakes("pbs")
    here = place("pbs")
    job = here.submit("[ $OTWRAP_TASK = 1 ] || sleep 3", 2)
    states = here.until(job, lambda states: states[1].state == "ended")
    assert states[2].state == "running"
    deadline = here.until(job, lambda states: not states)
    assert deadline == {}


@pytest.mark.parametrize(
    ("name", "extra", "complaint"),
    [
        ("pbs", "-l nonsense=3", "Unknown resource"),
        ("torque", "-l nonsense=3", "Unknown resource"),
        ("pbs", "--mail-type=END", "invalid option"),
        ("lsf", "--mail-type=END", "Illegal option"),
    ],
)
def test_what_is_refused(
    name: str, extra: str, complaint: str, fakes: Any, place: Callable[..., Any]
) -> None:
    """What the batch system refuses is an error with its own words."""
    fakes(name)
    with pytest.raises(SchedulerError, match=complaint):
        place(name).submit("true", 2, resources=Resources(extra=[extra]))


def test_output_of_pbs_itself(fakes: Any, place: Callable[..., Any]) -> None:
    """What PBS says of a task that it has killed stands beside the task's log, and replaces nothing."""
    fakes("pbs")
    here = place("pbs")
    here.ended(here.submit("echo begun; sleep 60", 2, resources=Resources(time="1s")))
    assert "begun" in here.log(1)
    assert "walltime" in (here.folder / "jobs/001/logs/1.pbs.txt").read_text()


def test_output_of_lsf_itself(fakes: Any, place: Callable[..., Any]) -> None:
    """The report of LSF stands in the task's log, after what the task has printed."""
    fakes("lsf")
    here = place("lsf")
    here.ended(here.submit("echo begun", 2))
    assert here.log(2).index("begun") < here.log(2).index("LSF System")
