"""Where evaluations run: one file a backend, its name the word that users type.

A backend is an object with two methods::

    imap(evaluate, tasks)   yields lists of (task id, Evaluation) as they end, in any order
    close()                 ends what the backend started

A list holds what arrived together, most often one evaluation; it is recorded in one go.

`evaluate` is a callable object: a task in, an evaluation out, never an exception. `evaluate.payload` is
the same object as bytes, for workers elsewhere; `evaluate.cpus` says how many CPUs one evaluation uses.
`tasks` is an iterator that is pulled lazily. While something is in flight its end is not final: a failed
point may be fed in again, so a backend asks once more after each evaluation that it has yielded.
Closing the generator cancels what is in flight.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol, runtime_checkable

from ..errors import BackendError
from ..evaluation import Evaluation, Task

__all__ = ["Backend", "backend_names", "create_backend"]

#: Word -> class, for those that come with otwrap; others are entry points in the group of this name.
_BUILT_IN = {
    "serial": "Serial",
    "threads": "Threads",
    "multiprocessing": "Multiprocessing",
    "joblib": "Joblib",
    "dask": "Dask",
    "dispy": "Dispy",
    "ipyparallel": "Ipyparallel",
    "mpi": "Mpi",
    "slurm": "Slurm",
    "sge": "Sge",
    "pbs": "Pbs",
    "torque": "Torque",
    "lsf": "Lsf",
    "htcondor": "Htcondor",
    "local": "Local",
}
#: Those that need an object of the user's.
_OF_OBJECTS = {"executor": "Executor"}
_GROUP = "otwrap.backends"

#: Names of otwrapy.
_ALIASES = {
    "concurrent/thread": "threads",
    "concurrent/process": "multiprocessing",
    "pathos": "multiprocessing",
    "ipython": "ipyparallel",
}


@runtime_checkable
class Backend(Protocol):
    """What :class:`otwrap.Campaign` asks of a backend."""

    def imap(
        self, evaluate: Callable[[Task], Evaluation], tasks: Iterator[Task]
    ) -> Iterator[list[tuple[int, Evaluation]]]:
        """Yield lists of task id and evaluation as they end.

        Parameters
        ----------
        evaluate : callable
            A task in, an evaluation out.
        tasks : iterator of Task
            Pulled lazily.
        """
        ...

    def close(self) -> None:
        """End what the backend started. May be called twice."""
        ...


def backend_names() -> list[str]:
    """Return the words that `backend=` accepts.

    Returns
    -------
    names : list of str
        Those that come with otwrap first.

    Examples
    --------
    >>> backend_names()[:2]
    ['serial', 'threads']
    """
    return [*_BUILT_IN, *(name for name in _entry_points() if name not in _BUILT_IN)]


def create_backend(backend: Any, n_cpus: int = -1) -> Backend:
    """Return a backend by its name, or the instance that is given.

    Parameters
    ----------
    backend : str, Backend or executor
        A name, as :func:`backend_names` lists them, one of otwrapy's, an instance, or any object with
        `submit`, as ``concurrent.futures.Executor`` has it.
    n_cpus : int, optional
        CPUs to use, for a backend given by name; -1 (default) means every CPU this process may use.

    Returns
    -------
    backend : Backend

    Raises
    ------
    BackendError
        If there is none of this name.
    BackendUnavailable
        If a package that it needs is missing.

    Examples
    --------
    >>> create_backend("concurrent/thread", n_cpus=2)
    Threads(n_cpus=2)
    """
    if not isinstance(backend, str):
        if isinstance(backend, Backend) and not isinstance(backend, type):
            return backend
        if callable(getattr(backend, "submit", None)) and not isinstance(backend, type):
            from .executor import Executor

            return Executor(backend, n_cpus)
        msg = (
            f"backend={backend!r}: give a name ({', '.join(backend_names())}), an instance with imap and close, "
            "or an executor with submit"
        )
        raise BackendError(msg)
    if backend in ("dask/ssh", "dask/slurm"):
        from ._otwrapy import backend_of_otwrapy

        made: Backend = backend_of_otwrapy(backend, n_cpus)
        return made
    return _backend_class(_ALIASES.get(backend, backend))(n_cpus=n_cpus)


def _backend_class(name: str) -> Callable[..., Backend]:
    """Return the class of a name."""
    if name in _BUILT_IN:
        found: Callable[..., Backend] = getattr(
            importlib.import_module(f".{name}", __name__), _BUILT_IN[name]
        )
        return found
    others = _entry_points()
    if name in others:
        loaded: Callable[..., Backend] = others[name].load()
        return loaded
    names = backend_names()
    close = difflib.get_close_matches(name, names, 1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    msg = f"backend={name!r} is unknown; accepted are {', '.join(names)} and {', '.join(_ALIASES)}{hint}"
    raise BackendError(msg)


def _entry_points() -> dict[str, Any]:
    """Return the backends of other packages."""
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=_GROUP)}


def __getattr__(name: str) -> Any:
    for word, class_name in {**_BUILT_IN, **_OF_OBJECTS}.items():
        if name == class_name:
            return getattr(importlib.import_module(f".{word}", __name__), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
