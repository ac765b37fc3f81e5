"""Names in braces that stand for values in the arguments of a command."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence

__all__ = ["check_names", "has_name", "replaced"]

# `${name}` is a variable of a shell.
_NAME = re.compile(r"\{\{([^{}]+)\}\}|(?<!\$)\{([^{}]+)\}")


def has_name(text: str) -> bool:
    """Whether something in a text may stand for a value.

    Parameters
    ----------
    text : str
        An argument.

    Returns
    -------
    has_name : bool

    Examples
    --------
    >>> has_name("--load={F}"), has_name("${HOME}")
    (True, False)
    """
    return _NAME.search(text) is not None


def check_names(argv: Sequence[str], names: Iterable[str]) -> None:
    """Raise if ``{name}`` stands for nothing.

    Parameters
    ----------
    argv : sequence of str
        The arguments.
    names : iterable of str
        The names that have a value.

    Raises
    ------
    ValueError
        If there is another one.

    Examples
    --------
    >>> check_names(["beam", "{F}"], ["F"])
    """
    known = list(dict.fromkeys(names))
    for position, text in enumerate(argv):
        for match in _NAME.finditer(text):
            name = match[2]
            if name is not None and name not in known and name.isidentifier():
                near = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {{{near[0]}}}? " if near else ""
                msg = (
                    f"argv[{position}] is {text!r}: {{{name}}} stands for nothing; {hint}known are "
                    f"{', '.join(known)}; write {{{{{name}}}}} for the text {{{name}}}"
                )
                raise ValueError(msg)


def replaced(text: str, values: Mapping[str, str], *, quoted: bool) -> str:
    """Return a text with values for names, in one pass.

    Parameters
    ----------
    text : str
        An argument.
    values : mapping of str
        The values by name; an unknown name stays.
    quoted : bool
        Whether the values are quoted for a shell.

    Returns
    -------
    text : str

    Examples
    --------
    >>> replaced("-F={F} {{F}}", {"F": "3e4"}, quoted=False)
    '-F=3e4 {F}'
    """

    def value(match: re.Match[str]) -> str:
        if match[2] is None:
            return f"{{{match[1]}}}"
        found = values.get(match[2], match[0])
        return shlex.quote(found) if quoted and match[2] in values else found

    return _NAME.sub(value, text)
