"""Input and output in two files, with names that tasks running side by side do not share."""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path

from ..dumps import dump_array
from ..files import safemakedirs

__all__ = ["dump_pair"]

#: What batch systems set in each task of an array; the job's own number comes before it.
_TASKS = (
    "SLURM_ARRAY_TASK_ID",
    "PBS_ARRAY_INDEX",
    "PBS_ARRAYID",
    "SGE_TASK_ID",
    "LSB_JOBINDEX",
    "OAR_ARRAY_INDEX",
)


def dump_pair(folder: str | os.PathLike[str], X: Sequence[object], Y: Sequence[object]) -> list[str]:
    """Write input and output, as :func:`otwrap.load_array` reads them.

    Parameters
    ----------
    folder : path
        Where; made if missing.
    X, Y : sequence
        A point and its output, or samples.

    Returns
    -------
    names : list of str
        The files ``InputSample-<host>-<task>-<random>.pkl`` and ``OutputSample-...``, where the task is
        the number of the array task, or else of the process.
    """
    import numpy as np

    safemakedirs(folder)
    while True:
        mark = f"{_host()}-{_task()}-{secrets.token_hex(4)}"
        names = [Path(folder, f"{kind}Sample-{mark}.pkl") for kind in ("Input", "Output")]
        try:
            # Two tasks that come upon one name: the second one looks for another.
            with open(names[0], "x"):
                break
        except FileExistsError:
            continue
    for name, array in zip(names, (X, Y), strict=True):
        dump_array(np.array(array, dtype=float), name)
    return [str(name) for name in names]


def _host() -> str:
    """Return the machine's name as a part of a file's name."""
    return re.sub(r"[^\w.-]", "_", socket.gethostname().partition(".")[0]) or "host"


def _task() -> str:
    """Return the number of the array task, or else of the process."""
    found = next((os.environ[name] for name in _TASKS if os.environ.get(name, "").isdigit()), None)
    return str(os.getpid()) if found is None else found
