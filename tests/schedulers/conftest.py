"""What the tests of schedulers share."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from otwrap.schedulers import Job, Profile, Scheduler, TaskState, create_scheduler

FAKES = Path(__file__).parent / "fakes"


class Place:
    """A folder of a submission, and a scheduler whose commands are run in it."""

    def __init__(self, folder: Path, scheduler: Scheduler) -> None:
        self.folder, self.scheduler = folder, scheduler
        self.count = 0

    def run(self, command: Sequence[str], given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command in the folder."""
        text = None if given is None else (self.folder / given).read_text()
        return subprocess.run(
            command,
            cwd=self.folder,
            input=text if text is not None else "",
            capture_output=True,
            text=True,
            check=False,
        )

    def submit(self, work: str, tasks: int | None, **settings: Any) -> str:
        """Write the files of a job and submit it; return its id."""
        self.count += 1
        job = Job(f"otwrap-test-{self.count:03d}", f"jobs/{self.count:03d}", work, tasks, **settings)
        (self.folder / job.folder / "logs").mkdir(parents=True)
        for name, text in self.scheduler.scripts(job).items():
            (self.folder / job.folder / name).write_text(text)
        given = self.scheduler.submit_input(job)
        return self.scheduler.submitted(self.run(self.scheduler.submit_command(job), given))

    def states(self, *ids: str) -> dict[str, dict[int, TaskState]]:
        """Ask for states."""
        outputs = [self.run(command) for command in self.scheduler.query_commands(ids)]
        return self.scheduler.states(outputs, ids)

    def cancel(self, job_id: str, indices: Sequence[int] | None = None) -> None:
        """Cancel a job, or some of its tasks."""
        commands = self.scheduler.cancel_command(job_id, indices)
        self.scheduler.cancelled([self.run(command) for command in commands])

    def until(self, job_id: str, condition: Callable[[dict[int, TaskState]], object]) -> dict[int, TaskState]:
        """Ask until the states of a job fulfil a condition; return them."""
        deadline = time.monotonic() + 60
        while not condition(states := self.states(job_id).get(job_id, {})):
            assert time.monotonic() < deadline, (states, self.logs())
            time.sleep(0.05)
        return states

    def ended(self, job_id: str) -> dict[int, str]:
        """Wait for the end of all tasks; return their reasons."""
        states = self.until(
            job_id, lambda states: states and all(s.state == "ended" for s in states.values())
        )
        return {index: state.reason for index, state in sorted(states.items())}

    def log(self, task: int, job: int = 1) -> str:
        """Return the log of a task."""
        return (self.folder / f"jobs/{job:03d}/logs/{task}.txt").read_text()

    def logs(self) -> str:
        """Return all logs."""
        files = sorted(self.folder.glob("jobs/*/logs/*"))
        return "\n".join(f"{file}: {file.read_text(errors='replace')}" for file in files)


@pytest.fixture
def place(tmp_path: Path) -> Callable[..., Place]:
    """Return a function of a scheduler and words of a profile that makes a folder of a submission."""

    def make(scheduler: str, **words: Any) -> Place:
        folder = tmp_path / "with space"
        folder.mkdir()
        return Place(folder, create_scheduler(Profile.from_dict({"scheduler": scheduler, **words})))

    return make


@pytest.fixture
def fakes(fake_program: Callable[[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that puts the commands of a fake batch system in front; its jobs end with the test."""
    folder = tmp_path / "batch"
    folder.mkdir()
    monkeypatch.setenv("FAKE_BATCH", str(folder))
    programs = {"pbs": ("qsub", "qstat", "qdel"), "lsf": ("bsub", "bjobs", "bkill")}

    def make(name: str) -> Path:
        file = FAKES / ("lsf.py" if name == "lsf" else "pbs.py")
        monkeypatch.setenv("FAKE_FLAVOUR", name)
        for program in programs[file.stem]:
            words = shlex.join([sys.executable, str(file), program])
            fake_program(program, f'exec {words} "$@"')
        return folder

    yield make
    for job in folder.iterdir():
        if job.is_dir():
            for number in range(50):
                (job / f"{number}.kill").touch()
    deadline = time.monotonic() + 20
    while _alive(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(folder)


def _alive(folder: Path) -> bool:
    """Whether a process of a fake batch system is still there."""
    for entry in Path("/proc").iterdir() if os.path.isdir("/proc/self") else ():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if len(words) > 2 and words[1].endswith(b"batch.py") and words[2] == os.fsencode(folder):
                return state != "Z"
    return False
