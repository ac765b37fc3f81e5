"""otwrapy's words for dask, and the arguments that it has for engines."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..cpus import available_cpus
from ..errors import BackendError

__all__ = ["WORDS", "backend_of_otwrapy"]

#: Word -> the argument of otwrapy that belongs to it.
WORDS = {
    "dask/ssh": "dask_args",
    "dask/slurm": "slurmcluster_kw",
    "dask": "dask_args",
    "ipyparallel": "ipp_client_kw",
    "ipython": "ipp_client_kw",
}


def backend_of_otwrapy(word: Any, n_cpus: int, **settings: Mapping[str, Any] | None) -> Any:
    """Return the backend that a word of otwrapy and its arguments mean.

    Parameters
    ----------
    word : object
        What stands for ``backend=``.
    n_cpus : int
        As otwrapy takes it; each of these backends has its own use of it, or none.
    **settings : dict or None
        ``dask_args``, ``slurmcluster_kw`` and ``ipp_client_kw``.

    Returns
    -------
    backend : Backend or object
        What was given as `word`, if there are no arguments.

    Raises
    ------
    BackendError
        If arguments are given for another backend, or are not understood.
    """
    given = {name: dict(value) for name, value in settings.items() if value}
    if not given and word not in ("dask/ssh", "dask/slurm"):
        return word
    expected = WORDS.get(word) if isinstance(word, str) else None
    for name in given:
        if name != expected:
            words = " or ".join(repr(word) for word, argument in WORDS.items() if argument == name)
            msg = f"{name}= goes with backend={words}, not with {word!r}"
            raise BackendError(msg)
    arguments = given.get(expected or "", {})
    if expected == "dask_args":
        return _dask_ssh(arguments)
    if expected == "slurmcluster_kw":
        return _dask_slurm(n_cpus, arguments)
    from .ipyparallel import Ipyparallel

    return Ipyparallel(n_cpus, client_kw=arguments)


def _dask_ssh(arguments: dict[str, Any]) -> Any:
    """Return dask by ssh, from ``{"scheduler": host, "workers": {host: number}, "remote_python": {host: path}}``."""
    from .dask import Dask

    known = {"scheduler", "workers", "remote_python"}
    if not {"scheduler", "workers"} <= arguments.keys() <= known:
        msg = (
            f"dask_args={arguments!r}: expected is {{'scheduler': host, 'workers': {{host: number}}}}, and "
            "'remote_python': {host: path} if need be; for more, give backend=otwrap.backends.Dask(hosts=...)"
        )
        raise BackendError(msg)
    python = arguments.get("remote_python")
    return Dask(
        hosts=arguments["workers"],
        scheduler_host=arguments["scheduler"],
        options={"remote_python": python} if python else None,
    )


def _dask_slurm(n_cpus: int, arguments: dict[str, Any]) -> Any:
    """Return dask in Slurm's jobs, from keywords of ``SLURMCluster``; `n_cpus` are those of one job."""
    from .dask import Dask

    cpus = available_cpus() if n_cpus == -1 else n_cpus
    options = {"cores": cpus, "processes": cpus, "memory": "512 MB", **arguments}
    workers = options.pop("n_workers", 1)
    return Dask(jobqueue="slurm", jobs=math.ceil(workers / options["processes"]), options=options)
