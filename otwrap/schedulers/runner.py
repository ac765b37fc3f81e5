"""The local runner: tasks of a job as background processes of this machine.

::

    python -m otwrap.schedulers.runner submit jobs/001/script.sh     prints the id of the job
    python -m otwrap.schedulers.runner query ID ...                  prints states as JSON
    python -m otwrap.schedulers.runner cancel ID [1,3-5]

All in the folder of the submission. `submit` leaves a process in a session of its own behind, which runs the tasks
and ends with the last one.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from ..guardian import GRACE, PATIENCE
from .ranges import expanded
from .running import Order, Runner
from .spool import Spool, identity_of, send

__all__ = ["cancel", "main", "query", "run", "submit"]

#: Seconds that a runner has to start on a busy machine.
_START = 60.0


def submit(script: str) -> str:
    """Leave a runner behind, and return the id of its job.

    Parameters
    ----------
    script : str
        From the current folder, which is that of the submission.

    Returns
    -------
    job_id : str

    Raises
    ------
    ValueError
        If a line of the script is wrong.
    RuntimeError
        If the runner does not start.
    """
    order = Order.read(script)
    Path(order.logs).mkdir(parents=True, exist_ok=True)
    job_id = f"local-{secrets.token_hex(4)}"
    spool = Spool(Path(script).parent, job_id)
    # It belongs to nobody's run, so that it lives on.
    environment = {name: value for name, value in os.environ.items() if name != "OTWRAP_RUN"}
    command = [sys.executable, "-m", "otwrap.schedulers.runner", "run", script, job_id]
    with (spool.folder / f"{job_id}.err").open("wb") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            env=environment,
            start_new_session=True,
        )
    deadline = time.monotonic() + _START
    while not spool.lines():
        if process.poll() is not None or time.monotonic() > deadline:
            said = (spool.folder / f"{job_id}.err").read_text(errors="replace").strip()
            msg = f"the runner did not start: {said[-1000:] or 'it said nothing'}"
            raise RuntimeError(msg)
        time.sleep(0.01)
    # It is not waited for.
    process.returncode = 0
    return job_id


def run(script: str, job_id: str) -> None:
    """Run the tasks of a job: what `submit` leaves behind.

    Parameters
    ----------
    script : str
        From the current folder.
    job_id : str
        Of the job.
    """
    order = Order.read(script)
    spool = Spool(Path(script).parent, job_id)
    spool.begin(tasks=order.tasks)
    Runner(spool, order).work()
    errors = spool.folder / f"{job_id}.err"
    if errors.stat().st_size == 0:
        errors.unlink()


def query(ids: Sequence[str]) -> dict[str, dict[int, Any]]:
    """Return the states of jobs.

    Parameters
    ----------
    ids : sequence of str
        Of the jobs.

    Returns
    -------
    states : dict of dict of TaskState
        Id -> index -> state, of those that are known.

    Raises
    ------
    RuntimeError
        If one is a job of another machine.
    """
    found = {job_id: Spool.find(job_id) for job_id in ids}
    return {job_id: dict(spool.states()) for job_id, spool in found.items() if spool is not None}


def cancel(job_id: str, indices: Sequence[int] | None) -> None:
    """Cancel tasks, and wait until nothing is left of them.

    Parameters
    ----------
    job_id : str
        Of the job.
    indices : sequence of int or None
        Of the tasks; `None` for all. What has ended already is left alone.

    Raises
    ------
    RuntimeError
        If the job is one of another machine.
    """
    spool = Spool.find(job_id)
    if spool is None:
        return
    spool.states()
    spool.wish(indices)
    runner, *events = spool.lines()
    begun = [event for event in events if "pid" in event and (indices is None or event["task"] in indices)]
    if identity_of(runner["pid"]) != runner["identity"]:
        # Nobody looks after these any more.
        _end_left(spool, begun)
    deadline = time.monotonic() + GRACE + PATIENCE
    while any(spool.left(event["task"], event) for event in begun) and time.monotonic() < deadline:
        time.sleep(0.05)


def _end_left(spool: Spool, begun: Sequence[dict[str, Any]]) -> None:
    """End what a killed runner has left behind."""
    start = time.monotonic()
    told: set[int] = set()
    while left := [pid for event in begun for pid in spool.left(event["task"], event)]:
        elapsed = time.monotonic() - start
        if elapsed > GRACE + PATIENCE:
            return
        for pid in left:
            if elapsed >= GRACE or pid not in told:
                send(pid, signal.SIGKILL if elapsed >= GRACE else signal.SIGTERM)
        told.update(left)
        time.sleep(0.05)


def main(arguments: Sequence[str], output: IO[str] | None = None) -> int:
    """Do what the command line says.

    Parameters
    ----------
    arguments : sequence of str
        See above.
    output : file, optional
        Where to print. Default is the standard output.

    Returns
    -------
    exit_code : int
    """
    try:
        if os.name == "nt":
            raise RuntimeError("the local runner needs bash and process groups, which Windows does not have")
        match list(arguments):
            case ["submit", script]:
                print(submit(script), file=output)
            case ["run", script, job_id]:
                run(script, job_id)
            case ["query", *ids]:
                print(json.dumps(query(ids)), file=output)
            case ["cancel", job_id]:
                cancel(job_id, None)
            case ["cancel", job_id, indices]:
                cancel(job_id, expanded(indices))
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except (OSError, RuntimeError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
