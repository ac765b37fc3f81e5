"""Points that a shell alone runs, where there is no otwrap: their folders, and what a run leaves in them."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..command import Command, script
from ..errors import CommandError, CommandTimeout, InputError, OutputError
from ..evaluation import Evaluation
from ..outcome import failure_of
from ..process.failures import judge, told
from ..wrapper import Wrapper

__all__ = ["check_shell_model", "evaluation_in", "glance_at", "has_ended", "write_point", "write_point_again"]

#: Of the program `timeout`, when it had to end the code; the second one if that needed a kill.
_TIMED_OUT = (124, 137)


def check_shell_model(evaluator: Any) -> Wrapper:
    """Return the wrapper whose code a shell can run, or raise.

    Parameters
    ----------
    evaluator : Evaluator
        Of the model.

    Returns
    -------
    model : Wrapper

    Raises
    ------
    InputError
        If only Python can run it.
    """
    model = getattr(evaluator, "wrapper", None)
    if not isinstance(model, Wrapper):
        what = type(getattr(evaluator, "function", evaluator)).__name__
        raise InputError(
            f"the model is no otwrap.Wrapper but a function of Python ({what}): a shell cannot run it; use `run`, "
            'or way="worker" where otwrap is on the nodes'
        )
    own = sorted(model.overridden & {"_run_code", "_exec", "_exec_sample"})
    if own:
        msg = (
            f"{type(model).__name__} has its own {', '.join(own)}, which only Python can run: it cannot be prepared for "
            'a shell. Give command=[...] instead, or use `run` where the code is, or way="worker"'
        )
        raise InputError(msg)
    return model


def write_point(model: Wrapper, point: Sequence[float], number: int, folder: Path) -> None:
    """Make the folder of a point: its input, and a ``run.sh`` that keeps the limits of the command.

    Parameters
    ----------
    model : Wrapper
        Whose point it is.
    point : sequence of float, shape (input dimension,)
        The point.
    number : int
        Of the point.
    folder : Path
        Must not be there.

    Raises
    ------
    InputError
        If the input cannot be written.
    """
    folder.mkdir()
    model.prepare(point, folder)
    run = folder / "run.sh"
    if run.exists():
        raise InputError("the model writes an input file named run.sh; `prepare` needs this name for itself")
    run.write_text(script(model.commands, model.command_values(tuple(point), number)), encoding="utf-8")
    run.chmod(0o755)


def write_point_again(model: Wrapper, point: Sequence[float], number: int, folder: Path) -> None:
    """Put what earlier runs have left aside, and make the folder of a point anew.

    Parameters
    ----------
    model : Wrapper
        Whose point it is.
    point : sequence of float, shape (input dimension,)
        The point.
    number : int
        Of the point.
    folder : Path
        Of the point; it moves to ``earlier`` beside it.
    """
    earlier = folder.parent / "earlier"
    earlier.mkdir(exist_ok=True)
    run = 1
    while (aside := earlier / f"{folder.name}-{run}").exists():
        run += 1
    if folder.exists():
        folder.rename(aside)
    write_point(model, point, number, folder)


def glance_at(folder: Path, point: tuple[float, ...], ok_codes: Sequence[int]) -> Evaluation | None:
    """Return what the exit code says of a point, without a look at its output.

    Parameters
    ----------
    folder : Path
        Of the point.
    point : tuple of float, shape (input dimension,)
        The point.
    ok_codes : sequence of int
        That mean success.

    Returns
    -------
    evaluation : Evaluation or None
        With an empty output if it is good; `None` if the run has not ended.
    """
    record = _ended(folder)
    if record is None:
        return None
    if record["exit_code"] in ok_codes:
        return Evaluation(point, (), **record)
    return Evaluation(point, None, "failed", "exit code", **record)


def has_ended(folder: Path) -> bool:
    """Return whether the run of a point has ended, well or not.

    Parameters
    ----------
    folder : Path
        Of the point.

    Returns
    -------
    has_ended : bool
    """
    return (folder / "exit_code.txt").exists()


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
