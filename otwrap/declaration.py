"""What users declare, checked and brought into one form: names, commands, points, files, numbers."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from .command import Command
from .errors import InputError, OutputError
from .fields import meshes_digest
from .fingerprints import files_fingerprint, fingerprint
from .parsers import Function, Parser

__all__ = [
    "check_steps",
    "commands_of",
    "existing_path",
    "fingerprints_of",
    "floats_of",
    "names_of",
    "parsers_of",
    "point_of",
    "used_elsewhere",
]


def names_of(description: Sequence[str] | int, letter: str) -> list[str]:
    """Return a description, made up if only the dimension is given.

    Parameters
    ----------
    description : sequence of str, or int
        The names, or how many there are.
    letter : str
        What made up names start with.

    Returns
    -------
    names : list of str

    Raises
    ------
    TypeError, ValueError
        If it is a text, empty, or has a name twice.

    Examples
    --------
    >>> names_of(2, "x")
    ['x0', 'x1']
    """
    if isinstance(description, int):
        return [f"{letter}{i}" for i in range(description)]
    if isinstance(description, str):
        msg = f"{description!r}: give a list of names, as in [{description!r}]"
        raise TypeError(msg)
    names = [str(name) for name in description]
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles or not names:
        msg = f"{names}: give at least one name, each of them once" + (
            f"; twice: {doubles}" if doubles else ""
        )
        raise ValueError(msg)
    return names


def commands_of(command: Any, timeout: float | None) -> tuple[Command, ...]:
    """Return the chain of commands that the shorthands mean.

    Parameters
    ----------
    command : sequence of str, str, Command, a list of these, or None
        As users give it.
    timeout : float or None
        Time limit of each in seconds.

    Returns
    -------
    commands : tuple of Command
    """
    if command is None:
        return ()
    if isinstance(command, Command):
        return (command if timeout is None else command.replace(timeout=timeout),)
    if isinstance(command, (str, os.PathLike)):
        return (Command(os.fspath(command), timeout=timeout),)
    parts = list(command)
    if any(isinstance(part, (Command, list, tuple)) for part in parts):
        return tuple(chained for part in parts for chained in commands_of(part, timeout))
    return (Command([os.fspath(part) for part in parts], timeout=timeout),)


def parsers_of(parsers: Sequence[Callable[[str], Any]]) -> tuple[Parser, ...]:
    """Return parsers, with plain functions made into some.

    Parameters
    ----------
    parsers : sequence of callable
        As users give them.

    Returns
    -------
    parsers : tuple of Parser
    """
    return tuple(parser if isinstance(parser, Parser) else Function(parser) for parser in parsers)


def point_of(x: Sequence[float], dimension: int) -> tuple[float, ...]:
    """Return the point as a tuple of floats.

    Parameters
    ----------
    x : sequence of float
        The point.
    dimension : int
        How long it has to be.

    Returns
    -------
    point : tuple of float, shape (dimension,)

    Raises
    ------
    InputError
        If it is longer or shorter.
    """
    point = tuple(map(float, x))
    if len(point) != dimension:
        msg = f"the point {point!r} has {len(point)} value(s); {dimension} are expected"
        raise InputError(msg)
    return point


def existing_path(path: str | os.PathLike[str]) -> str:
    """Return the absolute path of something that is there.

    Parameters
    ----------
    path : path
        A file or a folder; ``~`` is expanded.

    Returns
    -------
    path : str

    Raises
    ------
    InputError
        If there is nothing.
    """
    full = os.path.abspath(os.path.expanduser(os.fspath(path)))
    if not os.path.exists(full):
        msg = f"files: there is no {full}; give files and folders that exist"
        raise InputError(msg)
    return full


def floats_of(returned: Any) -> list[float]:
    """Return what a step returned as numbers.

    Parameters
    ----------
    returned : float, sequence of float or ndarray
        One number or several.

    Returns
    -------
    numbers : list of float

    Raises
    ------
    OutputError
        If it is something else.
    """
    try:
        if hasattr(returned, "__len__") and not isinstance(returned, (str, bytes)):
            return [float(value) for value in (returned.ravel() if hasattr(returned, "ravel") else returned)]
        return [float(returned)]
    except (TypeError, ValueError) as error:
        msg = f"the output is {returned!r}; a number, or one number per output, is expected"
        raise OutputError(msg, "invalid", "not a number") from error


def used_elsewhere(wrapper: Any, names: Sequence[str]) -> list[str]:
    """Return the inputs that need not stand in a template.

    Parameters
    ----------
    wrapper : Wrapper
        With its commands.
    names : sequence of str
        The inputs.

    Returns
    -------
    names : list of str
        Those that a command has; all of them if the input is prepared by a step of the wrapper's own.
    """
    if "_prepare_input" in wrapper.overridden:
        return list(names)
    argvs = [str(command.argv) for command in wrapper.commands]
    return [name for name in names if any(f"{{{name}}}" in argv for argv in argvs)]


def check_steps(wrapper: Any, tokens: Sequence[str] | None) -> None:
    """Raise if a step of a wrapper has neither a default to work with nor code of its own.

    Parameters
    ----------
    wrapper : Wrapper
        With its commands, parsers and templates.
    tokens : sequence of str or None
        As the user gave them.

    Raises
    ------
    TypeError
        If it is not said what is run, or how the output is read.
    InputError
        If there are tokens without a template.
    """
    if wrapper.overridden & {"_exec", "_exec_sample"}:
        return
    name = type(wrapper).__name__
    if "_run_code" not in wrapper.overridden and not wrapper.commands:
        msg = f"{name}: what is to be run? give command=[...], or write _run_code(self, workdir)"
        raise TypeError(msg)
    if "_parse_output" not in wrapper.overridden and not wrapper.parsers:
        msg = f"{name}: how is the output read? give parsers=[...], or write _parse_output(self, workdir)"
        raise TypeError(msg)
    if tokens is not None and not wrapper.templates:
        msg = f"{name}: tokens={list(tokens)!r} without templates; give templates={{'input file': 'template file'}}"
        raise InputError(msg)
    linked = (
        {os.path.basename(path) for path in wrapper.files if os.path.isdir(path)}
        if wrapper.link_files
        else ()
    )
    for written in wrapper.templates:
        if written.split("/")[0] in linked:
            msg = (
                f"{name}: the template {written!r} would be written into a folder of files= that link_files=True only "
                "links, and so into the original; copy the folder, or link the files in it one by one"
            )
            raise InputError(msg)
    for command in wrapper.commands:
        command.check_names([*wrapper.inputs, "point", "cpus"])


def fingerprints_of(wrapper: Any) -> dict[str, str]:
    """Return what identifies the model that a wrapper is.

    Parameters
    ----------
    wrapper : Wrapper
        With its templates, commands, parsers and fields.

    Returns
    -------
    fingerprints : dict of str
        By ``"input"``, ``"run"`` and ``"parsers"``; the same on every machine.
    """
    return {
        "input": fingerprint(
            [
                {name: bound.fingerprint() for name, bound in wrapper.templates.items()},
                files_fingerprint(wrapper.files),
            ]
        ),
        "run": fingerprint(
            [
                [command.fingerprint() for command in wrapper.commands],
                wrapper.version,
                type(wrapper).__qualname__,
                sorted(wrapper.overridden),
            ]
        ),
        "parsers": fingerprint(
            [*(parser.fingerprint() for parser in wrapper.parsers), *meshes_digest(wrapper.fields).items()]
        ),
    }
