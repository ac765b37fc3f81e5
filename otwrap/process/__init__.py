"""One timed command in a work directory: exit code, limits, and the end of its whole process tree.

What a run prints goes to ``stdout.txt`` and ``stderr.txt`` in the work directory and stays small. Its process
tree ends with it, whatever happens: after a normal end, a limit, an interrupt, and a ``kill -9`` of this
process, for which a :mod:`guardian <otwrap.guardian>` watches. To find children that have left the group,
each run has ``OTWRAP_RUN`` in its environment.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence

from ..command import Command, script
from .failures import find_any, judge, limit_error
from .live import Completed, Live
from .registry import adopt_orphans, end_all, ours, release_folder, watch_folder
from .streams import tail

__all__ = [
    "Completed",
    "adopt_orphans",
    "end_all",
    "find_any",
    "judge",
    "release_folder",
    "run",
    "run_chain",
    "script",
    "tail",
    "watch_folder",
]


def run(
    command: Command,
    workdir: str | os.PathLike[str],
    *,
    values: Mapping[str, str] | None = None,
    stem: str = "",
    timeout: float | None = None,
) -> Completed:
    """Run a command and wait for its end.

    Parameters
    ----------
    command : Command
        What is run.
    workdir : str
        The work directory, in which it is run.
    values : mapping of str, optional
        What ``{name}`` stands for in its arguments.
    stem : str, optional
        What stands between ``stdout`` or ``stderr`` and ``.txt`` in the names of the files for the streams.
        Files that are there are continued. Default is nothing.
    timeout : float, optional
        Time limit in seconds, if that is less than the command's own. Default is none.

    Returns
    -------
    completed : Completed
        Exit code, times and peak memory.

    Raises
    ------
    CommandTimeout
        If the time limit was reached.
    CommandError
        If it cannot be started, its exit code is not allowed, a signal, the memory limit or
        :func:`end_all` ended it, or its patterns say so.
    InputError
        If the file for its standard input is not there.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run(Command(["echo", "{F}"]), folder, values={"F": "3e4"}).exit_code
    0
    """
    return _run(command, workdir, values, stem, timeout, ours.endings)


def run_chain(
    commands: Command | Sequence[Command],
    workdir: str | os.PathLike[str],
    *,
    values: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> Completed:
    """Run commands one after the other, until one fails.

    Parameters
    ----------
    commands : sequence of Command
        What is run. The streams of the second go to ``stdout.2.txt`` and ``stderr.2.txt``, and so on.
    workdir : str
        The work directory.
    values : mapping of str, optional
        What ``{name}`` stands for in their arguments.
    timeout : float, optional
        Time limit of each in seconds, if that is less than its own. Default is none.

    Returns
    -------
    completed : Completed
        The last exit code, the sums of the times, and the highest peak memory.

    Raises
    ------
    CommandError, InputError
        As for :func:`run`.
    ValueError
        If there is no command.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run_chain([Command("true"), Command("true")], folder).exit_code
    0
    """
    chain = [commands] if isinstance(commands, Command) else commands
    endings = ours.endings
    done: list[Completed] = []
    for number, command in enumerate(chain, 1):
        stem = "" if number == 1 else f".{number}"
        done.append(_run(command, workdir, values, stem, timeout, endings))
    if len(done) == 1:
        return done[0]
    if not done:
        msg = "there is no command to run"
        raise ValueError(msg)
    cpu_times = [one.cpu_time for one in done if one.cpu_time is not None]
    peaks = [one.peak_memory for one in done if one.peak_memory is not None]
    return Completed(
        done[-1].exit_code,
        sum(one.wall_time for one in done),
        sum(cpu_times) if len(cpu_times) == len(done) else None,
        max(peaks, default=None),
    )


def _run(
    command: Command,
    workdir: str | os.PathLike[str],
    values: Mapping[str, str] | None,
    stem: str,
    timeout: float | None,
    endings: int,
) -> Completed:
    """Run a command, unless all runs were ended since it was asked for."""
    ours.guard()
    folder = os.fspath(workdir)
    if not folder.startswith(os.sep):
        folder = os.path.abspath(folder)  # noqa: PTH100
    if command.timeout is not None:
        timeout = command.timeout if timeout is None else min(timeout, command.timeout)
    live = Live(command, folder, stem, values, timeout)
    try:
        live.start(endings)
        verdict = live.watch()
        if not verdict:
            completed = live.finish()
            if not live.cancelled:
                judge(command, folder, completed.exit_code, stem=stem, values=values)
                return completed
            verdict = "cancelled"
        elapsed = time.monotonic() - live.began
        live.end()
        raise limit_error(live, verdict, elapsed)
    except BaseException:
        live.end()
        raise
    finally:
        live.close()
