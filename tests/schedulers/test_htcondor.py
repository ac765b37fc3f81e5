"""HTCondor: its description of a job through its own parser, and its answers in the forms that it documents."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from otwrap.errors import SchedulerError
from otwrap.schedulers import Job, Resources, create_scheduler

RESOURCES = Resources(
    time="90s",
    cpus=4,
    memory="1 GB",
    account="group_lab.me",
    constraint='OpSysAndVer == "CentOS8" && Memory > 1000',
    extra=['+WishList = "a b"', "notification = Error"],
)


def description(**settings: Any) -> str:
    """Return what is submitted for an array of five tasks, unless more is said."""
    job = Job(**{"name": "otwrap-001", "folder": "jobs/001", "work": "true", "tasks": 5, **settings})
    files = create_scheduler("htcondor").scripts(job)
    assert list(files) == ["script.sub", "script.sh"]
    return files["script.sub"]


def parsed(**settings: Any) -> Any:
    """Return the description as HTCondor's own parser reads it."""
    htcondor2 = pytest.importorskip("htcondor2")
    return htcondor2.Submit(description(**settings))


@pytest.mark.parametrize(("tasks", "count"), [(5, "5"), (1, "1"), (None, "1")])
def test_number_of_processes(tasks: int | None, count: str) -> None:
    """There is one process for each task."""
    submit = parsed(tasks=tasks)
    assert submit.getQArgs() == count
    assert submit.itemdata() is None


def test_each_process_is_a_task() -> None:
    """Process 3 is the task with index 4, in its environment and in the name of its file."""
    submit = parsed(resources=RESOURCES)
    for process in range(5):
        submit["Process"], submit["Cluster"] = str(process), "12"
        index = process + 1
        assert submit.expand("output") == submit.expand("error") == f"jobs/001/logs/{index}.htcondor.txt"
        assert submit.expand("environment") == f'"CONDOR_ARRAY_INDEX={index} CONDOR_CLUSTER=12"'
    assert submit.expand("arguments") == "jobs/001/script.sh"


def test_resources() -> None:
    """Resources and further lines are what the parser finds, quotes included; expressions are ones."""
    submit = parsed(resources=RESOURCES, at_a_time=2, rerun=False)
    found = {name: submit.expand(name) for name in list(submit)}
    assert (
        found
        | {
            "request_cpus": "4",
            "request_memory": "954",
            "allowed_execute_duration": "90",
            "accounting_group": "group_lab.me",
            "max_materialize": "2",
            "MY.WishList": '"a b"',
            "notification": "Error",
            "should_transfer_files": "NO",
        }
        == found
    )
    classad2 = pytest.importorskip("classad2")
    for name, ad, value in [
        ("requirements", {"OpSysAndVer": "CentOS8", "Memory": 2000}, True),
        ("requirements", {"OpSysAndVer": "CentOS8", "Memory": 500}, False),
        ("periodic_remove", {"JobStatus": 5, "HoldReasonCode": 47}, True),
        ("periodic_remove", {"JobStatus": 5, "HoldReasonCode": 1, "NumJobStarts": 0}, False),
        ("periodic_remove", {"JobStatus": 2, "EnteredCurrentStatus": 1000, "NumJobStarts": 1}, True),
        ("periodic_remove", {"JobStatus": 1, "NumJobStarts": 1}, True),
        ("periodic_remove", {"JobStatus": 1, "NumJobStarts": 0}, False),
    ]:
        assert classad2.ExprTree(found[name]).eval(classad2.ClassAd(ad)) == value, (name, ad)


def test_only_what_was_asked_for() -> None:
    """Without resources there are no limits, and nothing is removed by itself."""
    words = set(parsed().keys())
    assert not words & {"request_memory", "allowed_execute_duration", "periodic_remove", "max_materialize"}


def said(*ads: dict[str, Any], text: str | None = None, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Return a query that has printed jobs."""
    printed = (json.dumps(ads) if ads else "") if text is None else text
    return subprocess.CompletedProcess([], code, printed if code == 0 else "", printed if code else "")


def ad(process: int, status: int, **more: Any) -> dict[str, Any]:
    """Return what HTCondor prints of a job."""
    return {"ClusterId": 12, "ProcId": process, "JobStatus": status, "TotalSubmitProcs": 8, **more}


def states(*outputs: subprocess.CompletedProcess[str]) -> dict[int, tuple[str, str, str]]:
    """Return the states of cluster 12."""
    found = create_scheduler("htcondor").states(outputs, ["12"])
    return {index: tuple(state) for index, state in found.get("12", {}).items()}


def test_states() -> None:
    """Each status of HTCondor is told, with exit code, signal or HTCondor's own reason."""
    queue = said(
        ad(2, 2, RemoteHost="slot1_1@node1"),
        ad(3, 1),
        ad(4, 5, HoldReason="Error from slot1@node2: disk full"),
        ad(5, 7, RemoteHost="slot1_1@node1"),
        ad(6, 4, ExitCode=0, LastRemoteHost="slot1@node3"),
    )
    history = said(
        ad(0, 4, ExitBySignal=False, ExitCode=7, LastRemoteHost="slot1@node1"),
        ad(1, 4, ExitBySignal=True, ExitSignal=9),
        ad(7, 3, RemoveReason="via condor_rm (by user me)"),
    )
    assert states(queue, history) == {
        1: ("ended", "exit code 7", "node1"),
        2: ("ended", "signal 9", ""),
        3: ("running", "", "node1"),
        4: ("waiting", "", ""),
        5: ("held", "Error from slot1@node2: disk full", ""),
        6: ("running", "", "node1"),
        7: ("ended", "", "node3"),
        8: ("ended", "via condor_rm (by user me)", ""),
    }


def test_tasks_that_are_not_there_yet() -> None:
    """With a limit, later tasks come into being when earlier ones have ended, also if none is there just now."""
    found = states(said(ad(3, 2)), said(ad(0, 4), ad(1, 4), ad(2, 4)))
    assert {index for index, state in found.items() if state[0] == "waiting"} == {5, 6, 7, 8}
    found = states(said(), said(ad(0, 4), ad(1, 4)))
    assert {index for index, state in found.items() if state[0] == "waiting"} == set(range(3, 9))
    removed = {"RemoveReason": "via condor_rm (by user me)"}
    assert set(states(said(), said(ad(0, 4), ad(1, 3, **removed)))) == {1, 2}


def test_nothing_is_known() -> None:
    """A cluster that neither queue nor history know is not there."""
    assert states(said(), said()) == {}
    assert states(said(text="[\n]\n"), said(text="no history here", code=1)) == {}


def test_down() -> None:
    """A scheduler that does not answer is an error, and so is an answer that is none."""
    text = "-- Failed to fetch ads from: <127.0.0.1:9618> : head\nCEDAR:6001:Failed to connect to <127.0.0.1:9618>"
    with pytest.raises(SchedulerError, match="Failed to connect"):
        states(said(text=text, code=1), said(ad(0, 4)))
    with pytest.raises(SchedulerError, match="no JSON"):
        states(said(text="-- Schedd: head\n"), said())
