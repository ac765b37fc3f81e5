"""`otwrap backends`: where evaluations can run."""

from __future__ import annotations

from typing import Any

import click

from ..backends import backend_names, create_backend
from ..errors import BackendError
from .command import Command
from .output import aligned, echo_json

__all__ = ["backends"]


@click.command("backends", cls=Command)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def backends(options: Any) -> int:
    """List the backends: which can be used here, and what the others need."""
    found = [{"name": name, **_state(name)} for name in backend_names()]
    if options.as_json:
        echo_json(found)
    else:
        rows = [[line["name"], "yes" if line["available"] else "no", line["needs"]] for line in found]
        click.echo(aligned([["backend", "available", "needs"], *rows]))
    return 0


def _state(name: str) -> dict[str, Any]:
    """Return whether a backend can be used, and what it needs otherwise."""
    try:
        create_backend(name, 1).close()
    except (BackendError, ImportError) as error:
        return {"available": False, "needs": str(error)}
    return {"available": True, "needs": ""}
