"""What commands print: answers on the standard output, all else on the standard error."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import click

from ..evaluation import Evaluation

__all__ = ["aligned", "echo_json", "json_text", "note", "prints_on_stderr", "record_of", "remark"]


def note(text: str) -> None:
    """Print something that is not the answer.

    Parameters
    ----------
    text : str
        One or more lines.
    """
    click.echo(text, err=True)


def remark(text: str) -> None:
    """Print something that ``--quiet`` leaves out.

    Parameters
    ----------
    text : str
        One or more lines.
    """
    context = click.get_current_context(silent=True)
    if context is None or not context.params.get("quiet"):
        note(text)


def echo_json(value: Any) -> None:
    """Print strict JSON, see :func:`json_text`.

    Parameters
    ----------
    value : object
        Made of dicts, lists, strings, numbers and `None`.
    """
    click.echo(json_text(value))


def json_text(value: Any) -> str:
    """Return strict JSON with all digits.

    Parameters
    ----------
    value : object
        Made of dicts, lists, strings, numbers and `None`. What JSON has no number for, nan and the
        infinities, becomes null.

    Returns
    -------
    text : str

    Examples
    --------
    >>> print(json_text({"y": float("nan")}))
    {
     "y": null
    }
    """
    return json.dumps(_strict(value), indent=1, ensure_ascii=False, allow_nan=False, default=str)


def _strict(value: Any) -> Any:
    """Return a value with null for what JSON has no number for."""
    if isinstance(value, dict):
        return {str(name): _strict(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def record_of(inputs: Sequence[str], outputs: Sequence[str], evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation as JSON can say it.

    Parameters
    ----------
    inputs, outputs : sequence of str
        The descriptions.
    evaluation : Evaluation
        The record.

    Returns
    -------
    record : dict
        ``input`` and ``output`` by name, the latter `None` where it failed; then the attributes.

    Examples
    --------
    >>> record = record_of(["x"], ["y"], Evaluation((1.0,), (2.0,)))
    >>> record["input"], record["output"]
    ({'x': 1.0}, {'y': 2.0})
    """
    output = None if evaluation.output is None else dict(zip(outputs, evaluation.output, strict=False))
    rest = evaluation._asdict()
    return {
        "input": dict(zip(inputs, rest.pop("point"), strict=False)),
        "output": output,
        **{name: value for name, value in rest.items() if name != "output"},
    }


def aligned(rows: Sequence[Sequence[Any]]) -> str:
    """Return rows as columns of text: numbers to the right, the rest to the left.

    Parameters
    ----------
    rows : sequence of sequence
        The first one is the header; `None` is shown as ``-``.

    Returns
    -------
    text : str

    Examples
    --------
    >>> print(aligned([["status", "count"], ["done", 98], ["failed", 2]]))
    status  count
    done       98
    failed      2
    """
    shown = [["-" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    numeric = [
        all(isinstance(cell, (int, float, type(None))) for cell in column)
        for column in zip(*rows[1:], strict=True)
    ] or [False] * len(widths)
    lines = [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        )
        for row in shown
    ]
    return "\n".join(line.rstrip() for line in lines)


@contextlib.contextmanager
def prints_on_stderr() -> Iterator[None]:
    """Send what a model, or a process that it starts, prints as its output to the standard error."""
    sys.stdout.flush()
    try:
        answers = os.dup(1)
        os.dup2(2, 1)
    except OSError:  # a program that was started without them
        answers = None
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        if answers is not None:
            os.dup2(answers, 1)
            os.close(answers)
