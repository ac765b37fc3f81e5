"""How many CPUs this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["available_cpus", "evaluations_at_a_time"]

#: What our own jobs set (HTCondor says nothing by itself), and what batch systems set inside an allocation: CPUs of
#: this task on this machine.
_ALLOCATION = (
    "OTWRAP_CPUS",
    "SLURM_CPUS_PER_TASK",
    "NSLOTS",
    "LSB_DJOB_NUMPROC",
    "PBS_NCPUS",
    "NCPUS",
    "OAR_NCPUS",
)


def available_cpus() -> int:
    """Return the number of CPUs that this process may use, at least 1.

    The smallest of what the machine has, the CPU affinity, the quota of the control group and the
    batch system's allocation (Slurm, Grid Engine, LSF, PBS, OAR; HTCondor in the jobs of otwrap).

    Returns
    -------
    n_cpus : int
        At least 1.

    Examples
    --------
    >>> available_cpus() >= 1
    True
    """
    return max(1, min(_limits()))


def evaluations_at_a_time(n_cpus: int, cpus_per_evaluation: int = 1) -> int:
    """Return how many evaluations may run at a time.

    Parameters
    ----------
    n_cpus : int
        CPUs to use; ``-1`` means all that this process may use.
    cpus_per_evaluation : int, optional
        CPUs that one evaluation uses. Default is 1.

    Returns
    -------
    evaluations : int
        At least 1.

    Raises
    ------
    ValueError
        If `n_cpus` is neither positive nor -1.

    Examples
    --------
    >>> evaluations_at_a_time(8, cpus_per_evaluation=2)
    4
    """
    if isinstance(n_cpus, bool) or not isinstance(n_cpus, int) or (n_cpus < 1 and n_cpus != -1):
        msg = f"n_cpus={n_cpus!r}: give a positive number, or -1 for every CPU this process may use"
        raise ValueError(msg)
    total = available_cpus() if n_cpus == -1 else n_cpus
    return max(1, total // max(1, cpus_per_evaluation))


def _limits() -> Iterator[int]:
    """Yield each limit that is known."""
    yield os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        yield len(os.sched_getaffinity(0))
    yield from _control_group_quota()
    for name in _ALLOCATION:
        text = os.environ.get(name, "")
        if text.isdigit() and int(text) > 0:
            yield int(text)


def _control_group_quota(root: Path = Path("/sys/fs/cgroup")) -> Iterator[int]:
    """Yield the CPU quota of the control group, version 2 or 1, rounded up."""
    try:
        quota, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (root / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (root / "cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return
    if quota not in ("max", "-1"):
        yield math.ceil(int(quota) / int(period))
