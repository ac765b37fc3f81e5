"""The file ``reproduce.sh`` of a kept work directory: the evaluation again, by hand and without otwrap."""

from __future__ import annotations

import os
import socket
import textwrap
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .command.script import reproduction

if TYPE_CHECKING:
    from .command import Command

__all__ = ["reproduction_of"]

_WHAT = """\
Runs one evaluation again, by hand and without otwrap: sh reproduce.sh

It runs in the folder where this file is, wherever that was moved, and writes over what is there: copy the
folder first to keep that. The exit status is that of the code; whether its output is good, otwrap would say.

Variables of the environment that are not set below are those of your shell. When it was evaluated there were
"""
#: Variables of which the value is told too: without them a program or its libraries are not found.
_TOLD = ("PATH", "LD_LIBRARY_PATH")
_OWN = "The model's own _run_code ran these commands; what else it did, in Python, is not here."
_NO_COMMAND = """\
#!/bin/sh
# This evaluation cannot be run again without Python: {name} runs its code by a _run_code of its own, and no
# command of it was seen. `otwrap replay` runs the point again, and so does this, in Python:
#
#     model.evaluate({point!r})
sed -n '2,5s/^# \\{{0,1\\}}//p' "$0" >&2
exit 1
"""


def reproduction_of(
    wrapper: Any,
    x: Sequence[float],
    number: int | None,
    attempt: int,
    ran: Sequence[Sequence[Command]],
) -> str:
    """Return the text of ``reproduce.sh``.

    Parameters
    ----------
    wrapper : Wrapper
        What evaluated the point.
    x : sequence of float, shape (input dimension,)
        The point.
    number : int or None
        Of the point.
    attempt : int
        Which try it was.
    ran : sequence of sequence of Command
        The commands that a ``_run_code`` was seen to run, chain by chain.

    Returns
    -------
    text : str
        For ``sh``.

    Examples
    --------
    >>> import otwrap as otw
    >>> double = otw.Wrapper(["a"], ["b"], command="double {a}", parsers=[otw.parsers.Value("stdout.txt", "b =")])
    >>> print(reproduction_of(double, [21.0], 3, 1, []))
    #!/bin/sh
    # Runs one evaluation again, by hand and without otwrap: sh reproduce.sh
    ...
        exec double 21.0
    ...
    """
    own = "_run_code" in wrapper.overridden
    point = tuple(map(float, x))
    chains = ran if ran or own else [wrapper.commands]
    if not any(chains):
        return _NO_COMMAND.format(name=type(wrapper).__name__, point=list(point))
    moment = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    about = [
        *_WHAT.splitlines(),
        *_environment(),
        "",
        *(f"{name} = {value!r}" for name, value in zip(wrapper.inputs, point, strict=True)),
        f"{'a point' if number is None else f'point {number}'}, attempt {attempt}, until {moment}, on {_HOST}",
        *([_OWN] if own else []),
    ]
    bound = {} if "_prepare_input" in wrapper.overridden else wrapper.templates
    written = [name for name, template in bound.items() if template.inputs_used]
    needs = [*written, *map(os.path.basename, wrapper.files)]
    return reproduction(chains, wrapper.command_values(point, number), about=about, needs=needs)


def _environment() -> list[str]:
    """Return what is told of the environment: names only, since a value may be a secret."""
    told = [f"    {name}={os.environ[name]}" for name in _TOLD if name in os.environ]
    others = " ".join(sorted(set(os.environ) - set(_TOLD)))
    lines = textwrap.wrap(others, 100, break_long_words=False, break_on_hyphens=False)
    return [*told, *(f"    {line}" for line in lines)]


_HOST = socket.gethostname()
