"""What an engine's own worker does for otwrap: it starts a worker process and waits for its end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque

__all__ = ["IDLE", "UNREACHABLE", "launch"]

#: Seconds without a point after which a worker gives its place back where somebody else may wait for it: another
#: function of the same study, or the end of an executor's `with` block.
IDLE = 5.0

#: What a worker says first that cannot connect.
UNREACHABLE = "the driver cannot be reached"
#: How the variables begin by which mpiexec, or srun in its place, makes a process a rank.
_OF_MPI = ("OMPI_", "PMIX_", "PMI_", "PRTE_", "HYDI_", "HYDRA_", "MPI_LOCAL")


def launch(host: str, port: int, key: str, number: int, idle: float | None = None) -> str:
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

    Returns
    -------
    problem : str
        Empty if the worker has ended well.
    """
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
    return "" if exit_code == 0 else f"exit code {exit_code}: {''.join(said).strip() or 'it said nothing'}"


def _environment() -> dict[str, str]:
    """Return the environment of the worker, which is no rank even if a rank starts it: its codes may be."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_OF_MPI) or name.startswith("OMPI_ALLOW_RUN_AS_ROOT")
    }
