"""What an engine's own worker does for otwrap: it starts a worker process and waits for its end."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import deque

__all__ = ["IDLE", "UNREACHABLE", "launch"]

#: Seconds without a point after which a worker gives its place back where somebody else may wait for it: another
#: function of the same study, or the end of an executor's `with` block.
IDLE = 5.0

#: Seconds in which a driver ends of which a worker has lost the connection.
_SOON = 5.0

#: What a worker says first that cannot connect.
UNREACHABLE = "the driver cannot be reached"
#: How the variables begin by which mpiexec, or srun in its place, makes a process a rank.
_OF_MPI = ("OMPI_", "PMIX_", "PMI_", "PRTE_", "HYDI_", "HYDRA_", "MPI_LOCAL")


def launch(
    host: str, port: int, key: str, number: int, idle: float | None = None, owner: int | None = None
) -> str:
    """Start a worker process that connects to the driver, and wait until it ends.

    It is called by an engine, which keeps its own process: one that evaluates may crash.

    Parameters
    ----------
    host : str
        Of the driver.
    port : int
        Where it listens.
    key : str
        What the worker proves to know, as hexadecimal digits.
    number : int
        Of this call.
    idle : float, optional
        Seconds without a point after which the worker ends. Default is never.
    owner : int, optional
        Number of the driver's process. Where this process is its child, as in a pool of processes, and the driver
        is gone with the worker, it ends: nobody can give it work any more, and it would wait for some for ever.

    Returns
    -------
    problem : str
        Empty if the worker has ended well.
    """
    is_child = os.getppid() == owner
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; "
        f"from otwrap.backends._worker import join; join({host!r}, {port}, {idle!r})"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(),
    )
    with process:
        if process.stdin is None or process.stderr is None:  # never: both are pipes
            return "no pipes"
        process.stdin.write(f"{key} {number}\n")
        process.stdin.flush()
        # Its standard input stays open: when this process ends, the worker reads the end and ends too.
        said: deque[str] = deque(maxlen=20)
        for line in process.stderr:
            said.append(line)
            if not line.startswith(UNREACHABLE):  # it may just not be needed any more
                sys.stderr.write(line)
        exit_code = process.wait()
    if is_child:
        # The connection of a killed driver ends a moment before the driver does.
        threading.Thread(target=_leave_with, args=(owner,), daemon=True).start()
    return "" if exit_code == 0 else f"exit code {exit_code}: {''.join(said).strip() or 'it said nothing'}"


def _leave_with(owner: int | None) -> None:
    """End this process if another one, whose child it was, ends soon."""
    deadline = time.monotonic() + _SOON
    while time.monotonic() < deadline:
        if os.getppid() != owner:
            os._exit(1)
        time.sleep(0.1)


def _environment() -> dict[str, str]:
    """Return the environment of the worker, which is no rank even if a rank starts it: its codes may be."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_OF_MPI) or name.startswith("OMPI_ALLOW_RUN_AS_ROOT")
    }
