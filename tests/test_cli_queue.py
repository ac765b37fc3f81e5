"""`otwrap submit` and what follows it, from a terminal."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

MODEL = """
import openturns as ot
import otwrap as otw

double = otw.Wrapper(
    ["x"], ["y"], command=["sh", "-c", "echo working; test {x} != 3.0 && echo y = {x}"],
    parsers=[otw.parsers.Value("stdout.txt", "y =")], distribution=ot.Uniform(0.0, 1.0))
if __name__ == "__main__":
    otw.main(double)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model, a design and a profile."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    Path("model.py").write_text(MODEL)
    Path("design.csv").write_text("x\n1\n2\n3\n4\n5\n")
    Path("profiles").mkdir()
    Path("profiles/office.toml").write_text(
        'scheduler = "slurm"\npartition = "short"\ntime = "2h"\nmemory = "4 GB"\nsetup = ["module load code"]\n'
        'extra = ["--mail-type=END"]\nat_a_time = 10\nchunk = 2\npython = "python3"\n'
    )
    return tmp_path


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of otwrap."""
    command = [sys.executable, "-m", "otwrap", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def status() -> dict[str, object]:
    """Return the status of the submission, as JSON."""
    told: dict[str, object] = json.loads(run("status", "queue", "--json").stdout)
    return told


def wait() -> dict[str, object]:
    """Wait until nothing will come any more, and return the status."""
    end = time.monotonic() + 60
    while (told := status())["running"] or told["waiting"]:
        assert time.monotonic() < end
    return told


def test_a_study_from_the_terminal(folder: Path) -> None:
    """Submit, leave, look, collect, submit what failed once more."""
    submitted = run(
        *("submit", "model.py", "--design", "design.csv", "--scheduler", "local", "--chunk", "2"),
        *("--folder", "queue", "--store", "s.db"),
    )
    assert submitted.returncode == 0, submitted.stderr
    assert "5 points for local" in submitted.stdout and "expected end" in submitted.stdout
    told = wait()
    assert (told["points"], told["done"], told["failed"], told["lost"]) == (5, 4, 1, 0)
    shown = run("status", "queue")
    assert shown.returncode == 1 and "otwrap collect" in shown.stderr
    collected = run("collect", "queue")
    assert collected.stdout.splitlines()[:4] == ["done     4", "failed   1", "missing  0", "known    0"]
    assert "otwrap failures" in collected.stderr
    assert "task 2 of job" in run("logs", "queue", "3").stdout
    again = run("resubmit", "queue", "--failed", "--time", "10m")
    assert again.stdout.startswith("1 points submitted in job ")
    wait()
    assert "exit code" in run("failures", "s.db").stdout


def test_waiting_for_all_of_it(folder: Path) -> None:
    """With --wait the command returns when all has ended and is in the store, and its status says how."""
    done = run(
        *("submit", "model.py", "--grid", "x=[1,2]", "--scheduler", "local", "--wait", "--json"),
        *("--store", "s.db"),
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["done"], told["waiting"]) == (2, 0)
    assert Path(told["folder"]) == folder / "submissions" / "double-001"
    assert json.loads(run("status", "s.db", "--json").stdout)["points"] == 2


def test_cancelled(folder: Path) -> None:
    """What was cancelled is lost until it is submitted again."""
    Path("slow.py").write_text(MODEL.replace("echo working", "sleep 60"))
    run(
        "submit",
        "slow.py",
        "--design",
        "design.csv",
        "--scheduler",
        "local",
        "--chunk",
        "1",
        "--folder",
        "queue",
    )
    assert run("cancel", "queue").stdout == "5 tasks cancelled\n"
    assert wait()["lost"] == 5
    assert "otwrap resubmit" in run("status", "queue").stderr


def test_dry_run_prints_the_script(folder: Path) -> None:
    """The script of the profile, with what the command line says before it, and nothing is written."""
    before = sorted(folder.rglob("*"))
    script = run(
        "submit", "model.py", "--design", "design.csv", "--profile", "office", "--time", "90m", "--dry-run"
    ).stdout
    lines = script.splitlines()
    for line in (
        *("#SBATCH --array=1-3%10", "#SBATCH --time=01:30:00", "#SBATCH --partition=short"),
        *("#SBATCH --mail-type=END", "module load code"),
    ):
        assert line in lines, script
    assert "python3 -m otwrap.task jobs/001" in script
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
    assert sorted(path for path in folder.rglob("*") if "__pycache__" not in str(path)) == before


def test_profiles_are_listed_and_shown(folder: Path) -> None:
    """What `submit --profile` finds, what a profile says, and the templates to copy."""
    assert run("profiles").stdout.split()[3:] == ["office", "slurm", "profiles/office.toml"]
    shown = json.loads(run("profiles", "office", "--json").stdout)
    assert (shown["time"], shown["partition"]) == (7200.0, "short")
    assert "#SBATCH --job-name={{ name }}" in run("profiles", "--template", "slurm").stdout
    missing = run("profiles", "offce")
    assert missing.returncode == 1 and "did you mean 'office'" in missing.stderr


def test_a_command_line_of_its_own(folder: Path) -> None:
    """A model's own file submits and collects, too."""
    command = [sys.executable, "model.py"]
    words = [
        "submit",
        "--design",
        "design.csv",
        "--scheduler",
        "local",
        "--folder",
        "queue",
        "--way",
        "shell",
    ]
    subprocess.run([*command, *words], check=True, capture_output=True)
    wait()
    told = subprocess.run([*command, "collect", "queue"], check=True, capture_output=True, text=True).stdout
    assert told.splitlines()[0] == "done     4"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["submit", "model.py", "-X", "1"], "neither a batch system nor a profile"),
        (["submit", "model.py", "-X", "1", "--profile", "nowhere"], "there is no profile 'nowhere'"),
        (["submit", "model.py", "-X", "1", "--scheduler", "local", "--time", "90"], "say the unit"),
        (["status", "."], "no folder of a submission"),
        (["collect", "nothing"], "no folder of a submission"),
        (["push", "queue", "C:\\data"], "no folder of a submission"),
    ],
)
def test_mistakes_are_told(folder: Path, words: list[str], text: str) -> None:
    """The value, what is accepted, and no traceback."""
    told = run(*words)
    assert told.returncode != 0
    assert text in told.stderr and "Traceback" not in told.stderr
