"""Slurm and Grid Engine themselves: arrays from submit to end, cancelled tasks, time limits, jobs after others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from engines import Missing, until
from gridengine import gridengine
from servers import slurm

from otwrap.schedulers import Resources

pytestmark = pytest.mark.services

SYSTEMS: dict[str, Callable[..., Any]] = {"slurm": slurm, "sge": gridengine}
#: What these call a task that was cancelled, or has reached its time limit.
CANCELLED = {"slurm": "CANCELLED", "sge": "signal 9"}
TIMEOUT = {"slurm": "TIMEOUT", "sge": "qmaster enforced h_rt, h_cpu, or h_vmem limit"}


@pytest.fixture(scope="module", params=SYSTEMS)
def system(request: pytest.FixtureRequest) -> Iterator[str]:
    """Start a batch system, and return its name."""
    try:
        with SYSTEMS[request.param]():
            yield request.param
    except Missing as missing:
        if os.environ.get("OTWRAP_REQUIRE_SERVICES") == "1":
            pytest.fail(str(missing))
        pytest.skip(str(missing))


@pytest.fixture
def here(system: str, place: Callable[..., Any]) -> Any:
    """Return a folder of a submission."""
    return place(system)


def test_array_from_submit_to_end(system: str, here: Any) -> None:
    """Each task runs in the folder of the submission with what it was told, and its end is told as it was."""
    work = 'case $OTWRAP_TASK in 2) exit 7 ;; 3) kill -9 $$ ;; 4) exit 100 ;; esac\npwd; echo "$OTWRAP_JOB_ID $OTWRAP_CPUS"'
    job = here.submit(work, 5, at_a_time=3, resources=Resources(cpus=2, time="10m"))
    # Grid Engine's accounts are a little late.
    states = here.until(job, lambda states: [s.state for s in states.values()] == ["ended"] * 5)
    hundred = "exit code 1" if system == "sge" else "exit code 100"
    reasons = {1: "", 2: "exit code 7", 3: "signal 9", 4: hundred, 5: ""}
    assert {index: state.reason for index, state in states.items()} == reasons
    assert here.log(5).splitlines()[1:] == [str(here.folder), f"{job} 2"]
    assert (here.folder / "jobs/001/id").read_text() == f"{job}\n"


def test_cancel(system: str, here: Any) -> None:
    """Tasks are cancelled one by one, running or waiting, and then all; tasks at a time are limited."""
    job = here.submit("sleep 1000", 5, at_a_time=2)
    states = here.until(job, lambda states: [s.state for s in states.values()].count("running") == 2)
    assert [states[index].state for index in (3, 4, 5)] == ["waiting"] * 3
    here.cancel(job, [1, 4])
    states = here.until(job, lambda states: 1 in states and states[1].state == "ended" and 3 in states)
    assert states[1].reason == CANCELLED[system]
    assert 4 not in states or states[4].state == "ended"
    here.cancel(job)
    assert until(lambda: all(state.state == "ended" for state in here.states(job).get(job, {}).values()))
    here.cancel(job)
    here.cancel(job, [1])


def test_after_and_offset(system: str, here: Any) -> None:
    """A job after an array waits for its end, well or not; with an offset, tasks and logs are counted on."""
    array = here.submit("sleep 3; echo task $OTWRAP_TASK; exit 3", 2, first=10)
    last = here.submit("test -s jobs/001/logs/12.txt", None, after=(array,))
    assert here.states(last)[last][1].state == "waiting"
    assert here.ended(last) == {1: ""}
    assert "task 12\n" in here.log(12)
    # What only the batch system could have written to is gone if it was empty.
    assert sorted(path.name for path in here.folder.glob("jobs/001/logs/*")) == ["11.txt", "12.txt"]


def test_unknown(system: str, here: Any) -> None:
    """A job that does not exist is not there, and is no error."""
    assert here.states("99999") == {}
    here.cancel("99999")


@pytest.mark.slow
def test_time_limit(system: str, here: Any) -> None:
    """A task that reaches its time limit has ended with the batch system's own word; Slurm takes a minute at least."""
    job = here.submit("sleep 1000", 1, resources=Resources(time="3s"))
    ended: dict[int, str] = {}

    def has_ended() -> bool:
        states = here.states(job).get(job, {})
        ended.update({index: state.reason for index, state in states.items() if state.state == "ended"})
        return bool(ended)

    assert until(has_ended, 150)
    assert ended == {1: TIMEOUT[system]}
    assert system != "slurm" or "DUE TO TIME LIMIT" in here.log(1)
