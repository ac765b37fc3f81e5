"""A command as a script for plain ``sh``, for machines that have no Python."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .search import has_folder, search

if TYPE_CHECKING:
    from . import Command

__all__ = ["reproduction", "script", "setup_lines", "shell_text"]

_HEAD = """\
#!/bin/sh
# One evaluation. It leaves the streams in stdout.txt and stderr.txt, then the start, the end and the elapsed
# time in times.txt (s), and last, when all is done, the exit code in exit_code.txt.
# A time limit needs the program `timeout`; a run that reached it has the exit code 124 or 137.
"""

_PLACE = """\
cd -- "$(dirname -- "$0")" || exit 1
me=./$(basename -- "$0")
shell=$(command -v bash || command -v sh)
"""

# `timeout` leaves the group of the terminal, so that Ctrl-C has to be handed on; and a shell takes the standard
# input of what it does not wait for away.
_LIMITED = """\
limited() {
    seconds=$1
    shift
    if command -v timeout >/dev/null 2>&1; then
        timeout -k 2 "$seconds" "$@" <&3 3<&- &
        child=$!
        trap 'kill -TERM "$child"; wait "$child"; exit 130' HUP INT TERM
        wait "$child"
    else
        "$@" <&3 3<&-
    fi
}
"""

_NOTED = """\
rm -f exit_code.txt times.txt

now() { date +%s.%N | sed 's/[.][^0-9].*$//'; }

end() {
    stop=$(now)
    elapsed=$(awk -v a="$start" -v b="$stop" 'BEGIN { printf "%.3f", b - a }')
    printf '%s\\n' "start $start" "end $stop" "elapsed $elapsed" >times.txt
    echo "$1" >exit_code.new
    mv exit_code.new exit_code.txt
    exit "$1"
}

start=$(now)
"""

_TOLD = """\
end() {
    echo "exit code $1; what was printed is in" std*.txt >&2
    exit "$1"
}
"""


def script(command: Command | Sequence[Command], values: Mapping[str, str] | None = None) -> str:
    """Return a POSIX shell script that runs a command as :func:`otwrap.process.run` does.

    The memory limit is not kept: a shell cannot watch a process tree.

    Parameters
    ----------
    command : Command or sequence of Command
        What is run; of several, each only if those before it succeeded.
    values : mapping of str, optional
        What ``{name}`` stands for.

    Returns
    -------
    text : str
        To be saved in the work directory and run by ``sh`` from anywhere.

    Raises
    ------
    ValueError
        If there is no command.

    Examples
    --------
    >>> from otwrap import Command
    >>> print(script(Command("beam -x beam.xml", timeout=60)))
    #!/bin/sh
    ...
        exec beam -x beam.xml
    ...
    limited 60 "$shell" "$me" work-1 3</dev/null >>stdout.txt 2>>stderr.txt
    code=$?
    end "$code"
    <BLANKLINE>
    """
    commands = list(command) if isinstance(command, Sequence) else [command]
    if not commands:
        msg = "there is no command to write a script for"
        raise ValueError(msg)
    return _assembled([_HEAD], [commands], values, _NOTED)


def reproduction(
    chains: Sequence[Sequence[Command]],
    values: Mapping[str, str] | None = None,
    *,
    about: Sequence[str] = (),
    needs: Sequence[str] = (),
) -> str:
    """Return a POSIX shell script that runs an evaluation again, by hand, in the folder that it is in.

    Parameters
    ----------
    chains : sequence of sequence of Command
        What was run: each chain as by :func:`otwrap.process.run_chain`, one after the other.
    values : mapping of str, optional
        What ``{name}`` stands for.
    about : sequence of str, optional
        What the reader is to know, a line each.
    needs : sequence of str, optional
        Input files, without which it does not start.

    Returns
    -------
    text : str
        To be run by ``sh`` from anywhere. What was printed is written anew; the exit status is the code's.

    Raises
    ------
    ValueError
        If there is no command.

    Examples
    --------
    >>> from otwrap import Command
    >>> print(reproduction([[Command("beam -x beam.xml")]], about=["point 3"], needs=["beam.xml"]))
    #!/bin/sh
    # point 3
    ...
    """
    if not any(chains):
        msg = "there is no command to write a script for"
        raise ValueError(msg)
    notes = "\n".join(["#!/bin/sh", *(f"# {line}".rstrip() for line in _lines(about)), ""])
    stems = range(1, max(map(len, chains)) + 1)
    streams = [f"std{name}{_stem(number)}.txt" for number in stems for name in ("out", "err")]
    before = [
        f"[ -e {shlex.quote(f'./{name}')} ] || {{ echo {shlex.quote(f'{name} is missing here')} >&2; exit 1; }}"
        for name in needs
    ]
    return _assembled([notes], chains, values, "\n".join([*before, f"rm -f {' '.join(streams)}\n", _TOLD]))


def _lines(texts: Sequence[str]) -> list[str]:
    """Return texts line by line: what begins in a comment must not go on as a command."""
    return [line for text in texts for line in text.splitlines() or [""]]


def _stem(number: int) -> str:
    """Return what stands between ``stdout`` and ``.txt`` for a command of a chain."""
    return "" if number == 1 else f".{number}"


def _assembled(
    head: Sequence[str],
    chains: Sequence[Sequence[Command]],
    values: Mapping[str, str] | None,
    functions: str,
) -> str:
    """Return a script that calls itself for each command."""
    placed = [(command, _stem(number)) for chain in chains for number, command in enumerate(chain, 1)]
    parts = [*head, 'case "${1-}" in']
    for number, (command, _) in enumerate(placed, 1):
        parts += [f"work-{number})", _work(command, values), "    exit ;;"]
    parts += ["esac\n", _PLACE, functions]
    if any(command.timeout for command, _ in placed):
        parts.append(_LIMITED)
    for number, (command, stem) in enumerate(placed, 1):
        parts.append(_call(command, number, stem))
        if number < len(placed):
            codes = "|".join(str(code % 256) for code in command.ok_codes)
            parts.append(f'case $code in {codes}) ;; *) end "$code" ;; esac\n')
    return "\n".join([*parts, 'end "$code"', ""])


def shell_text(command: Command, argv: Sequence[str]) -> str:
    """Return the set-up commands and the command as text for a shell.

    Parameters
    ----------
    command : Command
        The command.
    argv : sequence of str
        Its program and arguments, names replaced.

    Returns
    -------
    text : str

    Examples
    --------
    >>> from otwrap import Command
    >>> shell_text(Command("beam"), ["beam", "my file"])
    "exec beam 'my file'"
    """
    program = argv[0] if command.shell else f"exec {shlex.join(argv)}"
    return "\n".join([*setup_lines(command), program])


def setup_lines(command: Command) -> list[str]:
    """Return the set-up commands as lines for a shell, each followed by a look at how it went.

    Parameters
    ----------
    command : Command
        The command.

    Returns
    -------
    lines : list of str

    Examples
    --------
    >>> from otwrap import Command
    >>> setup_lines(Command("beam", setup="module load beam"))[0]
    'module load beam'
    """
    lines = []
    for number, entry in enumerate(command.setup, 1):
        note = shlex.quote(f"otwrap: set-up command {number} failed: {entry}")
        lines += [entry, f'_otwrap=$?; [ "$_otwrap" = 0 ] || {{ echo {note} >&2; exit "$_otwrap"; }}']
    return lines


def _work(command: Command, values: Mapping[str, str] | None) -> str:
    """Return the lines that become the code."""
    lines = [f"unset {shlex.quote(name)}" for name in command.env_remove]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in command.changes().items()]
    argv = command.format(values)
    # An argument of the script must not become one of a file that a set-up command sources.
    lines.append("shift")
    if not command.shell and has_folder(argv[0]) and not argv[0].startswith(("/", "~")):
        # As in a run: the work directory first, then where the command was made.
        elsewhere = search(argv[0], "", [command.origin])
        if elsewhere is not None:
            here = shlex.quote(argv[0])
            lines.append(f"program={here}\n[ -x {here} ] || program={shlex.quote(elsewhere)}")
            lines += setup_lines(command)
            return _indented([*lines, f'exec "$program" {shlex.join(argv[1:])}'.rstrip()])
    return _indented([*lines, shell_text(command, argv)])


def _indented(lines: Sequence[str]) -> str:
    """Return lines with a margin, unless one of them goes over several and may not have one."""
    if any("\n" in line and "'" in line or "<<" in line for line in lines):
        return "\n".join(lines)
    return "\n".join(f"    {line}" for line in "\n".join(lines).split("\n"))


def _call(command: Command, number: int, stem: str) -> str:
    """Return the lines that run a command and note its exit code."""
    limit = f"limited {command.timeout:g} " if command.timeout else ""
    stdin = shlex.quote(f"./{command.stdin}") if command.stdin else "/dev/null"
    # See `limited`.
    stdin = f"3<{stdin}" if limit else f"<{stdin}"
    streams = f"{stdin} >>stdout{stem}.txt 2>>stderr{stem}.txt"
    note = f"# The memory limit of {command.memory} bytes is not kept here.\n" if command.memory else ""
    return f'{note}{limit}"$shell" "$me" work-{number} {streams}\ncode=$?'
