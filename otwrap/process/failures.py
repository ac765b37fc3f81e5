"""What is wrong with a run that has ended, in words that are enough by themselves."""

from __future__ import annotations

import glob
import os
import shlex
import signal
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..command import Command, Pattern
from ..errors import CommandError, CommandTimeout
from .streams import find_pattern, tail

if TYPE_CHECKING:
    from .live import Live

__all__ = ["find_any", "judge", "limit_error", "told"]

_HINTS = {
    "SIGSEGV": "the code crashed: a mistake in it, or a stack too small for it (setup='ulimit -s unlimited')",
    "SIGBUS": "the code crashed: a mistake in it, or a full disk or shared memory",
    "SIGILL": "the code was built for another processor",
    "SIGFPE": "the code divided by zero or overflowed, and was built to stop then",
    "SIGABRT": "the code gave up by itself",
    "SIGKILL": "not otwrap's doing: the system ran out of memory, or a batch system or a person ended it",
    "SIGXCPU": "the limit of CPU time was reached (ulimit -t)",
    "SIGXFSZ": "the limit of file size was reached (ulimit -f)",
}


def told(
    what: str, command: Command, workdir: str, *, stem: str, values: Mapping[str, str] | None, hint: str = ""
) -> str:
    """Return the whole story of a failed run.

    Parameters
    ----------
    what : str
        What happened.
    command : Command
        What was run.
    workdir, stem, values
        As for :func:`otwrap.process.run`.
    hint : str, optional
        What to do.

    Returns
    -------
    message : str
    """
    argv = command.format(values)
    line = argv[0] if command.shell else shlex.join(argv)
    if len(line) > 1000:
        line = f"{line[:900]} ... {line[-100:]}"
    parts = [what, f"command: {line}", f"work directory: {workdir}"]
    if command.setup:
        parts.insert(1, f"set-up commands: {'; '.join(command.setup)[:500]}")
    parts.append(tail(workdir, stem=stem) or "it printed nothing")
    return "\n".join([*parts, f"hint: {hint}"] if hint else parts)


def judge(
    command: Command,
    workdir: str | os.PathLike[str],
    exit_code: int,
    *,
    stem: str = "",
    values: Mapping[str, str] | None = None,
) -> None:
    """Raise if a run that has ended has failed by what the command says; also for runs made elsewhere.

    Parameters
    ----------
    command : Command
        What was run.
    workdir : str
        The work directory.
    exit_code : int
        What it returned; negative for a signal.
    stem, values
        As for :func:`otwrap.process.run`.

    Raises
    ------
    CommandError
        If the exit code is not allowed, a pattern of failure is found, or one of success is not.

    Examples
    --------
    >>> judge(Command("beam"), "/tmp", 0)
    """
    folder = os.fspath(workdir)
    if exit_code not in command.ok_codes:
        what, status, cause, hint = _ending(exit_code, command)
    elif command.failure or command.success:
        what, status, cause, hint = _by_patterns(command, folder, stem)
    else:
        return
    if what:
        message = told(what, command, folder, stem=stem, values=values, hint=hint)
        raise CommandError(message, status, cause, exit_code)


def _name(number: int) -> str:
    """Return the name of a signal."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _ending(exit_code: int, command: Command) -> tuple[str, str, str, str]:
    """Return what happened, status, cause and hint for an exit code that is not allowed."""
    if exit_code < 0 and os.name != "nt":
        name = _name(-exit_code)
        status = "killed" if name == "SIGKILL" else "failed"
        return (
            f"the command was ended by {name} (signal {-exit_code})",
            status,
            "signal",
            _HINTS.get(name, ""),
        )
    allowed = ", ".join(map(str, command.ok_codes))
    if exit_code == 127:
        hint = "a shell says 127 if it does not find a program; extend the PATH by env= or setup="
    elif exit_code == 126:
        hint = "a shell says 126 if a program is not executable"
    elif 128 < exit_code < 160:
        name = _name(exit_code - 128)
        hint = f"a shell says {exit_code} of a program that {name} ended; {_HINTS.get(name, '')}".rstrip("; ")
    else:
        hint = "ok_codes= says which exit codes mean success"
    return f"the command ended with exit code {exit_code} (allowed: {allowed})", "failed", "exit code", hint


def find_any(patterns: Sequence[Pattern], workdir: str) -> str | None:
    """Return the first line that one of some patterns finds in a work directory.

    Parameters
    ----------
    patterns : sequence of str or of (str, str)
        A regular expression for the streams of all commands, or a pair of a file and an expression.
    workdir : str
        The work directory.

    Returns
    -------
    line : str or None
        `None` if there is none.
    """
    for pattern in patterns:
        if isinstance(pattern, str):
            names = [n for stem in ("stdout", "stderr") for n in glob.glob(f"{stem}*.txt", root_dir=workdir)]
            expression = pattern
        else:
            names, expression = [pattern[0]], pattern[1]
        for name in names:
            line = find_pattern(f"{workdir}/{name}", expression)
            if line is not None:
                return line
    return None


def _by_patterns(command: Command, workdir: str, stem: str) -> tuple[str, str, str, str]:
    """Return what happened, status, cause and hint for a run that its patterns are to judge."""
    streams = [f"stdout{stem}.txt", f"stderr{stem}.txt"]
    for pattern in command.failure:
        names, expression = (streams, pattern) if isinstance(pattern, str) else ([pattern[0]], pattern[1])
        for name in names:
            line = find_pattern(f"{workdir}/{name}", expression)
            if line is not None:
                what = f"{name} has what failure={expression!r} looks for: {line!r}"
                return what, "failed", "failure pattern", ""
    for pattern in command.success:
        names, expression = (streams, pattern) if isinstance(pattern, str) else ([pattern[0]], pattern[1])
        if all(find_pattern(f"{workdir}/{name}", expression) is None for name in names):
            there = [name for name in names if os.access(f"{workdir}/{name}", os.R_OK)]
            where = f"in {' or '.join(names)}" if there else f": there is no file {names[0]!r}"
            what = f"success={expression!r} was not found {where}".replace(" :", ":")
            return what, "failed", "success pattern missing", ""
    return "", "", "", ""


def limit_error(live: Live, verdict: str, elapsed: float) -> CommandError:
    """Return the error for a run that was ended before its time.

    Parameters
    ----------
    live : Live
        The run, which has ended.
    verdict : {"time limit", "memory limit", "cancelled"}
        Why.
    elapsed : float
        Seconds that it ran.

    Returns
    -------
    error : CommandError
    """
    command, exit_code = live.command, live.exit_code
    status, hint, cls = "cancelled", "", CommandError
    what = f"the command was cancelled after {elapsed:.3g} s"
    if verdict == "time limit":
        status, hint, cls = "timeout", "timeout= sets the limit", CommandTimeout
        what = f"the command reached its time limit of {live.timeout:g} s and was ended with all its children"
    elif verdict == "memory limit":
        status, hint = "killed", "memory= sets the limit"
        what = (
            f"the command and its children had {live.resident} bytes of memory, more than the limit of "
            f"{command.memory}, after {elapsed:.3g} s, and were ended"
        )
    message = told(what, command, live.workdir, stem=live.stem, values=live.values, hint=hint)
    return cls(message, status, verdict, exit_code)
