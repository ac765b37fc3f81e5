"""A small batch system, on which the fakes of others stand: jobs with tasks, run in the background by ``bash``.

A job is a folder ``FOLDER/NUMBER`` with ``job.json`` and, for each task, ``INDEX.json`` that says how it stands. As a
script (``batch.py FOLDER NUMBER``) this is the process that runs a job's tasks.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("FAKE_BATCH", "."))


def is_down() -> bool:
    """Whether the server does not answer."""
    return (FOLDER / "down").exists()


def submit(job: dict[str, Any]) -> int:
    """Start a job, and return its number.

    It has ``indices``, ``limit``, ``script`` (text), ``environment`` (index -> variables), ``folder``, ``seconds``,
    ``after`` (numbers), ``spools`` (index -> file), ``output`` (index -> file), ``appends``.
    """
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        number = 1 + max((int(path.name) for path in FOLDER.iterdir() if path.name.isdigit()), default=0)
        (FOLDER / str(number)).mkdir()
    place = FOLDER / str(number)
    job = json.loads(json.dumps(job).replace("@NUMBER@", str(number)))
    (place / "script").write_text(job.pop("script"))
    for index in job["indices"]:
        note(number, index, state="queued")
    (place / "job.json").write_text(json.dumps(job))
    started = subprocess.Popen(
        [sys.executable, __file__, str(FOLDER), str(number)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=(place / "errors").open("w"),
        start_new_session=True,
    )
    started.returncode = 0
    return number


def note(number: int, index: int, **about: Any) -> None:
    """Write down how a task stands."""
    path = FOLDER / str(number) / f"{index}.json"
    path.with_suffix(".new").write_text(json.dumps(about))
    path.with_suffix(".new").rename(path)


def job_of(number: int) -> dict[str, Any] | None:
    """Return a job, if there is one of this number."""
    try:
        return json.loads((FOLDER / str(number) / "job.json").read_text())
    except OSError:
        return None


def stands(number: int, index: int) -> dict[str, Any]:
    """Return how a task stands: ``state`` (queued, running, ended), ``status``, ``signal``, ``limit``."""
    return json.loads((FOLDER / str(number) / f"{index}.json").read_text())


def has_ended(number: int) -> bool:
    """Whether nothing of a job is left."""
    job = job_of(number)
    return job is None or all(stands(number, index)["state"] == "ended" for index in job["indices"])


def kill(number: int, index: int) -> None:
    """Have a task killed, or never started."""
    (FOLDER / str(number) / f"{index}.kill").touch()


class Task:
    """A task that runs."""

    def __init__(self, number: int, job: dict[str, Any], index: int) -> None:
        self.number, self.job, self.index = number, job, index
        self.spool = FOLDER / str(number) / f"{index}.spool"
        self.begun = time.monotonic()
        self.why = ""
        environment = {"PATH": os.environ["PATH"], "HOME": str(FOLDER)} | job["environment"][str(index)]
        with self.spool.open("wb") as spool:
            self.process = subprocess.Popen(
                ["bash", str(FOLDER / str(number) / "script")],
                stdin=subprocess.DEVNULL,
                stdout=spool,
                stderr=spool,
                cwd=job["folder"],
                env=environment,
                start_new_session=True,
            )
        note(number, index, state="running")

    def ended(self) -> bool:
        """Look after it; return whether it has ended."""
        limit = self.job.get("seconds")
        if limit and time.monotonic() - self.begun > limit:
            self._kill("limit")
        if (FOLDER / str(self.number) / f"{self.index}.kill").exists():
            self._kill("killed")
        code = self.process.poll()
        if code is None:
            return False
        self._bring_output()
        note(self.number, self.index, state="ended", status=code, why=self.why)
        return True

    def _kill(self, why: str) -> None:
        """End all of it."""
        if self.process.poll() is None:
            self.why = why
            os.killpg(self.process.pid, signal.SIGTERM)

    def _bring_output(self) -> None:
        """Bring what it printed to where it is wanted."""
        if self.why == "limit":
            with self.spool.open("a") as spool:
                spool.write(self.job["words"])
        target = self.job["output"][str(self.index)]
        if target is not None:
            text = self.spool.read_text(errors="replace")
            if self.job["appends"]:
                # As LSF does, with a report.
                text = f"{text}\n------------------------------------------------------------\nSender: LSF System\n"
            # Without the folder there is no output, and nobody says so.
            if Path(target).parent.is_dir():
                with open(target, "a" if self.job["appends"] else "w") as file:
                    file.write(text)


def main(number: int) -> None:
    """Run the tasks of a job."""
    job = job_of(number)
    assert job is not None
    waiting, running = list(job["indices"]), []
    while waiting or running:
        for index in [index for index in waiting if (FOLDER / str(number) / f"{index}.kill").exists()]:
            waiting.remove(index)
            note(number, index, state="ended", status=-15, why="killed")
        running = [task for task in running if not task.ended()]
        if all(has_ended(other) for other in job["after"]):
            while waiting and len(running) < (job["limit"] or len(job["indices"])):
                running.append(Task(number, job, waiting.pop(0)))
        time.sleep(0.02)


if __name__ == "__main__":
    FOLDER = Path(sys.argv[1])
    main(int(sys.argv[2]))
