"""What the steps of an evaluation brought, made into its record."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .command import Pattern
from .declaration import floats_of
from .errors import CommandError, EvaluationError, OutputError
from .evaluation import Evaluation
from .process import Completed, find_any, tail

__all__ = ["failure_of", "is_transient", "located", "note_run", "output_of", "told"]


def output_of(returned: Any, names: Sequence[str], *, finite: bool) -> tuple[float, ...]:
    """Return one number per output, or raise.

    Parameters
    ----------
    returned : float or sequence of float
        By the parsers, or by a step.
    names : sequence of str
        Output description.
    finite : bool
        Whether nan and infinities are refused.

    Returns
    -------
    output : tuple of float, shape (output dimension,)

    Raises
    ------
    OutputError
        If the number of values is wrong, or one is not finite.
    """
    output = tuple(floats_of(returned))
    if len(output) != len(names):
        msg = (
            f"{len(output)} value(s) were parsed: {_few(output)}; "
            f"expected one for each of {_few(names)}, {len(names)} in all"
        )
        raise OutputError(msg)
    if finite:
        for name, value in zip(names, output, strict=True):
            if value - value != 0.0:
                msg = f"output {name!r} is {value!r}; a finite number is expected, or allow_nan=True"
                raise OutputError(msg, "invalid", "not a number")
    return output


def _few(things: Sequence[Any]) -> str:
    """Return a list as text, without the middle of a long one."""
    if len(things) <= 20:
        return repr(list(things))
    return f"[{', '.join(map(repr, things[:3]))}, ..., {things[-1]!r}]"


def told(error: Exception, workdir: str | None) -> str:
    """Return the text of a failure, with what the code said last.

    Parameters
    ----------
    error : Exception
        What was raised.
    workdir : str or None
        The work directory, if there is one.

    Returns
    -------
    text : str
    """
    text = str(error) if isinstance(error, EvaluationError) else f"{type(error).__name__}: {error}"
    # A command's error has it already; after a parser's, it may say why the code wrote nothing better.
    if workdir is None or isinstance(error, CommandError) or not (said := tail(workdir)):
        return text
    return f"{text}\n{said}"


def located(text: str, workdir: str | None, kept: str | None) -> str:
    """Return the text of a failure with where its files are.

    Parameters
    ----------
    text : str
        Of the failure.
    workdir : str or None
        The work directory while it ran.
    kept : str or None
        Where it is now, if it was kept.

    Returns
    -------
    text : str
    """
    if workdir is None:
        return text
    if kept is None:
        return f"{text}\nThe work directory was not kept; keep='failed' keeps it."
    text = text.replace(workdir, kept)
    return text if kept in text else f"{text}\nThe work directory was kept: {kept}"


def note_run(record: dict[str, Any], returned: Any, completed: Completed | None) -> None:
    """Put what the run step measured, or returned, into the record.

    Parameters
    ----------
    record : dict
        Is changed.
    returned : Completed, float or None
        By the step: what `run` returned, a time in seconds, or nothing.
    completed : Completed or None
        Of the last command that ran.
    """
    if isinstance(returned, Completed):
        completed = returned
    if completed is not None:
        record["exit_code"] = completed.exit_code
        record["wall_time"] = completed.wall_time
        record["cpu_time"] = completed.cpu_time
        record["peak_memory"] = completed.peak_memory
    if isinstance(returned, (int, float)) and not isinstance(returned, bool):
        record["wall_time"] = float(returned)


def is_transient(patterns: Sequence[Pattern], error: Exception, workdir: str | None) -> bool:
    """Return whether a failure says that it is not the point's fault.

    Parameters
    ----------
    patterns : sequence of str or of (str, str)
        Of transient faults.
    error : Exception
        What was raised.
    workdir : str or None
        The work directory.

    Returns
    -------
    is_transient : bool
    """
    if not patterns:
        return False
    if workdir is not None and find_any(patterns, workdir) is not None:
        return True
    return any(isinstance(p, str) and re.search(p, str(error), re.MULTILINE) for p in patterns)


def failure_of(x: Sequence[float], error: Exception, text: str, record: dict[str, Any]) -> Evaluation:
    """Return the evaluation that a failure makes.

    Parameters
    ----------
    x : sequence of float
        The point.
    error : Exception
        What was raised.
    text : str
        What to tell of it.
    record : dict
        The other attributes; a ``cause`` among them counts more than that of the error.

    Returns
    -------
    evaluation : Evaluation
    """
    status, cause = "failed", "exception"
    if isinstance(error, EvaluationError):
        status, cause = error.status, error.cause
    if isinstance(error, CommandError):
        record["exit_code"] = error.exit_code
    try:
        point = tuple(map(float, x))
    except (TypeError, ValueError):
        point = ()
    return Evaluation(point, None, status, record.pop("cause", cause), text, **record)
