"""What a run.sh left in the folder of its point, as an evaluation."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..command import Command
from ..errors import CommandError, CommandTimeout, OutputError
from ..evaluation import Evaluation
from ..outcome import failure_of
from ..process.failures import judge, told
from ..wrapper import Wrapper

__all__ = ["evaluation_in"]

#: Of the program `timeout`, when it had to end the code; the second one if that needed a kill.
_TIMED_OUT = (124, 137)


def evaluation_in(
    folder: Path, model: Wrapper, point: tuple[float, ...], stale: Sequence[str] = ()
) -> Evaluation | None:
    """Return what came of a point that was run elsewhere.

    Parameters
    ----------
    folder : Path
        Of the point; its name ends with the point's number.
    model : Wrapper
        That prepared it.
    point : tuple of float, shape (input dimension,)
        The point.
    stale : sequence of str, optional
        Output files that were there before the run.

    Returns
    -------
    evaluation : Evaluation or None
        `None` if the run has not ended. The host is not known.
    """
    record = _ended(folder)
    if record is None:
        return None
    try:
        values = model.command_values(point, int(folder.name.rpartition("-")[2]))
        _check_code(folder, model.commands, record, values)
        for name in stale:
            if (folder / name).exists() and (folder / name).stat().st_mtime < record["start_time"]:
                msg = f"output file {name!r} is older than the run: the code did not write it"
                raise OutputError(msg, "failed", "output stale")
        return Evaluation(point, model.parse(folder.absolute()), **record)
    except Exception as error:  # as in a run: a failure is a value, whatever the model's own step raises
        text = (
            str(error)
            if isinstance(error, (CommandError, OutputError))
            else f"{type(error).__name__}: {error}"
        )
        place = os.fspath(folder.absolute())
        text = text if place in text else f"{text}\nThe folder of the run: {place}"
        return failure_of(point, error, text, record)


def _ended(folder: Path) -> dict[str, Any] | None:
    """Return the record of an ended run, None if it has not ended."""
    try:
        code = int((folder / "exit_code.txt").read_text(encoding="utf-8"))
        lines = (folder / "times.txt").read_text(encoding="utf-8").split("\n")
        times = {name: float(value) for name, value in (line.split() for line in lines if line)}
        return {
            "wall_time": times["elapsed"],
            "exit_code": code,
            "workdir": os.fspath(folder.absolute()),
            "start_time": times["start"],
        }
    except (OSError, ValueError, KeyError):
        return None


def _check_code(
    folder: Path, commands: Sequence[Command], record: dict[str, Any], values: Mapping[str, str]
) -> None:
    """Raise if the last command that ran did not end well."""
    number = max(i for i in range(1, len(commands) + 1) if i == 1 or (folder / f"stdout.{i}.txt").exists())
    command, code = commands[number - 1], record["exit_code"]
    stem = "" if number == 1 else f".{number}"
    place = record["workdir"]
    if command.timeout and code in _TIMED_OUT and record["wall_time"] >= command.timeout:
        what = f"the command reached its time limit of {command.timeout:g} s"
        text = told(what, command, place, stem=stem, values=values, hint="timeout= sets the limit")
        raise CommandTimeout(text, exit_code=code)
    # A shell has only a byte for the exit code, and adds 128 to the number of a signal.
    accepted = {ok % 256: ok for ok in command.ok_codes}
    signals = {one.value for one in signal.Signals}
    true_code = accepted.get(code, 128 - code if code - 128 in signals else code)
    record["exit_code"] = true_code
    judge(command, place, true_code, stem=stem, values=values)
    if number < len(commands):
        raise CommandError(f"the run stopped after command {number} of {len(commands)}, in {place}")
