"""What a task needs, in words that are the same for every batch system."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import Any

from ..command.settings import bytes_of

__all__ = ["Resources", "seconds_of_time"]

_CLOCK = re.compile(r"(?:(\d+)-)?(\d+):([0-5]\d):([0-5]\d)")
_PARTS = re.compile(r"(?:(\d+(?:\.\d*)?|\.\d+)\s*(d|h|min|m|s)\s*)+", re.IGNORECASE)
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(d|h|min|m|s)", re.IGNORECASE)
_SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_TIME = "seconds, or a text such as '90m', '1.5h', '2d', '1:30:00' or '1-12:00:00'"
#: Less is a mistake in the unit: the interpreter alone takes more.
_LEAST_MEMORY = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What each task of a job needs. Immutable.

    Parameters
    ----------
    time : float or str, optional
        Time limit of a task in seconds, or as ``"90m"``, ``"1.5h"``, ``"1:30:00"``, ``"1-12:00:00"``. Without
        one, the limit is that of the site.
    cpus : int, optional
        CPUs of a task; on each node, if it has several. Default is 1.
    memory : int or str, optional
        Memory of a task in bytes, or as ``"4 GB"``, ``"512 MiB"``, ``"4G"``; on each node, if it has several.
    partition : str, optional
        Partition or queue.
    account : str, optional
        Account or project that pays.
    constraint : str, optional
        What a node must have, in the scheduler's own words.
    nodes : int, optional
        Nodes of a task.
    exclusive : bool, optional
        Whether nobody else may use these nodes. `cpus` is said all the same.
    setup : sequence of str or str, optional
        Lines for the shell before the work: modules, conda, a virtual environment.
    extra : sequence of str or str, optional
        Further lines for the scheduler, with or without its mark: ``"--mail-type=END"``.

    Raises
    ------
    TypeError, ValueError
        If a value is none of these.

    Examples
    --------
    >>> resources = Resources(time="1.5h", cpus=4, memory="4 GB", setup="module load beam")
    >>> resources.time, resources.memory, resources.setup
    (5400.0, 4000000000, ('module load beam',))
    >>> Resources(time="90")
    Traceback (most recent call last):
    ...
    ValueError: time='90': say the unit; give seconds, or a text such as '90m', '1.5h', '2d', '1:30:00' or '1-12:00:00'
    """

    time: float | None = None
    cpus: int = 1
    memory: int | None = None
    partition: str | None = None
    account: str | None = None
    constraint: str | None = None
    nodes: int | None = None
    exclusive: bool = False
    setup: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check all, and keep it in one form."""
        checked = {
            "time": seconds_of_time(self.time),
            "cpus": _count("cpus", self.cpus),
            "memory": _memory(self.memory),
            "nodes": None if self.nodes is None else _count("nodes", self.nodes),
            "exclusive": _truth("exclusive", self.exclusive),
            **{name: _word(name, getattr(self, name)) for name in ("partition", "account", "constraint")},
            **{name: _lines(name, getattr(self, name)) for name in ("setup", "extra")},
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def replaced(self, **changes: Any) -> Resources:
        """Return the same resources with other values.

        Parameters
        ----------
        **changes
            Words of this class; `None` takes a word back to its default.

        Returns
        -------
        resources : Resources

        Raises
        ------
        TypeError, ValueError
            If a word is unknown or a value wrong.

        Examples
        --------
        >>> Resources(cpus=2, time="1h").replaced(time="3h").time
        10800.0
        """
        _check_words(changes)
        defaults: dict[str, Any] = {field.name: field.default for field in fields(self)}
        given = {name: defaults[name] if value is None else value for name, value in changes.items()}
        return replace(self, **given)

    def as_dict(self) -> dict[str, Any]:
        """Return what differs from the defaults, as JSON and TOML can hold it.

        Returns
        -------
        words : dict

        Examples
        --------
        >>> Resources(cpus=2, setup=["module load beam"]).as_dict()
        {'cpus': 2, 'setup': ['module load beam']}
        """
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        given = {f.name: found[f.name] for f in fields(self) if found[f.name] != f.default}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}

    @classmethod
    def from_dict(cls, words: Mapping[str, Any]) -> Resources:
        """Return the resources that :meth:`as_dict` has written, or a person.

        Parameters
        ----------
        words : dict
            Words of this class.

        Returns
        -------
        resources : Resources

        Raises
        ------
        TypeError, ValueError
            If a word is unknown or a value wrong.

        Examples
        --------
        >>> Resources.from_dict({"cpus": 2}) == Resources(cpus=2)
        True
        """
        return cls().replaced(**words)


def seconds_of_time(time: Any) -> float | None:
    """Return a time limit in seconds.

    Parameters
    ----------
    time : float, str or None
        What was given.

    Returns
    -------
    seconds : float or None

    Raises
    ------
    TypeError, ValueError
        If it is no time, or says no unit: ``"90"`` is minutes to one scheduler, and seconds to another.

    Examples
    --------
    >>> seconds_of_time("1-12:00:00"), seconds_of_time("1h 30m"), seconds_of_time(90)
    (129600.0, 5400.0, 90.0)
    """
    if time is None:
        return None
    seconds = _seconds(time) if isinstance(time, str) else time
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        msg = f"time={time!r}: give {_TIME}"
        raise TypeError(msg)
    if not 0 < seconds < math.inf:
        msg = f"time={time!r}: give {_TIME}, more than 0"
        raise ValueError(msg)
    return float(seconds)


def _seconds(text: str) -> float:
    """Return the seconds that a text means."""
    if match := _CLOCK.fullmatch(text.strip()):
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
    if _PARTS.fullmatch(text.strip()):
        return sum(float(number) * _SECONDS[unit.lower()] for number, unit in _PART.findall(text))
    # Hours and minutes to one reader, minutes and seconds to another.
    vague = re.fullmatch(r"\s*\d+(?:\.\d+|:\d+)?\s*", text)
    msg = f"time={text!r}: {'say the unit; ' if vague else ''}give {_TIME}"
    raise ValueError(msg)


def _memory(memory: Any) -> int | None:
    """Return bytes; what is less than a mebibyte was meant in another unit."""
    found = bytes_of(memory)
    if found is not None and found < _LEAST_MEMORY:
        msg = f"memory={memory!r} is {found} bytes: give a text with a unit, such as '4 GB' or '512 MiB'"
        raise ValueError(msg)
    return found


def _count(name: str, value: Any) -> int:
    """Return a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int):
        msg = f"{name}={value!r}: give a whole number of at least 1"
        raise TypeError(msg)
    if value < 1:
        msg = f"{name}={value!r}: give a whole number of at least 1"
        raise ValueError(msg)
    return value


def _truth(name: str, value: Any) -> bool:
    """Return a truth value; a text would always be true."""
    if not isinstance(value, bool):
        msg = f"{name}={value!r}: give true or false"
        raise TypeError(msg)
    return value


def _word(name: str, value: Any) -> str | None:
    """Return a value that stands in a line for a scheduler."""
    if value is None:
        return None
    if not isinstance(value, str):
        msg = f"{name}={value!r}: give a text"
        raise TypeError(msg)
    text = str(value).strip()
    # Only HTCondor's expressions have double quotes.
    if (
        not text
        or not text.isprintable()
        or re.search(r"[\\`$]" if name == "constraint" else r"[\"\\`$]", text)
    ):
        msg = f"{name}={value!r}: give one line of text, not empty, without quotes, \\, ` and $"
        raise ValueError(msg)
    return text


def _lines(name: str, value: Any) -> tuple[str, ...]:
    """Return lines; one text is split."""
    lines = value.splitlines() if isinstance(value, str) else value
    if not isinstance(lines, list | tuple) or not all(isinstance(line, str) for line in lines):
        msg = f"{name}={value!r}: give a list of lines"
        raise TypeError(msg)
    for line in lines:
        if len(line.splitlines()) > 1 or "\0" in line:
            msg = f"{name}: {line!r} is more than one line: give a list of lines"
            raise ValueError(msg)
    return tuple(line.rstrip() for line in lines if line.strip())


def _check_words(words: Mapping[str, Any]) -> None:
    """Refuse what is no word of the resources, and say what may have been meant."""
    known = [field.name for field in fields(Resources)]
    for word in words:
        if word not in known:
            near = get_close_matches(word, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            msg = f"resources have no {word!r}{hint} They have: {', '.join(known)}"
            raise ValueError(msg)
