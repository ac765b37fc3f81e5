"""The names of inputs, outputs and the wrapper's class, checked."""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Collection

from ..errors import OtwrapError
from ..parsers._words import some

__all__ = ["AnswerError", "check_class_name", "check_name"]


class AnswerError(OtwrapError):
    """An answer cannot be used.

    Examples
    --------
    >>> check_name("lambda", [])
    Traceback (most recent call last):
    ...
    otwrap.drafts.names.AnswerError: the name 'lambda' is a word of Python; give another, as 'lambda_'
    """


def check_name(name: str, taken: Collection[str]) -> str:
    """Return the name of an input or output, if it can be one.

    Parameters
    ----------
    name : str
        What was typed; blanks around it do not count.
    taken : collection of str
        The names that there are already.

    Returns
    -------
    name : str

    Raises
    ------
    AnswerError
        If it is no identifier of ASCII letters, a word of Python, or taken.

    Examples
    --------
    >>> check_name(" E ", ["F"])
    'E'
    """
    name = name.strip()
    if not name:
        raise AnswerError("a name is missing; give letters, digits and _, as E or load_2")
    if keyword.iskeyword(name):
        raise AnswerError(f"the name {name!r} is a word of Python; give another, as {name + '_'!r}")
    if not (name.isidentifier() and name.isascii()):
        raise AnswerError(
            f"the name {name!r} is none: accepted are letters of ASCII, digits and _, no digit first"
        )
    if name in ("point", "cpus"):
        raise AnswerError(f"the name {name!r} means something else in commands; give another")
    if name in taken:
        raise AnswerError(f"the name {name!r} is taken; there are {some(taken)}")
    return name


def check_class_name(name: str) -> str:
    """Return the name of the wrapper's class, if it can be one.

    Parameters
    ----------
    name : str
        What was typed.

    Returns
    -------
    name : str

    Raises
    ------
    AnswerError
        If it is no identifier, or means something else in the wrapper's file.

    Examples
    --------
    >>> check_class_name("Beam")
    'Beam'
    """
    name = check_name(name, ())
    if (
        name.startswith("_")
        or hasattr(builtins, name)
        or name in ("ot", "otw", "Path", "HERE", "annotations")
    ):
        raise AnswerError(f"the name {name!r} means something else in the wrapper's file; give another")
    return name
