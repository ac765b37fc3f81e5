"""Batch systems as data: a script template, commands, and what their answers mean.

================= ==========================================================================
:class:`Slurm`    ``sbatch``, ``squeue``, ``sacct``, ``scancel``
:class:`Sge`      Grid Engine: ``qsub``, ``qstat``, ``qacct``, ``qdel``
:class:`Pbs`      PBS Pro and OpenPBS: ``qsub``, ``qstat``, ``qdel``
:class:`Torque`   Torque: the same names, other words
:class:`Lsf`      ``bsub``, ``bjobs``, ``bkill``
:class:`Htcondor` ``condor_submit``, ``condor_q``, ``condor_history``, ``condor_rm``
:class:`Local`    the same scripts as background processes of this machine
================= ==========================================================================

A scheduler runs nothing: it says which commands to run, in the folder of the submission, and reads what they print.
Each script is a template in Jinja2 that users can see, copy and edit, and name in a profile.
"""

from __future__ import annotations

from difflib import get_close_matches

from ..errors import SchedulerError
from .base import Scheduler
from .htcondor import Htcondor
from .job import STATES, Job, Output, TaskState
from .local import Local
from .lsf import Lsf
from .pbs import Pbs, Torque
from .profiles import Profile, find_profile, profile_files
from .resources import Resources, seconds_of_time
from .sge import Sge
from .slurm import Slurm

__all__ = [
    "STATES",
    "Htcondor",
    "Job",
    "Local",
    "Lsf",
    "Output",
    "Pbs",
    "Profile",
    "Resources",
    "Scheduler",
    "Sge",
    "Slurm",
    "TaskState",
    "Torque",
    "create_scheduler",
    "find_profile",
    "profile_files",
    "scheduler_names",
    "seconds_of_time",
]

_KNOWN: dict[str, type[Scheduler]] = {
    cls.name: cls for cls in (Slurm, Sge, Pbs, Torque, Lsf, Htcondor, Local)
}


def scheduler_names() -> list[str]:
    """Return the words for the batch systems.

    Returns
    -------
    names : list of str

    Examples
    --------
    >>> scheduler_names()
    ['slurm', 'sge', 'pbs', 'torque', 'lsf', 'htcondor', 'local']
    """
    return list(_KNOWN)


def create_scheduler(scheduler: str | Profile) -> Scheduler:
    """Return a batch system.

    Parameters
    ----------
    scheduler : str or Profile
        A word of :func:`scheduler_names`, or the settings of a site.

    Returns
    -------
    scheduler : Scheduler

    Raises
    ------
    SchedulerError
        If there is no such batch system.

    Examples
    --------
    >>> create_scheduler("slurm").executable()
    'sbatch'
    >>> create_scheduler("slrm")
    Traceback (most recent call last):
    ...
    otwrap.errors.SchedulerError: there is no batch system 'slrm'; did you mean 'slurm'? Known: ...
    """
    profile = scheduler if isinstance(scheduler, Profile) else None
    name = scheduler.scheduler if isinstance(scheduler, Profile) else scheduler
    if name not in _KNOWN:
        near = get_close_matches(name, _KNOWN, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        msg = f"there is no batch system {name!r}{hint} Known: {', '.join(_KNOWN)}"
        raise SchedulerError(msg)
    return _KNOWN[name](profile)
