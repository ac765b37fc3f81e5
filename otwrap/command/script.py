"""A command as a script for plain ``sh``, for machines that have no Python."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .search import has_folder, search

if TYPE_CHECKING:
    from . import Command

__all__ = ["script", "setup_lines", "shell_text"]

_HEAD = """\
#!/bin/sh
# One evaluation. It leaves the streams in stdout.txt and stderr.txt, then the start, the end and the elapsed
# time in times.txt (s), and last, when all is done, the exit code in exit_code.txt.
# A time limit needs the program `timeout`; a run that reached it has the exit code 124 or 137.
"""

_MAIN = """\
cd -- "$(dirname -- "$0")" || exit 1
me=./$(basename -- "$0")
shell=$(command -v bash || command -v sh)
rm -f exit_code.txt times.txt

now() { date +%s.%N | sed 's/[.][^0-9].*$//'; }

limited() {
    seconds=$1
    shift
    if command -v timeout >/dev/null 2>&1; then timeout -k 2 "$seconds" "$@"; else "$@"; fi
}

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
    limited 60 "$shell" "$me" work-1 </dev/null >>stdout.txt 2>>stderr.txt
    code=$?
    end "$code"
    <BLANKLINE>
    """
    commands = list(command) if isinstance(command, Sequence) else [command]
    if not commands:
        msg = "there is no command to write a script for"
        raise ValueError(msg)
    parts = [_HEAD, 'case "${1-}" in']
    for number, one in enumerate(commands, 1):
        parts += [f"work-{number})", _work(one, values), "    exit ;;"]
    parts += ["esac\n", _MAIN]
    for number, one in enumerate(commands, 1):
        parts.append(_call(one, number))
        if number < len(commands):
            codes = "|".join(str(code % 256) for code in one.ok_codes)
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


def _call(command: Command, number: int) -> str:
    """Return the lines that run a command and note its exit code."""
    limit = f"limited {command.timeout:g} " if command.timeout else ""
    stdin = shlex.quote(f"./{command.stdin}") if command.stdin else "/dev/null"
    stem = "" if number == 1 else f".{number}"
    streams = f"<{stdin} >>stdout{stem}.txt 2>>stderr{stem}.txt"
    note = "# The memory limit is not kept here.\n" if command.memory else ""
    return f'{note}{limit}"$shell" "$me" work-{number} {streams}\ncode=$?'
