"""The promises of the batch systems that the tests start: what the tests of submissions stand on."""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
from engines import Missing, until
from processes import kill, program
from servers import slurm

pytestmark = pytest.mark.services


def typed(*command: object) -> str:
    """Run a command as a user types it; return what it prints."""
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout.strip()


def waiting_script(name: str, index: str, then: str = "exit 0") -> Path:
    """Write a script each task of which says that it runs, and waits for its file `go`."""
    script = Path(name)
    script.write_text(
        f"#!/bin/sh\necho $$ >> started.${index}\nuntil [ -e go.${index} ]; do sleep 0.1; done\n{then}\n"
    )
    return script


def started(here: Path) -> set[str]:
    """Return the tasks that have started."""
    return {file.suffix[1:] for file in here.glob("started.*")}


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder for the script, its files and logs, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def slurm_states(job: str) -> dict[str, str]:
    """Return what Slurm says of the tasks of a job."""
    lines = typed("squeue", "-h", "-r", "--states=all", "-o", "%K %T", "-j", job).splitlines()
    return dict(line.split() for line in lines)


def gridengine_states(job: str) -> dict[str, str]:
    """Return what Grid Engine says of the tasks of a job that have not ended."""
    lines = [line.split() for line in typed("qstat", "-u", "*", "-g", "d").splitlines()[2:]]
    return {line[-1]: line[4] for line in lines if line[0] == job}


@pytest.fixture
def slurm_job(slurm_cluster, here):
    """A function that submits an array of waiting tasks to Slurm, and ends it after the test."""
    jobs = []

    def submit(*options: str) -> str:
        jobs.append(typed("sbatch", "--parsable", *options, waiting_script("job.sh", "SLURM_ARRAY_TASK_ID")))
        return jobs[-1]

    yield submit
    for job in jobs:
        typed("scancel", job)
    for node in ("n1", "n2"):
        slurm_cluster.node_up(node)


@pytest.fixture
def gridengine_job(gridengine_cell, here):
    """A function that submits an array of waiting tasks to Grid Engine, and ends it after the test."""
    jobs = []

    def submit(*options: str) -> str:
        script = waiting_script("job.sh", "SGE_TASK_ID")
        printed = typed("qsub", "-terse", "-cwd", "-j", "y", "-S", "/bin/sh", *options, script)
        jobs.append(printed.partition(".")[0])
        return jobs[-1]

    yield submit
    gridengine_cell.start_node()
    for job in jobs:
        if gridengine_states(job):
            subprocess.run(["qdel", job], capture_output=True, check=False)
        assert until(lambda job=job: not gridengine_states(job))


def test_an_array_of_slurm_keeps_its_limit(slurm_job, here):
    """Two of three tasks start, on either node; the third one does when one of them has ended."""
    job = slurm_job("--array=1-3%2")
    assert until(lambda: len(started(here)) == 2)
    assert sorted(slurm_states(job).values()) == ["PENDING", "RUNNING", "RUNNING"]
    for task in (1, 2, 3):
        (here / f"go.{task}").touch()
    assert until(lambda: set(slurm_states(job).values()) == {"COMPLETED"})
    assert started(here) == {"1", "2", "3"}


def test_an_element_of_slurm_is_cancelled(slurm_job, slurm_cluster, here):
    """One element is cancelled and its processes end; the other one goes on."""
    job = slurm_job("--array=1-2")
    assert until(lambda: len(started(here)) == 2)
    assert slurm_cluster.pids(job, 1) != []
    typed("scancel", f"{job}_1")
    assert until(lambda: slurm_states(job) == {"1": "CANCELLED", "2": "RUNNING"})
    assert until(lambda: not slurm_cluster.pids(job, 1))
    assert slurm_cluster.pids(job, 2) != []


def test_a_node_of_slurm_that_is_set_down_gives_its_tasks_back(slurm_job, slurm_cluster, here):
    """A task whose node is set down ends there, and waits again."""
    job = slurm_job("--array=1", "--nodelist=n1")
    assert until(lambda: started(here))
    slurm_cluster.node_down("n1")
    assert until(lambda: slurm_states(job) == {"1": "PENDING"})
    assert until(lambda: not slurm_cluster.pids(job))


def test_a_node_of_slurm_crashes_with_all_that_it_has(slurm_job, slurm_cluster, here):
    """No process of a node outlives its crash, nobody has heard of it, and the other node goes on."""
    lost, safe = slurm_job("--array=1", "--nodelist=n1"), slurm_job("--array=2", "--nodelist=n2")
    assert until(lambda: started(here) == {"1", "2"})
    slurm_cluster.crash("n1")
    assert slurm_cluster.pids(lost) == slurm_cluster.step_daemons("n1") == []
    assert slurm_states(lost) == {"1": "RUNNING"}
    assert slurm_cluster.pids(safe) != []
    slurm_cluster.node_down("n1")
    assert until(lambda: slurm_states(lost) == {"1": "PENDING"})
    slurm_cluster.start_node("n1")
    assert until(lambda: len((here / "started.1").read_text().split()) == 2)
    assert slurm_states(safe) == {"2": "RUNNING"}


def test_the_site_of_slurm_has_a_limit(here):
    """The limit of an array's size is what the test wants, and ends with the cluster, as all of its processes do."""
    before = os.environ.get("SLURM_CONF")
    with slurm(max_array_size=10) as cluster:
        script = waiting_script("job.sh", "SLURM_ARRAY_TASK_ID")
        with pytest.raises(subprocess.CalledProcessError) as caught:
            typed("sbatch", "--array=1-10", script)
        assert "Invalid job array specification" in caught.value.stderr
        typed("sbatch", "--array=1-2", "--partition=short", script)
        assert until(lambda: started(here))
        processes = [*cluster.pids("1"), *cluster.step_daemons("n1"), *cluster.step_daemons("n2")]
        assert processes
    assert until(lambda: not any(map(program, processes)))
    assert not cluster.folder.exists()
    assert os.environ.get("SLURM_CONF") == before


def test_the_accounts_of_slurm_know_what_has_ended(need, here):
    """With accounts, `sacct` knows how a job has ended that the controller does not know."""
    with ExitStack() as stack:
        try:
            cluster = stack.enter_context(slurm(accounting=True))
        except Missing as missing:
            need(False, str(missing))
        job = typed("sbatch", "--parsable", "--wrap", "exit 7")
        told = ["sacct", "-n", "-X", "-P", "-o", "State,ExitCode", "-j", job]
        assert until(lambda: typed(*told) == "FAILED|7:0")
        cluster.crash_controller()
        assert typed(*told) == "FAILED|7:0"


def test_an_array_of_grid_engine_keeps_its_limit(gridengine_job, here):
    """Two of three tasks start; the third one does when one of them has ended."""
    job = gridengine_job("-t", "1-3", "-tc", "2")
    assert until(lambda: len(started(here)) == 2)
    assert until(lambda: sorted(gridengine_states(job).values()) == ["qw", "r", "r"])
    for task in (1, 2, 3):
        (here / f"go.{task}").touch()
    assert until(lambda: not gridengine_states(job))
    assert started(here) == {"1", "2", "3"}


def test_an_element_of_grid_engine_is_deleted(gridengine_job, gridengine_cell, here):
    """One element is deleted and its processes end; the other one goes on."""
    job = gridengine_job("-t", "1-2")
    assert until(lambda: len(started(here)) == 2)
    assert gridengine_cell.pids(job, 1) != []
    typed("qdel", job, "-t", "1")
    assert until(lambda: gridengine_states(job) == {"2": "r"})
    assert gridengine_cell.pids(job, 1) == []
    assert gridengine_cell.pids(job, 2) != []


def test_a_task_of_grid_engine_runs_twice_at_once(gridengine_job, gridengine_cell, here):
    """A task whose shepherd is killed is run again, while the first run goes on; both come to their end."""
    job = gridengine_job("-t", "1-1", "-r", "y")
    assert until(lambda: started(here))
    (first,) = {*gridengine_cell.pids(job)} & {
        pid for pid in gridengine_cell.pids(job) if program(pid) != "sleep"
    }
    assert len(kill(gridengine_cell.shepherds())) == 1
    assert until(lambda: len((here / "started.1").read_text().split()) == 2)
    assert program(first) != ""
    assert len({pid for pid in gridengine_cell.pids(job) if program(pid) != "sleep"}) == 2
    (here / "go.1").touch()
    assert until(lambda: not gridengine_cell.pids(job))


def test_a_node_of_grid_engine_crashes_with_all_that_it_has(gridengine_job, gridengine_cell, here):
    """No process of a node outlives its crash; its task starts again with the node."""
    job = gridengine_job("-t", "1-1", "-r", "y")
    assert until(lambda: started(here) and gridengine_states(job) == {"1": "r"})
    gridengine_cell.crash()
    assert gridengine_cell.pids(job) == gridengine_cell.shepherds() == []
    assert gridengine_states(job) == {"1": "r"}
    gridengine_cell.start_node()
    assert until(lambda: len((here / "started.1").read_text().split()) == 2)
