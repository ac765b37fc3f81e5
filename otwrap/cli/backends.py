"""`otwrap backends`: where evaluations can run."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import click

from ..backends import backend_names, create_backend
from ..cpus import available_cpus
from ..errors import BackendError
from .command import Command
from .output import aligned, echo_json

__all__ = ["backends"]

#: Backend -> the package that it needs.
_PACKAGES = {
    "joblib": "joblib",
    "ipyparallel": "ipyparallel",
    "dask": "distributed",
    "dispy": "dispy",
    "mpi": "mpi4py",
}
#: Backend -> where it runs, for those that do not say it themselves; {n} is how many CPUs there are.
_WHERE = {
    "serial": "here, one after the other",
    "threads": "{n} threads of this process",
    "multiprocessing": "{n} processes on this machine",
    "joblib": "{n} processes on this machine",
    "dask": "starts a cluster on this machine; address=, hosts= or jobqueue= for others",
    "dispy": "starts a node on this machine; nodes= for others",
}
_EXECUTOR = {
    "name": "executor",
    "installed": True,
    "available": True,
    "where": "any object with submit(function, *arguments), given as backend=",
    "needs": "",
}


@click.command("backends", cls=Command)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def backends(options: Any) -> int:
    """List the backends: what is installed, what can be reached from here, and what the others need."""
    found = [*({"name": name, **_state(name)} for name in backend_names()), _EXECUTOR]
    if options.as_json:
        echo_json(found)
    else:
        rows = [
            [line["name"], _word(line["installed"]), _word(line["available"]), line["where"] or line["needs"]]
            for line in found
        ]
        click.echo(aligned([["backend", "installed", "reachable", "where, or what it needs"], *rows]))
    return 0


def _state(name: str) -> dict[str, Any]:
    """Return whether a backend can be used, and what it needs otherwise."""
    installed = name not in _PACKAGES or find_spec(_PACKAGES[name]) is not None
    try:
        backend = create_backend(name)
        where = backend.where() if hasattr(backend, "where") else ""
        backend.close()
    except (BackendError, ImportError) as error:
        return {"installed": installed, "available": False, "where": "", "needs": str(error)}
    where = where or _WHERE.get(name, "").format(n=available_cpus())
    return {"installed": installed, "available": True, "where": where, "needs": ""}


def _word(yes: bool) -> str:
    """Return yes or no."""
    return "yes" if yes else "no"
