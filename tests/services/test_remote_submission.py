"""A cluster that is reached by ssh: submitted from here, looked at from here, brought back, with its own Slurm."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from engines import Missing, until
from servers import slurm, sshd

import otwrap as otw

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def cluster(need):
    """A machine with a Slurm, behind ssh: this one, under another name."""
    try:
        with slurm(cpus=4) as running, sshd("AcceptEnv SLURM_CONF") as server:
            yield running, server
    except Missing as missing:
        need(False, str(missing))


@pytest.fixture
def profile(cluster, tmp_path, monkeypatch):
    """A profile of the cluster, as a file that the command line finds."""
    running, server = cluster
    monkeypatch.setenv("OTWRAP_SSH_CONFIG", server.config)
    home = tmp_path / "home"
    (home / "profiles").mkdir(parents=True)
    monkeypatch.chdir(home)
    programs = {"submit": "sbatch", "query": "squeue", "history": "sacct", "cancel": "scancel"}
    commands = "\n".join(
        f"{what} = ['env', 'SLURM_CONF={running.config}', '{program}']" for what, program in programs.items()
    )
    (home / "profiles" / "cluster.toml").write_text(
        f'scheduler = "slurm"\nhost = "cluster"\ndirectory = "{tmp_path / "scratch"}"\n'
        f'python = "{sys.executable}"\nchunk = 4\n[commands]\n{commands}\n'
    )
    (home / "wrapper.py").write_text(
        "import otwrap as otw\n"
        "double = otw.Wrapper(['x'], ['y'], command=['sh', '-c', 'sleep 0.3; echo y = {x}; test {x} != 5.0'],\n"
        "                     parsers=[otw.parsers.Value('stdout.txt', 'y =')])\n"
    )
    (home / "design.csv").write_text("x\n" + "".join(f"{n}.0\n" for n in range(12)))
    return tmp_path


def otwrap(*words):
    """Run a command, and return it ended."""
    command = [sys.executable, "-m", "otwrap", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("way", ["worker", "shell"])
def test_from_here_to_there_and_back(profile, way):
    """Each command works from this side: submit, status, collect, logs, resubmit; the work is done on the other."""
    done = otwrap(
        *("submit", "wrapper.py", "--design", "design.csv", "--profile", "cluster", "--way", way),
        *("--folder", "queue", "--store", "s.db"),
    )
    assert done.returncode == 0, done.stderr
    there = profile / "scratch" / "queue"
    assert (there / "jobs" / "001" / "id").exists() or (Path("queue") / "jobs" / "001" / "id").exists()
    assert until(
        lambda: (
            "12 points" in otwrap("status", "queue").stdout and otw.Submission("queue").status().is_complete
        )
    )
    told = otwrap("collect", "queue")
    assert told.stdout.split()[:4] == ["done", "11", "failed", "1"], told.stdout + told.stderr
    assert "task 2 of job" in otwrap("logs", "queue", "5").stdout
    again = otwrap("resubmit", "queue", "--failed")
    assert again.stdout.startswith("1 points submitted"), again.stdout + again.stderr
    assert until(lambda: otw.Submission("queue").status().is_over)
    with otw.Store("s.db", readonly=True) as store:
        store.select_last()
        (failure,) = [evaluation for _, evaluation in store.items() if not evaluation.done]
    assert failure.point == (5.0,) and Path(failure.workdir).is_dir()
    assert os.path.commonpath([failure.workdir, Path("queue").absolute()]) == str(Path("queue").absolute())


def test_filters_hold_for_what_comes_later(profile):
    """What `pull` was told to leave out, `collect` leaves out too."""
    Path("wrapper.py").write_text(Path("wrapper.py").read_text().replace("sleep 0.3", "sleep 8"))
    words = ["--profile", "cluster", "--way", "shell", "--folder", "queue"]
    otwrap("submit", "wrapper.py", "--grid", "x=[1,2]", *words)
    otwrap("pull", "queue", "--exclude", "*/stderr.txt")
    assert until(lambda: otw.Submission("queue").status().is_complete)
    assert otwrap("collect", "queue").stdout.split()[:2] == ["done", "2"]
    assert len(list(Path("queue").glob("point-*/stdout.txt"))) == 2
    assert not list(Path("queue").glob("point-*/stderr.txt"))


def test_pushed_by_hand_and_pulled_until_all_is_there(profile):
    """A folder that was only prepared goes there, runs by its README, and `pull --every` waits for it."""
    otwrap("prepare", "wrapper.py", "--design", "design.csv", "--folder", "queue")
    place = f"cluster:{profile / 'scratch' / 'byhand'}"
    assert otwrap("push", "queue", place).returncode == 0
    with subprocess.Popen(["sh", "run-all.sh", "2"], cwd=profile / "scratch" / "byhand"):
        pulled = otwrap("pull", "queue", "--every", "2s")
    assert pulled.returncode == 0, pulled.stderr
    assert "points have not ended" in pulled.stderr
    told = otwrap("collect", "queue", "--model", "wrapper.py", "--store", "s.db")
    assert told.stdout.split()[:4] == ["done", "11", "failed", "1"]
