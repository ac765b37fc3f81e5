"""The settings of a command, checked when it is made."""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = [
    "Pattern",
    "argv_of",
    "bytes_of",
    "codes_of",
    "cpus_of",
    "environment_of",
    "file_of",
    "patterns_of",
    "seconds_of",
    "texts_of",
]

#: A regular expression for the streams, or a file in the work directory and one for it.
Pattern = str | tuple[str, str]

_FOR_A_SHELL = re.compile(r"\|\|?|&&?|;|\d?(>>?|<)(&\d)?")
_UNITS = {"": 1, **{f"{unit}b": 1000**power for power, unit in enumerate(["", "k", "m", "g", "t"])}}
_UNITS |= {name: 1024**power for power, u in enumerate("kmgt", 1) for name in (u, f"{u}i", f"{u}ib")}


def _text(where: str, value: Any) -> str:
    """Return a text that can be handed to a program."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str):
        msg = f"{where} is {value!r}, a {type(value).__name__}: give a text"
        raise TypeError(msg)
    if "\0" in value:
        msg = f"{where} is {value!r}: no program can be given a NUL character"
        raise ValueError(msg)
    return value


def texts_of(name: str, value: Any) -> tuple[str, ...]:
    """Return a setting that is one text or several.

    Parameters
    ----------
    name : str
        Of the setting, for errors.
    value : str or sequence of str
        What was given.

    Returns
    -------
    texts : tuple of str

    Raises
    ------
    TypeError, ValueError
        If one of them is no text.

    Examples
    --------
    >>> texts_of("setup", "module load beam")
    ('module load beam',)
    """
    parts = [value] if isinstance(value, str | os.PathLike) else _listed(name, value)
    return tuple(_text(f"{name}[{position}]", part) for position, part in enumerate(parts))


def _listed(name: str, value: Any) -> list[Any]:
    """Return the items of a sequence; a mapping or a number is a mistake."""
    if isinstance(value, Mapping | bytes) or not hasattr(value, "__iter__"):
        msg = f"{name}={value!r}, a {type(value).__name__}: give a list"
        raise TypeError(msg)
    return list(value)


def argv_of(argv: Any, shell: bool) -> tuple[str, ...]:
    """Return the program and its arguments.

    Parameters
    ----------
    argv : str or sequence of str
        What was given.
    shell : bool
        Whether it is a text for a shell.

    Returns
    -------
    argv : tuple of str

    Raises
    ------
    TypeError, ValueError
        If it is empty, no text, or needs a shell and none was asked for.

    Examples
    --------
    >>> argv_of("beam -o 'my file'", shell=False)
    ('beam', '-o', 'my file')
    """
    if shell:
        if not isinstance(argv, str):
            msg = f"argv={argv!r} with shell=True: give one text, as it would be typed in a shell"
            raise TypeError(msg)
        parts: tuple[str, ...] = (_text("argv", argv),)
    elif isinstance(argv, str):
        parts = _split(argv)
    else:
        parts = texts_of("argv", argv)
    if not parts or not parts[0].strip():
        msg = f"argv={argv!r}: there is no program in it"
        raise ValueError(msg)
    return parts


def _split(argv: str) -> tuple[str, ...]:
    """Split a text as a shell would, but refuse what only a shell can do."""
    try:
        parts = tuple(shlex.split(_text("argv", argv)))
    except ValueError as error:
        msg = f"argv={argv!r} cannot be split as a shell would split it: {error}"
        raise ValueError(msg) from None
    for part in parts:
        if _FOR_A_SHELL.fullmatch(part):
            msg = (
                f"argv={argv!r}: {part!r} is for a shell: say shell=True, or give a list of arguments if "
                f"the program is to see {part!r}; the streams go to stdout.txt and stderr.txt anyway"
            )
            raise ValueError(msg)
    return parts


def environment_of(env: Any, removed: Sequence[str]) -> dict[str, str]:
    """Return the environment variables to set.

    Parameters
    ----------
    env : mapping of str, or None
        What was given; numbers and paths become text.
    removed : sequence of str
        Those to remove.

    Returns
    -------
    env : dict of str

    Raises
    ------
    TypeError, ValueError
        If a name or a value is none.

    Examples
    --------
    >>> environment_of({"OMP_NUM_THREADS": 4}, [])
    {'OMP_NUM_THREADS': '4'}
    """
    if env is not None and not isinstance(env, Mapping):
        msg = f"env={env!r}: give a mapping of names to values"
        raise TypeError(msg)
    values = {}
    for name, value in (env or {}).items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        values[_text("a name in env", name)] = str(value) if number else _text(f"env[{name!r}]", value)
    for name in [*values, *removed]:
        if not name or "=" in name:
            msg = f"{name!r} is no name of an environment variable"
            raise ValueError(msg)
        if name in values and name in removed:
            msg = f"{name!r} is both in env and in env_remove"
            raise ValueError(msg)
    return values


def file_of(stdin: Any) -> str | None:
    """Return the file that is the standard input.

    Parameters
    ----------
    stdin : str or None
        What was given.

    Returns
    -------
    stdin : str or None

    Raises
    ------
    TypeError, ValueError
        If it is not a file of the work directory.

    Examples
    --------
    >>> file_of("beam.in")
    'beam.in'
    """
    if stdin is None:
        return None
    name = _text("stdin", stdin)
    if not name or Path(name).is_absolute() or ".." in name.split("/"):
        msg = f"stdin={name!r}: give a file in the work directory; files= copies one there"
        raise ValueError(msg)
    return name


def _number(name: str, value: Any, what: str) -> float:
    """Return a positive finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        msg = f"{name}={value!r}: give {what}"
        raise (ValueError if isinstance(value, int | float) else TypeError)(msg)
    return value


def seconds_of(timeout: Any) -> float | None:
    """Return a time limit.

    Parameters
    ----------
    timeout : float or None
        What was given, in seconds.

    Returns
    -------
    timeout : float or None

    Raises
    ------
    TypeError, ValueError
        If it is no positive number.

    Examples
    --------
    >>> seconds_of(60)
    60
    """
    return None if timeout is None else _number("timeout", timeout, "seconds, more than 0, or None")


def bytes_of(memory: Any) -> int | None:
    """Return a memory limit in bytes.

    Parameters
    ----------
    memory : int, str or None
        What was given. ``kB``, ``MB``, ``GB`` are powers of 1000, ``KiB`` or ``K`` and so on of 1024.

    Returns
    -------
    memory : int or None

    Raises
    ------
    TypeError, ValueError
        If it is none.

    Examples
    --------
    >>> bytes_of("1.5 GB"), bytes_of("2G")
    (1500000000, 2147483648)
    """
    if memory is None:
        return None
    what = "a number of bytes or a text such as '2 GB' or '512 MiB'"
    if isinstance(memory, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-zA-Z]*)\s*", memory)
        if match is None or match[2].lower() not in _UNITS:
            msg = f"memory={memory!r}: give {what}"
            raise ValueError(msg)
        memory = float(match[1]) * _UNITS[match[2].lower()]
    return int(_number("memory", memory, what))


def cpus_of(cpus: Any) -> int:
    """Return a number of CPUs.

    Parameters
    ----------
    cpus : int
        What was given.

    Returns
    -------
    cpus : int

    Raises
    ------
    TypeError, ValueError
        If it is none.

    Examples
    --------
    >>> cpus_of(4)
    4
    """
    number = _number("cpus", cpus, "a whole number of CPUs for one run, at least 1")
    if number != int(number):
        msg = f"cpus={cpus!r}: give a whole number of CPUs for one run, at least 1"
        raise ValueError(msg)
    return int(number)


def codes_of(ok_codes: Any) -> tuple[int, ...]:
    """Return the exit codes that mean success.

    Parameters
    ----------
    ok_codes : int or sequence of int
        What was given.

    Returns
    -------
    ok_codes : tuple of int

    Raises
    ------
    TypeError, ValueError
        If one of them is none.

    Examples
    --------
    >>> codes_of(3)
    (3,)
    """
    codes = [ok_codes] if isinstance(ok_codes, int) else _listed("ok_codes", ok_codes)
    for code in codes:
        if isinstance(code, bool) or not isinstance(code, int):
            msg = f"ok_codes={ok_codes!r}: give whole numbers, not {code!r}"
            raise TypeError(msg)
    if not codes:
        msg = "ok_codes is empty: no run could succeed; the default is (0,)"
        raise ValueError(msg)
    return tuple(codes)


def patterns_of(name: str, patterns: Any) -> tuple[Pattern, ...]:
    """Return patterns that mean success or failure.

    Parameters
    ----------
    name : str
        Of the setting, for errors.
    patterns : str, or sequence of str or (str, str)
        What was given.

    Returns
    -------
    patterns : tuple of str or (str, str)

    Raises
    ------
    TypeError, ValueError
        If one of them is no pattern.

    Examples
    --------
    >>> patterns_of("success", ["converged", ("run.log", "^END")])
    ('converged', ('run.log', '^END'))
    """
    given = [patterns] if isinstance(patterns, str) else _listed(name, patterns)
    checked: list[Pattern] = []
    for position, pattern in enumerate(given):
        where = f"{name}[{position}]"
        parts = texts_of(where, pattern)
        if len(parts) != (1 if isinstance(pattern, str) else 2):
            msg = f"{where} is {pattern!r}: give a regular expression, or a pair (file, regular expression)"
            raise ValueError(msg)
        try:
            re.compile(parts[-1])
        except re.error as error:
            msg = f"{where}: {parts[-1]!r} is no regular expression: {error}"
            raise ValueError(msg) from None
        checked.append(parts[0] if len(parts) == 1 else (parts[0], parts[1]))
    return tuple(checked)
