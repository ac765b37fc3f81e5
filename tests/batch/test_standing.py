"""How points stand: what the records say, what the batch system says, and what follows from both."""

import pytest

from otwrap.batch import BatchFolder
from otwrap.batch.arrivals import Arrival
from otwrap.batch.folder import ABOUT, as_text
from otwrap.batch.standing import latest, standing_of
from otwrap.evaluation import Evaluation
from otwrap.schedulers import TaskState

DONE, FAILED = Evaluation((0.0,), (1.0,)), Evaluation((0.0,), None, "failed", "exit code")


@pytest.fixture
def folder(tmp_path):
    """A folder of six points, with one array of three tasks that was submitted."""
    (tmp_path / ABOUT).write_text(as_text({"version": 1, "id": "i", "way": "worker", "points": 6}))
    folder = BatchFolder(tmp_path)
    add(folder, [[0, 1], [2, 3], [4, 5]])
    return folder


def add(folder, tasks, identifier="12"):
    """Add an array."""
    job = folder.add_job(tasks, {}, lambda place: {"script.sh": ""})
    if identifier:
        job.note_id(identifier)
    return job


def points(folder, arrivals, states, **more):
    """Return how points stand, without what no point is."""
    standing = standing_of(folder, arrivals, states, more.pop("ends", {}), **more)
    return {name: numbers for name, numbers in standing.points.items() if numbers}


def states(**tasks):
    """Return states of tasks of the first array: ``t1="running"``."""
    return {1: {int(name[1:]): TaskState(state) for name, state in tasks.items()}}


def test_a_life(folder):
    """Points wait, run and end; one task has begun its second point."""
    arrivals = [Arrival(1, 0, DONE), Arrival(1, 2, FAILED)]
    found = points(folder, arrivals, states(t1="running", t2="running", t3="waiting"), begun=[(1, 1)])
    assert found == {"waiting": [4, 5], "running": [1, 3], "done": [0], "failed": [2]}


def test_points_of_a_task_that_is_gone_are_lost(folder):
    """Whether the batch system says that it has ended or does not know it: without a record they are lost."""
    standing = standing_of(
        folder, [Arrival(1, 0, DONE)], states(t2="ended", t3="waiting"), {(1, 2): ("limit", "the limit")}
    )
    assert standing.points["lost"] == [1, 2, 3]
    assert [(lost.task, lost.numbers, lost.reason) for lost in standing.lost] == [
        (1, [1], ""),
        (2, [2, 3], "the limit"),
    ]


def test_submitted_again(folder):
    """What is tried again waits, whatever it was before; a good record of the first try counts."""
    arrivals = [Arrival(1, 0, DONE), Arrival(1, 1, FAILED), Arrival(1, 2, DONE)]
    add(folder, [[1, 2, 3]], "13")
    found = points(folder, arrivals, {2: {1: TaskState("waiting")}})
    assert found == {"waiting": [1, 3], "done": [0, 2], "lost": [4, 5]}


def test_failed_again(folder):
    """Failed in both arrays is failed; done in the second is done."""
    add(folder, [[1, 2]], "13")
    arrivals = [Arrival(1, 1, FAILED), Arrival(1, 2, FAILED), Arrival(2, 1, FAILED), Arrival(2, 2, DONE)]
    found = points(folder, arrivals, {})
    assert (found["failed"], found["done"]) == ([1], [2])


def test_an_array_that_was_not_submitted(tmp_path, folder):
    """Cut off before its submission, it has points that are not submitted."""
    add(folder, [[0, 1]], None)
    assert points(folder, [], states(t1="running", t2="running", t3="running"))["not submitted"] == [0, 1]


def test_cancelled(folder):
    """Points of an array that was cancelled are lost, with that reason."""
    folder.jobs()[0].note_cancelled()
    standing = standing_of(folder, [], {}, {})
    assert {lost.reason for lost in standing.lost} == {"cancelled"}


def test_tasks_that_wait_in_vain_are_told(folder):
    """What the batch system says of a task that it holds is handed on."""
    held = {1: {n: TaskState("held", "Eqw") for n in (1, 2, 3)}}
    assert standing_of(folder, [], held, {}).remarks[0] == "job 12: 3 tasks wait in vain: Eqw"


def test_the_record_that_counts():
    """A good record counts before a bad one, whenever it came; of bad ones the last."""
    other = FAILED._replace(cause="signal")
    assert latest([Arrival(2, 0, FAILED), Arrival(1, 0, DONE)]) == {0: DONE}
    assert latest([Arrival(2, 0, other), Arrival(1, 0, FAILED)]) == {0: other}
